"""Every capture of the corpus against tshark: addresses, ports and the fields of the transport headers.

What cannot be compared is told by rules, not by lists: tshark knows links that are not decoded here, and shows a
transport header at the last fragment of its datagram. Of a packet in a tunnel both have the innermost.
"""

from collections import Counter
from pathlib import Path

import pytest
from decode_building import rows_of
from oracle_rows import CAPTURES, Row, read_rows

from inspector.capture.files import open_capture
from inspector.decode.columns import Mark, Network
from inspector.decode.exceptional import QuotedDatagram
from inspector.decode.fast import Decoder
from inspector.text.problems import FileProblem

_CAPTURES = sorted((CAPTURES / "captures").glob("*/*"))
_DECODED_LINKS = set(
    "eth ethertype vlan ieee8021ad llc fddi sll null ppp raw pppoes mpls pwethheuristic pwethcw arcnet".split()  # noqa: SIM905
)
_PORTS = {"sport": "source_port", "dport": "destination_port"}
_TCP_FIELDS = _PORTS | {"seq_raw": "seq", "ack_raw": "ack", "tcp_len": "payload_bytes", "window": "window"}
Ours = dict[str, int | str]

pytestmark = pytest.mark.skipif(not _CAPTURES, reason="the corpus of real captures is not on this machine")


@pytest.fixture(scope="module")
def compared() -> Counter[str]:
    """How many rows of each kind all captures gave."""
    return Counter()


def _decoded(path: Path) -> tuple[list[Ours], Decoder]:
    decoder = Decoder()
    rows: list[Ours] = []
    try:
        with open_capture(str(path)) as capture:
            for batch in capture.batches():
                rows += rows_of(decoder.decode(batch), decoder)
    except FileProblem:
        pytest.skip("not a capture file that we read")
    return rows, decoder


@pytest.mark.parametrize("path", _CAPTURES, ids=lambda path: path.name)
def test_headers_are_those_of_tshark(path: Path, compared: Counter[str]) -> None:
    rows, decoder = _decoded(path)
    oracle = read_rows(CAPTURES / "oracle" / f"{path.name}.packets.tsv.gz")
    for packet, (ours, theirs) in enumerate(zip(rows, oracle, strict=True), start=1):
        kind = _kind(ours, theirs)
        compared[kind] += 1
        differences = _differences(kind, ours, theirs)
        if kind == "quoting":
            differences = _quoted_differences(decoder.quoted[packet], theirs, decoder)
        assert not differences, (packet, kind, theirs["protocols"])
        if kind == "malformed":
            assert theirs["short"] or theirs["malformed"] or "Bogus" in theirs["expert"], packet


def test_most_of_the_corpus_was_compared(compared: Counter[str]) -> None:
    if sum(compared.values()) < 50_000:
        pytest.skip("only some captures were asked for")
    assert compared["tcp"] > 0.9 * sum(compared.values())
    assert min(compared[kind] for kind in ("udp", "fragment")) > 90
    assert min(compared[kind] for kind in ("quoting", "arp", "malformed", "icmp", "icmpv6")) > 10


def _kind(ours: Ours, theirs: Row) -> str:
    """What of a row can be compared."""
    protocols = theirs["protocols"].split(":")
    network = next((place for place, name in enumerate(protocols) if name in ("ip", "ipv6", "arp")), len(protocols))
    if network == len(protocols) or not set(protocols[:network]) <= _DECODED_LINKS:
        return "not decoded"
    if protocols[network] == "arp":
        return "arp"
    if int(ours["mark"]) & Mark.QUOTING and theirs["in_icmp_error"] == "1":
        return "quoting"
    if int(ours["mark"]) & Mark.FRAGMENT:
        return "fragment"
    if int(ours["mark"]) & Mark.MALFORMED:
        return "malformed"
    innermost = protocols[_networks(protocols)[-1] :]
    return next((name for name in ("tcp", "udp", "icmp", "icmpv6") if name in innermost), "other")


def _networks(protocols: list[str]) -> list[int]:
    """Where the IP headers stand, without those that an ICMP error quotes."""
    quoting = next((place for place, name in enumerate(protocols) if name in ("icmp", "icmpv6")), len(protocols))
    return [place for place, name in enumerate(protocols[:quoting]) if name in ("ip", "ipv6")] or [0]


def _differences(kind: str, ours: Ours, theirs: Row) -> dict[str, tuple[int | str, str]]:
    """(ours, theirs) of what differs."""
    place = len(_networks(theirs["protocols"].split(":"))) - 1
    ends = (theirs[name].split("|") for name in ("net_src", "net_dst"))
    inner = dict(zip(("source", "destination"), (end[min(place, len(end) - 1)] for end in ends), strict=True))
    fields: dict[str, str] = {}
    if kind == "tcp":
        fields = _TCP_FIELDS
        inner["flags"] = str(int(theirs["tcp_flags"], 16) & 0xFF)
    elif kind == "udp":
        fields = _PORTS if theirs["protocols"].split(":").count("udp") == 1 else {}  # else they are the outer ones
        inner["payload_bytes"] = str(int(theirs["udp_len"].split(",")[-1]) - 8)
    elif kind == "not decoded":
        inner = {"network": str(Network.OTHER.value)}
    elif kind == "arp":
        inner = {"network": str(Network.ARP.value)}
    elif kind == "malformed":
        inner = inner if theirs["net_src"] else {}
        fields = _PORTS if theirs["sport"] else {}
    expected = inner | {column: theirs[name] for name, column in fields.items()}
    return {name: (ours[name], value) for name, value in expected.items() if str(ours[name]) != value}


def _quoted_differences(quoted: QuotedDatagram, theirs: Row, decoder: Decoder) -> dict[str, tuple[int | str, str]]:
    """tshark gives a row the headers that an ICMP error quotes."""
    ours: Ours = {
        "src": decoder.addresses.text(quoted.network, quoted.source),
        "dst": decoder.addresses.text(quoted.network, quoted.destination),
        "sport": quoted.source_port,
        "dport": quoted.destination_port,
        "seq_raw": quoted.seq if theirs["seq_raw"] else "",
    }
    return {name: (value, theirs[name]) for name, value in ours.items() if str(value) != theirs[name]}
