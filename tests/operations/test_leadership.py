"""Who may write, among the processes of several machines."""

import threading
from pathlib import Path

import pytest

from flyball.apps import movies
from flyball.core import LeaseLost, ManualClock, StoreUnavailable
from flyball.operations.leadership import (
    LeaseRenewer,
    WhileHeld,
    keeping,
    lease_of,
    shared_consumers,
    worker_leases,
    write_with,
)
from flyball.operations.machine import is_shared
from flyball.registry import Lease, Registry, begin_run, lease_standings
from flyball.runtime import Runtime, load_settings

SECOND_US = 1_000_000


def home(folder: Path, **stores: str) -> Runtime:
    return Runtime(movies.make_app(), load_settings(folder, options=stores), ManualClock(0))


def renewer_of(runtime: Runtime, second: float, name: str = "governor") -> LeaseRenewer:
    renewer = LeaseRenewer(runtime, name)
    set_clock(renewer, second)
    return renewer


def set_clock(renewer: LeaseRenewer, second: float) -> None:
    renewer._registry.database.now_us_sql = str(int(second * SECOND_US))


def test_consumers_need_a_lease_where_they_write_to_a_store_of_many_machines(tmp_path: Path) -> None:
    servers = {"registry": "postgresql://db/x?schema=a", "events": "kafka://b/x", "state": "redis://r/0"}
    assert worker_leases(home(tmp_path)) == []
    assert worker_leases(home(tmp_path, **servers)) == ["partitions", "online"]
    assert shared_consumers(home(tmp_path, **servers)) == ["state"]
    assert worker_leases(home(tmp_path, **servers, history="s3://b/h")) == ["partitions", "online", "history"]
    own_log = {**servers, "events": f"sqlite://{tmp_path}/events.db"}
    assert worker_leases(home(tmp_path, **own_log)) == []
    mounted = f"file://{tmp_path.parent}/mounted"
    assert shared_consumers(home(tmp_path, **servers, history=mounted)) == ["state", "history"]
    assert is_shared(home(tmp_path, **own_log).settings, "registry")
    named = [lease_of(name) for name in ("features", "prediction_history", "exposures", "intervals_0.9", "predictions")]
    assert named == ["online", "history", "exposures", "outcomes", "outcomes"]
    assert [lease_of(name) for name in ("state", "history", "state_rebuild")] == ["partitions", "partitions", "online"]


def test_another_takes_over_when_the_holder_was_paused_and_the_holder_notices(tmp_path: Path) -> None:
    first, second = renewer_of(home(tmp_path), 100), renewer_of(home(tmp_path), 100)
    assert first.step() == pytest.approx(2.5)
    assert second.step() == pytest.approx(1.0)
    assert first.lease is not None
    held = WhileHeld(threading.Event(), first)
    assert (second.lease, held.is_set()) == (None, False)
    set_clock(second, 110)
    second.step()
    assert second.lease is not None
    assert second.lease.token > first.lease.token
    set_clock(first, 111)
    first.step()
    assert (first.lease, held.is_set()) == (None, True)
    second.release()
    first.step()
    assert first.lease is not None, "given back, it is free at once"


def test_a_registry_that_is_away_takes_no_lease_from_its_holder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    renewer = renewer_of(home(tmp_path), 100)
    renewer.step()
    lease = renewer.lease

    def away(*values: object) -> None:
        raise StoreUnavailable("registry must answer, got nothing: try again")

    with monkeypatch.context() as patch:
        patch.setattr("flyball.operations.leadership.keep_lease", away)
        renewer.step()
    assert renewer.lease == lease
    renewer.lose()
    renewer.step()
    assert renewer.lease is None, "it expires before anybody takes it, its former holder as well"


def test_writes_of_a_runtime_carry_the_token(tmp_path: Path) -> None:
    renewer, runtime = renewer_of(home(tmp_path), 100), home(tmp_path)
    renewer.step()
    write_with(runtime, renewer.lease)
    with pytest.raises(LeaseLost, match="expired"):  # by the clock of the database, which was not moved here
        begin_run(runtime.registry, "movies", 1, 1)
    write_with(runtime, None)
    begin_run(runtime.registry, "movies", 1, 1)
    assert [lease.name for lease in lease_standings(Registry(runtime.settings.registry))] == ["governor"]


def test_whatever_the_registry_raises_a_renewer_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    renewer = renewer_of(home(tmp_path), 100)

    def broken(*values: object) -> None:
        raise ZeroDivisionError("a driver's own error")

    with monkeypatch.context() as patch:
        patch.setattr("flyball.operations.leadership.take_lease", broken)
        assert renewer.step() == pytest.approx(1.0)
    renewer.step()
    assert renewer.lease is not None


def test_leases_are_given_back_side_by_side_and_a_process_that_ends_waits_for_a_bounded_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each answer of the registry comes when all of them were asked for: by turns, none would ever come."""
    names, all_at_once = ("online", "history", "outcomes"), threading.Barrier(3)
    renewers = [LeaseRenewer(home(tmp_path), name) for name in names]
    for renewer in renewers:
        renewer.step()
    returned = []

    def give_back(registry: Registry, lease: Lease) -> None:
        all_at_once.wait(10)
        returned.append(lease.name)

    monkeypatch.setattr("flyball.operations.leadership.give_back", give_back)
    with keeping(renewers):
        assert all(renewer.lease is not None for renewer in renewers)
    assert sorted(returned) == sorted(names)

    frozen = threading.Event()
    monkeypatch.setattr("flyball.operations.leadership.GIVE_BACK_S", 0.01)
    monkeypatch.setattr("flyball.operations.leadership.give_back", lambda registry, lease: frozen.wait(10))
    with keeping([LeaseRenewer(home(tmp_path), "governor")]):
        pass
    frozen.set()


def test_leases_are_given_back_when_the_work_fails(tmp_path: Path) -> None:
    renewer, other = LeaseRenewer(home(tmp_path), "governor"), LeaseRenewer(home(tmp_path), "governor")
    renewer.step()
    with pytest.raises(ZeroDivisionError), keeping([renewer]):
        raise ZeroDivisionError
    other.step()
    assert other.lease is not None
