"""A report is drawn with every point where its numbers say, and as valid SVG whatever is in it."""

import re
from itertools import pairwise
from xml.etree import ElementTree

import pytest

from flyball.evaluation import Estimate, Evaluated, SliceMetrics, WindowSeries, draw_report, table_cells
from flyball.evaluation.picture import LINE, MARK, SOFT
from flyball.tasks import ReportTable

RELIABILITY = ReportTable(
    "reliability",
    "Reliability",
    ("from", "to", "requests", "predicted", "observed", "low", "high"),
    [[0.0, 0.5, 10, 0.25, 0.5, 0.3, 0.7], [0.5, 1.0, 10, 0.75, 1.0, None, None]],
)
COLUMNS = (
    "thresholds",
    "declined from",
    "cost",
    "low",
    "high",
    "saved",
    "approve",
    "review",
    "decline",
    "reviews a day",
)
CURVE = ReportTable(
    "cost_curve",
    "Mean cost by threshold",
    COLUMNS,
    [
        ["odds x1", 0.5, 3.0, 2.0, 4.0, 1.0, 0.8, 0.1, 0.1, 12.0],
        ["chosen", 0.1, 2.0, 1.5, 2.5, 2.0, 0.8, 0.05, 0.15, 6.0],
        ["odds x64", 0.01, 3.5, 3.0, 4.0, 0.5, 0.1, 0.0, 0.9, 0.0],
        ["approve all", None, 4.0, 3.0, 5.0, 0.0, 1.0, 0.0, 0.0, 0.0],
    ],
    marked=1,
    limits={"reviews a day": 8.0},
)
CONFUSION = ReportTable(
    "confusion",
    "Decisions",
    ("decision", "requests", "share", "happened", "did not"),
    [["approve", 9, 0.9, 0.1, 0.8], ["decline", 1, 0.1, 0.07, 0.03]],
    summary="approve 90.0%, decline 10.0%",
)
SLICES = [
    SliceMetrics("hour", str(hour), 10, 10, {"coverage": Estimate(0.7 + hour / 100, 0.6, 0.9)}) for hour in range(24)
]


def drawn(evaluated: Evaluated, title: str = "bank v1") -> ElementTree.Element:
    return ElementTree.fromstring(draw_report(title, evaluated, {"coverage": 0.8}, "coverage"))


def everything(tables: list[ReportTable], slices: list[SliceMetrics]) -> Evaluated:
    metrics = {"coverage": Estimate(0.78, 0.7, 0.85)}
    return Evaluated("trees", "candidate", "lightgbm", metrics=metrics, tables=tables, slices=slices)


def circles(svg: ElementTree.Element, panel: int, color: str | None = None) -> list[tuple[float, float]]:
    group = [element for element in svg if element.tag.endswith("}g")][panel]
    found = [element for element in group if element.tag.endswith("circle")]
    chosen = [element for element in found if color is None or element.get("fill") == color]
    return [(float(element.get("cx", "")), float(element.get("cy", ""))) for element in chosen]


def texts(svg: ElementTree.Element) -> str:
    return " | ".join(element.text or "" for element in svg.iter() if element.tag.endswith("text"))


def test_points_of_the_reliability_curve_lie_where_they_must() -> None:
    """Twice as far to the right and up is twice as much: the diagonal is where both are equal."""
    (first, second) = circles(drawn(everything([RELIABILITY], [])), 0)
    left, right, top, bottom = 64.0, 442.0, 44.0, 288.0
    most = 1.2
    assert first == pytest.approx((left + 0.25 / most * (right - left), bottom - 0.5 / most * (bottom - top)), abs=0.1)
    assert second == pytest.approx((left + 0.75 / most * (right - left), bottom - 1.0 / most * (bottom - top)), abs=0.1)


def test_the_chosen_threshold_and_the_capacity_are_marked() -> None:
    svg = drawn(everything([CURVE], []))
    ((x, _),) = circles(svg, 0, MARK)
    assert x == pytest.approx(64 + (0 + 1) / 1.69897 * 378, abs=0.5)  # a decade from 0.01, along logarithms
    assert "chosen: 2" in texts(svg)
    assert "the most of a day: 8" in texts(svg)
    assert "approve all" in texts(svg)


def test_hours_are_drawn_in_their_order_with_the_level_beside() -> None:
    svg = drawn(everything([], list(reversed(SLICES))))
    points = circles(svg, 0)
    assert len(points) == 24
    assert [y for _, y in points] == sorted((y for _, y in points), reverse=True)
    assert "should be 0.8" in texts(svg)
    assert "coverage by hour" in texts(svg)
    assert "all: 0.78" in texts(svg)


def test_names_of_lines_stand_above_the_points_and_a_share_has_no_axis_beyond_1() -> None:
    slices = [SliceMetrics("hour", str(n), 9, 9, {"coverage": Estimate(0.9, 0.7, 1.0)}) for n in range(24)]
    svg = drawn(everything([], slices))
    named = [element for element in svg.iter() if (element.text or "") in ("should be 0.8", "all: 0.78")]
    top = min(y for _, y in circles(svg, 0))
    assert len(named) == 2
    assert all(float(element.get("y", "inf")) < min(44.0, top) for element in named)
    at = sorted(float(element.get("x", "nan")) for element in named)
    assert at[1] - at[0] > 80  # beside each other
    assert "1" in {element.text for element in svg.iter()}
    assert "1.2" not in {element.text for element in svg.iter()}


def test_of_many_shops_the_largest_are_drawn() -> None:
    shops = [SliceMetrics("shop", f"s{n}", n + 1, 9, {"coverage": Estimate(0.8)}) for n in range(60)]
    svg = drawn(everything([], shops))
    assert len(circles(svg, 0)) == 24
    assert "s59" in texts(svg)


def test_names_of_a_person_do_no_harm() -> None:
    shops = [SliceMetrics("shop", "<b>&'\"", 5, 9, {"coverage": Estimate(0.8)})]
    assert "<b>&" in texts(drawn(everything([CONFUSION], shops), title="a <script> & 'b'"))


def test_nothing_to_draw_says_so() -> None:
    assert "nothing to draw" in texts(drawn(everything([], [])))


def test_cells_are_short_and_the_marked_row_has_a_star() -> None:
    cells = table_cells(CURVE)
    assert [row[0] for row in cells] == ["odds x1", "chosen *", "odds x64", "approve all"]
    assert cells[1][1:4] == ["0.1", "2", "1.5"]
    assert re.fullmatch(r"[0-9.]+", cells[0][2])


def test_windows_in_a_row_are_drawn_in_their_order_beside_the_baseline() -> None:
    day_us = 86_400_000_000
    values = [(3.0, 9.0), (2.0, 8.0), (4.0, 8.0)]
    series = WindowSeries(
        "mae",
        [
            (number * day_us, {"trees": Estimate(own, own - 1, own + 1), "constant": Estimate(other)})
            for number, (own, other) in enumerate(values)
        ],
    )
    svg = ElementTree.fromstring(draw_report("v1", everything([], []), {}, "", series))
    own, other = circles(svg, 0, LINE), circles(svg, 0, SOFT)
    assert [x for x, _ in own] == [x for x, _ in other] == sorted(x for x, _ in own)
    per_unit = (own[0][1] - other[0][1]) / 6  # pixels, downwards
    assert [y - own[0][1] for _, y in own] == pytest.approx([0.0, per_unit, -per_unit], abs=0.2)
    assert [y - other[0][1] for _, y in other] == pytest.approx([0.0, per_unit, per_unit], abs=0.2)
    for words in ("mae in windows in a row", "1970-01-01", "1970-01-03", "trees", "constant"):
        assert words in texts(svg)


def test_many_windows_are_labeled_without_overlap() -> None:
    series = WindowSeries("auc", [(number * 3_600_000_000, {"trees": Estimate(0.5)}) for number in range(40)])
    svg = ElementTree.fromstring(draw_report("v1", everything([], []), {}, "", series))
    at = [float(element.get("x", "")) for element in svg.iter() if re.match(r"01-0\d \d\d:00$", element.text or "")]
    assert len(at) > 2
    assert min(right - left for left, right in pairwise(at)) > 60


def test_axes_say_what_they_measure() -> None:
    svg = draw_report("bank v1", everything([RELIABILITY, CURVE], SLICES), {"coverage": 0.8}, "coverage")
    for words in (
        "predicted probability",
        "share of requests where it happened",
        "declined from this probability on, log scale",
        "mean cost of a request",
        "hour of the day",
        "the most of a day: 8",
    ):
        assert f">{words}<" in svg, words
