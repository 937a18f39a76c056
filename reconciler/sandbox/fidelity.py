"""What the sandbox does of what Stripe has, read from the code: every route and parameter, and the routes it lacks.

The routes Stripe has are those of the installed SDK's service classes; the parameters of a route are those of its
parameter type.
"""

import importlib.util
import inspect
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from reconciler.sandbox.families import FAMILIES
from reconciler.sandbox.objects.base import Route, unmodelled
from reconciler.sandbox.params import schema
from reconciler.sandbox.settings import Settings
from reconciler.sandbox.version import API_VERSION

#: The SDK's service modules, as ``stripe`` names them, of every object the sandbox sets out to have.
SERVICES: Mapping[str, tuple[str, ...]] = {
    "Catalogue": (
        "product",
        "product_feature",
        "price",
        "billing/meter",
        "entitlements/feature",
        "coupon",
        "promotion_code",
        "tax_rate",
        "shipping_rate",
    ),
    "Usage and credits": (
        "billing/meter_event",
        "billing/meter_event_adjustment",
        "billing/meter_event_summary",
        "v2/billing/meter_event",
        "v2/billing/meter_event_adjustment",
        "v2/billing/meter_event_session",
        "v2/billing/meter_event_stream",
        "billing/credit_grant",
        "billing/credit_balance_summary",
        "billing/credit_balance_transaction",
        "billing/alert",
        "billing/feedback_option",
        "entitlements/active_entitlement",
    ),
    "Customers and payments": (
        "customer",
        "customer_balance_transaction",
        "customer_cash_balance",
        "customer_cash_balance_transaction",
        "customer_funding_instructions",
        "customer_payment_method",
        "customer_payment_source",
        "customer_tax_id",
        "payment_method",
        "payment_intent",
        "payment_intent_amount_details_line_item",
        "setup_intent",
        "charge",
        "refund",
        "dispute",
    ),
    "Subscriptions and invoices": (
        "subscription",
        "subscription_item",
        "subscription_schedule",
        "invoice",
        "invoice_item",
        "invoice_line_item",
        "invoice_payment",
        "credit_note",
        "credit_note_line_item",
        "credit_note_preview_lines",
    ),
    "Selling": (
        "payment_link",
        "payment_link_line_item",
        "checkout/session",
        "checkout/session_line_item",
        "billing_portal/configuration",
        "billing_portal/session",
    ),
    "Events and time": (
        "event",
        "webhook_endpoint",
        "v2/core/event",
        "v2/core/event_destination",
        "test_helpers/test_clock",
    ),
}
_REQUEST = re.compile(r'self\._request\(\s*"(\w+)",\s*"([^"]+)"')
_ID = re.compile(r"\{\w+\}")

#: A method and a path whose ids are written ``{}``.
Endpoint = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Entry:
    """One route of Stripe's, and what the sandbox does with it and with each of its parameters."""

    method: str
    path: str
    present: bool
    modelled: bool = False
    implemented: tuple[str, ...] = ()
    accepted: tuple[str, ...] = ()
    refused: tuple[str, ...] = ()


def entries() -> Mapping[str, tuple[Entry, ...]]:
    """Return every route of every service, under the service's name."""
    return {
        name: tuple(_entry(method, path) for method, path in _stripe_routes(name))
        for services in SERVICES.values()
        for name in services
    }


def missing() -> tuple[Entry, ...]:
    """Return the routes Stripe has for these objects and the sandbox answers with Stripe's unknown-URL error."""
    return tuple(entry for group in entries().values() for entry in group if not entry.present)


def statement() -> str:
    """Return the whole statement as Markdown."""
    found = entries()
    lines = [
        "# What the sandbox does of what Stripe has",
        "",
        f"API version {API_VERSION}. Generated from the code by `reconciler sandbox --fidelity`.",
        "",
        "- **implemented**: the parameter does what Stripe documents.",
        "- **accepted**: it is checked and kept, and shown where the object shows it; it has no other effect.",
        "- **refused**: a clear `sandbox_not_modelled` error that names the parameter, members inside a parameter too;",
        "  nothing is ever dropped silently.",
        "",
        "`expand`, `limit`, `starting_after` and `ending_before` are implemented wherever Stripe has them.",
        "",
    ]
    for title, services in SERVICES.items():
        lines += [f"## {title}", ""]
        for name in services:
            lines += [f"### {name.replace('_', ' ').replace('/', ': ')}", "", *_table(found[name]), ""]
    return "\n".join([*lines, *_open_points()])


def _open_points() -> Iterator[str]:
    """Name every belief about Stripe that no one has verified, as the settings' own source explains it."""
    yield "## Open points"
    yield ""
    yield "What nobody has verified about Stripe is a setting (`reconciler sandbox --set NAME=VALUE`), tried both"
    yield "ways in the tests. The default is the stricter or the better attested reading."
    yield ""
    yield "| setting | default | meaning |"
    yield "|---|---|---|"
    source = inspect.getsource(Settings)
    for comment, name in re.findall(r"((?:    #: .*\n(?:    #: .*\n)*))    (\w+): bool", source):
        meaning = " ".join(line.strip().removeprefix("#: ") for line in comment.strip().splitlines())
        yield f"| `{name}` | {str(getattr(Settings(), name)).lower()} | {meaning} |"
    yield ""


def _table(group: Iterable[Entry]) -> Iterator[str]:
    yield "| route | implemented | accepted | refused |"
    yield "|---|---|---|---|"
    for entry in group:
        route = f"`{entry.method} {entry.path}`"
        if not entry.present:
            yield f"| {route} | **missing** | | |"
        elif not entry.modelled:
            yield f"| {route} | | | the whole route |"
        else:
            yield f"| {route} | {_names(entry.implemented)} | {_names(entry.accepted)} | {_names(entry.refused)} |"


def _names(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


_EVERYWHERE = frozenset({"expand", "limit", "starting_after", "ending_before"})


def _entry(method: str, path: str) -> Entry:
    route = _own_routes().get((method, _ID.sub("{}", path)))
    if route is None:
        return Entry(method, path, present=False)
    if route.handler is unmodelled:
        return Entry(method, path, present=True)
    names = sorted(schema(route.params).members.keys() - _EVERYWHERE - route.refused - route.accepted)
    return Entry(
        method,
        path,
        present=True,
        modelled=True,
        implemented=tuple(names),
        accepted=tuple(sorted(route.accepted)),
        refused=tuple(sorted(route.refused)),
    )


@cache
def _own_routes() -> Mapping[Endpoint, Route]:
    return {
        (route.method, _ID.sub("{}", route.pattern)): route for family in FAMILIES.values() for route in family.routes
    }


@cache
def _stripe_routes(service: str) -> tuple[Endpoint, ...]:
    """Return method and path of every request a service class of the SDK can make."""
    found = importlib.util.find_spec("stripe")
    if found is None or found.origin is None:
        raise ModuleNotFoundError("stripe")
    folder, _, name = service.rpartition("/")
    source = Path(found.origin).parent.joinpath(folder, f"_{name}_service.py").read_text(encoding="utf-8")
    return tuple(dict.fromkeys((method.upper(), path) for method, path in _REQUEST.findall(source)))
