"""Which files an evaluation reads: none of them may be written over."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from streamdeid.inference.insightface import BROUGHT
from streamdeid.inference.manifest import MANIFEST, Manifest
from streamdeid.settings import Settings, expand_images
from streamdeid.sources.uri import local_path, scheme_of


def input_files(videos: Iterable[str | os.PathLike[str]], settings: Settings) -> list[Path]:
    """The videos that are files, the pictures of both people, and the models with their manifest.

    Raises:
        SettingsError: a picture or a folder of them does not exist.
        SourceError: a video is a file:// URL of another machine.
        ModelError: the manifest of the models cannot be read.
    """
    manifest = Manifest.load(settings.resolved_models_dir())
    specs = [manifest.spec(name) for name in manifest.names()]
    brought = [name for name in (settings.detector, settings.embedder) if name.startswith(BROUGHT)]
    return [
        *(local_path(video) for video in videos if scheme_of(os.fspath(video)) == "file"),
        *expand_images(settings.source_images, "--source-image"),
        *expand_images(settings.target_images, "--target-image"),
        manifest.folder / MANIFEST,
        *(path for spec in specs for path in (spec.path, spec.licence_file)),
        *(Path(name.removeprefix(BROUGHT)).expanduser() for name in brought),
    ]
