"""What a user calls a video: a path or a URL, shown without its secrets."""

from __future__ import annotations

import os
import re
from pathlib import Path
from urllib.parse import unquote, urlsplit
from urllib.request import url2pathname

from streamdeid.errors import SourceError

# Up to the last @ before the path begins. By the letter of RFC 3986 a raw "/", "?" or "#" in a
# password ends the authority; the password is no less secret for it, so it is caught as well,
# unless it could be a port.
# Path("rtsp://camera") is "rtsp:/camera", but "a:/b" may be a path of its own.
_NETWORK = r"(?:rtsps?|rtmp[a-z]*|https?|srt|rist|udp|rtp|srtp|tcp|tls|s?ftp|mms[a-z]*|wss?|smb)"
_BEGINNING = rf"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*://|\b(?i:{_NETWORK}):/(?!/))"
_USER_INFO = re.compile(_BEGINNING + r"(?:[^/?#\s]*@|[^/?#\s:@]+:(?!\d+(?:[/?#\s]|$))\S*@)")
_TELLING_KEY = (
    r"(?P<key>[?&#][^=?&#\s]*(?i:user|usr|login|pass|pwd|token|key|sig|secret|auth|cred|session)"
    r"[^=?&#\s]*=)"
)
_QUERY_SECRET = re.compile(_TELLING_KEY + r"[^&#\s]*")
# The same where all of a text is one URL: FFmpeg takes blanks in a password as they are.
_USER_INFO_OF_ONE = re.compile(
    r"\A\s*" + _BEGINNING + r"(?:[^/?#]*@|[^/?#\s:@]+:(?!\d+(?:[/?#\s]|$)).*@)", re.DOTALL
)
_QUERY_SECRET_OF_ONE = re.compile(_TELLING_KEY + r"[^&#]*")
_SCHEME = re.compile(rf"(?:(?P<scheme>[A-Za-z][A-Za-z0-9+.-]+)://|(?P<network>(?i:{_NETWORK})):/)")


def redact(text: str) -> str:
    """Take user names, passwords and tokens out of every URL in `text`.

    >>> redact("rtsp://admin:s3cret@camera/1 and http://host/a?token=abc&x=1")
    'rtsp://camera/1 and http://host/a?token=***&x=1'
    """
    return _QUERY_SECRET.sub(r"\g<key>***", _USER_INFO.sub(r"\g<scheme>", text))


def redact_url(url: str) -> str:
    """`redact` where all of the text is one URL: blanks may be part of a password.

    >>> redact_url("rtsp://admin:s3c ret@camera/1")
    'rtsp://camera/1'
    """
    told = _USER_INFO_OF_ONE.sub(r"\g<scheme>", url)
    return redact(_QUERY_SECRET_OF_ONE.sub(r"\g<key>***", told))


def scheme_of(uri: str) -> str:
    """The scheme of a URL in lower case; "file" for a path, whatever it is called.

    >>> scheme_of("RTSP://camera/1"), scheme_of("C:/a.mp4"), scheme_of("-x: y.mp4")
    ('rtsp', 'file', 'file')
    """
    match = _SCHEME.match(uri)
    return (match["scheme"] or match["network"]).lower() if match else "file"


def local_path(uri: str | os.PathLike[str]) -> Path:
    """The path that a path or a file:// URL names.

    Raises:
        SourceError: for a file:// URL of another machine.
    """
    text = os.fspath(uri)
    if not text.lower().startswith("file://"):
        return Path(text)
    parts = urlsplit(text)
    if parts.netloc not in ("", "localhost"):
        raise SourceError(
            f"{redact(text)} names a file on another machine ({redact(parts.netloc)}); "
            "copy it here, or mount it and give its path."
        )
    # urlsplit takes "?" and "#" for its own, but a file:// path may hold them unescaped.
    return Path(url2pathname(unquote(text[len("file://") + len(parts.netloc) :])))
