"""Whatever is wrong with what the user gave is told in one sentence that names it and the cure."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image as PillowImage

from streamdeid.inference.manifest import Manifest
from streamdeid.report.report import Report
from tests.cli.conftest import FRAMES, Run, is_one_sentence
from tests.videos import Image, write_audio

Broken = Callable[[Path, Path], Path]


def missing(folder: Path, clip: Path) -> Path:  # noqa: ARG001
    return folder / "none.mp4"


def empty(folder: Path, clip: Path) -> Path:  # noqa: ARG001
    (folder / "empty.mp4").touch()
    return folder / "empty.mp4"


def no_video(folder: Path, clip: Path) -> Path:  # noqa: ARG001
    (folder / "letter.mp4").write_text("Dear all, " * 1000)
    return folder / "letter.mp4"


def audio_only(folder: Path, clip: Path) -> Path:  # noqa: ARG001
    return write_audio(folder / "song.m4a")


def without_index(folder: Path, clip: Path) -> Path:
    data = clip.read_bytes()
    (folder / "cut.mp4").write_bytes(data[: len(data) // 2])
    return folder / "cut.mp4"


def a_folder(folder: Path, clip: Path) -> Path:  # noqa: ARG001
    (folder / "folder.mp4").mkdir()
    return folder / "folder.mp4"


@pytest.mark.parametrize("make", [missing, empty, no_video, audio_only, without_index, a_folder])
@pytest.mark.parametrize("side", ["original", "deidentified"])
def test_a_video_that_cannot_be_read(
    make: Broken, side: str, run: Run, clip: Path, tmp_path: Path
) -> None:
    bad = make(tmp_path, clip)
    videos = [bad, clip] if side == "original" else [clip, bad]
    result = run("evaluate", *videos, "-o", tmp_path / "report.json")
    assert result.exit_code == 2
    assert is_one_sentence(result.stderr), result.stderr
    assert str(bad) in result.stderr
    assert not (tmp_path / "report.json").exists()


def not_a_picture(folder: Path, frame: Image) -> Path:  # noqa: ARG001
    (folder / "face.png").write_bytes(b"\x89PNG but not really")
    return folder / "face.png"


def no_face(folder: Path, frame: Image) -> Path:  # noqa: ARG001
    PillowImage.new("RGB", (200, 200), "gray").save(folder / "wall.png")
    return folder / "wall.png"


def two_faces(folder: Path, frame: Image) -> Path:
    height, width, _ = frame.shape
    sheet = PillowImage.new("RGB", (2 * width, height))
    sheet.paste(PillowImage.fromarray(frame), (0, 0))
    sheet.paste(PillowImage.fromarray(frame), (width, 0))
    sheet.save(folder / "twins.png")
    return folder / "twins.png"


def no_picture(folder: Path, frame: Image) -> Path:  # noqa: ARG001
    return folder / "none.png"


def no_pictures(folder: Path, frame: Image) -> Path:  # noqa: ARG001
    (folder / "pictures").mkdir()
    return folder / "pictures"


@pytest.mark.parametrize("make", [not_a_picture, no_face, two_faces, no_picture, no_pictures])
@pytest.mark.parametrize("flag", ["--source-image", "--target-image"])
def test_a_picture_that_cannot_be_used(
    make: Callable[[Path, Image], Path],
    flag: str,
    run: Run,
    clip: Path,
    frames: list[Image],
    tmp_path: Path,
) -> None:
    bad = make(tmp_path, frames[0])
    result = run("evaluate", clip, clip, flag, bad)
    assert result.exit_code == 2
    assert is_one_sentence(result.stderr), result.stderr
    assert str(bad) in result.stderr


@pytest.mark.parametrize("flag", ["--output", "--timeline"])
def test_a_place_that_cannot_be_written_is_told_before_the_work(
    flag: str, run: Run, clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def work(*_: object, **__: object) -> None:
        pytest.fail("the work has begun")

    monkeypatch.setattr("streamdeid.engine.evaluate.evaluate", work)
    (tmp_path / "folder.csv").mkdir()
    for place, sentence in {
        tmp_path / "none" / "rows.csv": "there is no folder",
        tmp_path / "folder.csv": "is a folder",
        Path("/proc/rows.csv"): "nothing can be written",
        clip: "would overwrite the input" if flag == "--output" else "its name must end in",
    }.items():
        result = run("evaluate", clip, clip, flag, place)
        assert result.exit_code == 2
        assert is_one_sentence(result.stderr), result.stderr
        assert f"{flag} " in result.stderr
        assert sentence in result.stderr
    both = tmp_path / "both.csv"
    result = run("evaluate", clip, clip, "-o", both, "--timeline", both)
    assert (result.exit_code, is_one_sentence(result.stderr)) == (2, True)


def video_by_url(clip: Path, picture: Path, models: Path) -> tuple[list[str], Path]:  # noqa: ARG001
    return [clip.as_uri(), str(clip)], clip


def picture_in_a_folder(clip: Path, picture: Path, models: Path) -> tuple[list[str], Path]:  # noqa: ARG001
    return [str(clip), str(clip), "--source-image", str(picture.parent)], picture


def model(clip: Path, picture: Path, models: Path) -> tuple[list[str], Path]:  # noqa: ARG001
    return [str(clip), str(clip), "--models-dir", str(models)], models / "landmarks.onnx"


def manifest(clip: Path, picture: Path, models: Path) -> tuple[list[str], Path]:  # noqa: ARG001
    return [str(clip), str(clip), "--models-dir", str(models)], models / "manifest.toml"


def brought_model(clip: Path, picture: Path, models: Path) -> tuple[list[str], Path]:
    path = models / "brought.onnx"
    path.symlink_to(picture)
    return [str(clip), str(clip), "--embedder", f"insightface:{path}"], picture


@pytest.mark.parametrize(
    "give", [video_by_url, picture_in_a_folder, model, manifest, brought_model]
)
def test_no_input_is_written_over(
    give: Callable[[Path, Path, Path], tuple[list[str], Path]],
    run: Run,
    frames: list[Image],
    tmp_path: Path,
) -> None:
    (tmp_path / "people").mkdir()
    clip, picture = tmp_path / "a.mp4", tmp_path / "people" / "anna.png"
    clip.write_bytes(b"a video")
    PillowImage.fromarray(frames[0]).save(picture)
    models = tmp_path / "models"
    models.mkdir()
    for file in Manifest.load().folder.iterdir():
        (models / file.name).symlink_to(file)
    arguments, kept = give(clip, picture, models)
    before = kept.read_bytes()
    result = run("evaluate", *arguments, "-o", kept)
    assert result.exit_code == 2
    assert is_one_sentence(result.stderr), result.stderr
    assert f"--output {kept} would overwrite the input" in " ".join(result.stderr.split())
    assert kept.read_bytes() == before


@pytest.mark.parametrize("flag", ["--output", "--timeline", "--source-image", "--models-dir"])
def test_a_name_that_no_file_can_have(flag: str, run: Run, clip: Path) -> None:
    result = run("evaluate", clip, clip, flag, "a" * 300 + ".csv")
    assert result.exit_code == 2
    assert is_one_sentence(result.stderr), result.stderr
    result = run("evaluate", clip, clip, flag, "nul\0.csv")
    assert result.exit_code == 2
    assert r"'nul\x00.csv' holds a null byte" in result.stderr


def test_a_name_is_told_as_it_is_but_cannot_command_the_terminal(run: Run, clip: Path) -> None:
    result = run("evaluate", "two  blanks.mp4", clip)
    assert "two  blanks.mp4" in result.stderr
    result = run("evaluate", "red\x1b[31m.mp4", clip)
    assert is_one_sentence(result.stderr), result.stderr
    assert r"red\x1b[31m.mp4" in result.stderr
    result = run("evaluate", clip, clip, "--\x1b[31m")
    assert "\x1b" not in result.stderr


@pytest.mark.parametrize(
    ("options", "named"),
    [
        (["--frames", "0"], "--frames"),
        (["--face", "-1"], "--face"),
        (["--face", "prettiest"], "--face"),
        (["--threshold", "-0.5"], "--threshold"),
        (["--threshold", "inf"], "--threshold"),
        (["--offset", "1000001"], "--offset"),
        (["--confirm-every", "0"], "--confirm-every"),
        (["--embedder", "nobody"], "--embedder"),
        (["--detector", "blazefaces"], "--detector"),
        (["--models-dir", "/nowhere"], "/nowhere"),
        (["--detector", "insightface:/nowhere.onnx"], "insightface"),
    ],
)
def test_a_choice_that_makes_no_sense(options: list[str], named: str, run: Run, clip: Path) -> None:
    result = run("evaluate", clip, clip, *options)
    assert result.exit_code == 2
    assert is_one_sentence(result.stderr), result.stderr
    assert named in result.stderr


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--offset", "soon"], "'soon' is neither a number of seconds nor 'auto'."),
        (["--offset", "1/0"], "'1/0' is neither a number of seconds nor 'auto'."),
        (["--offset", "1e99999999"], "'1e99999999' is neither"),
        (["--offset", "1e-99999999"], "'1e-99999999' is neither"),
        (["--offset", "1" * 5000], "is neither a number of seconds nor 'auto'."),
        (["--frames", "few"], "'few' is not a valid integer"),
        (["--provider", "abacus"], "'abacus' is not one of 'auto', 'cpu', 'cuda', 'tensorrt'"),
        (["--fail-if", "a > b > c"], "is not NAME COMPARISON NUMBER"),
        (["--colour"], "No such option"),
    ],
)
def test_a_word_that_is_none(options: list[str], sentence: str, run: Run, clip: Path) -> None:
    result = run("evaluate", clip, clip, *options)
    assert result.exit_code == 2
    assert sentence in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize(
    ("condition", "sentence"),
    [
        ("identity.verified_as_sauce.deidentified > 0", "identity.verified_as_source.deidentified"),
        ("identity.verified_as_source.deidentified > 0", "--source-image, too."),
        ("identity_paired.distance_to_target.deidentified > 0", "--target-image, too."),
    ],
)
def test_a_condition_that_cannot_be_judged_is_told_before_the_work(
    condition: str, sentence: str, run: Run, tmp_path: Path
) -> None:
    result = run("evaluate", tmp_path / "a.mp4", tmp_path / "b.mp4", "--fail-if", condition)
    assert result.exit_code == 2
    assert is_one_sentence(result.stderr), result.stderr
    assert sentence in result.stderr


def test_a_video_that_was_cut_off_is_reported_as_far_as_it_goes(
    run: Run, frames: list[Image], clip: Path, tmp_path: Path
) -> None:
    from tests.videos import write_video

    whole = write_video(tmp_path / "whole.mkv", frames, options={"g": "5"})
    cut = tmp_path / "cut.mkv"
    cut.write_bytes(whole.read_bytes()[: whole.stat().st_size * 2 // 3])
    result = run("evaluate", clip, cut, "-o", tmp_path / "report.json")
    assert "Traceback" not in result.stderr
    report = Report.read(tmp_path / "report.json")
    assert 0 < report.coverage["paired"] < FRAMES
    assert any("cut.mkv" in note for note in report.notes)
    assert result.exit_code == 0


@pytest.mark.parametrize("sides", ["original", "deidentified", "both"])
def test_a_video_without_a_face_has_null_scores_with_a_reason(
    sides: str, run: Run, clip: Path, faceless: Path, tmp_path: Path
) -> None:
    first = clip if sides == "deidentified" else faceless
    second = clip if sides == "original" else faceless
    result = run("evaluate", first, second, "-o", tmp_path / "report.json")
    assert result.exit_code == 0, result.stderr
    score = Report.read(tmp_path / "report.json")["identity.distance_between_sides"]
    assert score.value is None
    assert score.reason is not None
    assert score.reason in " ".join(result.stdout.split())


def test_a_full_disk_costs_the_file_but_not_the_figures(
    run: Run, clip: Path, mirrored: Path
) -> None:
    result = run("evaluate", clip, mirrored, "-o", "/dev/full")
    assert result.exit_code == 2
    assert "streamdeid: the report /dev/full cannot be written: No space left on device." in (
        result.stderr
    )
    assert "distance between sides" in result.stdout


def test_a_full_disk_under_the_rows_ends_the_run_with_a_report(
    run: Run, clip: Path, mirrored: Path, tmp_path: Path
) -> None:
    rows = tmp_path / "rows.jsonl"
    rows.symlink_to("/dev/full")
    result = run("evaluate", clip, mirrored, "--timeline", rows, "-o", tmp_path / "report.json")
    assert result.exit_code == 2
    assert f"the timeline {rows} cannot be written: No space left on device." in result.stderr
    assert not Report.read(tmp_path / "report.json").complete
    assert "INCOMPLETE" in result.stdout
