"""Two machines (two homes) on one PostgreSQL server: one leads; a leader that is killed or paused is replaced, and one
that wakes up writes nothing."""

import os
import signal
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from threading import Event

import pytest
from tests.cinema import CINEMA
from tests.live.instance import REFUSED, Instance, until
from tests.live.postgres import GIVEN, HERE, MISSING

from flyball.core import StoreUnavailable, SystemStopwatch
from flyball.registry import LeaseStanding, Registry, lease_standings, partition_leases, share_partitions

pytestmark = [pytest.mark.live, pytest.mark.skipif(not GIVEN and not HERE, reason=MISSING)]

APP = (
    CINEMA
    + """
app = fb.App(
    "cinema",
    events=[Watch],
    task=fb.Recommend(fb.Entity("user"), fb.Entity("film"), positive=fb.outcome(Watch, within="1d"), k=8),
    candidates={"popular": fb.Popular()},
)
"""
)


def leader(url: str) -> LeaseStanding | None:
    """Who holds the lease of the governor."""
    standings = [lease for lease in lease_standings(Registry(url)) if lease.name == "governor" and lease.left_us]
    return standings[0] if standings else None


def signal_group(pid: int, number: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, number)


def test_a_leader_that_is_paused_or_killed_is_replaced_and_writes_nothing_after(url: str, tmp_path: Path) -> None:
    (tmp_path / "cinema.py").write_text(APP)
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "settings.toml").write_text(f'registry = "{url}"\nlease = "2s"\nworkers = 1\n')
    instances = {name: Instance(tmp_path, home=name) for name in ("a", "b")}

    def machine_of(lease: LeaseStanding) -> str:
        return Path(lease.holder.split(":")[1]).name

    try:
        until(lambda: all("governor" in instance.children() for instance in instances.values()))
        first = until(lambda: leader(url))
        paused = int(first.holder.rpartition(":")[2])
        signal_group(paused, signal.SIGSTOP)
        second = until(lambda: (now := leader(url)) and now.token > first.token and now)
        assert machine_of(second) != machine_of(first)
        signal_group(paused, signal.SIGCONT)
        log = tmp_path / machine_of(first) / "run" / "logs" / "governor.log"
        until(lambda: f"lease governor must be held with token {first.token}, got" in log.read_text())
        signal_group(int(second.holder.rpartition(":")[2]), signal.SIGKILL)
        third = until(lambda: (now := leader(url)) and now.token > second.token and now)
        assert third.holder not in (first.holder, second.holder) or machine_of(third) == machine_of(first)
    finally:
        for instance in instances.values():
            instance.end()


def test_one_that_is_paused_while_it_takes_leases_keeps_others_waiting_for_as_long_as_a_lease_lasts(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    paused, awake, second_us = Event(), Event(), 1_000_000
    quota = partition_leases.quota_of

    def pausing(member: str, assigned: Mapping[str, int], partitions: int) -> int:
        if member == "paused":
            paused.set()
            awake.wait()
        return quota(member, assigned, partitions)

    monkeypatch.setattr(partition_leases, "quota_of", pausing)
    with ThreadPoolExecutor(1) as pool:
        sharing = pool.submit(share_partitions, Registry(url), "paused", 4, 2 * second_us, {})
        assert paused.wait(30)
        watch = SystemStopwatch()
        began_s = watch.read_s()
        shares = until(
            lambda: share_partitions(Registry(url), "b", 4, 2 * second_us, {}), passing=(StoreUnavailable, *REFUSED)
        )
        took_s = watch.read_s() - began_s
        awake.set()
        assert list(shares) == [0, 1, 2, 3]
        with pytest.raises(StoreUnavailable):
            sharing.result()
    assert took_s < 45, "the limit of other transactions is 60 s"
