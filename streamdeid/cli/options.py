"""The options that sub-commands share, and the values they read."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any, Final, Literal, TypeVar

import click

from streamdeid.cli.sections import SectionOption
from streamdeid.condition import EXAMPLE, Condition
from streamdeid.errors import SettingsError
from streamdeid.settings import AU_SOURCES, METRICS, PROVIDERS, Settings

Command = TypeVar("Command", bound=Callable[..., Any])

DEFAULTS: Final = Settings()


class FileName(click.Path):
    """The name of a file that need not be there."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if "\0" in os.fspath(value):
            self.fail(f"{value!r} holds a null byte, and no name of a file does.", param, ctx)
        return super().convert(value, param, ctx)


A_PATH: Final = FileName(path_type=Path)
A_VIDEO: Final = FileName()
UNITS: Final = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86_400}
DURATION: Final = re.compile(r"(?P<number>[0-9]{1,9}(?:\.[0-9]{1,9})?) ?(?P<unit>[smhd]?)")
SECONDS: Final = re.compile(
    r"[+-]?(?:[0-9]{1,18}/[0-9]{1,18}|[0-9]{1,18}(?:\.[0-9]{0,18})?|\.[0-9]{1,18})"
)


def seconds_or_auto(text: str) -> Fraction | Literal["auto"]:
    """Seconds as a decimal number or a fraction (0.48, 12/25), or the word auto."""
    if text == "auto":
        return "auto"
    try:
        # An exponent is refused: Fraction("1e99999999") would compute for hours.
        if not SECONDS.fullmatch(text):
            raise ValueError(text)
        return Fraction(text)
    except (ValueError, ZeroDivisionError):
        raise click.BadParameter(f"{text!r} is neither a number of seconds nor 'auto'.") from None


def duration(text: str) -> float:
    """A time above 0 in seconds: 10, 2.5s, 30m, 12h or 7d."""
    match = DURATION.fullmatch(text.strip())
    seconds = float(match["number"]) * UNITS[match["unit"]] if match else 0.0
    if seconds <= 0:
        raise click.BadParameter(f"{text!r} is no time above 0, such as 10s, 2.5m, 12h or 7d.")
    return seconds


def metric_names(text: str) -> tuple[str, ...]:
    """Names with commas between, or all; `Settings` checks them."""
    names = [name.strip() for name in text.split(",") if name.strip()]
    return tuple(METRICS) if names == ["all"] else tuple(dict.fromkeys(names))


def face_choice(text: str) -> str | int:
    """largest, nearest, or a number; `Settings` checks it."""
    return int(text) if re.fullmatch(r"[+-]?\d+", text) else text


def condition(text: str) -> Condition:
    """A condition on a score."""
    try:
        return Condition.parse(text)
    except SettingsError as error:
        raise click.BadParameter(str(error)) from error


def option(*names: str, section: str, **settings: Any) -> Callable[[Command], Command]:
    """An option under a heading of the help."""
    return click.option(*names, cls=SectionOption, section=section, **settings)


def together(*options: Callable[[Command], Command]) -> Callable[[Command], Command]:
    """Several options as one decorator, in the order in which the help shows them."""

    def decorate(command: Command) -> Command:
        for add in reversed(options):
            command = add(command)
        return command

    return decorate


provider_option = option(
    "--provider",
    type=click.Choice(PROVIDERS),
    default=DEFAULTS.provider,
    show_default=True,
    section="Models",
    help="What ONNX Runtime computes on; auto takes the GPU if there is one.",
)
models_dir_option = option(
    "--models-dir",
    type=A_PATH,
    section="Models",
    help="Folder with manifest.toml and the model files.  "
    "[default: $STREAMDEID_MODELS, or else the models that came with streamdeid]",
)

report_options = together(
    option(
        "-o",
        "--output",
        type=A_PATH,
        metavar="FILE",
        section="Results",
        help="Write the report as JSON; - for standard output.",
    ),
    option(
        "--fail-if",
        "conditions",
        type=condition,
        multiple=True,
        metavar="CONDITION",
        section="Results",
        help="Exit with 1 if this holds of a score, or if that score has no value: its name, one "
        f'of < <= > >= == !=, and a number; may be repeated.  [e.g. "{EXAMPLE}"]',
    ),
    option(
        "--json",
        "as_json",
        is_flag=True,
        section="Results",
        help="Print the report as JSON in place of the table.",
    ),
    option("-q", "--quiet", is_flag=True, section="Results", help="Say nothing but errors."),
)

timeline_option = option(
    "--timeline",
    type=A_PATH,
    metavar="FILE",
    section="Results",
    help="Write a row per frame pair while they are analysed: .csv, .jsonl or .parquet.",
)
output_options = together(report_options, timeline_option)

checkpoint_options = together(
    option(
        "--checkpoint",
        type=A_PATH,
        metavar="FILE",
        section="Results",
        help="Keep the state of the run in this file, which `streamdeid merge` takes. It holds no "
        "frames, but the mean embedding of each side's faces: guard it as the videos.",
    ),
    option(
        "--checkpoint-every",
        "checkpoint_every_s",
        type=duration,
        default="30s",
        show_default=True,
        metavar="TIME",
        section="Results",
        help="How often; it is always written at the end.",
    ),
)

reference_options = together(
    option(
        "--source-image",
        "source_images",
        type=A_PATH,
        multiple=True,
        metavar="FILE|FOLDER",
        section="Who is who",
        help="Picture of the person in the original video; may be repeated, and several "
        "average into one template.",
    ),
    option(
        "--target-image",
        "target_images",
        type=A_PATH,
        multiple=True,
        metavar="FILE|FOLDER",
        section="Who is who",
        help="Picture of the person whose face was put in; likewise.",
    ),
    option(
        "--face",
        type=face_choice,
        default=DEFAULTS.face,
        show_default=True,
        metavar="largest|nearest|INDEX",
        section="Who is who",
        help="Which face to follow when there are several; INDEX counts from the left, from 0.",
    ),
    option(
        "--threshold",
        type=float,
        metavar="DISTANCE",
        section="Who is who",
        help="Faces at this distance or nearer count as the same person.  "
        "[default: the embedder's own, 0.6 for dlib_resnet]",
    ),
)

frame_options = together(
    option(
        "--metrics",
        type=metric_names,
        default=",".join(DEFAULTS.metrics),
        show_default=True,
        metavar="LIST",
        section="What to measure",
        help=f"With commas between: {', '.join(METRICS)}; or all.",
    ),
    option(
        "--quality-every",
        type=int,
        default=DEFAULTS.quality_every,
        show_default=True,
        metavar="N",
        section="What to measure",
        help="Measure the quality of one of so many frame pairs.",
    ),
    option(
        "--offset",
        "offset_s",
        type=seconds_or_auto,
        default="0",
        show_default=True,
        metavar="SECONDS|auto",
        section="Which frames",
        help="Seconds by which the de-identified video is late; auto finds up to ±2 s in the "
        "pictures.",
    ),
    option(
        "--frames",
        type=int,
        metavar="N",
        section="Which frames",
        help="Draw N frame pairs at random for the identity scores. All frames are still decoded "
        "and followed: only the embedding is spared. The timeline may hold distances for more "
        "frame pairs than were drawn in the end.  [default: all of them]",
    ),
    option(
        "--seed",
        type=int,
        default=DEFAULTS.seed,
        show_default=True,
        metavar="N",
        section="Which frames",
        help="Of that draw: the same seed draws the same frames.",
    ),
    option(
        "--confirm-every",
        type=int,
        default=DEFAULTS.confirm_every,
        show_default=True,
        metavar="N",
        section="Which frames",
        help="Frames after which a detector must see the tracked face again.",
    ),
    option(
        "--search-every",
        type=int,
        default=DEFAULTS.search_every,
        show_default=True,
        metavar="N",
        section="Which frames",
        help="While no face is found: frames between two looks of the slow detector.",
    ),
)

expression_options = together(
    option(
        "--au-source",
        type=click.Choice(AU_SOURCES),
        default=DEFAULTS.au_source,
        show_default=True,
        section="Expression",
        help="Where action units come from: OpenFace; blendshapes, which are stand-ins made of the "
        "landmarks; both, and how well they agree; auto takes OpenFace where it is found.",
    ),
    option(
        "--openface",
        metavar="PATH|docker[:IMAGE]|SCRIPT",
        section="Expression",
        help="OpenFace's FeatureExtraction, an image that holds it, or a script that takes a video "
        "and an output folder.  [default: $STREAMDEID_OPENFACE, or what is on the PATH]",
    ),
    option(
        "--au-static",
        is_flag=True,
        section="Expression",
        help="Let OpenFace judge each frame by itself: for short clips and held expressions.",
    ),
)

model_options = together(
    option(
        "--detector",
        default=DEFAULTS.detector,
        show_default=True,
        metavar="NAME",
        section="Models",
        help="auto (fast, then thorough), a name of `streamdeid models list`, or insightface:FILE.",
    ),
    option(
        "--landmarks",
        default=DEFAULTS.landmarks,
        show_default=True,
        metavar="NAME",
        section="Models",
        help="A name of `streamdeid models list`.",
    ),
    option(
        "--embedder",
        default=DEFAULTS.embedder,
        show_default=True,
        metavar="NAME",
        section="Models",
        help="A name of `streamdeid models list`, or insightface:FILE.",
    ),
    provider_option,
    models_dir_option,
)
