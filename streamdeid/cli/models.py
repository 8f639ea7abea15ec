"""`streamdeid models list` and `streamdeid models verify`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import click
from rich.table import Table
from rich.text import Text

from streamdeid.cli.console import Terminal
from streamdeid.cli.main import ExitCode
from streamdeid.cli.options import models_dir_option

COLUMNS: Final = ("name", "task", "size", "licence", "origin")


@click.group()
def models() -> None:
    """List the models, or check their files against the manifest."""


@models.command("list")
@models_dir_option
def list_command(models_dir: Path | None) -> None:
    """Name the models, what they do, their licences and where they come from."""
    from streamdeid.engine.models import list_models
    from streamdeid.settings import Settings

    table = Table(box=None, padding=(0, 1, 0, 0), header_style="bold")
    for name in COLUMNS:
        table.add_column(name, justify="right" if name == "size" else "left", no_wrap=True)
    for record in list_models(Settings(models_dir=models_dir)):
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
        console.print(mark, record["name"], record["reason"] or "", soft_wrap=True)
    if not all(record["ok"] for record in records):
        ctx.exit(ExitCode.CONDITION_HOLDS)


def _cell(name: str, record: Mapping[str, Any]) -> str:
    if name == "size":
        return f"{record['size'] / 1e6:.1f} MB"
    return f"{record['name']} {'*' * record['default']}" if name == "name" else str(record[name])
