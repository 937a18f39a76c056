"""Finding a page: the same objects as looking at all of them, whichever list is read; and seldom at all of them."""

import json
import sqlite3

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from reconciler.sandbox import Sandbox, walks
from reconciler.sandbox.search_query import parse
from reconciler.sandbox.store import END, EVERYTHING, START, Due, Window
from reconciler.sandbox.walks import ID, Range, moments

OWN = "acct_own"
FIELDS = st.fixed_dictionaries(
    {
        "created": st.integers(0, 3),
        "colour": st.sampled_from(["red", "blue"]),
        "size": st.sampled_from(["s", "m", "l"]),
        "due": st.none() | st.integers(0, 20),
        "paid": st.none() | st.integers(0, 20),
    }
)
TERMS = st.lists(
    st.sampled_from([("colour", "red"), ("colour", "blue"), ("size", "s"), ("size", "l"), ("colour", "none")]),
    max_size=2,
    unique=True,
)
RANGES = st.lists(
    st.builds(Range, st.sampled_from(["due", "paid"]), st.integers(0, 20), st.integers(0, 25)),
    max_size=2,
    unique_by=lambda each: each.field,
)
POSITIONS = st.tuples(st.integers(0, 4), st.integers(0, 40))
WINDOWS = st.builds(Window, st.integers(1, 6), st.just(START) | POSITIONS, st.just(END) | POSITIONS, st.booleans())


def terms_of(obj):
    """Return the terms an object is listed by."""
    return [("colour", obj["colour"]), ("size", obj["size"]), *moments(obj, ("due", "paid"))]


def stock(tx, objects, kind="thing"):
    """Store objects and return them as rows."""
    return [
        tx.insert(kind, {**obj, "id": f"{kind}_{number}"}, obj["created"], terms_of(obj))
        for number, obj in enumerate(objects)
    ]


def expected(rows, terms, ranges, window):
    """Return what a page has, by looking at every object."""
    matching = [
        row
        for row in rows
        if window.above < (row.created, row.seq) < window.below
        and all(term in {*terms_of(row.body), EVERYTHING} for term in terms)
        and all(row.body[each.field] is not None and each.low <= row.body[each.field] <= each.high for each in ranges)
    ]
    ordered = sorted(matching, key=lambda row: (row.created, row.seq), reverse=True)
    return ordered[-window.limit :] if window.from_oldest else ordered[: window.limit]


@settings(max_examples=50, deadline=None)
@given(objects=st.lists(FIELDS, max_size=40), asked=st.lists(st.tuples(TERMS, RANGES, WINDOWS), min_size=1, max_size=8))
@pytest.mark.parametrize("tried", [1, 4, 1000])
def test_a_page_is_what_looking_at_everything_finds(tried, objects, asked):
    """Any terms, ranges, bounds and either end, whether the page is found in the first round or in a later one."""
    with pytest.MonkeyPatch.context() as patch, Sandbox() as sandbox, sandbox._store.write(OWN) as tx:
        patch.setattr(walks, "_TRIED", tried)
        patch.setattr(walks, "_MORE", 2)
        rows = stock(tx, objects)
        stock(tx, objects, "decoy")
        for terms, ranges, window in asked:
            found = tx.pages("thing", [terms or [EVERYTHING]], window, ranges)
            assert found == expected(rows, terms, ranges, window), (terms, ranges, window)
            walked = list(tx.walk("thing", terms or [EVERYTHING], window))
            rest = Window(len(rows) + 1, window.above, window.below, window.from_oldest)
            whole = expected(rows, terms, (), rest)
            assert walked == (whole[::-1] if window.from_oldest else whole)


def test_choices_are_merged_and_an_id_is_looked_up(sandbox):
    """An object that two choices name is listed once; by its id an object is found alone, if it carries the rest."""
    objects = [{"created": n % 2, "colour": "red", "size": "sml"[n % 3], "due": None, "paid": None} for n in range(6)]
    with sandbox._store.write(OWN) as tx:
        rows = stock(tx, objects)
        found = tx.pages("thing", [[("colour", "red")], [("size", "s")], [("size", "m")]], Window(4))
        assert found == expected(rows, [], [], Window(4))
        assert tx.pages("thing", [[(ID, "thing_3")], [(ID, "thing_1")], [(ID, "no")]], Window(9)) == [rows[3], rows[1]]
        assert tx.page("thing", [(ID, "thing_3"), ("size", "s")], Window(9)) == [rows[3]]
        assert tx.page("thing", [(ID, "thing_3"), ("size", "m")], Window(9)) == []
        assert tx.page("decoy", [(ID, "thing_3")], Window(9)) == []


@pytest.fixture(scope="module")
def crowd():
    """Return a transaction on 20,000 red objects of which two are large, one of them due, and a meter of its work."""
    work = [0]

    def count():
        work[0] += 1

    with Sandbox() as sandbox, sandbox._store.write(OWN) as tx:
        for number in range(20_000):
            size = "l" if number in {5, 19_000} else "s"
            obj = {"id": f"o{number}", "colour": "red", "size": size, "due": 7 if number == 5 else None, "paid": number}
            tx.insert("thing", obj, number, terms_of(obj))
        tx._db.set_progress_handler(count, 100)
        yield tx, work
        tx._db.set_progress_handler(None, 0)


@pytest.mark.parametrize(
    ("terms", "ranges", "count"),
    [
        ([EVERYTHING], [], 10),
        ([("colour", "red"), ("size", "s")], [], 10),
        ([("colour", "red"), ("size", "l")], [], 2),
        ([("colour", "red"), ("size", "none")], [], 0),
        ([EVERYTHING], [Range("due", 0, 9)], 1),
        ([("colour", "red")], [Range("due", 8, 9)], 0),
        ([("colour", "red")], [Range("due", 0, 9), Range("paid", 0, 30_000)], 1),
        ([EVERYTHING], [Range("paid", 15_000, 30_000)], 10),
    ],
)
def test_a_page_costs_little_of_a_long_list(crowd, terms, ranges, count):
    """Filters that few objects meet, or many, are found with the work of some thousand objects, not of all.

    The work is the number of instructions of SQLite's machine, in hundreds; looking at every object takes 4,000.
    """
    tx, work = crowd
    work[0] = 0
    assert len(tx.pages("thing", [terms], Window(10), ranges)) == count
    assert work[0] < 1500, work
    work[0] = 0
    assert len(list(tx.walk("thing", [EVERYTHING], Window(100), [["%nothing of the kind%"]]))) == 0
    assert work[0] > 1500, work


def test_the_look_for_what_is_due_passes_over_what_waits(crowd):
    """Queues in which something is due are found among those in which 10,000 deliveries wait for later."""
    tx, work = crowd
    for number in range(10_000):
        tx.wait("delivery", number, Due(f"~{number % 3}", 1000 + number, 0))
    tx.wait("delivery", 10_000, Due("~1", 5, 0))
    tx.wait("delivery", 10_001, Due("", 5, 0))
    for up_to, queues in ((4, []), (5, ["~1"]), (1000, ["~0", "~1"]), (9999, ["~0", "~1", "~2"])):
        work[0] = 0
        assert tx.queues(up_to) == [(OWN, queue) for queue in queues]
        assert work[0] < 100


LETTERS = st.text("aiIkK\u0130\u0131\u212a\"'\\%_é{}:, \n", max_size=6)


@settings(max_examples=200, deadline=None)
@given(name=LETTERS, other=LETTERS, value=LETTERS, negated=st.booleans(), operator=st.sampled_from(":~"))
@example(name="xa\u0130", other="", value="xaI", negated=False, operator="~")
@example(name="xa\u0130", other="", value="xai", negated=False, operator="~")
@example(name="\u212a", other="k", value="K", negated=False, operator=":")
@example(name="\u212a", other="k", value="k", negated=False, operator=":")
def test_a_search_passes_over_nothing_that_it_would_find(name, other, value, negated, operator):
    """Whatever a query finds is like its patterns, in JSON and to SQLite, whatever the letters."""
    quoted = '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    field = "name" if operator == "~" else f'metadata["{other}"]' if '"' not in other and "\\" not in other else "name"
    if operator == "~" and len(value) < 3:
        return
    fields = {"name": "string", "metadata": "token"}
    database = sqlite3.connect(":memory:")
    for word in ("AND", "OR"):
        query = parse(f"{'-' * negated}{field}{operator}{quoted} {word} name:{quoted}", "things", fields, {})
        for obj in ({"name": name, "metadata": {other: name}}, {"name": value.upper(), "metadata": {other: value}}):
            likes = [
                any(database.execute("SELECT ? LIKE ?", (json.dumps(obj), pattern)).fetchone()[0] for pattern in group)
                for group in query.like()
            ]
            assert all(likes) or not query.holds(obj), (query, obj)
    database.close()
