"""The shape of the command line: nouns with verbs, listed by what one does with them."""

import pytest
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


ROLLBACK = "Did you mean flyball versions rollback or flyball releases rollback or flyball arrangements rollback?"


@pytest.mark.parametrize(
    ("verb", "message"),
    [
        ("rollback", f"No such command 'rollback'. {ROLLBACK}"),
        ("rolback", f"No such command 'rolback'. {ROLLBACK}"),
        ("retry", "No such command 'retry'. Did you mean flyball quarantine retry?"),
        ("backfill", "No such command 'backfill'. Did you mean flyball features backfill?"),
    ],
)
def test_a_verb_without_its_noun_is_reported_with_it(verb: str, message: str) -> None:
    ran = CliRunner().invoke(app, [verb, "shop.py"])
    assert ran.exit_code == 2
    assert message in ran.stderr


def test_every_bare_verb_is_reported_with_all_its_nouns() -> None:
    nouns = {name: command.commands for name, command in ROOT.commands.items() if hasattr(command, "commands")}  # type: ignore[attr-defined]
    for verb in {verb for verbs in nouns.values() for verb in verbs} - set(ROOT.commands):  # type: ignore[attr-defined]
        message = CliRunner().invoke(app, [verb]).stderr
        for noun, verbs in nouns.items():
            assert (f"flyball {noun} {verb}" in message) is (verb in verbs)


def test_a_misspelt_command_is_still_reported_alone() -> None:
    assert "Did you mean 'learn'?" in CliRunner().invoke(app, ["lern"]).stderr
