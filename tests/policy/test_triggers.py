"""Triggers as they are declared."""

from typing import Any

import pytest

import flyball as fb
from flyball.core import BadDeclaration
from flyball.policy import trigger_text


@pytest.mark.parametrize(
    "text",
    [
        'fb.every("3d")',
        'fb.cron("0 3 * * mon")',
        'fb.cron("0 3 * * mon", zone="Europe/Berlin")',
        "fb.on_volume(5_000)",
        'fb.on_volume(500, look="10m", cooldown="1d")',
        'fb.on_performance("mae")',
        'fb.on_performance("mae", worse_by=0.25, alpha=0.01, look="2h", cooldown="1h30m")',
        'fb.on_performance("ndcg@20", worse_by="2.5%")',
        "fb.on_drift()",
        "fb.on_erasure()",
        'fb.on_erasure(cooldown="2d")',
        'fb.on_drift("label_share", "shift", severity="high", cooldown="2d")',
    ],
)
def test_a_trigger_is_shown_as_it_is_declared(text: str) -> None:
    assert trigger_text(eval(text, {"fb": fb})) == text


def test_what_is_left_at_its_default_is_not_shown() -> None:
    assert trigger_text(fb.on_volume(7, look="60m", cooldown="6h")) == "fb.on_volume(7)"
    assert trigger_text(fb.cron("0 3 * * *", zone="UTC")) == 'fb.cron("0 3 * * *")'


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: fb.on_volume(0), "labels of on_volume.* must be a whole number from 1, got 0"),
        (lambda: fb.on_volume(2.5), "labels of on_volume"),  # type: ignore[arg-type]
        (lambda: fb.on_volume(5, look="5s"), "look of on_volume.* 1m or longer"),
        (lambda: fb.on_volume(5, cooldown="0s"), "cooldown of on_volume"),
        (lambda: fb.on_performance(""), "metric of on_performance"),
        (lambda: fb.on_performance("mae", worse_by=-0.1), "worse_by of on_performance.* a share of its value"),
        (lambda: fb.on_performance("mae", worse_by="a lot"), "worse_by of on_performance"),
        (lambda: fb.on_performance("mae", worse_by="x%"), "worse_by of on_performance"),
        (lambda: fb.on_performance("mae", worse_by="nan%"), "worse_by of on_performance"),
        (lambda: fb.on_performance("mae", alpha=1.0), "alpha of on_performance"),
        (lambda: fb.on_drift(""), "monitors of on_drift"),
        (lambda: fb.on_drift("nonsense"), r"monitors of on_drift\(...\) must be one of calibration, expected_perf"),
        (lambda: fb.on_drift("shift", "shfit"), r"\(did you mean shift\?\), got 'shfit'"),
        (lambda: fb.on_drift("shift-daily"), r"\(did you mean shift\?\), got 'shift-daily'"),
        (lambda: fb.on_drift("consumer"), "learning corrects no fault of our own, got 'consumer'"),
        (lambda: fb.on_drift(severity="some"), 'severity of on_drift.* "low" or "high"'),  # type: ignore[arg-type]
    ],
)
def test_what_cannot_be_a_trigger_is_refused_naming_the_argument(make: Any, message: str) -> None:
    with pytest.raises(BadDeclaration, match=message):
        make()
