"""A tenant's row: what its book says, and what its running period comes to by now and if it goes on like this."""

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler.config.catalog import Catalog, catalog_from_text
from reconciler.entitlements import Entitlements
from reconciler.entitlements.compile import compile_catalog
from reconciler.entitlements.daily import Window
from reconciler.entitlements.usage_billed import BilledUse
from reconciler.ledger.annex import AnnexStore
from reconciler.service.figures.rollup import roll_up
from reconciler.service.figures.summary import Summary, summarise
from reconciler.service.figures.tables import prepared
from tests.entitlements.worlds import HandClock

FILES = """
settings: {namespace: acme, default_meter: calls, currency: usd, default_plan: free}
meters: {calls: {name: Calls}}
plans:
  pro:
    name: Pro
    prices: {monthly: {amount: 50, interval: month}}
    usage: {calls: {included: 10, overage: {unit_amount: 0.25}}}
  two:
    name: Two
    default_price: monthly
    prices: {monthly: {amount: 50, interval: month}, annual: {amount: 500, interval: year}}
  payg: {name: Pay as you go, per_call: {default: 1.00}}
  free: {name: Free, usage: {calls: {included: 20, per: month, overage: deny}}}
tenants:
  acme: {name: Acme Inc, plan: pro}
  pay: {name: Pay, plan: payg}
"""
SHOWN = catalog_from_text(FILES)[0]
assert SHOWN is not None
CATALOG: Catalog = SHOWN
POLICY = compile_catalog(CATALOG)


def opened(clock: HandClock, url: str = "sqlite://") -> tuple[Entitlements, AnnexStore]:
    """Open a runtime, and its store with the tables of figures."""
    ent = Entitlements.open(POLICY, url, mode="direct", clock=clock)
    store = ent.ledger.store
    assert isinstance(store, AnnexStore)
    return ent, prepared(store)


def rows(ent: Entitlements, store: AnnexStore, catalog: Catalog | None = CATALOG) -> dict[str, Summary]:
    """Bring the rows up to date and return them."""
    roll_up(store)
    summarise(ent, store, catalog)
    names = ", ".join(Summary._fields)
    return {row[0]: Summary(*row) for row in store.ask(f"SELECT {names} FROM figure_tenant")}


def test_a_row_says_what_the_book_says(url: str) -> None:
    """Plan, name, tightest allowance, credits and invoice stand in the row, of tenants of the files and of others."""
    clock = HandClock("2027-01-11T00:00:00")
    ent, store = opened(clock, url)
    with ent:
        for number in range(14):
            ent.consume("acme", "search", key=f"k{number}")
        ent.grant("stranger", 5, key="gift")
        found = rows(ent, store)
        assert set(found) == {"acme", "pay", "stranger"}
        acme, stranger = found["acme"], found["stranger"]
        assert (acme.name, acme.plan, acme.bound, acme.used, acme.most, acme.share) == (
            "Acme Inc",
            "pro",
            "calls",
            14,
            10,
            14_000,
        )
        assert (acme.currency, acme.spend) == ("usd", 5000 + 4 * 25)
        # Ten of 31 days have passed: 14 calls go on to 43, of which 33 cost 25 cents.
        assert acme.forecast == 5000 + 33 * 25
        assert (stranger.name, stranger.plan, stranger.credits) == ("", "free", 5_000_000)


def test_a_charge_by_the_call_goes_on_too() -> None:
    """What was charged by the call is in the invoice by now, and in proportion in the forecast."""
    ent, store = opened(HandClock("2027-01-11T00:00:00"))
    for number in range(10):
        ent.consume("pay", "search", key=f"k{number}")
    found = rows(ent, store)["pay"]
    assert (found.spend, found.forecast) == (1000, 3100)


def test_no_forecast_on_the_first_day() -> None:
    """On the first day of a period there is an invoice by now and no forecast."""
    ent, store = opened(HandClock("2027-01-01T23:59:59"))
    ent.consume("acme", "search")
    found = rows(ent, store)["acme"]
    assert (found.spend, found.forecast) == (5000, None)


def test_what_is_not_known_is_absent() -> None:
    """Without the files' prices, without a price that is known, and without an invoice, there is no figure."""
    ent, store = opened(HandClock("2027-01-11T00:00:00"))
    ent.set_subscription("bought", plan="two", status="active", key="s")
    ent.set_subscription("single", plan="pro", status="active", key="s")
    found = rows(ent, store)
    assert (found["bought"].spend, found["bought"].forecast) == (None, None)
    assert found["single"].spend == 5000
    ent, store = opened(HandClock("2027-01-11T00:00:00"))
    assert rows(ent, store, None)["acme"].spend is None


def test_a_row_is_made_anew_when_it_is_old() -> None:
    """A row stays until its book changes, an hour or its period is over, or the files are others."""
    clock = HandClock("2027-01-31T22:30:00")
    ent, store = opened(clock)
    ent.consume("acme", "search", key="one")
    assert rows(ent, store)["acme"].used == 1
    assert summarise(ent, store, CATALOG) == 0
    ent.consume("acme", "search", key="two")
    roll_up(store)
    assert summarise(ent, store, CATALOG) == 1
    clock.set("2027-02-01T00:00:00")
    found = rows(ent, store)["acme"]
    assert (found.used, found.spend) == (0, 5000)
    ent.reload(compile_catalog(catalog_from_text(FILES.replace("included: 10", "included: 11"))[0]))  # type: ignore[arg-type]
    assert rows(ent, store)["acme"].most == 11


@settings(max_examples=60)
@given(
    used=st.dictionaries(st.integers(0, 30 * 24), st.integers(0, 10_000), max_size=5),
    hours=st.integers(1, 31 * 24),
)
def test_a_projection_is_in_proportion(used: dict[int, int], hours: int) -> None:
    """Units go on in proportion to the time, rounded down once; at the end of the period they are what they are."""
    start = datetime(2027, 1, 1, tzinfo=UTC)
    period = (start, datetime(2027, 2, 1, tzinfo=UTC))
    first = int(start.timestamp())
    use = BilledUse.of_windows({Window("calls", first + hour * 3600): number for hour, number in used.items()})
    now = datetime.fromtimestamp(first + hours * 3600, UTC)
    total = use.units("calls", period)
    assert use.projected(period, now).units("calls", period) == total * 31 * 24 // hours
    assert use.projected(period, period[1]).units("calls", period) == total
    with pytest.raises(ValueError, match="nothing of the period"):
        use.projected(period, start)


def test_the_projection_leaves_other_periods_out() -> None:
    """What was used before or after a period does not go on in it."""
    period = (datetime(2027, 1, 1, tzinfo=UTC), datetime(2027, 2, 1, tzinfo=UTC))
    before, after = (int(each.timestamp()) for each in period)
    decoys: dict[Any, int] = {Window("calls", before - 3600): 7, Window("calls", after): 9}
    use = BilledUse.of_windows({**decoys, Window("calls", before): 2})
    assert use.projected(period, datetime(2027, 1, 16, 12, tzinfo=UTC)).units("calls", period) == 4
