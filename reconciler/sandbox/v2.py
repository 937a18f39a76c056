"""The ``/v2`` namespace: JSON in and out, ISO 8601 times, its own error envelope, pages, idempotency and thin events.

Source: https://docs.stripe.com/api-v2-overview. Objects are stored as v1's are, with Unix seconds; :func:`shown` turns
them into what a v2 client sees.
"""

import base64
import binascii
import json
import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

from reconciler.sandbox import form, lists, params
from reconciler.sandbox.errors import ApiError, invalid
from reconciler.sandbox.idempotency import Key, key_of
from reconciler.sandbox.ids import derive
from reconciler.sandbox.lists import Filter
from reconciler.sandbox.objects.base import Call, Family, Origin
from reconciler.sandbox.wire import Obj, Response

PREFIX = "/v2/"
#: The kind of thin events.
EVENT = "v2.core.event"
#: Where meter events are streamed to: on another host at Stripe, and with a session's token instead of a key.
STREAM = "/v2/billing/meter_event_stream"
#: How long the outcome of a key is remembered (https://docs.stripe.com/api-v2-overview, "Idempotency").
RETENTION_SECONDS = 30 * 86_400
#: Members that hold a time: Unix seconds as stored, ISO 8601 text as shown.
TIMES = frozenset({"created", "expires_at", "timestamp", "updated"})
#: What a notification leaves out; a client fetches the event to see it (https://docs.stripe.com/event-destinations).
FETCHED = frozenset({"changes", "data", "snapshot_event"})

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_RFC3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d{1,9})?([Zz]|[+-]\d\d:\d\d)")
_PAGE = re.compile(r"(starting_after|ending_before) (\w{1,255}) (\w{8})")
_CODES = {401: "unauthenticated", 403: "forbidden", 404: "not_found", 409: "conflict", 429: "rate_limit"}


def owns(path: str) -> bool:
    """Tell whether a path is one of this namespace."""
    return path.startswith(PREFIX)


# --- time


def iso(seconds: int, micros: int = 0) -> str:
    """Write Unix seconds as Stripe's v2 API does: UTC with milliseconds, ``2024-06-01T12:00:00.000Z``."""
    moment = _EPOCH + timedelta(seconds=seconds, microseconds=micros)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def instant(text: str, param: str) -> tuple[int, int]:
    """Read an RFC 3339 time: Unix seconds, and microseconds past them; anything else is a 400 that names ``param``."""
    if not _RFC3339.fullmatch(text):
        raise _malformed(param, text)
    try:
        past = datetime.fromisoformat(text.upper()) - _EPOCH
    except (ValueError, OverflowError):
        raise _malformed(param, text) from None
    seconds, rest = divmod(past, timedelta(seconds=1))
    return seconds, rest // timedelta(microseconds=1)


def _malformed(param: str, text: str) -> ApiError:
    return invalid(f"Invalid {param}: '{text[:40]}' is not an RFC 3339 time such as 2024-06-01T12:00:00.000Z.", param)


# --- requests


def require_version(headers: Mapping[str, str]) -> None:
    """Refuse a request that names no API version; v1 has a default, v2 has none."""
    if "stripe-version" not in headers:
        raise ApiError(400, "Requests to the /v2 namespace must include the Stripe-Version header.")


def read(name: str, tree: form.Tree, lengths: Mapping[str, int], clears: frozenset[str]) -> Obj:
    """Validate like :func:`params.read`; every list takes a ``page`` too, which the SDK's types leave out."""
    page = tree.pop("page", None) if name.endswith("ListParams") else None
    given = params.read(name, tree, lengths, clears)
    return given if page is None else {**given, "page": page}


def idempotency_key(text: str | None, method: str, path: str, tree: form.Tree) -> Key | None:
    """Return the key of a POST or DELETE: one key names one operation for each API, for 30 days."""
    key = key_of(text, path, tree)
    return replace(key, text=f"{method} {path} {key.text}", retention=RETENTION_SECONDS) if key else None


# --- replies


def shown(result: Obj) -> Obj:
    """Return a reply as a v2 client sees it: times as text, of an object or of the objects of a page."""
    if "next_page_url" in result:
        return {**result, "data": [shown(item) for item in result["data"]]}
    return {name: iso(value) if name in TIMES and type(value) is int else value for name, value in result.items()}


def refusal(response: Response) -> Response:
    """Return a refusal in v2's envelope: ``code`` and ``message`` always, and no ``param``.

    Source: ``v2.error`` in Stripe's OpenAPI document. Codes of refusals that v1 leaves without one are written here.
    """
    error = json.loads(response.body)["error"]
    fallback = error["type"] if error["type"] in {"api_error", "idempotency_error"} else "invalid_request"
    body = {
        "code": error.get("code") or _CODES.get(response.status, fallback),
        "doc_url": error.get("doc_url"),
        "message": error["message"],
        "type": error["type"],
    }
    kept = {name: value for name, value in body.items() if value is not None}
    return Response(response.status, response.headers, json.dumps({"error": kept}).encode())


def not_found(noun: str, object_id: str) -> ApiError:
    """Return the 404 for an unknown id in the URL; its code is not v1's."""
    return ApiError(404, f"No such {noun}: '{object_id}'", code="not_found")


# --- lists


def page(call: Call, family: Family, *filters: Filter, oldest: int | None = None) -> Obj:
    """Return a page of a list, newest first, with the addresses of its neighbours.

    The filters cannot change between pages; ``oldest`` leaves out what was created before it.
    """
    mark = derive(*_query({**call.params, "limit": None, "page": None}), length=8)
    cursor = _cursor(call.params.get("page"), mark)
    given = {**call.params, **({"created": created_bounds(call.params["created"])} if "created" in call.params else {})}
    found = lists.page(replace(call, params={**given, **cursor}), family, *filters, oldest=oldest)
    rows, backwards = found["data"], "ending_before" in cursor
    after = backwards or found["has_more"]
    before = found["has_more"] if backwards else bool(cursor)
    return {
        "data": rows,
        "next_page_url": _page_url(call, "starting_after", rows[-1]["id"], mark) if rows and after else None,
        "previous_page_url": _page_url(call, "ending_before", rows[0]["id"], mark) if rows and before else None,
    }


def _cursor(token: str | None, mark: str) -> dict[str, str]:
    """Return the v1 cursor that a page token stands for."""
    if token is None:
        return {}
    try:
        text = base64.urlsafe_b64decode(token.removeprefix("page_").encode()).decode()
    except (binascii.Error, UnicodeError):
        text = ""
    match = _PAGE.fullmatch(text)
    if match is None or match[3] != mark:
        raise invalid("Invalid page: it is not one of this list, whose filters cannot change.", "page")
    return {match[1]: match[2]}


def _page_url(call: Call, cursor: str, object_id: str, mark: str) -> str:
    token = base64.urlsafe_b64encode(f"{cursor} {object_id} {mark}".encode()).decode()
    return f"{call.url}?{urlencode([*_query({**call.params, 'page': None}), ('page', f'page_{token}')])}"


def created_bounds(given: Mapping[str, str]) -> dict[str, int]:
    """Return ``created`` bounds given as texts in whole Unix seconds, as v1 has them; objects have whole seconds."""
    bounds = {}
    for name, text in given.items():
        seconds, micros = instant(text, f"created[{name}]")
        bounds[name] = seconds + 1 if micros and name in {"gte", "lt"} else seconds
    return bounds


def _query(values: Mapping[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    """Return parameters as the fields of a query, indexes in brackets, sorted by name."""
    fields: list[tuple[str, str]] = []
    for name, value in sorted(values.items()):
        at = f"{prefix}[{name}]" if prefix else name
        if isinstance(value, list | dict):
            inner = value if isinstance(value, dict) else {str(index): item for index, item in enumerate(value)}
            fields += _query(inner, at)
        elif value is not None:
            fields.append((at, str(value).lower() if isinstance(value, bool) else str(value)))
    return fields


# --- the session that streams meter events


def session_token(seed: int, account: str, session: str, expires_at: int) -> str:
    """Return the token of a session; it says itself whose it is and until when, so that no look-up is needed."""
    seal = _seal(seed, account, session, expires_at)
    return "_".join(["mes_test", account.removeprefix("acct_"), session, str(expires_at), seal])


def account_of_token(headers: Mapping[str, str], seed: int, now: int) -> str:
    """Return the account of a session's token; 401 for any other credentials and for a session that is over."""
    scheme, _, token = headers.get("authorization", "").strip().partition(" ")
    match = re.fullmatch(r"mes_test_([A-Za-z0-9]+)_([A-Za-z0-9]+)_(\d{1,12})_(\w+)", token.strip())
    account = f"acct_{match[1]}" if match else ""
    if scheme.lower() != "bearer" or not match or _seal(seed, account, match[2], int(match[3])) != match[4]:
        raise ApiError(401, "Meter events are streamed with the authentication_token of a meter event session.")
    if now >= int(match[3]):
        raise ApiError(
            401,
            "The temporary session token has expired.",
            error_type="temporary_session_expired",
            code="billing_meter_event_session_expired",
        )
    return account


def _seal(seed: int, account: str, session: str, expires_at: int) -> str:
    return derive(seed, "meter_event_session", account, session, expires_at, length=24)


# --- thin events


def thin(call: Call, event_type: str, about: Obj | None = None, data: Obj | None = None) -> Obj:
    """Store a thin event and return it: ``about`` is its object, ``data`` what a client sees on fetching the event."""
    family = call.families[EVENT]
    event = call.fill(
        family,
        call.new_id("evt_test_61", 30),
        data=data,
        reason=reason(call.origin),
        related_object=related(call.families, about) if about else None,
        type=event_type,
        _at=call.own_now,
    )
    return call.create(family, event)


def reason(origin: Origin) -> Obj | None:
    """Return the reason of a thin event: the request it comes from, ``None`` if it was time alone."""
    if origin.request_id is None:
        return None
    return {"type": "request", "request": {"id": origin.request_id, "idempotency_key": origin.idempotency_key or ""}}


def related(families: Mapping[str, Family], about: Obj) -> Obj | None:
    """Name an object and where it is fetched from: the route that reads one object of its family.

    A discount has no id in its address: it is the only one of its customer. What has no address is ``None``.
    """
    kind = about["object"]
    if kind == "discount":
        return {"type": kind, "url": f"/v1/customers/{about['customer']}/discount"}
    patterns = [route.pattern for route in families[kind].routes if route.method == "GET"]
    pattern = next((pattern for pattern in patterns if pattern.endswith("/{id}")), None)
    return {"id": about["id"], "type": kind, "url": pattern.format_map(about)} if pattern else None


def notification(event: Obj) -> Obj:
    """Return what an event destination is sent of a stored thin event (https://docs.stripe.com/event-destinations)."""
    return shown({name: value for name, value in event.items() if name not in FETCHED and not name.startswith("_")})
