"""Webhooks of ``reconciler serve``: the secrets of the environment, and the work beside the requests."""

import os
from collections.abc import Mapping, Sequence

from reconciler.cli.context import App
from reconciler.provider.retry import Backoff
from reconciler.service.hooks.room import WORK, Hooks
from reconciler.service.operations.logs import told
from reconciler.service.service import Service
from reconciler.service.work.rounds import LONGEST_PAUSE, Round

SECRETS = "STRIPE_WEBHOOK_SECRET"
#: Seconds a round may take before its task is missed.
_MINUTES = 600.0


def secrets_of(environ: Mapping[str, str] | None = None) -> Sequence[str]:
    """Return the webhook secrets of the environment: none where it says nothing, one or several between commas."""
    found = (os.environ if environ is None else environ).get(SECRETS)
    return () if found is None else [word.strip() for word in found.split(",")]


def take_hooks(app: App, service: Service, secrets: Sequence[str], *, works: bool) -> None:
    """Give a service with an account its webhooks; worked off in this process only where it ``works``.

    UsageError for a secret that is empty or none of Stripe's: nothing unproven is ever taken.
    """
    if service.gateway is None:
        return
    if not secrets:
        app.out.note(f"There is no {SECRETS}: webhooks are refused, events are read from Stripe's list.")
    catalog = service.catalog
    gateway = service.gateway.pressed(Backoff(tries=3, sleep=service.stopping.wait))
    moved = None if catalog is None else catalog.moved
    service.hooks = hooks = Hooks(service.runtime, gateway, secrets=secrets, moved=moved)
    if not works:
        return
    within = {task.name: 2 * task.interval + LONGEST_PAUSE + _MINUTES for task in hooks.tasks()}

    def tell(done: Round) -> None:
        service.beat(done.name, within[done.name])
        found = done.did._asdict() if hasattr(done.did, "_asdict") else {"number": done.did}
        if done.error is not None or any(found.values()):
            told(done.name, done.error, None if done.error is not None else found)

    for name, seconds in within.items():
        service.beat(name, seconds)
    service.beside(WORK, lambda stop: hooks.run(stop, tell))
