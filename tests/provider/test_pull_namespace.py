"""The namespace of pulled files: asked for, or made from the account's name."""

from typing import Any, cast

import pytest

from reconciler.planning.pull.draft import Account
from reconciler.provider.gateway import Gateway
from reconciler.provider.pull import choose_namespace

EMPTY = Account("acct_1", "test", (), {}, {})


class Named:
    """An account as Stripe answers it, and nothing else."""

    def __init__(self, answer: dict[str, Any]) -> None:
        self._answer = answer

    def get(self, path: str) -> dict[str, Any]:
        """Answer for the account alone."""
        assert path == "/v1/account"
        return self._answer


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ({"business_profile": {"name": "Acme Tools, Inc."}}, "acme-tools-inc"),
        ({"business_profile": {"name": None}, "settings": {"dashboard": {"display_name": "Globex"}}}, "globex"),
        ({"business_profile": {"name": "42"}, "settings": None}, "main"),
        ({"business_profile": {"name": "A very long name of a company indeed"}}, "a-very-long-name-of-a-company"),
        ({}, "main"),
    ],
)
def test_a_namespace_is_made_from_the_name_of_the_account(answer: dict[str, Any], expected: str) -> None:
    """The business name counts, then the dashboard's; what begins with no letter gives main."""
    assert choose_namespace(cast(Gateway, Named(answer)), EMPTY, None) == expected


def test_a_namespace_that_is_asked_for_counts() -> None:
    """Nothing is read where the namespace is said."""
    assert choose_namespace(cast(Gateway, Named({})), EMPTY, "chosen") == "chosen"
