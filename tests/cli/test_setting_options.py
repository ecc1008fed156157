"""Each setting is an option of the commands that work on a home, and none holds a secret."""

from pathlib import Path

import pytest
import typer
from tests.cli.conftest import Run

from flyball.cli import app
from flyball.cli.setting_options import OPTION_NAMES


def test_every_command_on_a_home_takes_each_setting() -> None:
    def leaves(group: object, prefix: str = "") -> list[tuple[str, object]]:
        commands = getattr(group, "commands", None)
        if commands is None:
            return [(prefix, group)]
        return [leaf for name, command in commands.items() for leaf in leaves(command, f"{prefix} {name}")]

    seen = 0
    for name, command in leaves(typer.main.get_command(app)):
        options = {option for parameter in command.params for option in parameter.opts}  # type: ignore[attr-defined]
        if "--home" in options:
            assert {f"--{setting.replace('_', '-')}" for setting in OPTION_NAMES} <= options, name
            seen += 1
    assert seen > 40


def test_an_option_overrides_the_environment_for_its_command_only(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    run("new", "shop")
    monkeypatch.setenv("FLYBALL_KEEP_ANSWERS", "7d")
    shown = run("settings", "shop.py", "--keep-answers", "3d", "--log-format", "json", "--json").last
    assert (shown["settings"]["keep_answers"], shown["sources"]["keep_answers"]) == ("3d", "option")
    assert shown["settings"]["log_format"] == "json"
    later = run("settings", "shop.py", "--json").last
    assert (later["settings"]["keep_answers"], later["sources"]["keep_answers"]) == ("7d", "FLYBALL_KEEP_ANSWERS")


def test_an_option_with_a_wrong_value_is_refused(run: Run) -> None:
    run("new", "shop")
    refused = run("status", "shop.py", "--keep-answers", "long")
    assert refused.code == 2
    assert "setting keep_answers (option): " in refused.err
    assert run("status", "shop.py", "--kept-answers", "3d").code == 2


def test_a_secret_on_the_command_line_is_refused_with_where_it_belongs(run: Run, tmp_path: Path) -> None:
    run("new", "shop")
    refused = run("status", "shop.py", "--registry", "postgresql://ann:s3cret@db/x?schema=shop")
    assert refused.code == 2
    assert "--registry must hold no secret" in refused.err
    assert "FLYBALL_REGISTRY_FILE" in refused.err
    assert "s3cret" not in refused.err
    topic = run("ingest", "shop.py", "kafka://ann:s3cret@broker/topic", "--format", "csv")
    assert (topic.code, "s3cret" in topic.err) == (2, False)
    assert "password_file" in topic.err
