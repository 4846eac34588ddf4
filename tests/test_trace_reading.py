"""What a trace says of real captures: the streams, the counts, what is chosen by port and host, ICMP errors."""

import csv
import hashlib
import subprocess
import sys
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from capture_building import Frame as FileFrame
from capture_building import pcap
from decode_building import ICMP, ICMPV6, UDP, Frame, batch_of, icmp, ipv4, ipv6, link, tcp, udp
from oracle_rows import CAPTURES, NO_ORACLES, Row, read_rows
from trace_building import part_of

from inspector.capture.batch import FrameBatch
from inspector.capture.files import open_capture
from inspector.tcp.reassembly import Piece
from inspector.tcp.states import Side
from inspector.text.problems import FileProblem, UsageProblem
from inspector.trace.intake import Intake
from inspector.trace.selection import Selection
from inspector.trace.trace import Trace

ORACLE = CAPTURES / "oracle"
FILES = {path.name: path for path in sorted((CAPTURES / "captures").glob("*/*"))}
needs_captures = pytest.mark.skipif(not FILES, reason=NO_ORACLES)

# tshark counts a reassembled datagram where the trace counts each of its fragments; the outer stream of a tunnel too,
# and finds a packet by the outer addresses, where the trace has the inner conversation only.
GROUPS_COUNTED_OTHERWISE = ("fragments", "tunnels", "malformed")
COUNTED_OTHERWISE = {
    "arkime__arkime_synthetic.pcap": "tunnels",
    "dpkt__nb6-http.pcap": "a tunnel",
    "ndpi__reasm_segv_anon.pcapng": "a tunnel",
    "lab__udp_fragments_echo__client_side.pcap": "fragments",
    "lab__udp_fragments_echo__server_side.pcap": "fragments",
}


def table(name: str, kind: str) -> list[Row]:
    """The rows of an oracle file; none when there is no such file."""
    path = ORACLE / f"{name}.{kind}.tsv"
    if not path.exists():
        return []
    with path.open(newline="") as lines:
        return list(csv.DictReader(lines, delimiter="\t"))


def traces() -> Iterator[tuple[str, Trace]]:
    """Every capture that can be read."""
    for name, path in FILES.items():
        try:
            trace = Trace.read(str(path))
        except FileProblem:
            continue
        with trace:
            yield name, trace


def agreed_streams(name: str) -> list[Row]:
    """The streams of which tshark and tcpflow say the same."""
    rows = table(name, "reassembly")
    return [
        row for row in rows if row["both_tools_agree"] == "1" and row["tool"] == "tshark-follow" and row["bytes"] != "0"
    ]


def senders(trace: Trace) -> dict[tuple[str, str], list[tuple[int, Side]]]:
    """Conversations and sides by (address and port of the sender, of the receiver)."""
    found: dict[tuple[str, str], list[tuple[int, Side]]] = defaultdict(list)
    for conversation in trace.conversations():
        if conversation.protocol == "TCP":
            # The oracle does not put IPv6 addresses into brackets.
            client, server = (f"{end.address}:{end.port}" for end in (conversation.client, conversation.server))
            found[client, server].append((conversation.number, Side.CLIENT))
            found[server, client].append((conversation.number, Side.SERVER))
    return found


def stream(trace: Trace, number: int, side: Side) -> bytes:
    return b"".join(part.data for _, part in trace.stream(number, (side,)) if isinstance(part, Piece))


@needs_captures
def test_streams_are_those_on_which_tshark_and_tcpflow_agree() -> None:
    compared = 0
    for name, trace in traces():
        wanted = agreed_streams(name)
        ours = senders(trace) if wanted else {}
        for row in wanted:
            candidates = ours[row["from"], row["to"]]
            digests = [hashlib.sha256(stream(trace, *candidate)).hexdigest() for candidate in candidates]
            assert row["sha256"] in digests, (name, row["from"], row["to"])
            compared += 1
    assert compared > 480


@needs_captures
@pytest.mark.parametrize("name", sorted(name for name in FILES if agreed_streams(name))[::16])
def test_follow_raw_writes_the_stream(name: str) -> None:
    row = max(agreed_streams(name), key=lambda row: int(row["bytes"]))
    with Trace.read(str(FILES[name])) as trace:
        [(number, side), *_] = senders(trace)[row["from"], row["to"]]
    direction = "to-server" if side is Side.CLIENT else "to-client"
    command = ["follow", str(FILES[name]), "--conversation", str(number), "--raw", "--direction", direction]
    done = subprocess.run([sys.executable, "-m", "inspector", *command], capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, b"")
    assert hashlib.sha256(done.stdout).hexdigest() == row["sha256"]


Ends = tuple[str, str, str, str]  # address and port of the sender, of the receiver
Totals = dict[Ends, tuple[int, int]]  # packets and bytes of payload


def told_by_tshark(name: str, protocol: str) -> Totals:
    totals: Totals = defaultdict(lambda: (0, 0))
    for row in table(name, f"{protocol}_streams"):
        for source, destination, way in (("a", "b", "ab"), ("b", "a", "ba")):
            ends = row[source], row[f"{source}p"], row[destination], row[f"{destination}p"]
            packets, payload = totals[ends]
            totals[ends] = packets + int(row[f"pk_{way}"]), payload + int(row[f"pl_{way}"])
    return totals


def told_by_the_trace(trace: Trace, protocol: str) -> Totals:
    totals: Totals = defaultdict(lambda: (0, 0))
    for one in trace.conversations():
        if one.protocol != protocol.upper():
            continue
        client, server = ((end.address, str(end.port)) for end in (one.client, one.server))
        for ends, packets, payload in (
            ((*client, *server), one.packets_to_server, one.payload_to_server),
            ((*server, *client), one.packets_to_client, one.payload_to_client),
        ):
            before = totals[ends]
            totals[ends] = before[0] + packets, before[1] + payload
    return totals


@needs_captures
def test_packets_and_payload_each_way_are_tsharks() -> None:
    compared = 0
    for name, trace in traces():
        if FILES[name].parent.name in GROUPS_COUNTED_OTHERWISE or name in COUNTED_OTHERWISE:
            continue
        for protocol in ("tcp", "udp"):
            if (ORACLE / f"{name}.{protocol}_streams.tsv").exists():
                wanted = told_by_tshark(name, protocol)
                assert told_by_the_trace(trace, protocol) == wanted, name
                compared += len(wanted)
    assert compared > 4_800


def chosen_live(path: Path, selection: Selection) -> list[int]:
    """The packets of a capture that are taken when it comes in batches."""
    intake, packets = Intake(selection), []
    with closing(open_capture(str(path))) as capture:
        for batch in capture.batches():
            before = intake.seen
            columns, rows = intake.select(batch)
            intake.take(columns, rows)
            packets += (rows + before + 1).tolist()
    return packets


def chosen_from(trace: Trace, selection: Selection) -> list[int]:
    return [record.packet for record in trace.records(selection)]


def some(values: Iterator[str]) -> list[str]:
    """The most frequent, and the rarest."""
    common = [value for value, _ in Counter(value for value in values if value).most_common()]
    return [*common[:2], *common[2:][-1:]]


@needs_captures
def test_what_is_chosen_by_port_and_host_is_what_tshark_shows_of_them() -> None:
    compared = 0
    for name, trace in traces():
        if FILES[name].parent.name in GROUPS_COUNTED_OTHERWISE or name in COUNTED_OTHERWISE or len(trace) > 3_000:
            continue
        rows = read_rows(ORACLE / f"{name}.packets.tsv.gz")
        hosts = {row["frame"]: {*row["net_src"].split("|"), *row["net_dst"].split("|")} for row in rows}
        selections = {
            Selection(frozenset({int(port)})): [
                int(row["frame"]) for row in rows if port in (row["sport"], row["dport"])
            ]
            for port in some(row[end] for row in rows for end in ("sport", "dport"))
            if port != "0"
        }
        selections |= {
            Selection(host=host): [int(row["frame"]) for row in rows if host in hosts[row["frame"]]]
            for host in some(host for row in rows for host in hosts[row["frame"]])
        }
        arp = {int(row["frame"]) for row in rows if ":arp" in row["protocols"]}
        for selection, wanted in selections.items():
            assert [packet for packet in chosen_from(trace, selection) if packet not in arp] == wanted, (
                name,
                selection,
            )
            live = chosen_live(FILES[name], selection)
            assert [packet for packet in live if packet not in arp] == wanted, (name, selection)
            compared += 1
    assert compared > 700


@needs_captures
def test_an_icmp_error_is_in_the_conversation_that_it_quotes() -> None:
    compared = 0
    for name, trace in traces():
        if FILES[name].parent.name in GROUPS_COUNTED_OTHERWISE or name in COUNTED_OTHERWISE:
            continue
        first: dict[tuple[str, str], int] = {}  # the conversation of tshark's stream
        for row in read_rows(ORACLE / f"{name}.packets.tsv.gz"):
            ours = int(trace.columns.conversation[int(row["frame"]) - 1])
            stream_number = row["tcp_stream"], row["udp_stream"]
            if not row["in_icmp_error"]:
                first.setdefault(stream_number, ours)
            elif stream_number in first:
                assert ours == first[stream_number], (name, row["frame"])
                compared += 1
    assert compared >= 8


class Frames:
    """Frames by their place in a batch, as a trace fetches them."""

    def __init__(self, batch: FrameBatch) -> None:
        self._batch = batch

    def fetch(self, position: int, captured_bytes: int) -> bytes:
        start = self._batch.offset[self._batch.position == position][0]
        return bytes(self._batch.buffer[start : start + captured_bytes])

    def close(self) -> None:
        pass


def trace_of(*frames: bytes, selection: Selection | None = None) -> Trace:
    """A trace of IP packets."""
    batch = batch_of([Frame(frame) for frame in frames])
    trace = Trace(Frames(batch), selection)
    trace.add(batch)
    return trace


CLIENT, SERVER, ROUTER = "10.0.0.1", "10.0.0.2", "10.9.9.9"
ASKED = ipv4(udp(b"asked", source_port=40_000, destination_port=53), UDP, source=CLIENT, destination=SERVER)
ASKED_AGAIN = ipv4(udp(b"again", source_port=40_000, destination_port=53), UDP, source=CLIENT, destination=SERVER)
SYN = ipv4(tcp(seq=7, ack=0, flags=2), source=CLIENT, destination=SERVER)
SYN_OF_ANOTHER = ipv4(tcp(seq=7, ack=0, flags=2, source_port=40_001), source=CLIENT, destination=SERVER)


def error(about: bytes, kind: int = 3, code: int = 3, source: str = SERVER) -> bytes:
    return ipv4(icmp(kind, code, about[:28]), ICMP, source=source, destination=CLIENT)


def test_an_icmp_error_is_a_notice_and_nobodys_traffic() -> None:
    trace = trace_of(ASKED, SYN, error(ASKED), ASKED_AGAIN, error(ASKED, 11, 0, ROUTER), error(SYN, 3, 13))
    datagrams, connection = trace.conversations()
    assert (datagrams.packets_to_server, datagrams.packets_to_client) == (2, 0)
    assert (connection.packets_to_server, connection.packets_to_client) == (1, 0)
    assert connection.end_ns == connection.start_ns
    rows, _ = trace.rows(datagrams.number)
    notices = [row.notice for row in rows]
    assert notices[0] is None
    assert notices[1] == ("port_unreachable", SERVER, 1)
    assert notices[2] is None
    assert notices[3] == ("time_exceeded", ROUTER, 4)
    assert all(row.side is Side.SERVER for row in rows if row.notice)
    [_, about_syn] = trace.rows(connection.number)[0]
    assert about_syn.notice is not None
    assert about_syn.notice.about == 2
    assert about_syn.report is None


def test_an_icmp_error_about_what_was_not_captured_is_the_two_hosts_own() -> None:
    trace = trace_of(error(ASKED))
    [conversation] = trace.conversations()
    assert (conversation.protocol, conversation.packets) == ("ICMP", 1)
    assert conversation.client.port is None
    [row] = trace.rows(conversation.number)[0]
    assert (row.notice, row.icmp) == (None, "port_unreachable")


def test_icmp_messages_are_named_and_replies_tied_to_their_requests() -> None:
    requests = [icmp(8, sequence=sequence, identifier=7) for sequence in (1, 2)]
    replies = [icmp(0, sequence=sequence, identifier=7) for sequence in (2, 1)]
    trace = trace_of(
        *(ipv4(request, ICMP, source=CLIENT, destination=SERVER) for request in requests),
        *(ipv4(reply, ICMP, source=SERVER, destination=CLIENT) for reply in replies),
    )
    [conversation] = trace.conversations()
    rows, _ = trace.rows(conversation.number)
    assert [(row.icmp, row.answers) for row in rows] == [
        ("echo_request", None),
        ("echo_request", None),
        ("echo_reply", 2),
        ("echo_reply", 1),
    ]


def test_an_icmpv6_error_is_tied_as_well() -> None:
    asked = ipv6(udp(b"asked"), UDP)
    trace = trace_of(asked, ipv6(icmp(1, 4, asked), ICMPV6, source="fd00::2", destination="fd00::1"))
    [conversation] = trace.conversations()
    assert (conversation.protocol, conversation.packets) == ("UDP", 1)
    [_, row] = trace.rows(conversation.number)[0]
    assert row.notice == ("port_unreachable", "fd00::2", 1)


CHOSEN = {
    "a port, errors about it included": (Selection(frozenset({53})), [1, 3, 5]),
    "several ports": (Selection(frozenset({53, 80})), [1, 2, 3, 4, 5]),
    "a host": (Selection(host=SERVER), [1, 2, 3, 4, 5]),
    "a host of which only errors come": (Selection(host=ROUTER), [5]),
    "a port and a host": (Selection(frozenset({53}), SERVER), [1, 3, 5]),
    "a port and a host that has it not": (Selection(frozenset({53}), "10.0.0.3"), []),
    "a host of the other family": (Selection(host="fd00::1"), []),
    "a port that nobody has": (Selection(frozenset({1})), []),
    "everything": (Selection(), [1, 2, 3, 4, 5]),
}


@pytest.mark.parametrize("name", CHOSEN)
def test_selection(name: str) -> None:
    selection, packets = CHOSEN[name]
    frames = (ASKED, SYN, error(ASKED), SYN_OF_ANOTHER, error(ASKED, 11, 0, ROUTER))
    assert chosen_from(trace_of(*frames), selection) == packets
    assert len(trace_of(*frames, selection=selection)) == len(packets)


def test_a_host_must_be_an_address() -> None:
    for text in ("localhost", "", "10.0.0", "fe80::1%lo", "10.0.0.1 "):
        with pytest.raises(UsageProblem, match="address"):
            Selection(host=text)


def test_numbers_out_of_range() -> None:
    trace = trace_of(ASKED, SYN)
    assert trace.frame(1) == ASKED
    assert trace.frame(2) == SYN
    for packet in (-1, 0, 3):
        with pytest.raises(IndexError):
            trace.frame(packet)
    assert [trace.conversation(number).protocol for number in (1, 2)] == ["UDP", "TCP"]
    for number in (-1, 0, 3):
        for asked in (trace.conversation, trace.rows, trace.instance):
            with pytest.raises(KeyError):
                asked(number)
        with pytest.raises(KeyError):
            list(trace.stream(number))
        assert list(trace.records(number=number)) == []


def test_an_empty_trace_answers_everything() -> None:
    trace = trace_of()
    assert len(trace) == trace.conversation_count == 0
    assert [*trace.conversations(), *trace.records()] == []
    assert not trace.analysed()
    assert not trace.ends()
    assert trace.conversations(Selection(frozenset({80}))) == []


class Growing(Trace):
    """A trace to which one more packet comes whenever it looks for what has come, as a recording may."""

    def __init__(self, batch: FrameBatch) -> None:
        super().__init__(Frames(batch))
        self._batch = batch
        self.came = 0

    def _refresh(self) -> None:
        self.add(part_of(self._batch, self.came, self.came + 1))
        self.came += 1


ASKED_OF_A_TRACE: list[Callable[[Trace], object]] = [
    lambda trace: trace.conversation(1),
    Trace.conversations,
    lambda trace: trace.conversations(Selection(frozenset({80}))),
    lambda trace: trace.rows(1),
    lambda trace: trace.frame(1),
    lambda trace: {number: connection.end() for number, connection in trace.analysed().items()},
    Trace.ends,
    lambda trace: trace.ends(Selection(host=CLIENT)),
    lambda trace: list(trace.records()),
    lambda trace: list(trace.records(Selection(frozenset({80})))),
    lambda trace: list(trace.stream(1)),
]


@pytest.mark.parametrize("asked", range(len(ASKED_OF_A_TRACE)))
def test_a_growing_trace_answers_for_what_it_has(asked: int) -> None:
    ask = ASKED_OF_A_TRACE[asked]
    syns = [ipv4(tcp(seq=7, ack=0, flags=2, source_port=40_000 + number)) for number in range(40)]
    batch = batch_of([Frame(frame) for syn in syns for frame in (ASKED, syn)])
    growing = Growing(batch)
    for _ in range(8):
        answer = ask(growing)
        so_far = Trace(Frames(batch))
        so_far.add(part_of(batch, 0, growing.came))
        assert answer == ask(so_far)
        newest = growing.conversation_count
        assert growing.conversation(newest).number == newest


def test_a_datagram_of_several_fragments_is_read_as_one(tmp_path: Path) -> None:
    """The last fragment is the datagram: its bytes are counted once, and are the message that a program gets."""
    data = bytes(range(200))
    whole = udp(data, destination_port=8001)
    pieces = [(0, 80), (80, 160), (160, len(whole))]
    packets = [
        ipv4(whole[start:end], UDP, fragment_offset=start, more=end < len(whole), identification=7)
        for start, end in pieces
    ]
    frames = [FileFrame(at, link("ethernet", each).data, 14 + len(each)) for at, each in enumerate(packets, 1)]
    path = tmp_path / "fragments.pcap"
    path.write_bytes(pcap(frames))
    with Trace.read(str(path)) as trace:
        [conversation] = trace.conversations()
        assert (conversation.packets, conversation.payload_bytes) == (3, 200)
        assert [part for _, part in trace.stream(1)] == [Piece(0, data, 3)]
        rows, _ = trace.rows(1)
        assert [(row.fragment, row.payload_bytes) for row in rows] == [(True, 72), (True, 80), (False, 200)]
        assert rows[-1].payload == data
        assert trace.frame(3) == frames[2].data
