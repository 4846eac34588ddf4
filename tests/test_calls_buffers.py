"""Where bytes are: from calls and packets alone, and the same as the kernel's own queues say."""

import json
import sys
import textwrap
from pathlib import Path

import pytest

from inspector.calls.buffers import Fill, fills
from inspector.calls.call import SocketCall
from inspector.calls.matching import CallIndex, Passage, SidedCall
from inspector.sandbox import refusal
from inspector.session.run import Command, Run
from inspector.tcp.segment import Flag
from inspector.tcp.states import Side
from inspector.trace.calls import buffer_fills, conversation_calls

REFUSAL = refusal()
A = Flag.ACK


def call(side: Side, name: str, times_ns: tuple[int, int | None], offsets: tuple[int, int]) -> SidedCall:
    return SidedCall(side, SocketCall(1, 1, name, 3, 1, *times_ns), offsets)


def test_bytes_are_to_be_sent_then_in_flight_then_unread_then_gone() -> None:
    passages = [
        Passage(1, 20, Side.CLIENT, A, (0, 60)),
        Passage(2, 30, Side.SERVER, A, None, 60),
        Passage(3, 40, Side.CLIENT, A, (60, 100)),
        Passage(4, 60, Side.SERVER, A, None, 100),
        Passage(5, 90, Side.SERVER, A, None, 100),
    ]
    calls = [call(Side.CLIENT, "sendall", (10, 70), (0, 100)), call(Side.SERVER, "recv", (50, 80), (0, 100))]
    to_server = [both[0] for both in fills(passages, calls)]
    assert to_server == [Fill(40, 60, 0), Fill(40, 0, 60), Fill(0, 40, 60), Fill(0, 0, 100), Fill(0, 0, 0)]


def test_what_was_not_recorded_is_not_known() -> None:
    passages = [Passage(1, 20, Side.CLIENT, A, (0, 60)), Passage(2, 30, Side.SERVER, A, None, 60)]
    [_, (to_server, to_client)] = fills(passages, [call(Side.CLIENT, "send", (10, 12), (0, 60))])
    assert to_server == Fill(0, 0, None)
    assert not to_client


def test_bytes_that_the_calls_do_not_explain_make_no_negative_buffer() -> None:
    passages = [Passage(1, 20, Side.CLIENT, A, (0, 600)), Passage(2, 30, Side.SERVER, A, None, 600)]
    calls = [call(Side.CLIENT, "send", (10, 12), (0, 60)), call(Side.SERVER, "recv", (40, 41), (0, 900))]
    assert [both[0] for both in fills(passages, calls)][-1] == Fill(None, 0, 600)


QUEUES = """
import fcntl, json, os, socket, struct, time
def queues(connection):
    numbers = [struct.unpack("i", fcntl.ioctl(connection, number, bytes(4)))[0] for number in (0x5411, 0x541B)]
    print(json.dumps([time.time_ns(), *numbers]), flush=True)
def tell(point):
    with open(os.path.join(os.environ["INSPECTOR_STAGE"], point), "wb"): pass
def wait(point):
    with open(os.path.join(os.environ["INSPECTOR_STAGE"], point), "rb"): pass
for point in ("sent", "looked", "read", "done"):
    try:
        os.mkfifo(os.path.join(os.environ["INSPECTOR_STAGE"], point))
    except FileExistsError:
        pass
"""
SERVER = """
with socket.socket() as listener:
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)
    listener.bind(("127.0.0.1", 8001))
    listener.listen()
    connection, _ = listener.accept()
    wait("sent")
    time.sleep(0.3)  # the kernel's delayed ACK must be out
    queues(connection)
    tell("looked")
    left = 5000
    while left:
        left -= len(connection.recv(left))
    time.sleep(0.3)
    queues(connection)
    tell("read")
    wait("done")
"""
CLIENT = """
with socket.create_connection(("127.0.0.1", 8001)) as connection:
    connection.setblocking(False)
    try:
        while True:
            connection.send(bytes(3000))
    except BlockingIOError:
        pass
    tell("sent")
    wait("looked")
    queues(connection)
    wait("read")
    queues(connection)
    tell("done")
"""


@pytest.mark.live
@pytest.mark.skipif(REFUSAL is not None, reason=f"no private network here: {REFUSAL}")
def test_the_kernels_queues_hold_as_much(tmp_path: Path) -> None:
    commands = []
    for name, code in (("server", SERVER), ("client", CLIENT)):
        path = tmp_path / f"{name}.py"
        path.write_text(textwrap.dedent(QUEUES + code), encoding="utf-8")
        commands.append(Command(name, [sys.executable, str(path)]))
    printed = {"server": b"", "client": b""}

    def take(label: str, piece: bytes) -> None:
        printed[label] += piece

    with Run(commands, take) as run:
        arrivals = [arrival for arrival in run.events() if arrival is not None and arrival.conversation is not None]
        index = CallIndex(run.calls())
    conversation = arrivals[0].conversation
    assert conversation is not None
    rows = [arrival.row for arrival in arrivals]
    after = buffer_fills(rows, conversation_calls(index, conversation.summary(), rows))
    looks = {name: [json.loads(line) for line in text.decode().splitlines()] for name, text in printed.items()}
    assert [len(each) for each in looks.values()] == [2, 2]
    for name, numbers in looks.items():
        for time_ns, out_queue, in_queue in numbers:
            last = max((row for row in rows if row.time_ns < time_ns), key=lambda row: row.packet)
            to_server = after[last.packet][0]
            assert to_server.to_send is not None
            if name == "client":
                assert out_queue == to_server.to_send + to_server.in_flight
            elif numbers.index([time_ns, out_queue, in_queue]) == 0:
                assert in_queue == to_server.unread
    assert looks["client"][1][1] > 0
