"""Written YAML is read back as the same values, looks as people write it, and fits the page."""

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler.config.catalog import catalog_from_texts
from reconciler.config.characters import hidden, invisible
from reconciler.config.emit import WIDTH, Plain, emit, scalar
from reconciler.config.layout import layout
from reconciler.config.source import load_text
from reconciler.diagnostics.redact import find_secrets

TRICKY = [
    "",
    " ",
    "yes",
    "NULL",
    "~",
    "010",
    "1e3",
    "12:30",
    "1_000",
    "2027-01-01",
    "- a",
    "a: b",
    "#",
    "<<",
    "=",
    "1.",
    "'",
]
texts = st.one_of(
    st.sampled_from(TRICKY), st.text(max_size=12), st.from_regex(r"[0-9a-z._:+-]{1,8}", fullmatch=True)
).filter(lambda text: not hidden(text) and not any(find_secrets(text)))
keys = texts.filter(lambda text: bool(text.strip()) and len(text) <= 100 and not invisible(text))
values = st.recursive(
    st.one_of(texts, st.booleans(), st.integers(0, 10**15)),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=3),
    max_leaves=12,
)


@settings(max_examples=50)
@given(st.dictionaries(keys, values, max_size=4))
def test_what_is_written_is_read_back(content: dict[str, Any]) -> None:
    """Any text, number, list and mapping comes back as it was."""
    document, problems = load_text(emit({"plans": content}), "billing.d/a.yaml")
    assert problems == []
    assert document is not None
    assert document.root == {"plans": content}


@settings(max_examples=50)
@given(texts)
def test_a_comment_is_never_more_than_a_comment(text: str) -> None:
    """Whatever a comment says, the file still holds what it held."""
    written = emit(
        {"plans": {"pro": {"name": "Pro"}}}, comments={("plans", "pro"): [text]}, heading=[text], footer=[text]
    )
    document, problems = load_text(written, "billing.d/a.yaml")
    assert (problems, document and document.root) == ([], {"plans": {"pro": {"name": "Pro"}}})


def test_it_looks_as_people_write_it() -> None:
    """Plain words stand without quotes, what is small stands on one line, maps of ids never do."""
    prices = {
        "monthly": {"amount": Plain("49.99"), "interval": "month"},
        "annual": {"amount": Plain("0"), "interval": "year"},
    }
    plan = {"name": "Pro (new)", "tools": ["*"], "prices": prices, "description": "yes"}
    assert emit(
        {"plans": {"pro": plan}}, comments={("plans", "pro", "prices", "annual"): ["Free for now."]}, depth=2
    ) == (
        "# yaml-language-server: $schema=../../schemas/billing.schema.json\n"
        "plans:\n"
        "  pro:\n"
        "    name: Pro (new)\n"
        '    tools: ["*"]\n'
        "    prices:\n"
        "      monthly: {amount: 49.99, interval: month}\n"
        "      # Free for now.\n"
        "      annual: {amount: 0, interval: year}\n"
        '    description: "yes"\n'
    )


def test_a_long_mapping_is_broken_into_lines() -> None:
    """What does not fit on a line of the page is written key by key."""
    pack = {"name": "A" * 60, "description": "B" * 60, "price": Plain("1.00")}
    lines = emit({"credit_packs": {"big": pack}}).splitlines()
    assert lines[3:] == [f"    name: {'A' * 60}", f"    description: {'B' * 60}", "    price: 1.00"]
    assert max(map(len, lines)) <= WIDTH


def test_dates_are_quoted_only_where_they_are_text() -> None:
    """A date that is meant stands plain; text that looks like one is quoted."""
    assert (scalar(Plain("2027-01-01")), scalar("2027-01-01")) == ("2027-01-01", '"2027-01-01"')


def test_very_many_plans_share_files() -> None:
    """A directory holds a limited number of files, so beyond some thousands a file has a hundred plans."""
    few = {"plans": {f"p{number}": {"name": "P"} for number in range(2000)}}
    many = {"plans": {f"p{number}": {"name": "P"} for number in range(2050)}}
    assert len(layout(few)) == 2000
    files = layout(many, footers={"plans.p101": ["Left out: something."]})
    assert len(files) == 21
    assert "# Left out: something." in files["plans/p100-and-99-more.yaml"]
    catalog, _ = catalog_from_texts({**files, "settings.yaml": "settings: {namespace: acme}\n"})
    assert catalog is not None
    assert len(catalog.file.plans) == 2050
