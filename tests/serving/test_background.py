"""What runs beside the requests: the look at lag, catalog and release, and the writer of predictions."""

import os
import random
import shutil
from pathlib import Path
from typing import Any

import msgspec
import pytest

from flyball import ItemKNN
from flyball.core import BadInput, Counters, FileLock, ManualClock, StoreUnavailable, SystemStopwatch, new_id
from flyball.events import Appended, ErasedPeople
from flyball.outcomes import Prediction, prediction_of
from flyball.runtime import Runtime
from flyball.serving import Engine, Refresher, Service
from flyball.serving.metrics import ServingMetrics
from flyball.serving.prediction_writer import PredictionWriter
from flyball.tasks import FallbackLists, request_of, request_type
from flyball.testing import faulty
from flyball.testing.faulty import Faulty
from flyball.testing.requests import make_request

NOW_US = faulty.START_US + 2 * faulty.DAY_US
ASKED = request_type(faulty.app.task)


def refresher_of(home: Runtime, clock: ManualClock) -> Refresher:
    metrics = ServingMetrics(home.counters_folder, "test", SystemStopwatch())
    return Refresher(home, metrics, clock)


def catalog_of(refresher: Refresher) -> Any:
    fallback = refresher.engine.serving.fallback
    assert isinstance(fallback, FallbackLists)
    return fallback.catalog


def watch(home: Runtime, user: int, film: str, at_us: int) -> None:
    home.log.append([home.schema.check("watch", {"user": user, "film": film}, at_us, at_us)])


def flip_a_bit(file: Path) -> None:
    file.chmod(0o644)
    content = bytearray(file.read_bytes())
    content[-3] ^= 4
    with open(file, "r+b") as same:
        same.write(content)


def shorten(file: Path) -> None:
    file.chmod(0o644)
    os.truncate(file, 1)


class TestRefresher:
    def test_an_answer_says_how_far_the_state_lags_once_it_is_over_a_second(self, home: Runtime) -> None:
        clock = ManualClock(NOW_US)
        refresher = refresher_of(home, clock)
        refresher.step()
        watch(home, 7, "film-39", NOW_US)
        stale = []
        for _ in range(4):
            refresher.step()
            stale.append(refresher.engine.stale_us)
            clock.advance_us(600_000)
        assert stale == [0, 0, 1_200_000, 1_800_000]
        faulty.follow(home)
        refresher.step()
        assert refresher.engine.stale_us == 0

    def test_a_new_film_is_known_at_the_next_poll_the_catalog(self, home: Runtime) -> None:
        faulty.release(home, ItemKNN(), NOW_US)
        clock = ManualClock(NOW_US)
        refresher = refresher_of(home, clock)
        refresher.step()
        before = catalog_of(refresher)
        home.log.append([home.schema.check("card", {"film": "film-new", "genres": ["odd"]}, NOW_US, NOW_US)])
        faulty.follow(home)
        clock.advance_us(1_000_000)
        refresher.step()
        assert catalog_of(refresher) is before
        clock.advance_us(10_000_000)
        refresher.step()
        assert "film-new" in catalog_of(refresher).ids
        assert refresher.engine.serving.catalog_offsets == home.state.offsets()

    def test_a_start_on_a_state_that_is_behind_says_so_and_takes_films_within_a_second(self, empty: Runtime) -> None:
        empty.log.append([empty.schema.check("card", {"film": "film-1", "genres": ["odd"]}, NOW_US, NOW_US)])
        clock = ManualClock(NOW_US)
        refresher = refresher_of(empty, clock)
        refresher.step()
        filtered = make_request(empty, 7, NOW_US, random.Random(1), k=3, include={"genres": ["odd"]})
        answer = refresher.engine.from_fallback(filtered)
        assert (answer.items, answer.stale_us > 1_000_000) == ([], True)
        faulty.follow(empty)
        clock.advance_us(1_000_000)
        refresher.step()
        answer = refresher.engine.from_fallback(filtered)
        assert (answer.items, answer.stale_us) == (["film-1"], 0)

    def test_a_catalog_is_looked_at_each_second_while_the_state_lags(self, home: Runtime) -> None:
        clock = ManualClock(NOW_US)
        refresher = refresher_of(home, clock)
        refresher.step()
        home.log.append([home.schema.check("card", {"film": "film-new", "genres": ["odd"]}, NOW_US, NOW_US)])
        for _ in range(3):  # the state is seen to lag
            refresher.step()
            clock.advance_us(1_000_000)
        faulty.follow(home)
        refresher.step()
        assert "film-new" in catalog_of(refresher).ids

    def test_it_is_settled_once_the_champion_serves_or_there_is_none(self, home: Runtime, monkeypatch: Any) -> None:
        refresher = refresher_of(home, ManualClock(NOW_US))
        assert not refresher.settled
        refresher.step()
        assert refresher.settled
        faulty.release(home, ItemKNN(), NOW_US)
        later = refresher_of(home, ManualClock(NOW_US))

        def locked(registry: object) -> Any:
            raise StoreUnavailable("locked")

        with monkeypatch.context() as patched:
            patched.setattr("flyball.serving.versions.refresher.current", locked)
            later.step()
            assert not later.settled
            assert later.unready() == ["what is released is not known yet", "release could not be read: locked"]
        later.step()
        assert later.settled
        assert later.unready() == []

    def test_over_a_full_log_it_is_settled_once_a_list_can_be_given(self, empty: Runtime) -> None:
        clock = ManualClock(NOW_US)
        refresher = refresher_of(empty, clock)
        refresher.step()
        assert refresher.settled  # nothing is to come
        empty.log.append([empty.schema.check("card", {"film": "film-1", "genres": ["odd"]}, NOW_US, NOW_US)])
        refresher = refresher_of(empty, clock)
        refresher.step()
        assert not refresher.settled
        faulty.follow(empty)
        clock.move_to_us(NOW_US + 20_000_000)
        refresher.step()
        assert refresher.settled

    def test_it_is_not_settled_without_the_champion(self, home: Runtime) -> None:
        version = faulty.release(home, ItemKNN(), NOW_US)
        (home.artifacts / version.artifact).rename(home.artifacts / "aside")
        refresher = refresher_of(home, ManualClock(NOW_US))
        refresher.step()
        assert not refresher.settled
        assert refresher.unready() == []

    def test_a_damaged_version_is_tried_again_and_taken_once_it_is_repaired(self, home: Runtime) -> None:
        version = faulty.release(home, Faulty(), NOW_US)
        folder, aside = home.artifacts / version.artifact, home.artifacts / "aside"
        folder.rename(aside)
        clock = ManualClock(NOW_US)
        refresher = refresher_of(home, clock)
        refresher.step()
        assert "no such file" in refresher.reasons()[0]
        assert refresher.unready() == []
        aside.rename(folder)
        clock.advance_us(1_000_000)
        refresher.step()
        assert refresher.reasons()
        clock.advance_us(5_000_000)
        refresher.step()
        assert refresher.reasons() == []
        assert list(refresher.engine.serving.pipelines) == ["v1"]

    def test_a_clock_set_back_holds_up_no_look(self, home: Runtime) -> None:
        faulty.release(home, Faulty(), NOW_US)
        damaged = faulty.release(home, ItemKNN(), NOW_US)
        folder, aside = home.artifacts / damaged.artifact, home.artifacts / "aside"
        folder.rename(aside)
        refresher = refresher_of(home, ManualClock(NOW_US))
        refresher.step()
        assert list(refresher.engine.serving.pipelines) == ["v1"]
        aside.rename(folder)
        refresher._clock = ManualClock(NOW_US - faulty.DAY_US)
        faulty.release(home, Faulty(sign=-1), NOW_US)
        refresher.step()
        assert list(refresher.engine.serving.pipelines) == ["v3", "v2"]

    def test_a_file_that_was_written_to_takes_its_version_out_until_it_is_whole_again(self, home: Runtime) -> None:
        faulty.release(home, Faulty(), NOW_US)
        version = faulty.release(home, ItemKNN(), NOW_US)
        for damage in (flip_a_bit, shorten):
            for file in sorted((home.artifacts / version.artifact).iterdir()):
                clock = ManualClock(NOW_US)
                refresher = refresher_of(home, clock)
                refresher.step()
                assert list(refresher.engine.serving.pipelines) == ["v2", "v1"]
                whole = file.read_bytes()
                damage(file)
                refresher.step()
                assert list(refresher.engine.serving.pipelines) == ["v1"]
                assert "v2 is out of service" in refresher.reasons()[0]
                assert file.name in refresher.reasons()[0]
                file.write_bytes(whole)
                clock.advance_us(5_000_000)
                refresher.step()
                assert list(refresher.engine.serving.pipelines) == ["v2", "v1"]

    def test_files_that_are_touched_moved_back_or_gone_leave_their_version_in_service(self, home: Runtime) -> None:
        version = faulty.release(home, ItemKNN(), NOW_US)
        folder = home.artifacts / version.artifact
        refresher = refresher_of(home, ManualClock(NOW_US))
        refresher.step()
        loaded = refresher._loaded["v1"]
        for file in sorted(folder.iterdir()):
            os.utime(file, ns=(1, 1))
        refresher.step()
        shutil.copytree(folder, aside := home.artifacts / "aside")
        shutil.rmtree(folder)
        refresher.step()
        assert "v1 serves from memory, but" in refresher.reasons()[0]
        aside.rename(folder)
        refresher.step()
        assert refresher.reasons() == []
        assert refresher._loaded["v1"] is loaded

    def test_a_removal_that_was_interrupted_is_a_reason_and_one_that_runs_is_none(self, home: Runtime) -> None:
        faulty.release(home, Faulty(), NOW_US)
        refresher = refresher_of(home, ManualClock(NOW_US))
        refresher.step()
        home.layout.removal.mkdir()
        home.layout.removal_plan.write_bytes(b'{"action": "erase", "subject": "1 user"}')
        with FileLock(home.layout.removal_lock, "a removal"):
            assert refresher.reasons() == []
        assert "a removal was interrupted: flyball erase APP --continue" in refresher.reasons()[0]
        assert refresher.unready() == []

    def test_what_cannot_be_read_stays_as_it_was(self, home: Runtime, monkeypatch: Any) -> None:
        faulty.release(home, Faulty(), NOW_US)
        clock = ManualClock(NOW_US)
        refresher = refresher_of(home, clock)
        refresher.step()

        def locked(registry: object) -> Any:
            raise StoreUnavailable("locked")

        monkeypatch.setattr("flyball.serving.versions.refresher.current", locked)
        refresher.step()
        assert list(refresher.engine.serving.pipelines) == ["v1"]
        assert refresher.reasons() == ["release could not be read: locked"]


class Log:
    """Keeps what is appended; refuses while `locked`."""

    def __init__(self) -> None:
        self.records: list[Any] = []
        self.sizes: list[int] = []
        self.locked = False
        self.too_large: set[int] = set()

    def append(self, records: list[Any]) -> Appended:
        if self.locked:
            raise StoreUnavailable("locked")
        if any(record.at in self.too_large for record in records):
            raise BadInput("size of a record", "at most 10", 11)
        self.records += records
        self.sizes.append(len(records))
        return Appended(len(records), [])


def predictions(count: int) -> list[Prediction]:
    rng, engine = random.Random(2), Engine(lambda requests: ([], ()), lambda *message: None)
    return [
        engine.from_fallback(request_of(ASKED, new_id(NOW_US + place, rng), NOW_US + place, {"user": 7, "k": 5}))
        for place in range(count)
    ]


class TestWriter:
    @pytest.fixture
    def metrics(self, tmp_path: Path) -> ServingMetrics:
        return ServingMetrics(tmp_path, "test", SystemStopwatch())

    def test_records_come_in_order_and_in_appends_of_500_at_most(self, metrics: ServingMetrics) -> None:
        log = Log()
        writer = PredictionWriter(lambda: log, metrics, "w")  # type: ignore[arg-type,return-value]
        given = predictions(1_200)
        for prediction in given:
            writer.put(prediction, 7)
        assert writer.flush()
        assert log.sizes == [500, 500, 200]
        back = [prediction_of(record) for record in log.records]
        assert [one.id for one in back] == [one.id for one in given]
        assert {(one.took_us, one.worker) for one in back} == {(7, "w")}

    def test_who_was_erased_after_the_answer_is_not_written_after_it(
        self, metrics: ServingMetrics, tmp_path: Path
    ) -> None:
        log, erased, given = Log(), ErasedPeople(tmp_path / "erased.json"), predictions(5)
        named = {given[1].id: [("user", "1")], given[3].id: [("film", "a"), ("user", "1")]}
        writer = PredictionWriter(
            lambda: log,  # type: ignore[arg-type,return-value]
            metrics,
            "w",
            erased=erased,
            named=lambda prediction: iter(named.get(prediction.id, [])),
        )
        for prediction in given:
            writer.put(prediction, 7)
        erased.add([("user", "1")], given[1].at_us)
        later = msgspec.structs.replace(
            given[1], id=new_id(given[1].at_us + 1, random.Random(9)), at_us=given[1].at_us + 1
        )
        named[later.id] = [("user", "1")]
        writer.put(later, 7)
        assert writer.flush()
        back = [prediction_of(record).id for record in log.records]
        expected = [one.id for one in given if one.id not in named or one.at_us > given[1].at_us]
        assert back == [*expected, later.id], "who comes back after it is somebody new"
        assert writer.recent(given[1].id) is None

    def test_while_the_log_is_locked_records_wait_up_to_a_bound_and_then_are_counted(
        self, metrics: ServingMetrics
    ) -> None:
        log = Log()
        log.locked = True
        writer = PredictionWriter(lambda: log, metrics, "w", bound=10)  # type: ignore[arg-type,return-value]
        given = predictions(13)
        for prediction in given:
            writer.put(prediction, 7)
            assert not writer.flush()
        assert metrics.counters.get("predictions|dropped") == 3
        found = writer.recent(given[0].id)
        assert found is not None
        assert found.worker == "w"
        log.locked = False
        assert writer.flush()
        assert [record.key for record in log.records] == ["7"] * 10
        assert writer.recent(given[0].id) is None
        assert metrics.counters.get("predictions|written") == 10

    def test_a_record_that_the_log_does_not_allow_is_counted_and_holds_up_nothing(
        self, metrics: ServingMetrics
    ) -> None:
        log, waiting = Log(), predictions(40)
        log.too_large = {NOW_US + 3, NOW_US + 31}
        writer = PredictionWriter(lambda: log, metrics, "w")  # type: ignore[arg-type,return-value]
        for prediction in waiting:
            writer.put(prediction, 7)
        assert writer.flush()
        assert [record.at - NOW_US for record in log.records] == [n for n in range(40) if n not in (3, 31)]
        counts = {name: metrics.counters.get(f"predictions|{name}") for name in ("written", "refused")}
        assert counts == {"written": 38, "refused": 2}
        assert writer.recent(waiting[3].id) is None

    def test_stopping_writes_what_waits(self, metrics: ServingMetrics) -> None:
        log = Log()
        writer = PredictionWriter(lambda: log, metrics, "w")  # type: ignore[arg-type,return-value]
        writer.start()
        for prediction in predictions(3):
            writer.put(prediction, 7)
        assert writer.stop() == 0
        assert len(log.records) == 3


class TestMetrics:
    def test_a_failure_is_counted_each_time_and_logged_once_a_second(self, tmp_path: Path, caplog: Any) -> None:
        class Hand:
            now_s = 0.0

            def read_s(self) -> float:
                return self.now_s

        hand = Hand()
        metrics = ServingMetrics(tmp_path, "test", hand)
        for now_s in (0.0, 0.5, 0.9, 1.1):
            hand.now_s = now_s
            metrics.note("state", "store", StoreUnavailable("gone"))
        assert metrics.counters.get("failures|state") == 4
        assert len(caplog.records) == 2

    def test_a_lasting_failure_is_logged_once_on_change_and_when_healed(self, tmp_path: Path, caplog: Any) -> None:
        metrics = ServingMetrics(tmp_path, "test", SystemStopwatch())
        for reason in ("gone", "gone", "gone", "locked", "gone"):
            metrics.note("load", "v2", StoreUnavailable(reason))
        metrics.note("load", "v3", "gone")
        metrics.healed("load", "v2")
        metrics.healed("load", "v2")
        metrics.forget("load", ["v3"])
        metrics.healed("load", "v3")
        assert [record.getMessage() for record in caplog.records] == [
            "a version could not be loaded: v2: StoreUnavailable: gone",
            "a version could not be loaded: v2: StoreUnavailable: locked",
            "a version could not be loaded: v2: StoreUnavailable: gone",
            "a version could not be loaded: v3: gone",
            "a version could not be loaded, and is over: v2 (StoreUnavailable: gone)",
        ]
        assert metrics.counters.get("failures|load") == 6

    def test_a_restarted_process_continues_its_counts_but_not_its_gauges(self, tmp_path: Path) -> None:
        first = ServingMetrics(tmp_path, "test", SystemStopwatch())
        first.answered("champion", 0.002)
        first.gauge("queue", 9)
        ServingMetrics(tmp_path, "test", SystemStopwatch())
        total = Counters.sum(tmp_path)
        assert (total["answers|champion"], total["gauge|queue"]) == (1, 0)


def test_a_version_that_cannot_be_loaded_is_logged_once_and_when_it_is_back(home: Runtime, caplog: Any) -> None:
    version = faulty.release(home, ItemKNN(), NOW_US)
    artifact, clock = home.artifacts / version.artifact, ManualClock(NOW_US)
    artifact.rename(artifact.with_name("aside"))
    refresher = Service(home, "test", random.Random(3), clock=clock).refresher
    for _ in range(5):
        refresher.step()
        clock.advance_us(6_000_000)
    assert [record.getMessage()[:34] for record in caplog.records] == ["a version could not be loaded: v1:"]
    artifact.with_name("aside").rename(artifact)
    for _ in range(3):
        refresher.step()
        clock.advance_us(6_000_000)
    assert "v1" in refresher.engine.serving.pipelines
    (over,) = [record.getMessage() for record in caplog.records][1:]
    assert over.startswith("a version could not be loaded, and is over: v1 (")


def test_a_click_is_left_out_of_the_next_list_and_changes_it(home: Runtime) -> None:
    faulty.release(home, ItemKNN(), NOW_US)
    service = Service(home, "test", random.Random(3))
    service.refresher.step()

    def shown() -> list[str]:
        return service.engine.answer([service.requests.plain("7")])[0].items

    before = shown()
    watch(home, 7, before[0], NOW_US)
    faulty.follow(home)
    after = shown()
    assert before[0] not in after
    assert after != before[1:]
