"""What stands on an arrow: parts in the order they are read, each with a rank that says which give way first."""

from collections.abc import Sequence
from typing import NamedTuple

from inspector.tcp.findings import Finding, Kind
from inspector.tcp.options import NO_OPTIONS, TcpOptions
from inspector.tcp.report import SegmentReport
from inspector.tcp.segment import Flag
from inspector.tcp.seqnum import seq_diff
from inspector.text import say
from inspector.trace.conversation import Row
from inspector.views.line import Span
from inspector.views.quantities import data_bytes
from inspector.views.safe_text import cells, is_text, safe_hex, safe_line, safe_text

MUST = 1  # parts up to this rank are never dropped: what does not fit goes to a line below
_PAYLOAD = 2
_EVENTFUL_FLAGS = ~int(Flag.ACK | Flag.PSH)
_LEAST_QUOTE_CELLS = 7
_MOST_QUOTE_CELLS = 64
_DETAIL = 6  # parts from this rank on are for wide pictures
_DETAIL_ROOM = 60

FLAG_NAMES = tuple((int(flag), str(flag.name)) for flag in Flag)
_NOT_NEW = frozenset((Kind.RETRANSMISSION, Kind.DUPLICATED))
_OLD = _NOT_NEW | {Kind.REORDERED}
_PROBLEMS = _OLD | {
    Kind.SPURIOUS_RETRANSMISSION,
    Kind.GAP,
    Kind.CAPTURE_LOSS,
    Kind.ZERO_WINDOW,
    Kind.WINDOW_FULL,
    Kind.DUPLICATE_ACK,
    Kind.CHALLENGE_ACK,
}
_SAY_ACK = {Kind.DUPLICATE_ACK, Kind.CHALLENGE_ACK, Kind.KEEP_ALIVE_ANSWER, Kind.ZERO_WINDOW_PROBE_ANSWER}
_WINDOW_MATTERS = {Kind.ZERO_WINDOW, Kind.WINDOW_UPDATE, Kind.WINDOW_FULL, Kind.ZERO_WINDOW_PROBE_ANSWER}


class Part(NamedTuple):
    """One piece of a label. Parts of one ``group`` stand one space apart, groups two."""

    text: str
    group: int
    rank: int
    style: str = ""


class Label(NamedTuple):
    """All that could be said on an arrow; ``payload`` is quoted behind the last part of its group."""

    parts: tuple[Part, ...]
    payload: bytes = b""
    payload_is_cut: bool = False


class FittedLabel(NamedTuple):
    """What fits on the arrow, and what must be said below it."""

    spans: tuple[Span, ...]
    below: tuple[Part, ...]

    @property
    def width(self) -> int:
        """Cells on the arrow."""
        return sum([cells(span.text) for span in self.spans])


_FINDINGS_GROUP, _FLAGS_GROUP, _BYTES_GROUP, _NUMBERS_GROUP, _WINDOW_GROUP, _OPTIONS_GROUP = range(6)


def flag_names(flags: int) -> list[str]:
    """Names of the control bits, SYN first and ACK last as in the RFC's <CTL=SYN,ACK>."""
    names = [name for bit, name in FLAG_NAMES if flags & bit]
    if "ACK" in names:
        names.remove("ACK")
        names.append("ACK")
    return names


def segment_label(row: Row, report: SegmentReport, *, raw_numbers: bool = False) -> Label:
    """The label of a TCP segment."""
    segment = report.segment
    flags, payload_bytes = segment.flags, segment.payload_bytes
    kinds = {finding.kind for finding in report.findings if finding.packet == segment.packet}
    plain = not flags & _EVENTFUL_FLAGS
    words = finding_words(report)
    parts = [Part(f"{text},", _FINDINGS_GROUP, 0, style) for text, style in words[:-1]]
    parts += [Part(text, _FINDINGS_GROUP, 0, style) for text, style in words[-1:]]
    pure_ack = plain and not payload_bytes
    if not plain or (pure_ack and not _SAY_ACK & kinds):
        parts.append(Part(",".join(flag_names(flags)) or "-", _FLAGS_GROUP, 0, "label.flags"))
    elif payload_bytes and flags & Flag.PSH:
        parts.append(Part("PSH", _FLAGS_GROUP, _DETAIL, "label.flags"))
    if payload_bytes:
        parts.append(Part(data_bytes(payload_bytes), _BYTES_GROUP, 0, "label.bytes"))
    seq, ack = (segment.seq, segment.ack) if raw_numbers else (report.relative_seq, report.relative_ack)
    parts.append(Part(f"seq={seq}", _NUMBERS_GROUP, 3 if pure_ack else MUST, "label.number"))
    if flags & Flag.ACK:
        parts.append(Part(f"ack={ack}", _NUMBERS_GROUP, 3 if payload_bytes and plain else MUST, "label.number"))
    matters = bool(_WINDOW_MATTERS & kinds)
    parts.append(Part(_window_words(report), _WINDOW_GROUP, 2 if matters else _DETAIL, "label.number"))
    if segment.options is not NO_OPTIONS:
        parts += [Part(text, _OPTIONS_GROUP, 4, "label.option") for text in _option_words(report)]
    return Label(tuple(parts), row.payload, len(row.payload) < payload_bytes)


def datagram_label(row: Row) -> Label:
    """The label of a datagram, or of a part of one."""
    parts = [Part(data_bytes(row.payload_bytes), _BYTES_GROUP, 0, "label.bytes")]
    if row.icmp:
        parts.insert(0, Part(say(f"icmp.{row.icmp}"), _FLAGS_GROUP, MUST, "label.option"))
    if row.fragment:
        parts.insert(0, Part(say("ladder.fragment"), _FINDINGS_GROUP, 0, "label.option"))
    if row.answers is not None:
        parts.append(Part(say("ladder.answers", packet=row.answers), _NUMBERS_GROUP, MUST, "label.option"))
    return Label(tuple(parts), row.payload, len(row.payload) < row.payload_bytes)


def torn_segment_label(row: Row) -> Label:
    """The label of a TCP packet that is no whole segment: a later fragment, a cut header."""
    words = say("ladder.fragment" if row.fragment else "ladder.not_a_segment")
    return Label((Part(words, 0, 0, "label.problem"), Part(data_bytes(row.payload_bytes), 1, 0, "label.bytes")))


def notice_label(row: Row, own_address: str) -> Label:
    """The label of an ICMP error; its source is named when it is not the endpoint at ``own_address``."""
    assert row.notice is not None
    parts = [Part(say(f"icmp.{row.notice.name}"), 0, 0, "label.problem")]
    if row.notice.about is not None:
        parts.append(Part(say("ladder.about", packet=row.notice.about), 1, MUST, "label.option"))
    if row.notice.source != own_address:
        parts.append(Part(say("ladder.from", source=row.notice.source), 2, MUST, "label.option"))
    return Label(tuple(parts))


def comment_part(row: Row, *, ascii_only: bool) -> list[Part]:
    """The comment that a capture file has on the packet, as a part that is said below."""
    if not row.comment:
        return []
    comment = safe_text(row.comment, ascii_only=ascii_only)
    return [Part(say("ladder.comment", comment=comment), 0, 0, "note")]


def finding_words(report: SegmentReport) -> list[tuple[str, str]]:
    """Every finding in words, and its style."""
    return [
        (_finding_text(finding, report), "label.problem" if finding.kind in _PROBLEMS else "label.option")
        for finding in report.findings
    ]


def _finding_text(finding: Finding, report: SegmentReport) -> str:
    if finding.packet != report.segment.packet:
        return say("findings.spurious_retransmission_of", packet=finding.packet)
    kind = finding.kind if finding.cause is None else f"{finding.kind}_{finding.cause}"
    first = finding.evidence[0] if finding.evidence else None
    return say(f"findings.{kind}", number=report.duplicate_ack_number, first=first)


def is_old(report: SegmentReport) -> bool:
    """Whether the segment came before, or late."""
    return any(finding.kind in _OLD and finding.packet == report.segment.packet for finding in report.findings)


def is_repeated(report: SegmentReport) -> bool:
    """Whether the segment came before: sent again, or copied."""
    return any(finding.kind in _NOT_NEW and finding.packet == report.segment.packet for finding in report.findings)


def fit(label: Label, room: int, *, ascii_only: bool = False) -> FittedLabel:
    """Choose what fits into ``room`` cells by rank; order stays as it is."""
    chosen = [False] * len(label.parts)
    below = []
    quote = ""
    order = sorted(range(len(label.parts)), key=lambda at: label.parts[at].rank)
    for at in order:
        part = label.parts[at]
        if part.rank >= _DETAIL and room < _DETAIL_ROOM:
            break
        if part.rank >= _PAYLOAD and label.payload and not quote:
            quote = _quote(label, room - _width(label.parts, chosen, ""), ascii_only)
        chosen[at] = True
        if _width(label.parts, chosen, quote) > room:
            chosen[at] = False
            if part.rank <= MUST:
                below.append(at)
    if label.payload and not quote:
        quote = _quote(label, room - _width(label.parts, chosen, ""), ascii_only)
    return FittedLabel(tuple(_spans(label.parts, chosen, quote)), tuple(label.parts[at] for at in sorted(below)))


def _quote(label: Label, room: int, ascii_only: bool) -> str:
    """The payload quoted in at most ``room`` cells, its space in front included; empty when that is too little."""
    limit = min(room - 1, _MOST_QUOTE_CELLS)
    if is_text(label.payload):
        quoted = safe_line(label.payload, max(limit - 2, 1), ascii_only=ascii_only, cut=label.payload_is_cut)
        quoted = f' "{quoted}"'
    else:
        quoted = " " + safe_hex(label.payload, max(limit, 1), ascii_only=ascii_only, cut=label.payload_is_cut)
    whole = not label.payload_is_cut and not quoted.rstrip('"').endswith(("…", "~"))
    return quoted if cells(quoted) <= room and (whole or limit >= _LEAST_QUOTE_CELLS) else ""


def _width(parts: Sequence[Part], chosen: Sequence[bool], quote: str) -> int:
    return sum([cells(span.text) for span in _spans(parts, chosen, quote)])


def _spans(parts: Sequence[Part], chosen: Sequence[bool], quote: str) -> list[Span]:
    spans: list[Span] = []
    group = None
    for part, taken in zip(parts, chosen, strict=True):
        if not taken:
            continue
        if group is not None:
            spans.append(Span(" " if part.group == group else "  "))
        spans.append(Span(part.text, part.style))
        group = part.group
        if quote and part.style == "label.bytes":
            spans.append(Span(quote, "label.payload"))
    return spans


def _window_words(report: SegmentReport) -> str:
    if report.scaled_window is None:
        return say("ladder.unscaled", window=report.segment.window)
    return f"win={report.scaled_window}"


def _option_words(report: SegmentReport) -> list[str]:
    options: TcpOptions = report.segment.options
    words = []
    if options.mss is not None:
        words.append(f"MSS={options.mss}")
    if options.window_scale is not None:
        words.append(f"WS=×{1 << options.window_scale}")
    if options.sack_permitted:
        words.append("SACK")
    if options.fast_open_cookie is not None:
        words.append("TFO")
    for left, right in options.sack_blocks:
        start = report.relative_ack + seq_diff(report.segment.ack, left)
        words.append(f"SACK={start}–{start + seq_diff(left, right)}")
    if options.malformed:
        words.append(say("ladder.malformed_options"))
    if options.timestamp is not None and report.segment.flags & Flag.SYN:
        words.append("TS")
    return words
