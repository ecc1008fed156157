"""At most one process: started, ended by itself, killed."""

from tests.operations.fake_processes import FakeProcess

from flyball.operations.single_process import SingleProcess


def test_its_end_is_reported_once_and_then_it_can_start_again() -> None:
    started = list[FakeProcess]()
    single = SingleProcess(lambda: started.append(FakeProcess()) or started[-1])
    assert single.ended() is None
    single.kill()  # there is none
    single.start()
    assert single.process is started[0]
    assert single.ended() is None
    started[0].code = 3
    assert single.ended() == 3
    assert started[0].killed, "what it has started must end, too"
    assert single.process is None
    assert single.ended() is None
    single.start()
    single.kill()
    assert started[1].killed
    assert single.ended() is None
