"""JSON Schemas of the language, generated from the models: one for a file, one for an overlay, one per kind.

They are the contract that editors and other programs validate against, and the source of the words in structural
messages: every scalar carries a title (``amount``), a description and examples.
"""

import json
import re
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any, Final

from pydantic.json_schema import GenerateJsonSchema

from reconciler.config.examples import EXAMPLES
from reconciler.config.models import File

Schema = dict[str, Any]

DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
WHOLE: Final = "billing"
OVERLAY: Final = "overlay"

#: File name of a kind's schema to the definition it stands for.
KINDS: Mapping[str, str] = {
    "coupon": "Coupon",
    "credit-pack": "CreditPack",
    "environment": "Environment",
    "feature": "Feature",
    "guards": "Guards",
    "meter": "Meter",
    "payment-link": "PaymentLink",
    "plan": "Plan",
    "portal": "Portal",
    "promotion-code": "PromotionCode",
    "settings": "Settings",
    "tax-rate": "TaxRate",
    "tenant": "Tenant",
    "tier": "Tier",
    "tool": "Tool",
    "webhook": "Webhook",
}

#: What an overlay may add under a new id; adding is said with ``new: true``, so that a typing error is not an addition.
ADDABLE: Final = frozenset(KINDS.values()) - {"Guards", "Portal", "Settings"} | {"Price", "TenantUsage", "UsageLine"}

_RENAMED = {"BillingPlan": "Plan"}
_NEW = {
    "const": True,
    "description": "Required where the base files do not have this id; not allowed where they do.",
    "examples": [True],
}


class _Generator(GenerateJsonSchema):
    """Pydantic's generator without titles made from field names: a title here is a word for what is expected."""

    def field_title_should_be_set(self, schema: Any) -> bool:  # noqa: ARG002  the signature is pydantic's
        return False

    def dict_schema(self, schema: Any) -> Schema:
        """Keep the titles of a map's values, which pydantic drops."""
        generated = super().dict_schema(schema)
        values = self.generate_inner(schema["values_schema"]) if "values_schema" in schema else {}
        if "title" in values:
            for entry in generated.get("patternProperties", {}).values():
                entry["title"] = values["title"]
        return generated


@cache
def whole_schema() -> Schema:
    """Return the schema of one file of ``billing.d``, every definition inside it. Not to be changed by the caller."""
    generated = File.model_json_schema(by_alias=True, schema_generator=_Generator)
    definitions = {_name(name): _plain(each) for name, each in generated.pop("$defs").items()}
    models = {name: _model(name, each) for name, each in definitions.items()}
    return _with_definitions(WHOLE, _model("File", _plain(generated)), models)


@cache
def overlay_schema() -> Schema:
    """Return the schema of one overlay file: nothing is required, ``null`` removes, ``new: true`` adds an id."""
    base = whole_schema()
    overlay: Schema = {name: _patchable(definition, name) for name, definition in base["$defs"].items()}
    definitions = base["$defs"] | {f"{name}Overlay": definition for name, definition in overlay.items()}
    whole = {key: value for key, value in base.items() if key not in {"$schema", "$id", "$defs", "examples"}}
    body = _patchable(whole, "File") | {
        "title": "Overlay",
        "description": "One file of an environment, merged over the base by key; null removes, lists replace.",
        "examples": [{"plans": {"pro": {"trial_days": None, "prices": {"monthly": {"amount": "59.99"}}}}}],
    }
    return _with_definitions(OVERLAY, body, definitions)


def kind_schema(kind: str) -> Schema:
    """Return the schema of one kind, such as ``credit-pack``; KeyError where there is none."""
    definitions = whole_schema()["$defs"]
    body = definitions[KINDS[kind]]
    return _with_definitions(kind, body, definitions)


def schema_files() -> dict[str, str]:
    """Return the text of every schema by file name, in one way only."""
    schemas = {WHOLE: whole_schema(), OVERLAY: overlay_schema()} | {kind: kind_schema(kind) for kind in KINDS}
    return {
        f"{name}.schema.json": json.dumps(schema, indent=2, ensure_ascii=False) + "\n"
        for name, schema in sorted(schemas.items())
    }


def check_schemas(directory: Path, wanted: Mapping[str, str]) -> list[str]:
    """Return one sentence for every schema file in a directory that is missing, differs, or belongs to nothing."""
    there = {path.name: path.read_text(encoding="utf-8") for path in directory.glob("*.schema.json")}
    return [
        *(f"{name} is missing" for name in sorted(wanted.keys() - there.keys())),
        *(f"{name} belongs to no kind" for name in sorted(there.keys() - wanted.keys())),
        *(
            f"{name} differs from the models"
            for name in sorted(wanted.keys() & there.keys())
            if wanted[name] != there[name]
        ),
    ]


def _with_definitions(name: str, body: Schema, definitions: Schema) -> Schema:
    """Return a document with the definitions it refers to, directly or not, and no others."""
    reached = {each: definitions[each] for each in sorted(_reached(body, definitions))}
    document = {"$schema": DIALECT, "$id": f"urn:reconciler:schema:{name}", **body}
    return {**document, "$defs": reached} if reached else document


def _name(model: str) -> str:
    return _RENAMED.get(model, model)


def _plain(node: Any) -> Any:
    """Rewrite a node and all below it: references renamed, nullable branches removed, maps closed."""
    if isinstance(node, list):
        return [_plain(item) for item in node]
    if not isinstance(node, dict):
        return node
    schema = {key: _plain(value) for key, value in node.items()}
    if isinstance(schema.get("$ref"), str):
        schema["$ref"] = f"#/$defs/{_name(schema['$ref'].rsplit('/', 1)[-1])}"
    if isinstance(schema.get("anyOf"), list):
        schema = _without_null(schema)
    if "patternProperties" in schema:
        schema["additionalProperties"] = False
    return schema


def _without_null(schema: Schema) -> Schema:
    """Remove the branch that only says that a key may be absent; a remaining single branch takes its place."""
    branches = [branch for branch in schema["anyOf"] if branch != {"type": "null"}]
    if len(branches) == len(schema["anyOf"]):
        return schema
    rest = {key: value for key, value in schema.items() if key != "anyOf" and (key, value) != ("default", None)}
    return {**branches[0], **rest} if len(branches) == 1 else {**rest, "anyOf": branches}


def _model(name: str, schema: Schema) -> Schema:
    """Give a model its title and examples, and every property its hover text and example."""
    title = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", _name(name)).capitalize()
    examples = EXAMPLES[_name(name)]
    properties = {key: _property(key, value, examples) for key, value in schema["properties"].items()}
    body = {key: value for key, value in schema.items() if key not in {"title", "description"}}
    said = {"title": title, "description": schema["description"].replace("``", "`")}
    return {**said, **body, "properties": properties, "examples": list(examples)}


def _property(key: str, schema: Schema, examples: tuple[Schema, ...]) -> Schema:
    shown = next((example[key] for example in examples if key in example), None)
    found = schema.get("examples") or ([] if shown is None else [shown])
    return {**schema, "markdownDescription": _markdown(schema), "examples": found}


def _markdown(schema: Schema) -> str:
    text = schema.get("description", "")
    default = schema.get("default")
    return text if default in (None, [], {}) else f"{text}\n\nDefault: `{json.dumps(default)}`"


def _patchable(schema: Schema, name: str) -> Schema:
    """Turn a definition into what an overlay may say about it; lists replace, so what is in them stays as it is."""
    if "properties" not in schema:
        return schema
    properties = {key: _nullable(value) for key, value in schema["properties"].items()}
    if name in ADDABLE:
        properties["new"] = {**_NEW, "markdownDescription": _NEW["description"]}
    return {key: value for key, value in schema.items() if key != "required"} | {"properties": properties}


def _nullable(schema: Schema) -> Schema:
    hover: Schema = {key: schema[key] for key in ("description", "markdownDescription", "examples") if key in schema}
    return {**hover, "anyOf": [_merging(schema), {"type": "null"}]}


def _merging(schema: Schema) -> Schema:
    """Point mappings to their overlay form, through maps and choices but not into lists."""
    if "$ref" in schema:
        return {**schema, "$ref": f"{schema['$ref']}Overlay"}
    if "anyOf" in schema:
        return {**schema, "anyOf": [_merging(branch) for branch in schema["anyOf"]]}
    if "patternProperties" in schema:
        entries = {pattern: _nullable(entry) for pattern, entry in schema["patternProperties"].items()}
        return {**schema, "patternProperties": entries}
    return schema


def _reached(schema: Any, definitions: Schema) -> set[str]:
    """Return the names of all definitions a schema refers to, directly or not."""
    found: set[str] = set()
    waiting = list(_references(schema))
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting += _references(definitions[name])
    return found


def _references(schema: Any) -> Iterator[str]:
    if isinstance(schema, dict):
        if isinstance(schema.get("$ref"), str):
            yield schema["$ref"].rsplit("/", 1)[-1]
        for value in schema.values():
            yield from _references(value)
    elif isinstance(schema, list):
        for item in schema:
            yield from _references(item)
