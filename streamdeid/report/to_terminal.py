"""Reports on a terminal: what a person reads first."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from streamdeid.pair import SIDES
from streamdeid.report import expression_table
from streamdeid.report.action_units import NAMES
from streamdeid.report.page import HEADS, Page
from streamdeid.report.printable import printable, shown_name
from streamdeid.report.report import Report
from streamdeid.score import Score

TITLES: Final = {
    "expression_agreement": "How the stand-ins follow OpenFace",
    "identity": "Identity, at the face found in each video",
    "identity_paired": "Identity, where the original's face is (paired alignment)",
    "quality": "Quality, the two pictures against each other",
    "realism": "Realism, the motion of the face",
}
LABELS: Final = {
    "fid_fsmetric": "Fréchet distance, as fsmetric",
    "fid_fsmetric.noise_floor": "  of the original to itself",
    "fid_i3d": "Fréchet distance, I3D",
    "fid_i3d.noise_floor": "  of the original to itself",
    "fvd": "FVD",
    "fvd.noise_floor": "  of the original to itself",
    "mmd_i3d": "MMD² (kernel distance), I3D",
    "ms_ssim.background": "MS-SSIM, background",
    "ms_ssim.face": "MS-SSIM, face",
    "ms_ssim.frame": "MS-SSIM, frame",
    "psnr.background": "PSNR, background",
    "psnr.face": "PSNR, face",
    "psnr.frame": "PSNR, frame",
    "ssim.background": "SSIM, background",
    "ssim.face": "SSIM, face",
    "ssim.frame": "SSIM, frame",
    "longest_run_as_source": "longest run verified as source",
    "rms_distance_all_pairs": "RMS distance, all frame pairs",
    "mean.pcc": "mean correlation",
    **{f"{unit}.pcc": f"AU{int(unit[2:])} {name}" for unit, name in NAMES.items()},
}
COUNTS: Final = {
    "frames": "frames read",
    "paired": "frame pairs",
    "unpaired": "without a partner",
    "corrupt": "with corrupt data",
    "with_face": "with a face",
    "detected": "detector looks that confirmed it",
    "lost_by_deidentified": "face in the original only",
    "invented_by_deidentified": "face in the de-identified only",
    "several_faces": "with several faces",
}
"""What is shown of the coverage, and always; the rest is in the JSON."""
SKIPPED: Final = {
    "behind": "left out, to keep up",
    "unaligned": "before the clocks were compared",
    "untimed": "without a believable time",
    "unreadable": "of which no picture could be made",
    "lost": "lost when a run was killed",
    "ended": "still waiting when a run ended",
}
"""Why frames that may have had a partner were not analysed; shown where there are any."""
RARE: Final = {"unpaired", "corrupt", "several_faces", "invented_by_deidentified"}
"""Shown where there are any."""
SPEEDS: Final = {
    "pairs_per_s": "{:.1f} frame pairs/s",
    "wall_s": "{:.1f} s in all",
    "peak_rss_mb": "{:.0f} MiB of memory at most",
}

Sides = Mapping[str, Score]
"""Scores of one kind by side; under "" what is said of both videos together."""


def show(report: Report, console: Console) -> None:
    """Print `report`: what was compared, the scores, what they rest on, and what to mind."""
    page = Page(console)
    if not report.complete:
        page.say(Text("INCOMPLETE: this is what was seen before the end.\n", style="bold red"))
    for side in SIDES:
        if stream := report.streams.get(side):  # nothing is known of one that never gave a frame
            _show_stream(side, stream, page)
    said: set[str] = set()
    for group, kinds in _grouped(report.scores).items():
        if group in expression_table.TITLES:
            own = [score for score in report.scores if score.name.startswith(f"{group}.")]
            expression_table.show_expression(group, own, page)
            continue
        page.title(TITLES.get(group, _words(group).capitalize()), "5 … 95 %")
        _show_scores(kinds, page, said)
    if report.coverage:
        page.title("Frames")
        for label, counts in _counts(report.coverage):
            page.row(label, {side: Text(f"{count:,}") for side, count in counts.items()})
            if label == COUNTS["several_faces"]:
                page.remark("several faces were seen; one was followed (--face)")
        if drawn := report.settings.get("frames"):
            seed = report.settings.get("seed")
            page.remark(f"identity: up to {drawn:,} frame pairs drawn, seed {seed}")
    speeds = [(report.performance.get(name), words) for name, words in SPEEDS.items()]
    if facts := [words.format(number) for number, words in speeds if number is not None]:
        page.say(Text("\nSpeed", style="bold").append(f"  {', '.join(facts)}", style="not bold"))
    if report.notes:
        page.say(Text("\nNotes", style="bold"))
        page.items(map(printable, report.notes))


def _show_stream(side: str, stream: Mapping[str, Any], page: Page) -> None:
    head, uri, facts = (
        f"{HEADS[side]:15}",
        shown_name(str(stream.get("uri", ""))),
        _stream_facts(stream),
    )
    gap = "  "
    if cell_len(head + uri + gap + facts) > page.width:
        gap = "\n" + " " * len(head)
    if cell_len(head + uri) > page.width:
        uri = f"…/{uri.rpartition('/')[2]}"
    page.say(Text(head, style="dim").append(uri, style="not dim").append(gap + facts))


def _stream_facts(stream: Mapping[str, Any]) -> str:
    size = f"{stream.get('width')}×{stream.get('height')}"
    rate, duration = stream.get("frame_rate"), stream.get("duration_s")
    return ", ".join(
        [
            size,
            *([f"{rate:.4g} fps"] if rate else []),
            *([f"{duration:.1f} s"] if duration else []),
            str(stream.get("codec", "")),
        ]
    )


def _show_scores(kinds: Mapping[str, Sides], page: Page, said: set[str]) -> None:
    """The kinds that have values line by line; the others by the reason that they share.

    A reason that is in `said` was given for an earlier group, and is not repeated.
    """
    missing: dict[str, list[str]] = {}
    limits: list[str] = []
    for kind, sides in kinds.items():
        label = LABELS.get(kind, _words(kind))
        reasons = {side: score.reason for side, score in sides.items() if score.reason}
        if all(score.value is None for score in sides.values()) and len({*reasons.values()}) == 1:
            missing.setdefault(next(iter(reasons.values())), []).append(label)
            continue
        values = {_column(side): _value(score) for side, score in sides.items()}
        ranges = {_column(side): _range(score) for side, score in sides.items()}
        page.row(label, values, ranges)
        for side, reason in reasons.items():
            if sides[side].value is not None:
                limits.append(reason)
            else:
                page.remark(f"{HEADS[side]}: {reason}" if len(sides) > 1 else reason)
    for reason, labels in missing.items():
        if reason not in said:
            gap = "; " if any("," in label for label in labels) else ", "
            page.remark(f"no {gap.join(labels)}: {reason}")
    for reason in dict.fromkeys(limits):
        if reason not in said:
            page.remark(reason)
    said.update(missing, limits)
    scores = [score for sides in kinds.values() for score in sides.values()]
    for remark in _remarks(scores):
        page.remark(remark)


def _remarks(scores: Iterable[Score]) -> Iterator[str]:
    """What stands beside the scores of a group: the levels to compare with, and cautions."""
    details = [score.details for score in scores if score.value is not None]
    levels = [
        *(f"verified: at {limit:g} or nearer" for limit in _distinct(details, "threshold")),
        *(
            f"strangers are {low:g} … {high:g} apart"
            for low, high in _distinct(details, "impostor_level")
        ),
    ]
    if levels:
        yield "; ".join(levels)
    yield from (f"caution: {sentence}" for sentence in _distinct(details, "caution"))


def _distinct(details: Iterable[Mapping[str, Any]], key: str) -> list[Any]:
    """The values under `key`, each once."""
    found: list[Any] = []
    for entry in details:
        if entry.get(key) is not None and entry[key] not in found:
            found.append(entry[key])
    return found


def _grouped(scores: Iterable[Score]) -> dict[str, dict[str, dict[str, Score]]]:
    """Group → kind → side, as the dotted names say."""
    groups: dict[str, dict[str, dict[str, Score]]] = {}
    for score in scores:
        group, _, rest = score.name.partition(".")
        kind, _, side = rest.rpartition(".")
        if side not in SIDES:
            kind, side = rest, ""
        groups.setdefault(group, {}).setdefault(kind, {})[side] = score
    return groups


def _counts(coverage: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, int]]]:
    """The counts worth showing; a count of both sides together stands under the second."""
    for name in COUNTS:
        counts = {s: coverage[s][name] for s in SIDES if name in coverage.get(s, {})}
        if name in coverage:
            counts = {_column(""): coverage[name]}
        if counts and (name not in RARE or any(counts.values())):
            yield COUNTS[name], counts
        if name == "unpaired":
            yield from _skipped(coverage)


def _skipped(coverage: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, int]]]:
    """With these, the frames of a side add up to those that were read."""
    for reason, label in SKIPPED.items():
        counts = {s: coverage.get(s, {}).get("skipped", {}).get(reason, 0) for s in SIDES}
        if any(counts.values()):
            yield label, counts


def _value(score: Score) -> Text:
    if score.value is None:
        return Text("—", style="dim")
    if score.unit == "rate":
        return Text(f"{score.value:.1%}", style="bold").append(
            f" of {score.count:,}", style="not bold"
        )
    if score.unit == "frames":
        unit = "frame" if score.value == 1 else "frames"
        text = Text(f"{score.value:.0f} {unit}", style="bold")
        start = score.details.get("start_s")
        return text if start is None else text.append(f" at {start:.1f} s", style="not bold")
    unit = " dB" if score.unit == "dB" else ""
    text = Text(f"{score.value:.3f}{unit}", style="bold")
    return text if score.std is None else text.append(f" ± {score.std:.3f}", style="not bold")


def _range(score: Score) -> str:
    if score.unit == "frames" and score.value and score.details.get("seconds") is not None:
        return f"{score.details['seconds']:.1f} s"
    low, high = score.details.get("q05"), score.details.get("q95")
    return "" if low is None or high is None else f"{low:.2f} … {high:.2f}"


def _column(side: str) -> str:
    """What is said of both sides stands under the de-identified one: it is judged by it."""
    return side or SIDES[-1]


def _words(name: str) -> str:
    return name.replace("_", " ").replace("deidentified", "de-identified")
