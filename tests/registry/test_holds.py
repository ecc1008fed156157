"""Held accounts, at any time: who held them, why, and how much of their events counts."""

from pathlib import Path

import pytest

from flyball.core import BadInput, NotFound
from flyball.registry import Registry, hold_accounts, holds_at, release_accounts


def test_the_list_at_a_time_is_what_was_decided_by_then(tmp_path: Path) -> None:
    registry = Registry(f"sqlite://{tmp_path}/registry.db")
    hold_accounts(registry, "user", {"7": 0.0, "9": 0.1}, by="ann", reason="burst", at_us=100)
    hold_accounts(registry, "card", {"7": 0.0}, by="ann", reason="other entity", at_us=110)
    release_accounts(registry, "user", ["7"], by="ben", reason="a library", at_us=200)
    hold_accounts(registry, "user", {"9": 0.0}, by="ben", reason="again", at_us=300)
    shares = {
        at: {name: hold.share for name, hold in holds_at(registry, "user", at).items()} for at in (99, 100, 200, 300)
    }
    assert shares == {99: {}, 100: {"7": 0.0, "9": 0.1}, 200: {"9": 0.1}, 300: {"9": 0.0}}
    last = holds_at(registry, "user")["9"]
    assert (last.by, last.reason, last.at_us) == ("ben", "again", 300)
    assert [entry.action for entry in registry.audit()].count("suspects hold") == 3


def test_wrong_shares_and_unknown_accounts_are_refused(tmp_path: Path) -> None:
    registry = Registry(f"sqlite://{tmp_path}/registry.db")
    with pytest.raises(BadInput, match="share of account 7 must be 0 or more and below 1, got 1"):
        hold_accounts(registry, "user", {"7": 1.0}, by="ann", reason="", at_us=1)
    with pytest.raises(NotFound, match="no held user '8'.*flyball suspects held lists them"):
        release_accounts(registry, "user", ["8"], by="ann", reason="", at_us=1)
    assert holds_at(registry, "user") == {}
