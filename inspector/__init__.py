"""Shows what your sockets really do: captures or replays packets and draws each conversation as a sequence diagram."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from inspector.session.recording import read, watch

__version__ = "0.1.0"
__all__ = ["__version__", "read", "watch"]


def __getattr__(name: str) -> object:
    """``read`` and ``watch`` on demand, so that ``inspector --version`` pays for neither."""
    if name in ("read", "watch"):
        from inspector.session import recording

        return getattr(recording, name)
    raise AttributeError(name)
