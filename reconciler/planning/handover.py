"""Secrets that Stripe shows once, in the answer to a creation: which changes of a plan bring some. Pure."""

from collections.abc import Iterable

from reconciler.diagnostics import UsageError
from reconciler.planning.change import Action, Change


def handed_over(changes: Iterable[Change]) -> list[str]:
    """Return the addresses at which something is made whose secret is shown in the answer and never again."""
    makes = (Action.CREATE, Action.REPLACE)
    return [change.address for change in changes if change.kind.hands_over and change.action in makes]


def check_handover(changes: Iterable[Change]) -> None:
    """Refuse changes that bring a secret, where nobody said where it goes. Raises UsageError."""
    addresses = handed_over(changes)
    if addresses:
        raise UsageError(
            "E1048",
            "the plan makes webhook endpoints, and nobody said where their signing secrets go",
            remedy="Give --webhook-secrets=FILE: Stripe shows each secret once, and it is written there alone.",
            details=addresses,
        )
