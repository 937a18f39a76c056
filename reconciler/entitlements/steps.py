"""Deciding in steps: what is asked of the ledger is yielded, so that threads and event loops can carry it out alike."""

from collections.abc import Generator
from time import sleep
from typing import TypeVar

from reconciler.ledger.jobs import Job, Outcome
from reconciler.ledger.ledger import Ledger

Result = TypeVar("Result")
#: Jobs to run, whose outcomes are sent back, and seconds to wait; what it comes to is returned.
Steps = Generator[Job | float, Outcome | None, Result]


def carry_out(steps: Steps[Result], ledger: Ledger) -> Result:
    """Carry out steps on this thread and return what they come to; they are told what the ledger raises."""
    try:
        step = next(steps)
        while True:
            try:
                sent = _done(step, ledger)
            except BaseException as error:  # noqa: BLE001  the steps raise it again, once what they hold is let go
                step = steps.throw(error)
            else:
                step = steps.send(sent)
    except StopIteration as end:
        result: Result = end.value
        return result


def _done(step: Job | float, ledger: Ledger) -> Outcome | None:
    if isinstance(step, Job):
        return ledger.submit(step)
    sleep(step)
    return None


def ask(job: Job) -> Steps[Outcome]:
    """Run one job and return its outcome."""
    outcome = yield job
    assert outcome is not None  # noqa: S101  jobs are answered
    return outcome
