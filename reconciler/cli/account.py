"""Which account a command works on: Stripe's by its key, or the embedded sandbox; never one in place of the other."""

import ipaddress
import os
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

import click

from reconciler.cli.files import read_bounded
from reconciler.cli.options import MEMORY, AccountOptions
from reconciler.diagnostics import UsageError
from reconciler.provider.gateway import Connection, check_key
from reconciler.provider.limiter import UNLIMITED
from reconciler.sandbox import Sandbox

KEYS = ("STRIPE_API_KEY", "STRIPE_SECRET_KEY")
BASE = "STRIPE_API_BASE"
SANDBOX_KEY = "sk_test_sandbox"
_SQLITE = b"SQLite format 3\0"
_LONGEST_KEY = 4096


def connect(options: AccountOptions, environ: Mapping[str, str] | None = None) -> Connection:
    """Return the connection that options and environment ask for; UsageError where they are incomplete or disagree."""
    environ = os.environ if environ is None else environ
    if options.sandbox is not None:
        if options.api_base:
            raise UsageError("E1020", "--sandbox and --api-base cannot be used together")
        return sandbox_connection(options.sandbox)
    key = find_key(environ)
    if key is None:
        raise UsageError(
            "E1021",
            "there is no Stripe key",
            remedy="Set STRIPE_API_KEY, or add --sandbox to use the embedded sandbox.",
        )
    base = options.api_base or environ.get(BASE) or None
    if base is not None:
        check_base(base, allowed=options.allow_custom_endpoint)
    return Connection(check_key(key), base=base and base.rstrip("/"))


def sandbox_connection(file: str) -> Connection:
    """Open the embedded sandbox in this process; state in a file, or in memory."""
    if file != MEMORY:
        check_database(Path(file))
    sandbox = Sandbox(file)
    context = click.get_current_context(silent=True)
    if context is not None:
        context.call_on_close(sandbox.close)
    return Connection(SANDBOX_KEY, transport=sandbox.http_client(), rates=UNLIMITED, simulated=True)


def find_key(environ: Mapping[str, str] | None = None) -> str | None:
    """Return the key of the environment, also from a file named by NAME_FILE; UsageError where two differ."""
    environ = os.environ if environ is None else environ
    found = {name: value.strip() for name in KEYS for value in [_value(name, environ)] if value}
    if len(set(found.values())) > 1:
        raise UsageError("E1022", f"{' and '.join(found)} are both set and differ", remedy="Unset one of them.")
    return next(iter(found.values()), None)


def _value(name: str, environ: Mapping[str, str]) -> str | None:
    file = environ.get(f"{name}_FILE")
    if not file:
        return environ.get(name)
    text = read_bounded(Path(file), _LONGEST_KEY).decode("ascii", "replace").strip()
    if environ.get(name, "").strip() not in ("", text):
        raise UsageError("E1022", f"{name} and {name}_FILE are both set and differ", remedy="Unset one of them.")
    return text


def check_base(base: str, *, allowed: bool) -> None:
    """Refuse a server that is not on this machine, unless allowed by name: the key is sent there."""
    parts = urlsplit(base)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.username is not None:
        raise UsageError("E1023", "the API base is not an address such as http://127.0.0.1:4242")
    if not allowed and not is_loopback(parts.hostname):
        raise UsageError(
            "E1024",
            f"the key would be sent to {parts.hostname}, which is not this machine",
            remedy="Add --allow-custom-endpoint if that is meant.",
        )


def is_loopback(host: str) -> bool:
    """Tell whether a host is this machine and nobody else can reach it."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def check_database(path: Path) -> None:
    """Refuse a file that is no sandbox, such as a plan file taken for the value of ``--sandbox``."""
    wrong = path.suffix in (".json", ".yaml", ".yml") or path.is_dir()
    if not wrong and path.exists():
        wrong = read_bounded(path, len(_SQLITE) - 1)[: len(_SQLITE)] not in (b"", _SQLITE)
    if wrong:
        raise UsageError(
            "E1025",
            f"{path} is not a sandbox database",
            remedy="Write --sandbox=FILE with the sandbox's own file, or put --sandbox last for one in memory.",
        )
