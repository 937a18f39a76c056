"""Seeding: the requests of a file as ``stripe fixtures`` takes it (https://docs.stripe.com/cli/fixtures), or an export.

A fixture names a request; later ones refer to its answer by ``${name:path.to.field|default}``, and to the environment
by ``${.env:NAME|default}``.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from reconciler.diagnostics import UsageError
from reconciler.sandbox.core import TEST_KEY, Sandbox
from reconciler.sandbox.snapshot import FORMAT
from reconciler.sandbox.version import API_VERSION
from reconciler.sandbox.wire import Obj, Request

TEMPLATE_VERSION = 0
_REFERENCE = re.compile(r"\$\{([^|}:]+):([^|}]+)(?:\|([^}]*))?\}")
_ENVIRONMENT = ".env"
_KNOWN = frozenset({"name", "path", "method", "params", "expected_error_type", "idempotency_key", "headers"})
_METHODS = ("GET", "POST", "DELETE")
_FIRST_ERROR = 400


@dataclass(frozen=True, slots=True)
class Seeded:
    """What seeding did: the names of the requests made, in order, and the values the file wants in the environment."""

    names: tuple[str, ...]
    env: Mapping[str, str]


def seed(sandbox: Sandbox, data: Any, *, key: str = TEST_KEY, environ: Mapping[str, str] | None = None) -> Seeded:
    """Make the requests of a fixtures file as the key's account, or put an export in the place of the state.

    A request that is refused, unless the file expects it, is a UsageError naming it; what came before it stays.
    """
    if isinstance(data, Mapping) and data.get("format") == FORMAT:
        sandbox.state.undump(data)
        return Seeded((), {})
    fixtures, env = _checked(data)
    answers: dict[str, Any] = {_ENVIRONMENT: dict(environ or {})}
    for fixture in fixtures:
        answers[fixture["name"]] = _made(sandbox, fixture, answers, key)
    return Seeded(
        tuple(fixture["name"] for fixture in fixtures),
        {name: _filled(text, answers, f"env {name}") for name, text in env.items()},
    )


def _checked(data: Any) -> tuple[list[Obj], Mapping[str, str]]:
    fixtures = data.get("fixtures") if isinstance(data, Mapping) else None
    if not isinstance(fixtures, list) or not all(isinstance(each, Mapping) for each in fixtures):
        raise _wrong("it has no list of fixtures")
    meta, env = data.get("_meta", {}), data.get("env", {})
    if not isinstance(meta, Mapping) or meta.get("template_version", TEMPLATE_VERSION) != TEMPLATE_VERSION:
        raise _wrong(f"its template_version is not {TEMPLATE_VERSION}")
    if not isinstance(env, Mapping) or not all(isinstance(value, str) for value in env.values()):
        raise _wrong("its env is not a mapping of texts")
    for number, fixture in enumerate(fixtures):
        _check(fixture, f"fixture {fixture.get('name', number)!r}")
    return fixtures, env


def _check(fixture: Mapping[str, Any], name: str) -> None:
    if unknown := sorted(fixture.keys() - _KNOWN):
        raise _wrong(f"{name} has {unknown[0]!r}, which the sandbox does not take")
    if not all(isinstance(fixture.get(field), str) for field in ("name", "path", "method")):
        raise _wrong(f"{name} needs a name, a path and a method")
    if fixture["method"].upper() not in _METHODS:
        raise _wrong(f"{name} has the method {fixture['method']!r}, not one of {', '.join(_METHODS)}")
    if not isinstance(fixture.get("params", {}), Mapping) or not isinstance(fixture.get("headers", {}), Mapping):
        raise _wrong(f"{name} has params or headers that are no mapping")


def _made(sandbox: Sandbox, fixture: Mapping[str, Any], answers: Mapping[str, Any], key: str) -> Any:
    """Make one request and return its answer."""
    name = fixture["name"]
    params = _resolved(fixture.get("params") or {}, answers, name)
    headers = {"Authorization": f"Bearer {key}", "Stripe-Version": API_VERSION}
    headers |= _resolved(fixture.get("headers") or {}, answers, name)
    if "idempotency_key" in fixture:
        headers["Idempotency-Key"] = _filled(fixture["idempotency_key"], answers, name)
    method, path = fixture["method"].upper(), _filled(fixture["path"], answers, name)
    body = b""
    if method != "POST":
        path = f"{path}?{urlencode(list(_flat(params)))}" if params else path
    elif path.startswith("/v2/"):
        headers["Content-Type"], body = "application/json", json.dumps(params).encode()
    else:
        body = urlencode(list(_flat(params))).encode()
    response = sandbox.dispatch(Request(method, path, headers, body))
    answer = json.loads(response.body)
    if response.status >= _FIRST_ERROR and answer["error"].get("type") != fixture.get("expected_error_type", ""):
        raise _wrong(f"fixture {name!r} was refused with {response.status}: {answer['error']['message']}")
    return answer


def _resolved(value: Any, answers: Mapping[str, Any], name: str) -> Any:
    """Return a value with its references filled in, at every depth."""
    if isinstance(value, Mapping):
        return {key: _resolved(item, answers, name) for key, item in value.items()}
    if isinstance(value, list):
        return [_resolved(item, answers, name) for item in value]
    return _filled(value, answers, name) if isinstance(value, str) else value


def _filled(text: str, answers: Mapping[str, Any], name: str) -> str:
    def value(match: re.Match[str]) -> str:
        found = _at(answers.get(match[1]), match[2])
        if found is None and match[3] is None:
            raise _wrong(f"{match[0]} in fixture {name!r} leads nowhere")
        return _plain(match[3] if found is None else found)

    return _REFERENCE.sub(value, text)


def _at(node: Any, path: str) -> Any:
    """Return what stands at ``data.0.id``; ``None`` where nothing does."""
    for part in path.split("."):
        if isinstance(node, Mapping):
            node = node.get(part)
        elif isinstance(node, list) and part.isdecimal() and int(part) < len(node):
            node = node[int(part)]
        else:
            return None
    return node


def _flat(value: Any, prefix: str = "") -> Iterator[tuple[str, str]]:
    """Yield the fields of a form: ``{"a": [{"b": 1}]}`` is ``a[0][b]=1``; a null is left out."""
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield from _flat(item, f"{prefix}[{key}]" if prefix else str(key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _flat(item, f"{prefix}[{index}]")
    elif value is not None:
        yield prefix, _plain(value)


def _plain(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _wrong(why: str) -> UsageError:
    return UsageError("E1213", f"the sandbox cannot be seeded with this file: {why}")
