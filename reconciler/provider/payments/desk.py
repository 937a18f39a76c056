"""Selling what the files say to a tenant: checkout sessions, payment links, the portal, and watching for a payment."""

import uuid
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any, TypeVar

from reconciler.config.catalog import Catalog
from reconciler.diagnostics import ProviderError
from reconciler.diagnostics.visible import quoted
from reconciler.provider.binding import check_account, check_mode
from reconciler.provider.customers import customers_of
from reconciler.provider.gateway import Answer, Connection, Gateway, RequestFailedError
from reconciler.provider.payments import links
from reconciler.provider.payments.availability import Availability, Health
from reconciler.provider.payments.errors import NotForSaleError, PageError, PaymentError, UnavailableError
from reconciler.provider.payments.hurry import Hurry, OutOfTimeError, Within, Writing, within
from reconciler.provider.payments.offer import Choice, Offer, offer_of
from reconciler.provider.payments.page import Page
from reconciler.provider.payments.shelf import CUSTOMER, purchase, shelf_of
from reconciler.provider.reads import Reader, refused
from reconciler.resources.mark import read_mark
from reconciler.resources.model import Values, digest

SESSIONS, PORTAL = "/v1/checkout/sessions", "/v1/billing_portal/sessions"
#: https://docs.stripe.com/api/checkout/sessions/create, "client_reference_id".
_REFERENCE_LENGTH = 200
#: Statuses of subscriptions that nobody has to be kept from paying beside.
_OVER = frozenset({"canceled", "incomplete", "incomplete_expired"})
_NEVER_BEGAN = _OVER - {"canceled"}
_SILENT = "E0905"
#: Another request with the same key is under way, such as one that was given up.
_IN_USE = "idempotency_key_in_use"
T = TypeVar("T")


class Payments:
    """Sells from one catalogue in one account; for any thread. Prices, amounts and customers are never the caller's.

    Every method raises NotForSaleError for what the files do not sell, UnavailableError where Stripe does not answer
    within 5 seconds, and PageError where a page was not made, or where nobody knows after 15 seconds whether it was:
    the same call with the same key finds it then and makes no second one.
    """

    def __init__(
        self, catalog: Catalog, connection: Connection, *, hurry: Hurry | None = None, within: Within = within
    ) -> None:
        check_mode(connection.mode, catalog.environment)
        self._catalog = catalog
        self._simulated = connection.simulated
        self._gateway = Gateway(connection)
        self._hurry = hurry or Hurry()
        self._within = within
        self._availability = Availability(self._gateway, clock=self._hurry.clock, within=within)

    def health(self) -> Health:
        """Return whether Stripe can be reached, asked at most every 30 seconds."""
        return self._availability.look()

    def checkout(
        self, tenant: str, choice: Choice, *, success_url: str, cancel_url: str | None = None, key: str | None = None
    ) -> Page:
        """Return a page on which a tenant buys; ``key`` makes repetitions find the same one for a day."""
        offer, key = offer_of(self._catalog, tenant, choice), key or uuid.uuid4().hex
        return self._run(
            lambda gateway: self._checkout(gateway, tenant, offer, (success_url, cancel_url), key),
            _again(f" with --key {key}"),
        )

    def link(self, tenant: str, choice: Choice) -> Page:
        """Return the address of the files' payment link for a choice, else one of the tenant's own, paid once.

        The tenant's own is made where there is none, and found again until it is paid.
        """
        offer = offer_of(self._catalog, tenant, choice)
        return self._run(lambda gateway: self._link(gateway, tenant, offer), _again())

    def declared_link(self, tenant: str, name: str) -> Page:
        """Return the address of a payment link of the files, for a tenant."""
        return self._run(lambda gateway: links.declared_link(self._sale(gateway, tenant), name), _again())

    def portal(self, tenant: str, *, return_url: str | None = None) -> Page:
        """Return a page on which a tenant looks after its subscription and cards, as the files' portal has it."""
        return self._run(lambda gateway: self._portal(gateway, tenant, return_url), "Run the same command again.")

    def _link(self, gateway: Gateway, tenant: str, offer: Offer) -> Page:
        customer = self._customer(gateway, tenant)
        if offer.every is not None:
            offer = self._unsubscribed(gateway, tenant, customer, offer)
        page = links.link_of(self._sale(gateway, tenant), offer)
        if customer is None:
            return page
        note = f"a payment link makes another customer beside {customer}; checkout does not"
        return page._replace(notes=(*page.notes, note))

    def _sale(self, gateway: Gateway, tenant: str) -> links.Sale:
        return links.Sale(gateway, self._catalog, tenant, self._simulated)

    def _run(self, work: Callable[[Gateway], T], again: str) -> T:
        """Do work against Stripe within the time there is, and say what it means where it fails."""
        hurry, writing = self._hurry.begun(), Writing()
        health = self._availability.look()
        if not health.available:
            raise UnavailableError(health.why)
        gateway = self._gateway.pressed(hurry).guarded(writing.may)

        def bound() -> T:
            check_account(gateway, self._catalog.environment)
            return work(gateway)

        try:
            result: T = self._within(hurry.ends - hurry.clock(), bound)
        except OutOfTimeError:
            self._availability.forget()
            why = f"no answer within {hurry.budget:g} s"
            raise (_unknown(why, again) if writing.give_up() else UnavailableError(why)) from None
        except RequestFailedError as error:
            raise self._failed(error, again, writing=writing.give_up()) from None
        except ProviderError as error:
            raise (UnavailableError(error.message) if error.code == _SILENT else error) from None
        return result

    def _failed(self, error: RequestFailedError, again: str, *, writing: bool) -> ProviderError:
        failure = error.failure
        if failure.unanswered:
            self._availability.forget()
        if not writing:
            return UnavailableError(failure.message) if failure.unanswered else refused(error, "the account")
        if failure.ambiguous or failure.code == _IN_USE:
            return _unknown(failure.message, again)
        request = f" (request {failure.request_id})" if failure.request_id else ""
        if failure.code == "idempotency_error":
            words = f"the key was used for something else{request}"
            return PageError("E1402", words, remedy="Use a key once for one purchase.", conflict=True)
        remedy = "Try again later." if failure.status == HTTPStatus.TOO_MANY_REQUESTS else None
        return PageError("E1402", f"Stripe refuses to make the page{request}: {failure.message}", remedy=remedy)

    def _customer(self, gateway: Gateway, tenant: str) -> str | None:
        found = customers_of(gateway, self._catalog.namespace, tenant)
        if len(found) > 1:
            raise PaymentError(
                "E1407",
                f"tenant {quoted(tenant)} is marked on several customers, {' and '.join(found)}",
                remedy="Remove the mark from all but one of them at Stripe.",
            )
        return found[0] if found else None

    def _checkout(self, gateway: Gateway, tenant: str, offer: Offer, urls: tuple[str, str | None], key: str) -> Page:
        customer = self._customer(gateway, tenant)
        if offer.every is not None:
            offer = self._unsubscribed(gateway, tenant, customer, offer)
        shelf = shelf_of(gateway, self._catalog, [line.address for line in offer.lines])
        params: dict[str, Any] = {
            "mode": "payment" if offer.every is None else "subscription",
            "line_items": [
                {"price": shelf.prices[line.address], **({} if line.quantity is None else {"quantity": line.quantity})}
                for line in offer.lines
            ],
            "success_url": urls[0],
            **({"cancel_url": urls[1]} if urls[1] else {}),
            **self._buyer(tenant, customer, once=offer.every is None),
            **self._discounts(gateway, offer),
            **purchase(self._catalog, tenant, offer),
        }
        if offer.tax_rates:
            rates = [self._id(gateway, "/v1/tax_rates", each) for each in offer.tax_rates]
            params["subscription_data"] = {**params["subscription_data"], "default_tax_rates": rates}
        body = self._made(gateway, SESSIONS, params, self._key("checkout", tenant, key))
        if body["status"] == "expired":
            raise PageError("E1404", f"the page of key {quoted(key)} has expired", remedy="Use another key.")
        return self._page(
            body, tenant, offer.sells, state=body["status"], customer=customer, key=key, notes=shelf.notes
        )

    def _buyer(self, tenant: str, customer: str | None, *, once: bool) -> Values:
        """Return who buys: the tenant's customer, else what a fulfilment finds the tenant by."""
        reference = {"client_reference_id": tenant} if len(tenant) <= _REFERENCE_LENGTH else {}
        if customer is not None:
            return {"customer": customer, **reference}
        known = self._catalog.file.tenants.get(tenant)
        email = {"customer_email": known.email} if known is not None and known.email else {}
        return {**reference, **email, **(CUSTOMER if once else {})}

    def _discounts(self, gateway: Gateway, offer: Offer) -> Values:
        if offer.coupon is None:
            return {}
        return {"discounts": [{"coupon": self._id(gateway, "/v1/coupons", offer.coupon, {})}]}

    def _id(self, gateway: Gateway, path: str, address: str, params: Mapping[str, str] | None = None) -> str:
        found = links.ours(gateway, self._catalog, path, address, params)
        if found is None:
            raise links.not_applied(address)
        return str(found["id"])

    def _unsubscribed(self, gateway: Gateway, tenant: str, customer: str | None, offer: Offer) -> Offer:
        """Refuse a second subscription to whoever has one of ours, or is about to get it: both would be billed.

        Whoever had one comes back without another trial; else nobody would ever have to pay.
        """
        listed = Reader(gateway).pages("/v1/subscriptions", {"customer": customer, "status": "all"}) if customer else ()
        ours = [each for each in listed if self._of_files(each)]
        for each in ours:
            if each["status"] not in _OVER:
                raise NotForSaleError(
                    "E1408",
                    f"tenant {quoted(tenant)} has a subscription already: {each['id']}, {each['status']}",
                    remedy="Change that one, for example in the portal: `reconciler portal`.",
                )
        known = self._catalog.file.tenants.get(tenant)
        if not ours and known is not None and known.subscription is not None:
            raise NotForSaleError(
                "E1408",
                f"the files declare a subscription of tenant {quoted(tenant)}, which an apply makes",
                remedy="Run `reconciler plan`, then `reconciler apply`.",
            )
        began = any(each["status"] not in _NEVER_BEGAN for each in ours)
        return offer._replace(trial_days=0) if began else offer

    def _of_files(self, subscription: Mapping[str, Any]) -> bool:
        marks = [read_mark(item["price"]["metadata"]) for item in subscription["items"]["data"]]
        return any(mark is not None and mark.namespace == self._catalog.namespace for mark in marks)

    def _portal(self, gateway: Gateway, tenant: str, return_url: str | None) -> Page:
        customer = self._customer(gateway, tenant)
        if customer is None:
            raise PaymentError(
                "E1409",
                f"tenant {quoted(tenant)} has no customer at Stripe",
                remedy="It has one once it has bought something and the purchase was fulfilled.",
            )
        configuration = links.ours(gateway, self._catalog, "/v1/billing_portal/configurations", "portal")
        params: dict[str, Any] = {"customer": customer}
        if configuration is not None:
            params["configuration"] = configuration["id"]
        elif self._catalog.file.portal is not None:
            raise links.not_applied("portal")
        if return_url is not None:
            params["return_url"] = return_url
        body = self._made(gateway, PORTAL, params, self._key("portal", tenant, uuid.uuid4().hex))
        return self._page(body, tenant, None, state="open", customer=customer)

    def _made(self, gateway: Gateway, path: str, params: Values, key: str) -> dict[str, Any]:
        """Create an object; what may be an old answer is read as it is now."""
        answer: Answer = gateway.post(path, params, key)
        again = path == SESSIONS and answer.replayed is not False
        return gateway.get(f"{path}/{answer.body['id']}") if again else answer.body

    def _key(self, what: str, tenant: str, key: str) -> str:
        """Return the key at Stripe: a caller's own means nothing for another tenant or namespace."""
        return f"reconciler-{digest([what, self._catalog.namespace, tenant, key])}"

    def _page(self, body: dict[str, Any], tenant: str, sells: str | None, **known: Any) -> Page:
        return Page(
            kind=body["object"],
            id=body["id"],
            url=body.get("url"),
            tenant=tenant,
            sells=sells,
            livemode=body["livemode"],
            simulated=self._simulated,
            expires_at=body.get("expires_at"),
            **known,
        )


def _again(how: str = "") -> str:
    return f"Run the same command again{how}: it finds the page if it was made."


def _unknown(why: str, again: str) -> PageError:
    """Return the error for a page of which nobody knows whether it was made."""
    return PageError("E1403", f"whether the page was made is not known: {why}", remedy=again, ambiguous=True)
