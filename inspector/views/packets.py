"""One line a packet, in the order of the capture."""

from collections.abc import Iterable, Iterator

from inspector.tcp.segment import Flag
from inspector.trace.conversation import PacketRecord
from inspector.views.labels import finding_words, flag_names
from inspector.views.line import Line, Span, line_of
from inspector.views.safe_text import cells

_NS_PER_US = 1000
_US_PER_SECOND = 1_000_000
_FLAGS = tuple(",".join(flag_names(flags)) or "-" for flags in range(256))


def packet_view(records: Iterable[PacketRecord], width: int, *, raw_numbers: bool = False) -> Iterator[Line]:
    """Number, seconds since the first packet, endpoints, protocol, and for TCP flags, numbers, window and findings.

    Columns grow as longer endpoints come by. Findings are never left out; the window is, where there is no room.
    """
    first_ns: int | None = None
    source_width = destination_width = 0
    for record in records:
        if first_ns is None:
            first_ns = record.time_ns
        source_width = max(source_width, len(record.source))
        destination_width = max(destination_width, len(record.destination))
        spans = [
            Span(f"{record.packet:>6} ", "number"),
            Span(f"{_seconds(record.time_ns - first_ns):>12}  ", "time"),
            Span(f"{record.source:>{source_width}} → {record.destination:<{destination_width}}  "),
            Span(f"{record.protocol:<4} ", "head"),
        ]
        spans += _transport(record, raw_numbers)
        dropped = [span for span in spans if span.style != "label.option"]
        fits = sum([cells(span.text) for span in spans]) <= width
        yield line_of(spans if fits else dropped, record.conversation)


def _transport(record: PacketRecord, raw_numbers: bool) -> Iterator[Span]:
    report = record.report
    if report is None:
        yield Span(f"len={record.payload_bytes}", "label.bytes")
        return
    segment = report.segment
    seq, ack = (segment.seq, segment.ack) if raw_numbers else (report.relative_seq, report.relative_ack)
    style = "arrow.reset" if segment.flags & Flag.RST else "label.flags"
    yield Span(f"{_FLAGS[segment.flags & 0xFF]:<7} ", style)
    yield Span(f"seq={seq} ack={ack} " if segment.flags & Flag.ACK else f"seq={seq} ", "label.number")
    yield Span(f"len={segment.payload_bytes} ", "label.bytes")
    window = report.scaled_window
    yield Span(f"win={segment.window}? " if window is None else f"win={window} ", "label.option")
    if report.findings:
        yield Span(", ".join([words for words, _ in finding_words(report)]), "label.problem")


def _seconds(time_ns: int) -> str:
    sign = "-" if time_ns < 0 else ""
    seconds, microseconds = divmod(abs(time_ns) // _NS_PER_US, _US_PER_SECOND)
    return f"{sign}{seconds}.{microseconds:06d}"
