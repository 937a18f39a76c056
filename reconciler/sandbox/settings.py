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
    #: A thin event destination can ask for all events by ``*``, as a snapshot one can; off, it has to name each type.
    thin_destinations_take_all: bool = _billing(default=True)
    #: Search finds what is on a test clock; off, it leaves that out, as lists of customers do.
    search_finds_test_clock_objects: bool = _billing(default=True)
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
    #: What an invoice comes to in isk or a currency of three decimals, whose last digits must be 0 to be charged, is
    #: rounded to the nearest such amount, as it is in ugx; off, down. The customer's balance takes the difference.
    last_digits_round_to_nearest: bool = _billing(default=True)
    #: The flat fee of the first tier is billed when nothing was used; off, only tiers with units bill theirs.
    flat_amount_at_zero_usage: bool = _billing(default=True)
    #: An amount off several lines is rounded down on each and the largest takes the rest; off, what is left over goes
    #: to the largest remainders.
    amount_off_rest_to_largest: bool = _billing(default=True)
    #: An invoice of nothing, as a trial's first one, uses up a coupon that lasts for one invoice; off, it leaves it.
    free_invoice_uses_up_once: bool = _billing(default=True)
    #: A code for first transactions is refused after a payment that was only begun, or a trial; off, only after a
    #: successful payment or an invoice that is neither draft nor void.
    attempts_are_transactions: bool = _billing(default=True)
    #: A percentage off several lines is rounded on each; off, on their sum, which is then shared out.
    percent_off_rounds_per_line: bool = _billing(default=True)
    #: A tax is rounded on each line; off, on the invoice, and then shared out.
    tax_rounds_per_line: bool = _billing(default=True)
    #: An exclusive tax is computed on the amount without the line's inclusive taxes; off, on the amount with them.
    exclusive_tax_skips_inclusive: bool = _billing(default=True)
    #: Tax rates take nothing from customers who are ``exempt`` or ``reverse``; off, they pay like everyone.
    exempt_customers_pay_no_tax: bool = _billing(default=True)
    #: A failed automatic payment is tried again 3, 5 and 7 days after the attempt before; off, never.
    failed_payments_are_retried: bool = _billing(default=True)
    #: Deleting a draft invoice makes the invoice items that were pending before it pending again; off, they go with it.
    deleted_draft_frees_items: bool = _billing(default=True)
    #: All that is wrong with a meter event is a 400 at once; off, v1 takes the event and tells of it by a thin event
    #: only, and so does v2 of what its reference does not list.
    meter_events_checked_at_once: bool = _billing(default=True)
    #: Meter events take decimal values, as the guide says since 2026; off, whole numbers only, as it said before.
    decimal_usage: bool = _billing(default=True)
    #: The identifier of a meter event is unique among those of its event name; off, in the account.
    meter_identifier_per_event_name: bool = _billing(default=False)
    #: Cancelling an event that was not received in the last 24 hours is a 400; off, it has no effect.
    adjustments_checked_at_once: bool = _billing(default=True)
    #: Summaries of meter events are listed newest first, as most lists are; off, oldest first.
    summaries_newest_first: bool = _billing(default=True)
    #: Hours, days and whole ranges without an event have no summary; off, one of 0.
    summaries_skip_empty_windows: bool = _billing(default=True)
    #: Activating an alert lets it trigger again for customers it has triggered for.
    alert_activation_rearms: bool = _billing(default=False)
    #: A credit grant that was to become effective before now is refused.
    past_effective_at_refused: bool = _billing(default=True)
    #: A draft invoice shows the credits it would take now; off, only its finalization does (docs: billing-credits).
    drafts_show_credits: bool = _billing(default=False)
    #: A balance summary by scope counts the grants of that very scope; off, all that can pay for it.
    credit_summary_scope_exact: bool = _billing(default=True)
    #: A subscription that is past due keeps its entitlements until it is canceled.
    past_due_keeps_entitlements: bool = _billing(default=True)
    #: A subscription that was paused on request keeps its entitlements; its guide tells of changes on pause and resume.
    requested_pause_keeps_entitlements: bool = _billing(default=False)
    #: A subscription paused at the end of a trial keeps its entitlements (observed: stackoverflow.com/a/79385906).
    trial_end_pause_keeps_entitlements: bool = _billing(default=True)
    #: An unpaid subscription keeps its entitlements.
    unpaid_keeps_entitlements: bool = _billing(default=False)
    #: Deleting a customer cancels the payments they have still to authenticate or confirm; off, those only fail.
    customer_deletion_cancels_payments: bool = _billing(default=False)
    #: What a partial capture, a cancellation or an expiry gives back of a held charge is a refund; off, it leaves none.
    release_is_a_refund: bool = _billing(default=True)
    #: Attaching a payment method to the customer it is attached to already changes nothing; off, it is refused.
    attaching_again_is_no_change: bool = _billing(default=True)
    #: A completed checkout session that had nothing to pay today has ``payment_status=no_payment_required``; off,
    #: ``paid``.
    free_orders_need_no_payment: bool = _billing(default=True)
    #: A subscription has at most 20 items, as its parameters say; off, as many as wanted (raised in August 2026).
    twenty_subscription_items: bool = _billing(default=True)
    #: A new subscription has a thin event of its status, ``v1.customer.subscription.active``; off, a change of it only.
    new_subscription_tells_status: bool = _billing(default=True)
    #: No two items of a subscription can have the same price.
    unique_item_prices: bool = _billing(default=True)
    #: ``collection_method=send_invoice`` needs ``days_until_due`` on a subscription.
    send_invoice_needs_days_until_due: bool = _billing(default=True)
    #: A subscription whose retries are exhausted is canceled, the default of an account's settings.
    exhausted_retries_cancel: bool = _billing(default=True)
    #: A subscription whose retries are exhausted, and that is not canceled for it, is unpaid; off, it stays past due.
    exhausted_retries_mark_unpaid: bool = _billing(default=True)
    #: ``proration_behavior=none`` makes the present period of a backdated subscription free if it has begun before now;
    #: off, the rest of it is billed.
    free_backdating_spares_present_period: bool = _billing(default=True)
    #: Backdated time in classic mode is billed as full intervals from its start and a part of the next one; off, all of
    #: it as a multiple of the first one, the "imagined interval" of the documentation.
    backdated_time_in_full_intervals: bool = _billing(default=False)
    #: A coupon or code of a phase that can no longer be redeemed when the phase begins is left out; off, the phase is
    #: put off until it can.
    lost_phase_discounts_are_skipped: bool = _billing(default=True)
    #: A phase begins with prices that have been archived since it was planned; off, it waits until they are active.
    archived_phase_prices_are_used: bool = _billing(default=False)
    #: A schedule that ends with ``end_behavior=release`` is ``released``; off, ``completed``.
    finished_schedule_is_released: bool = _billing(default=True)

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
