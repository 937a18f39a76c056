"""The inbox over HTTP, for operators: what came, what became of it, and once more."""

import asyncio
import logging
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, Field

from reconciler.diagnostics import UsageError
from reconciler.service.api.answers import moment
from reconciler.service.api.model import Closed, Name
from reconciler.service.api.operation import Asked, Operation
from reconciler.service.hooks.inbox import Hook, Inbox
from reconciler.service.problems import ProblemError

log = logging.getLogger("reconciler.service")
_PAGE = 100
_State = Literal["pending", "done", "ignored", "dead"]


def _number(value: Any) -> Any:
    return int(value) if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 20 else value  # noqa: PLR2004  digits of 64 bits


_Number = Annotated[int, BeforeValidator(_number, json_schema_input_type=int)]


class HookAnswer(Closed):
    """An event in the inbox; ``received_us`` is the instant in microseconds, by which pages go on."""

    id: str
    type: str
    object: str | None
    customer: str | None
    tenant: str | None
    state: str
    attempts: int
    created: str | None
    received: str | None
    received_us: int
    due: str | None
    error: str | None
    note: str | None


class DepthAnswer(Closed):
    """How many events are in a state, and when the oldest of them came."""

    state: str
    events: int
    oldest: str | None


class InboxAnswer(Closed):
    """A page of events, the newest first; ``next`` is the ``before`` of the page behind it."""

    depths: list[DepthAnswer]
    events: list[HookAnswer]
    next: int | None


class InboxQuery(Closed):
    """Which events: of one state, received before an instant in microseconds."""

    state: _State | None = None
    before: Annotated[_Number, Field(ge=0, le=2**63 - 1)] | None = None
    limit: Annotated[_Number, Field(ge=1, le=1000)] = _PAGE


class ReplayAsked(Closed):
    """Whose the event is, where neither the purchase nor its customer says so."""

    tenant: Name | None = None


def _inbox(asked: Asked) -> Inbox:
    if asked.service.hooks is None:
        raise ProblemError(404, "not_found", "This service has no account at Stripe, so it has no inbox.")
    return asked.service.hooks.inbox


async def _list(asked: Asked) -> dict[str, Any]:
    inbox, query = _inbox(asked), asked.query or InboxQuery()
    found = await asyncio.to_thread(inbox.listed, query.state, query.before, query.limit)
    depths = await asyncio.to_thread(inbox.depths)
    return {
        "depths": [{**each._asdict(), "oldest": moment(each.oldest)} for each in depths],
        "events": [hook_json(hook) for hook in found],
        "next": found[-1].received if len(found) == query.limit else None,
    }


async def _show(asked: Asked) -> dict[str, Any]:
    try:
        return hook_json(await asyncio.to_thread(_inbox(asked).show, asked.path["id"]))
    except UsageError as error:
        raise ProblemError(404, "not_found", f"{error.message}.") from None


async def _replay(asked: Asked) -> dict[str, Any]:
    try:
        found = await asyncio.to_thread(_inbox(asked).replay, asked.path["id"], asked.body.tenant)
    except UsageError as error:
        raise ProblemError(404, "not_found", f"{error.message}.") from None
    log.info("replayed", extra={"event": found.id, "tenant": asked.body.tenant, "principal": asked.principal.name})
    return hook_json(found)


def hook_json(hook: Hook) -> dict[str, Any]:
    """Return an event as JSON values."""
    return {
        "id": hook.id,
        "type": hook.type,
        "object": hook.object,
        "customer": hook.customer,
        "tenant": hook.tenant,
        "state": hook.state,
        "attempts": hook.attempts,
        "created": moment(hook.created * 1_000_000),
        "received": moment(hook.received),
        "received_us": hook.received,
        "due": moment(hook.due) if hook.due and hook.state == "pending" else None,
        "error": hook.error,
        "note": hook.note,
    }


def _operation(
    name: str, method: str, path: str, summary: str, handle: Any, returns: type[BaseModel], **more: Any
) -> Operation:
    action = name.removesuffix("Webhooks").removesuffix("Webhook")
    return Operation(
        name, method, path, summary, handle, returns, "webhooks", action, who="operator", problems=(404,), **more
    )


OPERATIONS = (
    _operation("listWebhooks", "GET", "/v1/webhooks", "List events of the inbox", _list, InboxAnswer, query=InboxQuery),
    _operation("showWebhook", "GET", "/v1/webhooks/{id}", "Show an event", _show, HookAnswer),
    _operation(
        "replayWebhook",
        "POST",
        "/v1/webhooks/{id}/replay",
        "Work an event off once more",
        _replay,
        HookAnswer,
        body=ReplayAsked,
    ),
)
