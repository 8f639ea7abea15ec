"""Names of files as people may see them: nothing in them commands the terminal."""

from __future__ import annotations

import re


def printable(text: str) -> str:
    r"""`text` on one line, each control character as its escape.

    Blanks stay as they are: they may be part of a name.

    >>> printable("a\x1b[2J  b.mp4 is\n no video.")
    'a\\x1b[2J  b.mp4 is no video.'
    """
    line = re.sub(r"[ \t]*[\r\n]+[ \t]*", " ", text.strip())
    return escaped(line)


def escaped(text: str, keep: str = "") -> str:
    """`text` with each control character as its escape, but for those in `keep`."""
    return "".join(c if c.isprintable() or c in keep else ascii(c)[1:-1] for c in text)


def shown_name(name: str) -> str:
    r"""`name` itself, or between quotes where it could be misread.

    >>> print(shown_name("a b.mp4"), shown_name("a  b.mp4"), shown_name("a\n.mp4"))
    a b.mp4 'a  b.mp4' 'a\n.mp4'
    """
    plain = name.isprintable() and "  " not in name and name == name.strip()
    return name if plain else repr(name)
