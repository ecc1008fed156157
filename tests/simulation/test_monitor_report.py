"""The report of a drill of monitors: recall, delay, dummies and the confusion table, from faults with known answers."""

from msgspec.structs import replace

from flyball.simulation import MonitorDrillReport
from flyball.simulation.monitor_report import FaultResult, confusion_of, monitor_rows

HOUR_US = 3_600_000_000
FAULTS = [
    FaultResult("outage", "no line comes", "own", {"volume": 6 * HOUR_US, "shift": 24 * HOUR_US}, "own", "own"),
    FaultResult("pipeline-bug", "a bug", "own", {"shift": 12 * HOUR_US}, "own", "concept"),
    FaultResult("concept-shift", "slower", "concept", {"performance": 24 * HOUR_US}, "unnamed", "concept"),
    FaultResult("covariate-shift", "farther", "covariate", {}, "not found", "not found"),
]


def made(faults: list[FaultResult], false: dict[str, int]) -> MonitorDrillReport:
    rows = monitor_rows(faults, ["volume", "shift", "performance", "missing"], false, 40, 6 * HOUR_US)
    return MonitorDrillReport(
        app="delivery",
        seed=3,
        every_us=6 * HOUR_US,
        digest="ab12",
        faults=faults,
        rows=rows,
        confusion=confusion_of(faults),
        false=sum(false.values()),
        quiet_looks=40,
        allowed=1,
    )


def test_each_monitor_has_its_recall_and_delay_beside_the_dummies() -> None:
    rows = {row.monitor: row for row in made(FAULTS, {"missing": 2}).rows}
    assert list(rows)[:2] == ["shift", "performance"]
    assert (rows["shift"].faults_found, rows["shift"].recall, rows["shift"].delay_us) == (2, 0.5, 18 * HOUR_US)
    assert (rows["missing"].faults_found, rows["missing"].delay_us, rows["missing"].false) == (0, None, 2)
    together, always, never = (rows[name] for name in ("all together", "always alarms", "never alarms"))
    assert (together.faults_found, together.delay_us, together.false) == (3, 12 * HOUR_US, 2)
    assert (always.recall, always.delay_us, always.false) == (1.0, 6 * HOUR_US, 40)
    assert (never.recall, never.delay_us, never.false) == (0.0, None, 0)


def test_the_confusion_table_counts_what_was_named_at_the_end() -> None:
    confusion = confusion_of(FAULTS)
    assert list(confusion) == ["own", "covariate", "concept"]
    assert (confusion["own"]["own"], confusion["own"]["concept"]) == (1, 1)
    assert confusion["covariate"]["not found"] == 1
    assert sum(sum(named.values()) for named in confusion.values()) == len(FAULTS)


def test_it_passes_where_each_fault_is_found_and_little_else() -> None:
    assert not made(FAULTS, {}).passed
    assert made(FAULTS[:3], {"missing": 1}).passed
    assert not made(FAULTS[:3], {"missing": 2}).passed


def test_the_text_says_who_found_what_and_what_was_named() -> None:
    text = made(FAULTS, {"missing": 2}).text()
    assert "outage            own        6h           own          own         volume" in text
    assert "covariate-shift   covariate  never        not found    not found   –" in text
    assert "cause named rightly 2 of 4; false findings 2 in 40 looks without a fault, 1 allowed" in text
    assert text.splitlines()[-1].startswith("FAILED: each fault must be found")
    passed = replace(made(FAULTS[:3], {}), seconds=2.0)
    assert passed.text().splitlines()[0] == "monitors of delivery, seed 3, 3 faults, a look each 6h, in 2.0 s"
    assert passed.text().splitlines()[-1].startswith("passed")
