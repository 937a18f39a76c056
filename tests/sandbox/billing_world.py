"""A customer on a test clock, and what tests of subscriptions do with one over and over."""

from calendar import monthrange
from datetime import UTC, datetime

HOUR, DAY = 3600, 86_400


def at(year, month, day, hour=0, minute=0, second=0):
    """Return the Unix time of a UTC date."""
    return int(datetime(year, month, day, hour, minute, second, tzinfo=UTC).timestamp())


def plus(start, interval, steps):
    """Return a time ``steps`` intervals later, the day cut to the month: an oracle of its own, by calendar."""
    if interval in {"day", "week"}:
        return start + steps * {"day": DAY, "week": 7 * DAY}[interval]
    moment = datetime.fromtimestamp(start, UTC)
    months = moment.year * 12 + moment.month - 1 + steps * {"month": 1, "year": 12}[interval]
    year, month = months // 12, months % 12 + 1
    day = min(moment.day, monthrange(year, month)[1])
    return int(moment.replace(year=year, month=month, day=day).timestamp())


class World:
    """One customer on one test clock, in one account."""

    def __init__(self, api, start, method="pm_card_visa"):
        self.api = api
        self.now = start
        self.clock = api.post("/v1/test_helpers/test_clocks", {"frozen_time": start})["id"]
        paying = {"payment_method": method, "invoice_settings": {"default_payment_method": method}} if method else {}
        self.customer = api.post("/v1/customers", {"test_clock": self.clock, **paying})["id"]
        self.product = api.product()["id"]

    def price(self, amount=1000, interval="month", count=1, **form):
        """Create a recurring price."""
        recurring = {"interval": interval, "interval_count": count, **form.pop("recurring", {})}
        forms = {"unit_amount": amount} if amount is not None else {}
        return self.api.post(
            "/v1/prices", {"product": self.product, "currency": "usd", "recurring": recurring, **forms, **form}
        )["id"]

    def metered(self, amount=10, event_name="calls", interval="month"):
        """Create a meter and a metered price of it."""
        meter = self.api.meter(event_name)["id"]
        return self.price(amount, interval, recurring={"usage_type": "metered", "meter": meter})

    def use(self, value, timestamp=None, event_name="calls"):
        """Report usage."""
        payload = {"stripe_customer_id": self.customer, "value": str(value)}
        self.api.post(
            "/v1/billing/meter_events",
            {"event_name": event_name, "payload": payload, "timestamp": timestamp or self.now},
        )

    def subscribe(self, *prices, **form):
        """Subscribe the customer to prices, ids or members of ``items``."""
        items = [{"price": price} if isinstance(price, str) else price for price in prices]
        return self.api.post("/v1/subscriptions", {"customer": self.customer, "items": items, **form})

    def refused(self, *prices, **form):
        """Return the refusal of a subscription."""
        items = [{"price": price} if isinstance(price, str) else price for price in prices]
        return self.api.refused("POST", "/v1/subscriptions", {"customer": self.customer, "items": items, **form})

    def get(self, subscription, **form):
        """Return a subscription as it is now."""
        return self.api.get(f"/v1/subscriptions/{subscription['id']}", form)

    def update(self, subscription, **form):
        """Update a subscription."""
        return self.api.post(f"/v1/subscriptions/{subscription['id']}", form)

    def advance(self, to, step=28 * DAY):
        """Advance the clock, a step at a time, and wait until it is ready."""
        while self.now < to:
            self.now = min(to, self.now + step)
            self.api.post(f"/v1/test_helpers/test_clocks/{self.clock}/advance", {"frozen_time": self.now})
            assert self.api.get(f"/v1/test_helpers/test_clocks/{self.clock}")["status"] == "ready"

    def invoices(self, **form):
        """Return the customer's invoices, oldest first."""
        return self.api.get("/v1/invoices", {"customer": self.customer, "limit": 100, **form})["data"][::-1]

    def lines(self):
        """Return all lines of the customer's invoices, oldest invoice first."""
        return [line for invoice in self.invoices() for line in invoice["lines"]["data"]]

    def pending(self):
        """Return the pending invoice items as amounts and periods, oldest first."""
        form = {"customer": self.customer, "pending": True, "limit": 100}
        return self.api.get("/v1/invoiceitems", form)["data"][::-1]

    def types(self, prefix):
        """Return the types of events that begin so, oldest first."""
        group = prefix.rpartition(".")[0] + ".*"
        return [event["type"] for event in self.api.events(type=group) if event["type"].startswith(prefix)]
