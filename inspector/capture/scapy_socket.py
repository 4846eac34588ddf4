"""The capture socket: scapy opens it, libpcap compiles its filter. All of scapy that a live capture uses is here.

It is imported when a socket is opened, and as little of it as that needs; numpy is not.
"""

import errno
import logging
import os
import socket
import sys
from pathlib import Path
from typing import Any

from inspector.capture.packet_socket import Link, link_of
from inspector.capture.privileges import missing_right
from inspector.text import listed
from inspector.text.problems import LiveProblem, Problem, UsageProblem

HAS_PACKET_SOCKETS = sys.platform == "linux"

_SO_ATTACH_FILTER = 26
_BPF_RET_CONSTANT = 0x06
_WHOLE_FRAME_BYTES = 0x40000  # libpcap's MAXIMUM_SNAPLEN


def open_socket(interface: str, bpf: str | None = None) -> Any:
    """scapy's listening socket on ``interface``; ``bpf`` is a filter that the kernel applies. Keep it referenced.

    Raises LiveProblem (no such interface, down, no libpcap), RightProblem (not allowed), UsageProblem (bad filter).
    """
    existing = [name for _, name in socket.if_nameindex()]
    if interface not in existing:
        raise LiveProblem("live.no_interface", interface=interface, existing=listed(existing))
    conf = scapy_configuration()
    try:
        scapy_socket = conf.L2listen(iface=interface, promisc=False)
    except PermissionError:
        raise missing_right(sys.argv) from None
    except OSError as error:
        raise lost_interface(interface, error.errno or 0) from None
    try:
        if bpf and HAS_PACKET_SOCKETS:
            _attach_filter(scapy_socket.ins, bpf, known_link(scapy_socket.ins, interface).link_type)
        elif bpf:
            raise LiveProblem("live.no_filter_here", filter=bpf)
    except Problem:
        scapy_socket.close()
        raise
    return scapy_socket


def known_link(packet_socket: socket.socket, interface: str) -> Link:
    """The link of an interface; LiveProblem when frames of its hardware have a form that is not known here."""
    try:
        return link_of(packet_socket)
    except KeyError as unknown:
        raise LiveProblem("live.unknown_hardware", interface=interface, hardware=unknown.args[0]) from None


def lost_interface(interface: str, error: int) -> LiveProblem:
    """The problem for an error of the socket calls on an interface; one that is removed first goes down."""
    if error == errno.ENETDOWN and interface not in [name for _, name in socket.if_nameindex()]:
        error = errno.ENODEV
    key = {errno.ENETDOWN: "live.interface_down", errno.ENODEV: "live.interface_gone"}.get(
        error, "live.interface_failed"
    )
    return LiveProblem(key, interface=interface, reason=os.strerror(error))


def scapy_configuration() -> Any:
    """scapy's ``conf``, after importing as little of scapy as opening a socket needs.

    Without the routing tables its start takes a third less; without the link layers the socket warns that it cannot
    guess its type.
    """
    logging.getLogger("scapy").setLevel(logging.ERROR)
    _forget_unreadable_cache()
    from scapy.config import conf

    conf.route_autoload = False
    conf.route6_autoload = False
    import scapy.layers.l2  # noqa: F401

    return conf


def _forget_unreadable_cache() -> None:
    """scapy removes a cache that it cannot read, and fails where that is another user's: root's, under sudo."""
    import scapy.main

    folder = scapy.main.SCAPY_CACHE_FOLDER
    if folder is not None and not _is_readable(folder):
        scapy.main.SCAPY_CACHE_FOLDER = None


def _is_readable(folder: Path) -> bool:
    """Whether it and all that is in it can be read, or it is not there."""
    try:
        return all(os.access(path, os.R_OK) for path in folder.iterdir())
    except FileNotFoundError:
        return True
    except OSError:
        return False


def _attach_filter(packet_socket: socket.socket, expression: str, link_type: int) -> None:
    """Let only frames pass that match ``expression``, on a socket whose frames begin as LINKTYPE_ ``link_type`` says.

    Raises LiveProblem when libpcap is missing, UsageProblem when it does not accept the expression.
    """
    from scapy.arch.common import compile_filter, free_filter
    from scapy.error import Scapy_Exception
    from scapy.libs.structures import sock_fprog

    try:
        program = compile_filter(expression, linktype=link_type)
    except ImportError:
        raise LiveProblem("live.no_libpcap", filter=expression) from None
    except Scapy_Exception as refusal:
        raise UsageProblem("live.bad_filter", filter=expression, reason=_reason(refusal)) from None
    try:
        _pass_whole_frames(program)
        packet_socket.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, sock_fprog(program.bf_len, program.bf_insns))
    finally:
        free_filter(program)


def _pass_whole_frames(program: Any) -> None:
    """scapy compiles for frames of 65,535 bytes at most: such a filter would cut the largest frames of loopback."""
    for index in range(program.bf_len):
        instruction = program.bf_insns[index]
        if instruction.code == _BPF_RET_CONSTANT and instruction.k:
            instruction.k = _WHOLE_FRAME_BYTES


def _reason(refusal: Exception) -> str:
    """libpcap's own words, which scapy puts in brackets behind its own."""
    return str(refusal).rpartition(" (")[2].removesuffix(")")
