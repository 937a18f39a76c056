"""Working events off: claim a subject, learn whose it is, lease the tenants, read everything anew, and only then act.

What is read under the lease is at least as new as what anybody read before, and what follows from it is kept together
with the events' end, in one transaction that both claim and lease guard. Whoever died, stalled or came second has
changed nothing; the next one reads anew and comes to the same.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from reconciler.diagnostics import ProviderError
from reconciler.entitlements import Entitlements
from reconciler.entitlements.purchases import TakenKeyError, UnknownPackError
from reconciler.entitlements.subscriptions import follow
from reconciler.ledger.annex import LostClaimError, Statement
from reconciler.ledger.jobs import Job
from reconciler.provider.gateway import RequestFailedError
from reconciler.provider.webhooks.fetch import Source
from reconciler.service.hooks.inbox import Hook, Inbox, ended
from reconciler.service.hooks.patrons import Lease, Patrons
from reconciler.service.hooks.reading import Reading, Work


class Done(NamedTuple):
    """What a round came to, in events: done, dead, to be tried again, and given up to somebody else."""

    done: int = 0
    dead: int = 0
    later: int = 0
    lost: int = 0

    def plus(self, other: "Done") -> "Done":
        """Return both together."""
        return Done(*(mine + its for mine, its in zip(self, other, strict=True)))


class Processor:
    """Works events off, for one account and namespace; any number of processes may do so at once.

    ``step`` is called between any two steps, with the name of the one that comes.
    """

    def __init__(
        self,
        runtime: Entitlements,
        source: Source,
        inbox: Inbox,
        step: Callable[[str], None] = lambda _name: None,
    ) -> None:
        self._runtime = runtime
        self._inbox = inbox
        self._patrons = Patrons(runtime.ledger.store)
        self._reading = Reading(source, self._patrons)
        self._step = step

    def round(self, most: int = 1000) -> Done:
        """Work off what is due, subject by subject, at most so many; why something fails stands in the inbox."""
        total = Done()
        for _ in range(most):
            self._step("claim")
            hooks = self._inbox.claim()
            if not hooks:
                break
            total = total.plus(self._work_off(hooks))
        return total

    def _work_off(self, hooks: Sequence[Hook]) -> Done:
        leases: Sequence[Lease] = ()
        try:
            self._step("learn")
            work = self._reading.about(hooks)
            self._step("lease")
            taken = self._patrons.lease(work.tenants)
            if taken is None:
                return self._later(hooks, None, counts=False)
            leases = taken
            self._step("read")
            leases = self._reading.read(work, leases)
            self._step("keep")
            return self._keep(work, leases)
        except LostClaimError:
            return self._given_up(hooks, leases, None, counts=False)
        except RequestFailedError as error:
            return self._given_up(hooks, leases, str(error), counts=not error.failure.retriable)
        except (AttributeError, LookupError, TypeError, ValueError, ProviderError) as error:
            return self._given_up(hooks, leases, f"{type(error).__name__}: {error}", counts=True)

    def _given_up(self, hooks: Sequence[Hook], leases: Sequence[Lease], error: str | None, *, counts: bool) -> Done:
        self._patrons.release(leases)
        return self._later(hooks, error, counts=counts)

    def _later(self, hooks: Sequence[Hook], error: str | None, *, counts: bool) -> Done:
        kept = self._inbox.later(hooks, error, counts=counts)
        return Done(later=len(hooks)) if kept else Done(lost=len(hooks))

    def _keep(self, work: Work, leases: Sequence[Lease]) -> Done:
        """Keep effects and the events' end together; a purchase that nobody can grant waits for a person."""
        while True:
            try:
                return self._kept(work, leases)
            except (TakenKeyError, UnknownPackError) as error:
                work.problems[error.key] = str(error)
                del work.purchases[error.key]

    def _kept(self, work: Work, leases: Sequence[Lease]) -> Done:
        notes = {**work.notes, **self._noted(work)}
        jobs: list[Job] = [self._runtime.following(tenant, held) for tenant, held in sorted(work.rulings.items())]
        jobs += [self._runtime.fulfilling(each) for _, each in sorted(work.purchases.items())]
        ends = [self._end(work, hook, notes) for hook in work.hooks]
        releases = [lease.release() for lease in leases]
        self._runtime.ledger.alongside([*ends, *work.learnt(), *releases], jobs)
        dead = sum(work.problem(hook) is not None for hook in work.hooks)
        return Done(len(work.hooks) - dead, dead)

    def _end(self, work: Work, hook: Hook, notes: Mapping[str, str]) -> Statement:
        tenant, problem = work.tenant(hook), work.problem(hook)
        if problem is not None:
            return ended(hook, "dead", error=problem, tenant=tenant)
        return ended(hook, "done", note=notes.get(tenant or ""), tenant=tenant)

    def _noted(self, work: Work) -> dict[str, str]:
        """Return what somebody should know of the subscriptions that rule, by tenant."""
        found = {}
        for tenant, held in work.rulings.items():
            before = self._runtime.subscription(tenant)
            told = follow(held, self._runtime.policy, tenant, before.plan if before else None)
            if told is not None and told.note:
                found[tenant] = told.note
        return found
