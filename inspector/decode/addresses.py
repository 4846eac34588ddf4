"""Addresses as the columns hold them: an IPv4 address is the number itself, an IPv6 address an index into a table."""

import socket
from collections.abc import Collection

from inspector.decode.columns import Network

_TEXTS_KEPT = 10_000


class AddressTable:
    """The IPv6 addresses met so far; index 0 is the unspecified address."""

    def __init__(self) -> None:
        self._numbers: dict[bytes, int] = {bytes(16): 0}
        self._packed: list[bytes] = [bytes(16)]
        self._free: list[int] = []
        self._texts: dict[tuple[bool, int], str] = {}

    def __len__(self) -> int:
        return len(self._numbers)

    def number(self, packed: bytes) -> int:
        """The number of a 16-byte address, a new one when it was not met before."""
        number = self._numbers.get(packed)
        if number is None:
            number = self._numbers[packed] = self._free.pop() if self._free else len(self._packed)
            self._packed[number : number + 1] = [packed]
        return number

    def numbers(self, packed: list[bytes]) -> list[int]:
        """The numbers of many, as ``number`` gives them."""
        for address in dict.fromkeys(packed):
            self.number(address)
        return list(map(self._numbers.__getitem__, packed))

    def since(self, known: int) -> list[bytes]:
        """The addresses that were met after so many of them, in order; none may have been forgotten."""
        return self._packed[known:]

    def keep(self, used: Collection[int]) -> None:
        """Forget all but the addresses of these numbers; the other numbers will mean new addresses."""
        gone = self._numbers.keys() - {bytes(16), *(self._packed[number] for number in used)}
        self._free += [self._numbers.pop(packed) for packed in gone]
        self._texts.clear()

    def find(self, packed: bytes) -> int | None:
        """The number of a 16-byte address; None when no packet had it."""
        return self._numbers.get(packed)

    def text(self, network: int, number: int) -> str:
        """An address of the columns in its usual notation; empty for rows without one."""
        if network == Network.OTHER:
            return ""
        is_v6 = network == Network.IPV6
        text = self._texts.get((is_v6, number))
        if text is None:
            if len(self._texts) >= _TEXTS_KEPT:
                self._texts.clear()
            text = self._texts[is_v6, number] = self._format(network, number)
        return text

    def _format(self, network: int, number: int) -> str:
        if network == Network.IPV6:
            return socket.inet_ntop(socket.AF_INET6, self._packed[number])
        return socket.inet_ntop(socket.AF_INET, number.to_bytes(4, "big"))
