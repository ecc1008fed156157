"""The lag of the online state, poll by poll."""

from flyball.serving.versions.state_lag import StateLag


def test_nothing_unapplied_is_no_lag() -> None:
    assert StateLag().poll(50, (), (0, 0)) == 0
    assert StateLag().poll(50, (3, 4), (3, 4)) == 0


def test_the_lag_counts_from_the_look_that_first_saw_the_event() -> None:
    lag = StateLag()
    assert lag.poll(1_000, (3, 4), (3, 5)) == 0
    assert lag.poll(2_000, (3, 4), (3, 6)) == 1_000
    assert lag.poll(3_000, (3, 5), (3, 6)) == 1_000
    assert lag.poll(4_000, (3, 6), (3, 6)) == 0


def test_a_consumer_that_never_wrote_lags_by_all_there_is() -> None:
    lag = StateLag()
    lag.poll(1_000, (), (1, 0))
    assert lag.poll(9_000, (), (2, 0)) == 8_000


def test_a_long_stand_is_reported_in_full() -> None:
    lag = StateLag()
    for at in range(5_000):
        last = lag.poll(at, (0,), (at + 1,))
    assert last == 4_999
    assert len(lag._polls) <= 1_001


def test_what_waited_before_the_first_look_counts_as_reported() -> None:
    lag = StateLag(first_us=500)
    assert lag.poll(10_000, (0,), (3,)) == 500
    assert lag.poll(10_100, (2,), (4,)) == 600
    assert lag.poll(10_300, (3,), (4,)) == 200
    unspent = StateLag(first_us=500)
    assert unspent.poll(10_000, (3,), (3,)) == 0
    assert unspent.poll(10_100, (3,), (4,)) == 0


def test_a_clock_set_back_begins_the_count_again() -> None:
    lag = StateLag()
    lag.poll(9_000, (0,), (1,))
    assert lag.poll(5_000, (0,), (1,)) == 0
    assert lag.poll(6_000, (0,), (2,)) == 1_000
