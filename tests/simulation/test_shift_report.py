"""The text of a drill of shift says when, what it cost, what was attainable, and whether that is what must be."""

from msgspec.structs import replace

from flyball.monitoring import Finding
from flyball.simulation import ShiftDrillReport
from flyball.simulation.monitored import DrilledFinding
from flyball.simulation.shift_report import Regret

HOUR_US = 3_600_000_000
FINDING = Finding("shift", "events.order.km", 9, 5, "low", "km moved", "world")
REPORT = ShiftDrillReport(
    app="delivery",
    drill="covariate-shift",
    form="gradual",
    planted="customers order from farther away",
    seed=3,
    days=14,
    digest="ab12",
    expected="found in time",
    outcome="found in time and mitigated",
    passed=True,
    findings=[DrilledFinding(6 * HOUR_US, FINDING)],
    events=["     +10 h  learned, done: v3 is the champion now"],
    found_us=6 * HOUR_US,
    within_us=48 * HOUR_US,
    mitigated_us=30 * HOUR_US,
    mitigation="v3, learned since then, was released",
    metric="closeness",
    before=Regret(400, 2.0),
    during=Regret(100, 5.0),
    after=Regret(300, 2.5),
    harm=300.0,
    false=1,
    allowed=1,
    early=0,
    fallbacks=0.0125,
    looks=56,
)


def test_the_report_says_how_long_it_took_and_what_it_cost() -> None:
    lines = REPORT.text().splitlines()
    assert lines[0].startswith("covariate-shift of delivery, gradual, seed 3, 14 days")
    assert "    +6 h  low, world: km moved" in lines
    assert "time to finding     6h, 2d allowed" in lines
    assert "time to mitigation  1d6h: v3, learned since then, was released" in lines
    assert "harm                300 of closeness, in sum" in lines
    assert not any(line.startswith("attainable") for line in lines)
    assert not any(line.startswith("cause named") for line in lines)
    unnamed, named = replace(REPORT, cause="concept"), replace(REPORT, cause="concept", named=("covariate", "concept"))
    assert "cause named         none" in unnamed.text().splitlines()
    assert "cause named         covariate, then concept" in named.text().splitlines()
    settled = replace(REPORT, attainable=Regret(300, 2.25)).text().splitlines()
    assert "attainable          2.25 after, by what is learned where it had always been so" in settled
    assert "regained            91% of the gap" in settled  # 2.5 of the 2.75 between 5 and 2.25
    better = replace(REPORT, attainable=Regret(300, 2.75)).text().splitlines()
    assert "regained            all of the gap" in better
    assert REPORT.beside(Regret(300, 2.25)).passed
    worse = replace(REPORT, after=Regret(300, 5.1)).beside(Regret(300, 2.25))
    assert not worse.passed
    assert worse.text().endswith("found in time and mitigated, but by a version that answers worse")
    worthless = replace(REPORT, attainable=Regret(300, 5.5))
    assert worthless.regained is None
    assert "regained            nothing was to be regained" in worthless.text()
    assert "answers by fallback 1.25%" in lines
    assert "false findings      1 in 56 looks, 1 allowed" in lines
    assert lines[-1] == "passed: it must be found in time; it is found in time and mitigated"


def test_what_never_came_is_said_to_have_never_come() -> None:
    text = replace(REPORT, found_us=None, mitigated_us=None, mitigation="", passed=False, early=2, form="").text()
    assert "time to finding     never, 2d allowed" in text
    assert "time to mitigation  never\n" in text
    assert "; 2 before the season could be known" in text
    assert text.startswith("covariate-shift of delivery, seed 3")
    assert text.splitlines()[-1].startswith("FAILED")
