"""What would name the stores of two homes at once is refused before anything is copied."""

import pytest

from flyball.cli import migration
from flyball.cli.migration import refuse_stores_of_both
from flyball.core import Refused


@pytest.mark.parametrize("variable", ["FLYBALL_EVENTS", "FLYBALL_REGISTRY_FILE", "FLYBALL_APPLY_DELAYS"])
def test_a_variable_that_holds_for_both_homes_is_named(variable: str, monkeypatch: pytest.MonkeyPatch) -> None:
    refuse_stores_of_both()
    monkeypatch.setenv("FLYBALL_PORT", "1")  # which is no store
    refuse_stores_of_both()
    monkeypatch.setenv(variable, "sqlite:///elsewhere.db")
    with pytest.raises(
        Refused, match=f"in their settings.toml, got {variable}, which would hold for both: leave it out"
    ):
        refuse_stores_of_both()


def test_an_option_that_holds_for_both_homes_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(migration, "given_settings", lambda: {"apply_delays": "file:///a", "port": "1"})
    with pytest.raises(Refused, match="got --apply-delays, which would hold for both"):
        refuse_stores_of_both()
