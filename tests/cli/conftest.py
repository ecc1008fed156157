"""A shop as `flyball new` writes it, and the command line as a function."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from flyball.cli import app
from flyball.cli.main import code_of


class Ran:
    """What a command printed, where, and its exit code."""

    def __init__(self, out: str, err: str, code: int) -> None:
        self.out, self.err, self.code = out, err, code

    @property
    def last(self) -> Any:
        """The last line of standard output as JSON."""
        return json.loads(self.out.splitlines()[-1])


Run = Callable[..., Ran]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Run]:
    """Runs `flyball` with these words in a folder of its own."""
    monkeypatch.chdir(tmp_path)
    for name in ("FLYBALL_HOME", "FLYBALL_PORT", "FLYBALL_EVENTS"):
        monkeypatch.delenv(name, raising=False)
    return call


def call(*words: object, stdin: str | bytes | None = None) -> Ran:
    result = CliRunner().invoke(app, [str(word) for word in words], input=stdin)
    code, err = result.exit_code, result.stderr
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        code, message = code_of(result.exception)
        err += message
    return Ran(result.stdout, err, code)


@pytest.fixture
def shop(run: Run) -> Run:
    """`run` beside a fresh shop.py and its events."""
    assert run("new", "shop").code == 0
    return run
