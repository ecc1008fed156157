"""Events, predictions and outcomes come out as they are, in files and in notebooks."""

import csv
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest
from tests.cli.conftest import Run

import flyball as fb
from flyball.core import BadInput, NotFound

UTC_US = pl.Datetime("us", "UTC")


def answered(shop: Run, *users: int) -> list[dict[str, object]]:
    """The answers to some users, of which each then buys the first item of theirs and the last view it."""
    shop("ingest", "shop.py", "shop-events.jsonl")
    shop("learn", "shop.py")
    answers = [shop("recommend", "shop.py", user, "--json").last for user in users]
    lines = [
        json.dumps({"type": "buy", "visitor": user, "item": answer["items"][0], "price": 2.5})
        for user, answer in zip(users, answers, strict=True)
    ]
    lines.append(json.dumps({"type": "view", "visitor": users[-1], "item": answers[-1]["items"][1]}))
    assert shop("ingest", "shop.py", "-", stdin="\n".join(lines)).code == 0
    return answers


def test_predictions_are_a_row_each_and_outcomes_say_what_followed(shop: Run) -> None:
    first, second = answered(shop, 7, 8)
    assert shop("export", "shop.py", "predictions", "--out", "p.parquet", "--json").last == {
        "rows": 2,
        "quoted": 0,
        "file": "p.parquet",
    }
    predictions = pl.read_parquet("p.parquet")
    assert predictions["id"].to_list() == [first["id"], second["id"]]
    assert predictions["items"].to_list() == [first["items"], second["items"]]
    assert predictions["request.user"].to_list() == [7, 8]
    assert predictions["version"].to_list() == [first["version"], second["version"]]
    assert predictions.schema["at"] == UTC_US
    assert all(
        len(row["scores"]) == len(row["sources"]) == len(row["propensities"]) == len(row["items"])
        for row in predictions.iter_rows(named=True)
    )
    assert shop("export", "shop.py", "outcomes", "--out", "o.parquet", "--json").last["rows"] == 3
    outcomes = pl.read_parquet("o.parquet")
    bought = outcomes.filter(pl.col("events.buy") == 1)
    assert dict(bought.select("id", "item").iter_rows()) == {
        first["id"]: first["items"][0],
        second["id"]: second["items"][0],  # type: ignore[index]
    }
    joined = predictions.join(outcomes, on="id")
    assert (joined["at"] < joined["first_at"]).all()
    assert joined.filter(pl.col("events.view") == 1)["item"].to_list() == [second["items"][1]]  # type: ignore[index]


def test_a_csv_of_predictions_has_iso_times_and_json_lists(shop: Run) -> None:
    (answer,) = answered(shop, 7)
    assert shop("export", "shop.py", "predictions").out == "wrote 1 prediction to predictions.csv\n"
    with open("predictions.csv", newline="") as file:
        (row,) = csv.DictReader(file)
    assert json.loads(row["items"]) == answer["items"]
    assert datetime.fromisoformat(row["at"]).tzinfo == UTC


def test_notebooks_get_datetimes_and_take_them(shop: Run) -> None:
    (answer,) = answered(shop, 7)
    assert fb.open("shop.py").outcomes().height == 0, "nothing has joined them yet"
    shop("export", "shop.py", "view")
    data = fb.open("shop.py")
    buys = data.events("buy")
    assert (buys.schema["at"], buys.schema["known_at"]) == (UTC_US, UTC_US)
    middle = buys["at"][buys.height // 2]
    assert isinstance(middle, datetime)
    expected = buys.filter(pl.col("at") >= middle)
    for since in (middle, middle.isoformat(), round(middle.timestamp() * 1e6)):
        assert data.events("buy", since=since).equals(expected)
    assert data.events("buy", as_of=middle)["known_at"].max() <= middle
    (at,) = data.predictions()["at"].to_list()
    assert data.predictions(since=at)["id"].to_list() == [answer["id"]]
    assert data.predictions(until=at).height == 0
    assert data.predictions(until=at).schema["items"] == pl.List(pl.String)
    assert data.outcomes(since=at).height == 2
    assert data.outcomes(since=at + timedelta(seconds=1)).height == 0
    assert data.counts()["buy"] == buys.height
    with pytest.raises(NotFound):
        data.events("sale")


def test_before_any_answer_frames_are_empty_with_their_columns(shop: Run) -> None:
    shop("ingest", "shop.py", "shop-events.jsonl")
    data = fb.open("shop.py")
    assert data.predictions().height == data.outcomes().height == 0
    assert {"id", "at", "items", "level"} <= set(data.predictions().columns)
    assert {"id", "item", "first_at"} <= set(data.outcomes().columns)


def test_a_file_in_a_folder_that_is_not_there_is_refused(shop: Run) -> None:
    shop("ingest", "shop.py", "shop-events.jsonl")
    for what in ("buy", "predictions"):
        refused = shop("export", "shop.py", what, "--out", "nowhere/a.csv")
        assert (refused.code, refused.err) == (
            2,
            "flyball: folder of the file to write must be one that exists: make it first, got 'nowhere'",
        )
    assert not Path("nowhere").exists()


def test_an_unknown_thing_to_export_is_answered_with_all_that_may_be(shop: Run) -> None:
    shop("ingest", "shop.py", "shop-events.jsonl")
    refused = shop("export", "shop.py", "sales")
    expected = "flyball: what to export must be one of view, buy, itemcard, predictions, outcomes, got 'sales'"
    assert (refused.code, refused.err) == (2, expected)


def test_another_kind_of_file_is_refused(tmp_path: Path) -> None:
    from flyball.history import write_frame

    with pytest.raises(BadInput, match="export format must be one of csv, parquet, got 'xlsx'"):
        write_frame(pl.DataFrame({"a": [1]}), tmp_path / "a.xlsx", "xlsx")
