"""The generated JSON Schemas: complete, closed, and equal to the committed files."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from reconciler.cli.schemas import all_schemas
from reconciler.config.schemas import (
    DIALECT,
    KINDS,
    check_schemas,
    kind_schema,
    overlay_schema,
    schema_files,
    whole_schema,
)
from reconciler.config.source import load_text

ROOT = Path(__file__).parents[2]
COMMITTED = ROOT / "schemas"
LANGUAGE = ROOT / "tests" / "valid" / "language.yaml"
DOCUMENTS = {name: json.loads(text) for name, text in schema_files().items()}
every_document = pytest.mark.parametrize("name", DOCUMENTS)


def models(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the document itself and every definition in it."""
    yield "", document
    yield from document.get("$defs", {}).items()


def nodes(value: Any) -> Iterator[dict[str, Any]]:
    """Yield every mapping inside a schema that is not an example."""
    if isinstance(value, dict):
        yield value
        for key, item in value.items():
            if key not in {"examples", "default"}:
                yield from nodes(item)
    elif isinstance(value, list):
        for item in value:
            yield from nodes(item)


def plain(path: Path) -> Any:
    """Read a YAML file as JSON would hold it."""
    document, problems = load_text(path.read_text(), path.name)
    assert document is not None
    assert problems == []
    return json.loads(json.dumps(document.root, default=float))


def test_the_committed_schemas_are_the_generated_ones() -> None:
    """``schemas/`` holds exactly what the models say today."""
    assert check_schemas(COMMITTED, all_schemas()) == []


def test_a_difference_is_named(tmp_path: Path) -> None:
    """A schema that is missing, changed or left over is each named, and nothing else is."""
    for name, text in schema_files().items():
        (tmp_path / name).write_text(text)
    assert check_schemas(tmp_path, schema_files()) == []
    (tmp_path / "plan.schema.json").unlink()
    (tmp_path / "tier.schema.json").write_text("{}")
    (tmp_path / "gone.schema.json").write_text("{}")
    assert check_schemas(tmp_path, schema_files()) == [
        "plan.schema.json is missing",
        "gone.schema.json belongs to no kind",
        "tier.schema.json differs from the models",
    ]


def test_there_is_a_schema_per_kind_and_one_for_files_and_overlays() -> None:
    """Editors find a schema for a file, for an overlay, and for each kind alone."""
    assert set(DOCUMENTS) == {f"{name}.schema.json" for name in (*KINDS, "billing", "overlay")}


@every_document
def test_a_schema_is_valid_and_never_fetched(name: str) -> None:
    """A schema is Draft 2020-12, named by a URN, and refers to nothing outside itself."""
    document = DOCUMENTS[name]
    Draft202012Validator.check_schema(document)
    assert document["$schema"] == DIALECT
    assert document["$id"].startswith("urn:reconciler:schema:")
    references = {node["$ref"] for node in nodes(document) if isinstance(node.get("$ref"), str)}
    assert references == {f"#/$defs/{each}" for each in document.get("$defs", {})} | references
    assert all(reference.startswith("#/$defs/") for reference in references)
    assert {reference.rsplit("/", 1)[1] for reference in references} == set(document.get("$defs", {}))


@every_document
def test_every_key_explains_itself(name: str) -> None:
    """Every key has a description, its form in Markdown, and an example; every mapping an example of its own."""
    for model, schema in models(DOCUMENTS[name]):
        assert schema["title"], model
        assert schema["description"], model
        assert schema["examples"], model
        for key, value in schema["properties"].items():
            assert value["description"], (model, key)
            assert value["markdownDescription"].startswith(value["description"]), (model, key)
            assert value["examples"], (model, key)


@every_document
def test_every_example_validates(name: str) -> None:
    """The examples that editors show are accepted by the schema that shows them."""
    document = DOCUMENTS[name]
    shared = {"$defs": document.get("$defs", {})}
    for model, schema in models(document):
        validator = Draft202012Validator({**schema, **shared})
        for example in schema["examples"]:
            assert [error.message for error in validator.iter_errors(example)] == [], model
        for key, value in schema["properties"].items():
            for example in value["examples"]:
                assert Draft202012Validator({**value, **shared}).is_valid(example), (model, key)


@every_document
def test_every_form_is_put_into_words(name: str) -> None:
    """A text with a pattern has a word for what it is and a sentence for what it looks like, also inside a map."""
    for node in nodes(DOCUMENTS[name]):
        if isinstance(node.get("pattern"), str):
            assert node["title"]
            assert node["patternErrorMessage"]


@every_document
def test_every_mapping_is_closed(name: str) -> None:
    """No mapping accepts a key that is not named or matched."""
    for node in nodes(DOCUMENTS[name]):
        if "properties" in node or "patternProperties" in node:
            assert node["additionalProperties"] is False


def test_null_stands_in_the_overlay_schema_only() -> None:
    """Null is no value in a file; in an overlay it removes any key."""
    assert not [node for node in nodes(whole_schema()) if node.get("type") == "null"]
    removal = {"plans": {"pro": None}, "portal": None, "settings": {"tax_behavior": None}}
    assert Draft202012Validator(overlay_schema()).is_valid(removal)
    assert not Draft202012Validator(whole_schema()).is_valid(removal)


def test_the_overlay_schema_requires_nothing_but_in_lists() -> None:
    """A part of an entry is enough in an overlay; an item of a list replaces another one whole."""
    validator = Draft202012Validator(overlay_schema())
    assert validator.is_valid({"plans": {"pro": {"prices": {"monthly": {"amount": 59}}}}})
    assert validator.is_valid({"plans": {"team": {"new": True, "name": "Team"}}})
    assert not validator.is_valid({"plans": {"team": {"new": False, "name": "Team"}}})
    assert not validator.is_valid({"plans": {"pro": {"limits": [{"of": "search"}]}}})
    assert not validator.is_valid({"plans": {"pro": {"limits": [None]}}})
    assert not validator.is_valid({"plans": {"pro": {"nme": "Pro"}}})


def test_the_language_validates_as_editors_validate_it() -> None:
    """The full-language file is accepted by a plain validator, its entries by their kind's schema; a change is not."""
    content = plain(LANGUAGE)
    assert list(Draft202012Validator(whole_schema()).iter_errors(content)) == []
    plan = Draft202012Validator(kind_schema("plan"))
    assert all(plan.is_valid(entry) for entry in content["plans"].values())
    assert not plan.is_valid({**content["plans"]["pro"], "colour": "red"})


def test_an_unknown_kind_is_a_key_error() -> None:
    """There is no schema for a word that is no kind."""
    with pytest.raises(KeyError):
        kind_schema("plans")
