"""``replay --explain``: below each row why its packet was sent and what the programs notice."""

import io

import pytest
from test_explain_topics import printed

from inspector.views.safe_text import cells


@pytest.mark.parametrize("width", [60, 80, 100, 130, 160])
def test_reasons_stand_below_their_rows(width: int) -> None:
    status, out, err = printed("replay", "teardown", "--explain", "--width", str(width))
    assert (status, err) == (0, "")
    assert all(cells(line) <= width for line in out.splitlines())
    places = [out.index(words) for words in ("├─ SYN", "· The program of the client", "SYN,ACK")]
    assert places == sorted(places)
    assert "→ ESTABLISHED" not in out, "the states stand beside the lifelines"


def test_the_picture_is_the_same_but_for_the_reasons() -> None:
    plain, explained = (printed("replay", "hello", *more)[1].splitlines() for more in ([], ["--explain"]))
    below = [line for line in explained if line.startswith(("     · ", "       "))]
    assert len(below) > 10
    rows = iter(explained)
    assert all(line in rows for line in plain)


def test_what_was_found_is_told() -> None:
    assert "zero-window probe" in printed("replay", "slow-reader", "--explain")[1]


def test_step_shows_the_reasons_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("\nq\n"))
    out = printed("replay", "hello", "--explain", "--step")[1]
    assert "the kernel sends the SYN" in out
    assert "SYN,ACK" in out
    assert "sendall" not in out
