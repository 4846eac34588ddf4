"""Questions about a conversation: what comes next, with which numbers, in which state; the rules of TCP decide."""

from collections.abc import Iterable, Iterator, Sequence
from enum import StrEnum
from itertools import chain, zip_longest
from random import Random
from typing import NamedTuple

from inspector.explain.reason import Amount, Part, Reason
from inspector.explain.rules import reasons
from inspector.explain.scene import ACK, FIN, RST, SYN, Moment, Scene
from inspector.tcp.segment import Flag
from inspector.tcp.states import Known, Side, TcpState

CHOICES = 4
LETTERS = "abcd"
_FARTHEST = 40  # rows above a question: more are not read
_NAMED = (Flag.SYN, Flag.FIN, Flag.RST, Flag.ACK)
_OPENING = (TcpState.LISTEN, TcpState.SYN_SENT, TcpState.SYN_RECEIVED, TcpState.ESTABLISHED, TcpState.CLOSED)
_CLOSING = (
    TcpState.FIN_WAIT_1,
    TcpState.FIN_WAIT_2,
    TcpState.CLOSE_WAIT,
    TcpState.LAST_ACK,
    TcpState.CLOSING,
    TcpState.TIME_WAIT,
    TcpState.CLOSED,
    TcpState.ESTABLISHED,
)


class Ask(StrEnum):
    """What a question is about."""

    NEXT = "next"
    NUMBERS = "numbers"
    STATE = "state"
    ARRIVED = "arrived"  # the state of who receives it


_PARTS = {
    Ask.NEXT: (Part.WHAT, Part.WHY),
    Ask.NUMBERS: (Part.NUMBERS,),
    Ask.STATE: (Part.CHANGES,),
    Ask.ARRIVED: (Part.CHANGES,),
}

Choice = tuple[int | str, ...]  # (side, flags), (seq, ack) or (state)


class Question(NamedTuple):
    """``choices`` are all different and ``right`` is the place of the right one; ``bytes`` is the payload of the
    packet asked about, which is the next after the rows shown."""

    ask: Ask
    moment: Moment
    choices: tuple[Choice, ...]
    right: int

    @property
    def flags(self) -> str:
        """Those of the packet, as they are written."""
        return flag_names(self.moment.flags)

    @property
    def payload(self) -> Amount:
        """Bytes that the packet carries."""
        return Amount(self.moment.row.payload_bytes)

    @property
    def because(self) -> list[Reason]:
        """Why the right answer is right."""
        found = reasons(self.moment)
        return [each for each in found if each.rule.part in _PARTS[self.ask]] or found

    @property
    def topics(self) -> set[str]:
        """What the answer is about."""
        return {each.rule.topic for each in self.because}


def flag_names(flags: int) -> str:
    """SYN,ACK ... without PSH, which decides nothing."""
    return ",".join(str(flag.name) for flag in _NAMED if flags & flag)


def questions_of(scene: Scene, random: Random) -> list[Question]:
    """All questions that a conversation has an answer to."""
    return [
        Question(ask, moment, *_mixed(right, wrong, random))
        for moment in scene.moments()
        if 0 < moment.place <= _FARTHEST and moment.report is not None and not scene.findings_of.get(moment.row.packet)
        for ask, right, wrong in _asked(moment)
        if len(wrong) >= CHOICES - 1
    ]


def chosen(questions: Iterable[Question], count: int, random: Random, topic: str | None = None) -> list[Question]:
    """So many of them that can be explained, of a topic when one is given: of every kind in turn, no packet twice."""
    by_kind: dict[Ask, list[Question]] = {}
    for each in sorted(questions, key=lambda _: random.random()):
        by_kind.setdefault(each.ask, []).append(each)
    told: set[tuple[int, int]] = set()
    picked: list[Question] = []
    for each in chain.from_iterable(zip_longest(*(by_kind[ask] for ask in Ask if ask in by_kind))):
        if len(picked) == count:
            break
        if each is None or (place := (id(each.moment.scene), each.moment.place)) in told:
            continue
        if topic in each.topics if topic is not None else each.because:
            told.add(place)
            picked.append(each)
    return picked


def _mixed(right: Choice, wrong: Sequence[Choice], random: Random) -> tuple[tuple[Choice, ...], int]:
    mixed = [right, *random.sample(list(wrong), CHOICES - 1)]
    random.shuffle(mixed)
    return tuple(mixed), mixed.index(right)


def _asked(m: Moment) -> Iterator[tuple[Ask, Choice, list[Choice]]]:
    """What can be asked of a packet, with the right answer and the wrong ones."""
    if _is_dictated(m):
        yield Ask.NEXT, (m.side, flag_names(m.flags)), _wrong_packets(m)
    if m.has(ACK, RST) and m.report is not None:
        right = m.report.relative_seq, m.report.relative_ack
        yield Ask.NUMBERS, right, _wrong_numbers(m, *right)
    own = [move for move in m.report.transitions if move.side is m.side] if m.report is not None else []
    if own and own[-1].known is not Known.UNKNOWN:
        yield Ask.STATE, (own[-1].after,), _wrong_states(own[-1].after)
    arrived = [move for _, move in m.scene.moves_caused_by(m.row.packet) if move.side is m.side.other]
    if len(arrived) == 1 and arrived[0].known is Known.SEEN:
        yield Ask.ARRIVED, (arrived[0].after,), _wrong_states(arrived[0].after)


def _is_dictated(m: Moment) -> bool:
    """Whether the kernel must send it, whatever the programs do: the answer to the packet just before."""
    before = next(m.before(), None)
    if before is None or before.side is m.side or m.row.payload_bytes or m.flags & FIN:
        return False
    if m.flags & RST:
        return bool(before.row.payload_bytes) or before.has(SYN, ACK)
    return any(each.place == before.place for each in m.covers)


def _wrong_packets(m: Moment) -> list[Choice]:
    """Of the wrong side, or with flags that do not belong there; none that programs might have caused."""
    own, peer = m.side, m.side.other
    if m.has(SYN | ACK):
        return [(own, "ACK"), (own, "SYN"), (peer, "ACK"), (peer, "SYN,ACK")]
    if m.flags & RST:
        return [(own, "ACK"), (own, "FIN,ACK"), (peer, "RST"), (peer, "SYN")]
    opening: list[Choice] = [(own, "SYN"), (own, "SYN,ACK"), (peer, "ACK"), (peer, "SYN")]
    return opening if any(each.flags & SYN for each in m.covers) else [*opening[1:], (own, "RST")]


def _wrong_numbers(m: Moment, seq: int, ack: int) -> list[Choice]:
    """Off by one, the other side's, or with bytes or a SYN or FIN forgotten."""
    forgotten = sum(each.row.payload_bytes for each in m.covers)
    last = m.last_own
    own = last.row.payload_bytes if last is not None and last.report is not None else 0
    candidates: list[tuple[int, int]] = [
        (seq, ack - forgotten),
        (seq - own, ack),
        (ack, seq),
        (seq, ack - 1),
        (seq, ack + 1),
        (seq + 1, ack),
        (seq + m.row.payload_bytes, ack),
    ]
    different = dict.fromkeys(each for each in candidates if each != (seq, ack) and min(each) >= 0)
    return list(different)


def _wrong_states(right: TcpState) -> list[Choice]:
    """Those of the same part of a connection's life."""
    opening = right in _OPENING and right is not TcpState.CLOSED
    return [(state,) for state in (_OPENING if opening else _CLOSING) if state is not right]


def sides_of(question: Question) -> tuple[Side, Side]:
    """Who sends the packet asked about, and whose state is asked for."""
    sender = question.moment.side
    return sender, sender.other if question.ask is Ask.ARRIVED else sender
