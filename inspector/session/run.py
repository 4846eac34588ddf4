"""Programs that run in a private network, captured there, their socket calls recorded."""

import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from enum import StrEnum
from operator import attrgetter
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import BinaryIO, NamedTuple

from inspector import text
from inspector.calls.call import SocketCall
from inspector.calls.resolve import CallResolver
from inspector.calls.spool import CallSpool, RecordedCall
from inspector.calls.strace import StraceReader, traced
from inspector.capture.live import LiveCapture
from inspector.capture.privileges import can_capture, drop_to_invoking_user, missing_right
from inspector.demos import Demo
from inspector.demos.stage import FOLDER_VARIABLE
from inspector.sandbox import GRACE_SECONDS, OrdinaryNetwork, PrivateNetwork, Program
from inspector.session.live import LiveSession, writer_for
from inspector.session.quiet import local_ports
from inspector.trace.live import Arrival
from inspector.trace.selection import Selection

_OPENER = "inspector.capture.scapy_socket:open_socket"
_USER = "inspector.capture.privileges:drop_to_invoking_user"
_LISTENS_WITHIN_S = 5.0
_LOOK_EVERY_S = 0.02
_LAST_WORDS_S = 0.3  # for what the others still have to say when the last program has ended
_MOST_LAST_WORDS = 1 << 20
# Python's answer to the SIGINT that we send; it says nothing about the program.
_OWN_INTERRUPT = re.compile(rb"Traceback \(most recent call last\):\n(?: .*\n)*KeyboardInterrupt\n?")
_SIGNALLED = 128
_SOCKETS_OF_A_PROGRAM = 1_000_000  # numbers them apart from those of other programs
_DEMO_LONGEST_S = 30.0

Output = Callable[[str, bytes], None]  # label of a program, and what it has printed; called from threads


class Recorder(StrEnum):
    """How the socket calls of a program are recorded."""

    PYTHON = "python"  # inside it, when it is written in Python
    STRACE = "strace"  # from outside, whatever it is; slows it down
    NONE = "none"


class Command(NamedTuple):
    """A program to run; ``label`` tells it apart from the others."""

    label: str
    argv: list[str]
    recorder: Recorder = Recorder.PYTHON


class Surroundings(NamedTuple):
    """Where programs run: a private network (see PrivateNetwork for ``mtu`` and ``net_admin``) or the ordinary one.

    ``longest_s`` ends everything that takes longer; ``selection`` is what is shown and saved of the packets.
    """

    host_network: bool = False
    mtu: int | None = None
    net_admin: bool = False
    longest_s: float | None = None
    selection: Selection | None = None

    def network(self) -> PrivateNetwork:
        """Not yet entered; raises RightProblem where the ordinary network may not be captured."""
        if not self.host_network:
            return PrivateNetwork(_OPENER, give_up_rights=_USER, mtu=self.mtu, net_admin=self.net_admin)
        if not can_capture():
            raise missing_right(sys.argv)
        return OrdinaryNetwork(_OPENER, give_up_rights=_USER)


class Run:
    """Programs while they run: a context manager; ``session`` is that of the capture in their private network.

    Each is started when the one before can be reached, has connected, has ended, or has done none of these for some
    seconds. When the last one has ended, the others are stopped. Under sudo everything is done as the invoking user,
    once the socket is open.

    Entering raises RightProblem where namespaces are forbidden, FileProblem for ``write``; ``events`` raises
    LiveProblem when a program cannot be started.
    """

    def __init__(
        self,
        commands: Sequence[Command],
        output: Output,
        surroundings: Surroundings | None = None,
        *,
        write: str | None = None,
        overwrite: bool = False,
    ) -> None:
        self._commands = commands
        self._output = output
        self._surroundings = surroundings or Surroundings()
        self._write = write
        self._overwrite = overwrite
        self._network = self._surroundings.network()
        self._programs: list[Program] = []
        self._pumps: list[threading.Thread] = []
        self._ports: frozenset[int] = frozenset()
        self._interrupted = False
        self._needless_from_s: float | None = None  # the last program has ended: when the others may be stopped
        self._signals = [signal.SIGINT, signal.SIGTERM, signal.SIGKILL]
        self._next_signal_s = 0.0
        self._recorded: dict[tuple[int, int, int], RecordedCall] = {}  # by process, thread, when it was entered
        self._resolver = CallResolver()  # of what ``new_calls`` has told
        self._straced: list[tuple[BinaryIO, StraceReader]] = []
        self._calls_of_strace: list[SocketCall] = []
        self.silent: list[str] = []  # labels of programs that never listened although another was to follow

    def __enter__(self) -> "Run":
        text.load_all()
        with contextlib.ExitStack() as stack:
            stack.enter_context(self._network)
            assert self._network.capture_fd is not None
            capture = LiveCapture.from_fd(self._network.capture_fd, "lo")
            stack.callback(capture.close)
            drop_to_invoking_user()
            folder = Path(stack.enter_context(TemporaryDirectory(prefix="inspector-", ignore_cleanup_errors=True)))
            self._folder = folder
            self._spool = CallSpool(folder)
            stack.callback(self._spool.close)
            self._environment = {**os.environ, FOLDER_VARIABLE: str(folder)}
            writer = writer_for(capture, self._write, overwrite=self._overwrite)
            self.session = LiveSession(capture, self._surroundings.selection, writer)
            stack.callback(self.session.close)
            self._stack = stack.pop_all()
        if self._surroundings.host_network:
            self._ports = local_ports(Path("/proc/self/net")) or frozenset()
        return self

    def __exit__(self, *_: object) -> None:
        for file, _reader in self._straced:
            file.close()
        self._stack.close()

    def interrupt(self) -> None:
        """Let the programs be stopped, and ``events`` end when they are; from a signal handler or another thread."""
        self._interrupted = True

    def events(self) -> Iterator[Arrival | None]:
        """Every packet, until all programs have ended and the wire is quiet; None now and then."""
        for command in self._commands:
            if self._programs and not self._interrupted:
                self._await_socket(self._programs[-1], self._commands[len(self._programs) - 1].label)
            self._start(command)
        self._started_s = time.monotonic()
        for event in self.session.events(self._over):
            yield event
            if event is None and self._interrupted:
                self._stop_more_firmly()
        for pump in self._pumps:
            pump.join(_LAST_WORDS_S)  # a process that a program left behind may hold its end

    def new_calls(self) -> list[SocketCall]:
        """Calls entered or returned since the last time; one that has not returned comes again when it has."""
        calls = self._resolver.feed(self._poll())
        for file, reader in self._straced:
            news = list(reader.feed_bytes(file.read()))
            self._calls_of_strace += news
            calls += news
        return sorted(calls, key=attrgetter("enter_ns"))

    def calls(self) -> list[SocketCall]:
        """The socket calls of the programs, in the order they were entered, once ``events`` has ended."""
        self.new_calls()
        rest = [call for _, reader in self._straced for call in reader.finish()]
        calls = CallResolver().feed(self._recorded.values())
        return sorted([*calls, *self._calls_of_strace, *rest], key=attrgetter("enter_ns"))

    def _poll(self) -> list[RecordedCall]:
        """What Python programs have recorded since the last time."""
        news = self._spool.poll()
        self._recorded.update({(call.process, call.thread, call.entered_ns): call for call in news})
        return news

    def statuses(self) -> list[tuple[str, int]]:
        """(label, exit status) of each program, as a shell tells it; 128 and the signal's number when one ended it."""
        ended = [(command.label, program.poll() or 0) for command, program in self._pairs()]
        return [(label, status if status >= 0 else _SIGNALLED - status) for label, status in ended]

    def label_of(self, process: int) -> str:
        """Which program a process is; "" for one that a program started."""
        return next((command.label for command, program in self._pairs() if program.pid == process), "")

    def _pairs(self) -> Iterator[tuple[Command, Program]]:
        return zip(self._commands, self._programs, strict=False)

    def _start(self, command: Command) -> None:
        environment, argv = self._environment, command.argv
        if command.recorder is Recorder.PYTHON:
            environment = self._spool.environment(environment)
        elif command.recorder is Recorder.STRACE and shutil.which(argv[0]):
            path = self._folder / f"{len(self._programs)}.strace"
            argv = traced(argv, shutil.which("strace"), str(path))
            path.touch()
            self._straced.append((path.open("rb"), StraceReader((len(self._straced) + 1) * _SOCKETS_OF_A_PROGRAM)))
        is_last = len(self._programs) == len(self._commands) - 1
        read_end, write_end = os.pipe()
        try:
            program = self._network.start(
                argv,
                stdin=None if is_last else subprocess.DEVNULL,
                stdout=write_end,
                stderr=write_end,
                env=environment,
            )
        except BaseException:
            os.close(read_end)
            raise
        finally:
            os.close(write_end)
        self._programs.append(program)
        pump = threading.Thread(target=self._pump, args=(command.label, read_end), daemon=True)
        self._pumps.append(pump)
        pump.start()

    def _pump(self, label: str, descriptor: int) -> None:
        last_words = b""  # what it says once it was told to stop
        with os.fdopen(descriptor, "rb", buffering=0) as source:
            while piece := source.read(65_536):
                if self._next_signal_s and len(last_words) < _MOST_LAST_WORDS:
                    last_words += piece
                else:
                    self._output(label, piece)
        if last_words := _OWN_INTERRUPT.sub(b"", last_words):
            self._output(label, last_words)

    def _await_socket(self, program: Program, label: str) -> None:
        """Until somebody in the private network listens on a port, or has connected from one, not used before."""
        deadline = time.monotonic() + _LISTENS_WITHIN_S
        network = Path(f"/proc/{program.pid}/net")
        while time.monotonic() < deadline and not self._interrupted:
            ports = local_ports(network)
            if (ports is not None and ports - self._ports) or program.poll() is not None:
                self._ports |= ports or frozenset()
                return
            time.sleep(_LOOK_EVERY_S)
        self.silent.append(label)

    def _over(self) -> bool:
        """Asked while the wire is quiet: whether all have ended. Stops those that nobody needs any more."""
        ended = [program.poll() is not None for program in self._programs]
        if all(ended):
            return True
        now_s = time.monotonic()
        if ended[-1] and self._needless_from_s is None:
            self._needless_from_s = now_s + _LAST_WORDS_S
        longest_s = self._surroundings.longest_s
        too_long = longest_s is not None and now_s - self._started_s > longest_s
        if too_long or (self._needless_from_s is not None and now_s >= self._needless_from_s):
            self._interrupted = True
        return False

    def _stop_more_firmly(self) -> None:
        """Send those that still run the next signal when its time has come; their last packets are captured."""
        now_s = time.monotonic()
        if not self._signals or now_s < self._next_signal_s:
            return
        number = self._signals.pop(0)
        self._next_signal_s = now_s + GRACE_SECONDS
        for program in self._programs:
            if program.poll() is None:
                program.signal(number)


def demo_run(demo: Demo, variant: str, output: Output, *, write: str | None = None, overwrite: bool = False) -> Run:
    """The programs of a demo; what is stuck is stopped."""
    commands = [Command(role, demo.command(role, variant)) for role in demo.roles]
    mtu = demo.mtu_of.get(variant)
    surroundings = Surroundings(mtu=mtu, net_admin=demo.net_admin, longest_s=_DEMO_LONGEST_S)
    return Run(commands, output, surroundings, write=write, overwrite=overwrite)
