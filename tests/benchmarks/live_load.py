"""How many packets a live capture keeps under load, and what it costs, beside tcpdump.

    python tests/benchmarks/live_load.py [PACKETS_PER_SECOND ...]

Small UDP datagrams are sent on loopback of a private network, captured once by inspector's ring (frames are counted,
not decoded) and once by ``tcpdump -w /dev/null``. Printed for each: sent, kept, dropped by the kernel, CPU seconds of
the capturing process. tcpdump needs root (a program in the private network has no rights otherwise).
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


def measure_tcpdump(packets_per_second: int) -> None:
    """Let tcpdump write the same to nowhere and read its report."""
    with PrivateNetwork() as network, tempfile.TemporaryFile("w+") as report:
        tcpdump = network.start(["tcpdump", "-i", "lo", "-nn", "-w", "/dev/null"], stderr=report)
        while "listening on" not in _text(report):
            time.sleep(0.05)
        run_senders(network, packets_per_second)
        time.sleep(1.5)  # tcpdump is handed a block of its ring after a second at the latest
        cpu = _cpu_seconds(tcpdump.pid)
        tcpdump.stop(grace_seconds=5)
        kept, dropped = (
            re.search(rf"(\d+) packets {what}", _text(report)) for what in ("captured", "dropped by kernel")
        )
        print(f"  tcpdump   {kept and kept[1]} kept, {dropped and dropped[1]} dropped, {cpu:.2f} s CPU")


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
        if os.geteuid() == 0 and shutil.which("tcpdump"):
            measure_tcpdump(packets_per_second)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--send"]:
        send(int(sys.argv[2]))
    else:
        main()
