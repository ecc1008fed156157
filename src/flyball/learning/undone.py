"""A newer version that was rolled back, or whose release was aborted: its causes start no run again by themselves."""

import msgspec

from flyball.core import format_second
from flyball.registry import Registry, Version
from flyball.releases import all_releases, last_step

_GOVERNOR = "governor"
LONGEST_PATIENCE = 32
"""How many times its cooldown a cause waits at most."""
_WORDS = {"rolled_back": "rolled back", "aborted": "aborted"}


class UndoneVersion(msgspec.Struct, frozen=True, kw_only=True):
    """The last version that learned later than the champion and was undone, so that the champion serves again.

    `words`: "rolled back" or "aborted". `at_us`, `by`, `reason`: when, by whom and why. `known_us`: of its snapshot.
    `times`: how many newer versions were undone for this champion. `newer`: whether there are
    events since its snapshot.
    """

    version: str
    words: str
    at_us: int
    by: str
    reason: str
    known_us: int
    times: int = 1
    newer: bool = False

    def pause_us(self, cooldown_us: int) -> int:
        """How long a cause with this cooldown waits: the longest pause after a person, who has seen what no evidence
        shows; twice as long after each time that the governor did it."""
        patience = min(1 << min(self.times, LONGEST_PATIENCE), LONGEST_PATIENCE)
        return cooldown_us * (patience if self.by == _GOVERNOR else LONGEST_PATIENCE)

    def keeps_back(self, seen_us: int, cooldown_us: int, now_us: int) -> str:
        """Why a cause that was first seen at `seen_us` (0: it was there all along) starts no run now, "" if it may."""
        until_us = self.at_us + self.pause_us(cooldown_us)
        if seen_us > self.at_us or (now_us >= until_us and self.newer):
            return ""
        return (
            f"{self.version} was {self.words} by {self.by} at {format_second(self.at_us)} ({self.reason}): the same "
            f"cause starts no run before {format_second(until_us)} and without newer events, unless it ends and comes "
            "again; flyball learn starts one now"
        )


def undone_over(registry: Registry, champion: Version) -> UndoneVersion | None:
    """What was undone for `champion`, None without any; `newer` is left out."""
    undone: list[UndoneVersion] = []
    for release in all_releases(registry):
        if release.state not in _WORDS or release.over != champion.id or not release.candidate:
            continue
        known_us = registry.version(release.candidate).as_of_us
        if known_us <= champion.as_of_us:
            continue
        step = last_step(registry, release)
        words, version = _WORDS[release.state], release.candidate
        undone.append(
            UndoneVersion(
                version=version, words=words, at_us=release.ended_us, by=step.by, reason=step.reason, known_us=known_us
            )
        )
    last = max(undone, key=lambda version: (version.at_us, version.known_us), default=None)
    return last and msgspec.structs.replace(last, times=len(undone))
