"""What an account says otherwise than the last apply: edits, missing objects, second objects. Pure."""

from dataclasses import dataclass

from reconciler.planning.change import Action, Change, Reason
from reconciler.planning.plan import Plan

_EDITED = (Reason.DRIFT, Reason.BOTH, Reason.EITHER)


@dataclass(frozen=True, slots=True)
class Drift:
    """Changes of a plan that did not, or need not, come from the files alone; foreign objects are counted by kind."""

    edited: tuple[Change, ...]
    missing: tuple[Change, ...]
    strays: tuple[Change, ...]
    foreign: dict[str, int]

    @property
    def found(self) -> bool:
        """Tell whether anything has drifted."""
        return bool(self.edited or self.missing or self.strays)


def select_drift(plan: Plan) -> Drift:
    """Select what drifted: objects edited at Stripe, addresses without an object, and second objects of an address.

    There is no state file, so an address that was never applied cannot be told from one deleted at Stripe, nor, where
    Stripe gives an object no metadata, an edit of the files from one at Stripe. Both are shown.
    """
    return Drift(
        edited=tuple(each for each in plan.changes if each.reason in _EDITED),
        missing=tuple(each for each in plan.changes if each.action is Action.CREATE),
        strays=tuple(each for each in plan.changes if each.reason is Reason.STRAY),
        foreign=dict(plan.foreign),
    )
