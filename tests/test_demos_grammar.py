"""Every demo, every variant, run for real: what must be seen, in ``demos/NAME.toml``, is seen on every run.

A table for each variant: ``packets``, ``calls`` and ``output`` are patterns that must be met in this order, other lines
may stand between; ``never`` must not be met anywhere. The lines are

- packets: ``1 client SYN``, ``1 server ACK data=5 retransmission``, ``2 client datagram data=6``,
  ``2 icmp port_unreachable``;
- calls: ``client connect(127.0.0.1:8001) = ok``, ``server recv(1024) = 5``, ``client recv(1024) = EAGAIN``;
- output: ``client: hello world``.

``statuses`` are the exit statuses by role, where they are not 0.
"""

import re
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from inspector import demos
from inspector.calls import journal
from inspector.calls.call import SocketCall
from inspector.capture import bundled
from inspector.sandbox import refusal
from inspector.session.run import demo_run
from inspector.tcp.segment import Flag
from inspector.trace.conversation import Row
from inspector.trace.trace import Trace
from inspector.views.call_words import asked

REFUSAL = refusal()


def live(test: Any) -> Any:
    """Marks what needs a private network."""
    needed = pytest.mark.skipif(REFUSAL is not None, reason=f"no private network here: {REFUSAL}")
    return pytest.mark.live(needed(test))


FOLDER = Path(__file__).parent / "demos"
VARIANTS = [
    (name, variant) for name in demos.names() if (demo := demos.find(name)) is not None for variant in demo.variants
]


def packet_line(row: Row, number: int | None) -> str:
    if row.notice is not None:
        return f"{number} icmp {row.notice.name}"
    size = f" data={row.payload_bytes}" if row.payload_bytes else ""
    side = row.side.name.lower()
    if row.report is None:
        return f"{number} {side} datagram{size or ' data=0'}"
    flags = ",".join(str(flag.name) for flag in Flag if row.report.segment.flags & flag and flag is not Flag.PSH)
    return " ".join([f"{number} {side} {flags}{size}", *row.report.analysis])


def call_line(call: SocketCall) -> str:
    result = "never" if call.exit_ns is None else call.error or (call.returned if call.returned else "ok")
    return f"{asked(call, 200)} = {result}"


def happened(name: str, variant: str) -> dict[str, list[str]]:
    """The lines of one run."""
    demo = demos.find(name)
    assert demo is not None
    printed: dict[str, bytes] = {}
    with demo_run(demo, variant, lambda label, piece: printed.update({label: printed.get(label, b"") + piece})) as run:
        packets = [
            packet_line(arrival.row, arrival.record.conversation)
            for arrival in run.events()
            if arrival is not None and arrival.conversation
        ]
        calls = run.calls()
        statuses = run.statuses()
    ended = [f"{run.label_of(call.process)} {call_line(call)}" for call in calls]
    output = [f"{label}: {line}" for label, text in printed.items() for line in text.decode().splitlines()]
    return {
        "packets": packets,
        "calls": ended,
        "output": output,
        "statuses": [f"{label} {status}" for label, status in statuses if status],
    }


def met(patterns: Sequence[str], lines: Sequence[str]) -> None:
    """Each pattern by a line behind that of the pattern before."""
    remaining = iter(lines)
    for pattern in patterns:
        assert any(re.fullmatch(pattern, line) for line in remaining), f"{pattern!r} not in order in\n" + "\n".join(
            lines
        )


def grammar(name: str, variant: str) -> dict[str, Any]:
    expected: dict[str, Any] = tomllib.loads((FOLDER / f"{name}.toml").read_text(encoding="utf-8"))[variant]
    return expected


@pytest.mark.parametrize(("name", "variant"), VARIANTS)
def test_the_bundled_capture_shows_it_too(name: str, variant: str) -> None:
    """For machines where no demo can run; the calls are beside it."""
    demo = demos.find(name)
    assert demo is not None
    path = bundled.find(demo.capture(variant))
    assert path is not None, "run: python docs/record_captures.py"
    expected = grammar(name, variant)
    with Trace.read(str(path)) as trace:
        rows = [(row, number) for number in range(1, trace.conversation_count + 1) for row in trace.rows(number)[0]]
    met(expected["packets"], [packet_line(*each) for each in sorted(rows, key=lambda each: each[0].packet)])
    calls, torn = journal.load(journal.path_beside(str(path)))
    assert torn is None
    met([call.partition(" ")[2] for call in expected["calls"]], [call_line(call) for call in calls])


@live
@pytest.mark.parametrize(("name", "variant"), VARIANTS)
def test_what_must_be_seen_is_seen(name: str, variant: str) -> None:
    expected = grammar(name, variant)
    seen = happened(name, variant)
    for kind in ("packets", "calls", "output"):
        met(expected.get(kind, []), seen[kind])
    for pattern in expected.get("never", []):
        lines = [line for kind in ("packets", "calls", "output") for line in seen[kind]]
        assert not any(re.fullmatch(pattern, line) for line in lines), f"{pattern!r} in\n" + "\n".join(lines)
    assert seen["statuses"] == expected.get("statuses", [])
