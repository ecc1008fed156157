"""The reference is whole: what a user can name is on its page."""

import re
import subprocess
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

import msgspec
import pytest

from flyball.core import Counters

ROOT = Path(__file__).parents[2]
REFERENCE = ROOT / "docs" / "reference"


def commands() -> Iterable[str]:
    import typer

    from flyball.cli import app

    def walk(group: object, prefix: str) -> Iterable[str]:
        for name, command in group.commands.items():  # type: ignore[attr-defined]
            if hasattr(command, "commands"):
                yield from walk(command, f"{prefix} {name}")
            else:
                yield f"`{prefix} {name}`"

    return walk(typer.main.get_command(app), "flyball")


def settings() -> Iterable[str]:
    from flyball.settings import Settings

    return (f"| `{field.name}` |" for field in msgspec.structs.fields(Settings))


def environment_names() -> Iterable[str]:
    """Every setting but `app`, whose values have no one type, can be given by the environment."""
    from flyball.settings import Settings

    return (f"`FLYBALL_{field.name.upper()}`" for field in msgspec.structs.fields(Settings) if field.name != "app")


def backends() -> Iterable[str]:
    from flyball.compute import COMPUTE_BACKENDS
    from flyball.events import BACKENDS as LOGS
    from flyball.events import CATALOG_BACKENDS, QUARANTINE_BACKENDS
    from flyball.registry import BACKENDS as REGISTRIES
    from flyball.stores import STATE_BACKENDS
    from flyball.tracing import TRACE_BACKENDS

    stores = (LOGS, STATE_BACKENDS, REGISTRIES, QUARANTINE_BACKENDS, CATALOG_BACKENDS)
    return (f"`{scheme}://" for table in (*stores, COMPUTE_BACKENDS, TRACE_BACKENDS) for scheme in table)


def routes() -> Iterable[str]:
    """The paths of a recommender's service, from the routes themselves and the OpenAPI document."""
    import random
    import tempfile

    from flyball.app import load_app
    from flyball.core import ManualClock
    from flyball.runtime import Runtime
    from flyball.serving import Service, make_app
    from flyball.settings import load_settings

    with tempfile.TemporaryDirectory() as folder:
        runtime = Runtime(load_app("movies"), load_settings(Path(folder)), ManualClock(0))
        paths = [route.path for route in make_app(Service(runtime, "serve-1", random.Random(0)))._inner._inner.routes]  # type: ignore[attr-defined]
    named = {re.sub(r":path", "", path) for path in paths if path != "/"}
    assert len(named) > 8
    return (f"`{path}`" for path in sorted(named))


def offline_metrics() -> Iterable[str]:
    from flyball.tasks.recommend.plan import FAMILIES

    return (f"`{name}@{family.argument}`" if family.argument else f"`{name}`" for name, family in FAMILIES.items())


def online_metrics() -> Iterable[str]:
    from flyball.outcomes import LabelMetric, VersionOutcomes

    fields = (field.name for kind in (VersionOutcomes, LabelMetric) for field in msgspec.structs.fields(kind))
    return (f"`{name}`" for name in fields if name not in ("version", "label"))


def prometheus_metrics() -> Iterable[str]:
    """The families of `/metrics` itself, from an empty folder of counters."""
    import tempfile

    from flyball.serving.metrics import metrics_text

    with tempfile.TemporaryDirectory() as folder:
        Counters(Path(folder), "one", ["answers|champion"])
        text = metrics_text(Path(folder), {"v1": "champion"}, {"v2": "gone"}).decode()
    helped = [line.split()[2] for line in text.splitlines() if line.startswith("# HELP ")]
    assert len(helped) > 10
    return (f"`{name}" for name in helped)


def levels_and_failures() -> Iterable[str]:
    from flyball.serving import FAILURES, LEVELS

    return (f"`{name}`" for name in (*LEVELS, *FAILURES))


def models() -> Iterable[str]:
    """Every model class with each of its parameters."""
    from flyball.models import MODELS

    for model in MODELS.values():
        yield f"## `{model.__name__}`"
        yield from (f"| `{field.name}` |" for field in msgspec.structs.fields(model))


def reasons() -> Iterable[str]:
    """The words that lines are set aside with, as the code writes them."""
    found = set()
    for path in (ROOT / "src/flyball/events").glob("*.py"):
        found |= set(re.findall(r'Rejected\(\s*"([a-z_]+)"', path.read_text()))
    return (f"`{reason}`" for reason in sorted(found))


def gates() -> Iterable[str]:
    text = (ROOT / "src/flyball/evaluation/gates.py").read_text()
    names = {*re.findall(r'GateResult\(\s*"([a-z_]+)"', text), *re.findall(r'gate(?:, rival)? = "([a-z_]+)"', text)}
    plan = (ROOT / "src/flyball/tasks/recommend/plan.py").read_text()
    own = re.findall(r'MetricGate\("([a-z_]+)"', plan)
    assert own
    return (f"`{name}`" for name in sorted({*names, *own, "beats_random"}))


def statistics() -> Iterable[str]:
    """Every function, struct and constant of the room."""
    import flyball.statistics

    return (f"`{name}" for name in flyball.statistics.__all__)


def names_of_the_facade() -> Iterable[str]:
    import flyball

    return iter(flyball.__all__)


PAGES: dict[str, tuple[Callable[[], Iterable[str]], str]] = {
    "commands": (commands, "reference/commands.md"),
    "settings": (settings, "reference/settings.md"),
    "environment": (environment_names, "reference/settings.md"),
    "backends": (backends, "reference/settings.md"),
    "routes": (routes, "reference/http-api.md"),
    "offline metrics": (offline_metrics, "reference/metrics.md"),
    "online metrics": (online_metrics, "reference/metrics.md"),
    "prometheus": (prometheus_metrics, "reference/metrics.md"),
    "levels and failures": (levels_and_failures, "reference/metrics.md"),
    "models": (models, "reference/models.md"),
    "reasons": (reasons, "how-to/bad-lines-in-quarantine.md"),
    "gates": (gates, "explanation/how-a-winner-is-chosen.md"),
    "statistics": (statistics, "reference/statistics.md"),
}


@pytest.mark.parametrize("subject", PAGES)
def test_the_page_names_everything(subject: str) -> None:
    names, page = PAGES[subject]
    text = (ROOT / "docs" / page).read_text()
    wanted = list(names())
    assert wanted
    missing = [name for name in wanted if name not in text]
    assert not missing, f"docs/{page} must name {', '.join(missing)}"


def test_every_command_that_a_text_names_is_there() -> None:
    known = {name.strip("`").split()[1] for name in commands()}
    texts = [*(ROOT / "docs").rglob("*.md"), ROOT / "README.md", ROOT / "CONTRIBUTING.md"]
    named = {
        (path.name, command)
        for path in texts
        for command in re.findall(r"[`$]\s?flyball\s+([a-z]+)\b", path.read_text())
    }
    assert len({command for _, command in named}) > 20
    assert {one for one in named if one[1] not in known} == set()


def test_everything_the_package_offers_is_in_the_reference() -> None:
    pages = "\n".join(page.read_text() for page in (ROOT / "docs").rglob("*.md"))
    missing = [name for name in names_of_the_facade() if not re.search(rf"(\bfb\.|`){name}\b", pages)]
    assert not missing, f"docs must show {', '.join(missing)}"


def test_the_command_reference_is_current() -> None:
    script = ROOT / "scripts" / "generate_reference.py"
    done = subprocess.run([sys.executable, str(script), "--check"], capture_output=True, check=False)
    assert done.returncode == 0, "run scripts/generate_reference.py"
