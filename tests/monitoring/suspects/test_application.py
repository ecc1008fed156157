"""Suspects of an application: what is found in its history, what the monitor says, and whom it holds if declared."""

from math import inf
from pathlib import Path

from tests.monitoring.suspects.homes import END_US, books
from tests.monitoring.suspects.population import DAY_US

from flyball.monitoring import observe_suspects, suspects_monitor, suspects_of
from flyball.operations import catch_up
from flyball.registry import hold_accounts, holds_at

COPIES = {f"a{number}" for number in range(12)}


def test_the_monitor_names_suspects_once_a_day_and_holds_nobody_by_default(tmp_path: Path) -> None:
    runtime = books(tmp_path)
    look = suspects_monitor(runtime)
    assert look(END_US - DAY_US // 2, END_US - DAY_US // 4, {}) == []
    (seen,) = look(END_US - DAY_US // 4, END_US, {})
    assert (seen.monitor, seen.subject, seen.e_value, seen.matters) == ("suspects", "accounts.reader", inf, True)
    assert set(seen.evidence["suspects"]) == COPIES
    assert "12 suspect readers among" in seen.message
    assert holds_at(runtime.registry, "reader") == {}


def test_declared_it_holds_them_and_they_are_suspects_no_more(tmp_path: Path) -> None:
    runtime = books(tmp_path, action="downweight")
    suspects_monitor(runtime)(END_US - DAY_US // 4, END_US, {})
    held = holds_at(runtime.registry, "reader")
    assert set(held) == COPIES
    assert {hold.share for hold in held.values()} == {0.1}
    assert {hold.by for hold in held.values()} == {"watch"}
    entity, found = suspects_of(runtime, END_US)
    assert (entity, found.suspects, found.accounts) == ("reader", (), 300)
    assert not observe_suspects(entity, found).matters


def test_a_quiet_log_has_none_and_held_accounts_are_left_out(tmp_path: Path) -> None:
    runtime = books(tmp_path, count=0)
    _, found = suspects_of(runtime, END_US)
    seen = observe_suspects("reader", found)
    assert (found.suspects, seen.matters, seen.message) == ((), False, "no reader acts as no others do")
    hold_accounts(runtime.registry, "reader", {"h0": 0.0}, by="ann", reason="", at_us=END_US)
    assert suspects_of(runtime, END_US)[1].accounts == found.accounts - 1
    assert suspects_of(runtime, END_US, days=1)[1].accounts < found.accounts


def test_a_hold_leaves_what_serving_keeps_a_function_of_the_log_alone(tmp_path: Path) -> None:
    """As the page on poisoned logs says: else a past answer could not be computed again."""
    states = []
    for name, held in (("free", []), ("held", ["a0", "a1"])):
        (tmp_path / name).mkdir()
        runtime = books(tmp_path / name, readers=40)
        if held:
            hold_accounts(runtime.registry, "reader", dict.fromkeys(held, 0.0), by="ann", reason="copies", at_us=END_US)
        rate = {"reader": "a0", "book": "t300", "stars": 5.0}
        runtime.log.append([runtime.schema.check("rate", rate, END_US - 5, END_US - 5)])
        catch_up(runtime)
        assert set(holds_at(runtime.registry, "reader")) == set(held)
        states.append(dict(runtime.state.scan(b"")))
    assert states[0] == states[1]
    assert states[0]
