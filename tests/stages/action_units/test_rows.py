"""Rows are read as OpenFace writes them: while they come, in either style, and not a word more."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

from streamdeid.observations import ACTION_UNITS
from streamdeid.stages.action_units.rows import Columns, RowFile, UnreadableRows, last_frame

RECORDED = Path(__file__).parents[2] / "data" / "openface"
"""Of OpenFace 1 on a talking face and on a picture without one, the first 30 frames."""

HEADER = ",".join(["frame", "success", *(f"AU{unit:02}_r" for unit in ACTION_UNITS)])


def row(frame: int, value: float = 1.0, success: int = 1) -> str:
    return ",".join([str(frame), str(success), *[str(value)] * 17])


def write(path: Path, *lines: str, end: str = "\n") -> Path:
    path.write_text("\n".join(lines) + end)
    return path


@pytest.mark.parametrize("name", ["one_face_wmv2_online", "one_face_wmv2_postprocessed"])
def test_recorded_rows_are_read_as_another_reader_reads_them(name: str) -> None:
    path = RECORDED / f"{name}.csv"
    with path.open(newline="") as file:
        expected = list(csv.DictReader(file, skipinitialspace=True))
    assert last_frame(path) == len(expected) == 30
    with RowFile(path, finished=True) as rows:
        for frame, cells in enumerate(expected, 1):
            found = rows.find(frame)
            assert found is not None
            assert found.frame == frame == int(cells["frame"])
            assert found.units is not None
            intensity = [float(cells[f"AU{unit:02}_r"]) for unit in ACTION_UNITS]
            np.testing.assert_array_equal(found.units.intensity, intensity)
            assert found.units.present is not None
            present = [float(cells[f"AU{unit:02}_c"]) == 1 for unit in ACTION_UNITS]
            np.testing.assert_array_equal(found.units.present, present)
        assert rows.find(31) is None


def test_a_recorded_video_without_a_face_has_rows_without_units() -> None:
    path = RECORDED / "no_face_postprocessed.csv"
    with RowFile(path, finished=True) as rows:
        for frame in range(1, last_frame(path) + 1):
            found = rows.find(frame)
            assert found is not None
            assert (found.frame, found.units) == (frame, None)


def test_a_row_counts_when_its_line_has_ended(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    with RowFile(path) as rows:
        assert rows.find(1) is None
        with path.open("w") as file:
            for text, there in (
                (HEADER, False),
                ("\n1,1", False),
                (row(1)[3:], False),
                ("\n", True),
                (row(2), True),
            ):
                file.write(text)
                file.flush()
                assert (rows.find(1) is not None) == there
                assert rows.find(2) is None if not there or text == "\n" else True


def test_a_last_line_without_an_end_counts_in_a_finished_file(tmp_path: Path) -> None:
    path = write(tmp_path / "rows.csv", HEADER, row(1), row(2), end="")
    with RowFile(path, finished=True) as rows:
        found = rows.find(2)
        assert found is not None
        assert found.frame == 2
    assert last_frame(path) == 2


def test_the_first_of_several_faces_counts(tmp_path: Path) -> None:
    path = write(tmp_path / "rows.csv", HEADER, row(1, 1), row(1, 2), row(2, 3), row(2, 4))
    with RowFile(path, finished=True) as rows:
        values = [
            found.units.intensity[0] for n in (1, 1, 2) if (found := rows.find(n)) and found.units
        ]
    assert values == [1, 1, 3]


def test_a_frame_without_a_row_is_answered_with_the_next_row(tmp_path: Path) -> None:
    path = write(tmp_path / "rows.csv", HEADER, row(1), row(4))
    with RowFile(path, finished=True) as rows:
        frames = [found.frame for n in (1, 2, 3, 4) if (found := rows.find(n))]
    assert frames == [1, 4, 4, 4]


def test_blank_lines_and_carriage_returns_are_no_rows(tmp_path: Path) -> None:
    path = write(tmp_path / "rows.csv", f"{HEADER}\r", "\r", "", f"{row(1)}\r", "")
    with RowFile(path, finished=True) as rows:
        assert rows.find(1) is not None
    assert last_frame(path) == 1


@pytest.mark.parametrize("value", ["nan", "inf", "-nan"])
def test_what_is_no_number_is_no_unit(value: str, tmp_path: Path) -> None:
    path = write(tmp_path / "rows.csv", HEADER, row(1).replace("1.0", value))
    with RowFile(path, finished=True) as rows:
        found = rows.find(1)
    assert found is not None
    assert found.units is None


@pytest.mark.parametrize(
    ("lines", "problem"),
    [
        (["frame,success"], "a header without the column AU01_r: 'frame,success'"),
        (["\x89PNG"], "a header without the column frame"),
        ([HEADER, "1,1,2"], "a row that is none: '1,1,2'"),
        ([HEADER, row(1).replace("1.0", "much")], "a row that is none"),
        ([HEADER, row(2), row(1)], "frame 1 out of turn"),
        ([HEADER, row(0)], "frame 0 out of turn"),
        ([HEADER, row(1) + " " * 300_000], "a line that does not end"),
    ],
)
def test_anything_else_is_said_to_be_unreadable(
    lines: list[str], problem: str, tmp_path: Path
) -> None:
    path = write(tmp_path / "rows.csv", *lines, end="" if "end" in problem else "\n")
    with RowFile(path) as rows, pytest.raises(UnreadableRows) as caught:
        rows.find(99)
    assert problem in str(caught.value)
    assert len(str(caught.value)) < 150


def test_a_file_that_is_missing_or_empty_ends_with_frame_0(tmp_path: Path) -> None:
    assert last_frame(tmp_path / "rows.csv") == 0
    assert last_frame(write(tmp_path / "rows.csv", "")) == 0
    assert last_frame(write(tmp_path / "rows.csv", HEADER)) == 0


def test_the_last_frame_of_a_long_file_is_found_without_reading_it(tmp_path: Path) -> None:
    path = write(tmp_path / "rows.csv", HEADER, "rubbish" * 60_000, row(77))
    assert last_frame(path) == 77


def test_columns_may_stand_anywhere() -> None:
    names = [
        *(f"AU{unit:02}_r" for unit in reversed(ACTION_UNITS)),
        "confidence",
        "success",
        "frame",
    ]
    found = Columns(", ".join(names).encode()).row(
        b", ".join(b"%d" % n for n in [*range(17), 0, 1, 9])
    )
    assert found.frame == 9
    assert found.units is not None
    assert found.units.intensity.tolist() == list(range(16, -1, -1))
    assert found.units.present is None
