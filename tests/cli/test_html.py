"""The HTML page of a plan: whole, closed, and the same facts as the other forms."""

import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from .support import SIMPLE, Shell, dashboard, write
from .test_render import AFTER, BEFORE, HOSTILE

VOID = {"meta", "rect", "br"}
ALLOWED = {
    *("html", "head", "meta", "title", "style", "body", "h1", "h2", "h3", "p", "ul", "li", "b", "svg", "rect"),
    *("code", "pre", "article", "span", "dl", "dt", "dd", "del", "ins"),
}
ATTRIBUTES = {
    *("lang", "charset", "name", "content", "http-equiv", "class", "aria-hidden", "aria-label", "role", "viewbox"),
    *("preserveaspectratio", "x", "y", "width", "height"),
}


class Page(HTMLParser):
    """A page taken apart: its text, and a failure for every tag, attribute or nesting that has no business in it."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.text = ""
        self.articles = 0
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Check a tag that begins."""
        assert tag in ALLOWED
        assert {name for name, _ in attrs} <= ATTRIBUTES
        self.articles += tag == "article"
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Check a tag that is empty."""
        assert tag in VOID
        self.handle_starttag(tag, attrs)

    def handle_endtag(self, tag: str) -> None:
        """Check that what ends is what was begun last."""
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        """Collect text outside the style."""
        if "style" not in self.open:
            self.text += data

    def handle_comment(self, data: str) -> None:
        """Find no comment."""
        raise AssertionError(data)


def test_a_plan_is_a_page(shell: Shell) -> None:
    """Every change, refusal and count of the plan stands on the page, which loads nothing and runs nothing."""
    shell.apply(BEFORE)
    Path("billing.d").rename("before")
    write(AFTER.replace("stripe_id: prod_gold, ", "") + "guards: {protected: ['plans.*']}\n")
    made = shell.stored("plan", "--format", "html", "--base", "before")
    document = json.loads(shell.stored("plan", "--format", "json", "--base", "before").out)
    page = Page(made.out)
    assert made.out.startswith("<!doctype html>\n")
    assert page.articles == document["changes"]
    for change in document["actions"]:
        assert change["address"] in page.text
    for refusal in document["refusals"]:
        assert f"--allow={refusal['allow']}" in page.text
    for fact in ("59.99 usd (5999)", "irreversible in Stripe", "Calls: 2 refused", document["digest"][:16]):
        assert fact in page.text
    assert not re.search(r"https?:|url\(|@import|javascript", made.out)
    assert "default-src 'none'" in made.out


def test_no_changes_are_a_page(shell: Shell) -> None:
    """A plan without changes says so, and has no bar of nothing."""
    shell.apply(SIMPLE)
    page = shell.stored("plan", "--format", "html").out
    assert "No changes. Stripe is as the files say." in Page(page).text
    assert "<svg" not in page


def test_hostile_text_is_inert_on_the_page(shell: Shell) -> None:
    """Markup of files and of Stripe is text; nothing in it becomes a tag, and nothing hidden stays hidden."""
    shell.apply(HOSTILE.replace("[red]", "old "))
    with dashboard() as sandbox:
        metadata = {"managed_by": "reconciler/acme", "address": "plans.\"><img src=x onerror=alert(1)>'\x1b[2J"}
        sandbox.client().v1.products.create({"name": "</code><script>alert(1)</script>\u202e", "metadata": metadata})
    write(HOSTILE)
    done = shell.stored("plan", "--format", "html")
    page = Page(done.out)
    assert "<script>alert(1)</script>" in page.text
    assert "[red]bold[/red]" in page.text
    assert not set(done.out) & {"\x1b", "\u202e"}


@pytest.mark.parametrize("form", ["html", "gitlab"])
def test_a_saved_plan_shows_the_same(shell: Shell, form: str) -> None:
    """What show writes of a plan file is what plan wrote when it made it."""
    write(SIMPLE)
    made = shell.stored("plan", "--out", "plan.json", "--format", form)
    assert shell("show", "plan.json", "--format", form).out == made.out != ""


def test_gitlab_gets_three_counts(shell: Shell) -> None:
    """The report for a merge request counts creations, updates and retirements, a replacement as two."""
    shell.apply(SIMPLE)
    write(SIMPLE.replace("49.99", "59.99").replace("name: Pro", "name: Max"))
    done = shell.stored("plan", "--format", "gitlab")
    assert json.loads(done.out) == {"create": 1, "update": 1, "delete": 1}
