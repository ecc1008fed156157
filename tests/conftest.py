"""Rules for all tests: Hypothesis repeats itself in CI, a skipped test is a failure there unless it is allowed, and
records are shown as events."""

import gc
import os
from collections.abc import Generator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, settings
from tests import readable

readable.install()
FOLDERS = [path.name for path in Path(__file__).parent.iterdir() if path.is_dir() and path.name != "__pycache__"]
pytest.register_assert_rewrite(*(f"tests.{name}" for name in FOLDERS))  # failures in helpers show both sides, too

ALLOWED = Path(__file__).parent / "allowed_skips.txt"
IN_CI = os.environ.get("CI") == "true"

settings.register_profile("ci", derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("dev", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile(  # for planted errors: that an example fails is all that is asked
    "planted",
    deadline=None,
    database=None,
    phases=(Phase.explicit, Phase.generate),
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("ci" if IN_CI else "dev")

_NOT_IN_CI = "not in CI: "
_unlisted: list[str] = []


def allowed_reasons(in_ci: bool = IN_CI) -> list[str]:
    """Beginnings of the reasons for which a test may be skipped, in CI or elsewhere."""
    lines = [line.strip() for line in ALLOWED.read_text().splitlines() if line.strip() and not line.startswith("#")]
    if in_ci:
        lines = [line for line in lines if not line.startswith(_NOT_IN_CI)]
    return [line.removeprefix(_NOT_IN_CI) for line in lines]


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """What collection makes stays: Python looks for no garbage in it, neither meanwhile (7 of 33 s) nor later."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    if report.skipped and isinstance(report.longrepr, tuple):
        reason = report.longrepr[2].removeprefix("Skipped: ")
        if not any(reason.startswith(allowed) for allowed in allowed_reasons()):
            _unlisted.append(f"{report.nodeid}: {reason}")


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    if IN_CI and _unlisted and exitstatus == 0:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if _unlisted:
        terminalreporter.section("skipped without a listed reason" + (": a failure in CI" if IN_CI else ""))
        for line in _unlisted:
            terminalreporter.line(line)
