"""The timeline: what each slice of time saw, and when waiting programs woke up."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inspector.calls.call import SocketCall
from inspector.capture import bundled
from inspector.cli import main
from inspector.tcp.segment import Flag
from inspector.tcp.states import Known
from inspector.trace.conversation import Conversation, Endpoint
from inspector.views.line import line_in_ascii
from inspector.views.safe_text import cells
from inspector.views.timeline import Activity, Moment, activity, timeline_lines


def conversation(number: int, start_ns: int, end_ns: int) -> Conversation:
    ends = Endpoint("127.0.0.1", 50_000 + number), Endpoint("127.0.0.1", 8001)
    return Conversation(number, "TCP", *ends, Known.SEEN, 1, 1, 1, 1, start_ns, end_ns)


@pytest.mark.parametrize(
    ("flags", "payload_bytes", "expected"),
    [
        (Flag.SYN, 0, Activity.HANDSHAKE),
        (Flag.SYN | Flag.ACK, 10, Activity.HANDSHAKE),
        (Flag.ACK, 0, Activity.ACKNOWLEDGING),
        (Flag.ACK | Flag.PSH, 5, Activity.DATA),
        (Flag.FIN | Flag.ACK, 5, Activity.TEARDOWN),
        (Flag.RST | Flag.ACK, 0, Activity.RESET),
        (0, 5, Activity.DATA),
    ],
)
def test_what_a_packet_is_to_its_conversation(flags: int, payload_bytes: int, expected: Activity) -> None:
    assert activity(flags, payload_bytes) is expected


def test_bars_on_one_axis_and_wake_ups_under_them() -> None:
    conversations = [conversation(1, 0, 60), conversation(2, 30, 90)]
    moments = {
        1: [Moment(0, Activity.HANDSHAKE), Moment(30, Activity.DATA), Moment(60, Activity.TEARDOWN)],
        2: [Moment(30, Activity.HANDSHAKE), Moment(31, Activity.DATA), Moment(90, Activity.RESET)],
    }
    wakes = [
        SocketCall(7, 7, "select", -1, 0, at, at + 1, returned=ready)
        for at, ready in ((29, 1), (30, 1), (59, 1), (70, 0))
    ]
    lines = [line.text.rstrip() for line in timeline_lines(conversations, moments, wakes, 60)]
    assert lines[:6] == [
        "                           0 s             0 µs       0.1 µs",
        "                           ┬───────────────┬───────────────┐",
        "TCP 1  127.0.0.1:50001     ╫┄┄┄┄┄┄┄┄┄┄━┄┄┄┄┄┄┄┄┄┄╪",
        "TCP 2  127.0.0.1:50002                ╫┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄╳",
        "select() of 7: 3 wake-ups             2          ▲",
        "",
    ]


@given(
    st.lists(st.tuples(st.integers(0, 10**12), st.sampled_from(Activity)), min_size=1, max_size=30),
    st.integers(60, 200),
    st.booleans(),
)
def test_it_keeps_its_width(packets: list[tuple[int, Activity]], width: int, ascii_only: bool) -> None:
    moments = [Moment(*packet) for packet in sorted(packets)]
    one = conversation(1, moments[0].time_ns, moments[-1].time_ns)
    for line in timeline_lines([one], {1: moments}, [], width):
        text = line_in_ascii(line).text if ascii_only else line.text
        assert cells(text.rstrip()) <= width
        assert text.isascii() or not ascii_only


def test_the_command_draws_a_bundled_capture(capsys: pytest.CaptureFixture[str]) -> None:
    assert bundled.find("select") is not None
    assert main(["timeline", "select", "--width", "100"]) == 0
    bars = [line for line in capsys.readouterr().out.splitlines() if line.startswith("TCP")]
    assert len(bars) == 3
    assert all("╫" in bar for bar in bars)


def test_a_capture_without_conversations_is_no_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["timeline", "hello", "--port", "1"]) == 0
    assert capsys.readouterr().out == ""
