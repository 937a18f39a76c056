"""HTML out of plain values: everything is escaped unless it was made here. No script, one style sheet, no image."""

import base64
import hashlib
import html
from collections.abc import Iterable
from string import punctuation
from typing import Any
from urllib.parse import quote

from reconciler.sandbox.wire import Response

#: The characters of an address that stay as they are beside letters and digits.
ASCII = punctuation
_VOID = frozenset({"br", "hr", "input", "meta"})


class Html(str):
    """Text that is HTML already."""

    __slots__ = ()


Child = str | None


def tag(name: str, /, *children: Child, **attributes: Any) -> Html:
    """Return an element; text children are escaped, ``None`` is left out.

    Attribute names lose a trailing ``_`` and have ``-`` for ``_``; ``None`` and ``False`` leave one out, ``True`` is
    bare.
    """
    written = "".join(_attribute(key, value) for key, value in attributes.items())
    if name in _VOID:
        return Html(f"<{name}{written}>")
    return Html(f"<{name}{written}>{join(children)}</{name}>")


def _attribute(key: str, value: Any) -> str:
    if value is None or value is False:
        return ""
    name = key.removesuffix("_").replace("_", "-")
    return f" {name}" if value is True else f' {name}="{html.escape(str(value))}"'


def join(children: Iterable[Child]) -> Html:
    """Return the children one after the other, escaped where they are text."""
    return Html("".join(child if isinstance(child, Html) else html.escape(child) for child in children if child))


def document(title: str, *children: Child, status: int = 200) -> Response:
    """Return a whole page as a reply."""
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("title", f"{title} \u00b7 Test mode"),
        Html(f"<style>{STYLE}</style>"),
    )
    banner = tag(
        "p",
        tag("strong", "Test mode", class_="badge"),
        " This is a local sandbox: only test cards work, and no money moves.",
        class_="banner",
    )
    body = tag("body", banner, tag("main", *children))
    text = f"<!doctype html>{tag('html', head, body, lang='en')}"
    return Response(status, HEADERS, text.encode())


def redirect(url: str) -> Response:
    """Return a reply that sends the browser on with a GET; what a header cannot hold is percent-encoded."""
    return Response(303, {**HEADERS, "location": quote(url, safe=ASCII)}, b"")


def notice(title: str, text: str, *more: Child, status: int = 200) -> Response:
    """Return a page that says one thing."""
    return document(title, tag("section", tag("h1", title), tag("p", text), *more, class_="card notice"), status=status)


def problems(texts: Iterable[str]) -> Html:
    """Return the summary of what is wrong with a form, announced to screen readers; nothing if nothing is."""
    entries = [tag("li", text) for text in texts]
    if not entries:
        return Html("")
    heading = tag("h2", "There is a problem", id="problems")
    return tag("div", heading, tag("ul", *entries), class_="problems", role="alert", aria_labelledby="problems")


def field(label: str, name: str, /, *, hint: str | None = None, **attributes: Any) -> Html:
    """Return a labelled text input; ``hint`` is read out with it."""
    described = f"{name}-hint" if hint else None
    return tag(
        "div",
        tag("label", label, for_=name),
        tag("span", hint, id=described, class_="hint") if hint else None,
        tag("input", id=name, name=name, aria_describedby=described, **{"type": "text", **attributes}),
        class_="field",
    )


def choice(label: str, name: str, options: Iterable[tuple[str, str]], *, chosen: str | None, required: bool) -> Html:
    """Return a labelled list of (value, text) to choose one from."""
    entries = [tag("option", text, value=value, selected=value == chosen) for value, text in options]
    return tag(
        "div",
        tag("label", label, for_=name),
        tag("select", *entries, id=name, name=name, required=required),
        class_="field",
    )


def tick(label: Child, name: str, /, **attributes: Any) -> Html:
    """Return a labelled box to tick."""
    box = tag("input", type="checkbox", id=name, name=name, value="on", **attributes)
    return tag("div", box, tag("label", label, for_=name), class_="tick")


def form(token: str, do: str, *children: Child, **attributes: Any) -> Html:
    """Return a form that is posted to the page it stands on, with the page's token and what is to be done."""
    hidden = [tag("input", type="hidden", name=name, value=value) for name, value in (("token", token), ("do", do))]
    return tag("form", *hidden, *children, method="post", **attributes)


def button(label: str, /, **attributes: Any) -> Html:
    """Return the button that submits a form."""
    return tag("button", label, **{"type": "submit", **attributes})


def amounts(rows: Iterable[tuple[Child, Child, str | None]]) -> Html:
    """Return a table of names and amounts, the amounts aligned; the third value is a row's class."""
    written = [tag("tr", tag("th", name, scope="row"), tag("td", amount), class_=css) for name, amount, css in rows]
    return tag("table", tag("tbody", *written), class_="amounts")


STYLE = """
:root{color-scheme:light dark;--page:#f6f7f9;--card:#fff;--text:#1a1f36;--soft:#5b6478;--line:#d9dde5;
--accent:#3b5bdb;
--on-accent:#fff;--bad:#b3261e;--bad-soft:#fdecea;--test:#8a4b00;--test-soft:#fff1dc}
@media (prefers-color-scheme:dark){:root{--page:#12151c;--card:#1b202b;--text:#e8ebf2;--soft:#a3adc2;--line:#343c4d;
--accent:#91a7ff;--on-accent:#10142a;--bad:#ff9d94;--bad-soft:#3a1d1b;--test:#ffc078;--test-soft:#3a2a12}}
*{box-sizing:border-box}
body{margin:0;background:var(--page);color:var(--text);font:16px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,
"Helvetica Neue",Arial,sans-serif}
.banner{margin:0;padding:.5rem 1rem;background:var(--test-soft);color:var(--test);font-size:.875rem;text-align:center}
.badge{display:inline-block;padding:0 .5rem;border-radius:1rem;border:1px solid currentColor;font-size:.75rem;
letter-spacing:.04em;text-transform:uppercase;margin-right:.35rem}
main{max-width:62rem;margin:0 auto;padding:2rem 1rem 4rem}
.columns{display:grid;gap:2rem;grid-template-columns:1fr;align-items:start}
@media (min-width:52rem){.columns{grid-template-columns:1fr 1fr;gap:3.5rem}}
.card{background:var(--card);border:1px solid var(--line);border-radius:.75rem;padding:1.5rem;margin-bottom:1.25rem}
.notice{max-width:34rem;margin:3rem auto}
h1{font-size:1.35rem;line-height:1.3;margin:0 0 .25rem}h2{font-size:1.05rem;margin:0 0 .75rem}
.price{font-size:2.25rem;font-weight:650;letter-spacing:-.02em;line-height:1.2;margin:.25rem 0;
font-variant-numeric:tabular-nums}
.soft,.hint{color:var(--soft);font-size:.9rem}.hint{display:block}
p{margin:.5rem 0}ul.plain{list-style:none;margin:0;padding:0}ul.plain>li{padding:.75rem 0;
border-top:1px solid var(--line)}
ul.plain>li:first-child{border-top:0}
.narrow{max-width:40rem;margin:0 auto}h1+.soft,.code{margin-bottom:1rem}.code{margin-top:1.25rem}
table{width:100%;border-collapse:collapse}th,td{padding:.4rem 0;vertical-align:top}
th{text-align:left;font-weight:400;padding-right:1rem}td{text-align:right;font-variant-numeric:tabular-nums;
white-space:nowrap}
thead th{color:var(--soft);font-size:.85rem}thead th:not(:first-child){text-align:right;padding-right:0}
.amounts .total th,.amounts .total td{border-top:1px solid var(--line);font-weight:650;padding-top:.7rem}
.amounts .less td{color:var(--soft)}
.list{margin-bottom:2rem}.list td,.list thead th{text-align:left;white-space:normal;padding-right:1rem;
border-bottom:1px solid var(--line)}
.field{margin-bottom:1rem}label{display:block;font-weight:550;font-size:.925rem;margin-bottom:.25rem}
input:not([type=checkbox]):not([type=radio]):not([type=hidden]),select,textarea{width:100%;padding:.6rem .7rem;
font:inherit;
color:inherit;background:var(--card);border:1px solid var(--soft);border-radius:.45rem}
.tick{display:flex;gap:.6rem;align-items:baseline;margin-bottom:.75rem}.tick label{font-weight:400;margin:0}
.pair{display:grid;grid-template-columns:1fr 1fr;gap:1rem}
.inline{display:flex;gap:.5rem;align-items:end}.inline .field{margin:0;flex:1}
button,.button{display:inline-block;width:100%;padding:.7rem 1rem;border:0;border-radius:.45rem;
background:var(--accent);
color:var(--on-accent);font:inherit;font-weight:600;text-align:center;text-decoration:none;cursor:pointer}
.inline button{padding:.57rem 1rem}.inline button,button.quiet{width:auto;background:transparent;color:var(--accent);
border:1px solid var(--accent)}
button.bad{background:transparent;color:var(--bad);border:1px solid var(--bad)}
a{color:var(--accent)}:focus-visible{outline:3px solid var(--accent);outline-offset:2px}
.problems{border:2px solid var(--bad);background:var(--bad-soft);border-radius:.5rem;padding:1rem;
margin-bottom:1.25rem}
.problems h2{margin:0 0 .25rem;color:var(--bad)}.problems ul{margin:0;padding-left:1.2rem}
fieldset{border:0;padding:0;margin:0 0 1rem}legend{font-weight:650;padding:0;margin-bottom:.6rem}
details{margin-top:1rem}summary{cursor:pointer;font-weight:550}code{font-family:ui-monospace,monospace;font-size:.9em}
"""

_HASH = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
_POLICY = f"default-src 'none'; style-src 'sha256-{_HASH}'; base-uri 'none'; frame-ancestors 'none'"
#: The page may load nothing but its own style, be put in no frame, tell nobody its address and be kept nowhere.
HEADERS = {
    "cache-control": "no-store",
    "content-security-policy": _POLICY,
    "content-type": "text/html; charset=utf-8",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
}
