"""read_picture: a still image as RGB, upright."""

from __future__ import annotations

import os
import stat
import struct
import warnings
from pathlib import Path

import numpy as np
from PIL import Image as PillowImage
from PIL import ImageOps, UnidentifiedImageError

from streamdeid.errors import ReferenceImageError
from streamdeid.frame import Image

MOST_PIXELS = 80_000_000
"""Pictures beyond this are refused, a little before Pillow itself takes them for an attack."""

_BROKEN = (OSError, ValueError, SyntaxError, LookupError, TypeError, ArithmeticError, struct.error)


def read_picture(path: str | os.PathLike[str]) -> Image:
    """The picture at `path`, turned as its EXIF orientation says; transparency on white.

    16 bits of gray are rounded to 8.

    Returns:
        Shape (height, width, 3), uint8 RGB.

    Raises:
        ReferenceImageError: it does not exist, is not a file, is not a picture that Pillow reads
            whole, is too large, or has pixels whose range nobody knows.
    """
    name = os.fspath(path)
    try:
        # Opening a pipe that nobody writes to would wait for good.
        if not stat.S_ISREG(Path(path).stat().st_mode):
            raise ReferenceImageError(f"{name} is not a file; give a PNG or JPEG.")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what is odd about a picture that can be read
            warnings.simplefilter("error", PillowImage.DecompressionBombWarning)
            return _read(path)
    except UnidentifiedImageError as error:
        raise ReferenceImageError(
            f"{name} is not a picture that can be read; give a PNG or JPEG."
        ) from error
    except (PillowImage.DecompressionBombError, PillowImage.DecompressionBombWarning) as error:
        raise ReferenceImageError(
            f"{name} has more than {MOST_PIXELS // 10**6} megapixels; give a smaller picture."
        ) from error
    except _BROKEN as error:
        reason = str(getattr(error, "strerror", None) or error).rstrip(".")
        raise ReferenceImageError(f"{name!r} cannot be read: {reason}.") from error


def _read(path: str | os.PathLike[str]) -> Image:
    with PillowImage.open(path) as opened:
        if opened.width * opened.height > MOST_PIXELS:
            raise PillowImage.DecompressionBombError
        if opened.mode in ("I", "F"):
            raise ReferenceImageError(
                f"{os.fspath(path)} has pixels of 32 bits (mode {opened.mode}), and no telling "
                "what is white; convert it to 8 bits."
            )
        upright = ImageOps.exif_transpose(opened)
        if upright.mode.startswith("I;16"):
            gray = (np.asarray(upright).astype(np.uint32) + 128) // 257
            return np.repeat(gray.astype(np.uint8)[..., None], 3, axis=2)
        if upright.has_transparency_data:
            ground = PillowImage.new("RGBA", upright.size, "white")
            upright = PillowImage.alpha_composite(ground, upright.convert("RGBA"))
        return np.array(upright.convert("RGB"))
