"""Checkpoints and merge: parts of a video add up to the whole."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from PIL import Image as PillowImage

from streamdeid import Report, Settings, evaluate
from streamdeid.engine.accounts import Account
from streamdeid.engine.checkpoint import read_run
from streamdeid.engine.merge import merge
from streamdeid.engine.models import Models
from streamdeid.engine.plan import plan
from streamdeid.engine.run_state import RunState, random_range, range_of
from streamdeid.engine.state_file import read_state, write_state
from streamdeid.errors import InputError
from streamdeid.frame import Frame, Image
from streamdeid.pair import Pair
from streamdeid.sources.arrays import ArraySource
from tests.engine.conftest import FRAMES

CUT = 11


class Interrupted(ArraySource):
    """A video that was interrupted just before frame `CUT`, where stages forget what they saw."""

    def __next__(self) -> Frame:
        frame = super().__next__()
        return replace(frame, after_gap=frame.index == CUT)


def settings(**more: Any) -> Settings:
    return Settings(**{"metrics": "identity", "provider": "cpu"} | more)


def part(images: Sequence[Image], name: str) -> ArraySource:
    return ArraySource(images, frame_rate=25, name=name)


def states(
    a: Sequence[Image], b: Sequence[Image], folder: Path, chosen: Settings
) -> tuple[Path, Path]:
    """The states of the part before the cut and of the one after it."""
    paths = folder / "first.state", folder / "second.state"
    for path, place in zip(paths, (slice(CUT), slice(CUT, None)), strict=True):
        evaluate(
            part(a[place], f"a {path.name}"),
            part(b[place], f"b {path.name}"),
            chosen,
            checkpoint=path,
        )
    return paths


def assert_same_figures(one: Report, other: Report) -> None:
    assert list(one) == list(other)
    for name in one:
        if "longest_run" in name:  # runs are not joined across two parts
            continue
        assert one[name].count == other[name].count, name
        for have, want in ((one[name].value, other[name].value), (one[name].std, other[name].std)):
            assert (have is None) == (want is None), name
            assert have is None or have == pytest.approx(want, rel=1e-9, abs=1e-9), name


@pytest.mark.parametrize("frames", [None, 1000])
def test_two_parts_merged_are_one_pass_over_both(
    carphone: list[Image], portrait: Path, tmp_path: Path, frames: int | None
) -> None:
    a, b = carphone, [image[:, ::-1] for image in carphone]
    chosen = settings(source_images=portrait, frames=frames)
    whole = evaluate(Interrupted(a, frame_rate=25), Interrupted(b, frame_rate=25), chosen)
    first, second = states(a, b, tmp_path, chosen)
    merged = merge([second, first])
    assert_same_figures(merged, whole)
    assert merged.complete
    faces = {"frames": FRAMES, "used": FRAMES, "skipped": {}}
    for side in ("original", "deidentified"):
        assert merged.coverage[side] == whole.coverage[side]
        assert merged.coverage[side].items() >= faces.items()
    assert merged.notes[0].startswith(f"{first}: {CUT} frame pairs")


def test_a_draw_among_two_parts_takes_from_both_and_is_the_same_every_time(
    carphone: list[Image], tmp_path: Path
) -> None:
    chosen = settings(frames=12)
    first, second = states(carphone, carphone, tmp_path, chosen)
    counts = [merge([path])["identity.distance_between_sides"].count for path in (first, second)]
    assert counts == [CUT, FRAMES - CUT]
    merged = merge([first, second])
    assert merged["identity.distance_between_sides"].count == 12
    again = merge([first, second])
    assert again.scores == merged.scores


def test_what_numbers_frame_pairs_begins_where_it_is_told(carphone: list[Image]) -> None:
    chosen = settings(metrics=("identity", "realism", "fsmetric"))
    first = range_of("a", "b")
    root = plan(chosen, Models(chosen), first_index=first)
    numbered = []
    for number, image in enumerate(carphone[:2]):
        frame = Frame(image, number, number, Fraction(1, 25))
        for seen in root.step(Pair(frame, frame)):
            for branch in root.branches:
                for observation in branch.step(seen):
                    one = observation.original if isinstance(observation, Pair) else observation
                    numbered.append((branch.stage.name, one.index - first))
                    if branch.stage.name == "face_chips":
                        (embedder,) = branch.branches
                        numbered += [("identity", r.index - first) for r in embedder.step(one)]
    assert {name for name, _ in numbered} == {"face_chips", "identity", "face_crops"}
    assert [index for _, index in numbered] == [0] * 4 + [1] * 4


def test_what_does_not_belong_together_is_refused_by_what_differs(
    carphone: list[Image], portrait: Path, tmp_path: Path
) -> None:
    first, second = states(carphone, carphone, tmp_path, settings(source_images=portrait))
    other = tmp_path / "other.state"
    some = carphone[:3]
    with pytest.raises(InputError, match="hold the same frames"):
        merge([first, second, first])
    evaluate(part(some, "c"), part(some, "d"), settings(threshold=0.5), checkpoint=other)
    with pytest.raises(
        InputError, match=r"other\.state .*--threshold is 0\.5 there and not given here"
    ):
        merge([first, other])
    stranger = tmp_path / "stranger.png"
    PillowImage.fromarray(carphone[5][:, ::-1]).save(stranger)
    evaluate(part(some, "c"), part(some, "d"), settings(source_images=stranger), checkpoint=other)
    with pytest.raises(InputError, match=r"other\.state .*source.*--source-image"):
        merge([first, other], settings(source_images=portrait))
    record = read_state(other)
    record["models"][0]["sha256"] = "0" * 64
    write_state(other, record)
    with pytest.raises(InputError, match="is not the same file"):
        merge([first, other])


def test_states_are_written_while_the_run_goes_on_and_at_its_end(
    carphone: list[Image], tmp_path: Path
) -> None:
    path, stop = tmp_path / "run.state", threading.Event()
    seen: list[RunState] = []

    def frames() -> Iterator[Image]:
        for image in carphone * 50:
            if path.exists() and not seen:
                seen.append(read_run(path))
                stop.set()
            yield image

    report = evaluate(
        ArraySource(frames(), frame_rate=25, name="a"),
        part(carphone * 50, "b"),
        settings(),
        stop=stop,
        checkpoint=path,
        checkpoint_every_s=0.1,
    )
    on_the_way, last = seen[0], read_run(path)
    assert not on_the_way.complete
    assert not last.complete
    assert 0 < on_the_way.pairs < last.pairs == report.coverage["paired"]
    counted = [metric["pairs"] for metric in on_the_way.branches[0]["metrics"].values()]
    assert counted == [on_the_way.pairs]
    embedded = on_the_way.branches[2]["metrics"]["0"]["own"]["pairs"]
    assert embedded == on_the_way.pairs  # the same frame pairs in every branch
    for run in (on_the_way, last):
        for _, account in run.sides.items():
            assert account.seen == account.used + sum(account.skipped.values()) + account.waiting
    merged = merge([path])
    assert not merged.complete
    assert merged["identity.distance_between_sides"] == report["identity.distance_between_sides"]


def test_a_state_that_cannot_be_written_spoils_no_report(
    carphone: list[Image], tmp_path: Path
) -> None:
    folder = tmp_path / "folder.state"
    folder.mkdir()
    report = evaluate(
        part(carphone, "a"),
        part(carphone, "b"),
        settings(),
        checkpoint=folder,
        checkpoint_every_s=0.05,
    )
    assert report.complete
    assert report["identity.distance_between_sides"].count == FRAMES
    notes = [note for note in report.notes if "cannot be written" in note]
    assert len(notes) == 2  # on the way, once for as long as all fail, and at the end


def test_a_state_that_does_not_add_up_is_refused(carphone: list[Image], tmp_path: Path) -> None:
    path = tmp_path / "run.state"
    some = carphone[:2]
    evaluate(part(some, "a"), part(some, "b"), settings(), checkpoint=path)
    good = read_state(path)
    for place, key, value in (
        (good["sides"]["original"], "used", 1),
        (good, "pairs", -1),
        (good, "branches", [1, 2]),
        (good, "began", None),
        (good, "next_index", 0),
    ):
        before, place[key] = place[key], value
        write_state(path, good)
        place[key] = before
        with pytest.raises(InputError, match=r"run\.state"):
            read_run(path)
    good["branches"].pop()
    write_state(path, good)
    with pytest.raises(InputError, match=r"run\.state comes of another version of streamdeid"):
        merge([path])


def test_ranges_of_indices_fit_into_64_bits_and_are_apart() -> None:
    assert range_of("a.mp4", "b.mp4") == range_of("a.mp4", "b.mp4")
    bases = {range_of("a", "b"), range_of("b", "a"), range_of("ab", ""), random_range()}
    assert len(bases) == 4
    assert all(0 <= base < 2**62 and base % 2**32 == 0 for base in bases)


def test_accounts_add_up_and_what_waits_can_be_given_up() -> None:
    one = Account(10, 5, {"unpaired": 3}, 2, 1, 4)
    both = one + Account(4, 4)
    assert both == Account(14, 9, {"unpaired": 3}, 2, 1, 4)
    assert both.closed("lost") == Account(14, 9, {"lost": 2, "unpaired": 3}, 0, 1, 4)
    assert Account.from_record(both.to_record()) == both
