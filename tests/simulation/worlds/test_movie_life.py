"""The planted truths of a world: what was drawn is what can be found in it."""

import re
import zlib
from collections import Counter
from hashlib import sha256
from itertools import pairwise

import numpy as np
import pytest

from flyball.core import BadInput, parse_timestamp
from flyball.simulation import Timeline
from flyball.simulation.world import DAY_US
from flyball.simulation.worlds.movies import Habits, MovieBatch, MovieLife, make_life
from flyball.simulation.worlds.movies.behavior import DISLIKED_MINUTES, LIKED_MINUTES
from flyball.simulation.worlds.movies.catalog import GENRES

START_US = parse_timestamp("2026-03-02")
LINE = re.compile(
    rb"\A\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d)?(\.\d{3})?,\d+,"
    rb"(GET /data/m/[a-z0-9+._*-]+/\d+\.mpg|GET /rate/[a-z0-9+._*-]+=[1-5]|GET /create_account"
    rb"|recommendation request [a-z0-9:.]+, status (200|0), result: .+, \d+ ms)\Z"
)


def live(world: MovieLife, days: float) -> list[MovieBatch]:
    """Users search for themselves, for days in steps of six hours; the first batch holds the profiles."""
    batches, end_us = [MovieBatch([], list(world.profiles()), {})], world.start_us + int(days * DAY_US)
    while world.now_us < end_us:
        until_us = min(world.now_us + DAY_US // 4, end_us)
        sessions = world.sessions(until_us)
        world.decide(sessions, [None] * len(sessions))
        batches.append(world.emit(until_us))
    return batches


def lines_of(batches: list[MovieBatch]) -> list[bytes]:
    return [line for batch in batches for line in batch.lines]


def planted_in(batches: list[MovieBatch]) -> Counter[str]:
    return sum((Counter(batch.planted) for batch in batches), Counter())


@pytest.fixture(scope="module")
def week() -> tuple[MovieLife, list[MovieBatch]]:
    world = make_life(1_500, 3_000, seed=5, start_us=START_US)
    return world, live(world, 7)


def digest(seed: int, life: int = 0) -> str:
    batches = live(make_life(100, 200, seed=seed, start_us=START_US, life=life), 2)
    return sha256(b"\n".join(lines_of(batches)) + repr([b.profiles for b in batches]).encode()).hexdigest()


def test_same_seed_same_lines_another_seed_others() -> None:
    assert digest(1) == digest(1)
    assert len({digest(1), digest(2), digest(1, life=1)}) == 3


def test_another_life_keeps_users_and_films() -> None:
    one, other = (make_life(50, 60, seed=3, start_us=0, life=life) for life in (0, 1))
    assert list(one.profiles()) == list(other.profiles())
    assert np.array_equal(one.users.tastes, other.users.tastes)


def test_popularity_is_a_power_law_in_what_is_watched(week: tuple[MovieLife, list[MovieBatch]]) -> None:
    world, _ = week
    rank = np.argsort(np.argsort(-world.films.weight)) + 1
    slope = np.polyfit(np.log(rank), np.log(world.films.weight), 1)[0]
    assert slope == pytest.approx(-1.0, abs=1e-6)
    views = Counter(film for user in range(len(world.users)) for film in world.watched(user))
    # Means over ranks 2-4, 5-16 and so on, each four times wider: taste scatters single films, not these.
    edges = [2, 5, 17, 65, 257]
    means = [np.mean([views[f] for f in np.flatnonzero((rank >= a) & (rank < b))]) for a, b in pairwise(edges)]
    centres = [np.sqrt(a * (b - 1)) for a, b in pairwise(edges)]
    assert np.polyfit(np.log(centres), np.log(means), 1)[0] == pytest.approx(-1.0, abs=0.25)


def test_tribes_like_other_films(week: tuple[MovieLife, list[MovieBatch]]) -> None:
    world, _ = week
    tastes, tribe = world.users.tastes, world.users.tribe
    centres = np.array([tastes[tribe == k].mean(axis=0) for k in range(tribe.max() + 1)])
    nearest = ((tastes[:, None] - centres) ** 2).sum(axis=2).argmin(axis=1)
    assert (nearest == tribe).mean() > 0.8


def test_groups_tell_something_about_taste_but_not_all(week: tuple[MovieLife, list[MovieBatch]]) -> None:
    world, _ = week
    users = world.users

    def explained(groups: np.ndarray) -> float:
        total = users.tastes.var(axis=0).sum()
        within = sum(users.tastes[groups == g].var(axis=0).sum() * (groups == g).mean() for g in np.unique(groups))
        return float(1 - within / total)

    shuffled = np.random.default_rng(0).permutation(users.occupation)
    by_occupation, by_gender, by_tribe = explained(users.occupation), explained(users.gender), explained(users.tribe)
    assert explained(shuffled) < 0.03 < by_occupation < by_tribe
    assert 0.005 < by_gender < by_tribe


def test_genres_carry_taste(week: tuple[MovieLife, list[MovieBatch]]) -> None:
    films = week[0].films
    assert ((films.genres.sum(axis=1) >= 1) & (films.genres.sum(axis=1) <= 3)).all()
    horror, drama = films.genres[:, GENRES.index("Horror")], films.genres[:, GENRES.index("Drama")]
    apart = films.tastes[horror & ~drama].mean(axis=0) - films.tastes[drama & ~horror].mean(axis=0)
    assert np.abs(apart).max() > 0.5


def test_titles_are_unique_slugs_of_all_shapes() -> None:
    slugs = make_life(1, 27_000, seed=1, start_us=0).films.slugs
    assert len(set(slugs)) == 27_000
    assert all(re.fullmatch(r"[a-z0-9+._*-]+\+(\d{4})?", slug) and len(slug) <= 110 for slug in slugs)
    assert any("_" in slug for slug in slugs)
    assert any("++" in slug for slug in slugs)
    assert 5 < sum(slug.endswith("+") for slug in slugs) < 60
    assert max(map(len, slugs)) > 90


def test_lines_have_the_form_of_the_stream(week: tuple[MovieLife, list[MovieBatch]]) -> None:
    lines, planted = lines_of(week[1]), planted_in(week[1])
    broken = sum(LINE.match(line) is None for line in lines)
    # A random film id has upper-case letters, which the pattern here refuses; so may an altered line.
    assert planted["broken"] + planted["random_film"] <= broken + 1
    assert broken <= planted["broken"] + planted["random_film"] + planted["altered"]
    assert planted.total() == len(lines)


def test_corrupted_and_repeated_shares(week: tuple[MovieLife, list[MovieBatch]]) -> None:
    planted = planted_in(week[1])
    n = planted.total()
    corrupted = planted["broken"] + planted["altered"] + planted["random_film"]
    assert corrupted / n == pytest.approx(0.001, abs=4 * (0.001 / n) ** 0.5)
    assert planted["duplicate"] / n == pytest.approx(0.0005, abs=4 * (0.0005 / n) ** 0.5)
    lines = lines_of(week[1])
    assert len(lines) - len(set(lines)) == planted["duplicate"]


def test_whole_minutes_are_written_without_seconds(week: tuple[MovieLife, list[MovieBatch]]) -> None:
    lines = [line for line in lines_of(week[1]) if LINE.match(line)]
    short = sum(len(line.split(b",")[0]) == 16 for line in lines)
    # The minutes of one film share their second, so it is the films that are independent, about 3,600 of them.
    assert short / len(lines) == pytest.approx(1 / 60, abs=4 * (1 / 60 / 3_600) ** 0.5)
    assert not any(line.split(b",")[0].endswith(b":00") and len(line.split(b",")[0]) == 19 for line in lines)


def test_order_holds_within_partitions_only(week: tuple[MovieLife, list[MovieBatch]]) -> None:
    lines = [line for line in lines_of(week[1]) if LINE.match(line)]
    lines = list(dict.fromkeys(lines))[:20_000]
    times = [(line.split(b",")[0] + b":00")[:19] for line in lines]
    halves = [zlib.crc32(line.split(b",")[1]) % 2 for line in lines]
    assert any(before > after for before, after in pairwise(times))
    for half in (0, 1):
        own = [time for time, which in zip(times, halves, strict=True) if which == half]
        steps_back = sum(before > after for before, after in pairwise(own))
        assert steps_back <= 20  # what was repeated arrives late


def test_minutes_grow_with_affinity_and_show_who_liked(week: tuple[MovieLife, list[MovieBatch]]) -> None:
    world, batches = week
    longest: dict[tuple[int, int], int] = {}
    for line in lines_of(batches):
        found = re.fullmatch(rb"[^,]+,(\d+),GET /data/m/([a-z0-9+._*-]+)/(\d{1,3})\.mpg", line)
        if found and found[2].decode() in world.film_index:
            pair = (int(found[1]) - 1, world.film_index[found[2].decode()])
            longest[pair] = max(longest.get(pair, 0), int(found[3]))
    watched = [(user, film) for user in range(len(world.users)) for film in world.watched(user)]
    minutes = np.array([longest.get(pair, 0) for pair in watched])
    likes = np.array([world.like_probability(user, [film])[0] for user, film in watched])
    assert np.corrcoef(minutes, likes)[0, 1] > 0.5
    liked = minutes >= LIKED_MINUTES
    # Between the two bounds lie only those still watching at the end.
    assert ((minutes > DISLIKED_MINUTES) & ~liked).mean() < 0.01
    assert liked.mean() == pytest.approx(likes.mean(), abs=4 * 0.5 / len(likes) ** 0.5)


def test_ratings_follow_enjoyment(week: tuple[MovieLife, list[MovieBatch]]) -> None:
    world, batches = week
    stars, likes = [], []
    for line in lines_of(batches):
        found = re.fullmatch(rb"[^,]+,(\d{1,4}),GET /rate/([a-z0-9+._*-]+)=([1-5])", line)
        if found and found[2].decode() in world.film_index:
            stars.append(int(found[3]))
            likes.append(world.like_probability(int(found[1]) - 1, [world.film_index[found[2].decode()]])[0])
    assert len(stars) > 200
    assert np.corrcoef(stars, likes)[0, 1] > 0.4


def test_new_users_join_and_films_appear() -> None:
    world = make_life(300, 400, seed=2, start_us=START_US, joins_a_day=40, premieres_a_day=5)
    batches = live(world, 3)
    first, later = batches[0].profiles, [row for batch in batches[1:] for row in batch.profiles]
    assert Counter(kind for kind, _, _ in first) == {"filmcard": 360, "viewer": 300}
    assert all(at == START_US for _, _, at in first)
    joined = [row for row in later if row[0] == "viewer"]
    assert planted_in(batches)["account"] == pytest.approx(len(joined), abs=1)
    assert len(joined) == 60  # the reserve of a fifth is used up
    assert 5 <= sum(kind == "filmcard" for kind, _, _ in later) <= 30
    known = {fields["film"] for kind, fields, _ in first if kind == "filmcard"}
    premiere = {fields["film"]: at for kind, fields, at in later if kind == "filmcard"}
    for line in lines_of(batches):
        found = re.fullmatch(rb"[^,]+,\d+,GET /data/m/([a-z0-9+._*-]+)/\d+\.mpg", line)
        if found and found[1].decode() in world.film_index:
            slug = found[1].decode()
            assert slug in known or premiere[slug] < world.now_us


def test_evenings_are_busier_than_mornings(week: tuple[MovieLife, list[MovieBatch]]) -> None:
    hours = Counter(int(line[11:13]) for line in lines_of(week[1]) if LINE.match(line))
    assert sum(hours[h] for h in (20, 21, 22)) > 4 * sum(hours[h] for h in (4, 5, 6))


def test_nobody_watches_two_films_at_once_or_one_twice() -> None:
    world = make_life(40, 200, seed=4, start_us=START_US, habits=Habits(sessions_a_day=4, corrupt_share=0))
    lines = [line for line in lines_of(live(world, 2)) if b"/data/m/" in line]
    seen: dict[bytes, list[bytes]] = {}
    for line in sorted(set(lines)):
        _, user, rest = line.split(b",", 2)
        film = rest.split(b"/")[3]
        films = seen.setdefault(user, [])
        if not films or films[-1] != film:
            assert film not in films
            films.append(film)


def test_lists_are_considered_from_the_top() -> None:
    def taken_at(rank: int) -> int:
        world = make_life(4_000, 300, seed=6, start_us=START_US, habits=Habits(sessions_a_day=20))
        sessions = world.sessions(START_US + DAY_US)
        # One film that every third user would like, among nineteen that nobody would.
        likes = np.array([world.like_probability(user, range(300)) for user in range(500)]).mean(axis=0)
        best = np.argmax(likes)
        shown = [world.films.slugs[film] for film in np.argsort(likes)[:19]]
        shown.insert(rank, world.films.slugs[best])
        return int((world.decide(sessions, [shown] * len(sessions)).rank == rank).sum())

    top, middle, bottom = (taken_at(rank) for rank in (0, 7, 19))
    assert top > 2 * middle > 4 * bottom > 0


def test_requests_leave_lines_and_failures_their_error() -> None:
    world = make_life(50, 60, seed=7, start_us=START_US, habits=Habits(sessions_a_day=5))
    sessions = world.sessions(START_US + DAY_US)
    lists = [world.films.slugs[:3] if i % 2 else None for i in range(len(sessions))]
    world.decide(sessions, lists)
    world.note_requests(sessions, lists, [12] * len(sessions))
    batch = world.emit(START_US + 2 * DAY_US)
    requests = [line for line in batch.lines if b"recommendation request" in line]
    assert all(LINE.match(line) for line in requests)
    assert len(requests) >= len(sessions) == batch.planted["request"]
    assert sum(b"status 0" in line for line in requests) >= len(sessions) // 2


def test_lines_carry_the_time_of_the_timeline() -> None:
    world = make_life(200, 100, seed=8, start_us=START_US)
    origin_us = parse_timestamp("2030-01-01T12:00:00Z")
    world.timeline = Timeline(START_US, origin_us, 3_600.0)  # an hour a second
    batches = live(world, 1)
    times = {line[:16] for line in lines_of(batches) if LINE.match(line)}
    assert times == {b"2030-01-01T12:00"}


def test_a_million_users_are_drawn_in_stated_memory() -> None:
    world = make_life(1_000_000, 1_000, seed=1, start_us=START_US)
    assert world.nbytes() / 1_200_000 < 110
    assert len(world.sessions(START_US + DAY_US // 24)) > 1_000


@pytest.mark.parametrize(("users", "films"), [(0, 100), (10, 9)])
def test_too_small_worlds_are_refused(users: int, films: int) -> None:
    with pytest.raises(BadInput):
        make_life(users, films, seed=1, start_us=0)
