"""From a merged tree to typed models: everything that does not have the form of the language, said in plain words.

The models accept or refuse; the JSON Schema then explains a refusal. What the models accept the schema accepts too
(a property test holds them together), so valid files, which are nearly all files, never pay for the slower of the two.
"""

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from functools import cache
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError as ModelError

from reconciler.config.merge import BY_ID, Merged
from reconciler.config.models import File, section
from reconciler.config.models.base import DATE, PLAIN_DECIMAL
from reconciler.config.schemas import Schema, whole_schema
from reconciler.config.source import Path_
from reconciler.config.words import (
    article,
    choice,
    count,
    did_you_mean,
    empty_value,
    foreign,
    place,
    pointer,
    shown,
    unknown_key,
    wrong_type,
)
from reconciler.diagnostics import Diagnostic
from reconciler.diagnostics.visible import quoted

if TYPE_CHECKING:
    from jsonschema import ValidationError

#: What an anyOf branch says when the value is of another kind altogether.
_KIND_KEYWORDS = {"type", "const", "enum"}
_DIGITS = re.compile(r"[0-9]{1,18}(\.[0-9]{1,18})?")


@dataclass(frozen=True)
class Structure:
    """What could be typed: all sound entries, the paths (section, or section and id) of the others, every problem."""

    file: File
    broken: frozenset[Path_]
    problems: tuple[Diagnostic, ...]


def check_structure(merged: Merged) -> Structure:
    """Type a merged tree; an entry that does not have the form is left out and its problems are reported."""
    empty: list[Path_] = []
    root = {section: _frozen(content, (section,), empty) for section, content in merged.root.items()}
    file, locations = _typed(root)
    if not locations and not empty:
        return Structure(file, frozenset(), ())
    refused = [_existing(merged, location) for location in locations]
    broken = frozenset(_entry(path) for path in [*empty, *refused])
    problems = [empty_value(path, merged.offending(path)) for path in empty]
    problems += _explain(merged, _only(root, broken), frozenset(empty))
    problems += [_unexplained(merged, path) for path in refused if not _covered(_entry(path), problems)]
    return Structure(_typed(_without(root, broken))[0], broken, tuple(problems))


def _frozen(value: Any, path: Path_, empty: list[Path_]) -> Any:
    """Return the value with tuples for lists, as the models hold them; note where nothing stands."""
    if isinstance(value, dict):
        return {key: _frozen(item, (*path, key), empty) for key, item in value.items()}
    if isinstance(value, list):
        return tuple(_frozen(item, (*path, index), empty) for index, item in enumerate(value))
    if value is None:
        empty.append(path)
    return value


def _typed(root: Mapping[str, Any]) -> tuple[File, list[Path_]]:
    """Type every section; return those that have the form, and the models' locations of what they refuse in others."""
    typed: dict[str, Any] = {}
    refused: list[Path_] = []
    for name, content in root.items():
        try:
            typed[name] = section(name).validate_python(content, strict=True, by_alias=True, by_name=False)
        except ModelError as refusal:
            refused += [(name, *error["loc"]) for error in refusal.errors(include_url=False)]
    return File.model_construct(**typed), refused


def _existing(merged: Merged, location: Path_) -> Path_:
    """Return the part of a model's location that is a path in the tree: the rest names branches and missing keys."""
    node: Any = merged.root
    path: Path_ = ()
    for part in location:
        inside = part in node if isinstance(node, dict) else isinstance(node, list) and isinstance(part, int)
        if inside:
            node, path = node[part], (*path, part)
    return path


def _entry(path: Path_) -> Path_:
    return path[:2] if path[0] in BY_ID else path[:1]


def _only(root: Mapping[str, Any], entries: Collection[Path_]) -> dict[str, Any]:
    return {
        section: _part(section, content, entries, keep=True)
        for section, content in root.items()
        if any(path[0] == section for path in entries)
    }


def _without(root: Mapping[str, Any], entries: Collection[Path_]) -> dict[str, Any]:
    return {
        section: _part(section, content, entries, keep=False)
        for section, content in root.items()
        if (section,) not in entries
    }


def _part(section: str, content: Any, entries: Collection[Path_], *, keep: bool) -> Any:
    if section not in BY_ID:
        return content
    return {name: entry for name, entry in content.items() if ((section, name) in entries) is keep}


def _covered(entry: Path_, problems: Iterable[Diagnostic]) -> bool:
    start = pointer(entry)
    return any(problem.path == start or problem.path.startswith(f"{start}/") for problem in problems)


def _unexplained(merged: Merged, path: Path_) -> Diagnostic:
    """Report what the models refuse and the schema does not: no such value is known, but none may pass unseen."""
    summary = f"{place(path)} has a form that is not accepted here"
    return Diagnostic(
        "E0205", summary, merged.offending(path), path=pointer(path), help="compare it with the examples in schemas/"
    )


# --- the schema's view ------------------------------------------------------------------------------------------------


def _explain(merged: Merged, root: Mapping[str, Any], empty: Collection[Path_]) -> Iterator[Diagnostic]:
    errors = [leaf for error in schema_errors(root) for leaf in _leaves(error)]
    wrong_kind = {tuple(error.absolute_path) for error in errors if error.validator in {"type", "anyOf"}}
    for error in errors:
        path = tuple(error.absolute_path)
        if path not in empty and (path not in wrong_kind or error.validator in {"type", "anyOf"}):
            yield from _translate(merged, path, error)


def schema_errors(root: Mapping[str, Any]) -> "Iterator[ValidationError]":
    """Validate a tree (tuples for lists, decimals for numbers with a point) against the schema of a file."""
    yield from _validator().iter_errors(root)


@cache
def _validator() -> Any:
    from jsonschema import Draft202012Validator, FormatChecker  # noqa: PLC0415  loaded only to explain a refusal
    from jsonschema.validators import extend  # noqa: PLC0415  loaded only to explain a refusal

    checker = Draft202012Validator.TYPE_CHECKER.redefine_many(
        {
            "array": lambda _checker, value: isinstance(value, list | tuple),
            "integer": lambda _checker, value: isinstance(value, int) and not isinstance(value, bool),
            "number": lambda _checker, value: isinstance(value, int | Decimal) and not isinstance(value, bool),
        }
    )
    keywords = {
        name: _also_quoted(Draft202012Validator.VALIDATORS[name]) for name in ("minimum", "maximum", "exclusiveMinimum")
    }
    formats = FormatChecker(formats=())
    formats.checks("instant")(_is_instant)
    build: Any = extend
    return build(Draft202012Validator, validators={**keywords, "pattern": _pattern}, type_checker=checker)(
        whole_schema(), format_checker=formats
    )


def _also_quoted(keyword: Any) -> Any:
    """Let a bound hold for a number in quotes too, where numbers may be quoted."""

    def check(validator: Any, bound: Any, instance: Any, schema: Schema) -> "Iterator[ValidationError]":
        quoted_number = isinstance(instance, str) and "number" in schema.get("type", ()) and _DIGITS.fullmatch(instance)
        yield from keyword(validator, bound, Decimal(instance) if quoted_number else instance, schema)

    return check


def _pattern(_validator: Any, pattern: str, instance: Any, _schema: Schema) -> "Iterator[ValidationError]":
    """Match as ECMA-262 does: ``$`` is the end, not a line feed before it."""
    if isinstance(instance, str) and not re.search(re.sub(r"\$$", r"\\Z", pattern), instance):
        from jsonschema import ValidationError  # noqa: PLC0415  loaded only to explain a refusal

        yield ValidationError("pattern")


def _is_instant(value: object) -> bool:
    try:
        return not isinstance(value, str) or not re.fullmatch(DATE, value) or bool(datetime.fromisoformat(value))
    except ValueError:
        return False


def _leaves(error: "ValidationError") -> "Iterator[ValidationError]":
    """Replace the failure of a choice by the failures inside the branch that was meant, where that is clear."""
    if error.validator != "anyOf":
        yield error
        return
    branches: dict[Any, list[ValidationError]] = {}
    for inner in error.context or ():
        branches.setdefault(inner.relative_schema_path[0], []).append(inner)
    meant = [
        errors
        for errors in branches.values()
        if not any(inner.validator in _KIND_KEYWORDS and not inner.relative_path for inner in errors)
    ]
    if len(meant) == 1:
        for inner in meant[0]:
            yield from _leaves(inner)
    else:
        yield error


def _translate(merged: Merged, path: Path_, error: "ValidationError") -> Iterator[Diagnostic]:
    schema: Any = error.schema
    value: Any = error.instance
    bound: Any = error.validator_value
    where, name = merged.offending(path), place(path)

    def problem(code: str, summary: str, remedy: str) -> Diagnostic:
        return Diagnostic(code, summary, where, path=pointer(path), help=remedy)

    match error.validator:
        case "type" | "anyOf":
            yield wrong_type(_expected(schema), value, path, where)
        case "additionalProperties":
            yield from _surplus(merged, path, schema, value)
        case "required":
            missing = [key for key in bound if key not in value]
            summary = f"{name} lacks {choice(map(quoted, missing), 'and')}"
            yield problem("E0202", summary, f"add {', '.join(f'{key}: …' for key in missing)}")
        case "enum" | "const":
            known = bound if error.validator == "enum" else [bound]
            summary = f"{name}: {quoted(str(value))} is not one of its values{did_you_mean(str(value), known)}"
            yield problem("E0204", summary, f"write {choice(known)}")
        case "pattern":
            summary = f"{name}: {quoted(value)} is not {article(schema['title'])}{_stranger(value, [bound])}"
            yield problem("E0205", summary, _with_point(value, bound) or _form(schema))
        case "format":
            yield problem("E0211", f"{name}: there is no day or time {quoted(value)}", "write a day of the calendar")
        case "minLength":
            yield problem("E0206", f"{name} is empty", "write a text, or remove the line")
        case "maxLength":
            summary = f"{name} has {len(value)} characters, more than {bound}"
            yield problem("E0206", summary, "shorten it")
        case "minimum" | "exclusiveMinimum" | "maximum":
            words = {"minimum": "at least", "exclusiveMinimum": "above", "maximum": "at most"}[error.validator]
            summary = f"{name} is {shown(value)}, it must be {words} {bound}"
            yield problem("E0207", summary, f"write a number of {words} {bound}".replace("of above", "above"))
        case "minItems":
            yield problem("E0208", f"{name} is an empty list", "add an item, or remove the line")
        case "maxItems" | "maxProperties":
            noun = "item" if error.validator == "maxItems" else "key"
            yield problem("E0208", f"{name} has {count(len(value), noun)}, more than {bound}", f"keep at most {bound}")


def _surplus(merged: Merged, path: Path_, schema: Schema, value: Mapping[str, Any]) -> Iterator[Diagnostic]:
    known = schema.get("properties", {})
    patterns = [re.compile(re.sub(r"\$$", r"\\Z", pattern)) for pattern in schema.get("patternProperties", ())]
    for key in value:
        if key in known or any(pattern.search(key) for pattern in patterns):
            continue
        here = (*path, key)
        if known:
            yield unknown_key(here, merged.keys.get(here), known)
            continue
        summary = f"{quoted(key)} cannot be a key of {place(path)}{_stranger(key, schema['patternProperties'])}"
        help_ = _form(schema.get("propertyNames", {}))
        yield Diagnostic("E0210", summary, merged.keys.get(here), path=pointer(here), help=help_)


def _stranger(text: str, patterns: Iterable[str]) -> str:
    """Name a character outside ASCII where the form knows ASCII only: it may look like a letter that is allowed."""
    return "" if any("[^" in pattern for pattern in patterns) else foreign(text)


def _with_point(text: str, pattern: str) -> str | None:
    """Say how a number with a decimal comma is written; nothing where three digits follow: 1,000 may be a thousand."""
    meant = pattern == PLAIN_DECIMAL and re.fullmatch(r"[0-9]+,(?![0-9]{3}$)[0-9]+", text)
    return f"a decimal comma is written as a point: {text.replace(',', '.')}" if meant else None


def _form(schema: Schema) -> str:
    """Say what a text looks like, in the words that editors show too."""
    says: str = schema["patternErrorMessage"]
    start = says[:1].lower() if says[1:2].islower() or says[1:2] == " " else says[:1]
    return start + says[1:].removesuffix(".")


def _expected(schema: Schema) -> str:
    """Name what a schema accepts, with its article: ``an amount``, ``a mapping or 'deny'``."""
    if "anyOf" in schema:
        return choice(dict.fromkeys(map(_expected, schema["anyOf"])))
    if "const" in schema:
        return quoted(str(schema["const"]))
    if "enum" in schema:
        return choice(schema["enum"])
    kind = schema.get("type", "object")
    if isinstance(kind, str) and kind in _KINDS:
        return _KINDS[kind]
    return article(schema["title"]) if "title" in schema else _SCALARS[kind]


_KINDS = {"object": "a mapping", "array": "a list", "boolean": "true or false"}
_SCALARS = {"integer": "a whole number", "string": "text"}
