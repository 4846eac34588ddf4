"""Where the bytes of a stream are at a moment: with the sender, under way, or waiting for the reader.

What the program has given to ``send`` and is not on the wire, plus what is not acknowledged, is the kernel's send queue
(SIOCOUTQ, tcp(7)); what is acknowledged and not read is the receive queue (SIOCINQ). An ACK may be late, so the bytes
it will acknowledge are still counted as under way.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from inspector.calls.call import RECEIVING, SENDING
from inspector.calls.matching import Passage, SidedCall
from inspector.tcp.states import Side


class Fill(NamedTuple):
    """Bytes of one direction; None where the program's calls were not recorded."""

    to_send: int | None
    in_flight: int
    unread: int | None

    def __bool__(self) -> bool:
        return any(self)


class _Direction:
    """What has happened to the bytes that one side sends."""

    def __init__(self, sender: Side, sided: Sequence[SidedCall]) -> None:
        self.written = self.sent = self.acknowledged = self.read = 0
        self.knows_written = any(each.side is sender and each.call.name in SENDING for each in sided)
        self.knows_read = any(each.side is sender.other and each.call.name in RECEIVING for each in sided)

    def fill(self) -> Fill:
        to_send = self.written - self.sent if self.knows_written else None
        unread = self.acknowledged - self.read if self.knows_read else None
        return Fill(
            None if to_send is None or to_send < 0 else to_send,
            max(self.sent - self.acknowledged, 0),
            None if unread is None or unread < 0 else unread,
        )


def fills(passages: Sequence[Passage], sided: Sequence[SidedCall]) -> Iterator[tuple[Fill, Fill]]:
    """After each packet: the bytes to the server, and those to the client.

    A send counts from where it is entered, as the kernel takes its bytes while it lasts; a recv from its return.
    """
    directions = [_Direction(side, sided) for side in Side]
    events = []
    for each in sided:
        if each.offsets is None:
            continue
        if each.call.name in SENDING:
            events.append((each.call.enter_ns, True, each.side, each.offsets[1]))
        elif each.call.exit_ns is not None:
            events.append((each.call.exit_ns, False, each.side.other, each.offsets[1]))
    events.sort()
    at = 0
    for passage in passages:
        while at < len(events) and events[at][0] < passage.time_ns:
            _, is_send, sender, amount = events[at]
            direction = directions[sender]
            if is_send:
                direction.written = max(direction.written, amount)
            else:
                direction.read = max(direction.read, amount)
            at += 1
        own, other = directions[passage.side], directions[passage.side.other]
        if passage.offsets is not None:
            own.sent = max(own.sent, passage.offsets[1])
        other.acknowledged = max(other.acknowledged, min(passage.acknowledged, other.sent))
        yield directions[Side.CLIENT].fill(), directions[Side.SERVER].fill()
