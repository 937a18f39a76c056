"""What usage costs in each known billing model, in exact minor units before any rounding, and what else is known."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Usage:
    """Units per meter, or calls per tool, of one month; the total includes the flat price of the plan."""

    units: Mapping[str, int]
    total: str
    plan: str | None = None


USAGES: dict[str, tuple[Usage, ...]] = {
    "reserved-acme-guide": (
        Usage({"vex": 0, "fu": 0}, "0"),
        Usage({"vex": 10000}, "0"),
        Usage({"vex": 10001}, "1"),
        Usage({"vex": 15001}, "5001"),
        Usage({"vex": 18000}, "8000"),
        Usage({"fu": 60000}, "1000"),
        Usage({"vex": 18000, "fu": 60000}, "9000"),
    ),
    "reserved-acme-two-tiers-rising": (
        Usage({"vex": 10000}, "0"),
        Usage({"vex": 10001}, "0.5"),
        Usage({"vex": 15000}, "2500"),
        Usage({"vex": 15001}, "2500.8"),
        Usage({"vex": 20000}, "6500"),
        Usage({"vex": 26000}, "11300"),
        Usage({"vex": 40000}, "22500"),
        Usage({"fu": 75000}, "2500"),
        Usage({"fu": 75001}, "2500.08"),
        Usage({"fu": 100000}, "4500"),
        Usage({"fu": 130000}, "6900"),
    ),
    "reserved-enterprise-one-tier": (
        Usage({"vex": 100000, "fu": 500000}, "0"),
        Usage({"vex": 160000}, "30000"),
        Usage({"fu": 500001}, "0.1"),
    ),
    "reserved-with-plan-startup": (
        Usage({}, "49900"),
        Usage({"vex": 10000, "fu": 50000}, "49900"),
        Usage({"vex": 12000, "fu": 51000}, "51000"),
    ),
    "reserved-with-plan-enterprise": (
        Usage({"vex": 1500000}, "1249900"),
        Usage({"vex": 2000000}, "1649900"),
        Usage({"fu": 7500000}, "1249900"),
        Usage({"fu": 10000000}, "1449900"),
    ),
    "reserved-startup-production": (
        Usage({"vex": 25000}, "0"),
        Usage({"vex": 40000}, "12000"),
        Usage({"fu": 160000}, "6000"),
    ),
    "reserved-three-plans": (
        Usage({"vex": 10000, "fu": 50000}, "49900", "starter"),
        Usage({"vex": 60001}, "74900.8", "starter"),
        Usage({"fu": 300001}, "74900.08", "starter"),
        Usage({"vex": 120000}, "209900", "professional"),
        Usage({"vex": 1000001}, "999900.5", "enterprise"),
    ),
    "per-call-quick-start": (
        Usage({"some-unlisted-tool": 1}, "100"),
        Usage({"expensive-ai": 1, "standard-tool": 1, "quick-lookup": 1}, "750"),
        Usage({}, "0"),
    ),
    "per-call-percent-discounts": (
        Usage({"other-tool": 100}, "10000"),
        Usage({"other-tool": 101}, "10090"),
        Usage({"other-tool": 500}, "46000"),
        Usage({"other-tool": 501}, "46080"),
        Usage({"other-tool": 600}, "54000"),
        Usage({"ai-analysis": 101}, "25225"),
        Usage({"ai-analysis": 600}, "135000"),
        Usage({"simple-lookup": 600}, "27000"),
    ),
    "per-call-percent-discounts-large": (
        Usage({"other-tool": 1001}, "50045"),
        Usage({"other-tool": 5001}, "230040"),
        Usage({"simple-lookup": 1001}, "25022.5"),
        Usage({"simple-lookup": 1002}, "25045"),
    ),
    "per-call-bulk-from": (
        Usage({"other-tool": 99}, "4950"),
        Usage({"other-tool": 100}, "4990"),
        Usage({"other-tool": 1000}, "40980"),
        Usage({"ai-image-generator": 1}, "200"),
        Usage({"simple-calculator": 7}, "70"),
    ),
    "per-call-bulk-after": (
        Usage({"other-tool": 100}, "5000"),
        Usage({"other-tool": 101}, "5040"),
        Usage({"other-tool": 1001}, "41030"),
    ),
    "per-call-three-breaks-after": (
        Usage({"other-tool": 51}, "2545"),
        Usage({"other-tool": 200}, "9250"),
        Usage({"other-tool": 1001}, "41280"),
        Usage({"simple-calculator": 1}, "25"),
        Usage({"simple-calculator": 4}, "100"),
    ),
    "per-call-three-breaks-from": (
        Usage({"other-tool": 49}, "2450"),
        Usage({"other-tool": 50}, "2495"),
        Usage({"other-tool": 51}, "2540"),
        Usage({"other-tool": 200}, "9240"),
        Usage({"other-tool": 1001}, "41260"),
    ),
    "per-word-writing-assistant": (
        Usage({"write-text": 1234}, "1234"),
        Usage(
            {
                "write-text": 1234,
                "generate-article": 2,
                "grammar-check": 1,
                "translate-text": 1,
                "summarize-content": 1,
            },
            "2684",
        ),
    ),
    "per-call-development": (Usage({"any-tool": 100}, "100"),),
    "per-call-integration-suite": (Usage({"other-tool": 3, "expensive-ai": 2, "cheap-lookup": 4}, "1550"),),
    "subscription-basic-pro": (
        Usage({"calls": 0}, "1999", "basic"),
        Usage({"calls": 1000}, "1999", "basic"),
        Usage({"calls": 1001}, "2049", "basic"),
        Usage({"calls": 1200}, "11999", "basic"),
        Usage({"calls": 5000}, "4999", "pro"),
        Usage({"calls": 5001}, "5024", "pro"),
        Usage({"calls": 5200}, "9999", "pro"),
    ),
    "subscription-api-gateway": (
        Usage({"calls": 10000}, "2999", "developer"),
        Usage({"calls": 100000}, "9999", "business"),
    ),
    "subscription-starter-professional-enterprise": (
        Usage({"calls": 1000}, "2900", "starter"),
        Usage({"calls": 1001}, "2905", "starter"),
        Usage({"calls": 1200}, "3900", "starter"),
        Usage({"calls": 5000}, "9900", "professional"),
        Usage({"calls": 5200}, "10500", "professional"),
        Usage({"calls": 20000}, "29900", "enterprise"),
    ),
    "subscription-ai-service": (
        Usage({"calls": 1200}, "2300", "basic"),
        Usage({"calls": 5200}, "5100", "professional"),
        Usage({"calls": 25000}, "19900", "enterprise"),
    ),
    "usage-based-three-tiers-minimum": (
        Usage({"calls": 0}, "500"),
        Usage({"calls": 100}, "500"),
        Usage({"calls": 250}, "500"),
        Usage({"calls": 251}, "502"),
        Usage({"calls": 1000}, "2000"),
        Usage({"calls": 1001}, "2001.5"),
        Usage({"calls": 10000}, "15500"),
        Usage({"calls": 12000}, "17500"),
    ),
    "freemium-free-tools": (
        Usage({"calls": 100000}, "999", "premium"),
        Usage({"calls": 100}, "0", "free"),
    ),
    "freemium-saas-tool": (Usage({"calls": 5000}, "1999", "pro"),),
    "freemium-hour-day-month": (Usage({"calls": 10000}, "4900", "professional"),),
    "freemium-paid-overage": (
        Usage({"calls": 1000}, "999", "premium"),
        Usage({"calls": 1001}, "1009", "premium"),
        Usage({"calls": 1100}, "1999", "premium"),
    ),
    "control-volume-mode": (
        Usage({"calls": 0}, "0"),
        Usage({"calls": 100}, "1000"),
        Usage({"calls": 101}, "808"),
    ),
    "control-zero-price-and-no-default": (
        Usage({"free-tool": 5}, "0"),
        Usage({"paid-tool": 2}, "50"),
    ),
    "control-zero-decimal-currency": (Usage({"any-tool": 10}, "50"),),
}


@dataclass(frozen=True)
class Quantity:
    """Calls of tools, each of a quantity, and the credits they cost together."""

    calls: Mapping[str, int]
    credits: str


QUANTITIES: dict[str, tuple[Quantity, ...]] = {
    "credits-per-thousand-rows": (
        Quantity({"process-csv": 0}, "0"),
        Quantity({"process-csv": 1}, "10"),
        Quantity({"process-csv": 1000}, "10"),
        Quantity({"process-csv": 1001}, "20"),
        Quantity({"process-csv": 2500}, "30"),
        Quantity({"generate-charts": 2, "ml-prediction": 1, "export-report": 1}, "115"),
    ),
    "credits-bonus-packs": (Quantity({"unlisted-tool": 4}, "4"),),
}

#: By case: a pack, the credits it grants with its bonus, its price.
PACKS: dict[str, tuple[tuple[str, str, str], ...]] = {
    "credits-three-packs": (
        ("starter-pack", "100", "999"),
        ("power-pack", "500", "3999"),
        ("enterprise", "1000", "6999"),
    ),
    "credits-per-thousand-rows": (("enterprise", "20000", "12999"),),
    "credits-bonus-packs": (
        ("small_pack", "110", "1000"),
        ("medium_pack", "575", "4500"),
        ("large_pack", "1200", "8000"),
    ),
}

#: By case: a plan, when its trial begins, when it ends.
TRIALS: dict[str, tuple[tuple[str, str, str], ...]] = {
    "subscription-basic-pro": (("basic", "2027-01-01T00:00:00Z", "2027-01-15T00:00:00Z"),),
    "subscription-ai-service": (("basic", "2027-02-26T09:30:00Z", "2027-03-05T09:30:00Z"),),
}

#: By case: what its payment link charges.
LINKS = {"reserved-payment-link": "7500"}

#: By case: how many objects of a kind it needs at Stripe.
OBJECTS = {"reserved-three-plans": {"plan_products": 3, "monthly_prices": 3, "payment_links": 3, "meters": 2}}
