"""AlertActions: a command that is run and an address that is told, when an alert is raised."""

from __future__ import annotations

import base64
import json
import os
import shlex
import signal
import subprocess
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from http.client import HTTPException
from queue import Empty, Full, Queue
from threading import Event, Thread
from typing import Any, Final
from urllib.parse import unquote, urlsplit, urlunsplit

from streamdeid.errors import SettingsError
from streamdeid.sources.uri import redact, redact_url

LONGEST_S: Final = 10.0
"""Seconds that a command or an answer may take."""

_MOST_WAITING: Final = 16


class _StayHere(urllib.request.HTTPRedirectHandler):
    """Follows no redirection: the authorisation is for nobody else."""

    def redirect_request(self, *_: Any) -> None:
        """Nothing to go on with: the answer is told as it is."""


_OPENER: Final = urllib.request.build_opener(_StayHere)


class AlertActions:
    """Runs a command and posts to a URL for each event, in a thread of its own.

    Nobody waits for it: what does not end in time is ended, and events that come faster than they
    can be told are left out. Both become notes.

    Args:
        command: its words; it gets the event as JSON on its standard input, and in the
            environment as STREAMDEID_EVENT. None: there is none.
        url: http or https; user name and password in it are sent as basic authorisation.
        tell: called with a sentence when something failed, in that thread.
        longest_s: that a command or an answer may take.

    Raises:
        SettingsError: the URL is none.
    """

    def __init__(
        self,
        command: Sequence[str] | None,
        url: str | None,
        tell: Callable[[str], None],
        longest_s: float = LONGEST_S,
    ) -> None:
        self._command = command
        self._request = None if url is None else _request(url)
        self._shown = "" if url is None else redact_url(url)
        self._tell = tell
        self._longest_s = longest_s
        self._stop = Event()
        self._queue: Queue[Mapping[str, Any]] = Queue(_MOST_WAITING)
        self._thread = Thread(target=self._work, name="alert-actions", daemon=True)
        if command is not None or url is not None:
            self._thread.start()

    def offer(self, event: Mapping[str, Any]) -> None:
        """Do what is to be done for this event, soon."""
        if not self._thread.is_alive():
            return
        try:
            self._queue.put_nowait(event)
        except Full:
            self._tell("An alert could not be told: those before it are still being told.")

    def close(self) -> None:
        """Let what was offered end, for 21 s at most."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(2 * self._longest_s + 1)

    def _work(self) -> None:
        while not (self._stop.is_set() and self._queue.empty()):
            try:
                event = self._queue.get(timeout=0.1)
            except Empty:
                continue
            data = json.dumps(event).encode()
            if self._command is not None:
                self._run(self._command, data)
            if self._request is not None:
                self._post(self._request, data)

    def _run(self, command: Sequence[str], data: bytes) -> None:
        name = redact(command[0])
        try:
            process = subprocess.Popen(  # noqa: S603  it is the user's own command
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                env=os.environ | {"STREAMDEID_EVENT": data.decode()},
                start_new_session=True,
            )
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or "its name makes no sense"
            self._tell(f"The command {name} of an alert cannot be run: {reason}.")
            return
        try:
            with suppress(BrokenPipeError):
                process.communicate(data, timeout=self._longest_s)
        except subprocess.TimeoutExpired:
            _end(process)
            self._tell(f"The command {name} of an alert was ended after {self._longest_s:g} s.")
            return
        if process.returncode:
            self._tell(f"The command {name} of an alert failed with {process.returncode}.")

    def _post(self, request: urllib.request.Request, data: bytes) -> None:
        again = urllib.request.Request(  # noqa: S310  the scheme was checked
            request.full_url, data, dict(request.header_items()), method="POST"
        )
        try:
            with _OPENER.open(again, timeout=self._longest_s):
                return
        except urllib.error.HTTPError as error:
            error.close()
            why = f"the answer was {error.code}"
        except (OSError, HTTPException, ValueError) as error:
            reason = getattr(error, "reason", error)
            why = str(getattr(reason, "strerror", None) or type(reason).__name__)
        self._tell(f"An alert could not be posted to {self._shown}: {redact(why)}.")


def command_words(text: str) -> list[str]:
    """A command line as words; no shell has a part in it.

    Raises:
        SettingsError: there are none, or a quote is not closed.
    """
    try:
        words = shlex.split(text)
    except ValueError as error:
        raise SettingsError(f"--on-alert-run {text!r} cannot be read: {error}.") from error
    if not words:
        raise SettingsError("--on-alert-run is empty: give a command.")
    return words


def _request(url: str) -> urllib.request.Request:
    try:
        parts = urlsplit(url)
        port = f":{parts.port}" if parts.port else ""
    except ValueError:
        parts, port = urlsplit(""), ""
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise SettingsError(f"--on-alert-post {redact_url(url)} is no http or https URL.")
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    plain = urlunsplit((parts.scheme, host + port, parts.path or "/", parts.query, ""))
    headers = {"Content-Type": "application/json"}
    if parts.username is not None:
        login = f"{unquote(parts.username)}:{unquote(parts.password or '')}".encode()
        headers["Authorization"] = "Basic " + base64.b64encode(login).decode()
    return urllib.request.Request(plain, headers=headers, method="POST")  # noqa: S310  checked


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a command and what it has started."""
    with suppress(ProcessLookupError, PermissionError):
        if hasattr(os, "killpg"):
            os.killpg(process.pid, signal.SIGKILL)
    process.kill()
    process.communicate()
