"""What strace(1) writes, read: lines as it wrote them, and a C program's calls against what the program did."""

import shutil
import subprocess
from pathlib import Path

import pytest

from inspector.calls.call import SocketCall
from inspector.calls.strace import StraceReader, traced
from inspector.text.problems import LiveProblem

LOCAL, REMOTE = ("127.0.0.1", 42586), ("127.0.0.1", 8001)
TO = r'{sa_family=AF_INET, sin_port=htons(8001), sin_addr=inet_addr("\x31\x32\x37\x2e\x30\x2e\x30\x2e\x31")}'
LINES = rf"""
70 100.000000100 socket(AF_UNIX, SOCK_STREAM, 0) = 3<UNIX-STREAM:[207142]> <0.000020782>
70 100.000000200 socket(AF_INET, SOCK_STREAM, IPPROTO_TCP) = 5<TCP:[207155]> <0.000000010>
70 100.000000300 setsockopt(5<TCP:[207155]>, SOL_TCP, TCP_NODELAY, [1], 4) = 0 <0.000000010>
70 100.000000400 connect(5<TCP:[207155]>, {TO}, 16) = -1 EINPROGRESS (Operation now in progress) <0.000000020>
70 100.000000500 sendto(5<TCP:[127.0.0.1:42586->127.0.0.1:8001]>, "\x47\x45\x54"..., 78, 0, NULL, 0) = 78 <0.000000020>
70 100.000000600 read(5<TCP:[127.0.0.1:42586->127.0.0.1:8001]>,  <unfinished ...>
71 100.000000650 close(3<UNIX-STREAM:[207142]>) = 0 <0.000009474>
70 100.000000700 <... read resumed>"\x4f\x4b", 1024) = 2 <0.000000090>
70 100.000000800 shutdown(5<TCP:[127.0.0.1:42586->127.0.0.1:8001]>, SHUT_WR) = 0 <0.000000010>
70 100.000000900 read(5<TCP:[127.0.0.1:42586->127.0.0.1:8001]>, "", 1024) = 0 <0.000000010>
70 100.000001000 close(5<TCP:[127.0.0.1:42586->127.0.0.1:8001]>) = 0 <0.000000039>
70 100.000001100 socket(AF_INET, SOCK_DGRAM, IPPROTO_IP) = 5<UDP:[207199]> <0.000000010>
70 100.000001200 recvfrom(5<UDP:[127.0.0.1:9]>,  <unfinished ...>
70 100.000001300 +++ killed by SIGKILL +++
""".strip().splitlines()


def read(lines: list[str]) -> list[SocketCall]:
    reader = StraceReader()
    return [*reader.feed(lines), *reader.finish()]


def test_lines_become_calls() -> None:
    base = 100_000_000_000
    told = [
        (call.name, call.enter_ns - base, call.exit_ns and call.exit_ns - base, call.asked, call.returned, call.error)
        for call in read(LINES)
    ]
    assert told == [
        ("socket", 200, 210, None, 5, ""),
        ("setsockopt", 300, 310, None, 0, ""),
        ("connect", 400, 420, None, None, "EINPROGRESS"),
        ("sendto", 500, 520, 78, 78, ""),
        ("read", 600, 690, 1024, 2, ""),
        ("shutdown", 800, 810, 1, 0, ""),
        ("read", 900, 910, 1024, 0, ""),
        ("close", 1000, 1039, None, 0, ""),
        ("socket", 1100, 1110, None, 5, ""),
        ("recvfrom", 1200, None, None, None, ""),
    ]


def test_sockets_are_told_apart_and_have_their_ends() -> None:
    calls = read(LINES)
    assert [call.socket for call in calls] == [1] * 8 + [2] * 2
    assert {(call.local, call.remote) for call in calls[3:8]} == {(LOCAL, REMOTE)}
    assert (calls[2].local, calls[2].remote, calls[2].detail) == (None, REMOTE, "127.0.0.1|8001")
    assert calls[1].detail == "TCP_NODELAY=1"
    assert [call.data for call in calls[3:5]] == [b"GET", b"OK"]
    assert [call.protocol for call in calls] == ["TCP"] * 8 + ["UDP"] * 2
    assert calls[0].slack_ns == 90  # until the thread's next line


@pytest.mark.parametrize(
    "line",
    ["", "no line at all", "70 1.000000000 ???", "70 1.000000000 --- SIGCHLD {si_signo=SIGCHLD} ---", LINES[4][:60]],
)
def test_what_is_no_call_is_passed_over(line: str) -> None:
    assert not read([line])


def test_any_beginning_of_the_file_can_be_read() -> None:
    text = "\n".join(LINES)
    whole = read(LINES)
    for end in range(len(text)):
        calls = read(text[:end].split("\n"))
        assert [call.name for call in calls] == [call.name for call in whole][: len(calls)]


WAITS = r"""
7 1.000000001 pselect6(6, [3<TCP:[127.0.0.1:8077]> 5<TCP:[127.0.0.1:8077->127.0.0.1:38312]>], [4<TCP:[127.0.0.1:38312->127.0.0.1:8077]>], NULL, {tv_sec=1, tv_nsec=500000000}, NULL) = 2 (in [5], out [4], left {tv_sec=0, tv_nsec=999996515}) <0.000083826>
7 1.000000002 poll([{fd=3<TCP:[127.0.0.1:8077]>, events=POLLIN}, {fd=9<UNIX-STREAM:[1]>, events=POLLIN}], 2, 100) = 1 ([{fd=3, revents=POLLIN}]) <0.000054011>
7 1.000000003 poll([{fd=9<UNIX-STREAM:[1]>, events=POLLIN}], 1, 100) = 1 ([{fd=9, revents=POLLIN}]) <0.000054011>
7 1.000000004 epoll_ctl(6<an>, EPOLL_CTL_ADD, 5<TCP:[127.0.0.1:8077->127.0.0.1:38312]>, {events=EPOLLIN, data={u32=8, u64=88}}) = 0 <0.000049815>
7 1.000000005 epoll_wait(6<an>, [{events=EPOLLIN|EPOLLRDHUP, data={u32=8, u64=88}}], 1023, 1000) = 1 <0.000050747>
7 1.000000006 epoll_pwait(6<an>, [], 1024, -1, NULL, 8) = 0 <0.010177029>
7 1.000000007 epoll_ctl(6<an>, EPOLL_CTL_DEL, 5<TCP:[127.0.0.1:8077->127.0.0.1:38312]>, 0x7ffc) = 0 <0.000049815>
7 1.000000008 epoll_wait(6<an>, [], 1023, 10) = 0 <0.010177029>
7 1.000000009 poll([{fd=5<TCP:[127.0.0.1:8077->127.0.0.1:38312]>, events=POLLOUT}], 1, 200) = 1 ([{fd=5, revents=POLLOUT|POLLERR|POLLHUP}]) <0.000054011>
""".strip().splitlines()  # noqa: E501 - as strace writes them


def test_waits_name_the_sockets_that_were_ready() -> None:
    seen = [
        (call.name, call.asked, [(ready.fd, ready.bits, ready.remote) for ready in call.ready]) for call in read(WAITS)
    ]
    peer = ("127.0.0.1", 38312)
    assert seen == [
        ("select", 1500, [(5, 1, peer), (4, 4, ("127.0.0.1", 8077))]),
        ("poll", 100, [(3, 1, None)]),
        ("epoll", 1000, [(5, 0x2001, peer)]),
        ("epoll", None, [(5, 0, peer)]),
        ("poll", 200, [(5, 0x1C, peer)]),
    ]


def test_flags_of_a_receive() -> None:
    [call] = read(
        [r'7 1.000000000 recvfrom(4<TCP:[127.0.0.1:1->127.0.0.1:2]>, "\x61", 9, MSG_PEEK, NULL, NULL) = 1 <0.1>']
    )
    assert call.detail == "MSG_PEEK"


def test_ipv6_and_accepted_sockets() -> None:
    [accepted, said] = read(
        [
            "7 1.000000000 accept4(3<TCPv6:[[::]:8001]>, 0, 0, 0) = 4<TCPv6:[[::1]:8001->[::1]:5000]> <0.000000001>",
            '7 2.000000000 write(4<TCPv6:[[::1]:8001->[::1]:5000]>, "\\x61", 1) = 1 <0.000000001>',
        ]
    )
    assert (accepted.name, accepted.local, accepted.remote) == ("accept", ("::1", 8001), ("::1", 5000))
    assert (said.socket, said.returned, said.data) == (accepted.socket, 1, b"a")


def test_a_missing_strace_is_told_with_its_remedy() -> None:
    with pytest.raises(LiveProblem, match="install"):
        traced(["true"], None, "/dev/null")


@pytest.mark.skipif(not (shutil.which("strace") and shutil.which("cc")), reason="needs strace and a C compiler")
def test_the_calls_of_a_real_program(tmp_path: Path) -> None:
    source = r"""
        #include <arpa/inet.h>
        #include <unistd.h>
        int main(void) {
            struct sockaddr_in here = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
            socklen_t size = sizeof here;
            int listener = socket(AF_INET, SOCK_STREAM, 0), client = socket(AF_INET, SOCK_STREAM, 0);
            bind(listener, (void *)&here, size); listen(listener, 7);
            getsockname(listener, (void *)&here, &size);
            connect(client, (void *)&here, size);
            int server = accept(listener, 0, 0);
            char buffer[100];
            write(client, "hello", 5); read(server, buffer, 100); shutdown(client, SHUT_WR); read(server, buffer, 100);
            close(server); close(client); close(listener);
        }"""
    (tmp_path / "talk.c").write_text(source)
    program, written = str(tmp_path / "talk"), tmp_path / "talk.strace"
    subprocess.run(["cc", "-o", program, str(tmp_path / "talk.c")], check=True)
    ended = subprocess.run(traced([program], shutil.which("strace"), str(written)), capture_output=True, check=False)
    if b"ptrace" in ended.stderr:
        pytest.skip("tracing is not allowed here")
    calls = read(written.read_text().splitlines())
    assert [(call.name, call.returned) for call in calls if call.name not in ("socket", "bind", "getsockname")] == [
        *(("listen", 0), ("connect", 0), ("accept", 5), ("write", 5), ("read", 5), ("shutdown", 0), ("read", 0)),
        *(("close", 0),) * 3,
    ]
    connected = next(call for call in calls if call.name == "write")
    accepted = next(call for call in calls if call.name == "accept")
    assert (connected.local, connected.remote) == (accepted.remote, accepted.local)
