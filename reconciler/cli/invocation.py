"""The exact command to run next, with the options that lead to the same files and account."""

import shlex
from pathlib import Path

from reconciler.cli.options import AccountOptions, ConfigOptions


def same_target(
    command: str, config: ConfigOptions, account: AccountOptions, planfile: Path | None = None, *more: str
) -> str:
    """Write a command line for a shell, ``more`` words at its end."""
    words = ["reconciler", command, *([str(planfile)] if planfile else [])]
    words += ["--config", str(config.directory)] if config.directory else []
    words += ["--env", config.env] if config.env else []
    words += [f"--sandbox={account.sandbox}"] if account.sandbox else []
    words += ["--api-base", account.api_base] if account.api_base else []
    words += ["--allow-custom-endpoint"] if account.allow_custom_endpoint else []
    return shlex.join([*words, *more])
