"""What ``inspector watch --write`` costs beside ``tcpdump -w`` when packets flood in. Needs root and tcpdump.

    python tests/benchmarks/live_write.py [SECONDS [PACKETS_PER_SECOND]]

Small UDP datagrams on loopback of a network of their own, for each program in turn. Printed for each: sent, in the
file, dropped by the kernel, CPU seconds until it watches and from then on; and the ratio.
"""

import os
import re
import resource
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

from live_soak import IN_A_NETWORK

from inspector.trace.trace import Trace

SENDERS = 2
ROUNDS = 3
SEND = """
import socket, sys, time
seconds, rate = map(int, sys.argv[1:])
with socket.socket(type=socket.SOCK_DGRAM) as listener, socket.socket(type=socket.SOCK_DGRAM) as sender:
    listener.bind(("127.0.0.1", 0))
    sender.connect(listener.getsockname())
    burst, begin = range(rate // 1000), time.monotonic()
    for tick in range(seconds * 1000):
        for _ in burst:
            sender.send(b"x" * 18)
        time.sleep(max(0.0, begin + (tick + 1) / 1000 - time.monotonic()))
    print(len(burst) * seconds * 1000)
"""
PROGRAMS = {
    "inspector": [str(Path(sys.executable).with_name("inspector")), "watch", "--width", "100", "--write"],
    "tcpdump": ["tcpdump", "-i", "lo", "-nn", "-w"],
}


class Cost(NamedTuple):
    """CPU seconds of one run."""

    starting: float
    watching: float


def cpu_seconds(pid: int) -> float:
    user, system = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:13]
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


def measure(name: str, seconds: int, rate: int) -> Cost:
    """Run one program under the load."""
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryFile() as shown:
        path = Path(folder, "written.pcap")
        with subprocess.Popen([*PROGRAMS[name], path], stdout=shown, stderr=subprocess.PIPE, text=True) as program:
            assert program.stderr is not None
            program.stderr.readline()
            starting = cpu_seconds(program.pid)
            send = [sys.executable, "-c", SEND, str(seconds), str(rate // SENDERS)]
            senders = [subprocess.Popen(send, stdout=subprocess.PIPE, text=True) for _ in range(SENDERS)]
            sent = sum(int(sender.communicate()[0]) for sender in senders)
            sending = resource.getrusage(resource.RUSAGE_CHILDREN)
            program.terminate()
            told = program.stderr.read()
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        whole = after.ru_utime + after.ru_stime - sending.ru_utime - sending.ru_stime
        with Trace.read(str(path)) as trace:
            written = len(trace)
    dropped = re.search(r"(\d[\d,]*) packets dropped|dropped by the kernel (\d[\d,]*)", told)
    lost = next(filter(None, dropped.groups())) if dropped else "?"
    cpu = f"{starting:.2f} + {whole - starting:.2f} s"
    print(f"{name:9}  {sent:,} sent, {written:,} in the file, {lost} dropped, CPU {cpu}")
    return Cost(starting, whole - starting)


def main() -> None:
    """Measure both in turn; of each the cheapest run, which other work has disturbed least."""
    numbers = [int(word) for word in sys.argv[1:] if word.isdecimal()]
    seconds, rate = [*numbers, *(10, 300_000)[len(numbers) :]]
    if "--inside" not in sys.argv:
        command = [*IN_A_NETWORK, sys.executable, __file__, "--inside", str(seconds), str(rate)]
        sys.exit(subprocess.run(command, check=False).returncode)
    costs: dict[str, list[Cost]] = {name: [] for name in PROGRAMS}
    for _ in range(ROUNDS):
        for name in PROGRAMS:
            costs[name].append(measure(name, seconds, rate))
    least = {name: min(each.watching for each in costs[name]) for name in PROGRAMS}
    whole = {name: min(map(sum, costs[name])) for name in PROGRAMS}
    print(f"CPU of inspector to tcpdump: {least['inspector'] / least['tcpdump']:.1f} once it watches, ", end="")
    print(f"{whole['inspector'] / whole['tcpdump']:.1f} with its start")


if __name__ == "__main__":
    main()
