"""Which run comes next, where several are made at a time."""

from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait

from dreamcart.lab.clone import Clone
from dreamcart.lab.plan import Run


def side_by_side(
    runs: list[Run],
    makes: dict[str, set[str]],
    clones: list[Clone],
    attempt: Callable[[Run, Clone], str],
    began: Callable[[list[Run]], None],
    ended: Callable[[Run, str], None],
) -> None:
    """Make all runs, one in each clone at a time, in their order but for those that `first_free`
    lets wait.

    Args:
        makes: of each run by its reference, fingerprints of the stages that it goes through.
        attempt: makes a run in a clone and returns what went wrong, nothing if all is well; called
            in a thread.
        began: told the runs under way, whenever one begins; ended: told a run and what `attempt`
            said.

    Raises:
        What `attempt` or the callbacks raise, KeyboardInterrupt too, once all that was under way is
            stopped.
    """
    waiting, free, made = list(runs), list(clones), set()
    under_way: dict[Future[str], tuple[Run, Clone]] = {}
    with ThreadPoolExecutor(len(clones)) as pool:
        try:
            while waiting or under_way:
                busy = [run for run, _ in under_way.values()]
                run = first_free(waiting, busy, makes, made) if free else None
                if run is not None:
                    waiting.remove(run)
                    clone = free.pop(0)
                    under_way[pool.submit(attempt, run, clone)] = run, clone
                    began([*busy, run])
                    continue
                for future in wait(under_way, return_when=FIRST_COMPLETED).done:
                    run, clone = under_way.pop(future)
                    free.append(clone)
                    problem = future.result()
                    made |= set() if problem else makes[run.reference]
                    ended(run, problem)
        except BaseException:
            for clone in clones:
                clone.stop()
            raise


def first_free(
    waiting: list[Run], busy: list[Run], makes: dict[str, set[str]], made: set[str]
) -> Run | None:
    """The first run of which no stage is being made by another one: those are in the cache once
    that one has ended.

    Stages in `made` are there already.
    """
    being_made = {stage for run in busy for stage in makes[run.reference]} - made
    return next((run for run in waiting if not makes[run.reference] & being_made), None)
