"""A customer at hosted pages: looks at what a page asks, fills its form in, and presses its button."""

import urllib.error
import urllib.request
from html.parser import HTMLParser
from urllib.parse import urlencode

from reconciler.diagnostics import ReconcilerError

#: What a customer of Stripe's test mode types: https://docs.stripe.com/testing#cards.
CARD = {
    "email": "zoe@example.com",
    "card_number": "4242 4242 4242 4242",
    "card_expiry": "12 / 34",
    "card_cvc": "123",
    "card_name": "Zoe Example",
}
_SECONDS = 30
_PAYS = "buy"


def pay(url: str) -> str:
    """Buy what a page sells, going on from page to page; return the address that the purchase led back to.

    ReconcilerError where the pages do not lead to a payment.
    """
    page = _open(url)
    form = page.form("")
    if form is not None and "do" not in form:
        page = _open(page.url, form)
    form = page.form(_PAYS)
    if form is None:
        raise ReconcilerError("E1040", f"the page {page.url} sells nothing")
    known = {name: value for name, value in CARD.items() if name in form}
    return _open(page.url, form | known).url


class _Page(HTMLParser):
    """A page's forms, each with what stands in its fields."""

    def __init__(self, url: str, text: str) -> None:
        super().__init__()
        self.url = url
        self._forms: list[dict[str, str]] = []
        self.feed(text)

    def form(self, do: str) -> dict[str, str] | None:
        """Return the fields of the form that does something, the first where it is not said what."""
        return next((form for form in self._forms if not do or form.get("do") == do), None)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note a form or a field of one."""
        given = dict(attrs)
        if tag == "form":
            self._forms.append({})
        elif tag == "input" and self._forms and given.get("name") and given.get("type") != "checkbox":
            self._forms[-1][given["name"] or ""] = given.get("value") or ""


def _open(url: str, form: dict[str, str] | None = None) -> _Page:
    content = None if form is None else urlencode(form).encode()
    try:
        with urllib.request.urlopen(url, content, _SECONDS) as answer:  # noqa: S310  the demo's own servers
            return _Page(answer.url, answer.read().decode())
    except (OSError, UnicodeDecodeError) as error:
        raise ReconcilerError("E1040", f"the page {url} cannot be opened: {error}") from error
