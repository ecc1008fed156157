"""The root command: its help lists the commands by what one does with them."""

from difflib import get_close_matches
from typing import Any

import typer
from typer.core import TyperGroup

from flyball.cli.setting_options import add_setting_options

DEVELOP, DATA, TRAIN, SERVE, EXPLAIN = "Develop", "Data", "Train and release", "Serve", "Explain"
EXPERIMENT = "Experiment"

CONTINUAL = ("freshness", "backtest")

SECTIONS = {
    DEVELOP: ("new", "check", "simulate", "drill", "init", "plan"),
    DATA: (
        "ingest",
        "ingest batches",
        "ingest undo",
        "quarantine",
        "export",
        "features",
        "profiles",
        "erase",
        "retention",
    ),
    TRAIN: ("learn", "cases", "report", "versions", "releases", "arrangements", "search", *CONTINUAL, "accuracy"),
    SERVE: (
        "up",
        "status",
        "performance",
        "fairness",
        "exposure",
        "findings",
        "suspects",
        "incidents",
        "metrics",
        "settings",
        "keys",
        "audit",
        "recommend",
        "predict",
        "migrate",
        "backup",
        "backup list",
        "backup verify",
        "backup delete",
        "restore",
    ),
    EXPERIMENT: ("power", "experiments", "whatif", "impact"),
    EXPLAIN: ("why", "replay", "compare", "reviews"),
}
"""Every command is in one section (tested)."""


class SectionedGroup(TyperGroup):
    """A group whose help has a heading for each section of `SECTIONS`, and whose commands take each setting."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        add_setting_options(self)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Find the command; a verb without its noun is an error that suggests the commands with it."""
        if " ".join(args[:2]) in self.commands:  # such as `backup list`, beside `backup APP`
            args = [" ".join(args[:2]), *args[2:]]
        try:
            return super().resolve_command(ctx, args)
        except Exception as error:
            suggestions = self._with_nouns(ctx, args[0]) if args else []
            if not suggestions or not hasattr(error, "message"):
                raise
            commands = " or ".join(f"flyball {words}" for words in suggestions)
            error.message = f"No such command '{args[0]}'. Did you mean {commands}?"
            raise

    def _with_nouns(self, ctx: Any, verb: str) -> list[str]:
        """The commands of two words that end in `verb`, or in the verb nearest to it; in order of the help."""
        verbs: dict[str, list[str]] = {}
        for noun in (name for names in SECTIONS.values() for name in names):
            command = self.get_command(ctx, noun)
            for name in getattr(command, "commands", ()):
                verbs.setdefault(name, []).append(f"{noun} {name}")
        nearest = get_close_matches(verb, [*verbs, *self.list_commands(ctx)], n=1, cutoff=0.8)
        return verbs.get(verb) or (verbs.get(nearest[0], []) if nearest else [])

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
