"""Known billing models, part by part: where each stands in ``billing.d``, and the figures it must have there."""

from .figures import (
    INF,
    Block,
    Bracket,
    Calls,
    Costs,
    Figures,
    Least,
    Limit,
    Line,
    Pack,
    Plan,
    Subscriber,
    Units,
)

#: Exchange plans allow the one tool they are about.
EXCHANGE = ("verify-exchange",)
ALL = ("*",)
SMALL_VEX: tuple[Bracket, ...] = ((5000, "0.5"), (INF, "0.8"))
SMALL_FU: tuple[Bracket, ...] = ((25000, "0.1"), (INF, "0.08"))
LARGE_VEX: tuple[Bracket, ...] = ((500000, "0.5"), (INF, "0.8"))
LARGE_FU: tuple[Bracket, ...] = ((2500000, "0.1"), (INF, "0.08"))
PLAN_VEX: tuple[Bracket, ...] = ((50000, "0.5"), (INF, "0.8"))
PLAN_FU: tuple[Bracket, ...] = ((250000, "0.1"), (INF, "0.08"))
BULK = {"ai-image-generator": "200", "simple-calculator": "10"}
BATCH = {"expensive-ai-tool": "200", "simple-calculator": "10", "data-processor": "100"}


def one(amount: str) -> tuple[Bracket, ...]:
    """Return the single bracket of a price that never changes with use."""
    return ((INF, amount),)


def quota(of: str, most: int, **more: object) -> Limit:
    """Return a quota per month."""
    return Limit(of, "month", most, **more)


CASES: dict[str, dict[str, tuple[str, Figures]]] = {
    # Reserved capacity
    "reserved-acme-guide": {
        "meters.vex": ("tenants.freight.usage.vex", Units(10000, one("1"))),
        "meters.fu": ("tenants.freight.usage.fu", Units(50000, one("0.1"))),
        "tenant": ("tenants.freight", Subscriber(None)),
    },
    "reserved-acme-two-tiers-rising": {
        "meters.vex": ("tenants.press.usage.vex", Units(10000, SMALL_VEX)),
        "meters.fu": ("tenants.press.usage.fu", Units(50000, SMALL_FU)),
        "tenant": ("tenants.press", Subscriber(None)),
    },
    "reserved-enterprise-one-tier": {
        "meters.vex": ("tenants.bank.usage.vex", Units(100000, one("0.5"))),
        "meters.fu": ("tenants.bank.usage.fu", Units(500000, one("0.1"))),
        "tenant": ("tenants.bank", Subscriber(None)),
    },
    "reserved-with-plan-startup": {
        "plans.startup": ("plans.exchange-starter", Plan("49900", tools=EXCHANGE)),
        "meters.vex": ("tenants.robotics.usage.vex", Units(10000, one("0.5"))),
        "meters.fu": ("tenants.robotics.usage.fu", Units(50000, one("0.1"))),
        "tenant": ("tenants.robotics", Subscriber("exchange-starter")),
    },
    "reserved-with-plan-enterprise": {
        "plans.enterprise": ("plans.exchange-enterprise", Plan("999900", tools=EXCHANGE)),
        "meters.vex": ("tenants.airline.usage.vex", Units(1000000, LARGE_VEX)),
        "meters.fu": ("tenants.airline.usage.fu", Units(5000000, LARGE_FU)),
        "tenant": ("tenants.airline", Subscriber("exchange-enterprise")),
    },
    "reserved-startup-production": {
        "meters.vex": ("tenants.clinic.usage.vex", Units(25000, one("0.8"))),
        "meters.fu": ("tenants.clinic.usage.fu", Units(100000, one("0.1"))),
        "tenant": ("tenants.clinic", Subscriber(None)),
    },
    "reserved-payment-link": {
        "payment_link.vex_reserved": ("payment_links.museum-reservation.items.0", Line("5000")),
        "payment_link.fu_reserved": ("payment_links.museum-reservation.items.1", Line("2500")),
        "meters.vex": ("tenants.museum.usage.vex", Units(10000)),
        "meters.fu": ("tenants.museum.usage.fu", Units(50000)),
    },
    "reserved-three-plans": {
        "plans.starter": ("plans.exchange-starter", Plan("49900", tools=EXCHANGE)),
        "plans.starter.vex": ("plans.exchange-starter.usage.vex", Units(10000, PLAN_VEX)),
        "plans.starter.fu": ("plans.exchange-starter.usage.fu", Units(50000, PLAN_FU)),
        "plans.starter.link": ("payment_links.exchange-starter.items.0", Line("49900")),
        "plans.professional": ("plans.exchange-professional", Plan("199900", tools=EXCHANGE)),
        "plans.professional.vex": ("plans.exchange-professional.usage.vex", Units(100000, PLAN_VEX)),
        "plans.professional.fu": ("plans.exchange-professional.usage.fu", Units(500000, PLAN_FU)),
        "plans.professional.link": ("payment_links.exchange-professional.items.0", Line("199900")),
        "plans.enterprise": ("plans.exchange-enterprise", Plan("999900", tools=EXCHANGE)),
        "plans.enterprise.vex": ("plans.exchange-enterprise.usage.vex", Units(1000000, PLAN_VEX)),
        "plans.enterprise.fu": ("plans.exchange-enterprise.usage.fu", Units(5000000, PLAN_FU)),
        "plans.enterprise.link": ("payment_links.exchange-enterprise.items.0", Line("999900")),
    },
    "hard-monthly-limit-fu": {
        "plans.small": ("plans.exchange-key-small", Plan("0", tools=EXCHANGE)),
        "plans.small.limits.0": ("plans.exchange-key-small.limits.0", quota("fu", 50000)),
        "plans.medium": ("plans.exchange-key-medium", Plan("0", tools=EXCHANGE)),
        "plans.medium.limits.0": ("plans.exchange-key-medium.limits.0", quota("fu", 500000)),
        "plans.large": ("plans.exchange-key-large", Plan("0", tools=EXCHANGE)),
        "plans.large.limits.0": ("plans.exchange-key-large.limits.0", quota("fu", 5000000)),
    },
    "free-quota-default": {
        "plans.free": ("plans.exchange-free", Plan("0", tools=EXCHANGE)),
        "plans.free.limits.0": ("plans.exchange-free.limits.0", quota("vex", 5000)),
    },
    # Per call
    "per-call-quick-start": {
        "tool_prices": (
            "plans.toolbox-payg.per_call",
            Calls({"expensive-ai": "500", "standard-tool": "200", "quick-lookup": "50"}, "100"),
        ),
    },
    "per-call-percent-discounts": {
        "tool_prices": (
            "plans.analysis-payg.per_call",
            Calls(
                {"ai-analysis": "250", "data-processing": "150", "simple-lookup": "50"},
                "100",
                breaks=(("after", 100, "10%"), ("after", 500, "20%")),
            ),
        ),
    },
    "per-call-percent-discounts-large": {
        "tool_prices": (
            "plans.analysis-payg-large.per_call",
            Calls(
                {"ai-analysis": "200", "data-processing": "100", "simple-lookup": "25"},
                "50",
                breaks=(("after", 1000, "10%"), ("after", 5000, "20%")),
                scope="tenant",
            ),
        ),
    },
    "per-call-bulk-from": {
        "tool_prices": (
            "plans.studio-bulk-from.per_call",
            Calls(BULK, "50", breaks=(("from", 100, "40"), ("from", 1000, "30"))),
        ),
    },
    "per-call-bulk-after": {
        "tool_prices": (
            "plans.studio-bulk.per_call",
            Calls(BULK, "50", breaks=(("after", 100, "40"), ("after", 1000, "30"))),
        ),
    },
    "per-call-three-breaks-after": {
        "tool_prices": (
            "plans.studio-batch.per_call",
            Calls(
                BATCH, "50", "25", (("after", 50, "45"), ("after", 200, "40"), ("after", 1000, "30")), scope="tenant"
            ),
        ),
    },
    "per-call-three-breaks-from": {
        "tool_prices": (
            "plans.studio-batch-from.per_call",
            Calls(BATCH, "50", "25", (("from", 50, "45"), ("from", 200, "40"), ("from", 1000, "30")), scope="tenant"),
        ),
    },
    "per-word-writing-assistant": {
        "tool_prices": (
            "plans.writer-payg.per_call",
            Calls(
                {
                    "generate-article": "500",
                    "grammar-check": "100",
                    "translate-text": "200",
                    "summarize-content": "150",
                },
                "1",
            ),
        ),
        "words": ("tools.write-text.quantity", Block("argument.words", 1)),
    },
    "per-call-development": {"tool_prices": ("plans.toolbox-development.per_call", Calls(default="1"))},
    "per-call-integration-suite": {
        "tool_prices": (
            "plans.toolbox-partner.per_call",
            Calls({"expensive-ai": "500", "cheap-lookup": "25"}, "150"),
        ),
    },
    # Subscriptions
    "subscription-basic-pro": {
        "plans.basic": ("plans.analysis-basic", Plan("1999", 14, ("standard-ai-tools", "email-support"))),
        "plans.basic.calls": ("plans.analysis-basic.usage.calls", Units(1000, one("50"))),
        "plans.pro": (
            "plans.analysis-pro",
            Plan("4999", 14, ("all-ai-tools", "priority-support", "advanced-analytics")),
        ),
        "plans.pro.calls": ("plans.analysis-pro.usage.calls", Units(5000, one("25"))),
    },
    "subscription-api-gateway": {
        "plans.developer": ("plans.gateway-developer", Plan("2999")),
        "plans.developer.calls": ("plans.gateway-developer.usage.calls", Units(10000)),
        "plans.developer.limits.0": ("plans.gateway-developer.limits.0", Limit("calls", "minute", 100, "rate")),
        "plans.business": ("plans.gateway-business", Plan("9999")),
        "plans.business.calls": ("plans.gateway-business.usage.calls", Units(100000)),
        "plans.business.limits.0": ("plans.gateway-business.limits.0", Limit("calls", "minute", 1000, "rate")),
    },
    "subscription-starter-professional-enterprise": {
        "plans.starter": ("plans.suite-starter", Plan("2900", 14, ("basic-tools", "email-support"))),
        "plans.starter.calls": ("plans.suite-starter.usage.calls", Units(1000, one("5"))),
        "plans.professional": (
            "plans.suite-professional",
            Plan("9900", 14, ("all-tools", "priority-support", "analytics")),
        ),
        "plans.professional.calls": ("plans.suite-professional.usage.calls", Units(5000, one("3"))),
        "plans.enterprise": (
            "plans.suite-enterprise",
            Plan("29900", 14, ("unlimited-tools", "support-24-7", "custom-integrations")),
        ),
        "plans.enterprise.calls": ("plans.suite-enterprise.usage.calls", Units(20000)),
    },
    "subscription-ai-service": {
        "plans.basic": ("plans.agents-basic", Plan("1900", 7)),
        "plans.basic.calls": ("plans.agents-basic.usage.calls", Units(1000, one("2"))),
        "plans.basic.limits.0": ("plans.agents-basic.limits.0", Limit("calls", "minute", 60, "rate", burst=120)),
        "plans.professional": ("plans.agents-professional", Plan("4900", 7)),
        "plans.professional.calls": ("plans.agents-professional.usage.calls", Units(5000, one("1"))),
        "plans.professional.limits.0": (
            "plans.agents-professional.limits.0",
            Limit("calls", "minute", 60, "rate", burst=120),
        ),
        "plans.enterprise": ("plans.agents-enterprise", Plan("19900", 7)),
        "plans.enterprise.calls": ("plans.agents-enterprise.usage.calls", Units(25000)),
        "plans.enterprise.limits.0": (
            "plans.agents-enterprise.limits.0",
            Limit("calls", "minute", 60, "rate", burst=120),
        ),
    },
    # Credits
    "credits-three-packs": {
        "credits.packs.starter-pack": ("credit_packs.starter", Pack(100, "999")),
        "credits.packs.power-pack": ("credit_packs.power", Pack(500, "3999")),
        "credits.packs.enterprise": ("credit_packs.enterprise", Pack(1000, "6999")),
        "credits.tool_costs": (
            "plans.toolbox-credits.credits",
            Costs({"expensive-ai-tool": 10, "standard-tool": 5, "basic-tool": 1}),
        ),
    },
    "credits-auto-recharge": {
        "credits.packs.starter-pack": ("credit_packs.starter", Pack(100, "999")),
        "credits.packs.power-pack": ("credit_packs.power", Pack(500, "3999")),
        "credits.packs.enterprise-pack": ("credit_packs.enterprise", Pack(1000, "6999")),
        "credits.tool_costs": (
            "plans.toolbox-credits-auto.credits",
            Costs({"expensive-ai-tool": 5, "basic-tool": 1, "premium-analysis": 10}, recharge=(10, "power")),
        ),
    },
    "credits-per-thousand-rows": {
        "credits.packs.analyst-pack": ("credit_packs.data-analyst", Pack(1000, "999")),
        "credits.packs.professional": ("credit_packs.data-professional", Pack(5000, "3999")),
        "credits.packs.enterprise": ("credit_packs.data-enterprise", Pack(20000, "12999")),
        "credits.tool_costs": (
            "plans.data-credits.credits",
            Costs({"process-csv": 10, "generate-charts": 25, "ml-prediction": 50, "export-report": 15}),
        ),
        "credits.tool_costs.process-csv": ("tools.process-csv.quantity", Block("argument.rows", 1000)),
    },
    "credits-bonus-packs": {
        "credits.packs.small_pack": ("credit_packs.studio-small", Pack(100, "1000", bonus=10)),
        "credits.packs.medium_pack": ("credit_packs.studio-medium", Pack(500, "4500", bonus=75)),
        "credits.packs.large_pack": ("credit_packs.studio-large", Pack(1000, "8000", bonus=200)),
        "credits.tool_costs": (
            "plans.studio-credits.credits",
            Costs({"ai-image-generator": 5, "data-analysis": 3, "simple-calculator": 1, "file-converter": 2}, 1),
        ),
    },
    "credits-expiry-order": {
        "credits.packs.dated": ("credit_packs.studio-guest", Pack(10, "100", expires_after="30 days")),
        "credits.tool_costs": ("plans.studio-guest.credits", Costs(default=1)),
    },
    # Usage with a minimum
    "usage-based-three-tiers-minimum": {
        "meters.calls": (
            "plans.studio-metered.usage.calls",
            Units(0, ((1000, "2"), (10000, "1.5"), (INF, "1"))),
        ),
        "minimum_minor": ("plans.studio-metered.minimum", Least("500")),
    },
    # Freemium
    "freemium-free-tools": {
        "plans.free": ("plans.search-free", Plan("0", tools=("basic-search", "simple-lookup"))),
        "plans.free.limits.0": ("plans.search-free.usage.calls", Units(100, resets_on=1)),
        "plans.premium": (
            "plans.search-premium",
            Plan("999", features=("priority-support", "advanced-analytics"), tools=ALL),
        ),
    },
    "freemium-saas-tool": {
        "plans.free": ("plans.insights-free", Plan("0", tools=("basic-search", "simple-analysis"))),
        "plans.free.limits.0": ("plans.insights-free.limits.0", quota("calls", 50, resets_on=1)),
        "plans.pro": (
            "plans.insights-pro",
            Plan("1999", features=("advanced-analytics", "api-access", "priority-support"), tools=ALL),
        ),
    },
    "freemium-hour-day-month": {
        "plans.free": ("plans.assistant-free", Plan("0", tools=ALL)),
        "plans.free.limits.0": (
            "plans.assistant-free.limits.0",
            quota("calls", 100, upgrade_to="assistant-professional"),
        ),
        "plans.free.limits.1": (
            "plans.assistant-free.limits.1",
            Limit("calls", "day", 10, upgrade_to="assistant-professional"),
        ),
        "plans.free.limits.2": (
            "plans.assistant-free.limits.2",
            Limit("calls", "hour", 5, upgrade_to="assistant-professional"),
        ),
        "plans.free.limits.3": ("plans.assistant-free.limits.3", Limit("calls", "minute", 10, "rate")),
        "plans.professional": (
            "plans.assistant-professional",
            Plan("4900", features=("unlimited-basic-tools", "priority-support"), tools=ALL),
        ),
        "plans.professional.calls": ("plans.assistant-professional.usage.calls", Units(10000)),
    },
    "freemium-paid-overage": {
        "plans.free": ("plans.lookup-free", Plan("0", tools=("basic-search", "simple-calculator"))),
        "plans.free.limits.0": ("plans.lookup-free.limits.0", quota("calls", 100)),
        "plans.premium": ("plans.lookup-premium", Plan("999", tools=ALL)),
        "plans.premium.calls": ("plans.lookup-premium.usage.calls", Units(1000, one("10"))),
    },
    # Rules that are easily got wrong
    "control-volume-mode": {
        "meters.calls": ("plans.gateway-volume.usage.calls", Units(0, ((100, "10"), (INF, "8")), "volume")),
    },
    "control-zero-price-and-no-default": {
        "tool_prices": ("plans.toolbox-list.per_call", Calls({"free-tool": "0", "paid-tool": "10"}, minimum="25")),
    },
    "control-zero-decimal-currency": {
        "tool_prices": ("plans.gateway-japan.per_call", Calls(default="5", currency="jpy")),
    },
}
