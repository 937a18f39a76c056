"""The comment on a pull request: whatever the size of a plan, it has room for what must not be missed."""

from hypothesis import given
from hypothesis import strategies as st

from reconciler.planning.change import Action
from reconciler.planning.guards import Refusal
from reconciler.planning.markdown import LIMIT, MARKER, render_markdown

from .test_guards import change, plan

LONG = "x" * 63


def address(action: Action, number: int) -> str:
    """Return an address of the greatest length that ids allow, in the order in which plans list addresses."""
    return f"plans.{'a' if action is Action.REPLACE else 'z'}{number:03}{LONG[4:]}.prices.{LONG}"


def test_retirements_come_before_replacements() -> None:
    """Where not every dangerous change fits, the 100 retirements stand there whole, and what is left out is counted."""
    kinds = [Action.REPLACE] * 400 + [Action.RETIRE] * 100
    changes = [change(action, address(action, number)) for number, action in enumerate(kinds)]
    refusals = [Refusal("protected", f"{each.address} is protected and would go", each.address) for each in changes]
    text = render_markdown(plan(*changes), refusals)
    shown = text.partition("<details>")[0]
    assert len(text) < LIMIT
    assert [each.address for each in changes[400:] if f"`{each.address}`" not in shown] == []
    assert shown.count("more, which the plan file lists") == 2


@given(
    st.lists(st.tuples(st.sampled_from(Action), st.integers(0, 3000)), max_size=40),
    st.integers(0, 60),
    st.sampled_from(["x", "`", "\n", "<b>", "\u202e", "😀"]),
)
def test_no_comment_is_too_long(wanted: list[tuple[Action, int]], refused: int, filling: str) -> None:
    """With addresses and messages of any length and kind the comment keeps its limit, its marker and its fold."""
    changes = [change(action, f"plans.p{length}{filling * length}") for action, length in wanted]
    refusals = [Refusal("protected", filling * 500, f"plans.p{number}") for number in range(refused)]
    text = render_markdown(plan(*changes), refusals)
    assert len(text) <= LIMIT
    assert text.startswith(MARKER)
    assert text.count(MARKER) == 1
    assert text.count("<details>") == text.count("\n</details>\n")
