"""What a version says when a feature that it learned from is declared otherwise now."""

import pytest

from flyball.core import Refused
from flyball.tasks import check_hashes

THEN = {"card.paid": {"op": "sum", "event": "Payment", "value": ["field", "amount"], "window": "tiled(7d, 6h)"}}
NOW = {"card.paid": {"op": "sum", "event": "Payment", "value": ["field", "amount"], "window": "tiled(8d, 8h)"}}
SHARE = {"op": "computed", "inputs": ["card.paid", "amount"], "kind": "real", "function": "lambda p, a: p / a"}


def message(live: dict[str, str], learned: dict[str, str], definitions: object) -> str:
    with pytest.raises(Refused) as error:
        check_hashes(live, learned, "v1", definitions)  # type: ignore[arg-type]
    return str(error.value)


def test_the_two_definitions_are_compared_in_words() -> None:
    said = message({"card.paid": "b"}, {"card.paid": "a"}, (THEN, NOW))
    assert said.startswith(
        "feature card.paid must be as v1 learned it, got another definition (window tiled(7d, 6h), now tiled(8d, 8h)): "
        "declare it as it was"
    )
    assert said.endswith("run flyball learn")


def test_a_change_of_what_a_derived_feature_reads_is_named() -> None:
    definitions = {**THEN, "share": SHARE}, {**NOW, "share": SHARE}
    said = message({"share": "b"}, {"share": "a"}, definitions)
    assert "feature share" in said
    assert "(card.paid.window tiled(7d, 6h), now tiled(8d, 8h))" in said


def test_a_feature_that_is_gone_is_said_with_its_definition() -> None:
    said = message({}, {"card.paid": "a"}, (THEN, {}))
    assert "Payment (op sum, value amount, window tiled(7d, 6h)); got no feature of that name" in said


def test_a_definition_of_an_earlier_release_is_said_to_be_one() -> None:
    assert "an earlier release of Flyball" in message({"card.paid": "b"}, {"card.paid": "a"}, ({}, NOW))
    assert "got another definition in the application: declare" in message({"card.paid": "b"}, {"card.paid": "a"}, None)


def test_the_same_definitions_pass() -> None:
    check_hashes({"card.paid": "a", "more": "b"}, {"card.paid": "a"}, "v1", (THEN, THEN))
