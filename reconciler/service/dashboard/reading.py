"""What pages show, read from figures, rows and one tenant's book: never by going through entries."""

import secrets
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path

from reconciler.config.catalog import Catalog
from reconciler.entitlements import Entitlements
from reconciler.entitlements.books import OWN
from reconciler.entitlements.grants import marker
from reconciler.entitlements.told import told
from reconciler.ledger.annex import AnnexStore
from reconciler.ledger.entry import Entry
from reconciler.ledger.latest import latest
from reconciler.provider.records import read_records
from reconciler.service.dashboard import numbers
from reconciler.service.dashboard.overview import DAYS, MONTHS, Overview
from reconciler.service.dashboard.places import Applies, Inbox
from reconciler.service.dashboard.states import State
from reconciler.service.dashboard.tenant import Line, TenantView
from reconciler.service.dashboard.tenants import Tenants
from reconciler.service.figures import asked, drifted, invoices, subscriptions
from reconciler.service.figures.invoices import InvoiceRow
from reconciler.service.figures.listing import Order, Place, number_of, row_of, tenants, tightest
from reconciler.service.figures.notes import read_note
from reconciler.service.figures.rounds import NAME as ROUND
from reconciler.service.figures.summary import summary_of
from reconciler.service.hooks.inbox import Depth
from reconciler.service.service import Service

#: Tenants or events on a page, entries on a page, applies, and tenants that are told to be near their limits.
ROWS, ENTRIES, APPLIES, _TIGHT = 50, 40, 200, 6
#: From so many ten thousandths of its tightest allowance on a tenant is told.
_NEAR = 5_000
_INVOICES = 6
#: Figures that are older than so many microseconds are told to be.
_LATE = 600_000_000
_OUTBOX = "SELECT COUNT(*), MIN(due) FROM export WHERE state = 'pending'"
_DEAD = "SELECT COUNT(*) FROM export WHERE state = 'dead'"
_OF_TENANT = (
    f"SELECT {', '.join(InvoiceRow._fields)} FROM figure_invoice WHERE tenant = ? AND status <> 'gone'"  # noqa: S608  columns
    " ORDER BY created DESC LIMIT ?"
)


def overview(store: AnnexStore, more: Sequence[State] = ()) -> Overview:
    """Read what the first page shows; ``more`` is what else is known of how things are."""
    now = store.now()
    today = numbers.today_of(now)
    month = numbers.month_of(today)
    tools = asked.by_tool(store, today - DAYS + 1, today + 1)
    invoiced = read_note(store, invoices.NAME)
    recurring = read_note(store, subscriptions.NAME)
    earlier = read_note(store, f"mrr:{month - 1}")
    return Overview(
        today,
        number_of(store),
        (asked.active(store, month), asked.active(store, month - 1)),
        tools,
        asked.total(tools),
        asked.total(asked.by_tool(store, today - 2 * DAYS + 1, today - DAYS + 1)),
        asked.by_day(store, today - DAYS + 1, today + 1),
        None if invoiced is None else invoiced.at,
        asked.revenue(store, month - MONTHS + 1, month),
        None if recurring is None else subscriptions.recurring_of(recurring.said),
        None if earlier is None else subscriptions.recurring_of(earlier.said),
        tightest(store, _TIGHT, _NEAR),
        [*states(store), *more],
    )


def states(store: AnnexStore) -> list[State]:
    """Return how figures, the way to Stripe's meters and what was read of the account are."""
    now, found = store.now(), list[State]()
    last = read_note(store, ROUND)
    if last is None:
        found.append(State("Figures", "were not added up yet", "warn"))
    else:
        kind = "good" if now - last.at < _LATE else "warn"
        found.append(State("Figures", f"added up {numbers.ago(last.at, now)}", kind))
    ((waiting, oldest),), ((dead,),) = store.ask(_OUTBOX), store.ask(_DEAD)
    if dead:
        told_ = f"{numbers.whole(dead)} refused for good; reconciler usage flush --again tries them anew"
        found.append(State("Usage on its way to Stripe", told_, "bad"))
    elif waiting:
        late = oldest is not None and now - oldest > _LATE
        since = f", the oldest due {numbers.ago(oldest, now)}" if late else ""
        found.append(
            State("Usage on its way to Stripe", f"{numbers.whole(waiting)} waiting{since}", "warn" if late else "good")
        )
    else:
        found.append(State("Usage on its way to Stripe", "nothing is waiting", "good"))
    for name, words in (
        (invoices.NAME, "Invoices of the account"),
        (subscriptions.NAME, "Subscriptions of the account"),
    ):
        note = read_note(store, name)
        found.append(
            State(words, "were not read yet")
            if note is None
            else State(words, f"read {numbers.ago(note.at, now)}", "good")
        )
    return found


def more_states(service: Service) -> list[State]:
    """Return how the inbox of webhooks is, and what is known of the account beside the files."""
    store, found = service.runtime.ledger.store, list[State]()
    if service.hooks is None:
        found.append(State("Webhooks", "this service takes none"))
    else:
        found.append(_hooks_state(service.hooks.inbox.depths(), store.now()))
    return [*found, *account_states(store)]


def _hooks_state(depths: Sequence[Depth], now: int) -> State:
    by_state = {each.state: each for each in depths}
    dead, pending = by_state.get("dead"), by_state.get("pending")
    if dead is not None:
        return State("Webhooks", f"{numbers.whole(dead.events)} could not be worked off", "bad")
    if pending is None:
        return State("Webhooks", "nothing is waiting", "good")
    kind = "warn" if now - pending.oldest > _LATE else "good"
    return State("Webhooks", f"{numbers.whole(pending.events)} waiting since {numbers.ago(pending.oldest, now)}", kind)


def inbox(service: Service, before: int | None, done: str = "") -> Inbox:
    """Read a page of the inbox of webhooks."""
    if service.hooks is None:
        return Inbox(None)
    kept = service.hooks.inbox
    rows = kept.listed(None, before, ROWS + 1)
    last = rows[ROWS - 1].received if len(rows) > ROWS else None
    return Inbox(rows[:ROWS], kept.depths(), last, before is None, done)


def applies(file: Path | None) -> Applies:
    """Read the latest applies of a history file, newest first."""
    if file is None:
        return Applies((), "")
    records, unread = read_records(file, APPLIES)
    return Applies(records, str(file), unread)


def account_states(store: AnnexStore) -> list[State]:
    """Return what is known of the account beside the files."""
    known = read_note(store, drifted.NAME)
    if known is None:
        return [State("Drift", "not checked here; the command reconciler drift looks")]
    number, waiting, at = int(known.said["changed"]), int(known.said["waiting"]), numbers.ago(known.at, store.now())
    found = State("Drift", f"the account is as it was applied, seen {at}", "good")
    if number:
        named = ", ".join(known.said["addresses"])
        more = " and more" if number > len(known.said["addresses"]) else ""
        found = State("Drift", f"changed at Stripe: {named}{more}, seen {at}", "warn")
    if not waiting:
        return [found]
    told_ = f"{numbers.whole(waiting)} change{'' if waiting == 1 else 's'} of the files, seen {at}"
    return [found, State("Not applied", told_, "warn")]


def tenants_of(store: AnnexStore, order: Order, query: str, after: Place | None) -> Tenants:
    """Read a page of tenants."""
    rows, more = tenants(store, order, ROWS, query, after)
    return Tenants(rows, order, query, number_of(store), after, more, numbers.today_of(store.now()))


def tenant(
    runtime: Entitlements,
    store: AnnexStore,
    catalog: Catalog | None,
    name: str,
    before: int | None,
    done: str = "",
    wrong: str = "",
) -> TenantView | None:
    """Read a tenant's page, with entries before a number; ``None`` for one that neither files nor ledger know."""
    book = store.read(name)
    row = row_of(store, name)
    if row is None and not book.seq and name not in runtime.policy.tenants:
        return None
    row = summary_of(runtime, store, catalog, name)
    today = numbers.today_of(store.now())
    end = book.seq + 1 if before is None else min(before, book.seq + 1)
    # The entry behind the newest one may say what that was about; one more tells whether there are older ones.
    read = latest(store, name, end + 1, ENTRIES + 2)
    shown = [entry for entry in read if entry.seq < end][:ENTRIES]
    return TenantView(
        row,
        runtime.balance(name),
        [hold for _, hold in sorted(book.holds.items())],
        asked.by_day(store, today - DAYS + 1, today + 1, name),
        asked.by_tool(store, today - DAYS + 1, today + 1, name),
        [InvoiceRow(*each) for each in store.ask(_OF_TENANT, (name, _INVOICES))],
        list(lines(store, name, shown, {entry.seq - 1: entry for entry in read})),
        before is None,
        bool(shown) and read[-1].seq < shown[-1].seq,
        f"dashboard-{secrets.token_urlsafe(18)}",
        done,
        wrong,
    )


def lines(store: AnnexStore, name: str, entries: Sequence[Entry], following: Mapping[int, Entry]) -> Iterable[Line]:
    """Yield entries in sentences, each with what it is about and what undid it."""
    find = partial(store.entry, name)
    for entry in entries:
        said = told(entry, following.get(entry.seq))
        call = find(said.of) if said.of is not None else None
        about = call.seq if call is not None else None
        yield Line(entry, said, about, _undone(store, name, entry))


def _undone(store: AnnexStore, name: str, entry: Entry) -> int | None:
    if entry.kind not in ("consume", "commit", "owed") or entry.key is None:
        return None
    key = entry.key.removeprefix(f"{OWN}commit:")
    counted = store.entry(name, marker(key, 1))
    return None if counted is None else counted.seq - 1
