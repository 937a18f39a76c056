"""Every belief about Stripe that no one has verified, as a switch: the loop's tests run with each one both ways."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from reconciler.diagnostics import UsageError

_WORDS = {"true": True, "1": True, "yes": True, "on": True, "false": False, "0": False, "no": False, "off": False}


def _billing(*, default: bool) -> Any:
    """Return a setting that no catalogue can feel: it concerns customers, subscriptions, invoices, usage or time."""
    return field(default=default, metadata={"concerns": "billing"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The unverified behaviour of Stripe; each default is the stricter or the better attested reading."""

    #: An archived price keeps its lookup key, so that creating another holder is refused; off, archiving frees it.
    archived_price_keeps_key: bool = True
    #: A replayed reply carries ``Idempotent-Replayed: true``.
    replay_header: bool = True
    #: A POST with a key is answered with ``original-request``, the request id of the first execution.
    original_request_header: bool = True
    #: The id of a deleted product or coupon can be created again.
    deleted_id_reusable: bool = True
    #: Expanded ``currency_options`` hold the base currency too.
    base_currency_in_options: bool = True
    #: A deactivated meter keeps its event name; off, deactivation frees it.
    inactive_meter_keeps_name: bool = True
    #: A feature can be attached to a product only once.
    unique_attachment: bool = True
    #: A product with attached features can be deleted, taking its attachments along.
    product_delete_with_features: bool = False
    #: An archived feature's lookup key can be used by a new feature.
    archived_feature_frees_key: bool = True
    #: ``GET /v1/prices`` without ``active`` lists active prices only, as its reference says; traffic shows all.
    unfiltered_prices_active_only: bool = False
    #: An unknown ``starting_after`` or ``ending_before`` is a 404; off, a 400.
    unknown_cursor_is_404: bool = False
    #: ``lookup_key=''`` on a price update frees the key; off, it is refused as a value that cannot be unset.
    blank_lookup_key_unsets: bool = False
    #: A currency option without ``tax_behavior`` takes the price's.
    option_inherits_tax_behavior: bool = False
    #: ``currency_options`` of an update are laid over the price's; off, they take their place.
    currency_options_merge: bool = True
    #: ``''`` on update unsets an optional text that the SDK types as plain text (stripe/stripe-java#852); off, it is
    #: refused as a value that cannot be unset.
    blank_text_unsets: bool = True
    #: Half a minor unit is rounded away from zero; off, to the even neighbour.
    halves_round_up: bool = _billing(default=True)
    #: The flat fee of the first tier is billed when nothing was used; off, only tiers with units bill theirs.
    flat_amount_at_zero_usage: bool = _billing(default=True)

    @classmethod
    def parse(cls, values: Mapping[str, str]) -> "Settings":
        """Build settings from ``name: "true"|"false"`` texts, as given on a command line; others keep their default."""
        names = [field.name for field in fields(cls)]
        for name, text in values.items():
            if name not in names:
                raise UsageError("E1201", f"no sandbox setting is called {name!r}", remedy=f"one of {', '.join(names)}")
            if text.lower() not in _WORDS:
                raise UsageError("E1202", f"sandbox setting {name} is true or false, not {text!r}")
        return cls(**{name: _WORDS[text.lower()] for name, text in values.items()})
