"""ScriptSource: action units by a script of the user's that runs OpenFace on whole video files."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterable
from contextlib import ExitStack, suppress
from pathlib import Path
from threading import Event
from time import monotonic
from typing import Any, Final

from streamdeid.closing import Closing
from streamdeid.cores import CORES
from streamdeid.observations import AuOrigin, AuValues, ExpressionReading, Sighting
from streamdeid.pair import Pair
from streamdeid.stages.action_units.child import Child
from streamdeid.stages.action_units.finished import UNIT, VIDEOS, FinishedRows, Spool
from streamdeid.stages.action_units.guard import Guard
from streamdeid.stages.action_units.program import OpenFaceScript
from streamdeid.stages.action_units.rows import UnreadableRows, last_frame

SCRIPT_PATIENCE_S: Final = 600.0
"""A container is fetched and started, and models are loaded, before a script writes anything."""

_LOOK_EVERY_S: Final = 0.05


class ScriptSource(Closing):
    """Runs the script on both files while the run goes on, and reads its rows at the end.

    The videos are decoded once more, by OpenFace; its rows are joined with our frames by their
    place in the file. Whatever goes wrong with a script is no error of the run: then the readings
    have no units, and say why.

    Args:
        script: which.
        videos: the two files.
        patience_s: at the end of the run, a script that prints nothing and writes nothing to its
            folder for so long is given up.

    Attributes:
        origin: where the units come from.
        values: what the intensities are.
        fault: what went wrong, a sentence; None: nothing so far.
    """

    name = "openface"
    delay: int | None = None
    stride = 1
    values: AuValues = "post-processed"

    def __init__(
        self,
        script: OpenFaceScript,
        videos: Pair[Path],
        *,
        patience_s: float = SCRIPT_PATIENCE_S,
    ) -> None:
        self.origin = AuOrigin(f"OpenFace, run by {script.path.name}", (self.values,), UNIT)
        self.fault: str | None = None
        self._script = script
        self._how = script.record()  # it may be gone at the end
        self._videos = videos
        self._patience_s = patience_s
        self._last = Pair(0, 0)
        self._runs: Pair[_ScriptRun] | None = None
        self._spool: Spool | None = None
        self._hurried = Event()
        self._stack = ExitStack()

    def record(self) -> dict[str, Any]:
        """For the report: what was run, and how it went."""
        return self._how | {"values": self.values, "fault": self.fault}

    def push(self, item: Pair[Sighting]) -> Iterable[ExpressionReading]:
        if self._spool is None:
            self._spool = self._start()
        self._last = item.map(lambda sighting: sighting.frame.index + 1)
        self._spool.add(item.original.frame.elapsed, self._last)
        return ()

    def flush(self) -> Iterable[ExpressionReading]:
        if self._spool is not None:
            paths = self._finished_files()
            finished = FinishedRows(self._spool, paths or self._videos, self.fault)
            yield from finished
            self.fault = finished.fault
        self.close()

    def reset(self) -> None:
        """Nothing to forget."""

    def hurry(self) -> None:
        """A script reads whole videos, and does not know that the run is to end."""
        self._hurried.set()

    def close(self) -> None:
        """End what still runs and remove the files. May be called twice."""
        self._stack.close()

    def _start(self) -> Spool:
        folder = Path(tempfile.mkdtemp(prefix="streamdeid-openface-"))
        self._stack.callback(shutil.rmtree, folder, ignore_errors=True)
        guard = self._stack.enter_context(Guard(folder))
        try:
            self._runs = Pair(
                self._run(self._videos.original, folder / "original", VIDEOS.original, guard),
                self._run(
                    self._videos.deidentified, folder / "deidentified", VIDEOS.deidentified, guard
                ),
            )
        except OSError as error:
            name = self._script.path.name
            self.fault = f"{name} cannot be started: {error.strerror or error}."
        return self._stack.enter_context(Spool())

    def _run(self, video: Path, folder: Path, name: str, guard: Guard) -> _ScriptRun:
        folder.mkdir()
        # Absolute, because a script may well go to another folder first.
        command = self._script.command(video.absolute(), folder)
        run = _ScriptRun(command, folder, f"{self._script.path.name} on {name}", guard)
        self._stack.callback(run.child.close)
        return run

    def _finished_files(self) -> Pair[Path] | None:
        """The files of both sides when both scripts have ended; None and `fault` otherwise."""
        runs = self._runs
        if runs is None:
            return None
        try:
            runs.original.wait(self._patience_s, self._hurried)
            runs.deidentified.wait(self._patience_s, self._hurried)
            return Pair(
                runs.original.rows(self._videos.original, self._last.original),
                runs.deidentified.rows(self._videos.deidentified, self._last.deidentified),
            )
        except _Failed as problem:
            self.fault = f"{problem}."
            return None


class _Failed(Exception):  # noqa: N818  its text is the fault
    """A script did not do what it should."""


class _ScriptRun:
    """The script on one video."""

    def __init__(self, command: list[str], folder: Path, name: str, guard: Guard) -> None:
        self.child = Child(command, guard)
        self._folder = folder
        self._name = name

    def wait(self, patience_s: float, hurried: Event) -> None:
        """Wait until it has ended well.

        Raises:
            _Failed: it ended badly, or nothing moved for `patience_s`, or the run was to end.
        """
        signs, since = self._signs_of_life(), monotonic()
        with CORES.waiting():
            while self.child.exit_code is None:
                self.child.wait(_LOOK_EVERY_S)
                if hurried.is_set():
                    raise _Failed(f"{self._name} had not ended when the run was to end")
                if monotonic() - since > patience_s:
                    before, signs, since = signs, self._signs_of_life(), monotonic()
                    if signs == before:
                        raise _Failed(
                            f"{self._name} printed and wrote nothing for {patience_s:g} s "
                            "after the videos had ended, and was killed"
                        )
        if self.child.exit_code != 0:
            how = self.child.how_it_ended()
            raise _Failed(f"{self._name} ended {how}{self.child.last_words()}")

    def rows(self, video: Path, last: int) -> Path:
        """The file that it left.

        Raises:
            _Failed: there is none, or it does not reach frame `last`.
        """
        found = sorted(self._folder.rglob("*.csv"))
        own = [path for path in found if path.stem == video.stem]
        if len(own or found) != 1:
            names = ", ".join(path.name for path in found) or "none"
            raise _Failed(f"{self._name} must leave one CSV file in its folder; it left {names}")
        (path,) = own or found
        try:
            reached = last_frame(path)
        except UnreadableRows as problem:
            raise _Failed(f"{self._name} wrote {problem}") from problem
        if reached < last:
            raise _Failed(f"{self._name} wrote rows up to frame {reached}, but there are {last}")
        return path

    def _signs_of_life(self) -> tuple[object, ...]:
        sizes = []
        for path in self._folder.rglob("*"):
            with suppress(OSError):  # it may be gone by now
                sizes.append(path.stat().st_size)
        return self.child.last_words(), len(sizes), sum(sizes)
