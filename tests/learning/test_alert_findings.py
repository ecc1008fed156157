"""Findings are open while their alert fires; those that a silence covers start nothing."""

from pathlib import Path

import msgspec
import pytest
from tests.learning.changing import START_US, changing

from flyball.core import ManualClock
from flyball.learning import open_findings
from flyball.monitoring import Finding, clear, record_findings
from flyball.runtime import Runtime, load_settings


@pytest.fixture
def runtime(tmp_path: Path) -> Runtime:
    return Runtime(changing(), load_settings(tmp_path), ManualClock(START_US))


def test_a_finding_is_open_from_its_first_look_to_the_one_that_does_not_see_it(runtime: Runtime) -> None:
    assert open_findings(runtime.registry) == ()
    finding = Finding("label", "outcomes.delivery", START_US, START_US - 5, "high", "slower", "world")
    record_findings(runtime, [finding], START_US)
    assert open_findings(runtime.registry) == (finding,)
    later = msgspec.structs.replace(finding, at_us=START_US + 9, message="slower still")
    record_findings(runtime, [later], START_US + 9)
    assert open_findings(runtime.registry) == (later,)
    clear(runtime, finding.fingerprint, START_US + 20)
    assert open_findings(runtime.registry) == ()
