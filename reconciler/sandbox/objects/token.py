"""Tokens: a card on its way from a form, good for one use (https://docs.stripe.com/api/tokens)."""

from reconciler.sandbox.billing import methods
from reconciler.sandbox.errors import missing, not_modelled
from reconciler.sandbox.expand import visible
from reconciler.sandbox.objects import card
from reconciler.sandbox.objects.base import Call, Family, Route, retrieve
from reconciler.sandbox.wire import Obj

_TYPED = ("address_city", "address_country", "address_line1", "address_line2", "address_state", "address_zip", "name")


def _create(call: Call) -> Obj:
    given = call.params.get("card")
    if given is None:
        raise missing("card")
    if isinstance(given, str):
        raise not_modelled("tokens of connected accounts", "card")
    for name in ("exp_month", "exp_year"):
        methods.check_digits(given[name], f"card[{name}]")
    details = methods.typed(call, given)
    shown = visible(card.look(call, card.new_id(call), details))
    shown |= {name: given[name] for name in _TYPED if name in given} | {"currency": given.get("currency")}
    token = call.fill(FAMILY, call.new_id("tok_1", 23), card=shown, _number=details.card.number, _cvc=details.cvc)
    return call.insert(FAMILY, token).body


FAMILY = Family(
    kind="token",
    noun="token",
    missing_param="token",
    emits_events=False,
    template={
        "object": "token",
        "card": {},
        "client_ip": None,
        "created": 0,
        "livemode": False,
        "type": "card",
        "used": False,
        "_cvc": False,
        "_number": "",
    },
    routes=(
        Route(
            "POST",
            "/v1/tokens",
            "TokenCreateParams",
            _create,
            refused=frozenset({"account", "bank_account", "customer", "cvc_update", "person", "pii"}),
        ),
        Route("GET", "/v1/tokens/{id}", "TokenRetrieveParams", retrieve),
    ),
)
