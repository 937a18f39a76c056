"""What selling returns: an address at Stripe for one tenant, and what is known of it."""

from typing import Any, NamedTuple


class Page(NamedTuple):
    """A checkout session, a payment link or a portal session; no ``url`` where there is nothing to open any more.

    ``state`` is Stripe's word for a session, ``active`` for a link. ``key`` finds the same page again for a day;
    ``declared`` is the address of a link of the files. ``simulated`` says that the sandbox was chosen: nothing is paid.
    """

    kind: str
    id: str
    url: str | None
    tenant: str
    sells: str | None
    state: str
    livemode: bool
    simulated: bool
    customer: str | None = None
    expires_at: int | None = None
    key: str | None = None
    declared: str | None = None
    notes: tuple[str, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return {**self._asdict(), "notes": list(self.notes)}
