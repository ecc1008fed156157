"""The root command: its help lists the commands by what one does with them."""

from typing import Any

import typer
from typer.core import TyperGroup

DEVELOP, DATA, TRAIN, SERVE, EXPLAIN = "Develop", "Data", "Train and release", "Serve", "Explain"

SECTIONS = {
    DEVELOP: ("new", "check", "simulate"),
    DATA: ("ingest", "quarantine", "export", "features"),
    TRAIN: ("learn", "versions", "arrangements", "search", "accuracy"),
    SERVE: ("up", "status", "settings", "recommend", "predict"),
    EXPLAIN: ("why", "replay", "reviews"),
}
"""Every command stands in one section; a test holds it."""


class SectionedGroup(TyperGroup):
    """A group whose help has a heading for each section of `SECTIONS`; a command of none stands under the last."""

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        listed = {name for names in SECTIONS.values() for name in names}
        others = tuple(name for name in self.list_commands(ctx) if name not in listed)
        for title, names in {**SECTIONS, "Other": others}.items():
            rows = [(name, _summary(command)) for name in names if (command := self.get_command(ctx, name))]
            if rows:
                with formatter.section(title):
                    formatter.write_dl(rows)


def _summary(command: Any) -> str:
    summary: str = command.get_short_help_str(limit=100)
    return summary


def group(help: str) -> typer.Typer:
    """A noun of the command line; its verbs are added as commands."""
    return typer.Typer(help=help, no_args_is_help=True, rich_markup_mode=None)
