"""`streamdeid models list` and `streamdeid models verify`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, Literal

import click
from rich.table import Table
from rich.text import Text

from streamdeid.cli.console import Terminal
from streamdeid.cli.main import ExitCode
from streamdeid.cli.options import models_dir_option
from streamdeid.report.printable import printable

COLUMNS: Final = ("name", "task", "size", "licence", "origin", "sha256")
WRAPPED: Final = ("licence", "origin")
DIGITS: Final = 12
"""Of a hash, enough to tell two files apart; --json gives all 64."""


@click.group()
def models() -> None:
    """List the models, or check their files against the manifest."""


@models.command("list")
@models_dir_option
@click.option("--json", "as_json", is_flag=True, help="Print all that is known of them as JSON.")
def list_command(models_dir: Path | None, as_json: bool) -> None:
    """Name the models, what they do, their licences, where they come from, and their hashes."""
    from streamdeid.engine.models import list_models
    from streamdeid.settings import Settings

    records = list_models(Settings(models_dir=models_dir))
    if as_json:
        click.echo(json.dumps(records, indent=2, ensure_ascii=False))
        return
    table = Table(box=None, padding=(0, 1, 0, 0), header_style="bold")
    for name in COLUMNS:
        justify: Literal["left", "right"] = "right" if name == "size" else "left"
        table.add_column(name, justify=justify, no_wrap=name not in WRAPPED, overflow="fold")
    for record in records:
        table.add_row(*(_cell(name, record) for name in COLUMNS))
    console = Terminal()
    console.print(table)
    console.print("\n* is taken when none is named.", style="dim")


@models.command()
@models_dir_option
@click.pass_context
def verify(ctx: click.Context, models_dir: Path | None) -> None:
    """Check every model file's SHA-256; exit code 1 if one is missing or changed."""
    from streamdeid.engine.models import verify_models
    from streamdeid.settings import Settings

    records = verify_models(Settings(models_dir=models_dir))
    console = Terminal()
    for record in records:
        mark = Text("ok    ", style="green") if record["ok"] else Text("BROKEN", style="bold red")
        reason = printable(record["reason"] or "")
        console.print(mark, record["name"], reason, soft_wrap=True, markup=False)
    if not all(record["ok"] for record in records):
        ctx.exit(ExitCode.CONDITION_HOLDS)


def _cell(name: str, record: Mapping[str, Any]) -> str:
    if name == "size":
        return f"{record['size'] / 1e6:.1f} MB"
    if name == "sha256":
        return str(record["sha256"])[:DIGITS]
    return f"{record['name']}{'*' * record['default']}" if name == "name" else str(record[name])
