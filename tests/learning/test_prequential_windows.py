"""Windows in a row: each trained on what was known before it, none over another, the last that of learning."""

from pathlib import Path

import pytest
from tests.cli.conftest import call

from flyball.app import App, load_app
from flyball.core import BadInput, ManualClock, NotFound, Refused
from flyball.learning import PrequentialReport, last_prequential, learn, prequential, prequential_of
from flyball.registry import searches_of
from flyball.runtime import Runtime, load_settings
from flyball.simulation import DAY_US, new_plan, seed_home

FILE = Path(__file__).parents[1] / "tasks" / "predict" / "city.py"
START_US = 1_767_225_600_000_000
NOW_US = START_US + 3 * DAY_US
SPAN_US = 6 * 3_600_000_000
"""Of the label: how long a delivery may take."""


def city() -> App:
    return load_app(str(FILE))


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("prequential")
    runtime = Runtime(city(), load_settings(folder), ManualClock(NOW_US))
    seed_home(runtime, new_plan(runtime.app, NOW_US))
    return folder


def runtime_of(home: Path) -> Runtime:
    return Runtime(city(), load_settings(home), ManualClock(NOW_US))


@pytest.fixture(scope="module")
def report(home: Path) -> PrequentialReport:
    return prequential(runtime_of(home), 3, seed=1)


def test_windows_of_one_length_lie_in_a_row_and_each_is_learned_for_by_what_was_known(
    report: PrequentialReport,
) -> None:
    assert len(report.windows) == 3
    for window in report.windows:
        assert window.known_us == window.start_us - 1
    for earlier, later in zip(report.windows, report.windows[1:], strict=False):
        assert earlier.end_us == later.start_us
    assert len({window.end_us - window.start_us for window in report.windows}) == 1


def test_windows_may_have_a_length_of_their_own(home: Path) -> None:
    report = prequential(runtime_of(home), 4, ["median"], span_us=SPAN_US)
    spans = [(window.start_us, window.end_us) for window in report.windows]
    assert [end_us - start_us for start_us, end_us in spans] == [SPAN_US] * 4
    assert [start_us for start_us, _ in spans[1:]] == [end_us for _, end_us in spans[:-1]]
    with pytest.raises(BadInput, match="length of a window must be longer than 0"):
        prequential(runtime_of(home), 4, span_us=0)


def test_the_last_window_is_that_of_learning(report: PrequentialReport, home: Path) -> None:
    learned = learn(runtime_of(home), workers=1, seed=1)
    metrics = {one.name: one.metrics["mae"]["value"] for one in learned.candidates}
    last = report.windows[-1]
    assert {name: each["mae"].value for name, each in last.metrics.items()} == pytest.approx(metrics)


def test_the_mean_is_over_the_windows_and_the_better_model_is_better_in_each(report: PrequentialReport) -> None:
    for window in report.windows:
        assert window.metrics["linear"]["mae"].value < window.metrics["constant"]["mae"].value
    values = [window.metrics["linear"]["mae"].value for window in report.windows]
    assert report.mean["linear"] == pytest.approx(sum(values) / 3)
    assert list(report.mean) == ["median", "linear", "constant"]


def test_the_report_is_kept_with_a_trial_for_each_fit(report: PrequentialReport, home: Path) -> None:
    (search,) = searches_of(runtime_of(home).registry, report.search)
    assert (search.how, search.status, search.metric) == ("prequential", "done", "mae")
    assert prequential_of(search) == report
    values = [(window, name) for window in report.windows for name in ("median", "linear", "constant")]
    assert {(trial.candidate, trial.value) for trial in search.trials} == {
        (name, window.metrics[name]["mae"].value) for window, name in values
    }


def test_the_newest_of_a_candidate_is_found(report: PrequentialReport, home: Path) -> None:
    runtime = runtime_of(home)
    newer = prequential(runtime, 1, ["median"])
    assert last_prequential(runtime.registry, "median") == newer
    assert last_prequential(runtime.registry, "linear") == report
    assert last_prequential(runtime.registry, "trees") is None


def test_any_metric_is_averaged_over_the_windows(report: PrequentialReport) -> None:
    values = [window.metrics["linear"]["rmse"].value for window in report.windows]
    mean = sum(values) / 3
    deviation = (sum((value - mean) ** 2 for value in values) / 3) ** 0.5
    assert report.over_windows("linear", "rmse") == pytest.approx((mean, deviation))
    assert report.over_windows("linear", "ndcg") is None


def test_where_history_ends_there_are_fewer_windows(home: Path) -> None:
    report = prequential(runtime_of(home), 50, ["median"])
    assert 3 <= len(report.windows) < 50
    assert "too little" in report.note or "nothing to learn from" in report.note
    assert list(report.mean) == ["median", "constant"]


def test_what_cannot_be_is_refused(home: Path, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="windows"):
        prequential(runtime_of(home), 0)
    with pytest.raises(NotFound):
        prequential(runtime_of(home), 2, ["trees"])
    with pytest.raises(Refused, match="0 of 2 windows"):
        prequential(runtime_of(tmp_path), 2)


def test_the_command_shows_a_row_for_each_window(home: Path) -> None:
    ran = call("search", "prequential", str(FILE), "--windows", "2", "--home", str(home))
    assert ran.code == 0, ran.out + ran.err
    assert "mae in 2 windows" in ran.out
    assert "mean ± deviation" in ran.out
    newest = call("search", "list", str(FILE), "--home", str(home), "--json").last["searches"][-1]["id"]
    again = call("search", "list", str(FILE), newest, "--home", str(home))
    assert "mae in 2 windows" in again.out
    spanned = call("search", "prequential", str(FILE), "--windows", "3", "--span", "4h", "--home", str(home), "--json")
    assert {window["end_us"] - window["start_us"] for window in spanned.last["windows"]} == {4 * 3_600_000_000}
