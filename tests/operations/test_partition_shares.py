"""The share of the partitions that a log worker has, and what it does with it."""

import threading
from pathlib import Path

import pytest

from flyball.apps import movies
from flyball.core import LeaseLost, ManualClock, StoreUnavailable
from flyball.operations import Worker, consumers_of
from flyball.operations.child import follow
from flyball.operations.partition_shares import ShareRenewer, partitions_in, renewers_of, tokens_of
from flyball.registry import lease_standings
from flyball.runtime import Runtime, load_settings
from flyball.stores import MemoryStore

SECOND_US = 1_000_000


def home(folder: Path, name: str = "a") -> Runtime:
    """A machine that shares its registry and log with others."""
    stores = {"registry": f"sqlite://{folder}/registry.db", "events": f"sqlite://{folder}/events.db?partitions=4"}
    return Runtime(movies.make_app(), load_settings(folder / name, options=stores), ManualClock(0))


def renewer_of(runtime: Runtime, second: float) -> ShareRenewer:
    renewer = ShareRenewer(runtime)
    set_clock(renewer, second)
    return renewer


def set_clock(renewer: ShareRenewer, second: float) -> None:
    renewer._registry.database.now_us_sql = str(int(second * SECOND_US))


def test_two_workers_share_the_log_and_one_that_leaves_is_followed(tmp_path: Path) -> None:
    first, second = renewer_of(home(tmp_path), 100), renewer_of(home(tmp_path, "b"), 100)
    assert first.step() == pytest.approx(1.0), "it looks again soon, since that changed"
    assert first.step() == pytest.approx(2.5)
    assert (list(first.tokens), first.complete) == ([0, 1, 2, 3], True)
    assert (second.step(), second.lease) == (pytest.approx(1.0), None)
    first.step()
    second.step()
    assert (list(first.tokens), list(second.tokens), second.complete) == ([0, 1], [2, 3], False)
    assert tokens_of({"partitions": second}) == {f"partition {part}": second.tokens[part] for part in (2, 3)}
    assert partitions_in(tokens_of({"partitions": second}), 4) == second.tokens
    first.release()
    second.step()
    assert (first.tokens, second.complete) == ({}, True)


def test_a_worker_that_was_paused_notices_and_takes_what_is_free(tmp_path: Path) -> None:
    paused, other = renewer_of(home(tmp_path), 100), renewer_of(home(tmp_path, "b"), 100)
    for renewer in (paused, other, paused, other):
        renewer.step()
    before = paused.tokens
    set_clock(other, 110)
    other.step()
    assert other.complete
    assert all(other.tokens[partition] > token for partition, token in before.items())
    set_clock(paused, 111)
    paused.step()
    assert paused.tokens == {}
    for renewer in (other, paused):
        set_clock(renewer, 112)
        renewer.step()
    assert (len(paused.tokens), len(other.tokens)) == (2, 2)


def test_a_registry_that_is_away_takes_no_share(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    renewer = renewer_of(home(tmp_path), 100)
    renewer.step()
    tokens = renewer.tokens

    def away(*values: object) -> None:
        raise StoreUnavailable("registry must answer, got nothing: try again")

    with monkeypatch.context() as patch:
        patch.setattr("flyball.operations.partition_shares.share_partitions", away)
        patch.setattr("flyball.operations.partition_shares.leave_partitions", away)
        assert renewer.step() == pytest.approx(2.5)
        assert renewer.tokens == tokens
        renewer.lose()
        assert renewer.tokens == {}
        renewer.release()
    assert sum(lease.left_us > 0 for lease in lease_standings(renewer._registry)) > 0, "they expire by themselves"


class Fenced(MemoryStore):
    """Refuses writes for a partition that another claimed."""

    lost = False

    def claim(self, token: int, partition: int | None = None) -> None:
        self.partition = partition

    def update(self, work, partitions=None) -> None:  # type: ignore[no-untyped-def]
        if self.lost:
            raise LeaseLost("of partition 1 in state store", 5, "7")
        super().update(work, partitions)


@pytest.fixture
def shared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Runtime:
    """A runtime that shares its log, as those on servers do, with some events in it."""
    monkeypatch.setattr("flyball.operations.partition_shares.worker_leases", lambda runtime: ["partitions"])
    for module in ("child", "consumers"):
        monkeypatch.setattr(f"flyball.operations.{module}.shared_consumers", lambda runtime: ["state", "history"])
    runtime = home(tmp_path)
    runtime.__dict__["state"], runtime.__dict__["feature_state"] = Fenced(), MemoryStore()
    fields = [{"user": user, "film": f"film+{user}", "minute": 1} for user in range(1, 30)]
    runtime.log.append([runtime.schema.check("watch", each, 1, 1) for each in fields])
    return runtime


def test_consumers_of_a_share_apply_its_partitions_alone(shared: Runtime) -> None:
    worker = Worker(consumers_of(shared, flush_us=0, assigned=[1, 2]))
    worker.drain(1)
    ends = shared.log.ends()
    assert shared.state.offsets() == shared.history.offsets() == (0, ends[1], ends[2], 0)
    lags = worker.step(2).lags
    assert [lags[name].behind for name in ("state", "history")] == [0, 0]
    Worker(consumers_of(shared, flush_us=0, assigned=[0, 3])).drain(3)
    assert shared.state.offsets() == shared.history.offsets() == ends


def test_a_worker_that_is_refused_gives_up_its_share_and_one_that_changed_meanwhile_is_kept(shared: Runtime) -> None:
    renewers = renewers_of(shared)
    renewer = renewers["partitions"]
    assert isinstance(renewer, ShareRenewer)
    renewer.step()
    shared.state.lost = True  # type: ignore[attr-defined]
    follow(shared, threading.Event(), renewers)
    assert renewer.tokens == {}
