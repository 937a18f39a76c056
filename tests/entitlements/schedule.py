"""Schedules drawn from a seed: which of two writers takes which waiting callers into its next transaction."""

from pathlib import Path
from random import Random
from typing import Self

from reconciler.entitlements import Entitlements
from reconciler.ledger.jobs import Job, Outcome

from .worlds import HandClock, policy


class Schedule:
    """Two runtimes on one file, as two processes have it, and a seed that says how their callers interleave.

    What group commit does is left: callers wait, a writer takes some of them into one transaction, all are answered.
    """

    def __init__(self, text: str, path: Path, seed: int, clock: HandClock | None = None) -> None:
        self.random = Random(seed)
        url, self.clock = f"sqlite:///{path}/usage{seed}.db", clock or HandClock()
        made = policy(text)
        self.ents = [Entitlements.open(made, url, mode="direct", clock=self.clock) for _ in range(2)]

    def run(self, clients: list[list[Job]]) -> list[list[Outcome]]:
        """Let every client ask for its jobs one after the other; return what came of each."""
        answers: list[list[Outcome]] = [[] for _ in clients]
        while waiting := [place for place, jobs in enumerate(clients) if len(answers[place]) < len(jobs)]:
            self.random.shuffle(waiting)
            batch = waiting[: self.random.randint(1, len(waiting))]
            writer = self.random.choice(self.ents).ledger.store
            for place, outcome in zip(
                batch, writer.transact([clients[place][len(answers[place])] for place in batch]), strict=True
            ):
                answers[place].append(outcome)
        for ent in self.ents:
            ent.ledger.looks.clear()
        return answers

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for ent in self.ents:
            ent.close()
