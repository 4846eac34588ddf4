"""The right to capture: whether it is there, the command that gets it, and giving it up under sudo."""

import contextlib
import os
import pwd
import shlex
import shutil
import socket
import sys
from pathlib import Path

from inspector.text.problems import RightProblem


def can_capture() -> bool:
    """Whether a capture socket may be opened here; the socket that is tried hears nothing."""
    if sys.platform != "linux":
        return os.geteuid() == 0 or os.access("/dev/bpf0", os.R_OK)
    try:
        socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0).close()
    except OSError:
        return False
    return True


def missing_right(argv: list[str]) -> RightProblem:
    """The problem of having no right to capture, with the exact command that has it; ``argv`` is sys.argv."""
    return RightProblem("live.no_right", command=command_as_root(argv))


def command_as_root(argv: list[str]) -> str:
    """The command line that runs this program again, with root's rights; ``argv`` as sys.argv.

    Never a capability set on a file: on an interpreter it would arm every script that runs in it.
    """
    command = shlex.join([*_program(Path(argv[0])), *argv[1:]])
    return f"sudo {command}" if shutil.which("sudo") else f"su -c {shlex.quote(command)}"


def _program(script: Path) -> list[str]:
    """The words that start this program again from any directory and with any PATH."""
    if script.name == "__main__.py":  # python -m PACKAGE
        return [sys.executable, "-m", script.parent.name]
    path = Path(shutil.which(script) or script).absolute()  # resolve() would follow links out of a virtual environment
    if not path.is_file():  # typed in, or python -c
        return [sys.executable]
    return [str(path)] if os.access(path, os.X_OK) else [sys.executable, str(path)]


def drop_to_invoking_user() -> None:
    """Under sudo, become the user who called it for good: groups, user, capabilities, HOME. Otherwise nothing is done.

    To be called when sockets and ring are open and all that is needed is imported: root's folders are closed then.
    Raises RightProblem when sudo's variables name no user, or rights would remain.
    """
    if os.geteuid() != 0 or os.environ.get("SUDO_UID", "0") == "0":
        return
    user, gid = _invoking_user()
    os.initgroups(user.pw_name, gid)
    os.setresgid(gid, gid, gid)
    os.setresuid(user.pw_uid, user.pw_uid, user.pw_uid)
    if _effective_capabilities():
        raise RightProblem("live.rights_remain", user=user.pw_name)
    os.environ.update(HOME=user.pw_dir, USER=user.pw_name, LOGNAME=user.pw_name)


def _invoking_user() -> tuple[pwd.struct_passwd, int]:
    """The account and the group that sudo names: they must exist and belong together."""
    uid, gid = os.environ["SUDO_UID"], os.environ.get("SUDO_GID", "")
    with contextlib.suppress(ValueError, KeyError, OverflowError):
        user = pwd.getpwuid(int(uid))
        if int(gid) in os.getgrouplist(user.pw_name, user.pw_gid):
            return user, int(gid)
    raise RightProblem("live.unknown_sudo_user", uid=uid, gid=gid)


def _effective_capabilities() -> int:
    """The capability set of this process as a number (proc(5), CapEff); 0 where there is no such thing."""
    try:
        status = Path("/proc/self/status").read_bytes()  # a text codec might have to be imported from root's folders
    except OSError:
        return 0
    return int(status.partition(b"CapEff:")[2].split()[0], 16)
