"""How suspects are treated is checked where it is declared."""

from typing import Any

import pytest

from flyball.core import BadDeclaration
from flyball.policy import suspects


@pytest.mark.parametrize(("action", "share"), [("report", 1.0), ("downweight", 0.1), ("hold", 0.0)])
def test_an_action_is_a_share_of_the_events_that_count(action: Any, share: float) -> None:
    assert suspects(action).share == share


@pytest.mark.parametrize(
    "wrong",
    [{"action": "ban"}, {"days": 0}, {"days": True}, {"entity": 3}, {"false_share": 1.0}, {"false_share": "5%"}],
)
def test_what_is_wrong_is_named(wrong: dict[str, Any]) -> None:
    with pytest.raises(BadDeclaration, match=rf"{next(iter(wrong))} of suspects\(...\) must be "):
        suspects(**wrong)
