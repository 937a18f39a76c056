"""What a tenant has, and what an operator may do about it: grants, refunds, new files."""

import asyncio
import logging
from typing import Any

from reconciler.diagnostics import ConfigError, ReconcilerError
from reconciler.entitlements import Balance, Subscription
from reconciler.entitlements.acts import checked
from reconciler.service.api.accounts import (
    BalanceAnswer,
    GrantAnswer,
    GrantAsked,
    RefundAnswer,
    RefundAsked,
    ReloadAnswer,
    Whose,
)
from reconciler.service.api.answers import decimal, moment
from reconciler.service.api.operation import Asked, Operation
from reconciler.service.problems import ProblemError, invalid

log = logging.getLogger("reconciler.service")


async def _balance(asked: Asked) -> dict[str, Any]:
    named = asked.path.get("tenant", asked.query.tenant if asked.query is not None else None)
    tenant = asked.tenant(named)
    checked(tenant, None)
    return balance_json(await asyncio.to_thread(asked.service.runtime.balance, tenant))


def balance_json(found: Balance) -> dict[str, Any]:
    """Return a tenant's position as the API gives it."""
    lots = [
        {
            **lot._asdict(),
            "granted": decimal(lot.granted),
            "remaining": decimal(lot.remaining),
            "expires": moment(lot.expires),
        }
        for lot in found.lots
    ]
    allowances = [
        {**each._asdict(), "used": str(each.used), "limit": str(each.limit), "resets_at": moment(each.resets_at)}
        for each in found.allowances
    ]
    return {
        **found._asdict(),
        "subscription": found.subscription and _subscription(found.subscription),
        "credits": decimal(found.credits),
        "held": decimal(found.held),
        "lots": lots,
        "allowances": allowances,
    }


def _subscription(found: Subscription) -> dict[str, Any]:
    instants = ("start", "end", "anchor", "since")
    return {**found._asdict(), **{name: moment(getattr(found, name)) for name in instants}}


async def _grant(asked: Asked) -> dict[str, Any]:
    body: GrantAsked = asked.body
    grant, key = asked.service.runtime.grant, asked.keyed

    def granted() -> int:
        return grant(
            body.tenant,
            body.credits,
            key=key,
            pack=body.pack,
            expires=body.expires,
            priority=body.priority,
            reason=body.reason,
        )

    try:
        left = await asyncio.to_thread(granted)
    except LookupError as error:
        raise invalid(str(error.args[0]), "/pack") from None
    log.info("granted", extra=_audit(asked, tenant=body.tenant, reason=body.reason))
    return {"tenant": body.tenant, "key": key, "credits": decimal(left)}


async def _refund(asked: Asked) -> dict[str, Any]:
    body: RefundAsked = asked.body
    checked(body.tenant, body.of)
    refund, key = asked.service.runtime.refund, asked.keyed

    def refunded() -> Any:
        return refund(body.tenant, body.of, key=key, credits=body.credits, renew_until=body.renew_until)

    try:
        found = await asyncio.to_thread(refunded)
    except LookupError:
        raise ProblemError(404, "not_found", "The tenant has no finished call under this key.") from None
    log.info("refunded", extra=_audit(asked, tenant=body.tenant, of=body.of))
    amounts = {name: decimal(getattr(found, name)) for name in ("restored", "renewed", "lost")}
    return {"tenant": body.tenant, "key": key, **amounts, "owed": dict(found.owed)}


async def _reload(asked: Asked) -> dict[str, Any]:
    service = asked.service
    if not service.can_reload:
        raise ProblemError(409, "not_reloadable", "This service was not told where its files are.", title="No files")
    try:
        policy = await asyncio.to_thread(service.reload)
    except ConfigError as error:
        problems = [
            {"code": each.code, "at": str(each.range or ""), "detail": each.summary} for each in error.diagnostics
        ]
        raise ProblemError(
            409, "invalid_files", "The files are wrong; the old ones decide.", title="Invalid files", errors=problems
        ) from None
    except (ReconcilerError, OSError) as error:
        detail = f"The files were not taken over; the old ones decide: {error}"
        raise ProblemError(409, "invalid_files", detail, title="Invalid files") from None
    log.info("the files were read anew", extra=_audit(asked, policy=policy.revision))
    return {"config_digest": policy.config_digest, "revision": policy.revision}


def _audit(asked: Asked, **more: Any) -> dict[str, Any]:
    return {"principal": asked.principal.name, "key": asked.key, **more}


_CHANGED = (403, 422, 503)
OPERATIONS = (
    Operation(
        "balance",
        "GET",
        "/v1/balance",
        "Show what a tenant has",
        _balance,
        BalanceAnswer,
        "entitlements",
        "balance",
        query=Whose,
        problems=(403, 422, 503),
    ),
    Operation(
        "tenantBalance",
        "GET",
        "/v1/tenants/{tenant}/balance",
        "Show what the named tenant has",
        _balance,
        BalanceAnswer,
        "entitlements",
        "balance",
        problems=(403, 422, 503),
    ),
    Operation(
        "grant",
        "POST",
        "/v1/grants",
        "Give a tenant credits or a credit pack, once for a key",
        _grant,
        GrantAnswer,
        "credits",
        "grant",
        who="operator",
        body=GrantAsked,
        key="required",
        problems=_CHANGED,
    ),
    Operation(
        "refund",
        "POST",
        "/v1/refunds",
        "Reverse the payment of a call, once for a key",
        _refund,
        RefundAnswer,
        "credits",
        "refund",
        who="operator",
        body=RefundAsked,
        key="required",
        problems=(*_CHANGED, 404),
    ),
    Operation(
        "reloadPolicy",
        "POST",
        "/v1/policy/reload",
        "Read the files anew; files that are wrong change nothing",
        _reload,
        ReloadAnswer,
        "operations",
        "reload",
        who="operator",
        problems=(403, 409),
    ),
)
