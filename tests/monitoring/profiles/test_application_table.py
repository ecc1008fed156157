"""The rows of which profiles are taken: by event time, or by the time they became known."""

from pathlib import Path

import pytest
from tests.monitoring.watch.shops import DAY_US, START_US, shop

from flyball.core import NotFound
from flyball.monitoring.profiles.application_table import application_table


def test_rows_have_no_references_and_no_place(tmp_path: Path) -> None:
    runtime = shop(tmp_path, 2)
    by_event_time = application_table(runtime, "buy", START_US, START_US + DAY_US)
    assert by_event_time.columns == ["_at", "_key", "price", "coupon"]
    by_known = application_table(runtime, "buy", START_US, START_US + DAY_US, by_known=True)
    history = runtime.history.events("buy")
    assert len(by_event_time) == (history["at"] < START_US + DAY_US).sum()
    assert len(by_known) == (history["known_at"] < START_US + DAY_US).sum()
    with pytest.raises(NotFound, match="event type"):
        application_table(runtime, "sell", START_US, START_US + DAY_US)


def test_predictions_have_the_score_of_their_first_item_and_no_request(tmp_path: Path) -> None:
    table = application_table(shop(tmp_path, 1), "predictions", START_US, START_US + DAY_US)
    assert {"top_score", "level", "failed"} <= set(table.columns)
    assert not [name for name in table.columns if name.startswith("request.") or name in ("scores", "values")]
