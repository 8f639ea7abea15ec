"""`streamdeid watch`, end to end: a real RTSP server on loopback, real faces, real processes."""

from __future__ import annotations

import csv
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from streamdeid import Settings
from streamdeid.engine.checkpoint import read_run
from streamdeid.engine.live.status import Status
from streamdeid.engine.live.watch import Listeners, _resumed, watch
from streamdeid.engine.live.watcher import Watching
from streamdeid.pair import SIDES
from streamdeid.report.report import Report
from streamdeid.report.schema import report_schema
from tests.cli.conftest import LOGIN, Run, is_one_sentence
from tests.engine.live.served import free_port, get, listens
from tests.sources.conftest import RtspServer

Start = Callable[..., "subprocess.Popen[str]"]

PATIENCE_S = 60
ALERT = "identity.verified_as_source.deidentified > 0.5 over 1s"


def lines_of(path: Path) -> list[dict[str, Any]]:
    """The lines written so far; the last may be half of one."""
    whole = path.read_text().rpartition("\n")[0] if path.exists() else ""
    return [json.loads(line) for line in whole.splitlines()]


def pairs_told(folder: Path) -> int:
    """In the last line so far."""
    lines = lines_of(folder / "lines.jsonl")
    return int(lines[-1]["pairs"]) if lines else 0


def wait_until(condition: Callable[[], object], process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline, "it never came to that"
        time.sleep(0.02)


def assert_adds_up(account: Mapping[str, Any]) -> None:
    parts = account["used"] + sum(account["skipped"].values()) + account.get("waiting", 0)
    assert account["frames"] == parts, account
    assert min(account["skipped"].values(), default=0) >= 0
    assert account.get("waiting", 0) >= 0


@dataclass(frozen=True)
class Watched:
    """What a run left behind."""

    lines: list[dict[str, Any]]
    report: Report
    stdout: str
    stderr: str
    files: list[Path]
    healthy: tuple[int, str]
    metrics: str


@pytest.fixture(scope="module")
def watched(
    faces: RtspServer,
    portrait: Path,
    python_environment: dict[str, str],
    tmp_path_factory: pytest.TempPathFactory,
) -> Watched:
    """A whole run: the original is served twice, so that the person is recognised."""
    folder, port = tmp_path_factory.mktemp("watched"), free_port()
    alerted = f'{sys.executable} -c \'import sys; open("alerted", "a").write(sys.stdin.read())\''
    words = ["watch", faces.url("/original", LOGIN), faces.url("/same", LOGIN)]
    words += ["--source-image", portrait, "--metrics", "identity", "--duration", "7s"]
    words += ["-o", "lines.jsonl", "--every", "0.5s", "--window", "1.5s", "--report", "report.json"]
    words += ["--alert", ALERT, "--on-alert-run", alerted, "--http", f"127.0.0.1:{port}"]
    words += ["--on-alert-post", f"http://{LOGIN}@127.0.0.1:1/", "--timeline", "rows.csv"]
    words += ["--checkpoint", "run.state", "--checkpoint-every", "1s"]
    process = subprocess.Popen(
        [sys.executable, "-m", "streamdeid", *map(str, words)],
        env=python_environment,
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        wait_until(lambda: pairs_told(folder) > 3, process)
        # What is told is up to a second old, and lines may be ahead of it.
        wait_until(lambda: "streamdeid_score{" in get(port, "/metrics")[1], process)
        healthy, metrics = get(port, "/healthz"), get(port, "/metrics")[1]
        report = Report.from_json(get(port, "/report.json")[1])
        stdout, stderr = process.communicate(timeout=PATIENCE_S)
    finally:
        process.kill()
        process.communicate()
    assert not report.complete
    assert report["identity.distance_between_sides"].count > 0
    assert process.returncode == 0, stderr
    lines = lines_of(folder / "lines.jsonl")
    report = Report.read(folder / "report.json")
    files = sorted(folder.iterdir())
    return Watched(lines, report, stdout, stderr, files, healthy, metrics)


def test_there_is_a_line_a_second_and_a_last_one(watched: Watched) -> None:
    assert len(watched.lines) >= 5
    assert [line["last"] for line in watched.lines] == [False] * (len(watched.lines) - 1) + [True]
    assert {line["schema"] for line in watched.lines} == {"streamdeid-watch/1"}
    walls = [line["wall_s"] for line in watched.lines]
    assert walls == sorted(walls)
    assert 7 <= walls[-1] < 15


def test_every_frame_is_accounted_for_in_every_line_and_in_the_report(watched: Watched) -> None:
    for line in watched.lines:
        for side in SIDES:
            assert_adds_up(line[side])
            assert line[side]["used"] == line["pairs"]
    last = watched.lines[-1]
    for side in SIDES:
        assert last[side]["waiting"] == 0
        assert_adds_up(watched.report.coverage[side])
        assert watched.report.coverage[side]["used"] == watched.report.coverage["paired"]
        assert watched.report.coverage[side]["frames"] == last[side]["frames"]
    assert last["pairs"] == watched.report.coverage["paired"] > 10


def test_the_window_is_the_end_of_the_totals(watched: Watched) -> None:
    name = "identity.distance_between_sides"
    for line in watched.lines:
        total, window = line["totals"][name], line["window"]["scores"][name]
        assert window["count"] <= total["count"] <= line["pairs"]
        assert window["count"] <= 30 + 5
    first, last = watched.lines[1], watched.lines[-1]
    assert last["window"]["scores"][name]["count"] < last["totals"][name]["count"]
    assert first["totals"][name]["count"] < last["totals"][name]["count"]
    report = watched.report[name]
    assert (report.count, report.value) == (
        last["totals"][name]["count"],
        last["totals"][name]["value"],
    )


def test_the_person_is_recognised_and_the_alert_is_raised_once(watched: Watched) -> None:
    assert watched.report["identity.verified_as_source.deidentified"].value == 1.0
    assert watched.report["identity.distance_between_sides"].value < 0.05
    events = [event for line in watched.lines for event in line["events"]]
    alerts = [event for event in events if event["kind"] == "alert"]
    assert [event["alert"] for event in alerts] == [ALERT]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", alerts[0]["time"])
    assert f"ALERT: {ALERT}: it is 1" in watched.stderr
    [told] = [path for path in watched.files if path.name == "alerted"]
    assert json.loads(told.read_text()) == alerts[0]
    assert any("could not be posted to http://127.0.0.1:1/" in e["text"] for e in events)


def test_it_is_told_over_http_while_it_runs(watched: Watched) -> None:
    assert watched.healthy == (200, '{"up": true, "why": ""}')
    assert 'streamdeid_up{side="deidentified"} 1.0' in watched.metrics
    assert 'streamdeid_score{name="identity.distance_between_sides"' in watched.metrics


def test_the_report_says_how_the_streams_were_aligned(watched: Watched) -> None:
    assert watched.report.complete
    alignment = watched.report.streams["alignment"]
    assert alignment["clock"] in ("sender", "arrival")
    assert abs(alignment["gap_s"]) < 0.05
    assert watched.lines[-1]["alignment"]["clock"] == alignment["clock"]
    assert watched.report.streams["original"]["uri"].startswith("rtsp://127.0.0.1:")


def test_reports_of_a_run_and_of_its_state_keep_the_contract(watched: Watched, run: Run) -> None:
    [state] = [path for path in watched.files if path.name == "run.state"]
    result = run("merge", state, "--json")
    assert result.exit_code == 0, result.stderr
    merged = Report.from_json(result.stdout)
    for report in (merged, watched.report):
        jsonschema.validate(json.loads(report.to_json()), report_schema())
    assert merged.coverage == watched.report.coverage
    assert [score.value for score in merged.scores] == [s.value for s in watched.report.scores]


def test_the_password_is_nowhere(watched: Watched) -> None:
    texts = [watched.stdout, watched.stderr, watched.metrics]
    texts += [path.read_bytes().decode("latin-1") for path in watched.files]
    assert "s3cret" not in "".join(texts)
    assert {path.name for path in watched.files} == {
        "alerted", "lines.jsonl", "report.json", "rows.csv", "run.state",
    }  # fmt: skip


def test_a_table_is_shown_at_the_end(watched: Watched) -> None:
    assert "verified as source" in watched.stdout
    assert "Report: report.json" in watched.stdout


@pytest.fixture
def watching(faces: RtspServer, start: Start, tmp_path: Path) -> Iterator[Start]:
    """Begins to watch /original and /mirrored; whatever still runs in the end is killed."""
    begun = []

    def begin(*more: object) -> subprocess.Popen[str]:
        urls = faces.url("/original", LOGIN), faces.url("/mirrored", LOGIN)
        words = ("-o", tmp_path / "lines.jsonl", "--every", "0.5s", "--metrics", "identity")
        begun.append(start("watch", *urls, *words, *more))
        return begun[-1]

    yield begin
    for process in begun:
        process.kill()
        with suppress(ValueError):  # read already
            process.communicate()


def test_after_a_kill_the_next_run_goes_on_and_says_what_was_missed(
    watching: Start, tmp_path: Path
) -> None:
    state, report = tmp_path / "run.state", tmp_path / "report.json"
    words = ("--checkpoint", state, "--checkpoint-every", "0.5s", "--report", report)
    words += ("--timeline", tmp_path / "rows.jsonl")
    process = watching(*words)
    wait_until(state.exists, process)
    wait_until(lambda: read_run(state).pairs > 5, process)
    process.send_signal(signal.SIGKILL)
    process.wait()
    before = lines_of(tmp_path / "lines.jsonl")
    told = read_run(state).pairs
    process = watching(*words, "--resume")
    # The killed run may have told more than its state holds.
    wait_until(lambda: len(lines_of(tmp_path / "lines.jsonl")) > len(before), process)
    wait_until(lambda: pairs_told(tmp_path) > told + 3, process)
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 130, stderr
    after = lines_of(tmp_path / "lines.jsonl")[len(before) :]
    last = after[-1]
    resumed = [event for line in after for event in line["events"] if event["kind"] == "resumed"]
    assert len(resumed) == 1
    missed = r"(\d+) frame pairs until .* nothing is known of the (\d+) s"
    found = re.search(missed, resumed[0]["text"])
    assert found is not None
    kept = int(found[1])
    assert last["pairs"] > after[0]["pairs"] >= kept == told > 5
    for line in after:
        for side in SIDES:
            assert_adds_up(line[side])
    written = Report.read(report)
    assert written.coverage["paired"] == last["pairs"]
    assert written["identity.distance_between_sides"].count == last["pairs"]
    assert resumed[0]["text"] in written.notes
    indices = [row["index"] for row in lines_of(tmp_path / "rows.jsonl")]
    assert indices.count(0) == 2, "the rows from before it was killed are there"
    assert len(indices) >= last["pairs"]


def test_rows_that_could_not_be_gone_on_with_are_refused_at_once(
    watching: Start, tmp_path: Path
) -> None:
    rows = ("--timeline", tmp_path / "rows.parquet")
    process = watching("--checkpoint", tmp_path / "run.state", "--resume", *rows)
    _, stderr = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 2
    assert "name it .csv or .jsonl" in stderr


def test_a_signal_ends_it_with_a_report_and_a_state(watching: Start, tmp_path: Path) -> None:
    report, state = tmp_path / "report.json", tmp_path / "run.state"
    process = watching("--report", report, "--checkpoint", state)
    wait_until(lambda: pairs_told(tmp_path) > 0, process)
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 130, stderr
    assert "Traceback" not in stderr
    written = Report.read(report)
    assert not written.complete
    assert written.coverage["paired"] == lines_of(tmp_path / "lines.jsonl")[-1]["pairs"] > 0
    assert state.exists()


def test_what_keeps_a_stream_from_coming_is_told_while_it_is_waited_for(
    start: Start, tmp_path: Path
) -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        url = f"rtsp://user:secret@127.0.0.1:{nobody.getsockname()[1]}/camera"
        report = tmp_path / "report.json"
        process = start("watch", url, url, "--duration", "2s", "--report", report)
        _, stderr = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 2
    assert stderr.count("refuses the connection") >= 1
    assert "secret" not in stderr
    assert any("refuses the connection" in note for note in Report.read(report).notes)


def test_before_the_first_frame_a_signal_ends_it_too(start: Start, tmp_path: Path) -> None:
    report = tmp_path / "report.json"
    nowhere = f"rtsp://{LOGIN}@127.0.0.1:{free_port()}/a"
    port = free_port()
    process = start("watch", nowhere, nowhere, "--report", report, "--http", port)
    wait_until(lambda: listens(port), process)
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 130, stderr
    written = Report.read(report)
    assert not written.complete
    assert "s3cret" not in stderr + report.read_text()
    assert any("before the first frame" in note for note in written.notes)


def test_two_signals_end_it_at_once(watching: Start, tmp_path: Path) -> None:
    process = watching("--report", tmp_path / "report.json")
    wait_until(lambda: lines_of(tmp_path / "lines.jsonl"), process)
    process.send_signal(signal.SIGINT)
    process.send_signal(signal.SIGTERM)
    began = time.monotonic()
    process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 130
    assert time.monotonic() - began < 5


def rows_of(path: Path) -> list[dict[str, float]]:
    with path.open(newline="") as file:
        return [{k: float(v) for k, v in row.items() if v} for row in csv.DictReader(file)]


def test_a_file_and_the_same_file_served_live_get_the_same_scores(
    watching: Start, run: Run, face_stream: Path, mirrored_stream: Path, tmp_path: Path
) -> None:
    live, file = tmp_path / "live.csv", tmp_path / "file.csv"
    process = watching("--timeline", live, "--metrics", "identity,quality")
    wait_until(lambda: pairs_told(tmp_path) > 15, process)
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 130, stderr
    words = ("evaluate", face_stream, mirrored_stream, "--metrics", "identity,quality")
    assert run(*words, "--timeline", file, "-q").exit_code == 0
    [picture] = [name for name in rows_of(file)[0] if name.endswith("psnr.frame")]
    known = {row[picture]: row for row in rows_of(file)}
    seen = [row for row in rows_of(live) if picture in row]
    assert len(seen) > 10
    for row in seen:
        twin = known[row[picture]]  # to the last digit: the same two frames were paired
        assert row["distance_between_sides"] == pytest.approx(
            twin["distance_between_sides"], abs=0.1
        )  # the face was followed from another frame
    distances = [row["distance_between_sides"] for row in seen]
    twins = [known[row[picture]]["distance_between_sides"] for row in seen]
    assert sum(distances) / len(seen) == pytest.approx(sum(twins) / len(seen), abs=0.02)


def test_an_analysis_that_is_too_slow_leaves_pairs_out_and_accounts_for_all(
    faces: RtspServer,
) -> None:
    told: list[Status] = []

    def slowly(status: Status) -> None:
        told.append(status)
        time.sleep(0.0 if status.last else 1.2)  # in the thread that drives the run

    report = watch(
        faces.url("/fast", LOGIN),
        faces.url("/fast-too", LOGIN),
        Settings(metrics="identity", provider="cpu"),
        Watching(duration_s=5, every_s=1.5),
        listeners=Listeners(on_line=slowly),
    )
    assert report.complete
    for status in told:
        for _, side in status.sides.items():
            assert_adds_up(side.account.to_record())
    behind = report.coverage["original"]["skipped"]["behind"]
    assert behind > 0
    assert report.coverage["paired"] > 0
    for side in SIDES:
        assert_adds_up(report.coverage[side])
    assert any(f"{behind} original frames were left out, one by one" in n for n in report.notes)


def test_a_stream_that_goes_down_comes_back_and_is_given_up_at_last(
    gstreamer: None,  # noqa: ARG001
    face_stream: Path,
    start: Start,
    tmp_path: Path,
) -> None:
    mount = {"fps": 10, "file": face_stream}
    server = RtspServer({"/a": mount, "/b": mount})
    server.start()
    lines, report = tmp_path / "lines.jsonl", tmp_path / "report.json"
    words = ("-o", lines, "--every", "0.5s", "--report", report, "--metrics", "identity")
    process = start(
        "watch", server.url("/a"), server.url("/b"), *words, "--give-up-after", "3s", "-q"
    )

    def happened(kind: str) -> int:
        return sum(event["kind"] == kind for line in lines_of(lines) for event in line["events"])

    try:
        wait_until(lambda: pairs_told(tmp_path) > 3, process)
        server.kill()
        wait_until(lambda: happened("down") == 2, process)
        server.start()
        wait_until(lambda: happened("up") == 2, process)
        again = pairs_told(tmp_path)
        wait_until(lambda: pairs_told(tmp_path) > again, process)
        server.kill()
        stdout, stderr = process.communicate(timeout=PATIENCE_S)
    finally:
        process.kill()
        server.kill()
    assert process.returncode == 2
    assert stdout == ""
    assert is_one_sentence(stderr), stderr
    written = Report.read(report)
    assert not written.complete
    assert any("was given up" in note for note in written.notes)
    for side in SIDES:
        assert written.coverage[side]["reconnects"] == 1
        assert_adds_up(written.coverage[side])


def test_two_files_are_watched_to_their_ends(run: Run, clip: Path, mirrored: Path) -> None:
    result = run("watch", clip, mirrored, "--metrics", "identity", "-o", "-")
    assert result.exit_code == 0, result.stderr
    [line] = [json.loads(line) for line in result.stdout.splitlines()]
    assert line["last"]
    assert line["pairs"] == 12
    for side in SIDES:
        assert_adds_up(line[side])
        assert line[side]["frames"] == 12


def test_what_was_seen_before_is_reported_although_no_stream_comes_any_more(
    run: Run, clip: Path, mirrored: Path, tmp_path: Path
) -> None:
    state, report = tmp_path / "run.state", tmp_path / "report.json"
    kept = ("--metrics", "identity", "--checkpoint", state, "--report", report, "-q")
    assert run("watch", clip, mirrored, *kept).exit_code == 0
    before = Report.read(report)
    nowhere = f"tcp://127.0.0.1:{free_port()}"
    assert run("watch", nowhere, nowhere, *kept, "--resume", "--duration", "0.5s").exit_code == 2
    after = Report.read(report)
    assert not after.complete
    assert after.coverage == before.coverage
    assert after.streams == before.streams
    assert after["identity.distance_between_sides"] == before["identity.distance_between_sides"]


def test_a_clock_that_was_set_back_misses_no_time_below_zero(
    run: Run, clip: Path, mirrored: Path, tmp_path: Path
) -> None:
    state = tmp_path / "run.state"
    run("watch", clip, mirrored, "--metrics", "identity", "--checkpoint", state, "-q")
    ahead = replace(read_run(state), written="2999-01-01T00:00:00.000Z")
    told = _resumed(state, ahead, "2030-01-01T00:00:00.000Z")
    assert told.endswith("nothing is known of the time until 2030-01-01T00:00:00.000Z.")


@pytest.mark.parametrize("reader", ["gone", "asleep"])
def test_a_log_that_nobody_reads_ends_no_run(
    reader: str,
    python_environment: dict[str, str],
    clip: Path,
    mirrored: Path,
    tmp_path: Path,
) -> None:
    report = tmp_path / "report.json"
    words = ["watch", clip, mirrored, "--metrics", "identity", "--every", "0.1s"]
    words += ["-o", tmp_path / "lines.jsonl", "--report", report]
    reading, writing = os.pipe()
    if reader == "gone":
        os.close(reading)
    else:
        os.set_blocking(writing, False)
        with suppress(BlockingIOError):
            while True:
                os.write(writing, bytes(1024))
        os.set_blocking(writing, True)
    ended = subprocess.run(
        [sys.executable, "-m", "streamdeid", *map(str, words)],
        env=python_environment,
        stdout=subprocess.DEVNULL,
        stderr=writing,
        timeout=PATIENCE_S,
        check=False,
    )
    assert ended.returncode == 0
    assert Report.read(report).complete
    assert Report.read(report).coverage["paired"] == 12


REFUSED = {
    "a port that makes no sense": ("--http", "127.0.0.1:x"),
    "other machines": ("--http", "0.0.0.0:0"),
    "an alert of what is not measured": ("--alert", "quality.ssim.face < 0.5 over 5s"),
    "an alert of an unknown score": ("--alert", "nonsense > 0.5 over 5s"),
    "an alert of whom nobody knows": (
        "--alert", "identity.verified_as_source.original > 0.5 over 5s",
    ),
    "an alert of what has no window": (
        "--metrics", "realism", "--alert", "realism.fid_i3d > 1 over 5s",
    ),
    "an address that is none": ("--on-alert-post", "file:///etc/passwd"),
    "a draw": ("--frames", "5"),
    "a folder for lines": ("-o", "/"),
}  # fmt: skip


@pytest.mark.parametrize("words", REFUSED.values(), ids=REFUSED.keys())
def test_what_makes_no_sense_is_refused_in_one_sentence(
    words: tuple[str, ...], run: Run, clip: Path
) -> None:
    result = run("watch", clip, clip, "--metrics", "identity", *words)
    assert result.exit_code == 2, result.stderr
    assert is_one_sentence(result.stderr), result.stderr


@pytest.mark.parametrize(
    "alert",
    [
        "quality.ssim.face < 0.5 over 5s",
        "identity.verified_as_source.original > 0.5 over 5s",
        "expression_proxy.mean.pcc < 0.5 over 5s",
    ],
)
def test_an_alert_that_needs_more_is_called_by_its_own_flag(
    alert: str, run: Run, clip: Path
) -> None:
    result = run("watch", clip, clip, "--metrics", "identity,expression", "--alert", alert)
    assert result.exit_code == 2, result.stderr
    assert "--alert" in result.stderr
    assert "--fail-if" not in result.stderr


@pytest.mark.parametrize(
    "words",
    [("--every", "0"), ("--window", "-1s"), ("--alert", "a > 1"), ("--resume",),
     ("--give-up-after", "soon"), ("--when-behind", "hurry")],
)  # fmt: skip
def test_options_of_no_sense_are_bad_usage(words: tuple[str, ...], run: Run, clip: Path) -> None:
    assert run("watch", clip, clip, *words).exit_code == 2


def test_a_state_that_is_there_is_neither_overwritten_nor_taken_for_another(
    run: Run, clip: Path, mirrored: Path, tmp_path: Path
) -> None:
    state = tmp_path / "run.state"
    words = ("watch", clip, mirrored, "--metrics", "identity", "--checkpoint", state, "-q")
    assert run(*words).exit_code == 0
    kept = state.read_bytes()
    for more, why in (((), "is there already"), (("--resume",), "two files")):
        result = run(*words, *more)
        assert result.exit_code == 2
        assert is_one_sentence(result.stderr)
        assert why in result.stderr
    assert state.read_bytes() == kept


def test_a_resumed_run_that_never_saw_a_frame_reports_what_was_seen_before(
    run: Run, clip: Path, mirrored: Path, tmp_path: Path
) -> None:
    state, report = tmp_path / "run.state", tmp_path / "report.json"
    words = ("--metrics", "identity", "--checkpoint", state, "-q")
    assert run("watch", clip, mirrored, *words).exit_code == 0
    nowhere, more = f"rtsp://127.0.0.1:{free_port()}/a", ("--resume", "--duration", "0.5s")
    run("watch", nowhere, nowhere, *words, *more, "--report", report)
    written = Report.read(report)
    assert not written.complete
    assert written.coverage["paired"] == 12
    assert written["identity.distance_between_sides"].count == 12
    assert written.streams["original"]["uri"] == str(clip)
    for beginning in ("Resumed from", "The run ended before the first frame"):
        assert any(note.startswith(beginning) for note in written.notes)


def test_states_become_a_report(run: Run, clip: Path, mirrored: Path, tmp_path: Path) -> None:
    one, other, report = (tmp_path / name for name in ("a.state", "b.state", "report.json"))
    assert run("watch", clip, mirrored, "--metrics", "identity", "--checkpoint", one, "-q")
    assert run("evaluate", clip, mirrored, "--checkpoint", other, "-q").exit_code == 0
    result = run("merge", one, other, "-o", report)
    assert result.exit_code == 0, result.stderr
    assert Report.read(report).coverage["paired"] == 24
    result = run("merge", one, clip)
    assert result.exit_code == 2
    assert is_one_sentence(result.stderr)
    result = run("merge", one, "-o", one)
    assert result.exit_code == 2
    assert "would overwrite the input" in result.stderr
