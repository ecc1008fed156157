"""A report of a measurement is kept with its trials and comes back as it was."""

from pathlib import Path

from tests.learning.changing import changing, filled

from flyball.learning.kept_report import KeptReport, kept_report
from flyball.registry import SearchTrial, searches_of


def test_a_report_is_kept_with_its_trials(tmp_path: Path) -> None:
    runtime = filled(tmp_path, changing(), 1)
    report = KeptReport(app="changing", metric="mae", seed=3, as_of_us=5, snapshot="abc")
    trials = [SearchTrial(candidate="linear", params={"trained": name}, share=1.0, value=1.5) for name in ("7d", "all")]
    kept = kept_report(runtime, report, "measured", trials, budget=2)
    (search,) = searches_of(runtime.registry)
    assert kept.search == search.id
    assert (search.how, search.budget, search.status, search.seed) == ("measured", 2, "done", 3)
    assert [trial.params["trained"] for trial in search.trials] == ["7d", "all"]
    assert search.about["search"] == kept.search
