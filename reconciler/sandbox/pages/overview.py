"""The page at ``/``: what the sandbox holds, what happened in it, who asked, who was told."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from html import escape
from typing import Any
from urllib.parse import quote, urlencode

from reconciler.sandbox.core import TEST_KEY, Sandbox
from reconciler.sandbox.delivery import KIND as DELIVERY
from reconciler.sandbox.version import API_VERSION
from reconciler.sandbox.wire import Obj

SHOWN = 25

_STYLE = """
:root{color-scheme:light dark;font:15px/1.45 system-ui,sans-serif}
body{max-width:72rem;margin:2rem auto;padding:0 1rem}
h1{font-size:1.5rem}h2{font-size:1.1rem;margin:2rem 0 .5rem}
table{border-collapse:collapse;width:100%}
th,td{text-align:left;padding:.25rem .75rem .25rem 0;border-bottom:1px solid #8884;vertical-align:top}
th{font-weight:600}code{font-family:ui-monospace,monospace;font-size:.9em}
.badge{background:#f6a623;color:#000;border-radius:.25rem;padding:0 .4rem;font-size:.8rem;vertical-align:middle}
"""
_HEAD = (
    '<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
    f"<title>Sandbox</title><style>{_STYLE}</style></head>"
)


class _Link:
    """A link, escaped when written."""

    def __init__(self, text: Any, href: str) -> None:
        self.html = f'<a href="{escape(href)}"><code>{escape(str(text))}</code></a>'


def page(sandbox: Sandbox, query: Mapping[str, str]) -> str:
    """Return the page; ``account`` and ``kind`` in the query choose which objects are listed."""
    counts = sandbox.state.counts()
    accounts = sorted({account for account, _, _ in counts})
    account = query.get("account") or (accounts[0] if accounts else "")
    about = f"A Stripe-compatible server for tests, API version {API_VERSION}. It is {_time(sandbox.clock())} here."
    parts = [
        "<h1>Local sandbox <span class=badge>TEST DATA</span></h1>",
        f"<p>{escape(about)} Keys such as <code>{TEST_KEY}</code> open an account each.</p>",
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
    parts.append('<p><a href="/_sandbox">Operations</a> · <a href="/_sandbox/export">Export</a></p>')
    return f"{_HEAD}<body>{''.join(parts)}</body></html>"


def _count(account: str, kind: str, number: int) -> Sequence[Any]:
    return account, _Link(kind, f"/?{urlencode({'account': account, 'kind': kind})}"), number


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


def _json(account: str, kind: str, object_id: str) -> _Link:
    return _Link(
        object_id, "/_sandbox/objects/" + "/".join(quote(part, safe="") for part in (account, kind, object_id))
    )


def _time(seconds: Any) -> str:
    if not isinstance(seconds, int):
        return str(seconds or "")
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def _table(title: str, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    head = "".join(f"<th scope=col>{escape(column)}</th>" for column in columns)
    body = "".join(f"<tr>{''.join(f'<td>{_cell(value)}</td>' for value in row)}</tr>" for row in rows)
    nothing = "" if body else f"<tr><td colspan={len(columns)}>None yet.</td></tr>"
    return f"<h2>{escape(title)}</h2><table><tr>{head}</tr>{body}{nothing}</table>"


def _cell(value: Any) -> str:
    return value.html if isinstance(value, _Link) else escape(str(value))
