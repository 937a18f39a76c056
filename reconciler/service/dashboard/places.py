"""Pages that are lists of what happened: the inbox of webhooks, and the applies of the files. Pure."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from reconciler.diagnostics.html import Child, Html, join, tag
from reconciler.provider.executor import Ending
from reconciler.service.dashboard import numbers
from reconciler.service.dashboard.shell import Column, Seat, label, notice, page, pages, panel, table, token
from reconciler.service.hooks.inbox import Depth, Hook

_STATES = {"done": "good", "pending": "warn", "dead": "bad"}


class Inbox(NamedTuple):
    """A page of the inbox, newest first; ``None`` in place of rows where the service takes no webhooks.

    ``before`` is the instant before which the next page's events were received, ``None`` on the last page.
    """

    rows: Sequence[Hook] | None
    depths: Sequence[Depth] = ()
    before: int | None = None
    first: bool = True
    done: str = ""


def inbox_page(seat: Seat, data: Inbox) -> str:
    """Write the page of webhooks."""
    body: list[Child] = [tag("h1", "Webhooks"), tag("p", "What Stripe has told, newest first.", class_="lead")]
    if data.done:
        body.append(notice(data.done, "good"))
    if data.rows is None:
        words = "This service takes no webhooks: it was started without a signing secret."
        return page(seat, "Webhooks", "webhooks", *body, panel(tag("p", words, class_="faint")))
    counts = [_count(each) for each in data.depths]
    if counts:
        body.append(tag("ul", *counts, class_="legend apart"))
    if not data.rows:
        return page(seat, "Webhooks", "webhooks", *body, panel(tag("p", "Nothing was received yet.", class_="faint")))
    head = [
        Column("Event"),
        Column("Received", wide=True),
        Column("State"),
        Column("About", words=True),
        Column("Once more"),
    ]
    rows = [_hook(seat, row) for row in data.rows]
    first = seat.to("webhooks") if not data.first else None
    older = seat.to("webhooks", before=data.before) if data.before is not None else None
    further = pages(first, older, ("Newest", "Older"))
    body.append(panel(table("Events, newest first", head, rows, hidden=True), further))
    return page(seat, "Webhooks", "webhooks", *body)


def _count(depth: Depth) -> Html:
    oldest = f", the oldest from {numbers.moment(depth.oldest)}" if depth.state in ("pending", "dead") else ""
    return tag("li", label(depth.state, _STATES.get(depth.state, "")), f" {numbers.whole(depth.events)}{oldest}")


def _hook(seat: Seat, row: Hook) -> list[Child]:
    again = tag(
        "form",
        token(seat),
        tag("input", type="hidden", name="id", value=row.id),
        tag("button", "Replay", tag("span", f" {row.type} {row.id}", class_="hidden"), class_="quiet"),
        method="post",
        action=seat.to("webhooks", "replay"),
    )
    tries = tag("span", f"{row.attempts} tries", class_="id") if row.attempts > 1 else None
    state = join((label(row.state, _STATES.get(row.state, "")), tries))
    tenant = tag("a", row.tenant, href=seat.to("tenant", id=row.tenant)) if row.tenant else None
    about = tag("span", tag("code", row.object), class_="id") if row.object else None
    words = [tag("span", each, class_="id") for each in (row.note, row.error) if each]
    name = join((row.type, tag("span", tag("code", row.id), class_="id")))
    return [name, numbers.moment(row.received), state, join((tenant, about, *words)), again]


class Applies(NamedTuple):
    """The latest applies, newest first, as the history file has them; ``file`` is empty where none is known."""

    rows: Sequence[Mapping[str, Any]]
    file: str
    unread: int = 0


def history_page(seat: Seat, data: Applies) -> str:
    """Write the page of applies."""
    body: list[Child] = [
        tag("h1", "History"),
        tag("p", "When the files were made real at Stripe, newest first.", class_="lead"),
    ]
    if not data.file:
        words = join(
            ("No history is known: start the service with ", tag("code", "--history FILE"), ", the file that ")
        )
        words = join((words, tag("code", "reconciler apply --history FILE"), " appends to."))
        return page(seat, "History", "history", *body, panel(tag("p", words, class_="faint")))
    if data.unread:
        body.append(notice(f"{data.unread} lines of the history could not be read and are left out.", "bad"))
    if not data.rows:
        return page(seat, "History", "history", *body, panel(tag("p", "Nothing was applied yet.", class_="faint")))
    head = [Column("When"), Column("Ended"), Column("Changes"), Column("By", wide=True), Column("Account", wide=True)]
    head.append(Column("Plan", wide=True))
    rows = [_apply(row) for row in data.rows]
    return page(seat, "History", "history", *body, panel(table("Applies, newest first", head, rows, hidden=True)))


_ENDINGS = {str(Ending.COMPLETE): "good", str(Ending.PARTLY): "bad", str(Ending.NOTHING): "warn"}


def _apply(row: Mapping[str, Any]) -> list[Child]:
    changes = ", ".join(f"{number} {action}" for action, number in dict(row.get("changes") or {}).items() if number)
    ending = str(row.get("ending", ""))
    account = join((tag("code", str(row.get("account", ""))), f" {row.get('mode', '')}"))
    where = row.get("environment")
    return [
        join((str(row.get("at", ""))[:16].replace("T", " "),)),
        label(ending, _ENDINGS.get(ending, "")),
        changes or "none",
        str(row.get("by") or "\u2013"),
        join((account, tag("span", str(where), class_="id") if where else None)),
        tag("code", str(row.get("plan", ""))[:16]),
    ]


def signin_page(seat: Seat, wrong: str = "") -> str:
    """Write the form that takes an operator's key."""
    key = tag("input", type="password", name="key", required="required", autocomplete="current-password", maxlength=512)
    form = tag(
        "form",
        token(seat),
        tag("label", tag("span", "Operator key"), key, class_="field"),
        tag("button", "Sign in"),
        method="post",
        action=seat.to("signin"),
        class_="stack",
    )
    told = tag("p", "Make a key with ", tag("code", "reconciler key new --operator"), ".", class_="faint small")
    inner = panel(tag("h1", "Sign in"), notice(wrong, "bad") if wrong else None, form, told)
    return page(seat, "Sign in", None, tag("div", inner, class_="signin"))


def wrong_page(seat: Seat, title: str, words: str, *, signed_in: bool) -> str:
    """Write why a request could not be answered."""
    back = tag("p", tag("a", "To the overview", href=seat.to("")))
    return page(seat, title, "-" if signed_in else None, tag("h1", title), tag("p", words), back)
