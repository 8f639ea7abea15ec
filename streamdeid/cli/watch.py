"""`streamdeid watch`."""

from __future__ import annotations

import sys
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from threading import Event as Flag
from typing import Any

import click

from streamdeid.cli.options import (
    A_VIDEO,
    checkpoint_options,
    expression_options,
    frame_options,
    model_options,
    reference_options,
    timeline_option,
)
from streamdeid.cli.sections import SectionCommand
from streamdeid.cli.watch_options import alert_options, stream_options, watch_output_options
from streamdeid.report.to_json import STANDARD_OUTPUT
from streamdeid.settings import BEARABLE


@click.command(
    cls=SectionCommand,
    context_settings={"default_map": {"metrics": ",".join(BEARABLE)}},
    epilog="Exit codes: 0 done; 1 done, but a --fail-if condition holds; 2 bad usage or input, or "
    "a stream was given up; 130 interrupted.  Ctrl-C ends with the report of what was seen; a "
    "second one ends at once.",
)
@click.argument("original", type=A_VIDEO)
@click.argument("deidentified", type=A_VIDEO)
@watch_output_options
@timeline_option
@checkpoint_options
@stream_options
@alert_options
@reference_options
@frame_options
@expression_options
@model_options
def watch(original: str, deidentified: str, **options: Any) -> None:
    """Measure two videos while they are being made.

    ORIGINAL and DEIDENTIFIED are streams that FFmpeg reads (rtsp, http, rtmp, udp, tcp, - for
    standard input, v4l2:/dev/video0), or one of them is a file.

    \b
      streamdeid watch rtsp://camera/1 rtsp://server/anonymised --source-image anna.jpg \\
          -o results.jsonl --alert "identity.verified_as_source.deidentified > 0.02 over 10s"
    """
    click.get_current_context().exit(_watch(original, deidentified, _Wanted.of(options), options))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Wanted:
    """The options that are no settings.

    Attributes:
        lines: where lines of JSON go; None: nowhere.
    """

    lines: Path | None
    report: Path | None
    checkpoint: Path | None
    checkpoint_every_s: float
    resume: bool
    run: str | None
    post: str | None
    http: str | None
    http_allow_remote: bool
    conditions: tuple[Any, ...]
    quiet: bool

    @classmethod
    def of(cls, options: dict[str, Any]) -> _Wanted:
        """Takes them out of `options`."""
        names = ("lines", "report", "checkpoint", "checkpoint_every_s", "resume", "run", "post")
        more = ("http", "http_allow_remote", "conditions", "quiet")
        wanted = cls(**{name: options.pop(name) for name in (*names, *more)})
        if wanted.resume and wanted.checkpoint is None:
            raise click.UsageError("--resume goes on from a state: name its file by --checkpoint.")
        return wanted

    @property
    def line_file(self) -> Path | None:
        """Where lines go: to standard output where that is no terminal and nothing else is said."""
        if self.lines is None and not self.quiet and not sys.stdout.isatty():
            return Path(STANDARD_OUTPUT)
        return self.lines


def _watch(original: str, deidentified: str, wanted: _Wanted, options: dict[str, Any]) -> int:
    from streamdeid.cli.console import Terminal
    from streamdeid.cli.evaluation import Evaluation
    from streamdeid.cli.lines import LineWriter
    from streamdeid.cli.watch_view import view_on
    from streamdeid.engine.inputs import input_files
    from streamdeid.engine.live.alert_actions import AlertActions, command_words
    from streamdeid.engine.live.serving import serve
    from streamdeid.engine.live.status import Event, Status
    from streamdeid.engine.live.watch import Checkpoint, Listeners
    from streamdeid.engine.live.watch import watch as watch_videos
    from streamdeid.engine.live.watcher import Watcher, Watching
    from streamdeid.report.report import Report
    from streamdeid.settings import Settings

    names = ("window_s", "every_s", "duration_s", "give_up_after_s", "transport", "when_behind")
    watching = Watching(**{name: options.pop(name) for name in (*names, "alerts")})
    settings = Settings(**options)
    lines = wanted.line_file
    to_standard_output = lines == Path(STANDARD_OUTPUT)
    evaluation = Evaluation(
        settings=settings,
        inputs=input_files([original, deidentified], settings),
        output=wanted.report,
        as_json=False,
        conditions=wanted.conditions,
        quiet=wanted.quiet,
        output_flag="--report",
        more_outputs={
            "--output": None if to_standard_output else lines,
            "--checkpoint": wanted.checkpoint,
        },
        progress=False,
        table=not to_standard_output,
        more_conditions=[alert.condition for alert in watching.alerts],
    )
    command = None if wanted.run is None else command_words(wanted.run)
    checkpoint = None
    if wanted.checkpoint is not None:
        checkpoint = Checkpoint(wanted.checkpoint, wanted.checkpoint_every_s, wanted.resume)

    def work(_: object, stop: Flag) -> Report:
        console = Terminal(stderr=True)
        with ExitStack() as stack:
            http = None
            if wanted.http is not None:
                remote = wanted.http_allow_remote
                http = stack.enter_context(serve(wanted.http, allow_remote=remote))
            view = stack.enter_context(
                view_on(console, quiet=wanted.quiet, live=not to_standard_output)
            )
            watchers: list[Watcher] = []

            def note(text: str) -> None:
                if watchers:
                    watchers[0].tell("note", text)

            actions = AlertActions(command, wanted.post, note)
            stack.callback(actions.close)
            writer = stack.enter_context(
                LineWriter(lines, append=wanted.resume, tell=note, gone=stop.set)
            )

            def on_start(watcher: Watcher, report: Any) -> None:
                watchers.append(watcher)
                view.begin(watcher.status)
                if http is not None:
                    http.report, http.raised = report, watcher.raised
                    http.status = watcher.status

            def on_event(event: Event) -> None:
                view.event(event)
                if event.kind == "alert":
                    actions.offer(event.to_record())

            def on_line(status: Status) -> None:
                view.line(status)
                writer.write(status.to_record())

            return watch_videos(
                original,
                deidentified,
                settings,
                watching,
                checkpoint=checkpoint,
                listeners=Listeners(on_start, on_line, on_event),
                stop=stop,
            )

    return evaluation.run(work)
