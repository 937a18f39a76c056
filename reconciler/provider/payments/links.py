"""Payment links for a tenant: one of the files, else one of its own that can be paid once.

A tenant's own link carries no owner mark, so no plan takes it for an object of the files. What it was made for stands
in its metadata, and until it is paid the same request finds it. Its idempotency key follows from the same facts and
from the links before it, so that two requests at once make one.
"""

import re
from collections.abc import Mapping
from typing import Any, NamedTuple
from urllib.parse import urlencode

from reconciler.config.catalog import Catalog
from reconciler.diagnostics.visible import quoted
from reconciler.provider.gateway import Gateway
from reconciler.provider.payments.errors import NotForSaleError, PaymentError
from reconciler.provider.payments.offer import Offer, declared
from reconciler.provider.payments.page import Page
from reconciler.provider.payments.shelf import CUSTOMER, purchase, shelf_of
from reconciler.provider.reads import Reader
from reconciler.resources.mark import read_mark
from reconciler.resources.model import digest

LINKS = "/v1/payment_links"
OFFER = "offer"
#: What Stripe takes from an address, anything else it drops without a word: https://docs.stripe.com/payment-links/url-parameters.
_REFERENCE = re.compile(r"[A-Za-z0-9_-]{1,200}")


class Sale(NamedTuple):
    """Who is sold to, from which files, in which account."""

    gateway: Gateway
    catalog: Catalog
    tenant: str
    simulated: bool


def link_of(sale: Sale, offer: Offer) -> Page:
    """Return the link that the files make for the tenant to sell an offer, else one of the tenant's own."""
    name = declared(sale.catalog.file, sale.tenant, offer)
    lost = [*([offer.coupon] if offer.coupon else []), *offer.tax_rates]
    notes = tuple(f"a payment link leaves {each} out; checkout does not" for each in lost)
    if name is not None:
        return declared_link(sale, name, offer.sells)._replace(notes=notes)
    page = _own(sale, offer)
    return page._replace(notes=(*page.notes, *notes))


def declared_link(sale: Sale, name: str, sells: str | None = None) -> Page:
    """Return a link of the files for a tenant; refused where it is another's, or where nobody would know who paid."""
    link = sale.catalog.file.payment_links.get(name)
    if link is None:
        raise NotForSaleError(
            "E1405", f"the files have no payment link {quoted(name)}", remedy="Name one of the files."
        )
    if link.tenant not in (None, sale.tenant):
        raise NotForSaleError(
            "E1405", f"payment link {quoted(name)} is made for another tenant", remedy="Name one of this tenant's."
        )
    if not _names(sale, name):
        raise NotForSaleError(
            "E1405",
            f"the name of tenant {quoted(sale.tenant)} cannot stand in the address of a payment link",
            remedy="Name --plan or --pack in place of the link, or use checkout.",
        )
    address = f"payment_links.{name}"
    live = ours(sale.gateway, sale.catalog, LINKS, address)
    if live is None:
        raise not_applied(address)
    return _page(sale, live, sells, declared=address)


def ours(
    gateway: Gateway, catalog: Catalog, path: str, address: str, params: Mapping[str, str] | None = None
) -> dict[str, Any] | None:
    """Return the object, an active one unless ``params`` say otherwise, that carries our mark of an address."""
    for each in Reader(gateway).pages(path, {"active": "true"} if params is None else params):
        mark = read_mark(each["metadata"])
        if mark is not None and (mark.namespace, mark.address) == (catalog.namespace, address):
            return each
    return None


def not_applied(address: str) -> PaymentError:
    """Return the error for what the files have and the account has not."""
    return PaymentError(
        "E1406", f"{address} is not at Stripe", remedy="Run `reconciler plan`, then `reconciler apply`."
    )


def _names(sale: Sale, name: str) -> bool:
    """Tell whether whoever pays by a link is known: it is the tenant's, or the address can say."""
    return sale.catalog.file.payment_links[name].tenant == sale.tenant or bool(_REFERENCE.fullmatch(sale.tenant))


def _own(sale: Sale, offer: Offer) -> Page:
    shelf = shelf_of(sale.gateway, sale.catalog, [line.address for line in offer.lines])
    lines = [{"price": shelf.prices[line.address], "quantity": line.quantity or 1} for line in offer.lines]
    params = purchase(sale.catalog, sale.tenant, offer)
    params["metadata"] = {**params["metadata"], OFFER: digest([offer.digest, lines], 16)}
    for each in Reader(sale.gateway).pages(LINKS, {"active": "true"}):
        if params["metadata"].items() <= each["metadata"].items():
            return _page(sale, each, offer.sells, notes=shelf.notes)
    params |= {"line_items": lines, "restrictions": {"completed_sessions": {"limit": 1}}}
    params |= CUSTOMER if offer.every is None else {}
    return _page(sale, _made(sale.gateway, params), offer.sells, notes=shelf.notes)


def _made(gateway: Gateway, params: dict[str, Any]) -> dict[str, Any]:
    """Create a link; where the key finds one that was paid since, the next in line."""
    before = ""
    while True:
        answer = gateway.post(LINKS, params, f"reconciler-{digest(['link', params, before])}")
        if answer.replayed is False:
            return answer.body
        live = gateway.get(f"{LINKS}/{answer.body['id']}")
        if live["active"]:
            return live
        before = live["id"]


def _page(sale: Sale, live: dict[str, Any], sells: str | None, **known: Any) -> Page:
    return Page(
        kind=live["object"],
        id=live["id"],
        url=_addressed(sale, live["url"]),
        tenant=sale.tenant,
        sells=sells,
        state="active",
        livemode=live["livemode"],
        simulated=sale.simulated,
        **known,
    )


def _addressed(sale: Sale, url: str) -> str:
    """Return the address with what the page is to know of the tenant."""
    tenant = sale.catalog.file.tenants.get(sale.tenant)
    given = {
        **({"client_reference_id": sale.tenant} if _REFERENCE.fullmatch(sale.tenant) else {}),
        **({"prefilled_email": tenant.email} if tenant is not None and tenant.email else {}),
    }
    return f"{url}{'&' if '?' in url else '?'}{urlencode(given)}" if given else url
