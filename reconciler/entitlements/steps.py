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
    """Carry out steps on this thread and return what they come to."""
    sent: Outcome | None = None
    while True:
        try:
            step = steps.send(sent)
        except StopIteration as end:
            result: Result = end.value
            return result
        sent = None
        if isinstance(step, Job):
            sent = ledger.submit(step)
        else:
            sleep(step)


def ask(job: Job) -> Steps[Outcome]:
    """Run one job and return its outcome."""
    outcome = yield job
    assert outcome is not None  # noqa: S101  jobs are answered
    return outcome
