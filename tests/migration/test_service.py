"""A home is not moved where the service that runs on it would be left behind."""

import os
import re
from pathlib import Path

import pytest

from flyball.app import App
from flyball.core import Refused
from flyball.migration import Migration
from flyball.operations import StoreReach, UpReport, store_urls
from flyball.operations.process_specs import write_report
from flyball.registry import take_lease
from flyball.runtime import Runtime
from flyball.settings import STORES

from .conftest import open_home


class Hurried:
    """A stopwatch on which ten seconds pass between two looks."""

    now_s = 0.0

    def read_s(self) -> float:
        self.now_s += 10.0
        return self.now_s


@pytest.fixture
def homes(app: App, tmp_path: Path) -> tuple[Runtime, Runtime]:
    return open_home(app, tmp_path / "first"), open_home(app, tmp_path / "second")


def runs(home: Runtime, stores: dict[str, str], reach: StoreReach | None = None) -> None:
    """An instance runs on the home, and reports this."""
    write_report(home.home, "up", UpReport(0, os.getpid(), 1, 0, [], stores, reach))


def refused(homes: tuple[Runtime, Runtime], words: str) -> None:
    source, target = homes
    with pytest.raises(Refused, match=words):
        Migration(source, target, Hurried()).run(switch=True)
    assert source.gate.moved() is None


def id_of(home: Runtime) -> str:
    return f"{os.getpid()} at {home.clock.now_us()}"


def test_an_instance_with_stores_of_its_environment_is_refused_before_anything_is_copied(
    homes: tuple[Runtime, Runtime],
) -> None:
    source, target = homes
    runs(source, {**store_urls(source), "events": "kafka://ann:***@broker/cinema.events"})
    with pytest.raises(Refused, match=r"events of flyball up .* must be the store that is copied, .*got kafka://ann"):
        Migration(source, target, Hurried()).run(switch=False)
    assert target.gate.copying() is None


def test_options_of_a_url_may_differ(homes: tuple[Runtime, Runtime]) -> None:
    source, target = homes
    shown = store_urls(source)
    runs(source, {**shown, "events": shown["events"].partition("?")[0]})
    assert not Migration(source, target, Hurried()).run(switch=False).switched


def test_an_instance_that_does_not_answer_is_refused(homes: tuple[Runtime, Runtime]) -> None:
    runs(homes[0], store_urls(homes[0]))
    refused(homes, "must say within 60 s that it can use the stores of .*second, got no answer: start it again")


def test_an_instance_that_cannot_use_a_new_store_is_refused_with_its_reason(homes: tuple[Runtime, Runtime]) -> None:
    source, target = homes
    reach = StoreReach(id_of(source), store_urls(target), {"state": "redis:// needs the package redis"})
    runs(source, store_urls(source), reach)
    refused(homes, "must be able to use state of .*second, got: redis:// needs the package redis. What it needs")


@pytest.mark.parametrize("store", [name for name in STORES if name != "apply_delays"])
def test_an_instance_that_reads_other_urls_is_refused(homes: tuple[Runtime, Runtime], store: str) -> None:
    source, target = homes
    reach = StoreReach(id_of(source), {**store_urls(target), store: "sqlite:///mnt/other.db"})
    runs(source, store_urls(source), reach)
    refused(homes, rf"must read {store} of .*second as this command does, .* got sqlite:///mnt/other\.db")


def test_an_instance_that_can_use_them_is_moved(homes: tuple[Runtime, Runtime]) -> None:
    source, target = homes
    runs(source, store_urls(source), StoreReach(id_of(source), store_urls(target)))
    assert Migration(source, target, Hurried.__new__(Still)).run(switch=True).switched
    assert source.gate.moved() is not None


class Still(Hurried):
    """A stopwatch that stands."""

    def read_s(self) -> float:
        return 0.0


def test_a_home_whose_stores_another_machine_uses_is_refused(homes: tuple[Runtime, Runtime]) -> None:
    take_lease(homes[0].registry, "online", "machine-2:/srv/cinema:17", 600_000_000)
    refused(homes, re.escape("must be the only home on its stores to be moved, got leases of machine-2:/srv/cinema, "))


def test_a_home_inside_of_the_one_to_move_is_refused(app: App, tmp_path: Path) -> None:
    inside = open_home(app, tmp_path / "first" / "second")
    refused((open_home(app, tmp_path / "first"), inside), "must lie outside of the one to move, got .*first/second in ")
