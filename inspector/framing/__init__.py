"""Byte streams cut into messages, and which framing a stream has."""

from inspector.framing.inference import infer
from inspector.framing.registry import opener

__all__ = ["infer", "opener"]
