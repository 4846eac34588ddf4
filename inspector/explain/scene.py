"""A conversation read as a whole, and the moment of one packet in it: what the rules ask about."""

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from functools import cached_property
from heapq import heappop, heappush

from inspector.calls.call import RECEIVING, SENDING
from inspector.calls.matching import SidedCall
from inspector.explain.flights import Flight, flights_of
from inspector.tcp.findings import Cause, Finding, Kind
from inspector.tcp.report import SegmentReport
from inspector.tcp.segment import Flag, Segment
from inspector.tcp.seqnum import unwrap
from inspector.tcp.states import Side, Transition
from inspector.trace.conversation import ConnectionEnd, Conversation, Row

SYN, FIN, RST, ACK, PSH, URG = (int(getattr(Flag, name)) for name in ("SYN", "FIN", "RST", "ACK", "PSH", "URG"))
ECE, CWR = int(Flag.ECE), int(Flag.CWR)


class Scene:
    """All packets of a conversation and the calls that belong to it; places count rows from 0."""

    def __init__(
        self,
        conversation: Conversation,
        rows: Sequence[Row],
        end: ConnectionEnd | None,
        calls: Sequence[SidedCall] = (),
    ) -> None:
        self.conversation = conversation
        self.rows = rows
        self.end = end
        self.calls = calls
        self._calls_named: dict[tuple[Side, tuple[str, ...]], list[SidedCall]] = {}
        self._places = {row.packet: place for place, row in enumerate(rows)}

    def moment(self, packet: int) -> "Moment":
        """That of a packet; raises KeyError when it is not of this conversation."""
        return Moment(self, self._places[packet])

    def moments(self) -> Iterator["Moment"]:
        """Of every packet, in order."""
        return (Moment(self, place) for place in range(len(self.rows)))

    @cached_property
    def calls_of(self) -> dict[int, list[SidedCall]]:
        """The calls linked to a packet, by its number."""
        linked: dict[int, list[SidedCall]] = {}
        for each in self.calls:
            for packet in each.packets:
                linked.setdefault(packet, []).append(each)
        return linked

    def calls_named(self, side: Side, *names: str) -> list[SidedCall]:
        """The calls of a side with one of these names, in the order they were entered."""
        if (side, names) not in self._calls_named:
            chosen = [each for each in self.calls if each.side is side and each.call.name in names]
            self._calls_named[side, names] = chosen
        return self._calls_named[side, names]

    @cached_property
    def acknowledged(self) -> dict[int, tuple[int, ...]]:
        """By place of an ACK, the places of the segments that it is the first to cover, those of no length left out."""
        return self._acknowledgments[0]

    @cached_property
    def acknowledged_by(self) -> dict[int, int]:
        """By place of a segment, that of the first ACK that covers it."""
        return self._acknowledgments[1]

    @cached_property
    def fastest_ns(self) -> tuple[int, int]:
        """By side, the shortest time from a segment of the other side to the ACK that covers it."""
        times: tuple[list[int], list[int]] = ([], [])
        for place, answer in self.acknowledged_by.items():
            times[self.rows[answer].side].append(self.rows[answer].time_ns - self.rows[place].time_ns)
        return min(times[0], default=0), min(times[1], default=0)

    @cached_property
    def syns(self) -> "tuple[Moment | None, Moment | None]":
        """The first SYN of each side."""
        return self._first(SYN)

    @cached_property
    def fins(self) -> "tuple[Moment | None, Moment | None]":
        """The first FIN of each side."""
        return self._first(FIN)

    @cached_property
    def noticed(self) -> frozenset[int | None]:
        """The packets that ICMP errors quote."""
        return frozenset(row.notice.about for row in self.rows if row.notice is not None)

    @cached_property
    def recorded(self) -> frozenset[Side]:
        """The sides whose program's calls were recorded."""
        return frozenset(each.side for each in self.calls if each.call.remote is not None)

    @cached_property
    def knows_traffic(self) -> bool:
        """Whether any bytes were sent or received by recorded calls."""
        return any(each.offsets is not None for each in self.calls)

    @property
    def is_itself(self) -> bool:
        """A socket connected to itself: each packet is of both sides."""
        return self.conversation.client == self.conversation.server

    def _first(self, flag: int) -> "tuple[Moment | None, Moment | None]":
        client, server = (
            next((each for place in places if (each := Moment(self, place)).flags & flag), None)
            for places in self.own_places
        )
        return client, server

    @cached_property
    def own_places(self) -> tuple[list[int], list[int]]:
        """The places of the segments or datagrams of each side, notices left out."""
        client, server = (
            [place for place, row in enumerate(self.rows) if row.side is side and row.notice is None] for side in Side
        )
        return client, server

    @cached_property
    def findings_of(self) -> dict[int, list[Finding]]:
        """What was found about a packet, by its number; some of it only a later segment tells."""
        found: dict[int, list[Finding]] = {}
        for row in self.rows:
            for finding in row.report.findings if row.report is not None else ():
                found.setdefault(finding.packet, []).append(finding)
        return found

    @cached_property
    def answer_to(self) -> dict[int, int]:
        """By packet the first datagram that answers it, where the capture tells."""
        answers: dict[int, int] = {}
        for row in self.rows:
            if row.answers is not None:
                answers.setdefault(row.answers, row.packet)
        return answers

    @cached_property
    def notice_about(self) -> dict[int, int]:
        """By packet the first ICMP error that quotes it."""
        notices: dict[int, int] = {}
        for row in self.rows:
            if row.notice is not None and row.notice.about is not None:
                notices.setdefault(row.notice.about, row.packet)
        return notices

    @cached_property
    def last_reset(self) -> int:
        """The place of the last reset; -1 when there is none."""
        return max((place for place, row in enumerate(self.rows) if _has_flag(row, RST)), default=-1)

    @cached_property
    def last_of(self) -> tuple[int, int]:
        """By side the place of its last segment or datagram; -1 when there is none."""
        client, server = (places[-1] if places else -1 for places in self.own_places)
        return client, server

    @cached_property
    def flights(self) -> dict[int, Flight]:
        """The bursts of segments of both sides, by their first packets."""
        return flights_of(self.rows)

    def moves_caused_by(self, packet: int) -> list[tuple[int, Transition]]:
        """The transitions that a packet caused, each with the packet that shows it."""
        return self._moves.get(packet, [])

    @cached_property
    def _moves(self) -> dict[int, list[tuple[int, Transition]]]:
        moves: dict[int, list[tuple[int, Transition]]] = {}
        for row in self.rows:
            for move in row.report.transitions if row.report is not None else ():
                moves.setdefault(move.cause, []).append((row.packet, move))
        return moves

    @cached_property
    def _acknowledgments(self) -> tuple[dict[int, tuple[int, ...]], dict[int, int]]:
        waiting: tuple[list[tuple[int, int]], list[tuple[int, int]]] = ([], [])  # heaps of (end, place) by sender
        near = [0, 0]  # a number of each sender without modulus
        covers: dict[int, tuple[int, ...]] = {}
        covered: dict[int, int] = {}
        for place, row in enumerate(self.rows):
            if row.report is None:
                continue
            segment = row.report.segment
            if segment.flags & ACK:
                peer = segment.side.other
                acked = unwrap(segment.ack, near[peer])
                done = []
                while waiting[peer] and waiting[peer][0][0] <= acked:
                    done.append(heappop(waiting[peer])[1])
                if done:
                    covers[place] = tuple(sorted(done))
                    covered.update(dict.fromkeys(done, place))
            near[segment.side] = start = unwrap(segment.seq, near[segment.side])
            if length_of(segment):
                heappush(waiting[segment.side], (start + length_of(segment), place))
        return covers, covered


class Moment:
    """One packet of a conversation, with what came before it and what comes after."""

    def __init__(self, scene: Scene, place: int) -> None:
        self.scene = scene
        self.place = place
        self.row = scene.rows[place]

    @property
    def side(self) -> Side:
        """Its sender."""
        return Side(self.row.side)

    @property
    def report(self) -> SegmentReport | None:
        """What the analysis says of a segment; None for a datagram."""
        return self.row.report

    @property
    def segment(self) -> Segment:
        """The segment; only for packets that are one."""
        assert self.row.report is not None
        return self.row.report.segment

    @property
    def flags(self) -> int:
        """TCP's flags; 0 for what is no segment."""
        return self.row.report.segment.flags if self.row.report is not None else 0

    def has(self, flags: int, without: int = 0) -> bool:
        """Whether it is a segment with all of these flags and none of the others."""
        return self.row.report is not None and self.flags & (flags | without) == flags

    def finding(self, kind: Kind, cause: Cause | None = None) -> Finding | None:
        """That of the kind about this packet."""
        found = self.scene.findings_of.get(self.row.packet, ())
        return next((each for each in found if each.kind is kind and cause in (None, each.cause)), None)

    @property
    def is_pure_ack(self) -> bool:
        """An ACK and nothing else."""
        return self.has(ACK, SYN | FIN | RST) and not self.row.payload_bytes

    @property
    def is_resent(self) -> bool:
        """Sent before, by its sender or by the network."""
        return any(self.finding(kind) for kind in (Kind.RETRANSMISSION, Kind.DUPLICATED))

    def before(self, side: Side | None = None) -> Iterator["Moment"]:
        """The packets before this one, the latest first; of one side."""
        return self._at(range(self.place - 1, -1, -1), side)

    def after(self, side: Side | None = None) -> Iterator["Moment"]:
        """The packets after this one."""
        return self._at(range(self.place + 1, len(self.scene.rows)), side)

    def _at(self, places: range, side: Side | None) -> Iterator["Moment"]:
        if side is None:
            return (Moment(self.scene, place) for place in places)
        own = self.scene.own_places[side]  # however many of the other side lie between
        forward = places.step > 0
        at = bisect_left(own, self.place + 1 if forward else self.place)
        return (Moment(self.scene, own[i]) for i in (range(at, len(own)) if forward else range(at - 1, -1, -1)))

    @property
    def last_own(self) -> "Moment | None":
        """The packet of the same side before it."""
        return next(self.before(self.side), None)

    @property
    def last_peer(self) -> "Moment | None":
        """The packet of the other side before it."""
        return next(self.before(self.side.other), None)

    @property
    def covers(self) -> list["Moment"]:
        """The segments of the other side that it is the first to acknowledge."""
        return [Moment(self.scene, place) for place in self.scene.acknowledged.get(self.place, ())]

    @property
    def covers_data(self) -> list["Moment"]:
        """Those of them that carried their data for the first time, SYNs left out."""
        return [each for each in self.covers if each.row.payload_bytes and not each.flags & SYN and not each.is_resent]

    @property
    def covered_by(self) -> "Moment | None":
        """The first ACK that covers it."""
        place = self.scene.acknowledged_by.get(self.place)
        return None if place is None else Moment(self.scene, place)

    def since(self, earlier: "Moment") -> int:
        """Nanoseconds from an earlier packet to this one."""
        return self.row.time_ns - earlier.row.time_ns

    def calls(self, side: Side, *names: str) -> list[SidedCall]:
        """The calls of a side that are linked to this packet, of these names when some are given."""
        linked = self.scene.calls_of.get(self.row.packet, [])
        return [each for each in linked if each.side is side and (not names or each.call.name in names)]

    @property
    def fastest_ns(self) -> int:
        """The fastest answer of its sender to anything: how long the way takes when nothing is held back."""
        return self.scene.fastest_ns[self.side]

    @property
    def sends(self) -> list[SidedCall]:
        """The sending calls whose bytes it carries."""
        return self.calls(self.side, *SENDING)

    @property
    def receives(self) -> list[SidedCall]:
        """The receiving calls that returned bytes of it."""
        return self.calls(self.side.other, *RECEIVING)

    def knows_calls(self, side: Side) -> bool:
        """Whether the calls of a side's program were recorded."""
        return side in self.scene.recorded

    def knows_reads(self, side: Side) -> bool:
        """Whether what a side read was recorded: of TLS connections it is not, though they are opened and closed."""
        return side in self.scene.recorded and self.scene.knows_traffic


def _has_flag(row: Row, flag: int) -> bool:
    return row.report is not None and bool(row.report.segment.flags & flag)


def length_of(segment: Segment) -> int:
    """What a segment takes of the sequence numbers: SYN and FIN count one, RFC 9293 section 3.4."""
    return segment.payload_bytes + bool(segment.flags & SYN) + bool(segment.flags & FIN)
