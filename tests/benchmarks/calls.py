"""What recording socket calls costs, that nothing of them is lost, and how fast they are drawn.

python tests/benchmarks/calls.py [--trips N]
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from measuring import INSPECTOR

from inspector.calls.spool import CallSpool

CALLS = 200_000
MOST_US_A_CALL = 10
DRAWN_TRIPS = 5_000  # two packets and four calls each
MOST_DRAWING_S = 2.0

SEND_AND_RECEIVE = f"""
import socket, time
one, other = socket.socketpair()
data = bytes(100)
begin = time.perf_counter()
for _ in range({CALLS} // 2):
    one.send(data)
    other.recv(200)
print(time.perf_counter() - begin)
"""
SERVER = """
import socket
with socket.create_server(("127.0.0.1", 8001)) as listener:
    connection, _ = listener.accept()
    with connection:
        while data := connection.recv(100):
            connection.sendall(data)
"""
CLIENT = """
import socket, sys
with socket.create_connection(("127.0.0.1", 8001)) as connection:
    for number in range(int(sys.argv[1])):
        connection.sendall(b"%08d" % number)
        connection.recv(100)
"""


def seconds_a_call(environment: dict[str, str]) -> float:
    """How long a send() or recv() takes in a program of its own."""
    output = subprocess.run([sys.executable, "-c", SEND_AND_RECEIVE], env=environment, capture_output=True, check=True)
    return float(output.stdout) / CALLS


def recorder_cost() -> None:
    """The recorded beside the unrecorded, in turn."""
    plain, recorded = [], []
    for _ in range(5):
        plain.append(seconds_a_call(dict(os.environ)))
        with tempfile.TemporaryDirectory() as folder:
            spool = CallSpool(Path(folder))
            recorded.append(seconds_a_call(spool.environment(dict(os.environ))))
            spool.close()
    cost_us = (min(recorded) - min(plain)) * 1e6
    verdict = "holds" if cost_us <= MOST_US_A_CALL else "falls short"
    print(
        f"a call: {min(plain) * 1e6:.2f} us, recorded {min(recorded) * 1e6:.2f} us: "
        f"{min(recorded) / min(plain):.2f} times"
    )
    print(f"recording costs {cost_us:.2f} us a call, at most {MOST_US_A_CALL}: {verdict}")


def run(trips: int, folder: str) -> tuple[str, float]:
    """Record that many round trips; the saved capture, and how long that took."""
    capture = str(Path(folder) / f"{trips}.pcapng")
    command = [INSPECTOR, "run", "--write", capture, "--", sys.executable, "-c", SERVER, "--and"]
    begin = time.perf_counter()
    with Path(folder, "picture").open("wb") as picture:
        subprocess.run([*command, sys.executable, "-c", CLIENT, str(trips)], stdout=picture, check=True)
    return capture, time.perf_counter() - begin


def nothing_lost(trips: int, folder: str) -> None:
    """Every call and every byte of many round trips."""
    capture, seconds = run(trips, folder)
    calls = [json.loads(line)["name"] for line in Path(capture).with_suffix(".calls.jsonl").open(encoding="ascii")]
    sent, received = calls.count("sendall"), calls.count("recv")
    packets = subprocess.run([INSPECTOR, "packets", "--json", capture], capture_output=True, check=True).stdout
    payloads = sum(json.loads(line)["payload_bytes"] == 8 for line in packets.splitlines())
    complete = (sent, received, payloads) == (2 * trips, 2 * trips + 1, 2 * trips)
    print(
        f"{trips:,} round trips in {seconds:.1f} s: {sent:,} sendall, {received:,} recv, "
        f"{payloads:,} segments with data"
    )
    print("nothing is lost" if complete else "SOMETHING IS LOST")


def drawing(folder: str) -> None:
    """The ladder of many packets with as many calls."""
    capture, _ = run(DRAWN_TRIPS, folder)
    for where in ("off", "rows", "auto"):
        command = [INSPECTOR, "replay", capture, "--width", "140", "--unfold", "--calls", where]
        begin = time.perf_counter()
        lines = subprocess.run(command, capture_output=True, check=True).stdout.count(b"\n")
        seconds = time.perf_counter() - begin
        verdict = "holds" if seconds <= MOST_DRAWING_S else "falls short"
        print(f"--calls {where}: {lines:,} lines in {seconds:.2f} s, at most {MOST_DRAWING_S}: {verdict}")


def main() -> None:
    """Measure all three."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trips", type=int, default=50_000, metavar="N")
    options = parser.parse_args()
    recorder_cost()
    with tempfile.TemporaryDirectory() as folder:
        nothing_lost(options.trips, folder)
        drawing(folder)


if __name__ == "__main__":
    main()
