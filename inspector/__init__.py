"""Shows what your sockets really do: captures or replays packets and draws each conversation as a sequence diagram."""

__version__ = "0.1.0"
