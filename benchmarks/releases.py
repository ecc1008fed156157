"""What routing one request costs, with no release, one, and three at a time with a holdout.

Run: python benchmarks/releases.py [--requests 200000]
"""

import argparse
from types import SimpleNamespace
from typing import Any

from flyball.core import SystemStopwatch
from flyball.releases import HoldoutGroup, Release, ReleaseArm, ReleaseState, Router


def release(name: str, **fields: Any) -> Release:
    arms = (
        ReleaseArm("control"),
        ReleaseArm("candidate", fields.pop("version", "v2"), fields.pop("arrangement", None)),
    )
    fixed: Any = {"id": name, "kind": "ab", "state": "ab", "salt": name, "arms": arms, "unit": ("user",)}
    return Release(**{**fixed, **fields})


TARGETS = {"country": ("NL", "BE", "LU")}
STATES = {
    "no release": ReleaseState(champion="v1"),
    "a canary": ReleaseState(champion="v1", releases=(release("rel1", kind="canary", state="canary", steps=(500,)),)),
    "three experiments and a holdout": ReleaseState(
        champion="v1",
        releases=(
            release("rel1", end=5_000, targets=TARGETS),
            release("rel2", first=5_000, end=10_000, version="v3"),
            release("rel3", layer="arrangement", version="", arrangement=2),
        ),
        holdout=HoldoutGroup(0.02, "holdout", "v0", ("user",)),
    ),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=200_000)
    chosen = parser.parse_args()
    events = [SimpleNamespace(user=user, country="NL" if user % 2 else "DE", at=0) for user in range(1_000)]
    stopwatch = SystemStopwatch()
    print(f"{'released':<34} us per request")
    for name, state in STATES.items():
        router, best_s = Router(state), float("inf")
        for _ in range(5):
            began_s = stopwatch.read_s()
            for number in range(chosen.requests // 5):
                router.route("7", events[number % 1_000])
            best_s = min(best_s, stopwatch.read_s() - began_s)
        print(f"{name:<34} {best_s / (chosen.requests // 5) * 1e6:>14.2f}")


if __name__ == "__main__":
    main()
