"""Rules about programs: a packet of a bundled capture where each holds, and a near one where it does not."""

import pytest

from inspector.calls import journal
from inspector.calls.matching import CallIndex
from inspector.capture import bundled
from inspector.explain.reason import Reason
from inspector.explain.rules import programs, reasons
from inspector.explain.scene import Scene
from inspector.trace.calls import conversation_calls
from inspector.trace.trace import Trace
from inspector.views.explanation import evidence, sentence

HOLDS = [  # rule, capture, packet, what its sentence says
    ("four_tuple", "select", 8, "and 127.0.0.1:8001"),
    ("accepted_socket", "select", 8, "for 127.0.0.1:"),
    ("ephemeral_port", "hello", 1, "of the client"),
    ("ephemeral_port", "udp-fragments", 1, "of the client"),
    ("nodelay", "nagle", 15, "packet 14"),
    ("nobody_yet", "nonblocking", 1, "accept()"),
    ("nothing_yet", "nonblocking", 4, "recv(1024)"),
    ("send_buffer_full", "slow-reader", 7, "send(16,384 B)"),
    ("connect_ended", "nonblocking", 2, "SO_ERROR"),
    ("listener_ready", "select", 1, "listener"),
    ("woken", "select", 4, "which socket can be read"),
    ("woken_by_end", "select", 15, "end of a stream"),
    ("ready_at_once", "readiness", 4, "select(0 ms)"),
    ("level_again", "readiness", 24, "3 times"),
    ("edge_silent", "readiness", 34, "8 B"),
    ("read_on", "frames", 4, "recv(3)"),
    ("not_read_on", "frames-tutorial", 4, "packet 6"),
    ("length_read", "frames", 14, "recv(13)"),
    ("tls_client_hello", "tls", 4, "ClientHello"),
    ("tls_server_hello", "tls", 6, "ServerHello"),
    ("tls_change_cipher", "tls", 8, "type 20"),
    ("tls_encrypted", "tls", 10, "23 B"),
]
NEAR = [
    ("four_tuple", "simultaneous-open", 1),  # connects to itself
    ("four_tuple", "hello", 2),
    ("accepted_socket", "refused", 1),
    ("ephemeral_port", "simultaneous-open", 1),
    ("ephemeral_port", "udp", 1),
    ("nodelay", "nagle", 14),  # everything before is acknowledged
    ("nodelay", "nagle-tutorial", 16),
    ("nobody_yet", "select", 1),
    ("nothing_yet", "select", 4),
    ("send_buffer_full", "slow-reader", 13),
    ("connect_ended", "hello", 2),
    ("listener_ready", "hello", 1),
    ("woken", "readiness", 4),
    ("woken_by_end", "hello", 8),
    ("ready_at_once", "select", 4),
    ("level_again", "readiness", 34),
    ("edge_silent", "readiness", 24),
    ("read_on", "frames-tutorial", 4),
    ("not_read_on", "frames", 4),
    ("length_read", "frames", 4),
    ("tls_client_hello", "tls", 6),
    ("tls_server_hello", "tls", 4),
    ("tls_handshake", "tls", 6),  # its record of type 22 is a ServerHello
    ("tls_change_cipher", "tls", 10),
    ("tls_alert", "tls", 15),  # close_notify, but encrypted
    ("tls_encrypted", "tls", 4),
    ("tls_encrypted", "http", 4),
]


def scene_with(capture: str, packet: int) -> Scene:
    path = bundled.located(capture)
    beside = journal.path_beside(path)
    calls, damage = journal.load(beside) if beside.exists() else ([], None)
    assert damage is None
    with Trace.read(path) as trace:
        number = trace.values(packet).conversation
        conversation = trace.conversation(number)
        rows, end = trace.rows(number, 256)
        return Scene(conversation, rows, end, conversation_calls(CallIndex(calls), conversation, rows))


def found(scene: Scene, packet: int, rule: str) -> list[Reason]:
    return [reason for reason in reasons(scene.moment(packet)) if reason.rule.name == rule]


@pytest.mark.parametrize(("rule", "capture", "packet", "says"), HOLDS)
def test_rule_holds(rule: str, capture: str, packet: int, says: str) -> None:
    reason, *_ = found(scene_with(capture, packet), packet, rule)
    assert says in sentence(reason)
    assert evidence(reason)


@pytest.mark.parametrize(("rule", "capture", "packet"), NEAR)
def test_near_miss(rule: str, capture: str, packet: int) -> None:
    assert not found(scene_with(capture, packet), packet, rule)


@pytest.mark.parametrize(
    ("payload", "rule"),
    [
        (b"\x16\x03\x03\x00\x04\x0e\x00\x00\x00", "tls_handshake"),  # ServerHelloDone of TLS 1.2
        (b"\x15\x03\x03\x00\x02\x01\x00", "tls_alert"),
        (b"\x14\x03\x03\x00\x01\x01\x15\x03\x03\x00\x02\x01\x00", "tls_alert"),  # behind another record
        (b"\x16\x03\x03\x00\x00", "tls_handshake"),  # an empty one
        (b"\x15\x03\x09\x00\x02\x01\x00", None),  # no such version
        (b"\x15\x03\x03\xff\xff\x01\x00", None),  # longer than a record can be
        (b"\x15\x03\x03", None),  # not even a header
        (b"GET / HTTP/1.1\r\n", None),
    ],
)
def test_records_are_told_by_their_first_bytes(payload: bytes, rule: str | None) -> None:
    scene = scene_with("hello", 4)
    row = scene.rows[3]._replace(payload=payload)
    changed = Scene(scene.conversation, [*scene.rows[:3], row, *scene.rows[4:]], scene.end)
    names = {reason.rule.name for reason in reasons(changed.moment(4))}
    assert {name for name in names if name.startswith("tls_")} - {"tls_change_cipher"} == {rule} - {None}


def test_every_rule_has_its_case() -> None:
    names = {rule.name for rule in programs.RULES}
    assert names == {name for name, *_ in HOLDS} | {"tls_handshake", "tls_alert"}
    assert names == {name for name, *_ in NEAR}


def test_without_calls_nothing_is_said_of_programs() -> None:
    scene = scene_with("readiness", 34)
    bare = Scene(scene.conversation, scene.rows, scene.end)
    names = {reason.rule.name for moment in bare.moments() for reason in reasons(moment)}
    assert not names & {"edge_silent", "level_again", "woken", "ready_at_once", "accepted_socket", "listener_ready"}
