"""A log of ratings and watches of which some become known late, and a task that reads features of them."""

from tests.tasks.conftest import LIKED, Card, Joined, Rate, Viewer, Watch

import flyball as fb
from flyball.events import Schema
from flyball.models import Popular, Stages
from flyball.tasks import bind_features

DAY, SECOND = 86_400_000_000, 1_000_000
SCHEMA = Schema((Watch, Rate, Joined, Card, Viewer))
user = fb.Entity("user", Viewer, watched=fb.count(Watch, "7d"), group=lambda v: v.gender)
film = fb.Entity("film", Card, views=fb.count(Watch, "7d"), score=fb.mean(Rate, lambda r: r.stars, "30d"))
both = fb.Features("both", keys=(user, film), seen=fb.count(Watch, "lifetime"))
TASK = fb.Recommend(user, film, positive=LIKED, k=5, cold_start_slots=0, features=(both,))
RANKER = bind_features(TASK, Stages((Popular(),), features=("user", "film", "both")))
Row = tuple[str, int, str, int, int, int]


def rated(user: int, film: str, at: int, known_at: int | None = None) -> Row:
    return ("rate", user, film, 5, at, at if known_at is None else known_at)
