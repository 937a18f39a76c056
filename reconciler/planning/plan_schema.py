"""The JSON Schema of plans: of a plan file, and of what ``plan --format json`` and ``show --format json`` write.

Policy engines read plans by it. It is generated from the models that read plan files, so neither can say otherwise.
"""

import json
from typing import Any, Final

from reconciler.planning.category import Category
from reconciler.planning.change import Action, Reason
from reconciler.planning.plan import FORMAT
from reconciler.planning.planfile import document_schema
from reconciler.resources import KINDS

Schema = dict[str, Any]

NAME: Final = "plan-file.schema.json"

_DESCRIPTIONS = {
    "format": "Format and its version; another version is another schema.",
    "tool": "Version of reconciler that made the plan.",
    "id": "Made up for this plan; every write's idempotency key depends on it.",
    "created": "When the plan was made, ISO 8601.",
    "expires": "When it may no longer be applied, ISO 8601.",
    "snapshot": "When the read-out was taken that stands in for the account; in output of an offline plan only.",
    "account": "Stripe account the plan is for.",
    "mode": "Whether it touches test data or real money.",
    "api_version": "Version of Stripe's API the account was read in.",
    "namespace": "Owner mark of everything the plan makes.",
    "environment": "Environment the files were read for; null for the base alone.",
    "config_digest": "SHA-256 of the content of the files.",
    "live_digest": "SHA-256 of what the account held.",
    "changes": "Number of actions; 0 where Stripe is as the files say.",
    "counts": "Number of actions by what they do.",
    "unchanged": "Managed objects that stay as they are.",
    "currencies": "Currencies whose brackets were read beside those the objects name themselves.",
    "loosened": "Guards that the files draw wider than the base they were compared with; refuses a plan with changes.",
    "contracts": "Whether there are customers or subscriptions to look after, so that the next plan reads them.",
    "subscribers": "Live subscriptions by id of each price that goes off sale; null where they could not be read.",
    "migrations": "Whose subscriptions move to the successor of a price, what they pay, and who stays; by price.",
    "foreign": "Objects of others by kind: counted, never touched.",
    "entitlements": "What becomes of calls, compared with a base; unknown without one.",
    "bindings": "Objects the plan relies on without changing them, by address.",
    "actions": "Every change, ordered by address.",
    "digest": "SHA-256 over all but id, dates and seal: equal for equal files and equal live state.",
    "seal": "SHA-256, or HMAC where RECONCILER_PLAN_KEY is set, over every byte; in plan files only.",
    "impact": "What the change from the base means in money and refusals; in output with --impact only.",
    "refusals": "What guards refuse; `apply` stops with 4 unless each is allowed. In output only.",
}
_OF_A_CHANGE = {
    "address": "Where the files say it, the same in every account: `plans.pro.prices.monthly`.",
    "kind": "Kind of Stripe object.",
    "action": "What happens to it.",
    "reason": "Why.",
    "fields": "Fields that differ.",
    "id": "Id of the live object the change starts from; null where it is created.",
    "fingerprint": "Digest of that object as the plan relies on it.",
    "source": "file:line:column in the files; null where they say it no more.",
    "named": "Whether the files name the object's key.",
    "policy": "How a change reaches whoever pays: now, now_prorated or at_renewal; null where it is no such change.",
    "before": "What Stripe holds; null where there is nothing.",
    "after": "What it will hold; null where it is retired.",
    "category": "Whom the change touches, worst first. In output only.",
}
_CHOICES = {
    "action": [str(each) for each in Action],
    "reason": [str(each) for each in Reason],
    "kind": [kind.name for kind in KINDS],
}
_TEXT: Schema = {"type": "string"}
_REFUSAL: Schema = {
    "type": "object",
    "additionalProperties": False,
    "required": ["guard", "address", "message", "allow"],
    "properties": {
        "guard": {**_TEXT, "description": "Name of the guard."},
        "address": {"type": ["string", "null"], "description": "What it is about; null for the plan as a whole."},
        "message": {**_TEXT, "description": "What it says."},
        "allow": {**_TEXT, "description": "The word for --allow that allows this and nothing else."},
    },
}


def plan_schema() -> Schema:
    """Return the schema; its definitions are named without the underscore of the models."""
    generated: Schema = _tidy(document_schema())
    definitions = generated["$defs"]
    change = definitions["Change"]
    change["properties"]["category"] = {"enum": [str(each) for each in Category]}
    for name, choices in _CHOICES.items():
        change["properties"][name] = {"enum": choices}
    _describe(change, _OF_A_CHANGE)
    generated["properties"]["refusals"] = {"type": "array", "items": {"$ref": "#/$defs/Refusal"}}
    generated["properties"]["snapshot"] = {"type": "string"}
    generated["properties"]["impact"] = {"type": "object"}
    generated["required"].remove("seal")
    _describe(generated, _DESCRIPTIONS)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": "urn:reconciler:schema:plan-file",
        "title": "Execution plan",
        "description": f"What would change in a Stripe account, in format {FORMAT}.",
        **{name: value for name, value in generated.items() if name not in ("$defs", "title")},
        "$defs": dict(sorted({**definitions, "Refusal": _REFUSAL}.items())),
    }


def plan_schema_text() -> str:
    """Return the text of the schema's file."""
    return json.dumps(plan_schema(), indent=2, ensure_ascii=False) + "\n"


def _describe(schema: Schema, descriptions: dict[str, str]) -> None:
    for name, text in descriptions.items():
        schema["properties"][name]["description"] = text


def _tidy(node: Any) -> Any:
    """Drop the titles pydantic makes of names, and the underscores of private models."""
    if isinstance(node, list):
        return [_tidy(item) for item in node]
    if not isinstance(node, dict):
        return node.replace("#/$defs/_", "#/$defs/") if isinstance(node, str) else node
    return {
        name.removeprefix("_"): _tidy(value)
        for name, value in node.items()
        if not (name == "title" and isinstance(value, str))
    }
