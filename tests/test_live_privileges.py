"""The right to capture: seen, asked for, and given up for good under sudo."""

import os
import pwd
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from inspector.capture.privileges import can_capture, drop_to_invoking_user, missing_right
from inspector.text.problems import RightProblem

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root has rights to give up")
NOBODY = pwd.getpwnam("nobody")
SCRIPT = "import sys; print(sys.argv[1:])"


def command_without_sudo(argv: list[str]) -> list[str]:
    """The words of the command that is proposed, taken apart as a shell does."""
    words = shlex.split(str(missing_right(argv).parameters["command"]))
    if words[0] == "sudo":
        return words[1:]
    assert words[:2] == ["su", "-c"]
    return shlex.split(words[2])


@pytest.mark.parametrize(
    "arguments", [["watch"], ["watch", "--filter", "tcp port 80 or (udp)"], ["watch", "it's", "$x"]]
)
def test_the_proposed_command_runs_the_same_script_from_anywhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str]
) -> None:
    script = tmp_path / "my inspector"
    script.write_text(f"#!{sys.executable}\n{SCRIPT}\n")
    script.chmod(0o755)
    monkeypatch.chdir(tmp_path)
    for name in (str(script), "./my inspector"):
        command = command_without_sudo([name, *arguments])
        assert Path(command[0]).is_absolute()
        printed = subprocess.run(command, cwd="/", capture_output=True, text=True, check=True).stdout
        assert printed == f"{arguments}\n"
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    assert command_without_sudo(["my inspector"]) == [str(script)]


def test_what_is_no_executable_file_is_proposed_with_its_interpreter(tmp_path: Path) -> None:
    script = tmp_path / "mine.py"
    script.write_text(SCRIPT)
    assert command_without_sudo(["/somewhere/inspector/__main__.py", "watch"]) == [
        sys.executable,
        "-m",
        "inspector",
        "watch",
    ]
    assert command_without_sudo([str(script), "8001"]) == [sys.executable, str(script), "8001"]
    assert command_without_sudo([""]) == [sys.executable]


def test_the_problem_is_one_line_and_never_proposes_setcap() -> None:
    text = str(missing_right(["inspector", "watch"]))
    assert "\n" not in text
    assert "setcap" not in text


def in_child(task: str, **environment: str) -> str:
    """What a Python child prints; it has imported all it needs."""
    code = f"import os, socket, sys\nfrom inspector.capture.privileges import *\n{task}"
    path = os.pathsep.join(sys.path)
    ended = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": path, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    return ended.stdout.strip()


@as_root
def test_under_sudo_all_rights_are_given_up_for_good() -> None:
    report = in_child(
        """
keep = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
print(can_capture())
drop_to_invoking_user()
status = dict(line.split(":", 1) for line in open("/proc/self/status"))
print(*os.getresuid(), *os.getresgid(), *os.getgroups(), sep=",")
print({int(status[name], 16) for name in ("CapInh", "CapPrm", "CapEff", "CapAmb")})
kept = ("Uid", "Gid", "Groups", "CapInh", "CapPrm", "CapEff", "CapAmb")
threads = [dict(line.split(":", 1) for line in path.open()) for path in Path("/proc/self/task").glob("*/status")]
print({number for each in threads for name in kept for number in each[name].split()} == set(map(str, os.getresuid())) |
      set(map(str, os.getresgid())) | {"0" * 16})
print(os.environ["HOME"], os.environ["USER"], can_capture(), keep.getsockname()[0] == "")
try:
    os.setuid(0)
except PermissionError:
    print("for good")
drop_to_invoking_user()
""",
        SUDO_UID=str(NOBODY.pw_uid),
        SUDO_GID=str(NOBODY.pw_gid),
    )
    uid, gid = NOBODY.pw_uid, NOBODY.pw_gid
    assert report.splitlines() == [
        "True",
        f"{uid},{uid},{uid},{gid},{gid},{gid},{gid}",
        "{0}",
        "True",
        f"{NOBODY.pw_dir} nobody False True",
        "for good",
    ]


@as_root
@pytest.mark.parametrize(
    ("uid", "gid"),
    [
        ("4000000000", "0"),
        ("-1", "0"),
        ("nobody", "nogroup"),
        ("", ""),
        (str(NOBODY.pw_uid), "0"),
        (str(NOBODY.pw_uid), ""),
        ("9" * 30, "1"),
    ],
)
def test_a_user_that_sudo_cannot_have_meant_is_refused(monkeypatch: pytest.MonkeyPatch, uid: str, gid: str) -> None:
    monkeypatch.setenv("SUDO_UID", uid)
    monkeypatch.setenv("SUDO_GID", gid)
    with pytest.raises(RightProblem, match="cannot give up root's rights"):
        drop_to_invoking_user()
    assert os.geteuid() == 0


def test_without_sudo_nothing_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SUDO_UID", raising=False)
    before = os.getresuid(), os.getresgid(), os.getgroups(), os.environ["HOME"]
    drop_to_invoking_user()
    assert (os.getresuid(), os.getresgid(), os.getgroups(), os.environ["HOME"]) == before


@pytest.mark.live
@pytest.mark.skipif(os.geteuid() == 0, reason="root may capture")
def test_a_user_without_the_right_is_told_the_command() -> None:
    from inspector.capture.live import LiveCapture

    assert not can_capture()
    with pytest.raises(RightProblem, match="capturing needs root"):
        LiveCapture.on("lo")


@as_root
@pytest.mark.live
def test_a_capture_goes_on_after_the_rights_are_gone() -> None:
    from inspector.sandbox import refusal

    if reason := refusal():
        pytest.skip(f"no private network here: {reason}")
    report = in_child(
        """
from inspector.sandbox.namespaces import enter
from inspector.capture.live import LiveCapture
enter()
with LiveCapture.on("lo") as capture:
    drop_to_invoking_user()
    with socket.socket(type=socket.SOCK_DGRAM) as sender:
        sender.sendto(b"seen", ("127.0.0.1", 9))
    capture.stop()
    for batch in capture.batches():
        print(bytes(batch.buffer)[batch.offset[0]:][42:46])
    print(*capture.statistics())
""",
        SUDO_UID=str(NOBODY.pw_uid),
        SUDO_GID=str(NOBODY.pw_gid),
    )
    assert report.splitlines() == ["b'seen'", "2 0"]
