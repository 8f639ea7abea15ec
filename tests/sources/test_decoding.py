"""Decoder: how long a stream claims to last."""

from __future__ import annotations

from fractions import Fraction
from types import SimpleNamespace
from typing import Any

import pytest

from streamdeid.sources.decoding import _duration


@pytest.mark.parametrize(
    ("tag", "seconds"),
    [
        ("00:01:02.345000000", Fraction(62345, 1000)),
        ("01:00:00", Fraction(3600)),
        ("00:00:00.000000000", None),
        ("00:00:1e999999999", None),
        ("00:00:1e400", None),
        ("00:00:1/0", None),
        ("00:00:-5", None),
        ("00:00:" + "9" * 5000, None),
        ("00:00:٣", None),
        ("soon", None),
        ("", None),
    ],
)
def test_only_plain_digits_are_taken_for_a_duration(tag: str, seconds: Fraction | None) -> None:
    container: Any = SimpleNamespace(duration=None, streams=[])
    stream: Any = SimpleNamespace(duration=None, time_base=None, metadata={"DURATION": tag})
    assert _duration(container, stream) == seconds
