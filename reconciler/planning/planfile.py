"""Reading a plan file back as untrusted input: shape, canonical bytes, digest, seal, and every value in it."""

import hmac
import json
from collections.abc import Iterable
from datetime import datetime
from itertools import pairwise
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from reconciler.diagnostics import PlanRefusedError
from reconciler.planning.change import Action, Change, Reason, State
from reconciler.planning.diff import Binding
from reconciler.planning.entitled import Entitlements
from reconciler.planning.movers import Migration, Mover, Stayer
from reconciler.planning.plan import FORMAT, REMEDY, Plan, Target, content_digest, document, seal
from reconciler.resources import BY_NAME
from reconciler.resources.model import canonical_json, references

MAX_BYTES = 64 * 1024 * 1024


class _Closed(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class _State(_Closed):
    values: dict[str, Any]
    metadata: dict[str, str]


class _Binding(_Closed):
    kind: str
    id: str
    fingerprint: str


class _Change(_Closed):
    address: str
    kind: str
    action: str
    reason: str
    fields: list[str]
    id: str | None
    fingerprint: str | None
    source: str | None
    named: bool
    policy: Literal["now", "now_prorated", "at_renewal"] | None
    before: _State | None
    after: _State | None


_Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class _Unknown(_Closed):
    known: Literal[False]
    policy_digest: _Sha256
    in_force: bool
    reason: str


class _Term(_Closed):
    address: str
    before: Any
    after: Any
    source: str


class _Outcome(_Closed):
    allowed: bool
    reason: str
    paid_by: str
    cost: Annotated[str, Field(pattern=r"^[0-9]{1,30}(\.[0-9]{1,30})?$")]
    unit: Annotated[str, Field(pattern=r"^(credit|[a-z]{3})?$")]


class _Call(_Closed):
    quantity: int
    counter: str
    used: int
    effect: Literal["refused", "dearer", "changed", "cheaper", "allowed"]
    before: _Outcome
    after: _Outcome


class _ToolCall(_Call):
    tool: str


class _MeterCall(_Call):
    meter: str


class _Group(_Closed):
    of: Annotated[list[str], Field(min_length=1)]
    tenants: list[str]
    calls: list[_ToolCall | _MeterCall]


class _Known(_Closed):
    known: Literal[True]
    policy_digest: _Sha256
    in_force: bool
    off_base: bool
    base: str
    base_digest: _Sha256
    counts: dict[str, int]
    terms: list[_Term]
    calls: list[_Group]


_Policy = Literal["at_renewal", "now", "now_prorated"]
_Currency = Annotated[str, Field(pattern=r"^[a-z]{3}$")]


class _Due(_Closed):
    interval: Literal["day", "week", "month", "year"]
    interval_count: Annotated[int, Field(ge=1)]


class _Mover(_Closed):
    subscription: str
    customer: str
    tenant: str | None
    policy: _Policy
    status: str
    currency: _Currency
    quantity: Annotated[int, Field(ge=0)] | None
    before: int | None
    after: int | None
    lines: list[int]
    was_due: _Due
    due: _Due
    period: Annotated[list[int], Field(min_length=2, max_length=2)]


class _Stayer(_Closed):
    subscription: str
    customer: str
    tenant: str | None
    reason: str


class _Migration(_Closed):
    address: str
    policy: _Policy
    predecessors: list[str]
    movers: list[_Mover]
    stayers: list[_Stayer]
    waiting: Annotated[int, Field(ge=0)]


class _Document(_Closed):
    format: Literal["reconciler.plan/1"]
    tool: str
    id: Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")]
    created: str
    expires: str
    account: str
    mode: Literal["test", "live"]
    api_version: str
    namespace: str
    environment: str | None
    config_digest: str
    live_digest: str
    changes: int
    counts: dict[str, int]
    unchanged: int
    currencies: list[_Currency]
    foreign: dict[str, int]
    subscribers: dict[str, Annotated[int, Field(ge=0)] | None]
    entitlements: _Unknown | _Known
    loosened: list[str]
    contracts: bool
    migrations: list[_Migration]
    bindings: dict[str, _Binding]
    actions: list[_Change]
    digest: str
    seal: str


def document_schema() -> dict[str, Any]:
    """Return the JSON Schema of a plan file as its models have it."""
    return _Document.model_json_schema()


def parse_plan(data: bytes, key: bytes | None = None) -> Plan:
    """Read a plan file; PlanRefusedError where anything about it is not exactly as it was written.

    With a key the seal must be an HMAC made with it; without one a sealed plan of either form must still be whole.
    """
    content = _load(data)
    _check_seal(content, key)
    try:
        parsed = _Document.model_validate(content)
        plan = _plan(parsed)
        _check_whole(plan)
    except (ValidationError, ValueError, KeyError) as error:
        raise PlanRefusedError(
            "E0803", f"the plan file does not have the form of a plan: {_first(error)}", remedy=REMEDY
        ) from None
    rebuilt = document(plan)
    if any(rebuilt[name] != content.get(name) for name in rebuilt):
        raise PlanRefusedError("E0803", "the plan file contradicts itself", remedy=REMEDY)
    return plan


def _load(data: bytes) -> dict[str, Any]:
    if len(data) > MAX_BYTES:
        raise PlanRefusedError("E0801", f"the plan file is larger than {MAX_BYTES} bytes", remedy=REMEDY)
    try:
        text = data.decode("ascii")
        content = json.loads(text, parse_float=_no_float, parse_constant=_no_float)
    except (ValueError, RecursionError):
        raise PlanRefusedError("E0801", "the file is not a plan", remedy=REMEDY) from None
    if not isinstance(content, dict):
        raise PlanRefusedError("E0801", "the file is not a plan", remedy=REMEDY)
    if content.get("format") != FORMAT:
        raise PlanRefusedError("E0802", f"this version reads plans of format {FORMAT} only", remedy=REMEDY)
    if canonical_json(content) + "\n" != text:
        raise PlanRefusedError("E0804", "the plan file was changed: its bytes are not in canonical form", remedy=REMEDY)
    return content


def _no_float(text: str) -> Any:
    raise ValueError(text)


def _check_seal(content: dict[str, Any], key: bytes | None) -> None:
    given = content.get("seal")
    if not isinstance(given, str):
        raise PlanRefusedError("E0804", "the plan file has no seal", remedy=REMEDY)
    if key is None and given.startswith("hmac-sha256:"):
        raise PlanRefusedError(
            "E0805",
            "the plan is sealed with a key and none is set",
            remedy="Set RECONCILER_PLAN_KEY to the key the plan was made with.",
        )
    if not hmac.compare_digest(given.encode(), seal(content, key).encode()):
        raise PlanRefusedError(
            "E0804", "the plan file was changed after it was made: its seal does not hold", remedy=REMEDY
        )
    if content.get("digest") != content_digest(content):
        raise PlanRefusedError(
            "E0804", "the plan file was changed after it was made: its digest does not hold", remedy=REMEDY
        )


def _plan(parsed: _Document) -> Plan:
    return Plan(
        id=parsed.id,
        created=_instant(parsed.created),
        expires=_instant(parsed.expires),
        target=Target(
            account=parsed.account,
            mode=parsed.mode,
            api_version=parsed.api_version,
            namespace=parsed.namespace,
            environment=parsed.environment,
            tool=parsed.tool,
        ),
        config_digest=parsed.config_digest,
        live_digest=parsed.live_digest,
        entitlements=_entitlements(parsed.entitlements),
        changes=tuple(_change(item) for item in parsed.actions),
        bindings={address: Binding(item.kind, item.id, item.fingerprint) for address, item in parsed.bindings.items()},
        foreign=parsed.foreign,
        unchanged=parsed.unchanged,
        currencies=tuple(parsed.currencies),
        subscribers=parsed.subscribers,
        loosened=tuple(parsed.loosened),
        contracts=parsed.contracts,
        migrations=_migrations(parsed.migrations),
    )


def _entitlements(half: _Unknown | _Known) -> Entitlements:
    if isinstance(half, _Unknown):
        return Entitlements(half.policy_digest, half.in_force)
    terms = [term.model_dump() for term in half.terms]
    calls = [group.model_dump() for group in half.calls]
    return Entitlements(
        half.policy_digest, half.in_force, half.off_base, half.base, half.base_digest, terms=terms, calls=calls
    )


def _instant(text: str) -> datetime:
    instant = datetime.fromisoformat(text)
    if instant.tzinfo is None:
        raise ValueError("an instant has no time zone")
    return instant


def _check_form(item: _Change) -> None:
    """Refuse a change that lacks what its action starts from or leads to, or names a field its kind does not have."""
    starts = item.action != Action.CREATE
    leads = item.action != Action.RETIRE
    given = (item.before is not None, item.id is not None, item.fingerprint is not None)
    if any(part is not starts for part in given) or (item.after is not None) is not leads:
        raise ValueError(f"{item.address} is not a whole {item.action}")
    known = {row.name for row in BY_NAME[item.kind].fields}
    for state in (item.before, item.after):
        if state is not None and not known.issuperset(state.values):
            raise ValueError(f"{item.address} has fields its kind does not have")


def _check_whole(plan: Plan) -> None:
    """Refuse changes out of order or twice, and references to what the plan neither makes nor relies on."""
    keys = [(change.address, change.id or "") for change in plan.changes]
    if any(later <= earlier for earlier, later in pairwise(keys)):
        raise ValueError("the changes are not in order, or one is there twice")
    known = plan.bindings.keys() | {change.address for change in plan.changes}
    states = [state for change in plan.changes for state in (change.before, change.after) if state is not None]
    unknown = {address for state in states for address in references(state.values)} - known
    if unknown:
        raise ValueError(f"it refers to {min(unknown)}, which is not in it")


def _change(item: _Change) -> Change:
    _check_form(item)
    return Change(
        address=item.address,
        kind=BY_NAME[item.kind],
        action=Action(item.action),
        reason=Reason(item.reason),
        fields=tuple(item.fields),
        before=_state(item.before),
        after=_state(item.after),
        id=item.id,
        fingerprint=item.fingerprint,
        source=item.source,
        named=item.named,
        policy=item.policy,
    )


def _migrations(forms: Iterable[_Migration]) -> tuple[Migration, ...]:
    return tuple(
        Migration(
            form.address,
            form.policy,
            tuple(form.predecessors),
            tuple(_read_mover(each) for each in form.movers),
            tuple(Stayer(**each.model_dump()) for each in form.stayers),
            form.waiting,
        )
        for form in forms
    )


def _read_mover(form: _Mover) -> Mover:
    lists = {"lines": tuple(form.lines), "period": (form.period[0], form.period[1])}
    return Mover(**{**form.model_dump(), **lists})


def _state(item: _State | None) -> State | None:
    return None if item is None else State(item.values, item.metadata)


def _first(error: Exception) -> str:
    if isinstance(error, ValidationError):
        first = error.errors()[0]
        return f"{'.'.join(str(part) for part in first['loc'])}: {first['msg']}"
    return str(error)
