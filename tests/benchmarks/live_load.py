"""How many packets a live capture keeps under load, and what it costs, beside tcpdump, dumpcap and scapy's sniff.

    python tests/benchmarks/live_load.py [PACKETS_PER_SECOND ...]

Small UDP datagrams are sent on loopback of a private network, captured once by inspector's ring (frames are counted,
not decoded) and once by each of the others, which write to /dev/null or only count. Printed for each: sent, kept, CPU
seconds of the capturing process. The others need root (a program in the private network has no rights otherwise).
scapy's socket sees each frame of loopback twice, leaving and arriving: half of what it counts is kept.
"""

import os
import re
import shutil
import socket
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import NamedTuple

from inspector.capture.live import LiveCapture
from inspector.sandbox import PrivateNetwork

SECONDS = 3
SENDERS = 2
PORT = 9
PAYLOAD = b"x" * 18
OPEN_SOCKET = "inspector.capture.scapy_socket:open_socket"


def send(packets_per_second: int) -> None:
    """In the private network: send at that rate, in bursts of a millisecond; print how many were sent."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as listener, socket.socket(type=socket.SOCK_DGRAM) as sender:
        listener.bind(("127.0.0.1", 0))
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 0)
        sender.connect(listener.getsockname())
        burst = range(packets_per_second // 1000)
        begin = time.monotonic()
        for tick in range(SECONDS * 1000):
            for _ in burst:
                sender.send(PAYLOAD)
            time.sleep(max(0.0, begin + (tick + 1) / 1000 - time.monotonic()))
        print(len(burst) * SECONDS * 1000, f"{time.monotonic() - begin:.2f}")


def run_senders(network: PrivateNetwork, packets_per_second: int) -> int:
    """Run the senders to their end; the number of packets sent."""
    with tempfile.TemporaryFile("w+") as output:
        command = [sys.executable, __file__, "--send", str(packets_per_second // SENDERS)]
        for program in [network.start(command, stdout=output) for _ in range(SENDERS)]:
            program.wait()
        output.seek(0)
        lines = [line.split() for line in output]
    slowest = max(float(seconds) for _, seconds in lines)
    sent = sum(int(count) for count, _ in lines)
    print(f"  {sent} sent, {sent / slowest:,.0f} packets/s", end="")
    return sent


def measure_inspector(packets_per_second: int) -> None:
    """Count the frames that arrive through the ring."""
    with PrivateNetwork(OPEN_SOCKET) as network, LiveCapture.from_fd(network.capture_fd or -1, "lo") as capture:
        kept = batches = 0
        cpu = time.process_time()

        def load() -> None:
            run_senders(network, packets_per_second)
            capture.stop()

        sending = threading.Thread(target=load)
        sending.start()
        for batch in capture.batches():
            kept += len(batch)
            batches += len(batch) > 0
        sending.join()
        cpu = time.process_time() - cpu
        print(f"  inspector {kept} kept, {capture.statistics().dropped} dropped, {cpu:.2f} s CPU, {batches} batches")


class Rival(NamedTuple):
    """Another program that captures: how it is started, what it prints when it is ready, and its count at the end."""

    command: list[str]
    ready: str
    kept: str
    copies: int = 1  # of each frame


_SNIFF = """
import signal, sys
from scapy.config import conf
conf.route_autoload = False
from scapy.all import AsyncSniffer
count = 0
def each(packet):
    global count
    count += 1
def say(words):
    print(words, file=sys.stderr, flush=True)
sniffer = AsyncSniffer(iface="lo", store=False, prn=each, started_callback=lambda: say("ready"))
sniffer.start()
signal.signal(signal.SIGINT, lambda *_: (say(f"{count} packets"), sys.exit()))
signal.signal(signal.SIGTERM, signal.getsignal(signal.SIGINT))
while True:
    signal.pause()
"""
RIVALS = {
    "tcpdump": Rival(["tcpdump", "-i", "lo", "-nn", "-w", "/dev/null"], "listening on", r"(\d+) packets captured"),
    "dumpcap": Rival(["dumpcap", "-q", "-i", "lo", "-w", "/dev/null"], "File:", r"Packets captured: (\d+)"),
    "scapy": Rival([sys.executable, "-c", _SNIFF], "ready", r"(\d+) packets", copies=2),
}


def measure(name: str, packets_per_second: int) -> None:
    """Let another program capture the same, and read its report."""
    rival = RIVALS[name]
    with PrivateNetwork() as network, tempfile.TemporaryFile("w+") as report:
        capturing = network.start(rival.command, stderr=report)
        while rival.ready not in _text(report):
            time.sleep(0.05)
        sent = run_senders(network, packets_per_second)
        time.sleep(1.5)  # libpcap hands over a block of its ring after a second at the latest
        cpu = _cpu_seconds(capturing.pid)
        capturing.stop(grace_seconds=5)
        found = re.search(rival.kept, _text(report))
        kept = int(found[1]) // rival.copies if found else 0
        print(f"  {name:<9} {kept} kept, {max(sent - kept, 0)} missing, {cpu:.2f} s CPU")


def _text(report) -> str:  # type: ignore[no-untyped-def]
    report.seek(0)
    return report.read()


def _cpu_seconds(pid: int) -> float:
    user, system = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:13]
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


def main() -> None:
    """Measure at each rate."""
    for packets_per_second in [int(word) for word in sys.argv[1:]] or [100_000, 300_000]:
        print(f"{packets_per_second:,} packets/s asked for, {SENDERS} senders, {SECONDS} s")
        measure_inspector(packets_per_second)
        for name, rival in RIVALS.items():
            if os.geteuid() == 0 and shutil.which(rival.command[0]):
                measure(name, packets_per_second)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--send"]:
        send(int(sys.argv[2]))
    else:
        main()
