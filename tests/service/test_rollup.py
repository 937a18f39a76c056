"""Figures added up beside the books: the same in any portions, counted once by however many workers."""

import threading
from collections import Counter
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reconciler.entitlements import Entitlements
from reconciler.entitlements.daily import Figures, Key, Window, folded
from reconciler.entitlements.periods import instant
from reconciler.ledger.annex import AnnexStore
from reconciler.service.figures import rollup
from reconciler.service.figures.rollup import roll_up
from reconciler.service.figures.tables import prepared
from tests.entitlements.audit import entries_of
from tests.entitlements.diary import FILES, live, lives, relive
from tests.entitlements.worlds import HandClock, runtime
from tests.ledger.databases import database

TENANTS = ("acme", "other")


def store_of(ent: Entitlements) -> AnnexStore:
    """Return the store of a runtime, with the tables of figures."""
    store = ent.ledger.store
    assert isinstance(store, AnnexStore)
    return prepared(store)


def kept(store: AnnexStore, tenant: str) -> tuple[dict[Key, Figures], dict[Window, int]]:
    """Return what stands in the tables of a tenant, or of all."""
    days = store.ask("SELECT * FROM figure_day WHERE tenant = ?", (tenant,))
    windows = store.ask("SELECT meter, opened, units FROM figure_window WHERE tenant = ?", (tenant,))
    figures = {Key(*row[1:5]): Figures(*row[5:]) for row in days}
    return (
        {key: each for key, each in figures.items() if any(each)},
        {Window(meter, opened): units for meter, opened, units in windows if units},
    )


def monthly(store: AnnexStore, tenant: str) -> dict[int, tuple[int, int]]:
    """Return calls and credits by month as they stand in the tables."""
    rows = store.ask("SELECT month, calls, credits FROM figure_month WHERE tenant = ?", (tenant,))
    return {month: (calls, spent) for month, calls, spent in rows if calls or spent}


def by_month(figures: dict[Key, Figures]) -> dict[int, tuple[int, int]]:
    """Return calls and credits of figures by month, by the calendar of Python."""
    found: dict[int, tuple[int, int]] = {}
    for key, each in figures.items():
        day = instant(key.day * 86_400_000_000)
        month = (day.year - 1970) * 12 + day.month - 1
        calls, spent = found.get(month, (0, 0))
        found[month] = (calls + each.calls, spent + each.credits)
    return {month: sums for month, sums in found.items() if any(sums)}


def agrees(ent: Entitlements, store: AnnexStore, tenants: tuple[str, ...] = TENANTS) -> None:
    """Check that the tables have what all entries add up to, for each tenant and for all."""
    everyone: dict[Key, Figures] = {}
    for tenant in tenants:
        found = folded(entries_of(ent, tenant), partial(store.entry, tenant))
        assert kept(store, tenant) == (found.figures, found.windows)
        for key, each in found.figures.items():
            everyone[key] = everyone.get(key, Figures()).plus(each)
        assert monthly(store, tenant) == by_month(found.figures)
    assert kept(store, "")[0] == {key: each for key, each in everyone.items() if any(each)}


@settings(max_examples=25)
@given(lives=st.lists(lives, min_size=1, max_size=3), portion=st.integers(2, 7), together=st.integers(1, 20))
def test_any_portions_come_to_the_same(lives: list[Any], portion: int, together: int) -> None:
    """Whenever and in whatever portions entries are added up, the tables have what adding all at once gives."""
    clock = HandClock("2027-01-01T10:00:00")
    with runtime(FILES, clock) as ent, patch.multiple(rollup, _PORTION=portion, _TOGETHER=together):
        store, done = store_of(ent), 0
        for number, life in enumerate(lives):
            relive(ent, clock, life, TENANTS[number % 2])
            done += roll_up(store)
        agrees(ent, store)
        assert done == sum(store.read(tenant).seq for tenant in TENANTS)
        assert roll_up(store) == 0


@settings(max_examples=3, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(life=lives, portion=st.integers(2, 7))
def test_postgres_comes_to_the_same(life: list[Any], portion: int) -> None:
    """In PostgreSQL the tables have the same."""
    with database("postgres", Path()) as url, live(life, url) as ent, patch.object(rollup, "_PORTION", portion):
        store = store_of(ent)
        roll_up(store)
        agrees(ent, store)


def test_as_many_as_are_asked_for(url: str) -> None:
    """A round that may do a few entries stops after them, and the next goes on behind them."""
    with runtime(FILES, url=url) as ent, patch.object(rollup, "_PORTION", 4):
        for number in range(10):
            ent.grant("acme", 1, key=f"k{number}")
        store, rests = store_of(ent), list[int]()
        assert roll_up(store, 4, rests.append) == 4
        assert rests == [4]
        assert roll_up(store) == store.read("acme").seq - 4
        agrees(ent, store)


def test_what_was_counted_before_is_left_alone(url: str) -> None:
    """Portions that another worker has written meanwhile are not counted again, the others are."""
    with runtime(FILES, url=url) as ent:
        ent.grant("acme", 5, key="a")
        ent.grant("other", 5, key="b")
        store = store_of(ent)
        late = list(rollup._portions(store, 1 << 60))
        ent.grant("another", 7, key="c")
        late += [each for each in rollup._portions(store, 1 << 60) if each.tenant == "another"]
        assert rollup._written(store, late[:1]) > 0
        assert rollup._written(store, late) == sum(each.after for each in late[1:])
        agrees(ent, store, (*TENANTS, "another"))


@pytest.mark.parametrize("kind", ["file", "postgres"])
def test_many_workers_count_once(kind: str, tmp_path: Path) -> None:
    """Four workers that add up at the same time, while calls go on, count every entry once."""
    with database(kind, tmp_path) as url, runtime(FILES, url=url) as ent:
        ent.grant("acme", 1000, key="a")
        ent.grant("other", 1000, key="b")
        stores = [store_of(runtime(FILES, url=url)) for _ in range(4)]
        counted: Counter[int] = Counter()

        def work(number: int) -> None:
            for _ in range(6):
                counted[number] += roll_up(stores[number])

        with patch.multiple(rollup, _PORTION=3, _TOGETHER=5):
            threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
            for thread in threads:
                thread.start()
            for number in range(20):
                ent.consume(TENANTS[number % 2], "chat", key=f"k{number}")
            for thread in threads:
                thread.join()
        store = store_of(ent)
        counted[9] += roll_up(store)
        agrees(ent, store)
        assert counted.total() == sum(store.read(tenant).seq for tenant in TENANTS)
        for each in stores:
            each.close()
