"""Whether a key may be used for an environment: test and live never mix, and an account is the one that was named.

Checked before anything is read: the mode without any request, the account with ``GET /v1/account`` alone.
"""

from reconciler.config.models import Environment
from reconciler.diagnostics import PlanRefusedError
from reconciler.provider.gateway import Gateway
from reconciler.provider.reads import Reader


def check_mode(mode: str, environment: tuple[str, Environment] | None) -> None:
    """Refuse a live key without an environment that says so, and a key of the other mode than the environment's."""
    if environment is None:
        if mode == "live":
            raise PlanRefusedError(
                "E1010",
                "the key is a live key, and no environment was chosen",
                remedy="Choose one with --env NAME whose `environments:` entry says `mode: live`, or use a test key.",
            )
        return
    name, declared = environment
    if declared.mode != mode:
        raise PlanRefusedError(
            "E1011",
            f"environment {name} is for {declared.mode} mode and the key is a {mode} key",
            remedy=f"Use a {declared.mode} key, or change `environments.{name}.mode`.",
        )


def check_account(gateway: Gateway, environment: tuple[str, Environment] | None) -> None:
    """Refuse another account than the environment's; reads nothing where the environment names none."""
    if environment is None or environment[1].account is None:
        return
    name, declared = environment
    account = Reader(gateway).account()
    if account != declared.account:
        raise PlanRefusedError(
            "E1012",
            f"environment {name} is for account {declared.account}, and the key belongs to {account}",
            remedy=f"Use a key of {declared.account}, or change `environments.{name}.account`.",
        )
