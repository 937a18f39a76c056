"""A person at the sandbox's pages: follows links, fills forms in as they stand on the page, presses buttons."""

from html.parser import HTMLParser
from urllib.parse import urlencode, urlsplit

from reconciler.sandbox import Request

#: What a person types for a card that is paid.
CARD = {"card_number": "4242 4242 4242 4242", "card_expiry": "12 / 34", "card_cvc": "123", "card_name": "Ann Example"}
DECLINED, CHALLENGED = "4000 0000 0000 0002", "4000 0027 6000 3184"


class _Reader(HTMLParser):
    """Forms with their fields, links, alerts and visible text of a page."""

    def __init__(self):
        super().__init__()
        self.forms, self.links, self.problems, self.words, self.labels = [], {}, [], [], set()
        self._link = self._select = None
        self._alert = self._item = False

    def handle_starttag(self, tag, attrs):
        given = dict(attrs)
        if tag == "form":
            self.forms.append({})
        elif tag in {"input", "select"} and self.forms:
            if given.get("type") != "checkbox":
                self.forms[-1][given["name"]] = given.get("value", "")
            self._select = given["name"] if tag == "select" else None
        elif tag == "option" and self._select and "selected" in given:
            self.forms[-1][self._select] = given["value"]
        elif tag == "a":
            self._link = given["href"]
        elif tag == "label":
            self.labels.add(given["for"])
        elif tag == "li" and self._alert:
            self._item = True
        self._alert = self._alert or given.get("role") == "alert"

    def handle_endtag(self, tag):
        if tag == "ul":
            self._alert = False
        self._item = self._item and tag != "li"
        self._link = None if tag == "a" else self._link

    def handle_data(self, data):
        self.words.append(data)
        if self._link:
            self.links[data] = self._link
        if self._item:
            self.problems.append(data)


class Person:
    """A browser without a socket, scripts or cookies."""

    def __init__(self, sandbox):
        self.sandbox = sandbox
        self.location = None
        self.status = None

    def _send(self, method, path, body=b""):
        reply = self.sandbox.dispatch(Request(method, path, {}, body))
        self.status, self.headers, self.html = reply.status, reply.headers, reply.body.decode()
        if reply.status == 303:
            self.location = reply.headers["location"]
            if not urlsplit(self.location).netloc or self.location.startswith(self.sandbox.base_url):
                return self.visit(self.location)
            return self
        assert reply.headers["content-type"].startswith("text/html"), self.html
        self.page = _Reader()
        self.page.feed(self.html)
        return self

    def visit(self, url):
        """Go to an address of the sandbox; redirects inside it are followed, others end in ``location``."""
        parts = urlsplit(url)
        self.path, self.location = parts.path, None
        return self._send("GET", f"{parts.path}?{parts.query}" if parts.query else parts.path)

    def press(self, do, /, **typed):
        """Send the form that does something with what is typed over what stands in it."""
        form = next(form for form in self.page.forms if form["do"] == do and form.items() >= _fixed(typed, form))
        self.location = None
        return self._send("POST", self.path, urlencode({**form, **typed}).encode())

    def pay(self, number=CARD["card_number"], **typed):
        """Fill the checkout form in and press its button."""
        return self.press("buy", **{"email": "ann@example.com", **CARD, "card_number": number, **typed})

    @property
    def text(self):
        """The words of the page."""
        return " ".join(" ".join(self.page.words).split())

    @property
    def problems(self):
        """What the page says is wrong."""
        return self.page.problems


def _fixed(typed, form):
    """Return those typed values that name which of several like forms is meant."""
    return {name: typed[name] for name in ("item", "subscription") if name in typed and name in form}.items()
