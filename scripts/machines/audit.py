"""Compares what the log and the stores have with what clients saw."""

import json
import re
from collections import Counter

from machines.basics import say
from machines.cluster import Cluster
from machines.load import Tally


def audit(cluster: Cluster, tally: Tally) -> int:
    """Compare log and stores with what clients saw; returns the number of things lost or doubled."""
    (cluster.folder / "check").mkdir()
    own = re.sub(r"^(state|features) = .*$", "", cluster.settings, flags=re.M)
    (cluster.folder / "check" / "settings.toml").write_text(own)
    from flyball.outcomes import prediction_of

    runtime = cluster.runtime("check")
    views = Counter[tuple[int, str]]()
    for record in records_of(runtime.log):
        event = runtime.schema.decode(record)
        if type(event).__name__ == "View" and event.visitor >= 100_000:
            views[event.visitor, event.item] += 1
    ids = Counter(prediction_of(record).id for record in records_of(runtime.predictions))
    lost = tally.sent - views.keys()
    doubled = sum(count > 1 for count in views.values())
    missing, twice = [one for one in tally.ids if one not in ids], sum(count > 1 for count in ids.values())
    say(f"events lost {len(lost)}, doubled {doubled}, in the log {sum(views.values()):,}")
    say(f"answers {len(tally.ids):,}: records missing {len(missing)}, doubled {twice}")
    compared = json.loads(
        cluster.flyball("compare shop.py --home desk --with check --answers 20 --json", check=False).splitlines()[-1]
    )
    parts = {part["part"]: part["compared"] for part in compared["parts"]}
    say(f"state in Redis and one rebuilt from the log are equal: {compared['identical']} {parts}")
    for part in compared["parts"]:
        for difference in part["differences"]:
            say(f"{part['part']}: {difference}")
    return len(lost) + doubled + twice + (not compared["identical"])


def records_of(log):
    for piece in pieces_of(log):
        yield from piece.records


def places_of(log) -> set[tuple[int, int]]:
    """(partition, offset) of all records."""
    return {(piece.partition, piece.first + number) for piece in pieces_of(log) for number in range(len(piece.records))}


def pieces_of(log):
    position = (0,) * len(log.ends())
    while slices := log.read(position, 10_000):
        for piece in slices:
            yield piece
            position = tuple(piece.end if part == piece.partition else at for part, at in enumerate(position))
