"""Conversations that come faster than they can be shown: they are counted, and what is alike is not even decoded."""

from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from inspector.capture.batch import I64, U32, FrameBatch
from inspector.decode.alike import AlikeFrames
from inspector.decode.columns import PacketColumns
from inspector.trace.grouping import TCP, Grouping
from inspector.trace.intake import Rows

_KEPT = 20_000  # conversations whose packets may still come
_PIECE = 1_024  # frames that are decoded together or not at all
_EXAMPLES = 8  # kinds of frames of a batch that are learned, those that are most
_VAIN_BATCHES = 10  # that are not looked at after one in which little was alike


@dataclass(slots=True)
class Totals:
    """Conversations of which only this is known any more."""

    conversations: int = 0
    packets: int = 0
    payload_bytes: int = 0


class Part(NamedTuple):
    """Frames of a batch that follow one another, and what is known of them before they are decoded."""

    batch: FrameBatch
    selected: Rows | None = None  # None: they must be decoded
    payload_bytes: I64 | None = None


class PassedOver:
    """Which conversations are only counted, and the counts."""

    def __init__(self, grouping: Grouping) -> None:
        self.totals = Totals()
        self._grouping = grouping
        self._numbers: OrderedDict[int, None] = OrderedDict()
        self._alike = AlikeFrames()
        self._vain = 0

    def __contains__(self, number: int) -> bool:
        return number in self._numbers

    def add(self, number: int) -> None:
        """From here on a conversation is only counted."""
        self._numbers[number] = None
        self.totals.conversations += 1

    def count(self, payload_bytes: I64 | U32) -> None:
        """Count packets by what they carry."""
        self.totals.packets += len(payload_bytes)
        self.totals.payload_bytes += int(payload_bytes.sum())

    def has(self, conversations: U32) -> npt.NDArray[np.bool_]:
        """Which of them are only counted."""
        return np.isin(conversations, np.fromiter(self._numbers, np.uint32))

    def parts(self, batch: FrameBatch) -> Iterator[Part]:
        """A batch in its order: what must be decoded, and between it what is known. Each part is to be read before the
        next is asked for."""
        self._vain -= self._vain > 0
        for conversation in {each.conversation for each in self._alike.known()}:
            if not self._is_settled(conversation):
                self._alike.forget(conversation)
        if len(batch) < _PIECE or self._vain or not len(self._alike):
            yield Part(batch)
            return
        known, found = self._alike.known(), self._alike.find(batch)
        starts = np.arange(0, len(batch), _PIECE)
        alike = np.minimum.reduceat(found, starts) >= 0
        if 2 * int(alike.sum()) < len(alike):
            self._vain = _VAIN_BATCHES
        conversations, payload_bytes = np.array(known, np.int64).T
        edges = np.flatnonzero(np.diff(alike, prepend=~alike[:1]))
        ends = [*starts[edges[1:]].tolist(), len(batch)]
        for begin, end, is_known in zip(starts[edges].tolist(), ends, alike[edges].tolist(), strict=True):
            part, which = batch.part(begin, end), found[begin:end]
            if is_known and all(self._is_settled(each.conversation) for each in known):
                yield Part(part, np.flatnonzero(conversations[which]), payload_bytes[which])
            else:
                yield Part(part)

    def learn(self, batch: FrameBatch, rows: Rows, columns: PacketColumns, places: Rows, *, selected: bool) -> None:
        """Look at frames that came in a mass; ``rows`` are those in the batch, ``places`` those in the columns."""
        if len(rows) < _PIECE:
            return
        ports = columns.source_port[places].astype(np.uint64) << 16 | columns.destination_port[places]
        _, first, times = np.unique(ports << 32 | columns.wire_bytes[places], return_index=True, return_counts=True)
        for number in first[np.argsort(-times)[:_EXAMPLES]].tolist():
            conversation = int(columns.conversation[places[number]]) if selected else 0
            if self._is_settled(conversation):
                self._alike.learn(batch, int(rows[number]), columns, int(places[number]), conversation)

    def let_go(self) -> None:
        """Forget the oldest when they are too many."""
        while len(self._numbers) > _KEPT:
            instance = self._grouping.instances.get(self._numbers.popitem(last=False)[0])
            if instance is not None:
                self._grouping.forget(instance)

    def _is_settled(self, number: int) -> bool:
        """Whether all further packets of its endpoints, but for a SYN, are its own and change nothing; 0 for those that
        are not selected."""
        if not number:
            return True
        instance = self._grouping.instances.get(number)
        if number not in self._numbers or instance is None or not self._grouping.is_latest(instance):
            return False
        return instance.protocol != TCP or None not in instance.base_seq
