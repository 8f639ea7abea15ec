"""`streamdeid merge`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from streamdeid.cli.options import A_PATH, models_dir_option, option, report_options
from streamdeid.cli.sections import SectionCommand


@click.command(
    cls=SectionCommand,
    epilog="Exit codes: 0 done; 2 bad usage or input, or one of the runs had ended early, as the "
    "report then says.",
)
@click.argument("states", type=A_PATH, nargs=-1, required=True)
@report_options
@option(
    "--source-image",
    "source_images",
    type=A_PATH,
    multiple=True,
    metavar="FILE|FOLDER",
    section="Who is who",
    help="The pictures of the source, if they have moved since.",
)
@option(
    "--target-image",
    "target_images",
    type=A_PATH,
    multiple=True,
    metavar="FILE|FOLDER",
    section="Who is who",
    help="Likewise, of the target.",
)
@models_dir_option
def merge(
    states: Sequence[Path],
    source_images: Sequence[Path],
    target_images: Sequence[Path],
    models_dir: Path | None,
    **options: Any,
) -> None:
    """Make one report of several runs.

    STATES are files that runs wrote with --checkpoint: of the parts of a long video, say, or of
    the days of a live stream. They must have been measured in the same way.

    \b
      streamdeid merge monday.state tuesday.state -o report.json
    """
    from streamdeid.cli.evaluation import Evaluation
    from streamdeid.engine.inputs import input_files
    from streamdeid.engine.merge import merge as merge_states
    from streamdeid.engine.merge import settings_of

    choices = {
        "source_images": source_images,
        "target_images": target_images,
        "models_dir": models_dir,
    }
    settings = settings_of(states[0], {name: value for name, value in choices.items() if value})
    inputs = [*states, *input_files([], settings)]
    evaluation = Evaluation(settings=settings, inputs=inputs, **options)
    code = evaluation.run(lambda _listener, _stop: merge_states(states, settings))
    click.get_current_context().exit(code)
