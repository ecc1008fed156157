"""Who answered when: a release is a known cause, so answers are compared with those of the same champion.

What a default answered before the first champion says nothing of what a champion usually answers, nor of the events
that follow its answers.
"""

from collections.abc import Sequence

from msgspec import Struct

from flyball.monitoring.watch.season import FEWEST_DAYS
from flyball.registry import Registry
from flyball.releases import all_releases

_DAY_US = 86_400_000_000
_OTHER_ANSWERS = ("start release", "advance release", "abort release", "finish release")
"""Actions after which other versions answer part of the requests."""
_ANSWERS = ("predictions", "features", "outcomes")
"""Tables of answers, and of what they were computed from and came to."""


class AnsweringChange(Struct, frozen=True):
    """From `at_us` on, microseconds since 1970, other versions answer: `words`, such as "v3 became the champion".

    `reigns`: whether the champion changed, to `version`.
    """

    at_us: int
    words: str
    reigns: bool
    version: str = ""


def answering_changes(registry: Registry) -> tuple[AnsweringChange, ...]:
    """All changes of who answers, and by which arrangement, oldest first."""
    entries = registry.audit()
    names = {entry.subject for entry in entries if entry.action in _OTHER_ANSWERS}
    releases = {release.id: release for release in all_releases(registry)} if names else {}
    changes = []
    for entry in entries:
        if entry.action in ("promote", "rollback"):
            again = " again" if entry.action == "rollback" else ""
            words = f"{entry.subject} became the champion{again}"
            changes.append(AnsweringChange(entry.at_us, words, True, entry.subject))
        elif entry.action == "arrange":
            changes.append(AnsweringChange(entry.at_us, f"the arrangement became {entry.subject}", False))
        elif entry.action in _OTHER_ANSWERS and getattr(releases.get(entry.subject), "kind", "") != "shadow":
            words = f"{entry.action.split()[0]} of release {entry.subject}"
            changes.append(AnsweringChange(entry.at_us, words, False))
    return tuple(sorted(changes, key=lambda change: change.at_us))


def usual_answers_since(changes: Sequence[AnsweringChange], until_us: int, known_us: Sequence[int]) -> int:
    """From when on windows show what is usual of the answers of a window that ends at `until_us`.

    `known_us`: the starts of the windows that it may be compared with. It is the start of its champion if seven of them
    or more have begun since, else that of the first champion; 0 before any.
    """
    reigns = [change.at_us for change in changes if change.reigns and change.at_us < until_us]
    if not reigns:
        return 0
    of_champion = sum(start_us >= reigns[-1] for start_us in known_us)
    return reigns[-1] if of_champion >= FEWEST_DAYS else reigns[0]


def usual_events_since(changes: Sequence[AnsweringChange], until_us: int, answers_us: Sequence[int]) -> int:
    """From when on windows show what is usual of events that may follow from answers: that of the first champion, if
    a default answered for a day or more before it, and not only until a new service had learned.

    `answers_us`: the starts of earlier windows with answers.
    """
    reigns = [change.at_us for change in changes if change.reigns and change.at_us < until_us]
    return reigns[0] if reigns and min(answers_us, default=until_us) <= reigns[0] - _DAY_US else 0


def follows_answers(table: str, inputs: Sequence[str]) -> bool:
    """Whether rows of `table` may depend on who answers: all but the events of `inputs`, which are the requests.

    >>> follows_answers("predictions", ["events.payment"]), follows_answers("events.verdict", ["events.payment"])
    (True, True)
    >>> follows_answers("events.payment", ["events.payment"])
    False
    """
    return table not in inputs


def is_of_answers(table: str) -> bool:
    """Whether rows of `table` are answers, or what they were computed from or came to.

    >>> is_of_answers("features.card"), is_of_answers("events.verdict")
    (True, False)
    """
    return table.partition(".")[0] in _ANSWERS
