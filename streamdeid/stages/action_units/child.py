"""Child: a program that runs beside us, and of which nothing is left behind."""

from __future__ import annotations

import os
import select
import signal
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from threading import Event, Thread
from typing import Final

from streamdeid.stages.action_units.guard import Guard

_LOOK_EVERY_MS: Final = 200
_KEPT_OUTPUT: Final = 4096
_QUOTED: Final = 200
_LAST_WORDS_S: Final = 1.0
_DIES_S: Final = 10
_DOCKER_KILLS_S: Final = 20


class Child:
    """Starts a program in a session of its own, so that a terminal's Ctrl-C is left to us.

    What it prints is read away all the time, because a full pipe would stop it, and all but the
    last of it forgotten.

    Args:
        command: the program and its arguments.
        guard: kills it if we are killed.
        folder: where it runs; None: where we do.
        container: name of the Docker container that the command runs in.
        feeds: whether we write to its standard input, `stdin`.

    Attributes:
        stdin: descriptor to write to; it belongs to the caller, who closes it.

    Raises:
        OSError: it cannot be started.
    """

    def __init__(
        self,
        command: Sequence[str],
        guard: Guard,
        *,
        folder: Path | None = None,
        container: str | None = None,
        feeds: bool = False,
    ) -> None:
        self._container = container
        self._process = subprocess.Popen(  # noqa: S603
            command,
            stdin=subprocess.PIPE if feeds else subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            bufsize=0,
            cwd=folder,
            start_new_session=True,
        )
        guard.watch(self._process.pid, container)
        self.stdin = -1
        if self._process.stdin is not None:
            self.stdin = os.dup(self._process.stdin.fileno())
            self._process.stdin.close()
        self._said = b""
        self._killed = False
        self._closed = Event()
        self._listener = Thread(target=self._listen, name="child-output", daemon=True)
        self._listener.start()

    @property
    def exit_code(self) -> int | None:
        """None while it runs; negative: the signal that ended it."""
        return self._process.poll()

    def wait(self, seconds: float) -> None:
        """Wait until it has ended, so long at most."""
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(seconds)

    def how_it_ended(self) -> str:
        """As in "with exit code 1"; waits until it has."""
        code = self._process.wait()
        return f"with exit code {code}" if code >= 0 else f"by signal {_signal_name(-code)}"

    def last_words(self) -> str:
        """The last line that it printed, as in "; its last words were 'no such file'"; or ""."""
        if self._process.poll() is not None:
            self._listener.join(_LAST_WORDS_S)  # they may still be in the pipe
        lines = [line.strip() for line in self._said.decode("utf-8", "replace").splitlines()]
        spoken = [line for line in lines if line]
        last = "".join(letter for letter in (spoken or [""])[-1] if letter.isprintable())
        return f"; its last words were {last[-_QUOTED:]!r}" if last else ""

    def kill(self) -> None:
        """End it and all that it started, at once. May be called twice."""
        if self._killed:
            return
        self._killed = True
        if self._container is not None and self._process.poll() is None:
            _kill_container(self._container)
        # Even when it has ended by itself: what it started may live on, in its group.
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self.wait(_DIES_S)

    def close(self) -> None:
        """`kill`, and end the thread that reads its output. May be called twice."""
        self.kill()
        self._closed.set()
        self._listener.join()

    def _listen(self) -> None:
        output = self._process.stdout
        assert output is not None  # noqa: S101  for the type checker
        with output:
            poll = select.poll()
            poll.register(output, select.POLLIN)
            while not self._closed.is_set():
                if poll.poll(_LOOK_EVERY_MS):
                    said = os.read(output.fileno(), 65536)
                    if not said:
                        return
                    self._said = (self._said + said)[-_KEPT_OUTPUT:]


def _kill_container(name: str) -> None:
    # Docker's client is not the container, which lives on when its client is killed.
    with suppress(OSError, subprocess.TimeoutExpired):
        subprocess.run(  # noqa: S603
            ["docker", "kill", name],  # noqa: S607
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=_DOCKER_KILLS_S,
            check=False,
        )


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return str(number)
