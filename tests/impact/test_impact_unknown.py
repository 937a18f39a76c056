"""What an impact does not know: sums without instants, tenants on one side, other currencies, units nobody recorded."""

import json
import re
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler.entitlements.periods import zone_of
from reconciler.impact.alike import Alike
from reconciler.impact.compare import Question, compare
from reconciler.impact.markdown import LIMIT, impact_markdown
from reconciler.impact.reading import read_usage
from reconciler.impact.result import Impact, TenantRow
from reconciler.impact.rows import gathered
from reconciler.impact.side import Side
from reconciler.impact.used import Recorded, Used

from .test_impact_refusals import KINDS, MONTH, asked, catalogue, compiled, used

ASKED = Question("base", "head", "2027-03", "a file")
PLAN = """
settings: {namespace: acme, currency: usd, default_meter: calls}
meters: {calls: {name: Calls}, seats: {name: Seats, aggregation: last}}
plans:
  pro: {name: Pro, prices: {m: {amount: 10, interval: month}}}
  seats: {name: Seats, usage: {seats: {overage: {unit_amount: 2}}}}
tenants:
  acme: {name: Acme, plan: pro}
"""


def weighed(base: str, head: str, usage: dict[str, Recorded] | None = None) -> Impact:
    """Return the impact of a change."""
    return compare(Side(compiled(base)), Side(compiled(head)), usage or {}, MONTH, ASKED)


def of(impact: Impact, tenant: str = "acme") -> TenantRow:
    """Return a tenant's row."""
    return next(row for row in impact.rows if row.tenant == tenant)


def notes(impact: Impact) -> str:
    """Return all notes."""
    return " ".join(map(str, impact.notes))


def limited(*limits: str) -> str:
    """Return the files with limits on the plan."""
    return PLAN.replace("  pro: {name: Pro,", f"  pro: {{name: Pro, limits: [{', '.join(limits)}],")


DAILY, HOURLY = "{of: '*', max: 5, per: day}", "{of: search, max: 5, per: hour}"
RATE, MONTHLY = "{of: '*', max: 5, per: minute, kind: rate}", "{of: '*', max: 70, per: month}"


def test_of_a_sum_monthly_quotas_alone_are_counted() -> None:
    """Of a hundred calls 30 are beyond the month's quota; of rate, hour and day it is said that nobody can tell."""
    usage = {"acme": MONTH._replace(events=(Used("search", 100),))}
    found = weighed(PLAN, limited(RATE, MONTHLY, HOURLY, DAILY), usage)
    assert [(row.effect, row.reason, row.number) for row in found.calls] == [("refused", "quota_exceeded", 30)]
    assert "rate limits and bounds per hour, per day could not be replayed" in notes(found)
    assert "without the instants" not in notes(weighed(PLAN, limited(MONTHLY), usage))


def test_single_calls_are_counted_by_the_hour_and_the_day() -> None:
    """The positive control: with their instants the same bounds refuse, and nothing is said of sums."""
    at = MONTH.start + 12 * 3_600_000_000
    usage = {"acme": MONTH._replace(events=(Used("search", 1, 1, (), at, single=True),) * 100)}
    found = weighed(PLAN, limited(HOURLY), usage)
    assert [row.number for row in found.calls] == [95]
    assert "without the instants" not in notes(found)


def test_included_units_of_a_day_are_no_bound_of_a_month() -> None:
    """A line of so many units a day refuses none of a sum of the month; one of the month does."""
    usage = {"acme": MONTH._replace(events=(Used("", 100, 1, (("calls", 100),)),))}
    line = "usage: {calls: {included: 10, per: day}}"
    daily = PLAN.replace("prices: {m: {amount: 10, interval: month}}", line)
    found = weighed(PLAN, daily, usage)
    assert not found.calls
    assert "per day" in notes(found)
    assert [row.number for row in weighed(PLAN, daily.replace("per: day", "per: month"), usage).calls] == [90]


def test_an_annual_price_is_a_twelfth_a_month() -> None:
    """A year is what a year costs, a month its twelfth part, rounded; what is paid every five months likewise."""
    annual = PLAN.replace("amount: 10, interval: month", "amount: 490, interval: year")
    row = of(weighed(PLAN, annual))
    assert row.after is not None
    assert (row.after.month, row.after.year) == (4083, 49000)
    assert (row.month, row.year) == (4083 - 1000, 49000 - 12000)
    for interval, count, times in (("month", 5, Fraction(12, 5)), ("week", 2, Fraction(26)), ("day", 1, Fraction(365))):
        price = f"amount: 30, interval: {interval}, interval_count: {count}"
        row = of(weighed(PLAN, PLAN.replace("amount: 10, interval: month", price)))
        assert row.after is not None
        assert row.after.year == 3000 * times


def test_currencies_are_not_added() -> None:
    """A tenant whose currency changes is in no total, nor is it lost: it is listed with both invoices."""
    euro = PLAN.replace("pro: {name: Pro,", "pro: {name: Pro, currency: eur,")
    found = weighed(PLAN, euro)
    row = of(found)
    assert (row.month, row.why) == (None, "from usd to eur")
    assert [(cost.currency, cost.month) for cost in (row.before, row.after) if cost] == [("usd", 1000), ("eur", 1000)]
    assert found.totals == ()
    assert "1 tenant in no total" in notes(found)


def test_tenants_of_one_side_are_listed() -> None:
    """A tenant in one of the files has one invoice and no difference; one that moved is the same tenant."""
    more = PLAN + "  bakery: {name: Bakery, plan: pro}\n"
    for base, head, side in ((PLAN, more, "new"), (more, PLAN, "old")):
        found = weighed(base, head)
        row = of(found, "bakery")
        assert (row.month, row.why) == (None, f"only in the {side} files")
        assert [total.tenants for total in found.totals] == [1]
    renamed = PLAN.replace("  acme: {", "  acme-inc: {") + "moved: [{from: tenants.acme, to: tenants.acme-inc}]\n"
    found = weighed(PLAN, renamed)
    assert [(row.tenant, row.month) for row in found.rows] == [("acme", 0)]
    usage = {"ghost": MONTH._replace(events=(Used("search", 3),))}
    ghost = of(weighed(PLAN, PLAN, usage), "ghost")
    assert (ghost.why, ghost.before, ghost.refused) == ("in neither of the files", None, (3, 3))


def test_what_keeps_its_last_value_is_priced_by_it() -> None:
    """Values of a meter that keeps the last one do not add up, and are never refused."""
    files = PLAN.replace("plan: pro", "plan: seats")
    seats = tuple(Used("", number, 1, (("seats", number),)) for number in (50, 7))
    row = of(weighed(files, files.replace("unit_amount: 2", "unit_amount: 3"), {"acme": MONTH._replace(events=seats)}))
    assert row.before is not None
    assert (row.before.month, row.month) == (1400, 700)


def test_units_that_nobody_recorded_are_said() -> None:
    """A tool that counts by its result, without units beside it: none are counted, and the note names both."""
    files = PLAN + "tools: {chat: {counts: {calls: {from: result.tokens}}}}\n"
    files = files.replace("prices: {m: {amount: 10, interval: month}}", "usage: {calls: {overage: {unit_amount: 1}}}")
    found = weighed(files, files, {"acme": MONTH._replace(events=(Used("chat", 3),))})
    assert "chat on calls" in notes(found)
    found = weighed(files, files, {"acme": MONTH._replace(events=(Used("chat", 3, 1, (("calls", 10),)),))})
    assert "chat on calls" not in notes(found)
    row = of(found)
    assert row.before is not None
    assert row.before.month == 1000


def dearer(text: str) -> str:
    """Return files with every amount of money a little higher, and nothing else changed."""

    def raised(value: Any) -> Any:
        if isinstance(value, dict):
            return {
                name: str(float(item) + 1)
                if name in {"unit_amount", "amount"} and isinstance(item, str)
                else raised(item)
                for name, item in value.items()
            }
        return [raised(item) for item in value] if isinstance(value, list) else value

    return json.dumps(raised(json.loads(text)))


@given(st.data(), st.lists(st.sampled_from(sorted(KINDS)), min_size=1, max_size=2, unique=True), asked())
@settings(max_examples=15, deadline=None)
def test_one_replay_serves_both_where_only_prices_differ(data: Any, plans: list[str], calls: list[Any]) -> None:
    """What is decided by the same facts is replayed once, and comes to the same as two replays."""
    text = data.draw(catalogue("UTC", plans))
    by_tenant: dict[str, list[Used]] = {}
    for call in calls:
        by_tenant.setdefault(call.tenant, []).append(used(call))
    usage = {tenant: MONTH._replace(events=tuple(own)) for tenant, own in by_tenant.items()}
    once = weighed(text, dearer(text), usage)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Alike, "decide", lambda *_: False)
        assert weighed(text, dearer(text), usage) == once
    assert not once.calls


def test_rows_say_what_they_say() -> None:
    """Calls, units and quantities as the columns are documented, sums and single calls apart."""
    files = compiled(PLAN + "tools: {load: {quantity: {from: argument.rows, per: 10}}}\n")
    rows = {
        "acme,search,,5,,": Used("search", 5),
        "acme,search,,,5,": Used("search", 5),
        "acme,search,,2,5,": Used("search", 5, 2),
        "acme,load,,25,,": Used("load", 1, 25),
        "acme,load,,25,4,": Used("load", 4, 25),
        "acme,,calls,7,,": Used("", 7, 1, (("calls", 7),)),
        "acme,search,calls,7,2,": Used("search", 2, 1, (("calls", 7),)),
        "acme,search,,,1,2027-03-02T00:00:00Z": Used("search", 1, 1, (), MONTH.start + 90_000_000_000, single=True),
        "acme,,calls,7,,2027-03-02T00:00:00Z": Used(
            "", 1, 7, (("calls", 7),), MONTH.start + 90_000_000_000, single=True
        ),
        "acme,search,,,2,2027-03-02T00:00:00Z": Used("search", 2, 1, (), MONTH.start + 90_000_000_000),
        "acme,search,,,1,2027-03-02": Used("search", 1, 1, (), MONTH.start + 86_400_000_000),
    }
    for text, wanted in rows.items():
        found = read_usage(f"tenant,tool,meter,quantity,calls,time\n{text}\n", "f", {"calls"}, zone_of("Europe/Berlin"))
        assert not found.problems
        (event,) = gathered(found.rows, MONTH, [Side(files)]).tenants["acme"].events
        assert event == wanted, text
    separated = read_usage("\ufeffTenant;Meter;Quantity\nacme;calls;3\n\n", "f", {"calls"}, zone_of("UTC"))
    assert re.match(r"\('acme', '', 'calls', 3", str(tuple(separated.rows[0][1:5]))), separated


def test_a_comment_is_never_longer_than_github_takes() -> None:
    """Long names of many tenants in many currencies: what does not fit is left out, the totals and notes stay."""
    currencies = ["usd", "eur", "gbp", "chf", "sek", "nok", "dkk", "pln", "czk", "huf"]
    plans = {
        code: {"name": code, "currency": code, "prices": {"m": {"amount": "10", "interval": "month"}}}
        for code in currencies
    }
    names = {f"{'t' * 40}{number}": currencies[number % 10] for number in range(400)}
    tenants = {name: {"name": "|`" * 60, "plan": code} for name, code in names.items()}
    base = {"settings": {"namespace": "acme"}, "plans": plans, "tenants": tenants}
    events = {name: MONTH._replace(events=(Used("`|" * 100, 3),)) for name in tenants}
    text = json.dumps(base)
    found = weighed(text, text.replace('"10"', '"11"').replace('"name": "usd"', '"name": "usd", "tools": []'), events)
    written = impact_markdown(found)
    assert found.newly_refused == 120
    assert len(written) <= LIMIT
    assert all(f"| {code} per month |" in written for code in currencies)
    assert "changes for new customers only" in written
