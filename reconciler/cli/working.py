"""What ``reconciler serve`` does without being asked: options, and the work itself beside the requests."""

import functools
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import click

from reconciler.diagnostics import UsageError
from reconciler.entitlements.policy import scaled
from reconciler.provider.retry import Backoff
from reconciler.service.operations.logs import told
from reconciler.service.service import Service
from reconciler.service.work.caps import Caps
from reconciler.service.work.delivering import Callback
from reconciler.service.work.figures import gauges_of
from reconciler.service.work.room import Work, WorkSettings
from reconciler.service.work.rounds import LONGEST_PAUSE, Round
from reconciler.service.work.sending import Sender
from reconciler.service.work.target import HTTPS

SECRETS = "RECONCILER_NOTICES_SECRETS"
#: Characters of a secret at least: fewer can be guessed.
_SHORTEST = 16
#: A purchase is tried so often and for so many seconds in a round; what is open then goes on in the next.
_TRIES, _SECONDS = 3, 20.0
#: Seconds a round may take before its task is missed.
_MINUTE = 60.0
_MOST_PACKS = 1000
Command = Callable[..., Any]


@dataclass(frozen=True, slots=True)
class WorkOptions:
    """Where notices go, and whether credits are bought."""

    notices_url: str | None = None
    notices_port: tuple[int, ...] = ()
    notices_here: bool = False
    credits_low: str | None = None
    auto_recharge: int | None = None


def work_options(function: Command) -> Command:
    """Add the options of :class:`WorkOptions`; the command takes ``doing``."""
    names = WorkOptions.__dataclass_fields__

    @functools.wraps(function)
    def bundled(*args: Any, **kwargs: Any) -> Any:
        chosen = {name: kwargs.pop(name) for name in names}
        return function(*args, doing=WorkOptions(**chosen), **kwargs)

    for option in reversed(
        (
            click.option("--notices-url", metavar="URL", help=f"Where notices go, https only; signed with {SECRETS}."),
            click.option(
                "--notices-port",
                type=click.IntRange(1, 65535),
                multiple=True,
                metavar="PORT",
                help="Port notices may go to beside 443; repeatable.",
            ),
            click.option(
                "--notices-here", is_flag=True, help="For development: notices may go to this machine, by http."
            ),
            click.option("--credits-low", metavar="N", help="Tell of fewer credits than this; default 10."),
            click.option(
                "--auto-recharge",
                type=click.IntRange(1, _MOST_PACKS),
                metavar="N",
                help="Buy packs for tenants who agreed, at most N a month each; default not at all.",
            ),
        )
    ):
        bundled = option(bundled)
    return bundled


def work_settings(options: WorkOptions, environ: Mapping[str, str] | None = None) -> WorkSettings:
    """Return the settings of options and environment; UsageError where they cannot be."""
    environ = os.environ if environ is None else environ
    secrets = [word for word in environ.get(SECRETS, "").replace(",", " ").split() if word]
    if options.notices_url is None:
        callback = None
    elif not secrets or min(map(len, secrets)) < _SHORTEST:
        raise UsageError(
            "E1507",
            f"notices are signed with the secrets in {SECRETS}, of at least {_SHORTEST} characters each",
            remedy="Set it, for example to the output of `openssl rand -hex 32`; separate several by commas.",
        )
    else:
        callback = Callback(options.notices_url, secrets)
    sender = Sender(ports=frozenset({HTTPS, *options.notices_port}), development=options.notices_here)
    more: dict[str, Any] = {} if options.credits_low is None else {"credits_low": _credits(options.credits_low)}
    caps = None if options.auto_recharge is None else Caps(monthly=options.auto_recharge)
    return WorkSettings(callback=callback, sender=sender, caps=caps, **more).checked()


def _credits(text: str) -> int:
    try:
        found = scaled(Decimal(text))
    except (ArithmeticError, ValueError):
        found = -1
    if found < 0:
        raise UsageError("E1507", f"{text!r} is no number of credits")
    return found


def join(service: Service, settings: WorkSettings, *, works: bool) -> None:
    """Give a service its work; done in this process only where it ``works``."""
    patient = Backoff(tries=_TRIES, budget=_SECONDS, sleep=service.stopping.wait)
    work = Work(
        service.runtime,
        settings,
        gateway=None if service.gateway is None else service.gateway.pressed(patient),
        catalog=lambda: service.catalog,
        urls=service.runtime.urls,
    )
    service.work = work
    service.metrics.look(lambda: gauges_of(work, service.runtime.ledger.store.now()))
    if not works:
        return
    within = {task.name: max(3 * task.interval, LONGEST_PAUSE) + _MINUTE for task in work.tasks()}

    def tell(done: Round) -> None:
        service.beat(done.name, within[done.name])
        told(done.name, done.error, _numbers(done.did))

    for name, seconds in within.items():
        service.beat(name, seconds)
    service.beside("work", lambda stop: work.run(stop, tell))


def _numbers(did: Any) -> dict[str, int]:
    """Return what a round did as numbers by name."""
    found = {"number": did} if isinstance(did, int) else did._asdict() if hasattr(did, "_asdict") else {}
    return {name: value for name, value in found.items() if isinstance(value, int)}
