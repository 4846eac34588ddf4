"""The recorder inside Python programs: they do as without it, and no call is lost."""

import errno
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from inspector.calls.spool import CallSpool, RecordedCall

# Every way into the wrapped calls, and what it says for itself. Nothing in its output differs from run to run.
PROGRAM = """
import asyncio, http.server, select, selectors, socket, socketserver, threading, urllib.request

async def talk():
    async def answer(reader, writer):
        writer.write(await reader.read(5)); await writer.drain(); writer.close()
    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
    writer.write(b"hello"); print(await reader.read()); writer.close(); server.close()

asyncio.run(talk())
class Handler(socketserver.StreamRequestHandler):
    def handle(self): self.wfile.write(self.rfile.readline())
server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler)
threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
with socket.create_connection(server.server_address) as client:
    print(client.fileno()); client.sendall(b"abc\\n"); print(client.recv(10))
server.shutdown(); server.server_close()
one, other = socket.socketpair()
poller = select.epoll(); poller.register(other, select.EPOLLIN)
print(poller.poll(0)); print(one.send(b"x")); print(poller.poll(1), poller.closed)
with select.epoll() as another: print(another.closed)
poll = select.poll(); poll.register(other); print(poll.poll(0)); print(select.select([other], [one], [], 0))
with selectors.SelectSelector() as selector: selector.register(one, 2); print(len(selector.select(0)))
with selectors.PollSelector() as selector: selector.register(one, 2); print(len(selector.select(0)))
other.setblocking(False); print(other.recv(1), other.gettimeout())
def refused(call, *args):
    try: print(call(*args))
    except Exception as error: print(repr(error))
refused(other.recv, 1); refused(other.recv, "x"); refused(other.recv, -1); refused(other.send, "text")
refused(one.connect, ("127.0.0.1", 1)); refused(select.select, [object()], [], []); refused(poll.poll, "x")
refused(socket.socket(), ); refused(socket.socket().sendto, b"x"); refused(one.sendmsg, [b"ab", b"c"])
refused(socket.socket().connect_ex, ("127.0.0.1", 1)); refused(other.recvmsg, 10); refused(one.setsockopt, 1, 9, 1)
"""


def recorded(folder: Path, code: str) -> tuple[str, list[RecordedCall]]:
    """What a program prints, and its calls."""
    spool = CallSpool(folder)
    ended = subprocess.run(
        [sys.executable, "-c", code],
        env=spool.environment(dict(os.environ)),
        capture_output=True,
        text=True,
        check=False,
    )
    calls = spool.poll()
    spool.close()
    assert not list(folder.iterdir())
    return ended.stdout + ended.stderr, calls


def test_a_program_does_the_same_with_and_without(tmp_path: Path) -> None:
    plain = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)
    said, calls = recorded(tmp_path, PROGRAM)
    assert said == plain.stdout + plain.stderr
    names = Counter(call.name for call in calls)
    for name in (
        *("socket", "bind", "listen", "accept", "connect", "send", "sendall", "recv", "recv_into", "close"),
        *("select", "poll", "epoll", "setblocking", "sendmsg", "recvmsg", "setsockopt", "connect_ex", "shutdown"),
    ):
        assert names[name], name
    assert all(call.returned_ns is not None and call.entered_ns <= call.returned_ns for call in calls)


def test_a_killed_program_loses_no_call(tmp_path: Path) -> None:
    _, calls = recorded(
        tmp_path,
        "import os, signal, socket\n"
        "one, other = socket.socketpair()\n"
        "for number in range(5000): one.send(number.to_bytes(2, 'big')); other.recv(2)\n"
        "os.kill(os.getpid(), signal.SIGKILL)",
    )
    for name in ("send", "recv"):
        data = [int.from_bytes(call.data, "big") for call in calls if call.name == name]
        assert data == list(range(5000))


def test_a_call_that_never_returns_is_there(tmp_path: Path) -> None:
    _, calls = recorded(
        tmp_path,
        "import os, signal, socket, threading\n"
        "one, other = socket.socketpair()\n"
        "threading.Timer(0.05, os.kill, (os.getpid(), signal.SIGKILL)).start()\n"
        "one.recv(77)",
    )
    [call] = [call for call in calls if call.name == "recv"]
    assert (call.asked, call.returned_ns) == (77, None)


def test_forks_and_threads_are_recorded_apart(tmp_path: Path) -> None:
    _, calls = recorded(
        tmp_path,
        "import os, socket, threading\n"
        "one, other = socket.socketpair()\n"
        "def talk(text):\n"
        "    for _ in range(50): one.send(text)\n"
        "threads = [threading.Thread(target=talk, args=(text,)) for text in (b'a', b'b')]\n"
        "for thread in threads: thread.start()\n"
        "for thread in threads: thread.join()\n"
        "if os.fork() == 0:\n"
        "    talk(b'c')\n"
        "else:\n"
        "    os.wait()",
    )
    sent = Counter((call.data, call.thread, call.process) for call in calls if call.name == "send")
    assert sorted((data, count) for (data, _, _), count in sent.items()) == [(b"a", 50), (b"b", 50), (b"c", 50)]
    assert len({thread for _, thread, _ in sent}) == 3
    programs = [call for call in calls if call.name == "program"]
    assert len({call.process for call in programs}) == 2
    assert programs[1].asked == programs[0].process  # its parent


def test_errors_and_endpoints_are_recorded(tmp_path: Path) -> None:
    _, calls = recorded(
        tmp_path,
        "import socket\n"
        "listener = socket.create_server(('127.0.0.1', 0))\n"
        "client = socket.socket(); client.connect(listener.getsockname())\n"
        "server, address = listener.accept()\n"
        "client.setblocking(False)\n"
        "try: client.recv(1)\n"
        "except BlockingIOError: pass\n"
        "port = listener.getsockname()[1]; listener.close()\n"
        "try: socket.socket().connect(('127.0.0.1', port))\n"
        "except ConnectionRefusedError: pass\n",
    )
    by_name = {call.name: call for call in calls}
    connected = next(call for call in calls if call.name == "connect")
    local, remote = connected.answer.rsplit("|", 2)[0], connected.text
    assert by_name["accept"].answer == f"{remote}|{local}"
    assert by_name["recv"].error == errno.errorcode[errno.EAGAIN]
    assert by_name["connect"].error == "ECONNREFUSED"


@pytest.mark.parametrize("flag", ["-S", "-I"])
def test_a_program_that_shuts_itself_off_runs_unrecorded(flag: str, tmp_path: Path) -> None:
    spool = CallSpool(tmp_path)
    ended = subprocess.run(
        [sys.executable, flag, "-c", "import socket; one, other = socket.socketpair(); print(one.send(b'x'))"],
        env=spool.environment(dict(os.environ)),
        capture_output=True,
        text=True,
        check=True,
    )
    assert ended.stdout == "1\n"
    assert not spool.poll()


def test_a_sitecustomize_of_the_machine_still_runs(tmp_path: Path) -> None:
    own, calls = tmp_path / "own", tmp_path / "calls"
    own.mkdir()
    calls.mkdir()
    (own / "sitecustomize.py").write_text("print('own')")
    spool = CallSpool(calls)
    environment = spool.environment({**os.environ, "PYTHONPATH": str(own)})
    code = "import sys, sitecustomize; print(sitecustomize.__file__, any('injected' in path for path in sys.path))"
    ended = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert ended.stdout.splitlines() == ["own", f"{own / 'sitecustomize.py'} False"]
    assert [call.name for call in spool.poll()] == ["program"]
