"""One evaluation as a command: checks before it, signals and progress during it, results after."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from pathlib import Path
from threading import Event
from typing import Any, TypeAlias

import click

from streamdeid.cli.console import Terminal, forget_standard_output
from streamdeid.cli.interrupts import stop_on_signals
from streamdeid.cli.main import ExitCode
from streamdeid.cli.progress import display
from streamdeid.condition import Condition
from streamdeid.engine.events import OnProgress
from streamdeid.engine.inputs import input_files
from streamdeid.errors import OutputError, SettingsError
from streamdeid.report.printable import printable, shown_name
from streamdeid.report.report import Report
from streamdeid.report.schema import score_names
from streamdeid.report.to_json import STANDARD_OUTPUT, check_writable, write_json
from streamdeid.report.to_terminal import show
from streamdeid.settings import METRICS, OF_BOTH_AU_SOURCES, Settings

Work: TypeAlias = Callable[[OnProgress | None, Event], Report]
"""An evaluation, ready to go: give it a listener for its progress and the event that stops it.

Without a listener no scores are computed on the way."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """What is to become of the report.

    Attributes:
        inputs: files that must not be written over.
        output: where the report goes as JSON; "-" is standard output; None: nowhere.
        as_json: print it as JSON in place of the table.
        conditions: each that holds makes the exit code 1.
        quiet: say nothing but errors.
        output_flag: the option that names `output`.
        more_outputs: other files that are written, by the option that names each.
        progress: show how far it is.
        table: show the report as a table at the end.
        more_conditions: whose scores must be measured as well: those of alerts.
    """

    settings: Settings
    inputs: Sequence[Path]
    output: Path | None
    as_json: bool
    conditions: Sequence[Condition]
    quiet: bool
    output_flag: str = "--output"
    more_outputs: Mapping[str, Path | None] = field(default_factory=dict)
    progress: bool = True
    table: bool = True
    more_conditions: Sequence[Condition] = ()

    def run(self, work: Work) -> int:
        """Do the work; the exit code.

        Raises:
            StreamdeidError: what the user gave cannot be used, or the report cannot be written.
        """
        self._check()
        with stop_on_signals(quiet=self.quiet) as stop:
            with display(Terminal(stderr=True), quiet=self.quiet or not self.progress) as listener:
                report = work(listener, stop)
            try:
                if self._file is not None:
                    write_json(report, self._file)
            finally:  # where the disk is full, the figures are still seen
                self._print(report)
            return self._exit_code(report, stop)

    @classmethod
    def of_options(
        cls,
        videos: Sequence[str | Path],
        *,
        output: Path | None,
        as_json: bool,
        conditions: Sequence[Condition],
        quiet: bool,
        more_outputs: Mapping[str, Path | None] | None = None,
        **choices: Any,
    ) -> Evaluation:
        """What the options of a command line ask for; `choices` are the settings."""
        settings = Settings(**choices)
        return cls(
            settings=settings,
            inputs=input_files(videos, settings),
            output=output,
            as_json=as_json or output == Path(STANDARD_OUTPUT),
            conditions=conditions,
            quiet=quiet,
            more_outputs=more_outputs or {},
        )

    @property
    def shows_table(self) -> bool:
        """The results are shown to a person."""
        return self.table and not (self.quiet or self.as_json)

    @property
    def _file(self) -> Path | None:
        return None if self.output == Path(STANDARD_OUTPUT) else self.output

    def _check(self) -> None:
        """Find out now what would spoil the results at the end."""
        outputs = {
            self.output_flag: self._file,
            "--timeline": self.settings.timeline,
            **self.more_outputs,
        }
        given = [(flag, path) for flag, path in outputs.items() if path is not None]
        for flag, path in given:
            for other in self.inputs:
                if _same_file(path, other):
                    raise OutputError(
                        f"{flag} {shown_name(str(path))} would overwrite the input "
                        f"{shown_name(str(other))}."
                    )
            check_writable(path, flag)
        for (flag, path), (other_flag, other) in combinations(given, 2):
            if _same_file(path, other):
                raise OutputError(f"{flag} and {other_flag} are the same file, {path}.")
        for flag, conditions in (("--fail-if", self.conditions), ("--alert", self.more_conditions)):
            for condition in conditions:
                condition.check_name(score_names())
                self._check_measured(condition, flag)
                self._check_reference(condition, flag)

    def _check_measured(self, condition: Condition, flag: str) -> None:
        for metric, beginnings in METRICS.items():
            if condition.name.startswith(beginnings) and metric not in self.settings.metrics:
                metrics = ",".join((*self.settings.metrics, metric))
                raise SettingsError(
                    f"{flag} '{condition}' needs a score that is not measured: "
                    f"give --metrics {metrics}."
                )
        both = "expression" in self.settings.metrics and self.settings.au_source == "both"
        if condition.name.startswith(OF_BOTH_AU_SOURCES) and not both:
            raise SettingsError(
                f"{flag} '{condition}' needs both sources of action units: give --metrics "
                "expression --au-source both."
            )

    def _check_reference(self, condition: Condition, flag: str) -> None:
        for who, images in (
            ("source", self.settings.source_images),
            ("target", self.settings.target_images),
        ):
            if f"_{who}." in condition.name and not images:
                raise SettingsError(
                    f"{flag} '{condition}' needs to know the {who}: give --{who}-image, too."
                )

    def _print(self, report: Report) -> None:
        try:
            if self.as_json:
                sys.stdout.buffer.write(report.to_json().encode())  # JSON is UTF-8 everywhere
            elif self.shows_table:
                show(report, Terminal())
                if self._file is not None:
                    name = shown_name(str(self._file))
                    # Unfolded, so that it can be copied.
                    Terminal().print(f"Report: {name}", style="dim", soft_wrap=True, markup=False)
            sys.stdout.flush()
        except BrokenPipeError:  # a reader such as `head` has seen enough; the exit code stands
            forget_standard_output()
        except OSError as error:
            forget_standard_output()
            reason = error.strerror or error
            raise OutputError(f"standard output cannot be written: {reason}.") from error

    def _exit_code(self, report: Report, stop: Event) -> int:
        if stop.is_set():
            return ExitCode.INTERRUPTED
        if not report.complete:
            why = report.notes[-1] if report.notes else "it gives no reason"
            _say(f"the evaluation ended early, and the report holds what was seen: {why}")
            return ExitCode.BAD_INPUT
        code = ExitCode.DONE
        for condition in self.conditions:
            score = report[condition.name]
            if condition.holds(score):
                code = ExitCode.CONDITION_HOLDS
                if score.value is None:
                    why = f"there is no value, and what is unknown does not pass: {score.reason}"
                else:
                    why = f"it is {score.value:.6g}"
                _say(f"--fail-if '{condition}' holds: {why}.")
        return code


def _same_file(one: Path, other: Path) -> bool:
    try:
        return one.samefile(other)
    except (OSError, ValueError):  # one of them is not there, or cannot be
        return str(one) == str(other) or _real(one) == _real(other)


def _real(path: Path) -> str:
    try:
        return os.path.realpath(path)
    except ValueError:  # a null byte in the name
        return str(path)


def _say(sentence: str) -> None:
    sys.stdout.flush()
    click.echo(f"streamdeid: {printable(sentence)}", err=True)
