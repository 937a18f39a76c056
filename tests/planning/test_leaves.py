"""The single values in which a change's before and after differ."""

import pytest

from reconciler.planning.change import Action, Change, Reason, State
from reconciler.planning.leaves import leaves
from reconciler.resources import KINDS
from reconciler.resources.model import Json, Values

KIND = {kind.name: kind for kind in KINDS}


def told(kind: str, before: Values, after: Values) -> list[tuple[str, str | None, str | None]]:
    """Return what an update of one object tells."""
    change = Change(
        address="a",
        kind=KIND[kind],
        action=Action.UPDATE,
        reason=Reason.DRIFT,
        fields=(),
        before=State(before, {}),
        after=State(after, {}),
        id="x",
        fingerprint="f",
        source=None,
    )
    return [(leaf.name, leaf.before, leaf.after) for leaf in leaves(change)]


@pytest.mark.parametrize(
    ("kind", "field", "value", "shown"),
    [
        ("promotion_code", "active", False, ("active", "false", "true")),
        ("price", "tax_behavior", "exclusive", ("tax_behavior", '"exclusive"', '"unspecified"')),
    ],
)
def test_what_is_left_out_is_told_as_the_default_of_stripe(
    kind: str, field: str, value: Json, shown: tuple[str, str, str]
) -> None:
    """Canonical values leave a default out; a person is told the value that is or will be there, either way round."""
    rest: Values = {"nickname": "n"}
    assert told(kind, {**rest, field: value}, rest) == [shown]
    assert told(kind, rest, {**rest, field: value}) == [(shown[0], shown[2], shown[1])]


def test_what_has_no_default_is_told_as_absent() -> None:
    """The control: a field without a default is on one side alone."""
    assert told("price", {"lookup_key": "k"}, {"nickname": "n"}) == [
        ("nickname", None, '"n"'),
        ("lookup_key", '"k"', None),
    ]
