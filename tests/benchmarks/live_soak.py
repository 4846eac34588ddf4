"""Whether ``inspector watch`` keeps its size while connections come and go. Needs root.

    python tests/benchmarks/live_soak.py [SECONDS [CONNECTIONS_PER_SECOND]]

Short connections on loopback of a network of their own, each with a question and an answer. Printed: memory of the
watch as it goes on, and at the end what it counted beside what was sent.
"""

import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

INSPECTOR = [str(Path(sys.executable).with_name("inspector")), "watch", "--width", "100"]
PORTS = range(9_001, 9_017)  # many, so that no pair of ports is used again while it is in TIME-WAIT
EVERY_S = 5
IN_A_NETWORK = ["unshare", "--net", "sh", "-c", 'ip link set lo up && exec "$@"', "-"]


def serve(listener: socket.socket) -> None:
    """Answer each connection and close it."""
    while True:
        connection, _ = listener.accept()
        connection.sendall(connection.recv(100))
        connection.close()


def connect(seconds: int, rate: int) -> int:
    """Connections at that rate, in bursts of ten milliseconds; how many there were."""
    made, begin = 0, time.monotonic()
    for tick in range(100 * seconds):
        for _ in range(rate // 100):
            with socket.create_connection(("127.0.0.1", PORTS[made % len(PORTS)])) as client:
                client.sendall(b"question")
                while client.recv(100):
                    pass
            made += 1
        time.sleep(max(0.0, begin + (tick + 1) / 100 - time.monotonic()))
    return made


def load(seconds: int, rate: int) -> None:
    """Serve and connect; print how many connections there were, and how long it took."""
    for port in PORTS:
        listener = socket.create_server(("127.0.0.1", port), backlog=1_000)
        threading.Thread(target=serve, args=(listener,), daemon=True).start()
    begin = time.monotonic()
    print(connect(seconds, rate), f"{time.monotonic() - begin:.1f}")


def resident_bytes(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def measure(seconds: int, rate: int) -> None:
    """Watch the load, and the watch."""
    with (
        tempfile.TemporaryFile("w+") as shown,
        subprocess.Popen(INSPECTOR, stdout=shown, stderr=subprocess.PIPE, text=True) as watch,
    ):
        assert watch.stderr is not None
        watch.stderr.readline()
        command = [sys.executable, __file__, "--load", str(seconds), str(rate)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as sending:
            begin = time.monotonic()
            while sending.poll() is None:
                time.sleep(EVERY_S)
                print(f"{time.monotonic() - begin:4.0f} s  {resident_bytes(watch.pid) / 1e6:6.1f} MB", flush=True)
            made, took = (sending.stdout.read() if sending.stdout else "").split()
        watch.terminate()
        print(f"{made} connections in {took} s")
        print(watch.stderr.read().strip())
        shown.seek(0)
        print(*shown.read().splitlines()[-4:], sep="\n")


if __name__ == "__main__":
    numbers = [int(word) for word in sys.argv[1:] if word.isdecimal()]
    seconds, rate = [*numbers, *(60, 3_000)[len(numbers) :]]
    if "--load" in sys.argv:
        load(seconds, rate)
    elif "--inside" in sys.argv:
        measure(seconds, rate)
    else:
        command = [*IN_A_NETWORK, sys.executable, __file__, "--inside", str(seconds), str(rate)]
        sys.exit(subprocess.run(command, check=False).returncode)
