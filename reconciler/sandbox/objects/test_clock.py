"""Test clocks: time that stands still until it is moved (https://docs.stripe.com/api/test_clocks).

An advance is answered at once with status ``advancing`` and carried out before the next request is looked at.
"""

from collections.abc import Iterator

from reconciler.sandbox.billing.periods import DAY_SECONDS, advance
from reconciler.sandbox.billing.scheduling import OPEN
from reconciler.sandbox.billing.stored import must, rewritten, rows
from reconciler.sandbox.billing.subscription_store import ENDED
from reconciler.sandbox.errors import invalid
from reconciler.sandbox.lists import page
from reconciler.sandbox.objects.base import Call, Family, Route, retrieve
from reconciler.sandbox.store import Row, Window
from reconciler.sandbox.wire import Obj

#: A clock is deleted so long after its creation (https://docs.stripe.com/billing/testing/test-clocks).
LIFETIME = 30 * DAY_SECONDS
#: How far one advance may go: intervals of the shortest subscription, or years where there is none.
MAX_INTERVALS, MAX_YEARS = 2, 2
#: How many subscriptions a customer on a clock can have (https://docs.stripe.com/billing/testing/test-clocks).
MAX_SUBSCRIPTIONS = 3

_MANY = Window(MAX_SUBSCRIPTIONS + 1)


def _create(call: Call) -> Obj:
    params = call.params
    clock = call.fill(
        FAMILY,
        call.new_id("clock_1", 23),
        deletes_after=call.now + LIFETIME,
        frozen_time=params["frozen_time"],
        name=params.get("name"),
    )
    call.create(FAMILY, clock)
    if "customer" in params:
        _attach(call, clock["id"], params["customer"])
    return clock


def _attach(call: Call, clock_id: str, customer_id: str) -> None:
    """Put an existing customer and everything of theirs on the clock, for good."""
    customer = call.refer("customer", customer_id, "customer")
    if customer["test_clock"]:
        raise invalid(f"The customer {customer_id} is attached to a test clock already.", "customer")
    running = call.tx.page("subscription", [("customer", customer_id), ("ended", "false")], _MANY)
    if len(running) > MAX_SUBSCRIPTIONS:
        raise invalid(f"A customer on a test clock can have at most {MAX_SUBSCRIPTIONS} subscriptions.", "customer")
    rewritten(call, "customer", must(call, "customer", customer_id), test_clock=clock_id)
    for family in call.families.values():
        for name in ("test_clock", "_clock"):
            if {"customer", name} <= family.template.keys():
                for row in rows(call, family.kind, ("customer", customer_id)):
                    rewritten(call, family.kind, row, **{name: clock_id})


def _advance(call: Call) -> Obj:
    row = call.row()
    clock, target = row.body, call.params["frozen_time"]
    if target <= clock["frozen_time"]:
        raise invalid(f"The clock stands at {clock['frozen_time']}; it can only be advanced.", "frozen_time")
    if target > (limit := _limit(call, clock)):
        # Observed, including the wording.
        raise invalid(
            f"The frozen time of this clock is {clock['frozen_time']}. You can only advance it up to {limit}. You can "
            "only advance a test clock up to two intervals from the current frozen time at a time, based on the "
            "shortest subscription interval in the test clock.",
            "frozen_time",
        )
    details = {"advancing": {"target_frozen_time": target}}
    advancing = {**clock, "_since": call.now, "status": "advancing", "status_details": details}
    call.replace(FAMILY, row, advancing)
    call.emit(FAMILY, "advancing", advancing)
    return advancing


def _limit(call: Call, clock: Obj) -> int:
    """Return the latest time one advance may lead to."""
    frozen: int = clock["frozen_time"]
    ends = [advance(frozen, interval, count, MAX_INTERVALS) for interval, count in _intervals(call, clock["id"])]
    return min(ends, default=advance(frozen, "year", 1, MAX_YEARS))


def _intervals(call: Call, clock_id: str) -> Iterator[tuple[str, int]]:
    """Yield the billing intervals of what lives on the clock: subscriptions, and schedules still to be carried out."""
    prices: set[str] = set()
    for row in rows(call, "subscription", ("test_clock", clock_id)):
        if row.body["status"] not in ENDED:
            prices |= {item.body["price"] for item in rows(call, "subscription_item", ("subscription", row.body["id"]))}
    for row in rows(call, "subscription_schedule", ("test_clock", clock_id)):
        if row.body["status"] in OPEN:
            prices |= {item["price"] for phase in row.body["phases"] for item in phase["items"]}
    for price_id in sorted(prices):
        price = call.tx.find("price", price_id)
        if price and price.body["recurring"]:
            yield price.body["recurring"]["interval"], price.body["recurring"]["interval_count"]


def _due_at(clock: Obj) -> int:
    since: int = clock["_since"] if clock["status"] == "advancing" else clock["deletes_after"]
    return since


def _when_due(call: Call, row: Row) -> None:
    """Carry an advance out, stopping wherever something is to happen; or delete a clock that has lived long enough."""
    clock = row.body
    if clock["status"] != "advancing":
        _remove(call, row)
        return
    target = clock["status_details"]["advancing"]["target_frozen_time"]
    while due := call.tx.next_due(clock["id"], target):
        at = max(due[1], clock["frozen_time"])
        call.replace(FAMILY, _again(call, clock), {**_again(call, clock).body, "frozen_time": at})
        call.run_due(clock["id"], at, since=at)
    row = _again(call, clock)
    ready = {**row.body, "_since": None, "frozen_time": target, "status": "ready", "status_details": {}}
    call.replace(FAMILY, row, ready)
    call.emit(FAMILY, "ready", ready)


def _again(call: Call, clock: Obj) -> Row:
    row = call.tx.find(FAMILY.kind, clock["id"])
    if row is None:
        raise RuntimeError(f"{clock['id']} was deleted while it was advancing")
    return row


def _delete(call: Call) -> Obj:
    return _remove(call, call.row())


def _remove(call: Call, row: Row) -> Obj:
    """Delete a clock with its customers, whose subscriptions end with them, at the clock's own time."""
    customer = call.families["customer"]
    for owner in rows(call, customer.kind, ("test_clock", row.body["id"])):
        call.at(row.body["frozen_time"]).delete(customer, owner)
    return call.delete(FAMILY, row)


def _list(call: Call) -> Obj:
    return page(call, FAMILY)


FAMILY = Family(
    kind="test_helpers.test_clock",
    noun="test clock",
    missing_param="test_clock",
    lengths={"name": 300},
    due_at=_due_at,
    when_due=_when_due,
    template={
        "object": "test_helpers.test_clock",
        "_since": None,
        "created": 0,
        "deletes_after": 0,
        "frozen_time": 0,
        "livemode": False,
        "name": None,
        "status": "ready",
        "status_details": {},
    },
    routes=(
        Route("POST", "/v1/test_helpers/test_clocks", "test_helpers.TestClockCreateParams", _create),
        Route("GET", "/v1/test_helpers/test_clocks", "test_helpers.TestClockListParams", _list, lists=True),
        Route("GET", "/v1/test_helpers/test_clocks/{id}", "test_helpers.TestClockRetrieveParams", retrieve),
        Route("DELETE", "/v1/test_helpers/test_clocks/{id}", "test_helpers.TestClockDeleteParams", _delete),
        Route("POST", "/v1/test_helpers/test_clocks/{id}/advance", "test_helpers.TestClockAdvanceParams", _advance),
    ),
)
