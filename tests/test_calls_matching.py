"""From what a process recorded to calls that belong to a conversation, and to the packets they caused or waited for."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inspector.calls import journal
from inspector.calls.call import SocketCall
from inspector.calls.matching import EXIT, CallIndex, Passage, linked
from inspector.calls.resolve import CallResolver
from inspector.calls.spool import RecordedCall
from inspector.tcp.segment import Flag
from inspector.tcp.states import Known, Side
from inspector.text.problems import FileProblem

CLIENT, SERVER = ("127.0.0.1", 50000), ("127.0.0.1", 8001)
ENDS = "127.0.0.1|50000|127.0.0.1|8001"
S, A, F, R = Flag.SYN, Flag.ACK, Flag.FIN, Flag.RST


def recorded(process: int, at: int, name: str, fd: int, result: int = 0, **more: Any) -> RecordedCall:
    """A call entered at ``at`` and returned 5 later."""
    fields: dict[str, Any] = {"asked": -1, "error": "", "text": "", "answer": "", "data": b"", "returned_ns": at + 5}
    return RecordedCall(
        process=process, thread=process, name=name, fd=fd, entered_ns=at, result=result, **fields | more
    )


CONVERSATION = [
    recorded(1, 10, "program", -1, text="server.py"),
    recorded(1, 20, "socket", 3, 3, text="AF_INET|SOCK_STREAM"),
    recorded(1, 30, "bind", 3, text="127.0.0.1|8001", answer="127.0.0.1|8001"),
    recorded(1, 40, "listen", 3, asked=5),
    recorded(1, 50, "accept", 3, 4, answer="127.0.0.1|8001|127.0.0.1|50000", returned_ns=200),
    recorded(2, 100, "socket", 3, 3, text="AF_INET|SOCK_STREAM"),
    recorded(2, 110, "connect", 3, text="127.0.0.1|8001", answer=ENDS, returned_ns=180),
    recorded(2, 190, "sendall", 3, 5, asked=5, data=b"hello"),
    recorded(2, 195, "sendall", 3, 5, asked=5, data=b"world"),
    recorded(1, 210, "recv", 4, 10, asked=1024, data=b"helloworld"),
    recorded(1, 220, "close", 4),
    recorded(1, 225, "close", 3),
    recorded(2, 230, "recv", 3, 0, asked=10),
    recorded(2, 240, "close", 3),
    recorded(2, 250, "socket", 3, 3, text="AF_INET|SOCK_STREAM"),  # the descriptor again, for another socket
    recorded(2, 260, "connect", 3, text="127.0.0.1|9", answer="127.0.0.1|50001", error="ECONNREFUSED"),
]
PASSAGES = [
    Passage(1, 120, Side.CLIENT, S, None),
    Passage(2, 130, Side.SERVER, S | A, None),
    Passage(3, 140, Side.CLIENT, A, None),
    Passage(4, 191, Side.CLIENT, A, (0, 5)),
    Passage(5, 196, Side.CLIENT, A, (5, 10)),
    Passage(6, 221, Side.SERVER, F | A, None),
    Passage(7, 241, Side.CLIENT, F | A, None),
]


def sided() -> list[tuple[Side, SocketCall]]:
    calls = CallResolver().feed(CONVERSATION)
    return CallIndex(calls).of("TCP", CLIENT, SERVER, (120, 245))


def test_calls_belong_to_their_conversation_and_side() -> None:
    assert [(side.name, call.name) for side, call in sided()] == [
        *[("SERVER", name) for name in ("socket", "bind", "listen", "accept")],
        *[("CLIENT", name) for name in ("socket", "connect", "sendall", "sendall")],
        *[("SERVER", name) for name in ("recv", "close", "close")],
        *[("CLIENT", name) for name in ("recv", "close")],
    ]


def test_a_refused_connection_is_one_of_its_own() -> None:
    calls = CallResolver().feed(CONVERSATION)
    refused = CallIndex(calls).of("TCP", ("127.0.0.1", 50001), ("127.0.0.1", 9), (262, 263))
    assert [(side, call.name, call.error) for side, call in refused] == [
        (Side.CLIENT, "socket", ""),
        (Side.CLIENT, "connect", "ECONNREFUSED"),
    ]


def test_calls_are_linked_to_the_packets_they_caused_or_waited_for() -> None:
    links = [
        (call.side.name, call.call.name, call.offsets, call.packets, call.known)
        for call in linked(sided(), PASSAGES)
        if call.packets
    ]
    assert links == [
        ("SERVER", "accept", None, (1,), Known.INFERRED),
        ("CLIENT", "connect", None, (1,), Known.INFERRED),
        ("CLIENT", "sendall", (0, 5), (4,), Known.SEEN),
        ("CLIENT", "sendall", (5, 10), (5,), Known.SEEN),
        ("SERVER", "recv", (0, 10), (4, 5), Known.SEEN),
        ("SERVER", "close", None, (6,), Known.INFERRED),
        ("CLIENT", "close", None, (7,), Known.INFERRED),
    ]


@pytest.mark.parametrize("local", ["0.0.0.0", "127.0.0.1", "::ffff:127.0.0.1"])
def test_a_listener_on_any_address_is_the_server(local: str) -> None:
    calls = CallResolver().feed(
        [
            recorded(1, 20, "socket", 3, 3, text="AF_INET6|SOCK_STREAM"),
            recorded(1, 30, "bind", 3, answer=f"{local}|8001"),
            recorded(1, 50, "accept", 3, 4, answer="::ffff:127.0.0.1|8001|::ffff:127.0.0.1|50000"),
        ]
    )
    assert [(side, call.name) for side, call in CallIndex(calls).of("TCP", CLIENT, SERVER, (40, 60))] == [
        *[(Side.SERVER, name) for name in ("socket", "bind", "accept")]
    ]


def test_a_fork_has_the_sockets_of_its_parent() -> None:
    calls = CallResolver().feed(
        [*CONVERSATION[:5], recorded(7, 205, "program", -1, asked=1), recorded(7, 210, "recv", 4, 10, asked=1024)]
    )
    assert (calls[-1].process, calls[-1].local, calls[-1].remote) == (7, SERVER, CLIENT)


def test_another_listener_at_the_same_port_is_not_that_of_the_connection() -> None:
    """One server after the other; a third that fails to bind is shown where it failed."""
    calls = CallResolver().feed(
        [
            *CONVERSATION[:5],
            recorded(1, 210, "close", 4),
            recorded(1, 211, "close", 3),
            recorded(1, 220, "socket", 3, 3, text="AF_INET|SOCK_STREAM"),
            recorded(1, 221, "bind", 3, text="127.0.0.1|8001", answer="127.0.0.1|8001"),
            recorded(1, 222, "listen", 3, asked=7),
            recorded(1, 223, "accept", 3, 4, answer="127.0.0.1|8001|127.0.0.1|50005"),
            recorded(5, 230, "socket", 9, 9, text="AF_INET|SOCK_STREAM"),
            recorded(5, 231, "bind", 9, text="127.0.0.1|8001", error="EADDRINUSE"),
        ]
    )
    index = CallIndex(calls)
    first, second = (
        [call for _, call in index.of("TCP", client, SERVER, (120, 245)) if call.name in ("listen", "bind")]
        for client in (CLIENT, ("127.0.0.1", 50005))
    )
    assert [(call.name, call.asked) for call in first] == [("bind", None), ("listen", 5), ("bind", None)]
    assert [(call.name, call.asked) for call in second] == [("bind", None), ("listen", 7), ("bind", None)]


def test_what_is_only_looked_at_is_not_read() -> None:
    calls = CallResolver().feed(
        [
            *CONVERSATION[:9],
            recorded(1, 205, "recv", 4, 10, asked=1024, text="MSG_PEEK", data=b"helloworld"),
            *CONVERSATION[9:],
        ]
    )
    both = linked(CallIndex(calls).of("TCP", CLIENT, SERVER, (120, 245)), PASSAGES)
    read = [each for each in both if each.call.name == "recv"]
    assert [each.offsets for each in read if each.side is Side.SERVER] == [None, (0, 10)]


def test_datagrams_carry_their_peer_in_each_call() -> None:
    calls = CallResolver().feed(
        [
            recorded(1, 10, "socket", 3, 3, text="AF_INET|SOCK_DGRAM"),
            recorded(1, 20, "bind", 3, answer="127.0.0.1|8001"),
            recorded(1, 30, "recvfrom", 3, 6, asked=100, answer="127.0.0.1|50000", data=b"abcdef"),
            recorded(1, 40, "sendto", 3, 2, asked=2, text="127.0.0.1|50000", answer="127.0.0.1|8001"),
        ]
    )
    assert [(call.local, call.remote) for call in calls[2:]] == [(SERVER, CLIENT)] * 2


def test_a_wait_names_what_was_ready() -> None:
    calls = CallResolver().feed(
        [
            *CONVERSATION[:5],
            recorded(1, 210, "select", -1, 2, text="r3,4 w4", answer="r3 w4"),
            recorded(1, 220, "epoll", -1, 1, answer="4:11"),
            recorded(1, 230, "poll", -1, 0, text="r4"),
            recorded(1, 240, "poll", -1, 1, text="r99", answer="99:1"),
        ]
    )
    assert [[(socket.fd, socket.bits, socket.remote) for socket in call.ready] for call in calls[-4:]] == [
        [(3, 1, None), (4, 4, CLIENT)],
        [(4, 0x11, CLIENT)],
        [(4, 0, CLIENT)],
        [],
    ]


def test_a_wait_for_a_listener_belongs_to_the_connection_accepted_next() -> None:
    calls = CallResolver().feed(
        [
            recorded(1, 20, "socket", 3, 3, text="AF_INET|SOCK_STREAM"),
            recorded(1, 30, "bind", 3, answer="127.0.0.1|8001"),
            recorded(1, 40, "select", -1, 1, text="r3", answer="r3"),
            recorded(1, 50, "accept", 3, 4, answer="127.0.0.1|8001|127.0.0.1|50000"),
            recorded(1, 60, "select", -1, 2, text="r3,4", answer="r3,4"),
            recorded(1, 70, "accept", 3, 5, answer="127.0.0.1|8001|127.0.0.1|50001"),
        ]
    )
    index = CallIndex(calls)
    first, second = (
        [call.enter_ns for _, call in index.of("TCP", client, SERVER, (35, 80)) if call.name == "select"]
        for client in (CLIENT, ("127.0.0.1", 50001))
    )
    assert (first, second) == ([40, 60], [60])


def test_descriptors_that_may_be_cut_are_not_guessed() -> None:
    sockets = [recorded(1, fd, "socket", fd, fd, text="AF_INET|SOCK_STREAM") for fd in range(3, 40)]
    text = "r" + ",".join(map(str, range(3, 40)))
    wait = recorded(1, 100, "select", -1, 37, text=text[:40], answer=text[:64])
    [*_, call] = CallResolver().feed([*sockets, wait])
    assert [socket.fd for socket in call.ready] == list(range(3, 26))


@pytest.mark.parametrize("flag", [F | A, R | A])
def test_who_never_closes_has_its_process_end(flag: int) -> None:
    calls = CallResolver().feed([call for call in CONVERSATION if not (call.process == 1 and call.name == "close")])
    passages = [passage if passage.packet != 6 else passage._replace(flags=flag) for passage in PASSAGES]
    [ended] = [
        each
        for each in linked(CallIndex(calls).of("TCP", CLIENT, SERVER, (120, 245)), passages)
        if each.call.name == EXIT
    ]
    assert (ended.side, ended.packets, ended.call.process, ended.known) == (Side.SERVER, (6,), 1, Known.INFERRED)


def test_what_is_not_recorded_has_no_end_either() -> None:
    calls = CallResolver().feed([call for call in CONVERSATION if call.process == 2])
    assert EXIT not in [
        each.call.name for each in linked(CallIndex(calls).of("TCP", CLIENT, SERVER, (120, 245)), PASSAGES)
    ]


def test_calls_are_saved_for_their_owner_and_not_through_a_link(tmp_path: Path) -> None:
    precious, path = tmp_path / "precious", tmp_path / "trace.calls.jsonl"
    precious.write_text("precious")
    path.symlink_to(precious)
    with pytest.raises(FileProblem, match=r"trace\.calls\.jsonl"):
        journal.save(path, [])
    assert precious.read_text() == "precious"
    path.unlink()
    journal.save(path, [])
    assert path.stat().st_mode & 0o777 == 0o600


def test_calls_are_kept_beside_a_capture(tmp_path: Path) -> None:
    calls = CallResolver().feed(CONVERSATION)
    path = journal.path_beside(str(tmp_path / "trace.pcapng.gz"))
    assert path.name == "trace.calls.jsonl"
    journal.save(path, calls)
    assert journal.load(path) == (calls, None)


@given(st.integers(0, 3000), st.binary(max_size=20))
def test_a_torn_file_gives_what_comes_before(tmp_path_factory: pytest.TempPathFactory, at: int, damage: bytes) -> None:
    calls = CallResolver().feed(CONVERSATION)
    path = tmp_path_factory.mktemp("torn") / "trace.calls.jsonl"
    journal.save(path, calls)
    whole = path.read_bytes()
    at = min(at, len(whole))
    path.write_bytes(whole[:at] + damage)
    loaded, problem = journal.load(path)
    complete = whole[:at].count(b"\n")
    assert loaded[:complete] == calls[:complete]
    assert problem is None or "trace.calls.jsonl" in str(problem)


@pytest.mark.parametrize(
    ("sizes", "receives", "taken"),
    [
        ([10, 21, 4], [(100, 10), (100, 21), (100, 4)], [(0, 10), (10, 31), (31, 35)]),
        ([10, 21, 4], [(100, 10), (5, 5), (100, 4)], [(0, 10), (10, 15), (31, 35)]),  # the second one is cut
        ([10, 21, 4], [(100, 10), (100, 4)], [(0, 10), (31, 35)]),  # the second one was dropped
        ([7, 7], [(7, 7), (7, 7)], [(0, 7), (7, 14)]),
        ([], [(100, 3)], [(0, 3)]),  # not captured
    ],
)
def test_a_receive_takes_one_datagram(
    sizes: list[int], receives: list[tuple[int, int]], taken: list[tuple[int, int]]
) -> None:
    ends = [sum(sizes[: at + 1]) for at in range(len(sizes))]
    bounds = zip(sizes, ends, strict=True)
    passages = [Passage(at, at, Side.CLIENT, Flag(0), (end - size, end)) for at, (size, end) in enumerate(bounds, 1)]
    calls = [
        SocketCall(1, 1, "recvfrom", 3, 1, 100 + at, 101 + at, asked=asked, returned=returned, protocol="UDP")
        for at, (asked, returned) in enumerate(receives)
    ]
    assert [call.offsets for call in linked([(Side.SERVER, call) for call in calls], passages)] == taken
