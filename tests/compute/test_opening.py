"""Where tasks run is named by a URL, and what is wrong with it is said before anything starts."""

import pytest

from flyball.compute import open_compute
from flyball.core import BadSetting, UnknownBackend


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("ray://", "must name local or host:port of a cluster's head, got ''"),
        ("ray://head", "must name local or host:port of a cluster's head, got 'head'"),
        ("ray://ann:s3cret@head:6379", r"ray://head:6379 must have no login, got one"),
        ("ray://ann:s3cret@head", r"ray://head must have no login, got one"),
        ("ray://head:6379?cpu=2", "option of ray:// must be one of cpus, retries, got 'cpu'"),
        ("ray://head:6379?cpus=2", "option cpus must stand with ray://local, got ray://head:6379"),
        ("ray://local?retries=no", "option retries of ray:// must be a whole number, got 'no'"),
    ],
)
def test_what_is_wrong_with_a_cluster_is_named(url: str, words: str) -> None:
    with pytest.raises(BadSetting) as caught:
        open_compute(url, 2)
    assert words in str(caught.value)


def test_an_unknown_compute_is_named_with_those_known() -> None:
    with pytest.raises(UnknownBackend, match="compute URL must start with one of processes://, ray://, got dask://"):
        open_compute("dask://head:1", 2)
