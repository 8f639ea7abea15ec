"""What the README shows can be typed: its commands, options, names and files are there."""

from __future__ import annotations

import re
import shlex
import tomllib
from pathlib import Path

import click
import pytest

import streamdeid
from streamdeid.cli.main import main
from streamdeid.condition import Condition
from streamdeid.engine.live.alerts import Alert
from streamdeid.report.schema import score_names

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
SHELL = [line for kind, block in BLOCKS if kind == "sh" for line in block.splitlines() if line]
WORDS = re.findall(r"`([^`\n]+)`", README)


def commands() -> list[list[str]]:
    """The words after `streamdeid` wherever it is called."""
    calls = [call for line in SHELL for call in re.split(r"&&|;", line)]
    calls += [word for word in WORDS if word.startswith("streamdeid ")]
    split = [shlex.split(call) for call in calls]
    return [words[1:] for words in split if words and Path(words[0]).name == "streamdeid"]


def options_of(command: click.Command) -> set[str]:
    return {flag for parameter in command.params for flag in parameter.opts}


def all_options() -> set[str]:
    context = click.Context(main)
    found = [main.get_command(context, name) for name in main.list_commands(context)]
    return set().union(*(options_of(command) for command in found if command))


def test_the_readme_shows_commands() -> None:
    assert ["demo"] in commands()
    assert any(words[0] == "evaluate" for words in commands())


@pytest.mark.parametrize("words", commands(), ids=" ".join)
def test_commands_and_their_options_exist(words: list[str]) -> None:
    context = click.Context(main)
    command = main.get_command(context, words[0])
    assert command is not None
    assert {word for word in words if word.startswith("-")} <= options_of(command)


def test_options_that_are_talked_about_exist() -> None:
    flags = {word.split()[0] for word in WORDS if word.startswith("--")}
    assert flags
    assert flags <= all_options()


def test_scores_that_are_talked_about_exist() -> None:
    names = [
        word
        for word in WORDS
        if re.match(r"(identity(_paired)?|expression|quality|realism)\.", word)
    ]
    assert names
    for name in names:
        start, open_end, _ = name.partition("…")
        assert name in score_names() or (
            open_end and any(known.startswith(start) for known in score_names())
        ), name


def test_conditions_that_are_shown_can_be_judged() -> None:
    conditions = re.findall(r'--fail-if "([^"]+)"', README)
    assert conditions
    for text in conditions:
        Condition.parse(text).check_name(score_names())


def test_alerts_that_are_shown_can_be_judged() -> None:
    alerts = re.findall(r'--alert "([^"]+)"', README)
    assert alerts
    for text in alerts:
        Alert.parse(text).condition.check_name(score_names())


def test_files_and_extras_that_are_named_exist() -> None:
    places = [word for word in WORDS if re.match(r"(streamdeid|tests|tools|onnx_models)/", word)]
    assert places
    for place in places:
        assert (ROOT / place).exists(), place
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = re.findall(r'"\.?(?:streamdeid)?\[([\w,]+)\]"', README)
    assert extras
    for extra in ",".join(extras).split(","):
        assert extra in project["optional-dependencies"], extra


def test_the_python_that_is_shown_is_python() -> None:
    examples = [block for kind, block in BLOCKS if kind == "python"]
    assert examples
    for example in examples:
        compile(example, "README.md", "exec")
        for names in re.findall(r"^from streamdeid import (.+)$", example, re.MULTILINE):
            assert all(hasattr(streamdeid, name.strip()) for name in names.split(","))
