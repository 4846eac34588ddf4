"""TCP options from bytes: each kind, lists that lie, and anything at all."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inspector.tcp.options import NO_OPTIONS, TcpOptions, parse_options

MSS = b"\x02\x04\x05\xb4"
SACK_PERMITTED = b"\x04\x02"
TIMESTAMP = b"\x08\x0a\x00\x00\x01\x00\xff\xff\xff\xff"
COOKIE = b"12345678"

READ = {
    "none": (b"", NO_OPTIONS),
    "maximum segment size": (MSS, TcpOptions(mss=1460)),
    "window scale": (b"\x03\x03\x07\x00", TcpOptions(window_scale=7)),
    "window scale 14": (b"\x03\x03\x0e", TcpOptions(window_scale=14)),
    "window scale 15 is used as 14": (b"\x03\x03\x0f", TcpOptions(window_scale=14)),
    "window scale 0": (b"\x03\x03\x00", TcpOptions(window_scale=0)),
    "SACK permitted": (SACK_PERMITTED, TcpOptions(sack_permitted=True)),
    "one SACK block": (b"\x01\x01\x05\x0a\x00\x00\x00\x01\x00\x00\x00\x09", TcpOptions(sack_blocks=((1, 9),))),
    "two SACK blocks": (
        b"\x05\x12\x00\x00\x00\x01\x00\x00\x00\x09\xff\xff\xff\xff\x00\x00\x00\x05",
        TcpOptions(sack_blocks=((1, 9), (0xFFFFFFFF, 5))),
    ),
    "aligned timestamp": (b"\x01\x01" + TIMESTAMP, TcpOptions(timestamp=(256, 0xFFFFFFFF))),
    "bare timestamp": (TIMESTAMP, TcpOptions(timestamp=(256, 0xFFFFFFFF))),
    "SYN of Linux": (
        MSS + SACK_PERMITTED + TIMESTAMP + b"\x01\x03\x03\x0a",
        TcpOptions(mss=1460, window_scale=10, sack_permitted=True, timestamp=(256, 0xFFFFFFFF)),
    ),
    "Fast Open asks for a cookie": (b"\x22\x02\x01\x01", TcpOptions(fast_open_cookie=b"")),
    "Fast Open shows its cookie": (b"\x22\x0a" + COOKIE, TcpOptions(fast_open_cookie=COOKIE)),
    "Fast Open as an experiment": (b"\xfe\x0c\xf9\x89" + COOKIE, TcpOptions(fast_open_cookie=COOKIE)),
    "experiment asks for a cookie": (b"\xfe\x04\xf9\x89", TcpOptions(fast_open_cookie=b"")),
    "another experiment": (b"\xfe\x04\xe2\xd4" + MSS, TcpOptions(mss=1460)),
    "unknown kind is passed over": (b"\x1e\x04\xaa\xbb" + MSS, TcpOptions(mss=1460)),
    "nothing behind the end of the list": (MSS + b"\x00" + SACK_PERMITTED, TcpOptions(mss=1460)),
    "the last of a kind counts": (MSS + b"\x02\x04\x02\x00", TcpOptions(mss=512)),
}

MALFORMED = {
    "kind without length": (MSS + b"\x03", TcpOptions(mss=1460, malformed=True)),
    "length 0": (MSS + b"\x03\x00\x07", TcpOptions(mss=1460, malformed=True)),
    "length 1": (MSS + b"\x63\x01", TcpOptions(mss=1460, malformed=True)),
    "beyond the header": (MSS + b"\x08\x0a\x00\x00", TcpOptions(mss=1460, malformed=True)),
    "MSS of 3 bytes": (b"\x02\x05\x05\xb4\x00" + SACK_PERMITTED, TcpOptions(sack_permitted=True, malformed=True)),
    "window scale of 2 bytes": (b"\x03\x04\x07\x07" + MSS, TcpOptions(mss=1460, malformed=True)),
    "window scale without a value": (b"\x03\x02" + MSS, TcpOptions(mss=1460, malformed=True)),
    "SACK permitted with a value": (b"\x04\x03\x01", TcpOptions(malformed=True)),
    "SACK of half a block": (b"\x05\x06\x00\x00\x00\x01", TcpOptions(malformed=True)),
    "SACK without a block": (b"\x05\x02", TcpOptions(malformed=True)),
    "short timestamp": (b"\x08\x06\x00\x00\x00\x01", TcpOptions(malformed=True)),
    "cookie too short": (b"\x22\x04\x01\x02", TcpOptions(malformed=True)),
    "cookie of odd length": (b"\x22\x07\x01\x02\x03\x04\x05", TcpOptions(malformed=True)),
    "cookie too long": (b"\xfe\x16\xf9\x89" + bytes(18), TcpOptions(malformed=True)),
}


@pytest.mark.parametrize(("data", "options"), (READ | MALFORMED).values(), ids=[*READ, *MALFORMED])
def test_options_are_read(data: bytes, options: TcpOptions) -> None:
    assert parse_options(data) == options


@given(st.binary(max_size=44))
def test_any_bytes_are_read(data: bytes) -> None:
    options = parse_options(data)
    assert options.window_scale is None or options.window_scale <= 14
    assert options.mss is None or options.mss <= 0xFFFF
    assert len(options.sack_blocks) <= len(data) // 8


@given(st.integers(0, 2**32 - 1), st.integers(0, 2**32 - 1))
def test_the_common_layout_is_read_like_any_other(value: int, echo: int) -> None:
    common = b"\x01\x01\x08\x0a" + value.to_bytes(4, "big") + echo.to_bytes(4, "big")
    assert parse_options(common) == parse_options(common + b"\x01") == TcpOptions(timestamp=(value, echo))


OPTION = st.one_of(
    st.just(b"\x01"),
    st.just(SACK_PERMITTED),
    st.integers(0, 0xFFFF).map(lambda mss: b"\x02\x04" + mss.to_bytes(2, "big")),
    st.integers(0, 255).map(lambda scale: bytes((3, 3, scale))),
    st.binary(min_size=8, max_size=8).map(lambda body: b"\x08\x0a" + body),
    st.binary(max_size=6).map(lambda body: bytes((99, 2 + len(body))) + body),
)


@given(st.lists(OPTION), OPTION)
def test_whole_options_are_never_malformed_and_a_cut_one_is(options: list[bytes], last: bytes) -> None:
    whole = b"".join(options)
    assert not parse_options(whole).malformed
    if len(last) > 1:
        assert parse_options(whole + last[:-1]) == parse_options(whole)._replace(malformed=True)
