"""Ray keeps the contract of compute on a real cluster, and learning on it makes the artifacts of local processes.

The cluster is the one `TEST_RAY_URL` names (CI sets it, see `scripts/with-ray`); without it these tests are skipped.
The one that ends a node starts a cluster of its own.
"""

import os
import shutil
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Annotated

import polars as pl
import pytest
from msgspec.structs import replace
from tests.learning.conftest import Shop, timeless
from tests.processes import until
from tests.provenance.conftest import Cinema

from flyball.app import load_app
from flyball.compute import Compute, open_compute, run_tasks
from flyball.core import StoreUnavailable
from flyball.events import Event, Ref
from flyball.features import Entity, backfill, count, point_in_time
from flyball.learning import backtest, learn, parse_policy, search_parameters
from flyball.provenance import replay_many
from flyball.registry import searches_of
from flyball.runtime import Runtime, load_settings
from flyball.testing.compute_contract import CHECKS, OpenCompute, act

URL = os.environ.get("TEST_RAY_URL", "")
ENGINE = Path(__file__).parents[2] / ".ci" / "engines" / "ray"

pytestmark = [pytest.mark.live, pytest.mark.skipif(not URL, reason="no TEST_RAY_URL")]


class Visit(Event):
    user: Annotated[int, Ref("user")]


def opened(retries: int) -> Compute:
    return open_compute(f"{URL}?retries={retries}", 2)


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_contract(check: Callable[[OpenCompute, Path], None], tmp_path: Path) -> None:
    check(opened, tmp_path)


def test_learning_makes_the_same_artifacts_as_with_local_processes(tmp_path: Path) -> None:
    shop, files = Shop(tmp_path), []
    for compute in ("processes://", URL):
        folder = tmp_path / f"home-{len(files)}"
        settings = load_settings(folder, options={"compute": compute, "app": {"broken": "raise"}})
        runtime = Runtime(load_app(str(shop.file), settings.app), settings, shop.clock)
        shop.likes(runtime)
        report = learn(runtime, seed=3)
        versions = runtime.registry.versions()
        assert report.status == "done"
        assert [version.state for version in versions if version.candidate == "broken-raise"] == ["rejected"]
        files.append({version.candidate: version.artifact_files for version in versions})
    assert files[0] == files[1]
    assert all(files[0][name] for name in ("popular", "together"))


def test_replays_on_the_cluster_are_those_of_this_process(tmp_path: Path) -> None:
    learned = Cinema(tmp_path)
    learned.fill()
    learned.learn()
    for user in range(1, 9):
        learned.answer(user)
    with closing(opened(1)) as compute:
        assert replay_many(learned.runtime, 8, compute, at_once=3) == replay_many(learned.runtime, 8)
    assert replay_many(learned.runtime, 8).all_identical


def test_a_search_makes_the_same_trials_as_in_this_process(tmp_path: Path) -> None:
    shop, trials = Shop(tmp_path), []
    for compute in ("processes://", URL):
        settings = load_settings(tmp_path / f"home-{len(trials)}", options={"compute": compute})
        runtime = Runtime(load_app(str(shop.file)), settings, shop.clock)
        shop.likes(runtime)
        search_parameters(runtime, ["together", "popular"], budget=2, seed=2)
        trials.append([replace(trial, seconds=0.0) for trial in searches_of(runtime.registry)[0].trials])
    assert trials[0] == trials[1]
    assert len(trials[0]) >= 2


def test_a_backtest_makes_the_models_and_metrics_of_this_process(tmp_path: Path) -> None:
    shop, reports = Shop(tmp_path), []
    for compute in ("processes://", f"{URL}?retries=2"):
        settings = load_settings(tmp_path / f"home-{len(reports)}", options={"compute": compute})
        runtime = Runtime(load_app(str(shop.file)), settings, shop.clock)
        shop.likes(runtime)
        policies = [parse_policy(text, "ndcg@5") for text in ("manual", "every:1d", "performance:5%")]
        reports.append(timeless(backtest(runtime, policies, windows=3, candidate="together")))
    assert reports[0] == reports[1]
    assert all(all(result.models) for result in reports[0].policies)


def test_a_backfill_by_ranges_is_what_one_computation_gives(tmp_path: Path) -> None:
    user = Entity("user", seen=count(Visit, "7d"))
    columns = {"user": [n % 40 for n in range(400)], "at": list(range(400)), "known_at": list(range(400))}
    events = pl.DataFrame({**columns, "partition": 0, "offset": list(range(400)), "flags": 0})
    events.write_parquet(tmp_path / "visit.parquet")
    rows = pl.DataFrame({"user": [n % 45 for n in range(90)], "at": [10_000_000] * 90})
    compute = opened(1)
    computed = backfill([user], {"visit": [tmp_path / "visit.parquet"]}, rows, tmp_path / "out", compute=compute)
    compute.close()
    assert computed.equals(point_in_time([user], {"visit": events}, rows))
    assert computed.columns[-1] == "user.seen"


@pytest.fixture
def own_cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    folder = tmp_path / "cluster"
    if shared := os.environ.get("RAY_AUTH_TOKEN_PATH"):  # Ray reads its token once in a process: both have the same
        folder.mkdir(mode=0o700)
        shutil.copy(shared, folder / "token")
    subprocess.run([ENGINE, "start", folder], check=True, capture_output=True, timeout=180)
    monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", str(folder / "token"))
    yield folder
    subprocess.run([ENGINE, "stop", folder], check=True, timeout=60)


def end_session(pid: int) -> None:
    """End all processes of a node, as when its machine loses power."""
    pids = subprocess.run(["ps", "-o", "pid=", "--sid", str(pid)], capture_output=True, text=True, check=True).stdout
    for process in pids.split():
        os.kill(int(process), signal.SIGKILL)


def test_a_node_that_is_lost_costs_its_tasks_only(own_cluster: Path, tmp_path: Path) -> None:
    compute = open_compute(f"ray://{(own_cluster / 'address').read_text().strip()}?retries=2", 2)
    started = tmp_path / "hold once"

    def lose_node() -> None:
        until(lambda: started.exists() and len(started.read_text().splitlines()) >= 1)
        end_session(int((own_cluster / "pid2").read_text()))
        for pid in started.read_text().split():  # if it was on the other node, that one goes on when this one is gone
            os.kill(int(pid), signal.SIGKILL) if Path(f"/proc/{pid}").exists() else None

    killer = threading.Thread(target=lose_node)
    killer.start()
    outcomes = dict(run_tasks(compute, act, [("hold once", str(tmp_path)), *((f"t{n}",) for n in range(8))]))
    killer.join()
    compute.close()
    assert outcomes == {0: "HOLD ONCE", **{n + 1: f"T{n}" for n in range(8)}}


def test_a_cluster_that_is_not_there_is_named() -> None:
    with pytest.raises(StoreUnavailable, match=r"compute ray://127.0.0.1:9 must answer"):
        list(run_tasks(open_compute("ray://127.0.0.1:9", 2), act, [("a",)]))
