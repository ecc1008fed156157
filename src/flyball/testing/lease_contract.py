"""The contract of leases in every registry: one holder at a time, growing tokens, and nothing written with an old one.

The test of a backend calls each function of `LEASE_CHECKS` with a function that opens the same, at first empty
registry. The database's clock is moved by hand.
"""

import random
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import msgspec
import pytest

from flyball.core import LeaseLost
from flyball.registry import (
    WHOLE_LOG,
    AuditEntry,
    Lease,
    LeasedDatabase,
    Registry,
    add_entry,
    begin_run,
    give_back,
    hold_all_partitions,
    is_claimed_by_another,
    keep_lease,
    lease_standings,
    leave_partitions,
    share_partitions,
    take_lease,
)

Open = Callable[[], Registry]
_SECOND_US = 1_000_000


def check_one_holder_until_it_expires(open_registry: Open) -> None:
    registry = _at(open_registry(), 5)
    first = take_lease(registry, "governor", "a", 10 * _SECOND_US)
    assert first == Lease("governor", "a", 5 * _SECOND_US, 5 * _SECOND_US, 15 * _SECOND_US)
    assert take_lease(_at(registry, 14.9), "governor", "b", _SECOND_US) is None
    assert take_lease(_at(registry, 14.9), "governor", "a", _SECOND_US) is None, "it cannot know that it holds it"
    assert take_lease(registry, "worker", "b", _SECOND_US) is not None
    second = take_lease(_at(registry, 15), "governor", "b", _SECOND_US)
    assert second is not None
    assert second.token > first.token
    standing = {lease.name: lease for lease in lease_standings(_at(registry, 15.25))}["governor"]
    assert (standing.holder, standing.token, standing.held_us, standing.left_us) == (
        "b",
        second.token,
        250_000,
        750_000,
    )


def check_a_kept_lease_lives_on(open_registry: Open) -> None:
    registry = _at(open_registry(), 5)
    lease = _taken(registry, "a", 2)
    for second in (6, 7.9, 9.8):
        lease = keep_lease(_at(registry, second), lease, 2 * _SECOND_US)
        assert take_lease(registry, "governor", "b", _SECOND_US) is None
    with pytest.raises(LeaseLost, match=r"got one that expired 0.2 s ago: stand by"):
        keep_lease(_at(registry, 12), lease, _SECOND_US)


def check_a_holder_that_slept_writes_nothing(open_registry: Open) -> None:
    registry = _at(open_registry(), 5)
    paused = _leased(open_registry(), _taken(registry, "a", 10))
    begin_run(_at(paused, 6), "app", 1, 1)
    with pytest.raises(LeaseLost, match="expired"):
        begin_run(_at(paused, 15), "app", 2, 2)
    woken = _leased(open_registry(), _taken(_at(registry, 16), "b", 10))
    for writes in (lambda: begin_run(_at(paused, 17), "app", 3, 3), lambda: add_entry(_at(paused, 17), _ENTRY)):
        with pytest.raises(LeaseLost, match="lease governor must be held with token .* of b: stand by"):
            writes()
    begin_run(_at(woken, 17), "app", 4, 4)
    assert [run.as_of_us for run in open_registry().runs()] == [1, 4]
    assert open_registry().audit() == []


def check_tokens_grow_when_the_clock_goes_back(open_registry: Open) -> None:
    registry = _at(open_registry(), 100)
    first = _taken(registry, "a", 1)
    give_back(registry, first)
    second = _taken(_at(registry, 3), "b", 1)
    assert second.token == first.token + 1
    give_back(registry, first)
    assert take_lease(registry, "governor", "c", 1) is None, "only its holder gives it back"


def check_of_many_at_once_one_gets_it(open_registry: Open) -> None:
    registries = [_at(open_registry(), 5) for _ in range(4)]
    with ThreadPoolExecutor(4) as pool:
        taken = list(pool.map(lambda pair: take_lease(pair[1], "governor", str(pair[0]), 9), enumerate(registries)))
    assert sum(lease is not None for lease in taken) == 1


def check_any_schedule_has_one_writer_at_a_time(open_registry: Open) -> None:
    """Random takes, renewals, pauses and writes of three processes: the tokens of what was written never go down."""
    for seed in range(3):
        rng, written = random.Random(seed), list[int]()
        clock_us, leases = 1_000_000_000_000 * (seed + 1), dict[str, Lease]()
        registry = open_registry()
        for _ in range(40):
            clock_us += rng.choice([1, _SECOND_US, 3 * _SECOND_US, 11 * _SECOND_US])
            registry.database.now_us_sql = str(clock_us)
            holder = rng.choice("abc")
            lease = leases.get(holder)
            try:
                if lease is None:
                    if (taken := take_lease(registry, f"governor {seed}", holder, 10 * _SECOND_US)) is not None:
                        leases[holder] = taken
                elif rng.random() < 0.5:
                    leases[holder] = keep_lease(registry, lease, 10 * _SECOND_US)
                else:
                    with LeasedDatabase(registry.database, lease).writing():
                        written.append(lease.token)
            except LeaseLost:
                del leases[holder]
        assert written == sorted(written)
        assert len(set(written)) > 1


def check_workers_share_the_partitions(open_registry: Open) -> None:
    registry = _at(open_registry(), 5)
    first = _shared(registry, "a", {})
    assert list(first) == [0, 1, 2, 3, 4]
    assert _shared(registry, "b", {}) == {}, "all are held until the first worker gives up what is over its quota"
    kept = _shared(_at(registry, 6), "a", first)
    assert kept == {
        partition: msgspec.structs.replace(first[partition], expires_us=16 * _SECOND_US) for partition in (0, 1, 2)
    }
    second = _shared(registry, "b", {})
    assert list(second) == [3, 4]
    assert all(second[partition].token > first[partition].token for partition in second)
    leave_partitions(registry, "b", second)
    assert list(_shared(_at(registry, 7), "a", kept)) == [0, 1, 2, 3, 4]


def check_partitions_of_a_worker_that_died_are_taken_when_its_lease_ends(open_registry: Open) -> None:
    registry = _at(open_registry(), 5)
    first = _shared(registry, "a", {})
    _shared(registry, "b", {})
    first, second = _shared(registry, "a", first), _shared(registry, "b", {})
    first = _shared(_at(registry, 14.9), "a", first)
    assert len(first) == 3
    first = _shared(_at(registry, 15), "a", first)
    assert list(first) == [0, 1, 2, 3, 4]
    assert all(first[partition].token > second[partition].token for partition in second)
    assert [lease.name for lease in lease_standings(registry) if lease.name.startswith("worker")] == ["worker a"]
    assert _shared(registry, "b", second) == {}, "it wakes up, and its tokens are of the past"


def check_a_command_takes_all_partitions_or_none(open_registry: Open) -> None:
    registry = _at(open_registry(), 5)
    shared = _shared(registry, "a", {})
    assert hold_all_partitions(registry, "command", 5, _SECOND_US, {}) == {}
    leave_partitions(registry, "a", shared)
    everything = hold_all_partitions(registry, "command", 5, _SECOND_US, {})
    assert list(everything) == [0, 1, 2, 3, 4]
    assert _shared(registry, "a", {}) == {}
    assert list(hold_all_partitions(registry, "command", 5, _SECOND_US, everything)) == [0, 1, 2, 3, 4]
    assert list(_shared(_at(registry, 6), "a", {})) == [0, 1, 2, 3, 4]
    assert hold_all_partitions(registry, "command", 5, _SECOND_US, everything) == {}


def check_workers_give_up_all_to_a_command_that_claims_the_whole_log(open_registry: Open) -> None:
    registry = _at(open_registry(), 5)
    shared = _shared(registry, "a", {})
    claim = take_lease(registry, WHOLE_LOG, "command", 10 * _SECOND_US)
    assert claim is not None
    assert (is_claimed_by_another(registry, "a"), is_claimed_by_another(registry, "command")) == (True, False)
    assert _shared(registry, "a", shared) == {}
    assert list(hold_all_partitions(registry, "command", 5, 10 * _SECOND_US, {})) == [0, 1, 2, 3, 4]
    assert _shared(_at(registry, 14), "a", {}) == {}
    assert list(_shared(_at(registry, 15), "a", {})) == [0, 1, 2, 3, 4], "a command that died claims no longer"
    assert not is_claimed_by_another(registry, "a")


class _Workers:
    """Workers that share partitions, at times moved by hand; holds that tokens only grow."""

    def __init__(self, registry: Registry, partitions: int, clock_us: int) -> None:
        self.registry, self.partitions, self.clock_us = registry, partitions, clock_us
        self.alive: dict[str, dict[int, Lease]] = {}
        self._tokens: dict[int, int] = {}

    def step(self, worker: str) -> None:
        self.registry.database.now_us_sql = str(self.clock_us)
        before = self.alive.setdefault(worker, {})
        self.alive[worker] = share_partitions(self.registry, worker, self.partitions, 10 * _SECOND_US, before)
        for partition, lease in self.alive[worker].items():
            if partition not in before or before[partition].token != lease.token:
                assert lease.token > self._tokens.get(partition, 0)
                self._tokens[partition] = lease.token

    def step_all(self, rng: random.Random) -> None:
        for worker in rng.sample(sorted(self.alive), len(self.alive)):
            self.step(worker)

    def leave(self, worker: str) -> None:
        leave_partitions(self.registry, worker, self.alive.pop(worker))


def check_any_workers_share_evenly_and_tokens_only_grow(open_registry: Open) -> None:
    """Workers that join, die, wake up and leave in any order: a partition has one holder at a time, with a token above
    all former ones; when they change no more, holders differ by one partition at most, and then no partition moves."""
    for seed in range(3):
        rng, partitions = random.Random(seed), 1 + 3 * seed
        workers = _Workers(open_registry(), partitions, 1_000_000_000_000 * (seed + 1))
        for _ in range(12):
            worker = f"{seed}{rng.choice('abcd')}"
            workers.clock_us += rng.choice([1, 2 * _SECOND_US, 11 * _SECOND_US])
            chance = rng.random()
            if worker in workers.alive and chance < 0.25:
                workers.leave(worker)
            elif worker in workers.alive and chance < 0.4:
                del workers.alive[worker]
            else:
                workers.step(worker)
        workers.clock_us += 11 * _SECOND_US
        workers.step(f"{seed}a")
        for _ in range(3):
            workers.step_all(rng)
        sizes = [len(own) for own in workers.alive.values()]
        assert sorted(partition for own in workers.alive.values() for partition in own) == list(range(partitions))
        assert max(sizes) - min(sizes) <= 1
        still = {worker: list(own) for worker, own in workers.alive.items()}
        workers.step_all(rng)
        assert {worker: list(own) for worker, own in workers.alive.items()} == still
        for worker in list(workers.alive):
            workers.leave(worker)


LEASE_CHECKS: list[Callable[[Open], None]] = [
    check_one_holder_until_it_expires,
    check_a_kept_lease_lives_on,
    check_a_holder_that_slept_writes_nothing,
    check_tokens_grow_when_the_clock_goes_back,
    check_of_many_at_once_one_gets_it,
    check_any_schedule_has_one_writer_at_a_time,
    check_workers_share_the_partitions,
    check_partitions_of_a_worker_that_died_are_taken_when_its_lease_ends,
    check_a_command_takes_all_partitions_or_none,
    check_workers_give_up_all_to_a_command_that_claims_the_whole_log,
    check_any_workers_share_evenly_and_tokens_only_grow,
]

_ENTRY = AuditEntry(at_us=1, by="a", action="release", subject="v1", reason="", before={}, after={})


def _at(registry: Registry, second: float) -> Registry:
    """The registry, with its database's clock at `second`."""
    database = registry.database
    for layer in (database, database.unleased) if isinstance(database, LeasedDatabase) else (database,):
        layer.now_us_sql = str(int(second * _SECOND_US))
    return registry


def _shared(registry: Registry, worker: str, own: dict[int, Lease]) -> dict[int, Lease]:
    """What a worker has of five partitions after its step."""
    return share_partitions(registry, worker, 5, 10 * _SECOND_US, own)


def _taken(registry: Registry, holder: str, seconds: int) -> Lease:
    lease = take_lease(registry, "governor", holder, seconds * _SECOND_US)
    assert lease is not None
    return lease


def _leased(registry: Registry, lease: Lease) -> Registry:
    registry.database = LeasedDatabase(registry.database, lease)
    return registry
