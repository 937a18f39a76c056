"""Discounts that a schedule plans: looked at when they are planned, and redeemed when their phase begins.

Source: https://docs.stripe.com/billing/subscriptions/coupons (restrictions of promotion codes).
"""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from reconciler.sandbox.billing import discounts
from reconciler.sandbox.errors import ApiError
from reconciler.sandbox.objects.base import Call
from reconciler.sandbox.wire import Obj

_FORMS = ("coupon", "discount", "promotion_code")
#: More than any minimum: that of a code in the present phase is judged by the order it is for.
_ANY_AMOUNT = 1 << 62


class _RehearsedError(Exception):
    """Undoes a redemption that has only been tried."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Whose schedule discounts are planned in, what the schedule has ``known`` so far, and which phase they are for.

    A phase ``ahead``, which does not begin with the request, takes no codes with a minimum amount.
    """

    customer: Obj
    currency: str
    subscription: str | None = None
    known: Sequence[Obj] = ()
    ahead: bool = True


def planned(
    call: Call, given: Sequence[Mapping[str, Any]] | None, place: Place, param: str, *, has_amount: bool = False
) -> list[Obj]:
    """Return a ``discounts`` parameter as schedules show it, or refuse what could not be redeemed now.

    What the schedule has already may stay although it has ended since. ``has_amount`` says that the order these are
    for has an amount, as a subscription has and its items have not.
    """
    entries = [{form: entry.get(form) for form in _FORMS} for entry in given or ()]
    fresh = [entry for entry in entries if entry not in place.known]
    _rehearse(call, fresh, place, param, amount=_ANY_AMOUNT if has_amount and not place.ahead else None)
    return entries


def redeemable(call: Call, entries: Sequence[Obj], place: Place) -> list[Obj]:
    """Return those discounts of a phase that can be redeemed now that it begins, all where they are not skipped.

    A coupon may have been deleted or used up in between.
    """
    if not call.settings.lost_phase_discounts_are_skipped:
        return list(entries)
    kept: list[Obj] = []
    for entry in entries:
        with suppress(ApiError):
            _rehearse(call, [*kept, entry], place, "discounts", amount=None)
            kept.append(entry)
    return kept


def _rehearse(
    call: Call, entries: Sequence[Mapping[str, Any]], place: Place, param: str, *, amount: int | None
) -> None:
    """Redeem discounts and undo it, to learn whether that is refused."""
    with suppress(_RehearsedError), call.tx.attempt():
        discounts.attach(
            call,
            entries,
            customer=place.customer,
            currency=place.currency,
            amount=amount,
            param=param,
            subscription=place.subscription,
        )
        raise _RehearsedError
