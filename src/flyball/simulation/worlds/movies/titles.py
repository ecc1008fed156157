"""Made-up film titles in the slug form of the movielog stream: `the+silent+harbour+1987`.

Spaces become `+`; a comma becomes `_`; an ampersand vanishes between its two spaces (`++`); a film without a known
year ends in `+`.
"""

from collections.abc import Sequence

import numpy as np

from flyball.core import BadInput


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


_QUALITIES = _words(
    "silent amber broken crooked distant eager faithful golden hollow hungry idle jealous kindly last little lonely "
    "lost midnight narrow northern painted paper patient pale quiet reckless restless rusty salted scarlet second "
    "secret seventh sleeping slow solemn southern stolen stubborn tender thirteenth thirsty timid unwritten velvet "
    "wandering weary western white wicked wild winter wooden yellow"
)
_THINGS = _words(
    "harbour lantern orchard ferry clockmaker cartographer lighthouse caravan glacier piano umbrella telegram violin "
    "beekeeper bicycle bridge candle canyon carnival cellar chapel chimney circus comet compass courier cousin "
    "crossing dancer daughter deck delta diver drummer echo elevator ember engine envelope farewell fever fiddler "
    "fisherman garden gardener ghost granite guest gunner harvest hedge hotel hour hunter inheritance island juggler "
    "jury kettle kingdom kite ladder lake landlady ledger letter lock locksmith machine mailman map market mask "
    "meadow melody mine miller mirror monsoon moth mountain neighbor nephew night notary oath observatory oracle "
    "outpost pact parade passenger pilot pirate planet portrait prisoner promise puppet quarry quarrel queen raft "
    "railway rebel reef river robot sailor satellite schoolhouse secretary sentry shadow shepherd shipwreck signal "
    "sister skeleton smuggler snowfall soldier stairway station stranger suitcase summer surgeon tailor tavern "
    "telescope thief thunder ticket tide tower trader tram treaty tunnel valley verdict village visitor voyage waiter "
    "wager watchman waterfall wedding whisper widow windmill witness wolf workshop year zeppelin"
)
_STARTS = _words(
    "al bar bel cas cor dar del el fen gal hal ib jor kal lor mar nor or pel quin ros sel tam ur val wil yor zan"
)
_MIDDLES = _words("a e i o u an ar el en er il in or un")
_ENDS = _words("bek da dor fer ga heim ka la len mir na nov ra rin sk ta ton va vik wen za")
_JOINS = ("of the", "and the", "without a", "beyond the", "in the", "under the", "at the")
_LONGEST = 110
_DRAWS = 6


def make_titles(rng: np.random.Generator, years: np.ndarray) -> list[str]:
    """One unique slug for each year in `years`, shape (n,); a year of 0 means unknown.

    >>> make_titles(np.random.default_rng(1), np.array([1987]))[0].endswith("+1987")
    True
    """
    if years.ndim != 1:
        raise BadInput("years", "one-dimensional", years.shape)
    used_titles: dict[str, None] = {}
    for year, draws in zip(years.tolist(), rng.random((len(years), _DRAWS)).tolist(), strict=True):
        slug = _slug(_title(draws), year)
        while slug in used_titles or len(slug) > _LONGEST:
            slug = _slug(_title(rng.random(_DRAWS).tolist()), year)
        used_titles[slug] = None
    return list(used_titles)


def _slug(title: str, year: int) -> str:
    words = title.replace(",", "_").replace("&", "").replace(" ", "+")
    return f"{words}+{year}" if year else f"{words}+"


def _title(draws: list[float]) -> str:
    """A title from `_DRAWS` numbers in [0, 1); the first picks the shape."""
    shape, first, second, third, fourth, fifth = draws
    quality, other_quality = _pick(_QUALITIES, first), _pick(_QUALITIES, third)
    thing, other_thing = _pick(_THINGS, second), _pick(_THINGS, fourth)
    name, town = _name(first), _name(fifth)
    if shape < 0.30:
        return f"the {quality} {thing}"
    if shape < 0.48:
        return f"{quality} {thing}"
    if shape < 0.60:
        return f"the {thing} of {town}"
    if shape < 0.70:
        return f"{name} {_pick(_JOINS, third)} {thing}"
    if shape < 0.77:
        return f"{name} & {town}"
    if shape < 0.84:
        return f"{thing} {2 + int(third * 3)} {_pick(_JOINS, fifth)} {other_thing}"
    if shape < 0.90:
        return f"{quality} {thing}, {other_quality} {other_thing}"
    if shape < 0.94:
        return f"{name}'s {thing}".replace("'", "")
    if shape < 0.985:
        return f"{town}-{name}"
    return (
        f"the {quality} {thing} of {town}, or how the {other_quality} {other_thing} came {_pick(_JOINS, fifth)} "
        f"{_pick(_THINGS, first)}"
    )


def _name(draw: float) -> str:
    """A made-up name; one draw gives two or three syllables."""
    start, draw = _split(_STARTS, draw)
    middle, draw = _split(_MIDDLES, draw)
    end, draw = _split(_ENDS, draw)
    return start + end if draw < 0.4 else start + middle + end


def _pick(words: Sequence[str], draw: float) -> str:
    return words[int(draw * len(words))]


def _split(words: Sequence[str], draw: float) -> tuple[str, float]:
    """The word at `draw`, and what is left of the draw, again in [0, 1)."""
    scaled = draw * len(words)
    return words[int(scaled)], scaled - int(scaled)
