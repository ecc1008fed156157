"""The movie application on real input: ingest, learn, ask, explain, replay, all through the command line."""

import csv
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.data import real

pytestmark = [pytest.mark.live, pytest.mark.data]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("real") / "movies"


def flyball(home: Path, *words: str) -> Any:
    """What a command prints with --json."""
    environment = {**os.environ, "COLUMNS": "120"}
    done = subprocess.run(
        [sys.executable, "-m", "flyball", words[0], "movies", *words[1:], "--home", str(home), "--json"],
        capture_output=True,
        text=True,
        timeout=170,
        env=environment,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_the_whole_loop_on_real_logs(home: Path, tmp_path: Path) -> None:
    movielog = real("movielog")
    slugs = (movielog / "movie_ids_mcgill_f22.txt").read_text().split("\n")
    (tmp_path / "films.csv").write_text("film\n" + "\n".join(slug for slug in slugs if slug) + "\n")

    films = flyball(home, "ingest", str(tmp_path / "films.csv"), "--type", "filmcard")
    assert films["accepted"] == {"filmcard": len({slug for slug in slugs if slug})}
    cards = flyball(home, "ingest", str(movielog / "movies_cmu_s25.csv"))
    with open(movielog / "movies_cmu_s25.csv") as file:
        rows = list(csv.DictReader(file))
    assert cards["read"] == len(rows)
    assert cards["accepted"]["filmcard"] + cards["duplicates"] == len(rows)
    users = flyball(home, "ingest", str(movielog / "users_cmu_s25.csv"))
    assert users["accepted"] == {"viewer": 73_980}

    ratings = flyball(home, "ingest", str(movielog / "ratings_cmu_s25.csv"))
    assert ratings["accepted"]["rate"] + ratings["duplicates"] == 15_000
    watches = flyball(home, "ingest", str(movielog / "watches_cmu_s25.csv"))
    assert (watches["accepted"]["watch"], watches["duplicates"]) == (27_252, 2_748)  # the file's README counts these
    log = flyball(home, "ingest", str(movielog / "raw_mcgill_f22_team4_50k.log"))
    assert log["accepted"] == {"watch": 49_279, "rate": 266, "asked": 425}
    assert sum(log["quarantined"].values()) == 30
    again = flyball(home, "ingest", str(movielog / "raw_mcgill_f22_team4_50k.log"))
    assert again["accepted"] == {}
    assert again["duplicates"] == 49_970

    learned = flyball(home, "learn")
    assert learned["status"] == "done"
    evaluated = {each["name"]: each["metrics"] for each in learned["candidates"]}
    assert evaluated["popular"]["ndcg@20"]["low"] > evaluated["random"]["ndcg@20"]["high"]
    assert learned["released"]

    answer = flyball(home, "recommend", "13539")
    assert len(answer["items"]) == 20
    assert len(set(answer["items"])) == 20
    assert set(answer["items"]) <= set(slugs) | {row["movie_id"] for row in rows}
    why = flyball(home, "why", answer["id"])
    assert why["version"]["id"] == learned["champion"]
    assert flyball(home, "replay", answer["id"])["identical"] is True
