"""Why data goes when it goes, and what an ACK means."""

from codecs import getincrementaldecoder
from collections.abc import Iterator
from itertools import islice

from inspector.calls.matching import SidedCall
from inspector.explain.reason import Amount, Case, Duration, Numbers, Part, Rule
from inspector.explain.scene import FIN, PSH, RST, SYN, URG, Moment
from inspector.tcp.findings import Kind
from inspector.tcp.states import Known
from inspector.trace.messages import cuts_character

DELAYED_NS = 20_000_000  # Linux holds an ACK back for 40 ms (TCP_DELACK_MIN, net/tcp.h), others up to 500
_HELD_BACK_MOST_NS = 510_000_000  # RFC 9293 section 3.8.6.3: less than 0.5 s
_AT_ONCE_NS = 1_000_000
_WAITED_NS = 5_000_000
_CONTINUES = 0x80  # the upper two bits of every byte of a character but its first, RFC 3629 section 3
_TIMESTAMP_BYTES = 12  # of a segment, which the option takes with two of padding: RFC 7323 appendix A
_TELLING = 8  # packets looked at, at the most, on either side of one


def is_new_data(m: Moment) -> bool:
    """Data that its sender sends for the first time."""
    return bool(m.row.payload_bytes) and m.report is not None and not m.flags & (SYN | RST) and not m.is_resent


def data(m: Moment) -> Iterator[Case]:
    """Which bytes of the stream it carries."""
    if m.scene.syns[m.side] is not None:
        yield from _bytes_of_stream(m)


def data_midstream(m: Moment) -> Iterator[Case]:
    """The same, where the stream's beginning was not captured."""
    if m.scene.syns[m.side] is None:
        yield from _bytes_of_stream(m)


def _bytes_of_stream(m: Moment) -> Iterator[Case]:
    if m.report is not None and m.row.payload_bytes and not m.flags & SYN:
        start, count = m.report.relative_seq - 1, m.row.payload_bytes
        yield Case({"side": m.side, "count": Amount(count), "start": start, "end": start + count})


def data_call(m: Moment) -> Iterator[Case]:
    """One call gave all of it."""
    if is_new_data(m) and len(m.sends) == 1:
        each = m.sends[0]
        if len(_first_copies(m, each)) == 1:
            yield Case({"side": m.side, "call": each}, calls=(each,))


def _first_copies(m: Moment, each: SidedCall) -> tuple[int, ...]:
    """The packets that carried a call's bytes for the first time."""
    return tuple(packet for packet in each.packets if not m.scene.moment(packet).is_resent)


def data_of_several_packets(m: Moment) -> Iterator[Case]:
    """One call, several segments."""
    if is_new_data(m) and len(m.sends) == 1:
        each = m.sends[0]
        packets = _first_copies(m, each)
        if len(packets) > 1:
            nth = packets.index(m.row.packet) + 1
            parameters = {"side": m.side, "call": each, "nth": nth, "packets": len(packets)}
            yield Case(parameters, packets, (each,))


def data_of_several_calls(m: Moment) -> Iterator[Case]:
    """Several calls, one segment."""
    if is_new_data(m) and len(m.sends) > 1:
        yield Case({"side": m.side, "calls": len(m.sends)}, calls=tuple(m.sends))


def data_unseen_call(m: Moment) -> Iterator[Case]:
    """Without recorded calls nobody can tell which of them carried it."""
    if is_new_data(m) and not m.sends and not m.knows_calls(m.side):
        yield Case({"side": m.side}, known=Known.INFERRED)


def nagle(m: Moment) -> Iterator[Case]:
    """A small segment that was given to the kernel, and left when an ACK came."""
    released = m.last_peer
    if not is_new_data(m) or released is None or not _is_small(m) or not released.covers:
        return
    earlier = released.covers_data
    if not earlier or m.since(released) > _AT_ONCE_NS or not _had_room(m, released):
        return
    for each in m.sends[:1]:
        waited_ns = m.row.time_ns - each.call.enter_ns
        if len(_first_copies(m, each)) == 1 and waited_ns > _WAITED_NS and each.call.enter_ns < released.row.time_ns:
            parameters = {"side": m.side, "time": Duration(waited_ns), "ack": released.row.packet, "call": each}
            yield Case(parameters, (released.row.packet, earlier[-1].row.packet), (each,), Known.INFERRED)


def _had_room(m: Moment, released: Moment) -> bool:
    """Whether the receiver's window was no reason to wait for this ACK."""
    if m.last_own is not None and m.last_own.finding(Kind.WINDOW_FULL):
        return False
    offered = next((each.report for each in released.before(released.side) if each.report is not None), None)
    return offered is None or offered.scaled_window is None or offered.scaled_window >= m.row.payload_bytes


def nagle_or_idle(m: Moment) -> Iterator[Case]:
    """The same without the calls: Nagle, or a program that only now wrote."""
    released = m.last_peer
    if not is_new_data(m) or m.sends or released is None or not _is_small(m) or not released.is_pure_ack:
        return
    waiting = released.covers_data
    if not waiting or not _is_small(waiting[-1]) or not _had_room(m, released):
        return
    waited_ns = released.since(waiting[-1])
    if m.since(released) < _AT_ONCE_NS and DELAYED_NS < waited_ns - released.fastest_ns < _HELD_BACK_MOST_NS:
        parameters = {"side": m.side, "ack": released.row.packet, "time": Duration(waited_ns)}
        yield Case(parameters, (waiting[-1].row.packet, released.row.packet), known=Known.INFERRED)


def _is_small(m: Moment) -> bool:
    """Less than a whole segment."""
    mss = _peer_mss(m)
    return m.row.payload_bytes < (mss - _TIMESTAMP_BYTES if mss is not None else 536)


def _peer_mss(m: Moment) -> int | None:
    """What the receiver announced in its SYN."""
    syn = m.scene.syns[m.side.other]
    return None if syn is None else syn.segment.options.mss


def super_segment(m: Moment) -> Iterator[Case]:
    """Larger than the receiver's MSS: captured before the card cut it up."""
    if m.report is not None and (mss := _peer_mss(m)) is not None and m.row.payload_bytes > mss and not m.flags & SYN:
        options = _TIMESTAMP_BYTES if m.segment.options.timestamp is not None else 0
        pieces = -(-m.row.payload_bytes // max(mss - options, 1))
        yield Case({"count": Amount(m.row.payload_bytes), "mss": mss, "pieces": pieces}, known=Known.INFERRED)


def half_window(m: Moment) -> Iterator[Case]:
    """Linux sends at most half of the largest window that the peer has ever offered (tcp_bound_to_half_wnd)."""
    if not is_new_data(m) or m.row.payload_bytes < 536:
        return
    mss, windows = _peer_mss(m), [each.report.scaled_window for each in _some(m.before(m.side.other)) if each.report]
    largest = max((window for window in windows if window is not None), default=None)
    if mss is not None and largest is not None and largest < 2 * mss and 0 <= largest // 2 - m.row.payload_bytes <= 64:
        yield Case(
            {"side": m.side, "count": Amount(m.row.payload_bytes), "window": Amount(largest)}, known=Known.INFERRED
        )


def _some(moments: Iterator[Moment]) -> list[Moment]:
    return list(islice(moments, _TELLING))


def push(m: Moment) -> Iterator[Case]:
    """PSH asks to hand the bytes over; it marks no message."""
    if is_new_data(m) and m.flags & PSH:
        yield Case({"side": m.side})


def urgent(m: Moment) -> Iterator[Case]:
    """One byte out of band."""
    if m.flags & URG:
        yield Case({"side": m.side})


def next_number(m: Moment) -> Iterator[Case]:
    """Which number follows."""
    if m.report is not None and m.row.payload_bytes and not m.flags & (SYN | FIN):
        start = m.report.relative_seq
        yield Case({"start": start, "count": m.row.payload_bytes, "next": start + m.row.payload_bytes})


def ack_of_data(m: Moment) -> Iterator[Case]:
    """The sum that an ACK makes over one segment."""
    covered = m.covers_data
    if m.report is not None and len(covered) == 1 and not covered[0].flags & FIN:
        each = covered[0]
        if (each.segment.seq + each.row.payload_bytes) & 0xFFFFFFFF == m.segment.ack and each.report is not None:
            numbers = m.report.relative_ack, each.report.relative_seq
            yield _sum(numbers[0], numbers[1], each)


def _sum(ack: int, seq: int, each: Moment) -> Case:
    packet = each.row.packet
    return Case({"ack": ack, "seq": seq, "count": each.row.payload_bytes, "packet": packet}, (packet,))


def ack_cumulative(m: Moment) -> Iterator[Case]:
    """One ACK over several segments."""
    covered = m.covers_data
    if m.report is not None and len(covered) > 1:
        packets = tuple(each.row.packet for each in covered)
        count = Amount(sum(each.row.payload_bytes for each in covered))
        parameters = {"ack": m.report.relative_ack, "packets": Numbers(packets), "count": count}
        yield Case(parameters, packets)


def pure_ack(m: Moment) -> Iterator[Case]:
    """An ACK alone: the kernel's, no program sent it."""
    if m.is_pure_ack and any(each.row.payload_bytes for each in m.covers) and not any(e.flags & SYN for e in m.covers):
        yield Case({"side": m.side, "peer": m.side.other})


def plain_ack(m: Moment) -> Iterator[Case]:
    """An ACK that is the first to cover nothing that was captured, and that tells of nothing else."""
    known = all(each.finding(Kind.SIMULTANEOUS_OPEN) for each in m.covers)  # these SYNs were acknowledged before
    if m.is_pure_ack and known and m.report is not None and not m.scene.findings_of.get(m.row.packet):
        yield Case({"side": m.side, "ack": m.report.relative_ack})


def ack_at_once(m: Moment) -> Iterator[Case]:
    """In the first segments of a connection, and for every second full segment, it is not held back."""
    asked = _last_data(m)
    if m.is_pure_ack and asked is not None and m.since(asked) - m.fastest_ns < _AT_ONCE_NS:
        parameters = {"side": m.side, "time": Duration(m.since(asked))}
        yield Case(parameters, (asked.row.packet,), known=Known.INFERRED)


def ack_delayed(m: Moment) -> Iterator[Case]:
    """Held back in the hope that something goes with it: on one machine nothing else takes so long."""
    asked, late_ns = _late(m)
    if asked is not None and m.fastest_ns < _AT_ONCE_NS:
        parameters = {"side": m.side, "time": Duration(late_ns), "packet": asked.row.packet}
        yield Case(parameters, (asked.row.packet,), known=Known.INFERRED)


def ack_late(m: Moment) -> Iterator[Case]:
    """Over a network: held back, or the way was slower."""
    asked, late_ns = _late(m)
    if asked is not None and m.fastest_ns >= _AT_ONCE_NS:
        parameters = {"side": m.side, "time": Duration(late_ns), "packet": asked.row.packet}
        yield Case(parameters, (asked.row.packet,), known=Known.INFERRED)


def _late(m: Moment) -> tuple[Moment | None, int]:
    """The latest segment that a pure ACK covers, when it comes that much later than the fastest answer."""
    covered = [each for each in m.covers if not each.flags & SYN and not each.is_resent]
    late_ns = m.since(covered[-1]) - m.fastest_ns if covered and m.is_pure_ack else 0
    return (covered[-1], late_ns) if DELAYED_NS < late_ns < _HELD_BACK_MOST_NS else (None, 0)


def _last_data(m: Moment) -> Moment | None:
    """The latest segment with data that it is the first to acknowledge."""
    covered = m.covers_data
    return covered[-1] if covered else None


def piggyback(m: Moment) -> Iterator[Case]:
    """Data that acknowledges on the way."""
    packets = tuple(each.row.packet for each in m.covers_data)
    if is_new_data(m) and packets:
        yield Case({"side": m.side, "packets": Numbers(packets), "count": len(packets)}, packets)


def received(m: Moment) -> Iterator[Case]:
    """recv() returned exactly this."""
    reads, count = m.receives, m.row.payload_bytes
    if m.report is not None and count and len(reads) == 1 and reads[0].call.returned == count:
        each = reads[0]
        waited = (each.call.exit_ns or 0) - m.row.time_ns
        if len(each.packets) == 1 and waited >= 0:
            parameters = {"side": each.side, "call": each, "time": Duration(waited)}
            yield Case(parameters, calls=(each,))


def received_together(m: Moment) -> Iterator[Case]:
    """One recv() returned the bytes of several segments."""
    for each in m.receives:
        packets = _first_copies(m, each) if m.report is not None else ()
        if len(packets) > 1 and packets[-1] == m.row.packet:
            parameters = {"side": each.side, "call": each, "packets": Numbers(packets)}
            yield Case(parameters, packets, (each,))


def received_in_pieces(m: Moment) -> Iterator[Case]:
    """Several recv() calls, because their buffers were smaller."""
    reads = m.receives
    if m.report is not None and len(reads) > 1 and m.row.payload_bytes:
        yield Case(
            {"side": m.side.other, "count": Amount(m.row.payload_bytes), "calls": len(reads)}, calls=tuple(reads)
        )


def character_cut(m: Moment) -> Iterator[Case]:
    """A recv() that ends within a character of UTF-8."""
    if m.report is None or not m.row.payload:
        return
    start, payload = m.report.relative_seq - 1, m.row.payload
    for each in m.receives:
        at = (each.offsets or (0, 0))[1] - start
        if 0 < at < len(payload) and cuts_character(payload, at) and _is_utf8(payload):
            yield Case({"side": each.side, "call": each}, calls=(each,))


def _is_utf8(piece: bytes) -> bool:
    """Whether a piece of a stream is UTF-8 but for its first and last character."""
    begins = next((at for at, byte in enumerate(piece[:4]) if byte & 0xC0 != _CONTINUES), 4)
    try:
        getincrementaldecoder("utf-8")().decode(piece[begins:])
    except UnicodeDecodeError:
        return False
    return True


def never_read(m: Moment) -> Iterator[Case]:
    """Its program never asked for these bytes."""
    if is_new_data(m) and m.knows_reads(m.side.other) and not m.receives and m.covered_by is not None:
        yield Case({"side": m.side.other, "count": Amount(m.row.payload_bytes)}, known=Known.INFERRED)


def data_next(m: Moment) -> Iterator[Case]:
    """When it was acknowledged."""
    answer = m.covered_by
    if is_new_data(m) and answer is not None:
        yield Case({"answer": answer.row.packet, "time": Duration(answer.since(m))}, (answer.row.packet,))


def data_unacknowledged(m: Moment) -> Iterator[Case]:
    """No ACK for it in the capture."""
    if is_new_data(m) and m.covered_by is None and _reset_by_peer(m) is None and not m.scene.is_itself:
        yield Case({"peer": m.side.other}, known=Known.UNKNOWN)


def data_reset(m: Moment) -> Iterator[Case]:
    """A reset came instead of an ACK."""
    answer = _reset_by_peer(m)
    if is_new_data(m) and m.covered_by is None and answer is not None:
        yield Case({"peer": m.side.other, "answer": answer.row.packet}, (answer.row.packet,))


def _reset_by_peer(m: Moment) -> Moment | None:
    """The other side's next packet, when it is a reset."""
    answer = next(m.after(m.side.other), None)
    return answer if answer is not None and answer.flags & RST else None


RULES = (
    Rule("data", Part.WHAT, "sticky", "RFC 9293 §2.2", data),
    Rule("data_midstream", Part.WHAT, "sticky", "RFC 9293 §2.2", data_midstream),
    Rule("pure_ack", Part.WHAT, "cumulative-ack", "RFC 9293 §3.4", pure_ack),
    Rule("plain_ack", Part.WHAT, "cumulative-ack", "RFC 9293 §3.4", plain_ack),
    Rule("urgent", Part.WHAT, "sticky", "RFC 9293 §3.8.5", urgent),
    Rule("push", Part.WHAT, "sticky", "RFC 9293 §3.9.1.2", push),
    Rule("data_call", Part.WHY, "short-read", "send(2)", data_call),
    Rule("data_of_several_packets", Part.WHY, "mtu-mss", "RFC 9293 §3.7.1", data_of_several_packets),
    Rule("data_of_several_calls", Part.WHY, "sticky", "RFC 9293 §3.7.4", data_of_several_calls),
    Rule("data_unseen_call", Part.WHY, "sticky", "RFC 9293 §2.2", data_unseen_call),
    Rule("nagle", Part.WHY, "nagle", "RFC 9293 §3.7.4", nagle),
    Rule("nagle_or_idle", Part.WHY, "nagle", "RFC 9293 §3.7.4", nagle_or_idle),
    Rule("super_segment", Part.WHY, "segmentation-offload", "RFC 9293 §3.7.1", super_segment),
    Rule("half_window", Part.WHY, "sliding-window", "net/tcp.h tcp_bound_to_half_wnd()", half_window),
    Rule("ack_at_once", Part.WHY, "delayed-ack", "RFC 9293 §3.8.6.3", ack_at_once),
    Rule("ack_delayed", Part.WHY, "delayed-ack", "RFC 9293 §3.8.6.3", ack_delayed),
    Rule("ack_late", Part.WHY, "delayed-ack", "RFC 9293 §3.8.6.3", ack_late),
    Rule("piggyback", Part.WHY, "cumulative-ack", "RFC 9293 §3.8.6.3", piggyback),
    Rule("next_number", Part.NUMBERS, "sequence-numbers", "RFC 9293 §3.4", next_number),
    Rule("ack_of_data", Part.NUMBERS, "sequence-numbers", "RFC 9293 §3.4", ack_of_data),
    Rule("ack_cumulative", Part.NUMBERS, "cumulative-ack", "RFC 9293 §3.4", ack_cumulative),
    Rule("received", Part.PROGRAMS, "short-read", "recv(2)", received),
    Rule("received_together", Part.PROGRAMS, "sticky", "RFC 9293 §2.2", received_together),
    Rule("received_in_pieces", Part.PROGRAMS, "short-read", "recv(2)", received_in_pieces),
    Rule("character_cut", Part.PROGRAMS, "short-read", "RFC 3629 §3", character_cut),
    Rule("never_read", Part.PROGRAMS, "reset", "recv(2)", never_read),
    Rule("data_next", Part.NEXT, "cumulative-ack", "RFC 9293 §3.4", data_next),
    Rule("data_reset", Part.NEXT, "reset", "RFC 9293 §3.5.2", data_reset),
    Rule("data_unacknowledged", Part.NEXT, "rto", "RFC 9293 §3.8.1", data_unacknowledged),
)
