"""The page at ``/``: what the sandbox holds, what happened in it, who asked, who was told."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote, urlencode

from reconciler.sandbox.core import TEST_KEY, Sandbox
from reconciler.sandbox.delivery import KIND as DELIVERY
from reconciler.sandbox.pages.html import Html, document, join, tag
from reconciler.sandbox.version import API_VERSION
from reconciler.sandbox.wire import Obj, Response

SHOWN = 25
_OPERATIONS = (("Operations", "/_sandbox"), ("Export", "/_sandbox/export"))


def page(sandbox: Sandbox, query: Mapping[str, str]) -> Response:
    """Return the page; ``account`` and ``kind`` in the query choose which objects are listed."""
    counts = sandbox.state.counts()
    accounts = sorted({account for account, _, _ in counts})
    account = query.get("account") or (accounts[0] if accounts else "")
    about = f"A Stripe-compatible server for tests, API version {API_VERSION}. It is {_time(sandbox.clock())} here."
    parts = [
        tag("h1", "Local sandbox"),
        tag("p", about, " Keys such as ", tag("code", TEST_KEY), " open an account each."),
        _table("Objects", ("Account", "Kind", "Number"), (_count(*each) for each in counts)),
    ]
    if kind := query.get("kind"):
        listed = sandbox.state.latest(account, kind, SHOWN)
        parts.append(_table(f"Newest of {kind}", ("Id", "Created"), (_object(account, kind, each) for each in listed)))
    if account:
        events = sandbox.state.latest(account, "event", SHOWN)
        parts.append(
            _table(f"Events of {account}", ("Time", "Type", "Event"), (_event(account, each) for each in events))
        )
        told = sandbox.state.latest(account, DELIVERY, SHOWN)
        columns = ("Event", "Endpoint", "Status", "Attempts")
        parts.append(_table("Webhook deliveries", columns, (_delivery(account, each) for each in told)))
    entries = list(sandbox.journal)[: -SHOWN - 1 : -1]
    parts.append(_table("Requests", ("Latest first",), ((entry.line(),) for entry in entries)))
    operations, export = (tag("a", text, href=href) for text, href in _OPERATIONS)
    return document("Sandbox", *parts, tag("p", operations, " \u00b7 ", export))


def _count(account: str, kind: str, number: int) -> Sequence[Any]:
    return account, _link(kind, f"/?{urlencode({'account': account, 'kind': kind})}"), number


def _object(account: str, kind: str, obj: Obj) -> Sequence[Any]:
    return _json(account, kind, obj["id"]), _time(obj.get("created"))


def _event(account: str, event: Obj) -> Sequence[Any]:
    return _time(event["created"]), event["type"], _json(account, "event", event["id"])


def _delivery(account: str, each: Obj) -> Sequence[Any]:
    tries = ", ".join(str(attempt.get("status") or attempt.get("error") or "lost") for attempt in each["attempts"])
    return (
        f"{each['event_type']} {each['event']}",
        _json(account, each["endpoint_kind"], each["endpoint"]),
        each["status"],
        tries,
    )


def _json(account: str, kind: str, object_id: str) -> Html:
    return _link(
        object_id, "/_sandbox/objects/" + "/".join(quote(part, safe="") for part in (account, kind, object_id))
    )


def _time(seconds: Any) -> str:
    if not isinstance(seconds, int):
        return str(seconds or "")
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def _link(text: Any, href: str) -> Html:
    return tag("a", tag("code", str(text)), href=href)


def _table(title: str, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> Html:
    head = tag("tr", *(tag("th", column, scope="col") for column in columns))
    body = [tag("tr", *(tag("td", _cell(value)) for value in row)) for row in rows]
    nothing = tag("tr", tag("td", "None yet.", colspan=len(columns)))
    return join([tag("h2", title), tag("table", tag("thead", head), tag("tbody", *body or [nothing]), class_="list")])


def _cell(value: Any) -> str:
    return value if isinstance(value, Html) else str(value)
