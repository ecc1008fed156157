"""The beginning of a small application's file, for tests that write one: users who watch films."""

CINEMA = '''
"""A cinema."""
from typing import Annotated

import flyball as fb

User = Annotated[int, fb.Ref("user")]
Film = Annotated[str, fb.Ref("film"), fb.text(max_length=40)]


class Watch(fb.Event):
    user: User
    film: Film
    minute: Annotated[int, fb.integer(0, 500)]

'''

SERVED_CINEMA = (
    CINEMA
    + """
app = fb.App(
    "cinema",
    events=[Watch],
    task=fb.Recommend(fb.Entity("user"), fb.Entity("film"), positive=fb.outcome(Watch, within="1d"), k=8),
    candidates={"popular": fb.Popular()},
    gates=fb.gates(min_examples=10, max_answer="10s", max_loss=1.0, at_least={"full_lists@8": 0.0}),
)
"""
)
"""The whole file of an application that learns from little and serves lists, for tests of servers."""
