"""Help texts whose options stand under headings."""

from __future__ import annotations

from typing import Any, Final

import click

OTHER: Final = "Other"


class SectionOption(click.Option):
    """An option that knows under which heading of the help it stands."""

    def __init__(self, *names: Any, section: str = OTHER, **settings: Any) -> None:
        super().__init__(*names, **settings)
        self.section = section


class SectionCommand(click.Command):
    """Shows its options heading by heading, in the order in which the headings first appear."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        sections: dict[str, list[tuple[str, str]]] = {}
        for parameter in self.get_params(ctx):
            record = parameter.get_help_record(ctx)
            if record is not None and isinstance(parameter, click.Option):
                section = getattr(parameter, "section", OTHER)
                sections.setdefault(section, []).append(record)
        for section, records in sections.items():
            with formatter.section(section):
                formatter.write_dl(records)
