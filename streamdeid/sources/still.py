"""read_picture: a still image as RGB, upright."""

from __future__ import annotations

import os

import numpy as np
from PIL import Image as PillowImage
from PIL import ImageOps, UnidentifiedImageError

from streamdeid.errors import ReferenceImageError
from streamdeid.frame import Image


def read_picture(path: str | os.PathLike[str]) -> Image:
    """The picture at `path`, turned as its EXIF orientation says; transparency on white.

    Returns:
        Shape (height, width, 3), uint8 RGB.

    Raises:
        ReferenceImageError: it does not exist, or is not a picture that Pillow reads whole.
    """
    try:
        with PillowImage.open(path) as opened:
            upright = ImageOps.exif_transpose(opened)
            if upright.has_transparency_data:
                ground = PillowImage.new("RGBA", upright.size, "white")
                upright = PillowImage.alpha_composite(ground, upright.convert("RGBA"))
            return np.array(upright.convert("RGB"))
    except UnidentifiedImageError as error:
        raise ReferenceImageError(
            f"{os.fspath(path)} is not a picture that can be read; give a PNG or JPEG."
        ) from error
    except (OSError, ValueError, SyntaxError, PillowImage.DecompressionBombError) as error:
        reason = getattr(error, "strerror", None) or error
        raise ReferenceImageError(f"{os.fspath(path)} cannot be read: {reason}.") from error
