"""StateWriter: a run's state in a file, while it goes on."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from queue import Full, Queue
from threading import Thread

from streamdeid.engine.run_state import RunState
from streamdeid.engine.state_file import read_state, write_state
from streamdeid.errors import InputError, OutputError


def read_run(path: str | os.PathLike[str]) -> RunState:
    """The run that a state file holds.

    Raises:
        InputError: it cannot be read, or holds none.
    """
    state = read_state(path)
    try:
        return RunState.from_state(state)
    except (ValueError, TypeError) as error:
        raise InputError(f"{os.fspath(path)} cannot be read as a state: {error}.") from error


class StateWriter:
    """Writes states in a thread of its own, so that no frame waits for the disk.

    Args:
        path: of the state file.
        tell: called with a sentence, in that thread, when one cannot be written; once for as long
            as they all fail.
    """

    def __init__(self, path: Path, tell: Callable[[str], None]) -> None:
        self.path = path
        self._tell = tell
        self._failing = False
        self._queue: Queue[RunState | None] = Queue(maxsize=1)
        self._thread = Thread(target=self._write_all, name="checkpoints", daemon=True)
        self._thread.start()

    def offer(self, state: RunState) -> None:
        """Write this state soon; left out if the one before is not written yet."""
        try:
            self._queue.put_nowait(state)
        except Full:
            return

    def finish(self, state: RunState) -> None:
        """Write the last state, and end the thread.

        Raises:
            OutputError: it cannot be written.
        """
        self.close()
        write_state(self.path, state.to_state())

    def close(self) -> None:
        """Write what was offered, and end the thread; may be called twice."""
        if self._thread.is_alive():
            self._queue.put(None)
            self._thread.join()

    def _write_all(self) -> None:
        while (state := self._queue.get()) is not None:
            try:
                write_state(self.path, state.to_state())
                self._failing = False
            except OutputError as error:
                if not self._failing:
                    self._tell(str(error))
                self._failing = True
