"""Which lists were truly adopted, against a naive look at every list and every minute."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flyball.simulation import DAY_US
from flyball.simulation.worlds.movies.adoption import Adoptions

MINUTE_US, HOUR_US = 60_000_000, 3_600_000_000
List = tuple[int, int, list[int]]
"""(user, at, films); its place in the sequence is the request."""
Watch = tuple[int, int, int, int]
"""(user, film, start, minutes)"""


def adopted(lists: Sequence[List], watches: Sequence[Watch], looks: Sequence[int] = ()) -> list[int]:
    """As the world notes them: a list as it is shown, a film when it is chosen, which is no later than it begins."""
    notes = [(at, 0, row) for row, (_, at, _) in enumerate(lists)]
    notes += [(start - HOUR_US, 1, row) for row, (_, _, start, _) in enumerate(watches)]
    adoptions, found = Adoptions(), list[int]()
    moments = sorted([*notes, *((at, 2, 0) for at in looks)])
    for at, kind, row in moments:
        if kind == 0:
            user, at_us, films = lists[row]
            adoptions.shown(user, row, at_us, films)
        elif kind == 1:
            adoptions.started(*watches[row])
        else:
            found += adoptions.until(at)
    return sorted([*found, *adoptions.until(1 << 62)])


def naive(lists: Sequence[List], watches: Sequence[Watch]) -> list[int]:
    taken: set[tuple[int, int, int]] = set()
    found = set()
    for request, (user, at, films) in sorted(enumerate(lists), key=lambda entry: (entry[1][1], entry[0])):
        for film in films:
            minutes = [
                start + nth * MINUTE_US
                for watcher, watched, start, count in watches
                for nth in range(count)
                if (watcher, watched) == (user, film) and at <= start + nth * MINUTE_US <= at + DAY_US
            ]
            if minutes and (user, film, min(minutes)) not in taken:
                taken.add((user, film, min(minutes)))
                found.add(request)
    return sorted(found)


@pytest.mark.parametrize(
    ("start_us", "minutes", "expected"),
    [
        (0, 1, [0]),
        (DAY_US, 1, [0]),
        (DAY_US + 1, 1, [1]),
        (HOUR_US, 1, [0]),  # at the time of the second list it is the first minute after both
        (HOUR_US - MINUTE_US, 2, [0, 1]),  # shown again while it runs
        (HOUR_US - MINUTE_US, 1, [0]),
        (DAY_US + HOUR_US + 1, 1, []),
    ],
)
def test_the_edges_of_a_day_and_of_a_film(start_us: int, minutes: int, expected: list[int]) -> None:
    lists = [(7, 0, [3]), (7, HOUR_US, [3, 4]), (8, 0, [3])]
    watches = [(7, 3, start_us, minutes), (7, 9, 0, 100)]
    assert adopted(lists, watches) == naive(lists, watches) == expected


times = st.one_of(st.sampled_from([0, 1, HOUR_US, DAY_US, DAY_US + 1, 2 * DAY_US]), st.integers(0, 3 * DAY_US))
lists_shown = st.lists(st.tuples(st.integers(1, 2), times, st.lists(st.integers(1, 3), unique=True)), max_size=8)
films_watched = st.lists(st.tuples(st.integers(1, 2), st.integers(1, 3), times, st.integers(1, 90)), max_size=6)


@given(lists_shown, films_watched, st.lists(times, max_size=4))
def test_equals_the_naive_look(lists: list[List], watches: list[Watch], looks: list[int]) -> None:
    """However often it is asked for in between."""
    assert adopted(lists, watches, looks) == naive(lists, watches)
