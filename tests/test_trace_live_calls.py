"""Calls while they happen: each comes to the conversation that it belongs to, whatever was known when."""

import sys
import textwrap
from pathlib import Path

import pytest

from inspector.calls.call import SocketCall
from inspector.calls.matching import CallIndex
from inspector.sandbox import refusal
from inspector.session.run import Command, Run
from inspector.tcp.states import Side
from inspector.trace.live import LiveConversation
from inspector.trace.live_calls import LiveCall, LiveCallMatcher

REFUSAL = refusal()

SERVER = """
import select, socket
with socket.create_server(("127.0.0.1", 8001)) as listener:
    waiting, served = [listener], 0
    while served < 2:
        for ready in select.select(waiting, [], [])[0]:
            if ready is listener:
                waiting.append(listener.accept()[0])
            elif data := ready.recv(100):
                ready.sendall(data)
            else:
                waiting.remove(ready)
                ready.close()
                served += 1
"""
CLIENT = """
import socket
for word in (b"one", b"two"):
    with socket.create_connection(("127.0.0.1", 8001)) as connection:
        connection.sendall(word)
        connection.recv(100)
"""


def key(call: SocketCall) -> tuple[int, int, int, str]:
    return call.process, call.thread, call.enter_ns, call.name


@pytest.mark.live
@pytest.mark.skipif(REFUSAL is not None, reason=f"no private network here: {REFUSAL}")
def test_what_is_told_while_it_happens_is_what_is_known_at_the_end(tmp_path: Path) -> None:
    commands = []
    for name, code in (("server", SERVER), ("client", CLIENT)):
        path = tmp_path / f"{name}.py"
        path.write_text(textwrap.dedent(code), encoding="utf-8")
        commands.append(Command(name, [sys.executable, str(path)]))
    matcher = LiveCallMatcher()
    conversations: list[LiveConversation] = []
    news: list[LiveCall] = []
    with Run(commands, lambda _label, _piece: None) as run:
        for arrival in run.events():
            if arrival is None:
                news += matcher.feed(run.new_calls())
            elif arrival.first and arrival.conversation is not None:
                conversations.append(arrival.conversation)
                matcher.begin(arrival.conversation)
        news += matcher.feed(run.new_calls())
        index = CallIndex(run.calls())
    assert len(conversations) == 2
    for conversation in conversations:
        summary = conversation.summary()
        ends = ((end.address, end.port or 0) for end in (summary.client, summary.server))
        known = {(side, key(call)) for side, call in index.of("TCP", *ends, (summary.start_ns, summary.end_ns))}
        told = {(each.side, key(each.call)) for each in news if each.conversation is conversation and each.returns}
        own = {each for each in known if each[1][3] in ("connect", "sendall", "recv", "accept", "close")}
        assert {
            each for each in told if each[1][3] not in ("socket", "bind", "listen", "setsockopt", "select")
        } <= known
        assert {each for each in own if each[0] is Side.CLIENT} <= told
        assert any(name == "accept" for _, (_, _, _, name) in told)
        assert any(name == "select" for _, (_, _, _, name) in told)


def test_a_call_is_parted_where_a_packet_passed_between() -> None:
    call = SocketCall(1, 1, "recv", 3, 1, 100, 200)
    both = LiveCall(object(), Side.CLIENT, call, True, True)  # type: ignore[arg-type]
    assert both.parted([50, 300]) == [both]
    assert [(part.enters, part.returns, part.time_ns) for part in both.parted([50, 150, 300])] == [
        (True, False, 100),
        (False, True, 200),
    ]


def test_a_socket_that_nobody_connects_keeps_little() -> None:
    matcher = LiveCallMatcher()
    for number in range(1000):
        call = SocketCall(1, 1, "setsockopt", 3, 7, number, number + 1, protocol="TCP")
        assert matcher.feed([call]) == []
    assert sum(map(len, matcher._waiting.values())) <= 100
