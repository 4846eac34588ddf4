"""Live capture on real interfaces: each test runs in a network of its own, as root or not."""

import contextlib
import fcntl
import functools
import json
import os
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from inspector.capture.batch import FrameBatch, FrameStatus
from inspector.capture.live import LiveCapture, open_socket
from inspector.capture.ring import Ring
from inspector.capture.socket_frames import MessageReader
from inspector.sandbox import refusal
from inspector.text.problems import LiveProblem, UsageProblem

pytestmark = [
    pytest.mark.live,
    pytest.mark.skipif(sys.platform != "linux", reason="packet sockets are Linux's"),
]

READERS = (Ring, MessageReader)
SYN, SYN_ACK, ACK, PSH_ACK, FIN_ACK = 0x02, 0x12, 0x10, 0x18, 0x11
INSIDE = """
import importlib, json, sys
sys.path[:] = json.loads(sys.argv[1])
from inspector.sandbox.namespaces import enter
enter()
getattr(importlib.import_module(sys.argv[2]), sys.argv[3]).__wrapped__()
"""


def in_private_network(test: Callable[[], None]) -> Callable[[], None]:
    """Run the test in a process that has all rights over a network of its own."""

    @functools.wraps(test)
    def outside() -> None:
        if reason := refusal():
            pytest.skip(f"no private network here: {reason}")
        command = [sys.executable, "-c", INSIDE, json.dumps(sys.path), test.__module__, test.__name__]
        ended = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        assert ended.returncode == 0, ended.stderr
        assert not ended.stderr

    return outside


def frames(batch: FrameBatch) -> list[bytes]:
    """The bytes of each frame, copied."""
    return [
        bytes(batch.buffer[offset : offset + size])
        for offset, size in zip(batch.offset.tolist(), batch.captured_bytes.tolist(), strict=True)
    ]


def rest(capture: LiveCapture) -> list[tuple[bytes, int, int, int]]:
    """Stop and collect what has come: (frame, wire bytes, time, status)."""
    capture.stop()
    return [
        row
        for batch in capture.batches()
        for row in zip(
            frames(batch), batch.wire_bytes.tolist(), batch.time_ns.tolist(), batch.status.tolist(), strict=True
        )
    ]


def converse() -> None:
    """One TCP connection on loopback: hello, echoed, closed by the client first; all in this thread."""
    with (
        socket.create_server(("127.0.0.1", 8001)) as listener,
        socket.create_connection(("127.0.0.1", 8001)) as client,
        listener.accept()[0] as server,
    ):
        client.sendall(b"hello")
        server.sendall(server.recv(100))
        client.recv(100)
        client.shutdown(socket.SHUT_WR)
        server.recv(100)


@contextlib.contextmanager
def udp_pair(host: str = "127.0.0.1") -> Iterator[tuple[socket.socket, socket.socket]]:
    """A sender connected to a receiver that needs no reading."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as receiver, socket.socket(family, socket.SOCK_DGRAM) as sender:
        receiver.bind((host, 8002))
        sender.connect((host, 8002))
        yield sender, receiver


def as_ethernet(payload: bytes, tag: bytes = b"") -> bytes:
    """An Ethernet frame of an experimental type."""
    return bytes(12) + tag + b"\x88\xb5" + payload


@in_private_network
def test_each_packet_comes_once_in_order_at_its_time() -> None:
    for reader in READERS:
        with LiveCapture(open_socket("lo"), "lo", [reader]) as capture:
            before_ns = time.time_ns()
            converse()
            after_ns = time.time_ns()
            rows = rest(capture)
            flags = [frame[47] for frame, *_ in rows]
            times = [time_ns for _, _, time_ns, _ in rows]
            assert flags[:3] == [SYN, SYN_ACK, ACK], flags
            assert flags.count(PSH_ACK) == 2, flags
            assert flags.count(FIN_ACK) == 2, flags
            assert before_ns <= times[0] <= times[-1] <= after_ns, (reader, before_ns, times, after_ns)
            assert times == sorted(times), (reader, times)
            assert all(wire == len(frame) for frame, wire, *_ in rows)
            assert all(status & FrameStatus.CHECKSUM_NOT_READY for *_, status in rows)
            assert capture.statistics() == (len(rows), 0)


@in_private_network
def test_ring_and_messages_and_two_captures_show_the_same() -> None:
    with (
        LiveCapture(open_socket("lo"), "lo", [MessageReader]) as messages,
        LiveCapture(open_socket("lo"), "lo", [Ring]) as ring,
        udp_pair() as (sender, _),
    ):
        converse()
        for size in range(0, 3000, 7):
            sender.send(bytes(size))
        of_ring, of_messages = rest(ring), rest(messages)
        assert len(of_ring) > 430
        # The kernel stamps TCP segments for each socket by itself: times differ by the way from one to the next.
        assert [(frame, wire, status) for frame, wire, _, status in of_ring] == [
            (frame, wire, status) for frame, wire, _, status in of_messages
        ]


@in_private_network
def test_the_largest_frames_are_whole_also_behind_a_filter() -> None:
    payloads = {"127.0.0.1": os.urandom(65_507)}
    if Path("/proc/sys/net/ipv6").exists():
        payloads["::1"] = os.urandom(65_488)
    for reader in READERS:
        for bpf in (None, "udp"):
            with LiveCapture(open_socket("lo", bpf), "lo", [reader]) as capture:
                for host, payload in payloads.items():
                    with udp_pair(host) as (sender, _):
                        sender.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 200_000)
                        sender.send(payload)
                rows = rest(capture)
                assert [wire for _, wire, *_ in rows] == [65_549, 65_550][: len(payloads)]
                for (frame, wire, *_), payload in zip(rows, payloads.values(), strict=True):
                    assert len(frame) == wire
                    assert frame.endswith(payload)


@in_private_network
def test_a_filter_lets_only_its_packets_pass() -> None:
    with LiveCapture.on("lo", "udp port 8002") as capture, udp_pair() as (sender, _):
        converse()
        sender.send(b"kept")
        assert [frame[-4:] for frame, *_ in rest(capture)] == [b"kept"]
        assert capture.statistics() == (1, 0)


@in_private_network
def test_what_the_kernel_drops_is_counted() -> None:
    with LiveCapture.on("lo") as capture, udp_pair() as (sender, _):
        for _ in range(1500):
            sender.send(bytes(65_000))
        kept = len(rest(capture))
        received, dropped = capture.statistics()
        assert received == 1500
        assert dropped > 0
        assert kept == received - dropped
        capture.close()
        assert capture.statistics() == (received, dropped)


@in_private_network
def test_vlan_tags_are_back_in_their_place() -> None:
    tags = [b"\x81\x00\x20\x05", b"\x88\xa8\x00\x07\x81\x00\x00\x08", b""]
    sent = [as_ethernet(bytes([number]) * 100, tag) for number, tag in enumerate(tags)]
    for reader in READERS:
        with (
            LiveCapture(open_socket("lo"), "lo", [reader]) as capture,
            socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as injector,
        ):
            injector.bind(("lo", 0))
            for frame in sent:
                injector.send(frame)
            rows = rest(capture)
            assert [frame for frame, *_ in rows] == sent, reader
            assert [wire for _, wire, *_ in rows] == [len(frame) for frame in sent], reader


@in_private_network
def test_other_interfaces_show_both_directions() -> None:
    from pyroute2 import IPRoute

    with IPRoute() as routing:
        routing.link("add", ifname="left", kind="veth", peer="right")
        for name in ("left", "right"):
            routing.link("set", index=routing.link_lookup(ifname=name)[0], state="up")
    for reader in READERS:
        with (
            LiveCapture(open_socket("left", "ether proto 0x88b5"), "left", [reader]) as left,
            LiveCapture(open_socket("right", "ether proto 0x88b5"), "right", [reader]) as right,
            socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as injector,
        ):
            injector.bind(("left", 0))
            injector.send(as_ethernet(b"over"))
            of_left, of_right = rest(left), rest(right)
            assert [(frame, status & FrameStatus.OUTGOING) for frame, _, _, status in of_left] == [
                (as_ethernet(b"over"), FrameStatus.OUTGOING)
            ]
            assert [(frame, status) for frame, _, _, status in of_right] == [(as_ethernet(b"over"), 0)]


@in_private_network
def test_a_tunnel_gives_raw_ip() -> None:
    if not os.access("/dev/net/tun", os.W_OK):
        return
    tunsetiff, tun_without_header = 0x400454CA, 0x1001
    packet = bytes.fromhex("4500001c000040004011000a0a0000010a000002") + b"\x13\x88\x13\x89\x00\x08\x00\x00"
    with Path("/dev/net/tun").open("r+b", buffering=0) as tunnel:
        fcntl.ioctl(tunnel, tunsetiff, struct.pack("16sH22x", b"tun0", tun_without_header))
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
            fcntl.ioctl(control, 0x8914, struct.pack("16sH22x", b"tun0", 0x1))  # SIOCSIFFLAGS, IFF_UP
        with LiveCapture.on("tun0", "udp") as capture:
            tunnel.write(packet)
            capture.stop()
            batches = [(frames(batch), set(batch.link_type.tolist())) for batch in capture.batches() if len(batch)]
            assert capture.interfaces[0].link_type == 101
            assert batches == [([packet], {101})]


@in_private_network
def test_an_interface_that_goes_down_ends_the_capture_with_all_that_came() -> None:
    for reader in READERS:
        with LiveCapture(open_socket("lo"), "lo", [reader]) as capture, udp_pair() as (sender, _):
            sender.send(b"last words")
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
                flags = struct.pack("16sH22x", b"lo", 0)
                fcntl.ioctl(control, 0x8914, flags)
                payloads = [frame[-10:] for batch in capture.batches() for frame in frames(batch)]
                fcntl.ioctl(control, 0x8914, struct.pack("16sH22x", b"lo", 1))
            assert payloads == [b"last words"], reader
            assert capture.ended is not None
            assert capture.ended.key == "live.interface_down", capture.ended


@in_private_network
def test_an_interface_that_is_removed_ends_the_capture() -> None:
    from pyroute2 import IPRoute

    with IPRoute() as routing:
        routing.link("add", ifname="left", kind="veth", peer="right")
        index = routing.link_lookup(ifname="left")[0]
        routing.link("set", index=index, state="up")
        with LiveCapture.on("left") as capture:
            routing.link("del", index=index)
            for _ in capture.batches():
                pass
            assert capture.ended is not None
            assert "left" in str(capture.ended)


@in_private_network
def test_it_can_be_stopped_at_any_time_also_under_load() -> None:
    for reader in READERS:
        with LiveCapture(open_socket("lo"), "lo", [reader]) as capture, udp_pair() as (sender, _):
            done = threading.Event()

            def load(sender: socket.socket = sender, done: threading.Event = done) -> None:
                while not done.is_set():
                    sender.send(b"more")

            sending = threading.Thread(target=load)
            sending.start()
            kept = 0
            for batch in capture.batches():
                kept += len(batch)
                if kept > 1000:
                    threading.Thread(target=capture.stop).start()
            done.set()
            sending.join()
            assert kept > 1000
        with LiveCapture(open_socket("lo"), "lo", [reader]) as capture:
            signal.signal(signal.SIGALRM, lambda *_, capture=capture: capture.stop())
            signal.setitimer(signal.ITIMER_REAL, 0.01)
            assert not any(len(batch) for batch in capture.batches())


@in_private_network
def test_silence_is_an_empty_batch() -> None:
    for reader in READERS:
        with LiveCapture(open_socket("lo"), "lo", [reader]) as capture:
            silence = next(capture.batches())
            assert len(silence) == 0
            assert silence.time_ns.dtype == np.int64
            assert silence.offset.dtype == np.int64
            assert silence.captured_bytes.dtype == np.uint32
            assert silence.link_type.dtype == np.uint16
            assert silence.status.dtype == np.uint8


@in_private_network
def test_a_frame_comes_without_waiting_for_others() -> None:
    with LiveCapture.on("lo") as capture, udp_pair() as (sender, _):
        batches = capture.batches()
        sender.send(b"one")
        assert [frame[-3:] for frame in next(batch for batch in map(frames, batches) if batch)] == [b"one"]


@in_private_network
def test_a_kept_view_does_not_stand_in_the_way_of_closing() -> None:
    with LiveCapture.on("lo") as capture, udp_pair() as (sender, _):
        sender.send(b"kept")
        batch = next(batch for batch in capture.batches() if len(batch))
        view = np.frombuffer(batch.buffer, np.uint8)
    assert bytes(view[batch.offset[0] :][: batch.captured_bytes[0]])[-4:] == b"kept"


@in_private_network
def test_what_cannot_be_captured_is_said_in_one_line() -> None:
    def refused(kind: type[LiveProblem] | type[UsageProblem], interface: str, bpf: str | None = None) -> str:
        with pytest.raises(kind) as caught:
            open_socket(interface, bpf)
        assert "\n" not in str(caught.value)
        return str(caught.value)

    assert "there are lo" in refused(LiveProblem, "nonesuch0")
    assert "syntax" in refused(UsageProblem, "lo", "tcp prot 80")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        fcntl.ioctl(control, 0x8914, struct.pack("16sH22x", b"lo", 0))
    assert "ip link set lo up" in refused(LiveProblem, "lo")
