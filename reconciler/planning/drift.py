"""What an account says otherwise than the last apply: edited, archived, deleted, missing, second objects. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from reconciler.planning.applied import Applied
from reconciler.planning.change import Action, Change, Reason
from reconciler.planning.history import Happening, History
from reconciler.planning.live import Live
from reconciler.planning.plan import Plan

_EDITED = (Reason.DRIFT, Reason.BOTH, Reason.EITHER)
#: The longest that Stripe keeps events (https://docs.stripe.com/api/events).
_KEPT_SECONDS = 30 * 86_400


@dataclass(frozen=True)
class Drift:
    """Changes of a plan that did not, or need not, come from the files alone; foreign objects are counted by kind.

    ``missing`` were never applied or deleted, and nobody knows which; ``deleted`` were there at the last apply;
    ``unapplied`` were not, so they are no drift. ``happened`` is what is known of a change, by its address and id;
    ``applied`` what was last applied as a whole.
    """

    edited: tuple[Change, ...]
    archived: tuple[Change, ...]
    deleted: tuple[Change, ...]
    missing: tuple[Change, ...]
    strays: tuple[Change, ...]
    unapplied: tuple[Change, ...]
    foreign: Mapping[str, int]
    strangers: Sequence[Live] = ()
    happened: Mapping[tuple[str, str | None], Happening] = field(default_factory=dict)
    note: str | None = None
    applied: Applied | None = None

    @property
    def groups(self) -> dict[str, tuple[Change, ...]]:
        """The changes by what they are, in the order in which they are shown."""
        return {
            "edited": self.edited,
            "archived": self.archived,
            "deleted": self.deleted,
            "missing": self.missing,
            "strays": self.strays,
            "unapplied": self.unapplied,
        }

    @property
    def changes(self) -> list[Change]:
        """All that has drifted."""
        return [each for name, group in self.groups.items() if name != "unapplied" for each in group]

    @property
    def found(self) -> bool:
        """Tell whether anything has drifted."""
        return bool(self.changes)

    def of(self, change: Change) -> Happening | None:
        """Return what is known of how a change became necessary."""
        return self.happened.get((change.address, change.id))


def select_drift(
    plan: Plan, history: History | None = None, applied: Applied | None = None, strangers: Sequence[Live] = ()
) -> Drift:
    """Select what drifted and tell, as far as events and the record of the last apply go, how.

    Where Stripe gives an object no metadata, an edit of the files cannot be told from one at Stripe: both are shown.
    """
    history = history or History()
    applied_at = applied.instant.timestamp() if applied else 0.0
    happened = {
        (each.address, each.id): known
        for each in plan.changes
        if _is_drift(each) and (known := history.of(each, plan.target.namespace, applied_at)) is not None
    }
    edited = [each for each in plan.changes if each.reason in _EDITED]
    archived = [each for each in edited if _is_archived(each)]
    missing = [each for each in plan.changes if each.action is Action.CREATE]
    fates = [(each, _fate(each, plan, history, applied, happened)) for each in missing]
    return Drift(
        edited=tuple(each for each in edited if each not in archived),
        archived=(*archived, *(each for each, fate in fates if fate == "archived")),
        deleted=tuple(each for each, fate in fates if fate == "deleted"),
        missing=tuple(each for each, fate in fates if fate == "missing"),
        strays=tuple(each for each in plan.changes if each.reason is Reason.STRAY),
        unapplied=tuple(each for each, fate in fates if fate == "unapplied"),
        foreign=dict(plan.foreign),
        strangers=strangers,
        happened=happened,
        note=history.note,
        applied=applied,
    )


def is_explained(plan: Plan) -> bool:
    """Tell whether nothing of a plan can be drift, so that no history is needed."""
    return not any(map(_is_drift, plan.changes))


def _fate(
    change: Change,
    plan: Plan,
    history: History,
    applied: Applied | None,
    happened: Mapping[tuple[str, str | None], Happening],
) -> str:
    """Tell what became of an address without an object."""
    known = happened.get((change.address, change.id))
    if known is not None:
        return known.what
    if applied is None:
        return "missing"
    if applied.config_digest == plan.config_digest:
        return "deleted"
    instant = applied.instant.timestamp()
    covered = (
        history.since is not None and history.since <= instant and plan.created.timestamp() - instant < _KEPT_SECONDS
    )
    return "unapplied" if covered and _has_events(change) else "missing"


def _is_drift(change: Change) -> bool:
    return change.reason in (*_EDITED, Reason.STRAY) or change.action is Action.CREATE


def _is_archived(change: Change) -> bool:
    before, after = change.before, change.after
    return (
        before is not None
        and after is not None
        and before.values.get("active", True) is False
        and bool(after.values.get("active", True))
    )


def _has_events(change: Change) -> bool:
    return change.kind.parent is None and change.kind.name != "feature"


def strangers_text(strangers: Sequence[Live]) -> Iterator[tuple[str, str, str]]:
    """Yield kind, id and name of the objects of others, sorted."""
    for live in sorted(strangers, key=lambda each: (each.kind.name, each.id)):
        names = (live.values.get(name) for name in ("name", "nickname", "display_name", "code", "event_name"))
        yield live.kind.name, live.id, str(next(filter(None, names), ""))
