"""Guard: ends children and clears up when this process is killed and cannot do so itself."""

from __future__ import annotations

import subprocess
from contextlib import suppress
from pathlib import Path
from typing import Final

from streamdeid.closing import Closing

# It ends without a deed at the word `done`, and with them at the end of its input: the system
# closes our side of the pipe however we end. Signals of a terminal go past it.
_SCRIPT: Final = """
trap '' HUP INT QUIT TERM
folder=$1 groups= containers=
while read -r word name; do
    case $word in
        group) groups="$groups $name" ;;
        container) containers="$containers $name" ;;
        done) exit 0 ;;
    esac
done
for name in $containers; do docker kill "$name"; done
for group in $groups; do kill -s KILL -- "-$group"; done
rm -rf -- "$folder"
"""


class Guard(Closing):
    """A small shell that outlives us for a moment.

    A child may hang where nothing reaches it but SIGKILL, and its files must keep their names while
    it runs. Linux can kill a child with its parent, but means the thread that started it.

    Args:
        folder: to be removed.
    """

    def __init__(self, folder: Path) -> None:
        self._shell: subprocess.Popen[bytes] | None = subprocess.Popen(  # noqa: S603
            ["/bin/sh", "-c", _SCRIPT, "streamdeid-guard", str(folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            bufsize=0,
            cwd="/",
            start_new_session=True,
        )

    def watch(self, process_group: int, container: str | None = None) -> None:
        """End this, too."""
        self._tell(f"group {process_group}")
        if container is not None:
            self._tell(f"container {container}")

    def close(self) -> None:
        """Dismiss it: all was done by ourselves. May be called twice."""
        if self._shell is not None:
            self._tell("done")
            self._shell.communicate()
            self._shell = None

    def _tell(self, line: str) -> None:
        if self._shell is None or self._shell.stdin is None:
            raise ValueError("the guard was dismissed")
        with suppress(BrokenPipeError):  # somebody killed it: then nobody watches us
            self._shell.stdin.write(line.encode() + b"\n")
