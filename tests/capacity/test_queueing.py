"""Waiting times against closed forms: M/M/1, M/D/1 (Pollaczek and Khinchine), M/M/c (Erlang C), and full batches."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flyball.capacity import BulkService, NoneInTime, erlang_c, response_times, servers_needed, share_in_time
from flyball.capacity.queueing import BUSIEST, rate_in_time
from flyball.core import BadInput

MEAN_S = 0.01
QUANTILES = tuple((-np.log(1 - (np.arange(20_000) + 0.5) / 20_000)).tolist())
"""Evenly spaced quantiles of an exponential distribution of mean 1."""
EXPONENTIAL = BulkService(0.0, MEAN_S, QUANTILES, batch=1)
EQUAL = BulkService(0.0, MEAN_S, batch=1)
BATCHED = BulkService(0.004, 0.001, QUANTILES[::100])


@pytest.mark.parametrize("busy", [0.3, 0.6, 0.8])
def test_times_of_exponential_service_are_those_of_an_mm1_queue(busy: float) -> None:
    rate = busy / MEAN_S
    times_s = response_times(EXPONENTIAL, rate)
    for limit_s in (MEAN_S, 3 * MEAN_S, 10 * MEAN_S):
        exact = 1 - math.exp(-(1 / MEAN_S - rate) * limit_s)
        assert (times_s <= limit_s).mean() == pytest.approx(exact, abs=0.02)


@pytest.mark.parametrize("busy", [0.3, 0.6, 0.8])
def test_waits_of_equal_service_times_are_those_of_pollaczek_and_khinchine(busy: float) -> None:
    times_s = response_times(EQUAL, busy / MEAN_S)
    assert times_s.mean() - MEAN_S == pytest.approx(busy * MEAN_S / (2 * (1 - busy)), rel=0.1)


def test_requests_that_wait_are_answered_together() -> None:
    """With a fixed time alone and batches without a bound, a request waits for what is left, then for its own batch."""
    service = BulkService(0.01, 1e-9, batch=1_000_000)
    times_s = response_times(service, 10_000.0)  # as good as always busy
    assert times_s.min() == pytest.approx(0.01, rel=0.05)
    assert times_s.max() == pytest.approx(0.02, rel=0.05)
    assert times_s.mean() == pytest.approx(0.015, rel=0.02)


def test_a_lone_request_takes_its_fixed_and_own_time_and_what_comes_besides() -> None:
    times_s = response_times(BulkService(0.004, 0.001, overhead_s=0.1), 1e-5)
    assert np.unique(times_s.round(5)).tolist() == [0.105]


@pytest.mark.parametrize(("servers", "offered", "waits"), [(1, 0.5, 0.5), (2, 1.0, 1 / 3), (3, 2.0, 4 / 9)])
def test_erlang_c_has_its_known_values(servers: int, offered: float, waits: float) -> None:
    assert erlang_c(servers, offered) == pytest.approx(waits)


@given(st.integers(1, 30), st.floats(0.01, 0.99))
def test_erlang_c_is_its_defining_sum(servers: int, busy: float) -> None:
    offered = servers * busy
    terms = [offered**count / math.factorial(count) for count in range(servers)]
    last = offered**servers / math.factorial(servers) / (1 - busy)
    assert erlang_c(servers, offered) == pytest.approx(last / (sum(terms) + last))


def test_erlang_c_refuses_servers_that_cannot_keep_up() -> None:
    with pytest.raises(BadInput, match="offered must be from 0 to below the number of servers, 2, got 2"):
        erlang_c(2, 2.0)


@pytest.mark.parametrize("servers", [2, 4])
def test_queues_of_their_own_wait_longer_than_one_queue_for_all(servers: int) -> None:
    rate = 0.7 * servers / MEAN_S
    shared_wait_s = erlang_c(servers, rate * MEAN_S) / (servers / MEAN_S - rate)
    assert response_times(EXPONENTIAL, rate / servers).mean() - MEAN_S > shared_wait_s


@settings(deadline=None, max_examples=20)
@given(st.floats(0.01, 5_000), st.floats(1.01, 5), st.sampled_from([EQUAL, BATCHED]))
def test_a_larger_load_never_needs_fewer_processes(rate: float, more: float, service: BulkService) -> None:
    fewer = servers_needed(service, rate, 0.2, 0.999)
    assert servers_needed(service, rate * more, 0.2, 0.999) >= fewer
    assert rate / fewer <= BUSIEST * service.most_per_s


@pytest.mark.parametrize("service", [EQUAL, BATCHED])
def test_the_rate_of_a_process_is_answered_in_time_and_a_higher_one_is_not(service: BulkService) -> None:
    rate = rate_in_time(service, 0.05, 0.999)
    assert share_in_time(service, rate, 0.05) >= 0.999
    assert share_in_time(service, rate + service.most_per_s / 40, 0.05) < 0.999


def test_no_number_of_processes_helps_against_an_answer_that_is_too_slow_alone() -> None:
    with pytest.raises(NoneInTime, match=r"at most 5 ms for a share of 99.900%, got 0.000% as measured without load"):
        servers_needed(EQUAL, 10.0, 0.005, 0.999)


def test_a_process_that_cannot_keep_up_answers_nothing_in_time() -> None:
    assert share_in_time(EQUAL, 100.0, 10.0) == 0.0


def test_rates_and_times_must_be_positive() -> None:
    with pytest.raises(BadInput, match="rate_per_s must be above 0"):
        response_times(EQUAL, 0.0)
    with pytest.raises(BadInput, match="service times must be above 0"):
        BulkService(0.0, 0.0)
    with pytest.raises(BadInput, match="factors of service times must be one or more above 0"):
        BulkService(0.0, 1.0, (0.0,))
