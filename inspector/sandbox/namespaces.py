"""Entering a private network: user and network namespace of this process, loopback up, ports and sizes set.

unshare(2), user_namespaces(7), network_namespaces(7), netdevice(7); ip-sysctl.rst of the kernel for the settings.
"""

import contextlib
import ctypes
import errno
import fcntl
import os
import socket
import struct
import sys
from pathlib import Path

from inspector.text.problems import RightProblem

LOOPBACK = "lo"

_CLONE_NEWUSER = 0x10000000
_CLONE_NEWNET = 0x40000000

_CAP_NET_ADMIN = 12
_CAPABILITY_VERSION_3 = 0x20080522
_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_RAISE = 47, 2

_SIOCGIFFLAGS, _SIOCSIFFLAGS, _SIOCSIFMTU, _SIOCETHTOOL = 0x8913, 0x8914, 0x8922, 0x8946
_IFF_UP = 0x1
_ETHTOOL_SEGMENTATION = (0x1F, 0x24, 0x2C)  # set TSO, GSO, GRO

_SETTINGS = {
    "net/ipv4/ip_unprivileged_port_start": "0",  # a server may listen on port 80 as in the textbook
    "net/ipv4/ip_local_port_range": "40001 49999",  # ephemeral ports of five digits that no known service has
}

_FORBIDDING_SETTINGS = (  # setting, the value that forbids, the problem's key; the first that applies is told
    ("user/max_user_namespaces", "0", "sandbox.no_user_namespaces_left"),
    ("user/max_net_namespaces", "0", "sandbox.no_network_namespaces_left"),
    ("kernel/unprivileged_userns_clone", "0", "sandbox.clone_forbidden"),
    ("kernel/apparmor_restrict_unprivileged_userns", "1", "sandbox.apparmor"),
)


def enter(mtu: int | None = None) -> None:
    """Move this single-threaded process into a network of its own, with nothing in it but loopback, which is up.

    Root needs a network namespace only. Anybody else gets a user namespace around it in which she keeps her own user
    and group id; this process has all rights over that network, and programs that it executes have none (the mapping
    leaves capabilities(7) alone, execve of a user other than 0 clears them). With ``mtu`` segments are also no longer
    handed over in one piece, as if a network card with that MTU were there. Raises RightProblem where it is forbidden.
    """
    if sys.platform != "linux":
        raise RightProblem("sandbox.only_linux")
    try:
        _unshare()
        _bring_loopback_up(mtu)
    except OSError as error:
        raise _forbidden(error) from None
    for name, value in _SETTINGS.items():
        with contextlib.suppress(OSError):  # /proc/sys may be read-only in a container: a convenience is lost
            Path("/proc/sys", name).write_bytes(value.encode())


def keep_net_admin(libc: ctypes.CDLL) -> None:
    """Let the program that this process executes next keep CAP_NET_ADMIN over the private network, and nothing else.

    Ambient capabilities, capabilities(7): they must be inheritable first, which capset(2) makes them.
    """
    header = struct.pack("Ii", _CAPABILITY_VERSION_3, 0)
    sets = ctypes.create_string_buffer(24)  # effective, permitted, inheritable; twice, for 64 capabilities
    libc.capget(header, sets)
    effective, permitted, inheritable, *high = struct.unpack("6I", sets.raw)
    libc.capset(header, struct.pack("6I", effective, permitted, inheritable | 1 << _CAP_NET_ADMIN, *high))
    libc.prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_RAISE, _CAP_NET_ADMIN, 0, 0)


def _unshare() -> None:
    if os.geteuid() == 0:
        with contextlib.suppress(PermissionError):  # root of a container may lack CAP_SYS_ADMIN
            return _call_unshare(_CLONE_NEWNET)
    uid, gid = os.geteuid(), os.getegid()
    _call_unshare(_CLONE_NEWUSER | _CLONE_NEWNET)
    identity = Path("/proc/self")
    identity.joinpath("setgroups").write_bytes(b"deny")  # the kernel's condition for gid_map
    identity.joinpath("uid_map").write_bytes(b"%d %d 1" % (uid, uid))
    identity.joinpath("gid_map").write_bytes(b"%d %d 1" % (gid, gid))
    return None


def _call_unshare(flags: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(flags) != 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))


def _bring_loopback_up(mtu: int | None) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:

        def request(number: int, layout: str, *values: int) -> bytes:
            return fcntl.ioctl(control, number, struct.pack(f"16s{layout}16x", LOOPBACK.encode(), *values))

        if mtu is not None:
            request(_SIOCSIFMTU, "i", mtu)
            for command in _ETHTOOL_SEGMENTATION:
                off = ctypes.create_string_buffer(struct.pack("II", command, 0))
                request(_SIOCETHTOOL, "P", ctypes.addressof(off))
        (flags,) = struct.unpack_from("16xH", request(_SIOCGIFFLAGS, "H", 0))
        request(_SIOCSIFFLAGS, "H", flags | _IFF_UP)


def _forbidden(error: OSError) -> RightProblem:
    """The reason why the kernel refused, as far as its settings tell it."""
    if error.errno in (errno.EINVAL, errno.ENOSYS):
        return RightProblem("sandbox.kernel_without_namespaces")
    for name, value, key in _FORBIDDING_SETTINGS:
        with contextlib.suppress(OSError):
            if Path("/proc/sys", name).read_bytes().strip() == value.encode():
                return RightProblem(key)
    return RightProblem("sandbox.forbidden", reason=os.strerror(error.errno or 0))
