"""At every step of real connections, the states told from the captured packets are those of the kernel's two sockets.

They are made in a private network, each on an address of its own. A socket filter makes an endpoint deaf, as if the
wire lost what comes to it: so the states that loopback otherwise leaves at once (SYN-SENT, SYN-RECEIVED, FIN-WAIT-1,
CLOSING, LAST-ACK) stay.
"""

import ctypes
import json
import select
import socket
import struct
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from inspector.capture.live import LiveCapture
from inspector.sandbox import refusal
from inspector.tcp.states import TcpState
from inspector.trace.live import LiveConversation, LiveTrace

REFUSAL = refusal()
pytestmark = [
    pytest.mark.live,
    pytest.mark.skipif(REFUSAL is not None, reason=f"no private network here: {REFUSAL}"),
]

INSIDE = """
import json, sys
sys.path[:] = json.loads(sys.argv[1])
from inspector.sandbox.namespaces import enter
enter()
import test_live_states
test_live_states.compare_all()
"""
NOBODY = ("0.0.0.0", 0)
KERNEL_STATES = (  # in the order of include/net/tcp_states.h, from 1
    *(TcpState.ESTABLISHED, TcpState.SYN_SENT, TcpState.SYN_RECEIVED, TcpState.FIN_WAIT_1, TcpState.FIN_WAIT_2),
    *(TcpState.TIME_WAIT, TcpState.CLOSED, TcpState.CLOSE_WAIT, TcpState.LAST_ACK, TcpState.LISTEN, TcpState.CLOSING),
    TcpState.SYN_RECEIVED,
)
SO_ATTACH_FILTER, SO_DETACH_FILTER = 26, 27
LET_NOTHING_PASS = ctypes.create_string_buffer(struct.pack("HBBI", 0x06, 0, 0, 0))  # return 0
LONGEST_S = 8.0

Address = tuple[str, int]
States = tuple[TcpState, TcpState]


def deaf(endpoint: socket.socket) -> None:
    program = struct.pack("HP", 1, ctypes.addressof(LET_NOTHING_PASS))
    endpoint.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, program)


def hears(endpoint: socket.socket) -> None:
    endpoint.setsockopt(socket.SOL_SOCKET, SO_DETACH_FILTER, 0)


def new(address: Address) -> socket.socket:
    endpoint = socket.socket()
    endpoint.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    endpoint.bind(address)
    endpoint.setblocking(False)
    return endpoint


def listening(address: Address, backlog: int = 5) -> socket.socket:
    endpoint = new(address)
    endpoint.listen(backlog)
    return endpoint


def connecting(endpoint: socket.socket, address: Address) -> socket.socket:
    endpoint.connect_ex(address)
    return endpoint


def accepted(listener: socket.socket) -> socket.socket:
    select.select([listener], [], [])
    return listener.accept()[0]


def resets(endpoint: socket.socket) -> None:
    endpoint.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    endpoint.close()


class Step(NamedTuple):
    """What is done, and where the kernel's client and server stand after it; their sockets bear these names."""

    done: str
    client: str
    server: str


OPEN = Step("listener = listening(SERVER); client = connecting(new(CLIENT), SERVER)", "ESTABLISHED", "ESTABLISHED")
ACCEPT = Step("server = accepted(listener)", "ESTABLISHED", "ESTABLISHED")
HELLO = Step("client.send(b'hello'); server.send(b'hello world')", "ESTABLISHED", "ESTABLISHED")
READ = Step("client.recv(100); server.recv(100)", "ESTABLISHED", "ESTABLISHED")
OPENED = [OPEN, ACCEPT, HELLO, READ]

CONNECTIONS = {
    "the client closes first": [
        *OPENED,
        Step("client.close()", "FIN-WAIT-2", "CLOSE-WAIT"),
        Step("server.close()", "TIME-WAIT", "CLOSED"),
    ],
    "the server closes first": [
        *OPENED,
        Step("listener.close(); server.close()", "CLOSE-WAIT", "FIN-WAIT-2"),
        Step("client.close()", "CLOSED", "TIME-WAIT"),
    ],
    "half closed, and data to the side that has closed": [
        *OPENED,
        Step("listener.close(); client.shutdown(socket.SHUT_WR)", "FIN-WAIT-2", "CLOSE-WAIT"),
        Step("server.send(b'late words'); client.recv(100)", "FIN-WAIT-2", "CLOSE-WAIT"),
        Step("server.shutdown(socket.SHUT_WR)", "TIME-WAIT", "CLOSED"),
    ],
    "closed before it was accepted": [
        OPEN,
        Step("client.close()", "FIN-WAIT-2", "CLOSE-WAIT"),
        Step("server = accepted(listener)", "FIN-WAIT-2", "CLOSE-WAIT"),
        Step("listener.close(); server.close()", "TIME-WAIT", "CLOSED"),
    ],
    "refused": [Step("client = connecting(new(CLIENT), SERVER)", "CLOSED", "CLOSED")],
    "the SYN is lost": [
        Step("listener = listening(SERVER); deaf(listener)", "CLOSED", "CLOSED"),
        Step("client = connecting(new(CLIENT), SERVER)", "SYN-SENT", "LISTEN"),
        Step("hears(listener)", "ESTABLISHED", "ESTABLISHED"),
    ],
    "a listener without room": [
        Step("listener = listening(SERVER, 0); first = connecting(socket.socket(), SERVER)", "CLOSED", "CLOSED"),
        Step("client = connecting(new(CLIENT), SERVER)", "SYN-SENT", "LISTEN"),
        Step("accepted(listener)", "ESTABLISHED", "ESTABLISHED"),
    ],
    "the SYN,ACK is lost": [
        Step(
            "listener = listening(SERVER); client = new(CLIENT); deaf(client); connecting(client, SERVER)",
            "SYN-SENT",
            "SYN-RECEIVED",
        ),
        Step("hears(client)", "ESTABLISHED", "ESTABLISHED"),
    ],
    "both open": [
        Step("both = listening(SERVER); deaf(both)", "CLOSED", "CLOSED"),
        Step("client = connecting(new(CLIENT), SERVER)", "SYN-SENT", "LISTEN"),
        # A listening socket that is shut down is closed, and may connect.
        Step("both.shutdown(socket.SHUT_RD); server = connecting(both, CLIENT)", "SYN-RECEIVED", "SYN-SENT"),
        Step("hears(server)", "ESTABLISHED", "ESTABLISHED"),
    ],
    "the first FIN is lost": [
        *OPENED,
        Step("listener.close(); deaf(server); client.close()", "FIN-WAIT-1", "ESTABLISHED"),
        Step("hears(server)", "FIN-WAIT-2", "CLOSE-WAIT"),
        Step("server.close()", "TIME-WAIT", "CLOSED"),
    ],
    "the second FIN is lost": [
        *OPENED,
        Step("listener.close(); client.shutdown(socket.SHUT_WR)", "FIN-WAIT-2", "CLOSE-WAIT"),
        Step("deaf(client); server.close()", "FIN-WAIT-2", "LAST-ACK"),
        Step("hears(client)", "TIME-WAIT", "CLOSED"),
    ],
    "both close": [
        *OPENED,
        Step("listener.close(); deaf(server); client.shutdown(socket.SHUT_WR)", "FIN-WAIT-1", "ESTABLISHED"),
        Step("server.shutdown(socket.SHUT_WR)", "CLOSING", "FIN-WAIT-1"),
        Step("hears(server)", "TIME-WAIT", "TIME-WAIT"),
    ],
    "the client resets": [*OPENED, Step("listener.close(); resets(client)", "CLOSED", "CLOSED")],
    "the server resets what nobody accepted": [OPEN, Step("listener.close()", "CLOSED", "CLOSED")],
    "closed with data unread": [
        *OPENED,
        Step("client.send(b'unread')", "ESTABLISHED", "ESTABLISHED"),
        Step("listener.close(); server.close()", "CLOSED", "CLOSED"),
    ],
    "half closed, then reset": [
        *OPENED,
        Step("listener.close(); client.shutdown(socket.SHUT_WR)", "FIN-WAIT-2", "CLOSE-WAIT"),
        Step("resets(server)", "CLOSED", "CLOSED"),
    ],
    "data to a side that is gone": [
        *OPENED,
        Step("listener.close(); client.close()", "FIN-WAIT-2", "CLOSE-WAIT"),
        Step("server.send(b'to nobody')", "CLOSED", "CLOSED"),
    ],
    "again on the endpoints of a connection in TIME-WAIT": [
        *OPENED,
        Step("server.close()", "CLOSE-WAIT", "FIN-WAIT-2"),
        Step("client.close()", "CLOSED", "TIME-WAIT"),
        Step("client = connecting(new(CLIENT), SERVER)", "ESTABLISHED", "ESTABLISHED"),
        Step("server = accepted(listener); listener.close(); server.close()", "CLOSE-WAIT", "FIN-WAIT-2"),
        Step("client.close()", "CLOSED", "TIME-WAIT"),
    ],
}


def of_table(text: str) -> Address:
    """An address and a port as proc(5) writes them."""
    address, port = text.split(":")
    return socket.inet_ntoa(struct.pack("=I", int(address, 16))), int(port, 16)


def kernel_states(client: Address, server: Address) -> States:
    """What the kernel's table of connections says of the two."""
    table = {}
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        _, local, remote, state, *_ = line.split()
        table[of_table(local), of_table(remote)] = KERNEL_STATES[int(state, 16) - 1]
    of_client = table.get((client, server), TcpState.CLOSED)
    # A listening socket stands for the server until it has made one for this connection.
    waiting = table.get((server, NOBODY), TcpState.CLOSED) if of_client is TcpState.SYN_SENT else TcpState.CLOSED
    return of_client, table.get((server, client), waiting)


def wait_for(wanted: States, client: Address, server: Address) -> States:
    """The kernel's states once it has come there, or after a time in which it should have."""
    deadline = time.monotonic() + LONGEST_S
    while (found := kernel_states(client, server)) != wanted and time.monotonic() < deadline:
        time.sleep(0.001)
    return found


def state_of_socket(endpoint: socket.socket) -> TcpState:
    """What TCP_INFO says first."""
    return KERNEL_STATES[endpoint.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0] - 1]


class Wire:
    """All that passes loopback, read as far as it has come."""

    def __init__(self, capture: LiveCapture) -> None:
        self._capture, self._batches, self._trace = capture, capture.batches(), LiveTrace()
        self._latest: dict[frozenset[str], LiveConversation] = {}

    def states(self, client: Address, server: Address) -> States | None:
        """Where the packets say that the latest connection between the two stands; None when there was none."""
        while self._trace.captured < self._capture.statistics().received:
            batch = next(self._batches)
            for arrival in self._trace.feed(batch, *self._trace.select(batch)):
                if arrival.conversation is not None:
                    self._latest[frozenset((arrival.record.source, arrival.record.destination))] = arrival.conversation
        latest = self._latest.get(frozenset(f"{address}:{port}" for address, port in (client, server)))
        end = latest.reader.end() if latest else None
        return (end.client.state, end.server.state) if end else None


def compare(steps: list[Step], wire: Wire, address: str) -> None:
    """Make a connection and compare after every step."""
    client, server = (address, 40001), (address, 8001)
    names: dict[str, Any] = {**globals(), "CLIENT": client, "SERVER": server}
    told = None
    for step in steps:
        exec(step.done, names)
        wanted = TcpState(step.client), TcpState(step.server)
        found = wait_for(wanted, client, server)
        assert found == wanted, (step, "the kernel:", found)
        for role, state in zip(("client", "server"), found, strict=True):
            endpoint = names.get(role)
            if endpoint is not None and endpoint.fileno() >= 0:
                # What remains of a connection in TIME-WAIT is no longer the socket's.
                own = TcpState.CLOSED if state is TcpState.TIME_WAIT else state
                assert state_of_socket(endpoint) is own, (step, role)
        told = wire.states(client, server)
        assert told in (found, None), (step, "told:", told)
    assert told is not None


def compare_all() -> None:
    """Compare all connections and print what went wrong with each of them; in a private network."""
    wrong = {}
    with LiveCapture.on("lo") as capture:
        wire = Wire(capture)
        for number, (name, steps) in enumerate(CONNECTIONS.items(), 1):
            try:
                compare(steps, wire, f"127.0.0.{number}")
            except AssertionError as error:
                wrong[name] = str(error)
    print(json.dumps(wrong))


@pytest.fixture(scope="module")
def wrong() -> dict[str, str]:
    command = [sys.executable, "-c", INSIDE, json.dumps(sys.path)]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=200, check=False)
    assert ended.returncode == 0, ended.stderr
    assert not ended.stderr
    found: dict[str, str] = json.loads(ended.stdout)
    return found


@pytest.mark.parametrize("name", CONNECTIONS)
def test_the_states_are_the_kernels(name: str, wrong: dict[str, str]) -> None:
    assert name not in wrong, wrong[name]
