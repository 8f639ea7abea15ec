"""Rows come whole, in order, once each, and as soon as they can; in every format the same."""

from __future__ import annotations

import csv
import json
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamdeid.errors import OutputError
from streamdeid.report import rows as rows_module
from streamdeid.report.timeline import Timeline

FORMATS = ("rows.csv", "rows.jsonl", "rows.parquet")
COLUMNS = {"distance": float, "faces": int, "verified": bool}


def read_rows(path: Path) -> list[dict[str, Any]]:
    """The rows of a file as Python values; CSV knows only numbers and nothing."""
    if path.suffix == ".parquet":
        rows: list[dict[str, Any]] = pq.read_table(path).to_pylist()
        return rows
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".jsonl":
        return [json.loads(line) for line in text.splitlines()]
    return [
        {name: float(cell) if cell else None for name, cell in row.items()}
        for row in csv.DictReader(text.splitlines())
    ]


@pytest.mark.parametrize("cut", [0, 3])
@pytest.mark.parametrize("name", ["rows.csv", "rows.jsonl"])
def test_rows_are_appended_to_those_of_a_run_that_was_killed(
    name: str, cut: int, tmp_path: Path
) -> None:
    path = tmp_path / name
    for _ in range(2):
        with Timeline(path, ["a"], append=True) as timeline:
            timeline.append(0, {"a": 0.5})
            timeline.append(1, {"a": 0.25})
    whole = path.read_text().splitlines()
    assert len(whole) == (5 if name == "rows.csv" else 4)
    path.write_bytes(path.read_bytes()[: -cut or None])
    with Timeline(path, ["a"], append=True) as timeline:
        timeline.append(0, {"a": 0.75})
    lines = path.read_text().splitlines()
    assert lines[:-1] == (whole[:-1] if cut else whole), "half a line is no row"
    assert "0.75" in lines[-1]


def test_rows_of_other_columns_or_in_parquet_are_not_appended_to(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    with Timeline(path, ["a"]):
        pass
    with pytest.raises(OutputError, match="other columns"), Timeline(path, ["b"], append=True):
        pass
    parquet = tmp_path / "rows.parquet"
    with pytest.raises(OutputError, match="no more rows"), Timeline(parquet, ["a"], append=True):
        pass


@pytest.mark.parametrize("name", FORMATS)
def test_rows_come_back_as_they_were(name: str, tmp_path: Path) -> None:
    with Timeline(tmp_path / name, COLUMNS) as timeline:
        timeline.append(0, {"time_s": 0.0, "distance": 0.5, "faces": 2, "verified": True})
        timeline.append(1, {"time_s": 0.04, "verified": False})
        timeline.append(2, {"distance": float("nan"), "faces": None})
    nothing = {"time_s": None, "distance": None, "faces": None, "verified": None}
    assert read_rows(tmp_path / name) == [
        {"index": 0, "time_s": 0.0, "distance": 0.5, "faces": 2, "verified": 1},
        {"index": 1, "time_s": 0.04, "distance": None, "faces": None, "verified": 0},
        {"index": 2} | nothing,
    ]


@pytest.mark.parametrize("name", FORMATS)
def test_numpys_numbers_are_numbers(name: str, tmp_path: Path) -> None:
    with Timeline(tmp_path / name, COLUMNS) as timeline:
        values: Mapping[str, Any] = {
            "distance": np.float32(0.5),
            "faces": np.int64(2),
            "verified": np.bool_(True),
        }
        timeline.append(0, values)
    row = read_rows(tmp_path / name)[0]
    assert (row["distance"], row["faces"], row["verified"]) == (0.5, 2, 1)


def test_parquet_keeps_types_and_is_cut_into_groups(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rows_module, "ROWS_PER_GROUP", 10)
    with Timeline(tmp_path / "rows.parquet", COLUMNS) as timeline:
        for index in range(25):
            timeline.append(index, {"time_s": index / 25})
    table = pq.ParquetFile(tmp_path / "rows.parquet")
    types = dict(zip(table.schema_arrow.names, map(str, table.schema_arrow.types), strict=True))
    assert types == {
        "index": "int64",
        "time_s": "double",
        "distance": "double",
        "faces": "int64",
        "verified": "bool",
    }
    groups = range(table.metadata.num_row_groups)
    assert [table.metadata.row_group(group).num_rows for group in groups] == [10, 10, 5]


@pytest.mark.parametrize("name", FORMATS)
def test_names_alone_mean_numbers(name: str, tmp_path: Path) -> None:
    with Timeline(tmp_path / name, ["time_s", "distance", "verified"]) as timeline:
        timeline.append(0, {"distance": 1, "verified": True})
    assert read_rows(tmp_path / name) == [
        {"index": 0, "time_s": None, "distance": 1.0, "verified": 1.0}
    ]


@pytest.mark.parametrize("name", FORMATS)
def test_a_run_without_rows_leaves_a_readable_file(name: str, tmp_path: Path) -> None:
    with Timeline(tmp_path / name, COLUMNS):
        pass
    assert read_rows(tmp_path / name) == []


@pytest.mark.parametrize("name", ["rows.csv", "rows.jsonl"])
def test_a_row_can_be_read_as_soon_as_it_is_whole(name: str, tmp_path: Path) -> None:
    with Timeline(tmp_path / name, ["a", "b"], parts=2) as timeline:
        timeline.append(0, {"a": 1.0})
        assert read_rows(tmp_path / name) == []
        timeline.append(0, {"b": 2.0})
        assert [row["index"] for row in read_rows(tmp_path / name)] == [0]


@given(
    st.lists(st.sets(st.integers(0, 12)).map(sorted), min_size=1, max_size=4),
    st.randoms(use_true_random=False),
)
def test_however_branches_take_turns_each_row_comes_once_in_order(
    tmp_path_factory: pytest.TempPathFactory, branches: Sequence[Sequence[int]], random: Any
) -> None:
    """Each branch gives its parts in order, may leave some out, and may be behind as it likes."""
    path = tmp_path_factory.mktemp("rows") / "rows.jsonl"
    columns = [f"c{number}" for number in range(len(branches))]
    left = [list(branch) for branch in branches]
    with Timeline(path, columns, parts=len(branches)) as timeline:
        while any(left):
            number = random.choice([n for n, branch in enumerate(left) if branch])
            timeline.append(left[number].pop(0), {f"c{number}": float(number)})
    expected = []
    for index in sorted(set().union(*branches)):
        cells = {f"c{n}": n if index in branch else None for n, branch in enumerate(branches)}
        expected.append({"index": index, "time_s": None} | cells)
    assert read_rows(path) == expected


@pytest.mark.parametrize("name", FORMATS)
def test_parts_may_come_from_several_threads(name: str, tmp_path: Path) -> None:
    count = 500

    def give(timeline: Timeline, column: str) -> None:
        for index in range(count):
            timeline.append(index, {column: index})

    with Timeline(tmp_path / name, {"a": int, "b": int, "c": int}, parts=3) as timeline:
        threads = [threading.Thread(target=give, args=(timeline, column)) for column in "abc"]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert read_rows(tmp_path / name) == [
        {"index": n, "time_s": None, "a": n, "b": n, "c": n} for n in range(count)
    ]


def test_rows_do_not_pile_up_for_a_branch_that_gives_nothing(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    with Timeline(path, ["a", "b"], parts=2, most_waiting=10) as timeline:
        for index in range(100):
            timeline.append(index, {"a": 1.0})
            assert index - len(read_rows(path)) < 10
        timeline.append(0, {"b": 2.0})  # too late, and no second row
    assert [row["index"] for row in read_rows(path)] == list(range(100))


def test_what_waits_at_the_end_is_written_with_empty_cells(tmp_path: Path) -> None:
    def break_off() -> None:
        with Timeline(tmp_path / "rows.csv", ["a", "b"], parts=2) as timeline:
            timeline.append(7, {"a": 1.0})
            timeline.append(8, {"a": 1.0})
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        break_off()
    assert (tmp_path / "rows.csv").read_text() == "index,time_s,a,b\n7,,1.0,\n8,,1.0,\n"


def test_an_unknown_column_is_a_mistake_of_the_caller(tmp_path: Path) -> None:
    with Timeline(tmp_path / "rows.csv", ["a"]) as timeline, pytest.raises(KeyError, match="b"):
        timeline.append(0, {"b": 1.0})


def test_a_full_disk_is_told_in_one_sentence_by_every_call(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.symlink_to("/dev/full")
    told = f"the timeline {path} cannot be written: No space left on device."
    timeline = Timeline(path, ["a"]).__enter__()
    for index in range(2):
        with pytest.raises(OutputError) as refused:
            timeline.append(index, {"a": 1.0})
        assert str(refused.value) == told
    timeline.close()  # that was told already


def test_a_full_disk_is_told_when_the_file_is_opened_or_closed(tmp_path: Path) -> None:
    header, group = tmp_path / "rows.csv", tmp_path / "rows.parquet"
    header.symlink_to("/dev/full")
    group.symlink_to("/dev/full")
    with pytest.raises(OutputError, match="No space left on device"), Timeline(header, ["a"]):
        pytest.fail("it was opened")
    with pytest.raises(OutputError, match="No space left on device"), Timeline(group, ["a"]) as t:
        t.append(0, {"a": 1.0})


def test_a_bad_place_or_name_is_told_in_one_sentence(tmp_path: Path) -> None:
    with (
        pytest.raises(OutputError, match="cannot be written: No such file or directory"),
        Timeline(tmp_path / "none" / "rows.csv", ["a"]),
    ):
        pytest.fail("it was opened")
    with (
        pytest.raises(OutputError, match=r"ends in \.csv, \.jsonl, \.parquet"),
        Timeline(tmp_path / "rows.xlsx", ["a"]),
    ):
        pytest.fail("it was opened")


def test_without_pyarrow_the_cure_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    with (
        pytest.raises(OutputError, match=r'pip install "streamdeid\[parquet\]"'),
        Timeline(tmp_path / "rows.parquet", ["a"]),
    ):
        pytest.fail("it was opened")
    assert list(tmp_path.iterdir()) == []
