"""`is_readable`, whatever number the descriptor has."""

import os
import resource
from collections.abc import Iterator
from contextlib import closing

import pytest

from flyball.core.waiting import is_readable


@pytest.fixture(params=[None, 1_024, 1_500])
def pipe(request: pytest.FixtureRequest) -> Iterator[tuple[int, int]]:
    """A pipe to read from and to write to; its reading end has the number of the parameter."""
    reading, writing = os.pipe()
    if request.param is not None:
        if resource.getrlimit(resource.RLIMIT_NOFILE)[0] <= request.param:
            resource.setrlimit(
                resource.RLIMIT_NOFILE, (request.param + 1, resource.getrlimit(resource.RLIMIT_NOFILE)[1])
            )
        given, reading = reading, request.param
        os.dup2(given, reading)
        os.close(given)
    with closing(os.fdopen(reading, "rb")), closing(os.fdopen(writing, "wb", closefd=False)):
        yield reading, writing


def test_a_pipe_is_readable_from_its_first_byte_on(pipe: tuple[int, int]) -> None:
    reading, writing = pipe
    assert not is_readable(reading)
    assert not is_readable(reading, 0.001)
    os.write(writing, b"a")
    assert is_readable(reading)
    assert is_readable(reading, 60.0)
    os.read(reading, 1)
    assert not is_readable(reading)
    os.close(writing)


def test_the_end_of_a_pipe_is_to_be_read(pipe: tuple[int, int]) -> None:
    reading, writing = pipe
    os.close(writing)
    assert is_readable(reading, 60.0)
    assert os.read(reading, 1) == b""
