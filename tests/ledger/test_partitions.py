"""Every statement of a call touches the partition of its tenant alone: what lets the tables be spread over machines."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import psycopg
import pytest
from psycopg import sql

from reconciler.entitlements import Entitlements
from reconciler.ledger import postgres_sql
from reconciler.ledger.ledger import open_ledger
from reconciler.ledger.postgres_arrays import blobs, numbers, texts
from reconciler.ledger.postgres_link import Connection
from tests.entitlements.worlds import policy

from .databases import PARTITIONS, plain, schema
from .deeds import START, grant, hand_over, spend

TENANT = "acme"
HEAD = bytes(32)
#: The statements of check, consume, reserve, commit, grant, refund and balance, with what one tenant's call gives them.
OF_ONE_TENANT: Mapping[str, Sequence[Any] | Mapping[str, Any]] = {
    "CLOCK": (),
    "LOAD": (texts([TENANT]), blobs([HEAD])),
    "FIND": (texts([TENANT, TENANT]), texts(["k", "none"])),
    "ENTER": (
        texts([TENANT]), numbers([9]), numbers([START]), texts(["consume"]), texts(["new"]), texts([""]),
        texts(["[[],null]"]), blobs([HEAD]),
    ),
    "SAVE": (
        texts([TENANT]), numbers([9]), blobs([HEAD]), texts(["{}"]), numbers([1]), numbers([0]), numbers([None]),
        numbers([0]),
    ),
    "EXPORT": (texts([TENANT]), texts(["calls"]), numbers([7200]), numbers([9]), numbers([1])),
    "READ": (TENANT,),
    "BALANCE": (TENANT,),
    "ENTRY": (TENANT, "k"),
    "ENTRIES": (TENANT, 0, 10),
    "SETTLE": {
        "tenant": TENANT, "meter": "calls", "window": 3600, "seq": 3,
        "state": "sent", "due": 0, "error": "", "doubt": 0, "attempts": 1,
    },
    "CONFIRM": {
        "tenant": TENANT, "meter": "calls", "window": 3600, "seq": 3,
        "state": "sent", "due": 0, "error": "", "doubt": 0, "attempts": 1, "refused": 0,
    },
    "RECALL": {
        "tenant": TENANT, "meter": "calls", "window": 3600, "seq": 3,
        "state": "dead", "error": "", "attempts": 1, "refused": 0,
    },
}  # fmt: skip
#: Sweeps, claims and reports ask about every tenant; the lock of a claim touches no table.
OF_ALL = {"NAMES", "BALANCES", "DUE", "UNSENT", "CLAIMING", "CLAIM", "REVIVE", "EXPORTS"}
STATEMENTS = {
    name: value
    for name, value in vars(postgres_sql).items()
    if isinstance(value, str) and re.match(r"\s*(SELECT|INSERT|UPDATE|DELETE|WITH)\b", value)
}


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """Lend the address of a ledger in partitions, in which many tenants have entries and exports."""
    with schema(PARTITIONS) as found:
        ledger = open_ledger(found, "direct")
        names = [TENANT, *(f"tenant-{number}" for number in range(40))]
        ledger.store.transact([grant(name, "g", 100) for name in names])
        ledger.store.transact([spend(name, 1, "k") for name in names])
        ledger.store.transact([hand_over(name) for name in names])
        ledger.close()
        with psycopg.connect(plain(found), autocommit=True) as db:
            db.execute("ANALYZE")
        yield found


def test_every_statement_is_listed() -> None:
    """A statement of the store is either one tenant's, and proven so here, or named as asking about all."""
    assert set(STATEMENTS) == set(OF_ONE_TENANT) | OF_ALL


def run(db: psycopg.Connection, name: str, plan: str) -> tuple[set[str], set[str]]:
    """Run a statement as prepared and return the partitions its plan ran on, and those that were really touched."""
    values = OF_ONE_TENANT[name]
    parameters: list[Any] = []

    def numbered(match: re.Match[str]) -> str:
        parameters.append(values[match[1]] if isinstance(values, Mapping) else values[len(parameters)])
        return f"${len(parameters)}"

    statement = re.sub(r"%(?:\((\w+)\))?s", numbered, STATEMENTS[name])
    if "$1" in STATEMENTS[name]:
        parameters = list(values)
    db.execute(f"SET plan_cache_mode = {plan}")  # type: ignore[arg-type]
    db.execute(f"PREPARE one AS {statement}")  # type: ignore[arg-type]
    given = sql.SQL("({})").format(sql.SQL(", ").join(map(sql.Literal, parameters))) if parameters else sql.SQL("")
    explain = sql.SQL("EXPLAIN (ANALYZE, FORMAT JSON) EXECUTE one") + given
    (found,) = db.execute(explain).fetchone() or ([],)
    touched = db.execute("""
        SELECT relname FROM pg_stat_xact_user_tables WHERE relname ~ '_p[0-9]+$'
        AND coalesce(seq_scan, 0) + coalesce(idx_scan, 0) + n_tup_ins + n_tup_upd + n_tup_del > 0
    """)
    ran = {str(node["Relation Name"]) for node in _nodes(found) if "Relation Name" in node and node["Actual Loops"]}
    return {each for each in ran if re.search(r"_p\d+$", each)}, {row[0] for row in touched}


def _nodes(plan: Any) -> Iterator[Mapping[str, Any]]:
    if isinstance(plan, str):
        plan = json.loads(plan)
    for node in plan if isinstance(plan, list) else [plan]:
        yield node
        for key in ("Plan", "Plans"):
            yield from _nodes(node.get(key, []))


@pytest.mark.parametrize("plan", ["force_custom_plan", "force_generic_plan"])
@pytest.mark.parametrize("name", sorted(OF_ONE_TENANT))
def test_a_statement_touches_one_partition(url: str, name: str, plan: str) -> None:
    """Whatever plan is made, a statement about one tenant runs on that tenant's partition of its table and no other."""
    with psycopg.connect(plain(url)) as db:
        ran, touched = run(db, name, plan)
        db.rollback()
        (own,) = db.execute("SELECT tableoid::regclass::text FROM tenant WHERE tenant = %s", (TENANT,)).fetchone() or (
            "",
        )
    assert {each.rpartition("_")[2] for each in ran | touched} <= {own.rpartition("_")[2]}
    assert len(ran | touched) == (0 if name == "CLOCK" else 1)


def test_the_proof_sees_other_partitions(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A statement about all tenants is seen to run on every partition: the proof is no proof of everything."""
    monkeypatch.setitem(OF_ONE_TENANT, "BALANCES", ("", 100))  # type: ignore[misc]
    with psycopg.connect(plain(url)) as db:
        ran, touched = run(db, "BALANCES", "force_generic_plan")
    assert ran == touched == {f"tenant_p{number}" for number in range(PARTITIONS)}


def test_calls_use_those_statements_alone(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Checking, consuming, reserving, committing, granting, refunding and balances use no other statement."""
    used: list[Any] = []
    execute, exchange = Connection.execute, Connection.exchange

    def noted(self: Connection, query: Any, *args: Any, **options: Any) -> Any:
        used.append(query)
        return execute(self, query, *args, **options)

    def noted_all(self: Connection, *asked: Any) -> Any:
        used.extend(statement for statement, _ in asked)
        return exchange(self, *asked)

    world = policy("plans: {pro: {name: Pro, credits: {default: 2}}}\ntenants: {birch: {name: Birch, plan: pro}}")
    with Entitlements.open(world, url, mode="direct") as ent:
        monkeypatch.setattr(Connection, "execute", noted)
        monkeypatch.setattr(Connection, "exchange", noted_all)
        ent.grant("birch", 100, key="g")
        assert ent.check("birch", "search")
        assert ent.consume("birch", "search", key="k")
        with ent.reserve("birch", "search", quantity=3, key="r") as hold:
            assert hold.commit(2)
        assert ent.refund("birch", "k", key="back").restored == 2_000_000
        assert ent.balance("birch").credits == 96_000_000
    allowed = {STATEMENTS[name] for name in OF_ONE_TENANT} | {"BEGIN", "COMMIT", "ROLLBACK", postgres_sql.PLANNED}
    connecting = {each for each in used if "set_config" in each}
    assert set(used) - connecting <= allowed
