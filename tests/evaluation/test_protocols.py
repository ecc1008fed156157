"""The accuracy protocols: layouts, splits and metrics against answers known by construction."""

import json
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from tests.data import real
from typer.testing import CliRunner

from flyball.cli.main import app
from flyball.core import BadInput, NotFound, SystemStopwatch
from flyball.evaluation import PROTOCOLS, RatedSet, accuracy_tables, read_rated_set
from flyball.evaluation.published import cases as splits
from flyball.evaluation.published.measure import best_lists, last_item_metrics, naive_popularity, strong_metrics
from flyball.models import EASE, MODELS, Histories, Interactions, Learned, Popular, Recommender, select_rows
from flyball.testing.model_checks import sample_interactions


def write(folder: Path, name: str, text: str) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(text)
    return folder


LAYOUTS = {
    "u.data": "1\t10\t5\t100\n2\t9\t3\t200\n",
    "ratings.dat": "1::10::5::100\n2::9::3::200\n",
    "ratings.csv": "userId,movieId,rating,timestamp\n1,10,5.0,100\n2,9,3.0,200\n",
    "set.inter": "user_id:token\titem_id:token\trating:float\ttimestamp:float\n1\t10\t5\t100\n2\t9\t3\t200\n",
    "anything.csv": "user,item,rating,timestamp\r\n1,10,5,100\r\n2,9,3,200\r\n",
    "semicolons.csv": '"user";"item";"rating";"timestamp"\n1;10;5;100\n2;9;3;200\n',
    "dates.csv": "item,user,timestamp,stars\n10,1,1970-01-01T00:01:40Z,5\n9,2,1970-01-01T00:03:20Z,3\n",
    "milliseconds.csv": "user,item,rating,timestamp\n1,10,5,1600000000100\n2,9,3,1600000000200\n",
}


@pytest.mark.parametrize("name", LAYOUTS)
def test_every_layout_gives_the_same_data(name: str, tmp_path: Path) -> None:
    folder = write(tmp_path / "set", name, LAYOUTS[name])
    write(folder, "README.md", "user,item\n")
    read = read_rated_set(folder)
    assert (read.name, read.file, read.rated, read.clock) == ("set", name, True, "timestamps")
    assert (read.data.users, read.data.items) == (["1", "2"], ["9", "10"])
    assert read.data.user_index.tolist() == [0, 1]
    assert read.data.item_index.tolist() == [1, 0]
    assert read.data.ratings.tolist() == [5.0, 3.0]
    assert np.diff(read.data.at_us)[0] in (100_000_000, 100_000)


def test_plays_are_no_ratings_and_two_columns_are_sequences(tmp_path: Path) -> None:
    plays = read_rated_set(write(tmp_path / "plays", "user_artists.dat", "userID\tartistID\tweight\n2\t51\t13883\n"))
    assert (plays.rated, plays.clock) == (False, "none")
    bare = read_rated_set(write(tmp_path / "bare", "user_artists.dat", "2\t51\t13883\n2\t52\t11\n"))
    assert (bare.rated, bare.clock) == (False, "none")
    sequence = read_rated_set(write(tmp_path / "sequence", "beauty.txt", "1 5\n1 3\n2 5\n"))
    assert (sequence.rated, sequence.clock) == (False, "order")
    assert (np.diff(sequence.data.at_us) > 0).all()


@pytest.mark.parametrize(
    ("ratings", "films"),
    [
        (
            ("u.data", "1\t7\t5\t10\n2\t8\t3\t20\n"),
            ("u.item", "7|A (1990)|01-Jan-1990||url|0|1\n8|B (1990)|02-Jan-1990||url|1|1\n"),
        ),
        (("ratings.dat", "1::7::5::10\n2::8::3::20\n"), ("movies.dat", "7::A (1990)::War\n8::B (1990)::Drama|War\n")),
        (
            ("ratings.csv", "userId,movieId,rating,timestamp\n1,7,5,10\n2,8,3,20\n"),
            ("movies.csv", 'movieId,title,genres\n7,"A, The (1990)",War\n8,B (1990),Drama|War\n'),
        ),
    ],
    ids=["100k", "1m", "latest"],
)
def test_movielens_films_have_genres_and_years(ratings: Any, films: Any, tmp_path: Path) -> None:
    write(tmp_path / "set", *ratings)
    write(tmp_path / "set", *films)
    write(tmp_path / "set", "u.genre", "Drama|0\nWar|1\n")
    data = read_rated_set(tmp_path / "set").data
    assert data.attributes is not None
    assert data.items == ["7", "8"]
    assert data.attributes.names == ["decade=199", "genre=War", "year=1990"]
    assert data.attributes.indptr.tolist() == [0, 3, 6]


def test_of_a_pair_given_twice_the_latest_stays(tmp_path: Path) -> None:
    text = "user,item,rating,timestamp\na,x,1,30\na,x,2,50\na,x,3,40\nb,x,4,10\n"
    data = read_rated_set(write(tmp_path / "set", "r.csv", text)).data
    assert data.ratings.tolist() == [2.0, 4.0]


@pytest.mark.parametrize(
    "files",
    [
        {},
        {"notes.csv": "a,b\n1,2\n"},
        {"one.csv": "user,item,rating\n1,2,3\n", "two.csv": "user,item,rating\n1,2,3\n"},
        {"bad.csv": "user,item,rating\n1,2,good\n"},
        {"bad.csv": "user,item,rating,timestamp\n1,2,3,yesterday\n"},
        {"empty.csv": "user,item\n"},
    ],
)
def test_a_folder_that_is_not_clear_is_refused(files: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "set").mkdir()
    for name, text in files.items():
        write(tmp_path / "set", name, text)
    with pytest.raises(BadInput):
        read_rated_set(tmp_path / "set")


def pairs(data: Interactions) -> set[tuple[int, int]]:
    return set(zip(data.user_index.tolist(), data.item_index.tolist(), strict=True))


def withheld(found: splits.ListCases, users: np.ndarray) -> set[tuple[int, int]]:
    return {(int(user), int(i)) for user, items in zip(users, found.truth, strict=True) for i in items}


def test_random_folds_are_the_ones_of_surprise() -> None:
    data = select_rows(sample_interactions(), ~np.isnan(sample_interactions().ratings))
    found = splits.random_folds(data, seed=3)
    order = np.arange(len(data.user_index))
    np.random.RandomState(3).shuffle(order)  # Surprise's KFold: shuffle, then cut, the first folds one longer
    start = 0
    for place, fold in enumerate(found):
        stop = start + len(order) // 5 + (place < len(order) % 5)
        held = set(zip(data.user_index[order[start:stop]], data.item_index[order[start:stop]], strict=True))
        assert pairs(fold.train) == pairs(data) - {(int(u), int(i)) for u, i in held}
        start = stop


def test_stratified_takes_a_quarter_of_each_user() -> None:
    data = sample_interactions()
    found = splits.stratified(data, 1)[0]
    sizes = np.bincount(data.user_index, minlength=60)
    kept = np.bincount(found.train.user_index, minlength=60)
    assert kept.tolist() == np.round(0.75 * sizes).astype(int).tolist()
    asked = np.flatnonzero(sizes > kept)
    assert pairs(found.train) | withheld(found, asked) == pairs(data)
    assert not pairs(found.train) & withheld(found, asked)


def test_strong_generalization_learns_nothing_from_the_users_it_asks() -> None:
    data = sample_interactions(users=80, pairs=2_000)
    found = splits.strong(data, 98765)
    asked_in_all = 0
    for fold in found:
        learners = set(fold.train.user_index.tolist())
        assert fold.train.ratings.min() >= 4
        known = np.bincount(fold.train.item_index, minlength=len(data.items)) > 0
        for row, truth in enumerate(fold.truth):
            own = fold.histories.items[fold.histories.indptr[row] : fold.histories.indptr[row + 1]]
            assert known[own].all()
            assert known[truth].all()
            assert not np.intersect1d(own, truth).size
            assert len(truth) == int(0.2 * (len(own) + len(truth)) + 1e-9)
        asked_in_all += len(fold.truth)
        assert len(learners) < 80
    assert asked_in_all > 40


class Oracle(Recommender, frozen=True):
    """Scores a fixed permutation of the items, whoever asks."""

    def fit(self, data: Interactions, seed: int) -> dict[str, np.ndarray]:
        return {"scores": np.random.default_rng(0).permutation(len(data.items)).astype(np.float32)}

    def score(self, learned: Learned, histories: Histories) -> np.ndarray:
        return np.tile(learned["scores"], (histories.rows, 1))


def test_leave_last_out_withholds_the_latest_and_ranks_it_among_the_unseen() -> None:
    data = sample_interactions()
    found = splits.leave_last_out(data, 0)[0]
    learned = Oracle().fit(data, 0)
    metrics = last_item_metrics(Oracle(), learned, found, {})
    able = np.flatnonzero(np.bincount(data.user_index, minlength=60) >= 3)
    for row, user in enumerate(able):
        rows = np.flatnonzero(data.user_index == user)
        rows = rows[np.lexsort((data.item_index[rows], data.at_us[rows]))]
        last, seen = int(data.item_index[rows[-1]]), set(data.item_index[rows[:-1]].tolist())
        assert found.truth[row].tolist() == [last]
        above = [i for i in range(47) if i not in seen and learned["scores"][i] > learned["scores"][last]]
        assert metrics["hit@10"][row] == (len(above) < 10)
        assert metrics["ndcg@10"][row] == pytest.approx(1 / np.log2(len(above) + 2) if len(above) < 10 else 0.0)


class Silent(Recommender, frozen=True):
    """Scores item 7 alone."""

    def fit(self, data: Interactions, seed: int) -> dict[str, np.ndarray]:
        return {"items": np.array([len(data.items)])}

    def score(self, learned: Learned, histories: Histories) -> np.ndarray:
        scores = np.full((histories.rows, int(learned["items"][0])), -np.inf, dtype=np.float32)
        scores[:, 7] = -3.0
        return scores


def test_what_a_model_does_not_score_follows_by_popularity() -> None:
    found = splits.leave_last_out(plain(120, 3_000), 0)[0]
    silent = last_item_metrics(Silent(), Silent().fit(found.train, 0), found, {})
    popular = last_item_metrics(Popular(), Popular().fit(found.train, 0), found, {})
    of_seven = np.array([truth[0] == 7 for truth in found.truth])
    assert (silent["ndcg@10"][of_seven] == 1.0).all()
    assert of_seven.any()
    assert (silent["ndcg@10"][~of_seven] <= popular["ndcg@10"][~of_seven]).all()
    assert silent["hit@10"][~of_seven].sum() > 0.7 * popular["hit@10"][~of_seven].sum()


@pytest.mark.parametrize("by_popularity", [False, True])
def test_sampled_negatives_are_distinct_and_unseen(by_popularity: bool) -> None:
    found = splits.leave_last_out(sample_interactions(users=60, items=300, pairs=900), 0)[0]
    drawn = splits.sampled(found, 100, by_popularity, seed=5)
    assert (drawn == splits.sampled(found, 100, by_popularity, seed=5)).all()
    assert (drawn != splits.sampled(found, 100, by_popularity, seed=6)).any()
    for row, items in enumerate(drawn):
        own = found.histories.items[found.histories.indptr[row] : found.histories.indptr[row + 1]]
        items = items[items >= 0]
        assert len(set(items.tolist())) == len(items)
        assert len(items) == 100 or by_popularity
        assert not np.intersect1d(items, np.concatenate([own, found.truth[row]])).size


def test_the_temporal_split_learns_from_nothing_at_or_after_its_time() -> None:
    data = sample_interactions()
    found = splits.temporal(data, 0)[0]
    split_us = found.train.as_of_us
    assert found.train.at_us.max() < split_us
    assert (data.at_us < split_us).sum() == int(0.8 * len(data.at_us))
    liked = {
        (u, i)
        for u, i, r, t in zip(data.user_index, data.item_index, data.ratings, data.at_us, strict=True)
        if r >= 4 and t >= split_us
    }
    assert {(int(u), int(i)) for u, i in liked} == withheld(found, np.unique([u for u, _ in liked]))
    assert (found.train.weights[~(found.train.ratings >= 4)] == 0).all()


def test_the_popular_list_is_the_naive_one() -> None:
    for fold in splits.strong(plain(80, 2_000), 1):
        learned = Popular().fit(fold.train, 0)
        metrics = strong_metrics(best_lists(Popular(), learned, fold, 100), fold.truth)
        for name, naive in naive_popularity(fold).items():
            assert metrics[name] == pytest.approx(naive, abs=1e-12)


def plain(users: int, rows: int) -> Interactions:
    """As data sets are read: every row of weight 1."""
    data = sample_interactions(users=users, pairs=rows)
    return msgspec.structs.replace(data, weights=np.ones_like(data.weights))


def rated_set() -> RatedSet:
    return RatedSet("sample", "none", plain(120, 3_000), rated=True, clock="timestamps")


def test_the_same_seed_gives_the_same_tables() -> None:
    families = ["popular", "item_knn", "bias"]
    once = accuracy_tables(rated_set(), None, families, 7, 1, SystemStopwatch())
    twice = accuracy_tables(rated_set(), None, families, 7, 1, SystemStopwatch())
    assert [table.protocol for table in once] == list(PROTOCOLS)
    for first, second in zip(once, twice, strict=True):
        assert not first.skipped
        assert [line.metrics for line in first.lines] == [line.metrics for line in second.lines]
        assert all(np.isfinite(list(line.metrics.values())).all() for line in first.lines)
        assert first.measured == second.measured > 0


def test_a_search_tries_as_many_sets_as_stated_and_keeps_the_best() -> None:
    table = accuracy_tables(rated_set(), ["lists"], ["ease", "item_knn"], None, 4, SystemStopwatch())[0]
    for line in table.lines:
        tried = [trial for trial in table.trials if trial.family == line.family]
        assert len(tried) == 4
        assert line.params == max(tried, key=lambda trial: trial.score or 0.0).params


def test_a_sample_of_the_users_learns_from_everything() -> None:
    data = rated_set()
    whole, some = (
        accuracy_tables(data, ["lists"], ["ease"], None, 1, SystemStopwatch(), users=users)[0] for users in (None, 7)
    )
    assert (some.measured, some.able) == (7, whole.measured)
    cases = splits.stratified(data.data, 42)[0]
    few = splits.some_users(cases, 7, 42)
    assert few.train is cases.train
    kept = [row for row, truth in enumerate(cases.truth) if any(truth is one for one in few.truth)]
    assert len(kept) == 7
    for place, row in enumerate(kept):
        own, drawn = (
            each.items[each.indptr[at] : each.indptr[at + 1]]
            for each, at in ((cases.histories, row), (few.histories, place))
        )
        assert own.tolist() == drawn.tolist()
    assert splits.some_users(cases, 10_000, 42) is cases


def test_what_a_data_set_cannot_support_is_said() -> None:
    data = rated_set()
    bare = RatedSet("bare", "none", data.data, rated=False, clock="none")
    tables = {table.protocol: table for table in accuracy_tables(bare, None, ["popular"], None, 1, SystemStopwatch())}
    assert {name for name, table in tables.items() if table.skipped} == {"ratings", "last", "time", "time_ratings"}
    with pytest.raises(NotFound):
        accuracy_tables(bare, ["listing"], None, None, 1, SystemStopwatch())
    with pytest.raises(NotFound):
        accuracy_tables(bare, None, ["esea"], None, 1, SystemStopwatch())


def test_the_command_prints_the_tables_and_json(tmp_path: Path) -> None:
    data = rated_set().data
    lines = ["user,item,rating,timestamp"]
    for user, item, rating, at in zip(data.user_index, data.item_index, data.ratings, data.at_us, strict=True):
        lines.append(f"{user},{item},{1 if np.isnan(rating) else rating:.0f},{at // 1_000_000 + 1_000_000_000}")
    folder = write(tmp_path / "mine", "ratings.csv", "\n".join(lines))
    nothing = CliRunner().invoke(app, ["accuracy", str(folder), "--families", ","])
    assert isinstance(nothing.exception, BadInput), "a comparison of nothing is no success"
    shown = CliRunner().invoke(app, ["accuracy", str(folder), "--families", "popular,bias"])
    assert shown.exit_code == 0, shown.output
    for protocol in PROTOCOLS.values():
        assert protocol.title in shown.output
    quiet = CliRunner().invoke(
        app, ["accuracy", str(folder), "--families", "popular", "--protocols", "lists", "--json"]
    )
    metrics = json.loads(quiet.output.splitlines()[-1])["tables"][0]["lines"][0]["metrics"]
    assert 0 < metrics["ndcg@10"] < 1


def test_parameters_may_be_given(tmp_path: Path) -> None:
    table = accuracy_tables(
        rated_set(), ["lists"], ["ease", "popular"], None, 3, SystemStopwatch(), fixed={"ease": {"items": "5"}}
    )[0]
    (ease,) = [line for line in table.lines if line.family == "ease"]
    assert ease.params["items"] == 5
    assert {trial.params["l2"] for trial in table.trials if trial.family == "ease"} > {EASE().l2}
    assert all(trial.params["items"] == 5 for trial in table.trials if trial.family == "ease")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("ease.items=many", "ease.items must be an integer"),
        ("ease.size=9", "no parameter of ease 'size'"),
        ("esea.items=9", "no family 'esea'"),
        ("ease=9", "--set must be FAMILY.NAME=VALUE"),
        ("ease.items=0", "EASE's items must be at least 1"),
    ],
)
def test_parameters_that_cannot_be_are_reported(tmp_path: Path, given: str, message: str) -> None:
    write(tmp_path / "set", "u.data", "".join(f"{n % 9}\t{n % 7}\t{n % 5 + 1}\t{n}\n" for n in range(60)))
    done = CliRunner().invoke(app, ["accuracy", str(tmp_path / "set"), "--families", "ease", "--set", given])
    assert done.exit_code != 0
    assert message in str(done.exception)


@pytest.mark.data
def test_the_published_tables_of_ml_100k_are_reached() -> None:
    """Surprise: SVD .934, SVD++ .919, kNN-baseline .931; recommenders: BPR .442, BiVAE .475 (ndcg@10)."""
    data = read_rated_set(real("ml-100k"))
    names = ["biased_mf", "svdpp", "rating_knn", "ease", "slim", "bpr"]
    ratings, lists = accuracy_tables(data, ["ratings", "lists"], names, None, 1, SystemStopwatch())
    errors = {line.family: line.metrics["rmse"] for line in ratings.lines}
    assert errors["biased_mf"] < 0.91
    assert errors["svdpp"] < 0.915
    assert errors["rating_knn"] < 0.921
    gains = {line.family: line.metrics["ndcg@10"] for line in lists.lines}
    assert gains["ease"] > 0.48
    assert gains["slim"] > 0.475
    assert gains["bpr"] > 0.442


@pytest.mark.data
def test_what_smaller_forms_lose_on_ml_100k_is_bounded_and_attributes_help() -> None:
    names = ["ease", "sparse_ease", "pruned", "implicit_als", "quantized", "distilled", "hybrid"]
    table = accuracy_tables(read_rated_set(real("ml-100k")), ["lists"], names, None, 1, SystemStopwatch())[0]
    gains = {line.family: line.metrics["ndcg@10"] for line in table.lines}
    assert gains["sparse_ease"] > 0.97 * gains["ease"]
    assert gains["pruned"] > 0.97 * gains["ease"]
    assert gains["quantized"] > 0.99 * gains["implicit_als"]
    assert gains["distilled"] > gains["implicit_als"]
    assert gains["hybrid"] > gains["implicit_als"]


def test_every_model_is_in_some_table() -> None:
    from flyball.evaluation.published import LISTS, RATINGS

    assert set(MODELS) - {"stages"} == LISTS.keys() | RATINGS.keys()
