"""`streamdeid doctor`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
from rich.table import Table
from rich.text import Text

from streamdeid.cli.console import Terminal
from streamdeid.cli.main import ExitCode
from streamdeid.cli.options import models_dir_option, provider_option

MARKS = {True: ("ok", "green"), False: ("BROKEN", "bold red"), None: ("-", "yellow")}


@click.command()
@provider_option
@models_dir_option
@click.pass_context
def doctor(ctx: click.Context, provider: Any, models_dir: Path | None) -> None:
    """Look whether everything that is needed is here and works.

    Exit code 0: evaluations can run; 1: something that they need is broken, and the cure stands
    beside it.
    """
    from streamdeid.engine.doctor import examine
    from streamdeid.settings import Settings

    findings = examine(Settings(provider=provider, models_dir=models_dir))
    table = Table.grid(padding=(0, 2))
    table.add_column()
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for finding in findings:
        mark, style = MARKS[finding.ok]
        text = Text(finding.text)
        if finding.cure:
            text.append(f"\n{finding.cure}", style="dim" if finding.ok is None else style)
        table.add_row(Text(mark, style=style), finding.name, text)
    console = Terminal()
    console.print(table)
    broken = [finding.name for finding in findings if finding.ok is False]
    if broken:
        console.print(f"\nBroken: {', '.join(broken)}. Evaluations cannot run.", style="red")
        ctx.exit(ExitCode.CONDITION_HOLDS)
    console.print("\nEvaluations can run.", style="green")
