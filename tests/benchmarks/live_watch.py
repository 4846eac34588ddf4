"""What ``inspector watch`` keeps, costs and shows while loopback is busy, beside tcpdump. Needs root and tcpdump.

    python tests/benchmarks/live_watch.py [PACKETS_PER_SECOND]

Small UDP datagrams are sent on loopback; meanwhile a client talks to port 8001, which is all that is watched. Printed:
packets captured and dropped, CPU seconds of each program, and how long after its sending each message was shown.
"""

import os
import re
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

SECONDS = 5
SENDERS = 2
PORT = 8001
INSPECTOR = [str(Path(sys.executable).with_name("inspector")), "watch", "--port", str(PORT), "--width", "100"]
TCPDUMP = ["tcpdump", "-i", "lo", "-n", "-w", "/dev/null"]


def send(packets_per_second: int) -> None:
    """Send at that rate in bursts of a millisecond; print how many per second it came to."""
    with socket.socket(type=socket.SOCK_DGRAM) as listener, socket.socket(type=socket.SOCK_DGRAM) as sender:
        listener.bind(("127.0.0.1", 0))
        sender.connect(listener.getsockname())
        burst = range(packets_per_second // 1000)
        begin = time.monotonic()
        for tick in range(SECONDS * 1000):
            for _ in burst:
                sender.send(b"x" * 18)
            time.sleep(max(0.0, begin + (tick + 1) / 1000 - time.monotonic()))
        print(int(len(burst) * SECONDS * 1000 / (time.monotonic() - begin)))


def talk(sent_at: dict[str, float]) -> None:
    """A message a fifth of a second, each with its own words."""
    with socket.create_server(("127.0.0.1", PORT)) as listener, socket.create_connection(("127.0.0.1", PORT)) as client:
        server, _ = listener.accept()
        with server:
            for number in range(5 * SECONDS):
                sent_at[f"message-{number:03}"] = time.monotonic()
                client.sendall(f"message-{number:03}".encode())
                server.recv(100)
                time.sleep(0.2)


def read(screen: "subprocess.Popen[str]", shown_at: dict[str, float]) -> None:
    """Note when each message comes to the screen."""
    assert screen.stdout is not None
    for line in screen.stdout:
        for word in re.findall(r"message-\d{3}", line):
            shown_at.setdefault(word, time.monotonic())


def measure(packets_per_second: int) -> None:
    """One run of both programs under the same load."""
    sent_at: dict[str, float] = {}
    shown_at: dict[str, float] = {}
    with (
        subprocess.Popen(INSPECTOR, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as ours,
        subprocess.Popen(TCPDUMP, stderr=subprocess.PIPE, text=True) as theirs,
    ):
        assert ours.stderr is not None
        assert theirs.stderr is not None
        ours.stderr.readline()
        theirs.stderr.readline()
        reader = threading.Thread(target=read, args=(ours, shown_at))
        talker = threading.Thread(target=talk, args=(sent_at,))
        for thread in (reader, talker):
            thread.start()
        command = [sys.executable, __file__, "--send", str(packets_per_second // SENDERS)]
        senders = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(SENDERS)]
        rates = [int(sender.communicate()[0]) for sender in senders]
        talker.join()
        for program in (ours, theirs):
            program.terminate()
        reader.join()
        usages = [os.wait4(program.pid, 0)[2] for program in (ours, theirs)]
        ours.returncode = theirs.returncode = 0
        print(f"load: {sum(rates):,} datagrams/s, seen by a capture as that many packets")
        print(f"inspector: {ours.stderr.read().strip()}")
        print(f"tcpdump: {' '.join(theirs.stderr.read().split())}")
        cpu = [usage.ru_utime + usage.ru_stime for usage in usages]
        print(f"CPU: inspector {cpu[0]:.2f} s, tcpdump {cpu[1]:.2f} s, ratio {cpu[0] / cpu[1]:.1f}")
        late = sorted(shown_at[word] - at for word, at in sent_at.items() if word in shown_at)
        print(
            f"on the screen: {len(late)} of {len(sent_at)}, median {late[len(late) // 2]:.3f} s, last {late[-1]:.3f} s"
        )


if __name__ == "__main__":
    if sys.argv[1:2] == ["--send"]:
        send(int(sys.argv[2]))
    else:
        measure(int(sys.argv[1]) if len(sys.argv) > 1 else 100_000)
