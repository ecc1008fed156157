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
