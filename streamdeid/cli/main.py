"""The command `streamdeid`: its sub-commands, exit codes, and how errors are shown."""

from __future__ import annotations

import importlib
import traceback
from enum import IntEnum
from typing import Any, Final

import click

from streamdeid import __version__
from streamdeid.cli.console import accept_all_characters, forget_standard_output
from streamdeid.errors import StreamdeidError
from streamdeid.report.printable import escaped, printable

HOMES: Final = {
    "evaluate": "streamdeid.cli.evaluate",
    "watch": "streamdeid.cli.watch",
    "merge": "streamdeid.cli.merge",
    "demo": "streamdeid.cli.demo",
    "models": "streamdeid.cli.models",
    "doctor": "streamdeid.cli.doctor",
}


class ExitCode(IntEnum):
    """What the shell is told."""

    DONE = 0
    CONDITION_HOLDS = 1  # of doctor: something that is needed is broken
    BAD_INPUT = 2
    FAULT = 70  # a fault of streamdeid itself: EX_SOFTWARE of sysexits.h
    INTERRUPTED = 130


class Commands(click.Group):
    """Loads a sub-command when it is asked for, and turns errors into one sentence each."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        return list(HOMES)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        if cmd_name not in HOMES:
            return None
        command: click.Command = getattr(importlib.import_module(HOMES[cmd_name]), cmd_name)
        return command

    def invoke(self, ctx: click.Context) -> Any:
        accept_all_characters()
        try:
            return super().invoke(ctx)
        except click.UsageError as error:
            told = error.format_message()
            shown = escaped(told, keep="\n\t")
            if shown == told:
                raise
            raise click.UsageError(shown, error.ctx) from error
        except (click.ClickException, click.exceptions.Exit, click.Abort):
            raise
        except KeyboardInterrupt:
            ctx.exit(ExitCode.INTERRUPTED)
        except BrokenPipeError:
            forget_standard_output()
            ctx.exit(ExitCode.BAD_INPUT)
        except StreamdeidError as error:
            _show(error, str(error), debug=ctx.params["debug"])
            ctx.exit(ExitCode.BAD_INPUT)
        except Exception as error:  # noqa: BLE001  the last door: users see sentences
            what = " ".join(f"{type(error).__name__}: {error}".split())
            text = (
                f"this is a fault of streamdeid itself ({what}). "
                "Please report it with what --debug shows: streamdeid --debug ..."
            )
            _show(error, text, debug=ctx.params["debug"])
            ctx.exit(ExitCode.FAULT)


def _show(error: Exception, text: str, *, debug: bool) -> None:
    if debug:
        traceback.print_exception(error)
    click.echo(f"streamdeid: {printable(text)}", err=True)


@click.command(
    cls=Commands,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Exit codes: 0 done; 1 done, but a --fail-if condition holds; 2 bad usage or input, or "
    "the run broke off; 130 interrupted. STREAMDEID_DEBUG=1 is --debug.",
)
@click.option(
    "--debug", is_flag=True, envvar="STREAMDEID_DEBUG", help="Show where in the code an error rose."
)
@click.version_option(__version__, "-V", "--version", prog_name="streamdeid")
def main(debug: bool) -> None:
    """Is the person gone from the de-identified video?

    streamdeid reads an original video and its de-identified twin once, frame by frame, follows
    the face in both, and says how much identity is left, whether the expression is still there,
    and whether it still looks real: of files, and of streams while they are being made.

    \b
      streamdeid demo
      streamdeid evaluate original.mp4 deidentified.mp4
      streamdeid watch rtsp://camera/1 rtsp://server/anonymised
    """
