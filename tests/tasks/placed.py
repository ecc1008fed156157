"""Films of which some came after the fit, and users who each love one genre."""

from types import SimpleNamespace
from typing import Any

import numpy as np

GENRES, OLD = ("action", "comedy", "drama", "war"), 20
LEARNED, LATER = 10_000, 20_000
SILENT = "war-silent"  # known when the model was fitted, liked by nobody
NEW: list[tuple[str, list[str]]] = [
    *((f"{genre}-new{nth}", [genre, "color"]) for genre in GENRES for nth in range(2)),
    ("unheard-of", ["musical"]),
    ("undescribed", []),
]


def frames_of(films: SimpleNamespace, new: list[tuple[str, list[str]]]) -> dict[str, Any]:
    """User u likes half of the old films of genre u % 4; the `new` films are known after `LEARNED` only."""
    draw, rows = np.random.default_rng(0), list[tuple[object, ...]]()
    for genre in GENRES:
        rows += [("card", f"{genre}{nth:02d}", [genre, "color"], 1990 + nth % 3, 1, 1) for nth in range(OLD)]
    for user in range(80):
        for nth in sorted(draw.choice(OLD, 10, replace=False).tolist()):
            at = 100 + user * OLD + nth
            rows.append(("rate", user, f"{GENRES[user % 4]}{nth:02d}", 5, at, at))
    rows.append(("card", SILENT, ["war", "color"], 1990, 2, 2))
    for film, genres in new:
        year = 1990 if "color" in genres else None
        rows.append(("card", film, genres, year, LEARNED + 1, LEARNED + 1))
    return dict(films.frames(rows))
