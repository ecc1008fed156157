"""Independent work in parallel processes, the embedded default of compute."""

import multiprocessing
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from typing import Any, TypeVar

Result = TypeVar("Result")


def run_parallel(
    work: Callable[..., Result], calls: Sequence[tuple[Any, ...]], workers: int
) -> Iterator[tuple[int, Result | Exception]]:
    """Run `work(*call)` for each call in up to `workers` fresh processes; yield (index, result) as each ends.

    A call that raises, or whose process dies, yields its exception instead: the others go on. `work` and its
    arguments must be importable and picklable (they cross to a spawned process; nothing is stored).
    With one worker everything runs in this process, in order.
    """
    if workers <= 1 or len(calls) <= 1:
        for index, call in enumerate(calls):
            try:
                yield index, work(*call)
            except Exception as error:  # the caller decides; it gets the error itself
                yield index, error
        return
    context = multiprocessing.get_context("spawn")
    pending: dict[Future[Result], int] = {}
    with ProcessPoolExecutor(workers, mp_context=context, max_tasks_per_child=1) as pool:
        for index, call in enumerate(calls):
            pending[pool.submit(work, *call)] = index
        while pending:
            done, _ = wait(pending, return_when=FIRST_COMPLETED)
            for future in done:
                index = pending.pop(future)
                failure = future.exception()
                if failure is None:
                    yield index, future.result()
                elif isinstance(failure, Exception):
                    yield index, failure
                else:
                    raise failure
