"""Options that several commands share, handed to them in one piece."""

import functools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

Command = Callable[..., Any]
MEMORY = ":memory:"


@dataclass(frozen=True, slots=True)
class ConfigOptions:
    """Which files: the directory, None to look for one; the environment, None for the base alone."""

    directory: Path | None = None
    env: str | None = None


@dataclass(frozen=True, slots=True)
class AccountOptions:
    """Which account: Stripe's, a compatible server's, or the embedded sandbox's (a file, or ``:memory:``)."""

    sandbox: str | None = None
    api_base: str | None = None
    allow_custom_endpoint: bool = False


def config_options(function: Command) -> Command:
    """Add ``--config`` and ``--env``; the command takes ``config: ConfigOptions``."""

    @functools.wraps(function)
    def bundled(*args: Any, config: Path | None, env: str | None, **kwargs: Any) -> Any:
        return function(*args, config=ConfigOptions(config, env), **kwargs)

    return _with(
        bundled,
        click.option(
            "--config",
            type=click.Path(path_type=Path),
            metavar="DIR",
            help="Configuration directory; default RECONCILER_CONFIG, then the nearest billing.d upwards.",
        ),
        click.option("--env", metavar="NAME", help="Environment: its overlay, and the account it is bound to."),
    )


def account_options(function: Command) -> Command:
    """Add ``--sandbox``, ``--api-base``, ``--allow-custom-endpoint``; the command takes ``account: AccountOptions``."""

    @functools.wraps(function)
    def bundled(
        *args: Any, sandbox: str | None, api_base: str | None, allow_custom_endpoint: bool, **kwargs: Any
    ) -> Any:
        return function(*args, account=AccountOptions(sandbox, api_base, allow_custom_endpoint), **kwargs)

    return _with(
        bundled,
        click.option(
            "--sandbox",
            is_flag=False,
            flag_value=MEMORY,
            metavar="[FILE]",
            help="Use the embedded sandbox instead of Stripe; with FILE it keeps its state there.",
        ),
        click.option("--api-base", metavar="URL", help="Stripe-compatible server; default STRIPE_API_BASE."),
        click.option("--allow-custom-endpoint", is_flag=True, help="Allow an --api-base beyond this machine."),
    )


def format_option(*formats: str) -> Callable[[Command], Command]:
    """Add ``--format`` with these choices, the first by default; the command takes ``form: str``."""
    return click.option(
        "--format", "form", type=click.Choice(formats), default=formats[0], show_default=True, help="Form of stdout."
    )


refusal_exitcode = click.option("--exit-code", is_flag=True, help="Exit with 4 where the call is refused.")


def call_options(function: Command) -> Command:
    """Add the argument ``TOOL`` and ``--meter``, ``--quantity``, ``--units``: what a call is, and its numbers."""
    return _with(
        function,
        click.argument("tool", required=False),
        click.option("--meter", metavar="METER", help="Units of a meter directly, in place of TOOL."),
        click.option("--quantity", type=click.IntRange(0), default=1, show_default=True, help="Quantity of the call."),
        click.option("--units", multiple=True, metavar="METER=NUMBER", help="Units the call counts; repeatable."),
    )


detailed_exitcode = click.option(
    "--detailed-exitcode", "detailed", is_flag=True, help="Exit with 2 where there are changes."
)

base_option = click.option(
    "--base",
    metavar="REV",
    help="Compare how calls are decided with a git revision, a directory or a compiled policy.",
)

allow_option = click.option(
    "--allow",
    multiple=True,
    metavar="GUARD[:ADDRESS]",
    help="Allow once what a guard refuses, by the words it names; ADDRESS alone where one guard speaks for it.",
)


def _with(function: Command, *options: Callable[[Command], Command]) -> Command:
    for option in reversed(options):
        function = option(function)
    return function
