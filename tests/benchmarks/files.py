"""What reading a large capture costs, beside tshark and tcptrace.

    python tests/benchmarks/files.py [FILE] [--runs N]

FILE is a capture of TCP packets; without it, a million are generated. All programs take turns, so that what else the
machine does meets all of them.
"""

import argparse
import sys
import tempfile
from pathlib import Path

from generate import PACKETS, generate
from measuring import INSPECTOR, Comparison, Programs, report

FIELDS = """frame.number frame.time_epoch tcp.stream _ws.col.Protocol ip.src ip.dst ipv6.src ipv6.dst tcp.srcport
tcp.dstport frame.len tcp.len tcp.flags tcp.seq_raw tcp.ack_raw tcp.seq tcp.ack tcp.window_size_value tcp.window_size
tcp.analysis.retransmission tcp.analysis.fast_retransmission tcp.analysis.spurious_retransmission
tcp.analysis.out_of_order tcp.analysis.lost_segment tcp.analysis.ack_lost_segment tcp.analysis.duplicate_ack
tcp.analysis.duplicate_ack_num tcp.analysis.zero_window tcp.analysis.zero_window_probe
tcp.analysis.zero_window_probe_ack tcp.analysis.window_update tcp.analysis.window_full tcp.analysis.keep_alive
tcp.analysis.keep_alive_ack tcp.analysis.reused_ports""".split()  # noqa: SIM905

CONVERSATIONS, PACKETS_JSON = "inspector conversations", "inspector packets --json"
ANALYSIS = "the analysis alone"
LAYERS, ONE_PACKET = "inspector layers", "tshark -V"  # of the packet in the middle
CONV_TCP, T_FIELDS, TCPTRACE = "tshark -q -z conv,tcp", "tshark -T fields", "tcptrace -n"

REQUIRED = (
    Comparison(CONVERSATIONS, CONV_TCP, 1 / 5),
    Comparison(CONVERSATIONS, CONV_TCP, 1 / 2, memory=True),
    Comparison(CONVERSATIONS, TCPTRACE, 2),
    Comparison(PACKETS_JSON, T_FIELDS, 1 / 4),
    Comparison(ANALYSIS, T_FIELDS, 1 / 6),
    Comparison(LAYERS, ONE_PACKET, 1 / 2),
)


def programs(capture: str, packet: int = PACKETS // 2) -> Programs:
    """What is run on a capture; ``packet`` is the one that is looked at alone."""
    fields = [word for field in FIELDS for word in ("-e", field)]
    return {
        CONVERSATIONS: [INSPECTOR, "conversations", capture],
        CONV_TCP: ["tshark", "-r", capture, "-q", "-z", "conv,tcp"],
        TCPTRACE: ["tcptrace", "-n", capture],
        LAYERS: [INSPECTOR, "layers", capture, "--packet", str(packet)],
        ONE_PACKET: ["tshark", "-r", capture, "-V", "-c", str(packet), "-Y", f"frame.number=={packet}"],
        ANALYSIS: [sys.executable, str(Path(__file__).with_name("analysis.py")), capture],
        PACKETS_JSON: [INSPECTOR, "packets", capture, "--json"],
        T_FIELDS: ["tshark", "-r", capture, "-T", "fields", *fields],
    }


def main() -> None:
    """Measure on the capture that is given, or on one of a million packets."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("file", type=Path, nargs="?", metavar="FILE")
    parser.add_argument("--runs", type=int, default=5, metavar="N")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        capture = options.file
        if capture is None:
            capture = Path(folder) / "million.pcap"
            generate(capture)
            print(f"{PACKETS:,} packets, {capture.stat().st_size / 1e6:,.0f} MB")
        report(programs(str(capture)), REQUIRED, options.runs)


if __name__ == "__main__":
    main()
