"""The smallest capture that shows each matter of the report, and one that nearly does.

A row is milliseconds and a segment as the scenarios of TCP have it; a string is a bundled capture with its calls.
"""

from collections.abc import Sequence
from typing import NamedTuple

from ladder_scenarios import LETTERS, part_of
from test_tcp_scenarios import segment_of

from inspector.calls import journal
from inspector.calls.matching import CallIndex
from inspector.capture import bundled
from inspector.explain.matters import RULES
from inspector.explain.matters.matter import Reading
from inspector.explain.reason import Case
from inspector.explain.report import Report, report_on
from inspector.explain.scene import Scene
from inspector.trace.trace import Trace

NS_PER_MS = 1_000_000


class Shown(NamedTuple):
    """Segments, when the capture ends (ms; with the last of them when it is 0), and the bytes that they carry."""

    rows: Sequence[str]
    end_ms: int = 0
    payload: bytes = LETTERS


def opened(*rows: str, end_ms: int = 0, payload: bytes = LETTERS) -> Shown:
    """A handshake with a round trip of 20 ms, and these rows behind it."""
    return Shown(("0 C SYN", "10 S SYN,ACK ack=1", "20 C ACK seq=1 ack=1", *rows), end_ms, payload)


def reading_of(shown: Shown) -> Reading:
    """The conversation of these rows, read for the report."""
    segments = []
    for packet, row in enumerate(shown.rows, start=1):
        ms, _, text = row.partition(" ")
        segments.append(segment_of(text, packet)._replace(time_ns=int(float(ms) * NS_PER_MS)))
    part = part_of(segments, shown.payload)
    end_ns = shown.end_ms * NS_PER_MS or part.rows[-1].time_ns
    return Reading(Scene(part.conversation, part.rows, part.end), part.end, end_ns)


def matters_of(reading: Reading) -> dict[str, list[Case]]:
    """The cases of every matter that a reading shows, by its name."""
    tells_end = reading.whole and reading.only is None
    rules = [rule for rule in RULES if tells_end or not rule.to_the_end]
    return {rule.name: cases for rule in rules if (cases := list(rule.find(reading)))}


def bundled_report(name: str) -> Report:
    """The report on a bundled capture, with its calls."""
    path = bundled.located(name)
    beside = journal.path_beside(path)
    with Trace.read(path) as trace:
        return report_on(trace, CallIndex(journal.load(beside)[0] if beside.is_file() else []))


def names_in(shown: Shown | str) -> set[str]:
    """The names of the matters in a capture."""
    if isinstance(shown, str):
        return {matter.rule.name for matter in bundled_report(shown).matters}
    return set(matters_of(reading_of(shown)))


_ASKED = "30 C PSH,ACK seq=1 ack=1 data=10"
_ANSWERED = (_ASKED, "40 S PSH,ACK seq=1 ack=11 data=100")
_DOWN = ("30 C FIN,ACK seq=1 ack=1", "40 S FIN,ACK seq=1 ack=2", "50 C ACK seq=2 ack=2")
_FLIGHT = tuple(f"{30 + at / 10} C ACK seq={1 + 100 * at} ack=1 data=100" for at in range(5))
_REPEATED = tuple(f"{45 + at / 10} S ACK seq=1 ack=1" for at in range(3))
_LATE = ("30 S FIN,ACK seq=1 ack=1", "40 C ACK seq=1 ack=2", "50 C PSH,ACK seq=1 ack=2 data=24", "60 S RST seq=2")
_EARLY = ("30 C FIN,ACK seq=1 ack=1", "40 S ACK seq=1 ack=2", "50 S PSH,ACK seq=1 ack=2 data=9", "60 C RST seq=2")

# By matter: the smallest capture that shows it, and one that nearly does.
MATTERS: dict[str, tuple[Shown | str, Shown | str]] = {
    "refused": (Shown(["0 C SYN", "1 S RST,ACK ack=1"]), opened()),
    "unanswered": (Shown(["0 C SYN"], 2000), Shown(["0 C SYN"], 500)),
    "unanswered_at_end": (Shown(["0 C SYN"], 500), Shown(["0 C SYN"], 2000)),
    "incomplete": (Shown(["0 C SYN", "10 S SYN,ACK ack=1"], 2000), Shown(["0 C SYN", "10 S SYN,ACK ack=1"], 500)),
    "late_open": (
        Shown(["0 C SYN", "1000 C SYN", "1010 S SYN,ACK ack=1", "1020 C ACK seq=1 ack=1"]),
        Shown(["0 C SYN", "5 C SYN", "10 S SYN,ACK ack=1", "20 C ACK seq=1 ack=1"]),
    ),
    "handshake_copied": (
        Shown(["0 C SYN", "10 S SYN,ACK ack=1", "60 S SYN,ACK ack=1", "65 C ACK seq=1 ack=1"]),
        Shown(["0 C SYN", "1000 C SYN", "1010 S SYN,ACK ack=1", "1020 C ACK seq=1 ack=1"]),
    ),
    "itself": ("simultaneous-open", "hello"),
    "given_up_opening": (
        Shown(["0 C SYN", "10 S SYN,ACK ack=1", "20 C RST seq=1"]),
        opened("30 C RST,ACK seq=1 ack=1"),
    ),
    "reset_unread": ("rst-unread", "late-send"),
    "reset_linger": ("linger", "rst-unread"),
    "reset_unaccepted": ("nonblocking-tutorial", "nonblocking"),
    "reset_gave_up": ("keepalive", "linger"),
    "reset_only": (Shown(["0 S RST seq=5", "1 S RST seq=5"]), opened("30 S RST seq=1")),
    "reset_goodbye": (opened(*_LATE, payload=b"\x15\x03\x03" + LETTERS), opened(*_LATE)),
    "reset_late_data": (opened(*_LATE), opened(*_EARLY)),
    "reset_left_early": (opened(*_EARLY), opened(*_LATE)),
    "reset_broken_off": (opened(*_ANSWERED, "50 C RST seq=11"), opened(*_ANSWERED, "50 C RST,ACK seq=11 ack=101")),
    "reset_lost": (opened(_ASKED, "40 C RST seq=11"), opened(*_ANSWERED, "50 C RST,ACK seq=11 ack=101")),
    "reset_unanswered": (
        opened(_ASKED, "40 S RST,ACK seq=1 ack=11"),
        opened(*_ANSWERED, "45 C ACK seq=11 ack=101", "50 S RST,ACK seq=101 ack=11"),
    ),
    "reset_quiet": (opened(*_ANSWERED, "50 C RST,ACK seq=11 ack=101"), opened(_ASKED, "40 S RST,ACK seq=1 ack=11")),
    "reset_after_teardown": (opened(*_DOWN, "60 S RST seq=2"), opened(*_DOWN)),
    "reset_ignored": (
        opened("30 C RST seq=5000000", "40 C PSH,ACK seq=1 ack=1 data=10", "50 S ACK seq=1 ack=11"),
        opened("30 C RST seq=1"),
    ),
    "silent": (
        opened(_ASKED, *(f"{ms} C PSH,ACK seq=1 ack=1 data=10" for ms in (330, 930))),
        opened(_ASKED, *(f"{ms} C PSH,ACK seq=1 ack=1 data=10" for ms in (330, 930)), "940 S ACK seq=1 ack=11"),
    ),
    "close_wait": (
        opened("30 C FIN,ACK seq=1 ack=1", "40 S ACK seq=1 ack=2", end_ms=3000),
        opened(*_DOWN, end_ms=3000),
    ),
    "close_by_exit": ("close-wait-tutorial", "close-wait"),
    "fin_unanswered": (
        opened("30 C FIN,ACK seq=1 ack=1", end_ms=3000),
        opened("30 C FIN,ACK seq=1 ack=1", "40 S ACK seq=1 ack=2", end_ms=3000),
    ),
    "half_closed_at_end": (
        opened("30 C FIN,ACK seq=1 ack=1", "40 S ACK seq=1 ack=2"),
        opened("30 C FIN,ACK seq=1 ack=1", "40 S ACK seq=1 ack=2", end_ms=3000),
    ),
    "half_closed_in_use": (
        opened("30 C FIN,ACK seq=1 ack=1", "40 S ACK seq=1 ack=2", "50 S PSH,ACK seq=1 ack=2 data=5", end_ms=3000),
        "half-close",
    ),
    "unfinished": (opened(*_DOWN[:2], end_ms=3000), opened(*_DOWN, end_ms=3000)),
    "resent_timeout": ("retransmit", opened(_ASKED, "330 C PSH,ACK seq=11 ack=1 data=10")),
    "resent_tail_loss_probe": ("retransmit", opened(_ASKED, "330 C PSH,ACK seq=1 ack=1 data=10")),
    "resent_timer": (
        Shown(["0 C PSH,ACK seq=1 ack=1 data=5", "300 C PSH,ACK seq=1 ack=1 data=5"]),
        opened(_ASKED, "90 C PSH,ACK seq=1 ack=1 data=10"),
    ),
    "resent_fast": (
        opened(*_FLIGHT, *_REPEATED, "46 C ACK seq=1 ack=1 data=100"),
        opened(*_FLIGHT, "346 C ACK seq=1 ack=1 data=100"),
    ),
    "resent_unknown": (
        opened(_ASKED, "90 C PSH,ACK seq=1 ack=1 data=10"),
        opened(_ASKED, "330 C PSH,ACK seq=1 ack=1 data=10"),
    ),
    "resent_fast_open_refused": (
        Shown(["0 C SYN data=10", "10 S SYN,ACK ack=1", "20 C PSH,ACK seq=1 ack=1 data=10"]),
        Shown(["0 C SYN data=10", "10 S SYN,ACK ack=11", "20 C ACK seq=11 ack=1"]),
    ),
    "resent_unseen": (
        opened(*_FLIGHT[1:], *_REPEATED, "300 C ACK seq=1 ack=1 data=100"),
        opened(*_FLIGHT, "300 C ACK seq=1 ack=1 data=100"),
    ),
    "needless": (
        opened(_ASKED, "40 S ACK seq=1 ack=11", "330 C PSH,ACK seq=1 ack=1 data=10"),
        opened(_ASKED, "330 C PSH,ACK seq=1 ack=1 data=10"),
    ),
    "zero_window": (
        opened(_ASKED, "40 S ACK seq=1 ack=11 win=0", "90 S ACK seq=1 ack=11 win=1000"),
        opened(_ASKED, "40 S ACK seq=1 ack=11 win=0", "40.5 S ACK seq=1 ack=11 win=1000"),
    ),
    "zero_window_stuck": (
        opened(_ASKED, "40 S ACK seq=1 ack=11 win=0", "300 C ACK seq=10 ack=1"),
        opened(_ASKED, "40 S ACK seq=1 ack=11 win=0", "90 S ACK seq=1 ack=11 win=1000"),
    ),
    "nagle": ("nagle-tutorial", "slow-reader"),
    "nagle_likely": (
        opened(
            _ASKED,
            "100 S ACK seq=1 ack=11",
            "100.5 C PSH,ACK seq=11 ack=1 data=10",
            "101 S PSH,ACK seq=1 ack=21 data=5",
        ),
        opened(  # the round trip alone
            _ASKED,
            "52 S ACK seq=1 ack=11",
            "52.5 C PSH,ACK seq=11 ack=1 data=10",
            "75 S PSH,ACK seq=1 ack=21 data=5",
        ),
    ),
    "sticky": ("sticky", "frames"),
    "split": ("slow-reader", "fetch"),
    "character_cut": ("split-utf8-tutorial", "sticky"),
    "address_in_use": ("time-wait-tutorial", "time-wait"),
    "datagrams_unread": ("udp-overflow", "udp"),
    "port_closed": ("udp-closed", "udp"),
    "one_sided": (
        Shown(["0 C ACK seq=1 ack=1 data=5", "10 C ACK seq=6 ack=9"]),
        Shown(["0 C ACK seq=1 ack=1 data=5", "10 S ACK seq=1 ack=6"]),
    ),
    "capture_loss": (opened("30 S ACK seq=1 ack=11"), opened(_ASKED, "40 S ACK seq=1 ack=11")),
    "gap": (opened("30 C ACK seq=101 ack=1 data=10"), opened("30 C ACK seq=1 ack=1 data=10")),
    "duplicated": (
        opened(_ASKED, "30.1 C PSH,ACK seq=1 ack=1 data=10"),
        opened(_ASKED, "330 C PSH,ACK seq=1 ack=1 data=10"),
    ),
    "reordered": (
        opened("30 C ACK seq=101 ack=1 data=10", "31 C ACK seq=1 ack=1 data=100"),
        opened("30 C ACK seq=101 ack=1 data=10", "331 C ACK seq=1 ack=1 data=100"),
    ),
}
