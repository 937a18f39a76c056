"""Text of what was used where no command of the samples comes by."""

from decimal import Decimal

from reconciler.cli.usages import report_json, report_text, sums_text, usage_text
from reconciler.entitlements.usage_report import OwedBack, Row, TenantUsage
from reconciler.ledger.base import Export
from reconciler.provider.usage import Report
from tests.entitlements.worlds import at

JANUARY, FEBRUARY, MARCH = (at(f"2027-0{month}-01T00:00:00") for month in (1, 2, 3))


def test_what_is_owed_back_stands_below_what_was_used() -> None:
    """Each refund of what was billed has a line with its period and money, and their sum stands at the end."""
    owed = OwedBack(at("2027-02-03T10:00:00"), "chat", "tokens", 1200, JANUARY, FEBRUARY, Decimal("0.25"), "usd")
    charge = owed._replace(meter="", units=0, money=Decimal(5))
    row = Row("chat", "tokens", 0, 3000, 0, 3000, money=Decimal("0.5"), currency="usd")
    usage = TenantUsage("acme", "pro", FEBRUARY, MARCH, (row,), (owed, charge))
    assert (usage_text(usage) + sums_text([usage])).splitlines()[4:] == [
        "  refunded                 tool  of            billed in                                           owed back",
        "  2027-02-03 10:00:00 UTC  chat  1,200 tokens  2027-01-01 00:00:00 UTC to 2027-02-01 00:00:00 UTC   0.25 usd",
        "  2027-02-03 10:00:00 UTC  chat  (calls)       2027-01-01 00:00:00 UTC to 2027-02-01 00:00:00 UTC   5.00 usd",
        "  Refunded when it was billed already: give it back with a credit note or a credit grant.",
        "",
        "1 tenant: 0.50 usd; owed back 5.25 usd.",
    ]
    assert usage.as_json()["owed"][0]["money"] == "0.25"
    assert "owed" not in usage_text(usage._replace(owed=())) + sums_text([usage._replace(owed=())])


def test_a_flush_tells_what_it_could_not_read() -> None:
    """Where Stripe's reports of what it refused later cannot be read the flush says so, and nothing where they can."""
    report = Report([], [], [], 0, 0, "no answer came (timeout)")
    told = "What Stripe refused after it had taken it could not be read: no answer came (timeout)\n"
    assert report_text(report) == f"Sent 0 exports in 0 events.\n{told}"
    assert report_json(report)["unread"] == "no answer came (timeout)"
    assert report_text(report._replace(unread=None)) == "Sent 0 exports in 0 events.\n"


def test_a_flush_tells_what_was_streamed_and_what_was_late() -> None:
    """What is not confirmed is no more than streamed, and what no invoice will have is named with its units."""
    window = JANUARY // 10**6
    export = Export("acme", "calls", window, 1, 1200, "sent")
    report = Report([export], [], [], 101, 0, None, [export._replace(state="streamed")] * 100)
    told = report_text(report, [export])
    assert told.splitlines() == [
        "Sent 1 export in 101 events.",
        "100 exports streamed; the summaries will tell whether they count.",
        "1 export sent after the invoice of their period was finalized; bill them by invoice items:",
        "  acme  calls  2027-01-01 00:00:00 UTC  1,200  sent",
    ]
    found = report_json(report, [export])
    assert (found["streamed"], [each["units"] for each in found["late"]]) == (100, [1200])
