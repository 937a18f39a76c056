"""Auto-recharge over HTTP, as a tenant agrees to it; notices, as an operator looks after them."""

import asyncio
import json
import logging
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, Field

from reconciler.service.api.answers import moment
from reconciler.service.api.model import Closed, Name
from reconciler.service.api.operation import Asked, Operation
from reconciler.service.problems import ProblemError, forbidden, invalid
from reconciler.service.work.consent import MOST
from reconciler.service.work.outbox import Notice
from reconciler.service.work.purchases import Purchase
from reconciler.service.work.room import Work

log = logging.getLogger("reconciler.service")
_PAGE, _SHOWN = 100, 20
_State = Literal["pending", "sent", "dead"]


def _number(value: Any) -> Any:
    return int(value) if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 5 else value  # noqa: PLR2004  digits of the limit


class Agreed(Closed):
    """Whether credits may be bought by themselves, and up to how many packs a month."""

    tenant: Name | None = Field(None, description="The tenant. Its own credential need not say it.")
    enabled: bool
    monthly_cap: int | None = Field(None, ge=1, le=MOST, description="Needed where it is enabled.")


class Whose(Closed):
    """Whose auto-recharge is asked for; an operator names the tenant."""

    tenant: Name | None = None


class PurchaseAnswer(BaseModel):
    """A pack that was bought, or was to be: ``open``, ``paid``, ``failed`` or ``dropped``."""

    number: int
    pack: str
    state: str
    started: str | None
    ended: str | None
    payment: str | None
    error: str | None


class RechargeAnswer(BaseModel):
    """What a tenant has agreed to, when and by which credential, and what was bought last."""

    tenant: str
    offered: bool
    enabled: bool
    monthly_cap: int | None
    changed: str | None
    principal: str | None
    purchases: list[PurchaseAnswer]


class NoticeAnswer(BaseModel):
    """A notice and what became of it; ``data`` depends on its type."""

    id: str
    tenant: str
    type: str
    state: str
    attempts: int
    created: str | None
    due: str | None
    ended: str | None
    error: str | None
    data: dict[str, Any]


class NoticesAnswer(BaseModel):
    """A page of notices, the oldest first; ``next`` is the ``after`` of the page behind it."""

    notices: list[NoticeAnswer]
    next: str | None


class NoticesQuery(Closed):
    """Which notices: of a state or tenant, behind the one with an id."""

    state: _State | None = None
    tenant: Name | None = None
    after: Annotated[str, Field(max_length=64)] = ""
    limit: Annotated[int, BeforeValidator(_number, json_schema_input_type=int), Field(ge=1, le=1000)] = _PAGE


class Again(Closed):
    """Which dead notices are tried again; all of them where none is named."""

    ids: Annotated[list[Annotated[str, Field(min_length=1, max_length=64)]], Field(max_length=1000)] | None = None


class AgainAnswer(BaseModel):
    """How many dead notices will be tried again."""

    retried: int


def _work(asked: Asked) -> Work:
    if asked.service.work is None:
        raise ProblemError(404, "not_found", "This service does no work of its own.")
    return asked.service.work


async def _show(asked: Asked) -> dict[str, Any]:
    work, query = _work(asked), asked.query or Whose(tenant=None)
    return await asyncio.to_thread(_shown, work, asked.tenant(query.tenant))


async def _agree(asked: Asked) -> dict[str, Any]:
    work, body = _work(asked), asked.body
    tenant = asked.tenant(body.tenant)
    if body.enabled and asked.principal.tenant is None:
        raise forbidden("Only a tenant's own credential agrees to it; an operator can switch it off.")
    if body.enabled and not work.recharges:
        raise forbidden("Credits are not bought by themselves here: the operator has not switched it on.")
    if body.enabled and body.monthly_cap is None:
        raise invalid("How many packs a month at most?", "/monthly_cap")

    def give() -> dict[str, Any]:
        cap = body.monthly_cap if body.monthly_cap is not None else 0
        work.consents.give(tenant, enabled=body.enabled, monthly_cap=cap, principal=asked.principal.name)
        return _shown(work, tenant)

    found = await asyncio.to_thread(give)
    log.info("auto-recharge", extra={"enabled": body.enabled, "principal": asked.principal.name})
    work.low()
    return found


def _shown(work: Work, tenant: str) -> dict[str, Any]:
    consent = work.consents.of(tenant)
    return {
        "tenant": tenant,
        "offered": work.recharges,
        "enabled": consent is not None and consent.enabled,
        "monthly_cap": consent.monthly_cap if consent is not None and consent.enabled else None,
        "changed": moment(consent.at) if consent is not None else None,
        "principal": consent.principal if consent is not None else None,
        "purchases": [_purchase(each) for each in work.purchases.listed(tenant, _SHOWN)],
    }


def _purchase(each: Purchase) -> dict[str, Any]:
    return {
        "number": each.number,
        "pack": each.pack,
        "state": each.state,
        "started": moment(each.started),
        "ended": moment(each.ended),
        "payment": each.payment,
        "error": each.error,
    }


async def _list(asked: Asked) -> dict[str, Any]:
    query, outbox = asked.query or NoticesQuery(), _work(asked).outbox
    found = await asyncio.to_thread(outbox.listed, query.state, query.tenant, query.after, query.limit)
    more = len(found) == query.limit
    return {"notices": [_notice(notice) for notice in found], "next": found[-1].id if more else None}


async def _retry(asked: Asked) -> dict[str, Any]:
    number = await asyncio.to_thread(_work(asked).outbox.retry, asked.body.ids)
    log.info("notices tried again", extra={"number": number, "principal": asked.principal.name})
    return {"retried": number}


def _notice(notice: Notice) -> dict[str, Any]:
    return {
        "id": notice.id,
        "tenant": notice.tenant,
        "type": notice.type,
        "state": notice.state,
        "attempts": notice.attempts,
        "created": moment(notice.created),
        "due": moment(notice.due) if notice.state == "pending" else None,
        "ended": moment(notice.ended),
        "error": notice.error,
        "data": json.loads(notice.body)["data"],
    }


OPERATIONS = (
    Operation(
        "showAutoRecharge",
        "GET",
        "/v1/auto-recharge",
        "Show what a tenant has agreed to, and what was bought",
        _show,
        RechargeAnswer,
        "auto_recharge",
        "show",
        query=Whose,
        problems=(404,),
    ),
    Operation(
        "setAutoRecharge",
        "POST",
        "/v1/auto-recharge",
        "Agree that credits are bought when they run low, or end that",
        _agree,
        RechargeAnswer,
        "auto_recharge",
        "set",
        body=Agreed,
        problems=(404,),
    ),
    Operation(
        "listNotices",
        "GET",
        "/v1/notices",
        "List notices",
        _list,
        NoticesAnswer,
        "notices",
        "list",
        who="operator",
        query=NoticesQuery,
        problems=(404,),
    ),
    Operation(
        "retryNotices",
        "POST",
        "/v1/notices/retry",
        "Try dead notices again",
        _retry,
        AgainAnswer,
        "notices",
        "retry",
        who="operator",
        body=Again,
        problems=(404,),
    ),
)
