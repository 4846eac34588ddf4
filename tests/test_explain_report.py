"""The report on a whole capture: each matter where it is and not where it nearly is, clean captures, bad input."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from report_scenarios import MATTERS, Shown, bundled_report, matters_of, names_in, opened, reading_of
from test_views_golden import check

from inspector.calls import journal
from inspector.calls.call import SocketCall
from inspector.calls.matching import CallIndex, SidedCall
from inspector.capture import bundled
from inspector.explain.matters import RULES
from inspector.explain.matters.matter import Matter, Reading, Severity
from inspector.explain.report import Report, report_on
from inspector.explain.rules.data import nagle
from inspector.explain.scene import Scene
from inspector.framing.framer import Message
from inspector.render.report_json import report_line
from inspector.tcp.states import Known, Side
from inspector.text import language
from inspector.text.language import Language
from inspector.text.problems import FileProblem
from inspector.trace.calls import conversation_calls
from inspector.trace.conversation import Conversation, Endpoint, Notice, Row
from inspector.trace.messages import Framed, MessageStream, Span
from inspector.trace.trace import Trace
from inspector.views.report import change, report_lines, sentence
from inspector.views.safe_text import cells

REAL = Path("/work/shared/captures/captures")
CLEAN = """chat close-wait dual-stack fetch frames half-close handshake hello http ipv6 mtu mtu-ethernet nagle no-accept
nonblocking select teardown teardown-three time-wait udp upload upload-half-way""".split()  # noqa: SIM905
NS_PER_S = 1_000_000_000


@pytest.fixture(params=Language)
def spoken(request: pytest.FixtureRequest) -> Iterator[Language]:
    """Each language in turn."""
    before = language.spoken()
    language.speak(request.param)
    yield request.param
    language.speak(before)


def words(report: Report, width: int = 100) -> str:
    return "\n".join(line.text for line in report_lines(report, "some.pcap", width))


@pytest.mark.parametrize("name", MATTERS)
def test_each_matter_is_found_and_not_what_is_near_it(name: str) -> None:
    smallest, near = MATTERS[name]
    assert name in names_in(smallest)
    assert name not in names_in(near)


@pytest.mark.parametrize("name", CLEAN)
def test_a_clean_capture_is_clean_in_one_line(name: str) -> None:
    report = bundled_report(name)
    assert [matter.rule.name for matter in report.matters] == []
    assert report.is_clean
    assert words(report).split("\n\n")[-1].startswith("Nothing here deserves a look")
    assert "\n" not in words(report).split("\n\n")[-1]


BY_HAND = {
    "never_read",
    "datagrams_truncated",
    "no_way",
    "forbidden",
    "no_protocol",
    "unanswered_datagrams",
    "answer_unwanted",
    "too_big",
    "hop_limit",
}


def test_every_matter_has_a_test() -> None:
    assert {rule.name for rule in RULES} == MATTERS.keys() | BY_HAND


def call(name: str, side: Side, asked: int, returned: int, protocol: str = "TCP") -> SidedCall:
    remote = ("127.0.0.1", 50000)
    made = SocketCall(1, 1, name, 3, 1, 5, 6, asked, returned, protocol=protocol, remote=remote)
    return SidedCall(side, made, (0, returned), (4,))


def stream(sender: Side, data: bytes, receives: list[Span]) -> MessageStream:
    spans = [Span(0, len(data), 4)] * bool(data)
    messages = [Message(0, len(data), 0)] * bool(data)
    return MessageStream(sender, data, messages, spans, [], receives, [], None, is_framed=False)


def with_calls(reading: Reading, calls: list[SidedCall], streams: tuple[MessageStream, MessageStream]) -> Reading:
    scene = Scene(reading.conversation, reading.scene.rows, reading.end, calls)
    return Reading(scene, reading.end, reading.capture_end_ns, framed=lambda: Framed("", None, streams))


@pytest.mark.parametrize("read", [4, 10])
def test_what_a_program_leaves_unread_is_told(read: int) -> None:
    shown = opened(
        "30 C PSH,ACK seq=1 ack=1 data=10",
        "40 S ACK seq=1 ack=11",
        "50 C FIN,ACK seq=11 ack=1",
        "60 S FIN,ACK seq=1 ack=12",
        "70 C ACK seq=12 ack=2",
    )
    receive = call("recv", Side.SERVER, 4, read)
    streams = stream(Side.CLIENT, b"0123456789", [Span(0, read, call=receive)]), stream(Side.SERVER, b"", [])
    found = matters_of(with_calls(reading_of(shown), [receive, call("close", Side.SERVER, 0, 0)], streams))
    assert [case.parameters["bytes"] for case in found.get("never_read", [])] == [6] * (read == 4)


def datagrams(*sides: Side, server: Endpoint, payload: bytes = b"question") -> tuple[Conversation, list[Row]]:
    rows = [Row(at, at * NS_PER_S, side, 8, payload, 50) for at, side in enumerate(sides, start=1)]
    counts = [sides.count(Side.CLIENT), sides.count(Side.SERVER)]
    client = Endpoint("192.0.2.1", 40000)
    times = rows[0].time_ns, rows[-1].time_ns
    return Conversation(1, "UDP", client, server, Known.INFERRED, *counts, *(8 * each for each in counts), *times), rows


def read_datagrams(conversation: Conversation, rows: list[Row], end_s: int = 10) -> Reading:
    return Reading(Scene(conversation, rows, None), None, end_s * NS_PER_S)


@pytest.mark.parametrize(
    ("server", "sides", "end_s", "told"),
    [
        (Endpoint("198.51.100.1", 53), [Side.CLIENT], 10, True),
        (Endpoint("198.51.100.1", 53), [Side.CLIENT, Side.SERVER], 10, False),
        (Endpoint("198.51.100.1", 53), [Side.CLIENT], 1, False),  # the capture ends
        (Endpoint("198.51.100.1", 9999), [Side.CLIENT], 10, False),  # nobody knows whether it asks
        (Endpoint("198.51.100.1", 9999), [Side.CLIENT, Side.CLIENT], 10, True),  # word for word again
        (Endpoint("224.0.0.251", 5353), [Side.CLIENT], 10, False),
        (Endpoint("ff02::fb", 5353), [Side.CLIENT], 10, False),
        (Endpoint("192.168.0.255", 123), [Side.CLIENT], 10, False),
    ],
)
def test_questions_without_answer(server: Endpoint, sides: list[Side], end_s: int, told: bool) -> None:
    found = matters_of(read_datagrams(*datagrams(*sides, server=server), end_s=end_s))
    assert ("unanswered_datagrams" in found) is told


ICMP = {
    "no_way": "host_unreachable",
    "forbidden": "administratively_prohibited",
    "no_protocol": "protocol_unreachable",
    "too_big": "fragmentation_needed",
    "hop_limit": "time_exceeded",
    "port_closed": "port_unreachable",
}


@pytest.mark.parametrize("name", ICMP)
def test_icmp_errors_are_told_by_what_they_say(name: str) -> None:
    conversation, rows = datagrams(Side.CLIENT, server=Endpoint("198.51.100.1", 9))
    rows.append(Row(2, 2 * NS_PER_S, Side.SERVER, 0, b"", 70, notice=Notice(ICMP[name], "198.51.100.9", 1)))
    found = matters_of(read_datagrams(conversation, rows))
    assert found.keys() == {name}
    assert found[name][0].packets == (1, 2)
    assert matters_of(read_datagrams(conversation, rows[:1])).keys() == set()


def test_an_answer_to_a_closed_port_is_no_fault() -> None:
    conversation, rows = datagrams(Side.CLIENT, Side.SERVER, server=Endpoint("198.51.100.1", 53))
    rows.append(Row(3, 3 * NS_PER_S, Side.CLIENT, 0, b"", 70, notice=Notice("port_unreachable", "192.0.2.1", 2)))
    assert matters_of(read_datagrams(conversation, rows)).keys() == {"answer_unwanted"}


@pytest.mark.parametrize("asked", [4, 8])
def test_a_datagram_that_is_cut_short_is_told(asked: int) -> None:
    conversation, rows = datagrams(Side.CLIENT, Side.SERVER, server=Endpoint("198.51.100.1", 53))
    receive = call("recvfrom", Side.SERVER, asked, asked, "UDP")
    streams = stream(Side.CLIENT, b"question", [Span(0, asked, call=receive)]), stream(Side.SERVER, b"", [])
    found = matters_of(with_calls(read_datagrams(conversation, rows), [receive], streams))
    assert [case.parameters["bytes"] for case in found.get("datagrams_truncated", [])] == [4] * (asked == 4)


def test_the_time_lost_counts_what_overlaps_once() -> None:
    report = bundled_report("retransmit")
    times = {matter.rule.name: matter.case.parameters["time"] for matter in report.matters}
    assert times.keys() == {"resent_timeout", "resent_tail_loss_probe"}
    assert 1_600_000_000 < sum(int(str(time)) for time in times.values()) < 1_680_000_000  # of 1.68 s in all


def test_the_worst_comes_first_and_what_many_have_is_told_once() -> None:
    report = bundled_report("fetch-tutorial")
    [matter] = report.matters
    assert matter.rule.name == "reset_unread"
    assert [conversation.number for conversation in matter.conversations] == [1, 2, 3, 4, 5]
    assert "5 connections" in sentence(matter)
    for name in bundled.names():
        severities = [matter.rule.severity for matter in bundled_report(name).matters]
        assert severities == sorted(severities)


def test_every_sentence_can_be_said(spoken: Language) -> None:
    """Of one conversation and of several, with all that it names, in every language."""
    said = set()
    for name in bundled.names():
        for matter in bundled_report(name).matters:
            for several in (matter, matter._replace(conversations=matter.conversations * 3)):
                text = sentence(several)
                assert "{" not in text
                assert text.endswith("." if spoken is Language.ENGLISH else "。")
            assert change(matter)
            said.add(matter.rule.name)
    assert len(said) > 15


@pytest.mark.parametrize("name", MATTERS)
def test_every_scenario_can_be_said(name: str, spoken: Language) -> None:
    smallest, _ = MATTERS[name]
    if not isinstance(smallest, Shown):
        return
    reading = reading_of(smallest)
    by_name = {rule.name: rule for rule in RULES}
    for found, cases in matters_of(reading).items():
        for case in cases:
            one = Matter(by_name[found], (reading.conversation,), case)
            assert "{" not in sentence(one) + sentence(one._replace(conversations=(reading.conversation,) * 3))


@pytest.mark.parametrize("name", ["retransmit", "fetch-tutorial"])
def test_reports_as_they_are_told(name: str, spoken: Language) -> None:
    lines = [line.text for line in report_lines(bundled_report(name), name, 100)]
    check(f"report_{name}_{spoken}", "\n".join(lines) + "\n")
    assert max(map(cells, lines)) <= 100


def test_of_a_large_capture_the_troubled_are_read_and_that_is_said() -> None:
    with Trace.read(bundled.located("fetch-tutorial")) as trace:
        report = report_on(trace, CallIndex([]), most=20)
        assert (report.is_partial, report.read, report.packets_read) == (True, 3, 20)
        assert "This is a part only: 20 of 40 packets" in words(report)
        assert "5 reset" not in words(report)  # they have a line each
        whole = report_on(trace, CallIndex([]))
    assert not whole.is_partial
    assert whole.packets_read == 40


def test_troubles_are_seen_in_the_headers_alone() -> None:
    for name, shows in {
        "hello": False,
        "retransmit": True,
        "slow-reader": True,
        "rst-unread": True,
        "tls": False,
    }.items():
        with Trace.read(bundled.located(name)) as trace:
            assert bool(np.any(trace.troubles())) is shows, name


def test_a_full_window_is_not_taken_for_nagle() -> None:
    with Trace.read(bundled.located("slow-reader")) as trace:
        calls = CallIndex(journal.load(journal.path_beside(bundled.located("slow-reader")))[0])
        conversation, (rows, end) = trace.conversation(1), trace.rows(1)
        scene = Scene(conversation, rows, end, conversation_calls(calls, conversation, rows))
        assert not [case for moment in scene.moments() for case in nagle(moment)]


def test_the_report_as_json() -> None:
    report = json.loads(report_line(bundled_report("refused")))
    assert (report["clean"], report["packets"]) == (False, 2)
    [matter] = report["matters"]
    assert matter["name"] == "refused"
    assert matter["packets"] == [1, 2]
    assert matter["severity"] == "failed"
    assert matter["numbers"]["tries"] == 1
    assert matter["text"].startswith("Connection refused")


def documented(heading: str) -> dict[str, str]:
    """Keys and types of the table of docs/json.md below this line."""
    page = (Path(__file__).parents[1] / "docs" / "json.md").read_text(encoding="utf-8")
    table = page.split(f"\n{heading}\n")[1].strip().split("\n\n")[0]
    rows = [line.split(" | ")[:2] for line in table.splitlines()[2:]]
    return {key: types for keys, types in rows for key in re.findall(r"`(\w+)`", keys)}


@pytest.mark.parametrize("packet", range(1, 11))
def test_a_packet_as_json_is_what_the_words_say(packet: int, spoken: Language) -> None:
    words = inspector("explain", "hello", "--packet", str(packet), "--lang", spoken, "--width", "1000").stdout.decode()
    [line] = inspector("explain", "hello", "--packet", str(packet), "--lang", spoken, "--json").stdout.splitlines()
    explained = json.loads(line)
    assert explained.keys() == documented("`inspector explain FILE --packet N --json` prints one object:").keys()
    assert (explained["schema"], explained["packet"], explained["conversation"]) == (1, packet, 1)
    assert line.isascii()
    assert explained["reasons"]
    told = "".join(words.split())
    for reason in explained["reasons"]:
        assert reason.keys() == documented("A reason:").keys()
        assert "".join(reason["sentence"].split()) in told
        assert packet in reason["packets"]
        assert reason["source"] in words
        assert f"inspector explain {reason['topic']}" in words
        assert all(call.keys() == {"side", "name", "enter_ns"} for call in reason["calls"])


def test_a_packet_of_no_conversation_as_json() -> None:
    [line] = inspector("explain", "ecn", "--packet", "1", "--json").stdout.splitlines()
    assert json.loads(line)["conversation"] is None
    assert json.loads(line)["reasons"]


def test_json_has_the_documented_keys_and_is_ascii(spoken: Language) -> None:
    done = inspector("explain", "retransmit", "--json", "--lang", spoken)
    assert done.stdout.isascii()
    report = json.loads(done.stdout)
    assert report.keys() == documented("`inspector explain FILE --json` prints one object:").keys()
    assert all(matter.keys() == documented("A matter:").keys() for matter in report["matters"])


def inspector(*arguments: str, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    environment = {"PATH": os.environ["PATH"], "LANG": "C.UTF-8"}
    command = [sys.executable, "-m", "inspector", *arguments]
    return subprocess.run(command, input=stdin, capture_output=True, env=environment, check=False)


def test_a_torn_capture_is_reported_as_far_as_it_goes(tmp_path: Path) -> None:
    torn = tmp_path / "torn.pcapng"
    torn.write_bytes(Path(bundled.located("retransmit")).read_bytes()[:-20])
    done = inspector("explain", str(torn))
    assert done.returncode == 3
    assert b"retransmission timer" in done.stdout
    assert len(done.stderr.splitlines()) == 1


def test_a_capture_without_packets_or_without_tcp_says_so(tmp_path: Path) -> None:
    empty = tmp_path / "empty.pcap"
    empty.write_bytes(bytes.fromhex("d4c3b2a1020004000000000000000000ffff000001000000"))
    done = inspector("explain", str(empty))
    assert (done.returncode, done.stdout.decode()) == (
        0,
        "there is no packet in this capture, so there is nothing to report\n",
    )
    done = inspector("explain", bundled.located("udp"))
    assert done.returncode == 0
    assert b"no question was left unanswered" in done.stdout


def test_one_conversation_can_be_asked_for() -> None:
    done = inspector("explain", bundled.located("backlog"), "--conversation", "3")
    assert done.returncode == 0
    assert b"opened late" in done.stdout
    assert b"other" not in done.stdout
    assert inspector("explain", bundled.located("backlog"), "--conversation", "4").returncode == 2


def test_a_packet_that_is_not_there_is_refused(tmp_path: Path) -> None:
    done = inspector("explain", bundled.located("hello"), "--packet", "11")
    assert done.returncode == 2
    assert b"11" in done.stderr
    empty = tmp_path / "empty.pcap"
    empty.write_bytes(bytes.fromhex("d4c3b2a1020004000000000000000000ffff000001000000"))
    done = inspector("explain", str(empty), "--packet", "1")
    assert (done.returncode, done.stderr) == (2, b"inspector: this capture has no packet\n")


SAMPLE = sorted(path for path in REAL.rglob("*") if path.is_file() and path.stat().st_size < 200_000)[::4]


@pytest.mark.skipif(not SAMPLE, reason="the real captures are not here")
@pytest.mark.parametrize("path", SAMPLE, ids=lambda path: path.name)
def test_real_captures(path: Path) -> None:
    """They are reported without surprise, and what is named is in the capture."""
    try:
        trace = Trace.read(str(path))
    except FileProblem:
        return
    with trace:
        report = report_on(trace, CallIndex([]))
        for width in (60, 100):
            assert max(map(cells, words(report, width).split("\n"))) <= width
        for matter in report.matters:
            assert all(1 <= packet <= len(trace) for packet in matter.case.packets), matter
            assert matter.case.packets
            numbers = {conversation.number for conversation in matter.conversations}
            named = {trace.values(packet).conversation for packet in matter.case.packets}
            assert named <= numbers, matter
            assert Severity.FAILED <= matter.rule.severity <= Severity.NOTE
