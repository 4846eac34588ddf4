"""Records what loopback cannot show, over a wire of our own: docs/record_wire.py FOLDER, in a network namespace.

    unshare -Urn .venv/bin/python docs/record_wire.py captures

Two namespaces with a virtual network card each; this process carries the frames between the other ends, 20 ms each way,
and writes them down as the client's end sees them. On the way it can mark a packet (ECN), or bring one twice
(a SYN that is late).
"""

import ctypes
import fcntl
import heapq
import os
import select
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

HERE, THERE, PORT = "10.9.1.1", "10.9.1.2", 8001
DELAY_S, QUIET_S = 0.020, 1.5
NEW_NETWORK = 0x40000000
SIOCETHTOOL, OFFLOADS = 0x8946, (0x17, 0x1F, 0x24, 0x2C)  # checksums, TSO, GSO, GRO
TCP_CONGESTION = 13
ALL_FRAMES, OUTGOING, SYN = 0x0003, 4, 2

Frame = bytes
Meddler = Callable[[Frame, bool, int], list[Frame]]


def carried(frame: Frame, to_server: bool, nth: int) -> list[Frame]:
    """As it is."""
    return [frame]


def congested(frame: Frame, to_server: bool, nth: int) -> list[Frame]:
    """The twelfth segment with data is marked: both ECN bits are set, and the IP checksum is right again."""
    return [marked(frame)] if to_server and nth == 12 else [frame]


def marked(frame: Frame) -> Frame:
    header = bytearray(frame[14:34])
    header[1] |= 3
    header[10:12] = b"\0\0"
    header[10:12] = checksum(bytes(header))
    return frame[:14] + bytes(header) + frame[34:]


def repeated(first: list[Frame]) -> Meddler:
    """The client's SYN comes once more, late: when the connection has long been open and both sides are quiet."""

    def meddle(frame: Frame, to_server: bool, nth: int) -> list[Frame]:
        if to_server and frame[12:14] == b"\x08\0" and frame[47] == SYN:
            first.append(frame)
        if to_server and nth == 2 and not payload_of(frame) and first:
            return [frame, first.pop()]
        return [frame]

    return meddle


def checksum(data: bytes) -> bytes:
    total = sum(struct.unpack(f">{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return struct.pack(">H", 0xFFFF - total)


def payload_of(frame: Frame) -> int:
    """Bytes of a TCP segment over IPv4; 0 for any other frame."""
    if frame[12:14] != b"\x08\0" or frame[23] != 6:
        return 0
    return int.from_bytes(frame[16:18], "big") - 20 - (frame[46] >> 4) * 4


def host(name: str, address: str, program: Callable[[], None], settings: dict[str, str]) -> tuple[int, int]:
    """A process with a network of its own that waits for a byte, then runs the program; its pid and the pipe."""
    ready, start = os.pipe()
    told, tell = os.pipe()
    pid = os.fork()
    if pid:
        os.read(told, 1)
        subprocess.run(["ip", "link", "set", name, "netns", str(pid)], check=True)
        return pid, start
    ctypes.CDLL(None).unshare(NEW_NETWORK)
    os.write(tell, b".")
    os.read(ready, 1)
    subprocess.run(["ip", "addr", "add", f"{address}/24", "dev", name], check=True)
    subprocess.run(["ip", "link", "set", name, "up"], check=True)
    for setting, value in settings.items():
        Path("/proc/sys/net/ipv4", setting).write_text(value)
    without_offloads(name)
    os.read(ready, 1)
    program()
    time.sleep(2 * QUIET_S)  # with the process its network ends, and what TCP still has to say
    os._exit(0)


def without_offloads(name: str) -> None:
    """Frames as a network card would put them on the cable."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        for command in OFFLOADS:
            value = ctypes.create_string_buffer(struct.pack("II", command, 0))
            request = struct.pack("16sP", name.encode(), ctypes.addressof(value))
            fcntl.ioctl(any_socket, SIOCETHTOOL, request)


def wire(file: Path, meddle: Meddler) -> None:
    """Carry frames until nobody has sent one for a while."""
    ends = [socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ALL_FRAMES)) for _ in range(2)]
    for end, name in zip(ends, ("va", "vb"), strict=True):
        end.bind((name, 0))
    counts, under_way, written, until = [0, 0], [], [], time.monotonic() + 4 * QUIET_S
    while time.monotonic() < until:
        wait = max(0.0, under_way[0][0] - time.monotonic()) if under_way else 0.01
        for end in select.select(ends, [], [], wait)[0]:
            frame, (_, _, kind, _, _) = end.recvfrom(65536)
            to_server = end is ends[0]
            if kind == OUTGOING or frame[12:14] == b"\x86\xdd":
                continue
            until = time.monotonic() + QUIET_S
            counts[to_server] += bool(payload_of(frame))
            for each in meddle(frame, to_server, counts[to_server]):
                heapq.heappush(under_way, (time.monotonic() + DELAY_S, len(written), to_server, each))
                written.append((time.time_ns(), each) if to_server else None)
        while under_way and under_way[0][0] <= time.monotonic():
            _, _, to_server, frame = heapq.heappop(under_way)
            ends[to_server].send(frame)
            if not to_server:
                written.append((time.time_ns(), frame))
    with file.open("wb") as out:
        out.write(struct.pack("<IHHiIII", 0xA1B23C4D, 2, 4, 0, 0, 262144, 1))
        for at, frame in sorted(each for each in written if each is not None):
            out.write(struct.pack("<IIII", at // 10**9, at % 10**9, len(frame), len(frame)) + frame)


def record(file: Path, meddle: Meddler, server: Callable[[], None], client: Callable[[], None], ecn: int) -> None:
    """One capture."""
    for name in ("a", "b"):
        subprocess.run(["ip", "link", "del", f"v{name}"], check=False, stderr=subprocess.DEVNULL)  # of the one before
        subprocess.run(["ip", "link", "add", f"v{name}", "type", "veth", "peer", "name", f"i{name}"], check=True)
        subprocess.run(["ip", "link", "set", f"v{name}", "up"], check=True)
    settings = {"tcp_ecn": str(ecn), "tcp_no_metrics_save": "1", "ip_local_port_range": "40001 40100"}
    hosts = [host("ib", THERE, server, settings), host("ia", HERE, client, settings)]
    for _, start in hosts:
        os.write(start, b".")
    time.sleep(0.5)
    os.write(hosts[0][1], b".")
    time.sleep(0.2)
    os.write(hosts[1][1], b".")
    wire(file, meddle)
    for pid, _ in hosts:
        os.waitpid(pid, 0)


def reads_all() -> None:
    with socket.create_server((THERE, PORT)) as listener:
        connection, _ = listener.accept()
        with connection:
            while connection.recv(65536):
                pass


def sends(count: int) -> Callable[[], None]:
    def client() -> None:
        with socket.socket() as connection:
            connection.setsockopt(socket.IPPROTO_TCP, TCP_CONGESTION, b"reno")
            connection.connect((THERE, PORT))
            connection.sendall(bytes(range(256)) * (count // 256))
            connection.shutdown(socket.SHUT_WR)
            connection.recv(1)

    return client


def answers_lines() -> None:
    with socket.create_server((THERE, PORT)) as listener:
        connection, _ = listener.accept()
        with connection:
            while line := connection.recv(1024):
                connection.sendall(line.upper())


def asks_thrice() -> None:
    with socket.create_connection((THERE, PORT)) as connection:
        for _ in range(3):
            connection.sendall(b"hello\n")
            connection.recv(1024)
            time.sleep(0.1)


def main(folder: Path) -> None:
    record(folder / "slow-start.pcap", carried, reads_all, sends(153_600), 0)
    record(folder / "ecn.pcap", congested, reads_all, sends(76_800), 1)
    record(folder / "challenge-ack.pcap", repeated([]), answers_lines, asks_thrice, 0)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
