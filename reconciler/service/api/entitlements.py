"""Check, consume, reserve: calls of tenants."""

import asyncio
from contextlib import suppress
from time import monotonic
from typing import Any

from reconciler.entitlements import Decision
from reconciler.entitlements.acts import Request, checked, quantity_of, unknown
from reconciler.entitlements.books import OWN
from reconciler.entitlements.terms import DIRECT
from reconciler.ledger.base import StoreUnavailableError
from reconciler.ledger.entry import Entry
from reconciler.service.api.answers import decision_json, refusal
from reconciler.service.api.calls import (
    Batch,
    BatchAnswer,
    Commit,
    DecisionAnswer,
    Release,
    ReleaseAnswer,
    ReservationAnswer,
    Reserve,
    TenantCall,
)
from reconciler.service.api.operation import Asked, Operation
from reconciler.service.problems import ProblemError
from reconciler.service.service import Service

_REFUSED = (402, 403, 409, 422, 429, 503)


async def look(service: Service, tenant: str) -> None:
    """Read a tenant's book where none is at hand: a database must not hold up the other requests."""
    found = service.runtime.ledger.looks.get(tenant)
    if found is None or found.until <= monotonic():
        with suppress(StoreUnavailableError):
            await asyncio.to_thread(service.runtime.ledger.look, tenant)


def _decided(asked: Asked, action: str, found: Decision) -> dict[str, Any]:
    """Return a decision as JSON; a refusal is a problem."""
    asked.service.metrics.decided(action, found)
    if found.recharge is not None and asked.service.work is not None:
        asked.service.work.low()
    if found.allowed:
        return decision_json(found)
    raise refusal(found, asked.service.runtime.ledger.store.now())


async def _check(asked: Asked) -> dict[str, Any]:
    body: TenantCall = asked.body
    tenant, service = asked.tenant(body.tenant), asked.service
    checked(tenant, None)
    await look(service, tenant)
    found = service.aio.check(tenant, body.tool, **body.given())
    service.metrics.decided("check", found)
    return decision_json(found)


async def _batch(asked: Asked) -> dict[str, Any]:
    body: Batch = asked.body
    tenant, service = asked.tenant(body.tenant), asked.service
    checked(tenant, None)
    await look(service, tenant)
    found = [service.aio.check(tenant, each.tool, **each.given()) for each in body.calls]
    for each in found:
        service.metrics.decided("check", each)
    return {"decisions": [decision_json(each) for each in found]}


async def _consume(asked: Asked) -> dict[str, Any]:
    body: TenantCall = asked.body
    tenant = asked.tenant(body.tenant)
    key = None if asked.key is None else asked.own(asked.key)
    found = await asked.service.aio.consume(tenant, body.tool, key=key, **body.given())
    return _decided(asked, "consume", found)


async def _reserve(asked: Asked) -> dict[str, Any]:
    body: Reserve = asked.body
    tenant = asked.tenant(body.tenant)
    key = asked.own(asked.keyed)
    held = await asked.service.aio.reserve(tenant, body.tool, key=key, seconds=body.seconds, **body.given())
    decision = held.decision
    if decision.allowed and decision.degraded:
        # Nothing is held, and nobody here would know at the commit what was asked: refused, as without the ledger.
        decision = unknown(tenant, decision.tool, decision.config_digest)
    return {"key": asked.keyed, "decision": _decided(asked, "reserve", decision)}


async def _commit(asked: Asked) -> dict[str, Any]:
    body: Commit = asked.body
    tenant, runtime = asked.tenant(body.tenant), asked.service.runtime

    def commit() -> Decision:
        request = _reserved(asked, tenant)
        reserved = request._replace(
            quantity=request.quantity if body.quantity is None else body.quantity,
            units={**(request.units or {}), **(body.units or {})} or None,
        )
        return runtime.commit(tenant, reserved, owed=False)

    return _decided(asked, "commit", await asyncio.to_thread(commit))


async def _release(asked: Asked) -> dict[str, Any]:
    body: Release = asked.body
    tenant, key = asked.tenant(body.tenant), asked.path["key"]

    def release() -> bool:
        _entry(asked, tenant)
        return bool(asked.service.runtime.release(tenant, asked.own(key)))

    return {"key": key, "released": await asyncio.to_thread(release)}


def _entry(asked: Asked, tenant: str) -> Entry:
    key = asked.own(asked.path["key"])
    checked(tenant, key)
    found = asked.service.runtime.ledger.store.entry(tenant, key)
    if found is None or found.kind != "reserve":
        raise ProblemError(404, "not_found", "There is no reservation under this key.")
    return found


def _reserved(asked: Asked, tenant: str) -> Request:
    """Return what was reserved as it was asked for, from what the ledger keeps of it."""
    entry = _entry(asked, tenant)
    if asked.service.runtime.ledger.store.entry(tenant, f"{OWN}release:{entry.key}") is not None:
        raise ProblemError(409, "reservation_ended", "The reservation was given back.", title="The reservation ended")
    stored, kept = entry.answer[0], entry.answer[1]
    sources = dict(kept["measures"][1])
    units = {meter: number for meter, number in kept["ask"][2] if sources[meter] not in (DIRECT, number)}
    return Request(stored[0], DIRECT in sources.values(), quantity_of(entry.digest), units or None, entry.key)


OPERATIONS = (
    Operation(
        "check",
        "POST",
        "/v1/check",
        "Tell whether a tenant may make a call now; nothing is written",
        _check,
        DecisionAnswer,
        "entitlements",
        "check",
        body=TenantCall,
        problems=(403, 422),
        description="A refusal is an answer with `allowed: false`.",
    ),
    Operation(
        "consume",
        "POST",
        "/v1/consume",
        "Decide a call and book it in one step",
        _consume,
        DecisionAnswer,
        "entitlements",
        "consume",
        body=TenantCall,
        key="optional",
        problems=_REFUSED,
        description="With a key it is booked once: the same call again gets the first answer.",
    ),
    Operation(
        "checkBatch",
        "POST",
        "/v1/check/batch",
        "Tell of several calls whether each may be made now",
        _batch,
        BatchAnswer,
        "entitlements",
        "check_batch",
        body=Batch,
        problems=(403, 422),
    ),
    Operation(
        "reserve",
        "POST",
        "/v1/reservations",
        "Set aside what a call may cost",
        _reserve,
        ReservationAnswer,
        "entitlements",
        "reserve",
        body=Reserve,
        key="required",
        problems=_REFUSED,
    ),
    Operation(
        "commit",
        "POST",
        "/v1/reservations/{key}/commit",
        "End a reservation with what was used",
        _commit,
        DecisionAnswer,
        "entitlements",
        "commit",
        body=Commit,
        problems=(403, 404, 409, 422, 503),
        description="Less goes back; more is charged as far as credits are there. Again it gives the first answer.",
    ),
    Operation(
        "release",
        "POST",
        "/v1/reservations/{key}/release",
        "Give back what a reservation holds",
        _release,
        ReleaseAnswer,
        "entitlements",
        "release",
        body=Release,
        problems=(403, 404, 422, 503),
    ),
)
