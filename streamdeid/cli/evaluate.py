"""`streamdeid evaluate`."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import click

from streamdeid.cli.options import (
    A_VIDEO,
    checkpoint_options,
    expression_options,
    frame_options,
    model_options,
    output_options,
    reference_options,
)
from streamdeid.cli.sections import SectionCommand


@click.command(
    cls=SectionCommand,
    epilog="Exit codes: 0 done; 1 done, but a --fail-if condition holds; 2 bad usage or input, or "
    "the run broke off; 130 interrupted.  A name that begins with a dash goes after --.  Ctrl-C "
    "ends early with the report of what was seen, marked as incomplete; a second one ends at once.",
)
@click.argument("original", type=A_VIDEO)
@click.argument("deidentified", type=A_VIDEO)
@output_options
@checkpoint_options
@reference_options
@frame_options
@expression_options
@model_options
def evaluate(
    original: str,
    deidentified: str,
    checkpoint: Path | None,
    checkpoint_every_s: float,
    **options: Any,
) -> None:
    """Say how much of the person is left in a de-identified video.

    ORIGINAL and DEIDENTIFIED are videos that FFmpeg reads. They are joined by time: frame rates,
    sizes and lengths may differ.

    \b
      streamdeid evaluate original.mp4 deidentified.mp4
      streamdeid evaluate original.mp4 deidentified.mp4 --source-image anna.jpg \\
          -o report.json --fail-if "identity.verified_as_source.deidentified > 0.05"
    """
    from streamdeid.cli.evaluation import Evaluation
    from streamdeid.engine.evaluate import evaluate as evaluate_videos

    evaluation = Evaluation.of_options(
        [original, deidentified], **options, more_outputs={"--checkpoint": checkpoint}
    )
    work = partial(
        evaluate_videos,
        original,
        deidentified,
        evaluation.settings,
        checkpoint=checkpoint,
        checkpoint_every_s=checkpoint_every_s,
    )
    code = evaluation.run(lambda listener, stop: work(on_progress=listener, stop=stop))
    click.get_current_context().exit(code)
