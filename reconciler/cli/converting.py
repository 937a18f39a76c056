"""Turning files that teams have today into ``billing.d``: which format, the way there, what is said of the rest."""

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from reconciler.cli.account import SANDBOX_KEY
from reconciler.cli.files import read_bounded
from reconciler.cli.options import MEMORY
from reconciler.config.catalog import catalog_from_texts
from reconciler.config.convert.given import Given, read_json
from reconciler.config.convert.made import Made
from reconciler.config.convert.reserved import convert_reserved, is_reserved
from reconciler.config.convert.tier import convert_tier, is_tier
from reconciler.config.emit import emit
from reconciler.diagnostics import ConfigError, ReconcilerError, UsageError
from reconciler.planning.pull.files import LEFT_OUT
from reconciler.planning.pull.proof import pull
from reconciler.provider.gateway import Connection, Gateway
from reconciler.provider.limiter import UNLIMITED
from reconciler.provider.pull import read_account
from reconciler.sandbox import Sandbox
from reconciler.sandbox.seed import seed

LARGEST = 16 * 1024 * 1024
FORMATS = ("reserved", "tier", "fixtures")
_WRITERS: Mapping[str, Callable[[Any, Given, Made], None]] = {"reserved": convert_reserved, "tier": convert_tier}
#: Paths whose objects the files can say.
_CATALOGUE = frozenset("products prices coupons promotion_codes tax_rates billing/meters entitlements/features".split())


@dataclass(frozen=True)
class Converted:
    """The texts of the files by name, and what was not carried over, or in another way."""

    files: Mapping[str, str]
    notes: tuple[str, ...]


def convert(source: Path, form: str | None, namespace: str, ask: Callable[[], str | None] | None = None) -> Converted:
    """Convert a file; ConfigError or UsageError where it cannot be used as it is.

    ``ask`` is asked for the format where nothing tells it.
    """
    raw = read_bounded(source, LARGEST)
    if len(raw) > LARGEST:
        raise ReconcilerError("E1045", f"{source} is larger than {LARGEST} bytes", remedy="Split it.")
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ReconcilerError(
            "E1045", f"{source} is not UTF-8: byte {error.start}", remedy="Save it as UTF-8."
        ) from None
    data = read_json(text, source.name)
    chosen = form or detect(data) or (ask() if ask else None)
    if chosen not in FORMATS:
        raise UsageError(
            "E1046",
            f"nobody can tell what {source.name} is: neither a reserved.json, nor tier's pricing.json, nor fixtures",
            remedy=f"If it is one of them, say which with --format {'|'.join(FORMATS)}.",
        )
    if chosen == "fixtures":
        return _fixtures(data, source.name, namespace)
    given, made = Given(source.name), Made(namespace, source.name)
    _WRITERS[chosen](data, given, made)
    if given.problems:
        raise ConfigError(given.problems)
    return _checked(made.files(given.notes), tuple(given.notes))


def detect(data: Any) -> str | None:
    """Return the format that data looks like, None where it looks like none."""
    if isinstance(data, dict) and isinstance(data.get("fixtures"), list):
        return "fixtures"
    return "tier" if is_tier(data) else "reserved" if is_reserved(data) else None


def _fixtures(data: Any, name: str, namespace: str) -> Converted:
    """Make the requests in a sandbox of their own, and pull what is there then."""
    sandbox = Sandbox(MEMORY)
    try:
        seed(sandbox, _plain(data), environ=os.environ)
        connection = Connection(SANDBOX_KEY, transport=sandbox.http_client(), rates=UNLIMITED)
        pulled = pull(read_account(Gateway(connection, read_only=True)), namespace, imports=False, origin=name)
    finally:
        sandbox.close()
    notes = [each.words for each in pulled.draft.left.values()]
    notes += [f"{'.'.join(map(str, path))}: {text}" for path, texts in pulled.draft.comments.items() for text in texts]
    others = list(_no_part(data))
    files = dict(pulled.files)
    if others:
        before = files.get(LEFT_OUT) or emit({}, heading=["What these files do not say."])
        files[LEFT_OUT] = before + emit({}, footer=[f"- {each}." for each in others]).partition("\n")[2]
    return _checked(files, (*notes, *others))


def _no_part(data: Any) -> Iterator[str]:
    """Name every request whose object no file can say."""
    for index, each in enumerate(data["fixtures"]):
        path = str(each.get("path", "")).removeprefix("/v1/").strip("/")
        family = "/".join(path.split("/")[: 2 if path.startswith(("billing/", "entitlements/")) else 1])
        if family not in _CATALOGUE:
            yield f"$.fixtures[{index}]: {each.get('name')} ({family or 'no path'}) is no part of a catalogue"


def _plain(data: Any) -> Any:
    """Return JSON with numbers as requests hold them: decimals as text."""
    if isinstance(data, dict):
        return {name: _plain(value) for name, value in data.items()}
    if isinstance(data, list):
        return [_plain(value) for value in data]
    return data if data is None or isinstance(data, str | bool | int) else str(data)


def _checked(files: Mapping[str, str], notes: tuple[str, ...]) -> Converted:
    catalog, diagnostics = catalog_from_texts(files)
    if catalog is None:
        raise ConfigError(diagnostics)
    return Converted(files, notes)
