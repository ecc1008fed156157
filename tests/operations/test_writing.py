"""Commands beside the log worker of some machine write to shared stores with the token of the lease, or not at all."""

import socket
import threading
from pathlib import Path

import pytest
from tests.processes import until

from flyball.apps import movies
from flyball.core import ManualClock, Refused, SystemStopwatch
from flyball.operations import catch_up, holding_leases, writing_online
from flyball.operations.partition_shares import renewers_of, tokens_of
from flyball.registry import Registry, lease_standings, leave_partitions, share_partitions, take_lease
from flyball.runtime import Runtime, load_settings
from flyball.stores import MemoryStore

MINUTE_US = 60_000_000


class Claimed(MemoryStore):
    """A store that notes the token with which it is claimed."""

    token = 0

    def claim(self, token: int, partition: int | None = None) -> None:
        if partition is None:
            self.token = token
        else:
            self.of_partitions[partition] = token

    def __init__(self) -> None:
        super().__init__()
        self.of_partitions: dict[int, int] = {}


@pytest.fixture
def runtime(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Runtime:
    """One that shares its online stores, as those on servers are."""
    for module in ("writing", "partition_shares"):
        monkeypatch.setattr(
            f"flyball.operations.{module}.worker_leases", lambda runtime: ["partitions", "online", "outcomes"]
        )
    opened = Runtime(movies.make_app(), load_settings(tmp_path), ManualClock(0))
    opened.__dict__["state"], opened.__dict__["feature_state"] = Claimed(), Claimed()
    return opened


def holder_in(home: Path) -> str:
    return f"{socket.gethostname()}:{home}:1"


def held(runtime: Runtime) -> dict[str, str]:
    return {lease.name: lease.holder for lease in lease_standings(runtime.registry) if lease.left_us}


def test_a_free_lease_is_taken_meanwhile_and_given_back(runtime: Runtime) -> None:
    with writing_online(runtime):
        assert held(runtime)["online"].startswith(f"{socket.gethostname()}:{runtime.home}:")
        (lease,) = lease_standings(runtime.registry)
        assert runtime.state.token == runtime.feature_state.token == lease.token  # type: ignore[attr-defined]
    assert held(runtime) == {}


def test_beside_the_worker_of_this_home_its_token_serves(runtime: Runtime) -> None:
    lease = take_lease(Registry(runtime.settings.registry), "online", holder_in(runtime.home), MINUTE_US)
    assert lease is not None
    with writing_online(runtime):
        assert runtime.feature_state.token == lease.token  # type: ignore[attr-defined]
    assert list(held(runtime)) == ["online"], "it stays the worker's"


def test_while_another_machine_has_the_lease_nothing_is_written_and_the_message_names_it(
    runtime: Runtime, tmp_path: Path
) -> None:
    other = holder_in(tmp_path / "elsewhere")
    take_lease(Registry(runtime.settings.registry), "online", other, MINUTE_US)
    with (
        pytest.raises(Refused, match=f"lease online must be free or of this home .*got one of {other} for another"),
        writing_online(runtime),
    ):
        pytest.fail("it must not come to a write")
    assert runtime.feature_state.token == 0  # type: ignore[attr-defined]


def test_catching_up_takes_all_leases_or_does_nothing(runtime: Runtime, tmp_path: Path) -> None:
    assert catch_up(runtime) == 0
    assert held(runtime) == {}
    assert runtime.state.token > 0  # type: ignore[attr-defined]
    assert sorted(runtime.state.of_partitions) == [0, 1, 2, 3]  # type: ignore[attr-defined]
    worker = share_partitions(Registry(runtime.settings.registry), "elsewhere", 4, MINUTE_US, {})
    assert catch_up(runtime) == 0
    assert sum(holder == "elsewhere" for holder in held(runtime).values()) == 5, "its partitions stay the worker's"
    leave_partitions(Registry(runtime.settings.registry), "elsewhere", worker)
    take_lease(Registry(runtime.settings.registry), "outcomes", holder_in(tmp_path / "elsewhere"), MINUTE_US)
    claimed = runtime.state.token  # type: ignore[attr-defined]
    assert catch_up(runtime) == 0
    assert runtime.state.token == claimed  # type: ignore[attr-defined]
    assert list(held(runtime)) == ["outcomes"]


def test_a_removal_asks_the_workers_of_other_machines_to_give_way(runtime: Runtime, tmp_path: Path) -> None:
    settings = load_settings(tmp_path / "elsewhere", options={"registry": runtime.settings.registry})
    elsewhere = Runtime(movies.make_app(), settings, ManualClock(0))
    others = renewers_of(elsewhere)
    for renewer in others.values():
        renewer.step()
    assert len(tokens_of(others)) == 6
    with holding_leases(runtime) as tokens:
        assert tokens is None, "without waiting nobody is asked"
    stop = threading.Event()

    def renew() -> None:
        while not stop.wait(0.02):
            for renewer in others.values():
                renewer.step()

    thread = threading.Thread(target=renew)
    thread.start()
    try:
        with holding_leases(runtime, SystemStopwatch(), 20.0) as tokens:
            assert tokens is not None
            assert sorted(tokens) == ["online", "outcomes", *[f"partition {part}" for part in range(4)]]
            assert tokens_of(others) == {}
        until(lambda: len(tokens_of(others)) == 6)
    finally:
        stop.set()
        thread.join()
