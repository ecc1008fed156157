"""The supervisor: starts in order, starts crashed programs again with growing pauses, stops all."""

from tests.operations.fake_processes import FakeProcess

from flyball.core import ManualStopwatch
from flyball.operations import Program, Supervisor

SECOND_US = 1_000_000


class Machine:
    def __init__(self) -> None:
        self.started: list[tuple[str, FakeProcess]] = []

    def launch(self, program: Program) -> FakeProcess:
        self.started.append((program.name, FakeProcess(100 + len(self.started), when_asked=None)))
        return self.started[-1][1]

    @property
    def last(self) -> FakeProcess:
        return self.started[-1][1]


def test_starts_by_order_and_delay() -> None:
    machine = Machine()
    one = Supervisor(
        [Program("late", (), 1, delay_us=SECOND_US), Program("second", (), 1), Program("first", ())], machine.launch, 0
    )
    one.tick(0)
    assert [name for name, _ in machine.started] == ["first", "second"]
    one.tick(SECOND_US)
    assert [name for name, _ in machine.started] == ["first", "second", "late"]


def test_a_crashing_program_starts_again_with_growing_pauses() -> None:
    machine = Machine()
    one = Supervisor([Program("serve-1", ())], machine.launch, 0)
    now_us, pauses = 0, []
    one.tick(now_us)
    for _ in range(10):
        machine.last.code = -9
        (message,) = one.tick(now_us)
        assert message.words.startswith("killed by signal 9; starts again in")
        crashed_us, count = now_us, len(machine.started)
        while len(machine.started) == count:
            now_us += 100_000
            one.tick(now_us)
        pauses.append((now_us - crashed_us) / SECOND_US)
    assert pauses == [0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 12.8, 25.6, 30, 30]
    assert one.children()[0].restarts == 10


def test_a_minute_up_resets_the_pause() -> None:
    machine = Machine()
    one = Supervisor([Program("worker", ())], machine.launch, 0)
    one.tick(0)
    for now_us in (SECOND_US, 2 * SECOND_US):
        machine.last.code = 1
        one.tick(now_us)
        one.tick(now_us + SECOND_US // 2)
    machine.last.code = 1
    (message,) = one.tick(200 * SECOND_US)
    assert message.words == "crashed with code 1; starts again in 0.2 s"


def test_a_clock_set_back_adds_nothing_to_a_pause() -> None:
    machine, now_us = Machine(), 10_000 * SECOND_US
    one = Supervisor([Program("serve-1", ()), Program("late", (), 1, delay_us=SECOND_US)], machine.launch, now_us)
    one.tick(now_us)
    machine.last.code = -9
    one.tick(now_us + SECOND_US // 10)
    for tenth in range(15):
        one.tick(now_us - 3_600 * SECOND_US + tenth * SECOND_US // 10)
    assert [name for name, _ in machine.started] == ["serve-1", "serve-1", "late"]


def test_pauses_go_by_the_stopwatch_whatever_the_wall_clock_says() -> None:
    machine, watch = Machine(), ManualStopwatch()
    one = Supervisor([Program("serve-1", ())], machine.launch, 0, watch)
    one.tick(0)
    for place, pause_s in enumerate((0.2, 0.4, 0.8, 1.6, 3.2)):
        machine.last.code = 1
        now_us = (place - 2) * 86_400 * SECOND_US  # the clock jumps a day ahead between crashes: they stay close
        (message,) = one.tick(now_us)
        assert message.words == f"crashed with code 1; starts again in {pause_s:g} s"
        assert message.at_us == now_us
        watch.advance_s(pause_s / 2)
        one.tick(now_us + 3_600 * SECOND_US)
        assert len(machine.started) == place + 1
        watch.advance_s(pause_s / 2 + 1e-6)
        one.tick(now_us - 3_600 * SECOND_US)
        assert len(machine.started) == place + 2


def test_code_zero_is_done_and_another_may_ask_for_replacement() -> None:
    machine = Machine()
    one = Supervisor([Program("world", (), replace_code=75)], machine.launch, 0)
    one.tick(0)
    machine.last.code = 75
    assert one.tick(1)[0].words.startswith("asked to be replaced")
    one.tick(SECOND_US)
    machine.last.code = 0
    assert one.tick(2 * SECOND_US)[0].words == "ended"
    one.tick(60 * SECOND_US)
    assert len(machine.started) == 2
    assert one.children()[0].state == "done"


def test_stopping_asks_all_then_kills_and_starts_nothing_again() -> None:
    machine = Machine()
    one = Supervisor([Program("a", ()), Program("world", (), 9)], machine.launch, 0)
    one.tick(0)
    (_, first), (_, world) = machine.started
    one.terminate(9)
    assert (first.asked, world.asked) == (False, True)
    one.terminate(0)
    world.code = -15
    assert one.alive(0) == ["a"]
    assert one.tick(60 * SECOND_US) == []
    one.kill()
    assert first.killed
    assert len(machine.started) == 2
