"""A private network without root: loopback of its own, captured from outside, and programs that run in it."""

from inspector.sandbox.network import GRACE_SECONDS, OrdinaryNetwork, PrivateNetwork, Program, refusal

__all__ = ["GRACE_SECONDS", "OrdinaryNetwork", "PrivateNetwork", "Program", "refusal"]
