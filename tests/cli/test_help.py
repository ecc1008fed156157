"""The shape of the command line: nouns with verbs, listed by what one does with them."""

import typer
from typer.testing import CliRunner

from flyball.cli import app
from flyball.cli.sections import SECTIONS

ROOT = typer.main.get_command(app)


def test_every_command_stands_in_one_section() -> None:
    listed = [name for names in SECTIONS.values() for name in names]
    assert sorted(listed) == sorted(ROOT.commands)  # type: ignore[attr-defined]


def test_help_shows_the_sections_in_order() -> None:
    text = CliRunner().invoke(app, ["--help"]).stdout
    places = [text.index(f"\n{title}:\n") for title in SECTIONS]
    assert places == sorted(places)
    assert "Other:" not in text


def test_nouns_have_verbs() -> None:
    verbs = {name: set(command.commands) for name, command in ROOT.commands.items() if hasattr(command, "commands")}  # type: ignore[attr-defined]
    assert verbs["features"] == {"list", "rebuild", "backfill", "audit"}
    assert verbs["versions"] >= {"list", "release", "rollback"}
    assert verbs["search"] == {"run", "list", "curve", "prequential"}
    assert verbs["quarantine"] >= {"list", "show", "retry"}
