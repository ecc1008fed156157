"""The users of a world: hidden tastes, visible attributes, and how much they watch.

Every user belongs to one of `TRIBES` hidden taste groups. Age band, gender and occupation are drawn given the tribe, so
they carry some information about taste. This module does not know films.
"""

import msgspec
import numpy as np

from flyball.core import BadInput

TRIBES = 12
TRIBE_SHARE_OF_TASTE = 0.85
AGE_BANDS = ((10, 17), (18, 24), (25, 34), (35, 44), (45, 54), (55, 64), (65, 90))
_AGE_SHARE = np.array((4, 16, 40, 18, 10, 7, 5), dtype=np.float64)
OCCUPATIONS = (
    "K-12 student",
    "academic/educator",
    "artist",
    "clerical/admin",
    "college/grad student",
    "customer service",
    "doctor/health care",
    "executive/managerial",
    "farmer",
    "homemaker",
    "lawyer",
    "other or not specified",
    "programmer",
    "retired",
    "sales/marketing",
    "scientist",
    "self-employed",
    "technician/engineer",
    "tradesman/craftsman",
    "unemployed",
    "writer",
)


class Users(msgspec.Struct, frozen=True):
    """A population of n users, as columns; user i has the id str(i + 1).

    `tastes`: float32 (n, dims), about unit variance. `activity`: float32 (n,), sessions a day relative to the mean.
    `mildness`: float32 (n,), stars added to every rating. `joins_day`: float32 (n,), days after the start of the world;
    0 or less for users who are there at the start. The others: int8 (n,), indices into `TRIBES`, `AGE_BANDS`, "FM",
    `OCCUPATIONS`; `age` in years; `shift_h`: hours by which the daily rhythm of the user is shifted.
    """

    tastes: np.ndarray
    tribe: np.ndarray
    age: np.ndarray
    gender: np.ndarray
    occupation: np.ndarray
    shift_h: np.ndarray
    activity: np.ndarray
    mildness: np.ndarray
    joins_day: np.ndarray

    def __len__(self) -> int:
        return len(self.tribe)

    def leaning(self, share: float) -> np.ndarray:
        """The activity of each user, float32 (n,), the same in total, if the tribe 0 watches more and more of all.

        At a share of 1 half of the sessions begin with its users; as a user has one at a time, a third comes about.
        """
        of_tribe = self.tribe == 0
        part = float(self.activity[of_tribe].sum() / self.activity.sum()) if of_tribe.any() else 1.0
        if not 0 < part < 0.5:
            return self.activity
        target = part + share * (0.5 - part)
        factor = np.where(of_tribe, target / part, (1 - target) / (1 - part))
        return np.asarray(self.activity * factor, dtype=np.float32)

    def nbytes(self) -> int:
        """Memory of the columns."""
        return sum(getattr(self, name).nbytes for name in self.__struct_fields__)


def tribe_centers(rng: np.random.Generator, dims: int, directions: np.ndarray) -> np.ndarray:
    """The mean taste of each tribe, float32 (TRIBES, dims), unit variance: it likes three genres and dislikes one."""
    centers = np.zeros((TRIBES, dims), dtype=np.float32)
    for tribe in range(TRIBES):
        liked = rng.permutation(len(directions))[:4]
        centers[tribe] = directions[liked[:3]].sum(axis=0) - directions[liked[3]]
    centers /= np.sqrt((centers**2).mean(axis=1, keepdims=True))
    return centers


def make_users(
    rng: np.random.Generator, n: int, centers: np.ndarray, *, joins_a_day: float = 0.0, joining: int = 0
) -> Users:
    """Draw `n` users of the start and `joining` users who join later one by one, `joins_a_day` on average.

    `centers`: float32 (TRIBES, dims). Memory: about 80 bytes a user with 16 dimensions. Raises `BadInput` for no users.
    """
    if n < 1 or joining < 0 or (joining and joins_a_day <= 0):
        raise BadInput("users", "1 or more, with joins_a_day above 0 when some join later", (n, joining, joins_a_day))
    total = n + joining
    tribe = rng.integers(TRIBES, size=total, dtype=np.int8)
    band = _draw_given_tribe(rng, tribe, _tilted(rng, _AGE_SHARE, 0.9))
    gender = _draw_given_tribe(rng, tribe, _tilted(rng, np.array((45.0, 55.0)), 0.9))
    occupation = _draw_given_tribe(rng, tribe, _tilted(rng, rng.gamma(1.0, size=len(OCCUPATIONS)), 0.7))
    joins_day = np.zeros(total, dtype=np.float32)
    if joining:
        joins_day[n:] = np.cumsum(rng.exponential(1.0 / joins_a_day, size=joining))
    return Users(
        tastes=_draw_tastes(rng, tribe, centers),
        tribe=tribe,
        age=_draw_age(rng, band),
        gender=gender,
        occupation=np.where(band == 0, OCCUPATIONS.index("K-12 student"), occupation).astype(np.int8),
        # Young users watch later in the day than old ones.
        shift_h=np.array((0, 2, 1, 0, 0, -1, -2), dtype=np.int8)[band],
        activity=rng.gamma(1.5, 1.0 / 1.5, size=total).astype(np.float32),
        mildness=rng.normal(0.0, 0.4, size=total).astype(np.float32),
        joins_day=joins_day,
    )


def _draw_tastes(rng: np.random.Generator, tribe: np.ndarray, centers: np.ndarray) -> np.ndarray:
    tastes = rng.standard_normal(size=(len(tribe), centers.shape[1]), dtype=np.float32)
    tastes *= np.float32(np.sqrt(1.0 - TRIBE_SHARE_OF_TASTE))
    tastes += (np.float32(np.sqrt(TRIBE_SHARE_OF_TASTE)) * centers)[tribe]
    return tastes


def _tilted(rng: np.random.Generator, shares: np.ndarray, strength: float) -> np.ndarray:
    """Cumulative shares, float64 (TRIBES, len(shares)): the base shares, tilted at random for each tribe."""
    odds = shares * np.exp(strength * rng.normal(size=(TRIBES, len(shares))))
    return np.cumsum(odds / odds.sum(axis=1, keepdims=True), axis=1)


def _draw_given_tribe(rng: np.random.Generator, tribe: np.ndarray, cumulative: np.ndarray) -> np.ndarray:
    draws = rng.random(len(tribe))
    chosen = np.zeros(len(tribe), dtype=np.int8)
    for k in range(cumulative.shape[1] - 1):
        chosen += draws >= cumulative[tribe, k]
    return chosen


def _draw_age(rng: np.random.Generator, band: np.ndarray) -> np.ndarray:
    low, high = np.array(AGE_BANDS, dtype=np.int16).T
    return np.asarray(low[band] + rng.random(len(band)) * (high - low + 1)[band]).astype(np.int8)
