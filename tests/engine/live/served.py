"""How a run may stand, and what HTTP tells of it."""

from __future__ import annotations

import socket
import urllib.error
import urllib.request

from streamdeid.engine.accounts import Account
from streamdeid.engine.live.status import SideStatus, Status
from streamdeid.pair import Pair
from streamdeid.score import Score

UP = SideStatus(Account(10, 7, {"behind": 2}, 1, 0, 3), True, True, 29.5, 0.01)
STATUS = Status(
    time="2030-01-01T00:00:00.000Z",
    wall_s=1.0,
    time_s=1.0,
    pairs=7,
    pairs_per_s=6.5,
    lag_s=0.25,
    blocks=None,
    sides=Pair(UP, UP),
    alignment=None,
    totals=[Score("identity.x", 0.5, "rate", 7), Score("none", None, "", 0, reason="no face")],
    window_s=60.0,
    window=[Score("identity.x", 0.25, "rate", 4)],
    window_faces={},
)


def free_port() -> int:
    """A port of this machine that nobody listens at."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def listens(port: int) -> bool:
    """Whether somebody listens there."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def get(port: int, path: str) -> tuple[int, str]:
    """The status and the text of an answer."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=10) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()
