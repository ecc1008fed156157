"""Version skew: what processes report beside the registry, with digests that were replaced on one side."""

from math import inf
from pathlib import Path
from types import SimpleNamespace

import pytest
from msgspec.structs import replace

from flyball import ItemKNN
from flyball.core import ManualClock
from flyball.monitoring import (
    ServingReport,
    artifact_digest,
    declaration_digest,
    read_serving_reports,
    served_version,
    write_serving_report,
)
from flyball.monitoring.watch.serving_reports import skew_facts
from flyball.runtime import Runtime
from flyball.testing import faulty

NOW_US = faulty.START_US + 2 * faulty.DAY_US


@pytest.fixture
def home(tmp_path: Path) -> Runtime:
    """A home whose champion is v1."""
    runtime = faulty.open_home(tmp_path / "home", ManualClock(NOW_US))
    faulty.fill(runtime)
    faulty.release(runtime, ItemKNN(), NOW_US)
    return runtime


def report_of(runtime: Runtime, **changes: object) -> ServingReport:
    version = served_version(runtime.registry.version("v1"), runtime.app)
    fields = {"process": "s1", "pid": 77, "at_us": NOW_US, "declared": declaration_digest(runtime.app)}
    return ServingReport(**{**fields, "versions": {"v1": version}, **changes})  # type: ignore[arg-type]


def facts(runtime: Runtime, *reports: ServingReport):  # type: ignore[no-untyped-def]
    return skew_facts(reports, runtime.registry, declaration_digest(runtime.app))


def test_a_process_that_serves_what_the_registry_holds_is_fine(home: Runtime) -> None:
    (fact,) = facts(home, report_of(home))
    assert (fact.monitor, fact.subject, fact.matters, fact.e_value) == ("version_skew", "processes.s1", False, 0.5)


def test_another_artifact_than_the_registry_holds_is_named_with_both_digests(home: Runtime) -> None:
    """The registry was restored from a backup of another home, in which v1 was another model."""
    files = home.registry.version("v1").artifact_files
    name = next(iter(files))
    other = artifact_digest({**files, name: "0" * 64})
    served = served_version(home.registry.version("v1"), home.app)
    skewed = report_of(home, process="s2", versions={"v1": type(served)(other, served.features)})
    fine, wrong = facts(home, report_of(home), skewed)
    assert not fine.matters
    assert (wrong.matters, wrong.e_value, wrong.severity, wrong.origin) == (True, inf, "high", "own")
    assert wrong.message == (
        f"process s2 (77) serves v1 with artifact {other[:12]}, the registry holds {artifact_digest(files)[:12]}: "
        "restart it (flyball up)"
    )


def test_a_version_that_the_registry_does_not_hold_is_named(home: Runtime) -> None:
    served = report_of(home).versions["v1"]
    (fact,) = facts(home, report_of(home, versions={"v9": served}))
    assert f"process s1 (77) serves v9 ({served.artifact[:12]}), which the registry does not hold" in fact.message


def test_features_that_are_computed_otherwise_than_they_were_learned_are_named(home: Runtime) -> None:
    version = home.registry.version("v1")
    learned = replace(version, features={"user.seen": "a" * 64, "user.new": "b" * 64})

    class Known:
        def version(self, name: str) -> object:
            return learned

    served = type(report_of(home).versions["v1"])(artifact_digest(version.artifact_files), {"user.seen": "c" * 64})
    (fact,) = skew_facts([report_of(home, versions={"v1": served})], Known(), declaration_digest(home.app))  # type: ignore[arg-type]
    assert (
        "computes user.seen and 1 more of v1 by definition cccccccccccc, the version learned aaaaaaaaaaaa"
        in fact.message
    )
    assert fact.severity == "high"


def test_an_earlier_declaration_is_of_low_severity(home: Runtime) -> None:
    (fact,) = facts(home, report_of(home, declared="e" * 64))
    now = declaration_digest(home.app)[:12]
    assert fact.message == (
        f"process s1 (77) runs the application as it was declared before (digest eeeeeeeeeeee, now {now}): restart it "
        "(flyball up)"
    )
    assert (fact.matters, fact.severity) == (True, "low")


def test_reports_are_read_as_they_were_written_and_others_left_out(home: Runtime, tmp_path: Path) -> None:
    assert read_serving_reports(tmp_path) == []
    first, second = report_of(home), report_of(home, process="s2")
    for report in (first, report_of(home, process="s2", pid=1), second):
        write_serving_report(tmp_path, report)
    (tmp_path / "serving" / "torn.json").write_bytes(b'{"process": "s3"')
    assert read_serving_reports(tmp_path) == [first, second]


def test_a_digest_of_a_declaration_follows_what_answers_depend_on(home: Runtime) -> None:
    app = home.app
    digest = declaration_digest(app)
    longer = SimpleNamespace(task=replace(app.task, k=app.task.k + 1), candidates=app.candidates)  # type: ignore[type-var]
    as_before = SimpleNamespace(task=replace(app.task), candidates=dict(app.candidates))  # type: ignore[type-var]
    assert declaration_digest(as_before) == digest  # type: ignore[arg-type]
    assert declaration_digest(longer) != digest  # type: ignore[arg-type]
