"""Tasks in this process run in order as they are asked for."""

from flyball.compute import InProcess, Needs, run_tasks
from flyball.testing.compute_contract import act


def test_results_and_errors_come_in_order() -> None:
    outcomes = list(run_tasks(InProcess(), act, [("a",), ("raise",), ("b",)], Needs(cpus=64)))
    assert [index for index, _ in outcomes] == [0, 1, 2]
    assert (outcomes[0][1], outcomes[2][1]) == ("A", "B")
    assert isinstance(outcomes[1][1], ValueError)


def test_what_is_not_needed_any_more_does_not_run() -> None:
    unneeded = set[int]()
    outcomes = run_tasks(InProcess(), act, [("a",), ("raise",), ("b",)], is_needed=lambda index: index not in unneeded)
    assert next(outcomes) == (0, "A")
    unneeded.add(1)
    assert list(outcomes) == [(2, "B")]
