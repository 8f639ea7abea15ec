"""connect: the URL of a live stream becomes a container and its video stream."""

from __future__ import annotations

import os
import re
import select
import sys
import threading
import time
from typing import Final, Literal, TypeAlias

import av
from av.container import InputContainer
from av.video.stream import VideoStream

from streamdeid.errors import SourceError
from streamdeid.sources.decoding import MOST_PIXELS
from streamdeid.sources.uri import redact, redact_url, scheme_of

Transport: TypeAlias = Literal["tcp", "udp"]

ANALYSIS_US: Final = 100_000
"""How much of a stream FFmpeg looks at before the first frame: 0.15 s to open an RTSP stream of 30
frames a second, instead of 0.35 s with 300,000 and 2 s by default."""

LOOK_UP_S: Final = 0.1
"""How often a wait for a pipe looks whether it was stopped."""

_TLS = "tls,tcp"
_WEB = f"http,https,crypto,{_TLS}"  # crypto: HLS segments that are encrypted
_PROTOCOLS: Final = {
    # What a stream of each kind may open. Never file: a playlist that comes from the network
    # must not read this machine's files.
    "rtsp": "rtsp,tcp",
    "rtsps": f"rtsps,rtsp,{_TLS}",
    "http": _WEB,
    "https": f"https,crypto,{_TLS}",
    "rtmp": "rtmp,tcp",
    "rtmps": f"rtmps,rtmp,{_TLS}",
    "udp": "udp",
    "tcp": "tcp",
}
_OVER_UDP: Final = ",rtp,srtp,udp"
DEVICES: Final = ("v4l2", "avfoundation", "dshow")
_PIPE: Final = re.compile(r"-|pipe:\d*", re.ASCII)
_FINAL = (
    av.error.HTTPBadRequestError,
    av.error.HTTPUnauthorizedError,
    av.error.HTTPForbiddenError,
    av.error.HTTPNotFoundError,
    av.error.ProtocolNotFoundError,
)


class Refused(SourceError):  # noqa: N818  as the other errors are named by what happened
    """A live stream cannot be opened, and trying again is of no use."""


def is_live(uri: str) -> bool:
    """Whether a URL names a stream, a pipe or a device that `connect` knows.

    >>> [is_live(uri) for uri in ("rtsp://camera/1", "-", "v4l2:/dev/video0", "a.mp4", "ftp://h/a")]
    [True, True, True, False, False]
    """
    kind = kind_of(uri)
    return kind in {*_PROTOCOLS, *DEVICES} or (kind == "pipe" and bool(_PIPE.fullmatch(uri)))


def kind_of(uri: str) -> str:
    """The scheme of a URL, "pipe" for standard input and other pipes, or the kind of a device."""
    prefix = uri.partition(":")[0]
    if uri == "-" or prefix == "pipe":
        return "pipe"
    return prefix if prefix in DEVICES else scheme_of(uri)


def connect(
    uri: str,
    *,
    transport: Transport,
    open_timeout_s: float,
    read_timeout_s: float,
    stopped: threading.Event,
) -> tuple[InputContainer, VideoStream]:
    """Open a live stream; the caller, and no other thread, closes the container.

    `stopped` ends any wait for a pipe; FFmpeg's own waits end by their timeouts.

    Raises:
        SourceError: with what is wrong and what to do, and without the password; `Refused` if
            it is of no use to try again.
    """
    began = time.monotonic()
    try:
        container = _open(uri, transport, open_timeout_s, read_timeout_s, stopped)
    except (av.error.FFmpegError, OSError, ValueError) as error:
        late = time.monotonic() - began >= open_timeout_s
        kind: type[SourceError] = Refused if isinstance(error, _FINAL) else SourceError
        sentence = f"{redact_url(uri)} {_why_not(error, open_timeout_s if late else None)}"
    else:
        stream = container.streams.best("video")
        if isinstance(stream, VideoStream) and stream.codec_context is not None:
            stream.thread_type = "NONE"  # others delay by two frames and cost more
            stream.codec_context.options = {"max_pixels": str(MOST_PIXELS)}
            return container, stream
        container.close()
        kind, sentence = SourceError, f"{redact_url(uri)} carries no video that FFmpeg can decode."
    # Not within the handler, nor "from": FFmpeg's own message holds the URL with its password.
    raise kind(sentence)


def _open(
    uri: str, transport: Transport, open_s: float, read_s: float, stopped: threading.Event
) -> InputContainer:
    kind = kind_of(uri)
    options = {"protocol_whitelist": "pipe", "analyzeduration": str(ANALYSIS_US)}
    timeout = (open_s, read_s)
    if kind == "pipe":
        return av.open(_Pipe(uri, read_s, stopped), "r", options=options)
    if kind in DEVICES:
        device = uri.partition(":")[2]
        return av.open(device, "r", format=kind, options=options, timeout=timeout)
    options["protocol_whitelist"] = _PROTOCOLS[kind]
    if kind in ("rtsp", "rtsps"):
        # Without sound: FFmpeg would move the picture's time stamps to suit it.
        options |= {"rtsp_transport": transport, "allowed_media_types": "video"}
        if transport == "udp":
            options["protocol_whitelist"] += _OVER_UDP
    return av.open(uri, "r", options=options, timeout=timeout)


def _why_not(error: Exception, timeout_s: float | None) -> str:
    match error:
        case av.error.HTTPUnauthorizedError():
            return (
                "refuses the user name and password, or wants them (401); "
                "write them into the URL: scheme://user:password@host/path."
            )
        case av.error.HTTPForbiddenError():
            return "may not be seen by this user (403); ask whoever runs the server."
        case av.error.HTTPNotFoundError():
            return "is not there (404): the server answers, but has no such stream; check the path."
        case av.error.ProtocolNotFoundError():
            return "needs a protocol that is not allowed here, or that this FFmpeg does not have."
        case ConnectionRefusedError():
            return "refuses the connection: nothing listens there; is the server running?"
    if timeout_s is not None:
        return f"did not answer within {timeout_s:g} s; check the address and the server."
    if isinstance(error, av.error.InvalidDataError):
        return "sends nothing that FFmpeg knows as a video."
    reason = str(getattr(error, "strerror", None) or type(error).__name__)
    return f"cannot be opened: {redact(reason)}."


class _Pipe:
    """A pipe that ends a read in time, or when it is stopped; FFmpeg's own waits for good."""

    def __init__(self, uri: str, timeout_s: float, stopped: threading.Event) -> None:
        self._descriptor = int(uri.removeprefix("pipe:").removeprefix("-") or 0)
        self._timeout_s = timeout_s
        self._stopped = stopped

    def read(self, size: int) -> bytes:
        if sys.platform != "win32":  # which can wait for sockets only
            until = time.monotonic() + self._timeout_s
            while not select.select([self._descriptor], [], [], LOOK_UP_S)[0]:
                if self._stopped.is_set() or time.monotonic() > until:
                    raise TimeoutError
        return os.read(self._descriptor, size)
