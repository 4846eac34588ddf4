"""IP datagrams put together from their fragments: RFC 791 section 3.2, RFC 8200 section 4.5."""

from typing import NamedTuple

_DATAGRAMS_KEPT = 1024
_BYTES_KEPT = 16 << 20
_FRAGMENTS_KEPT = 2048  # of one datagram; a hostile one may have 8192


class FragmentKey(NamedTuple):
    """What the fragments of one datagram have in common (RFC 791 section 2.3; RFC 8200 section 4.5, where fragments may
    differ in their next header: ``protocol`` is 0)."""

    network: int
    protocol: int
    source: int
    destination: int
    identification: int


class Fragment(NamedTuple):
    """One fragment: its place in the datagram's payload, whether more follow, and which bytes of its frame it is."""

    key: FragmentKey
    offset: int
    more: bool
    start: int
    end: int
    protocol: int  # what the payload begins with, as this fragment tells it


class _Pending:
    """The fragments of a datagram that have come."""

    def __init__(self) -> None:
        self.pieces: dict[int, bytes] = {}
        self.bytes = 0
        self.size: int | None = None
        self.protocol = 0


class FragmentStore:
    """Feed it fragments in any order; bounded: what has waited for longest goes."""

    def __init__(self) -> None:
        self._pending: dict[FragmentKey, _Pending] = {}
        self._bytes = 0

    def add(self, fragment: Fragment, data: bytes) -> tuple[int, bytes] | None:
        """Protocol and payload of the datagram that this fragment completes; of bytes that come twice the first stand.

        A fragment that comes again with other bytes is of a later datagram, which has the same identification.
        """
        pending = self._pending.pop(fragment.key, None) or _Pending()
        if pending.pieces.get(fragment.offset, data) != data:
            self._bytes -= pending.bytes
            pending = _Pending()
        if fragment.offset not in pending.pieces and len(pending.pieces) < _FRAGMENTS_KEPT:
            pending.pieces[fragment.offset] = data
            pending.bytes += len(data)
            self._bytes += len(data)
        if fragment.offset == 0:
            pending.protocol = fragment.protocol
        if not fragment.more:
            pending.size = fragment.offset + len(data)
        payload = _put_together(pending)
        if payload is not None:
            self._bytes -= pending.bytes
            return pending.protocol, payload
        self._pending[fragment.key] = pending
        while len(self._pending) > _DATAGRAMS_KEPT or self._bytes > _BYTES_KEPT:
            self._bytes -= self._pending.pop(next(iter(self._pending))).bytes
        return None


def _put_together(pending: _Pending) -> bytes | None:
    if pending.size is None or pending.bytes < pending.size:
        return None
    payload = bytearray()
    for offset, data in sorted(pending.pieces.items()):
        if offset > len(payload):
            return None
        payload += data[len(payload) - offset :]
    return bytes(payload[: pending.size]) if len(payload) >= pending.size else None
