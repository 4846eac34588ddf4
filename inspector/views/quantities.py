"""Numbers as people read them: durations in units that fit, counts with separators."""

import time

_NS_PER_SECOND = 1_000_000_000
_SECONDS_PER_HOUR = 3600


def duration_parts(duration_ns: int) -> tuple[str, str]:
    """Number and unit of a duration, three digits or more of it: ("12", "µs"), ("2.76", "ms"), ("3,600", "s")."""
    size = abs(duration_ns)
    sign = "-" if duration_ns < 0 else ""
    if size == 0:
        return "0", "s"
    if size < 999_500:
        return sign + (f"{size / 1e3:.0f}" if size >= 9_950 else f"{size / 1e3:.1f}".removesuffix(".0")), "µs"
    value, unit = (size / 1e6, "ms") if size < 999_500_000 else (size / 1e9, "s")
    decimals = 2 if value < 9.995 else 1 if value < 99.95 else 0
    return f"{sign}{value:,.{decimals}f}", unit


def duration(duration_ns: int) -> str:
    """A duration in one unit: "12 µs"."""
    number, unit = duration_parts(duration_ns)
    return f"{number} {unit}"


def count(number: int) -> str:
    """A number with separators: 55,024."""
    return f"{number:,}"


def data_bytes(number: int) -> str:
    """An amount of bytes: 55,024 B."""
    return f"{number:,} B"


def wall_clock(time_ns: int) -> str:
    """Local time of day with microseconds: 12:34:56.123456."""
    seconds, rest_ns = divmod(time_ns, _NS_PER_SECOND)
    return f"{_local(seconds, '%H:%M:%S')}.{rest_ns // 1000:06d}"


def date(time_ns: int) -> str:
    """Local date: 2024-05-01."""
    return _local(time_ns // _NS_PER_SECOND, "%Y-%m-%d")


def _local(seconds: int, pattern: str) -> str:
    try:
        return time.strftime(pattern, time.localtime(seconds))
    except (OverflowError, ValueError, OSError):  # a year that the platform does not know
        return time.strftime(pattern, time.gmtime(0))
