"""The runtime is light: what it loads from a compiled policy file, and what it does not."""

import json
import subprocess
import sys
from pathlib import Path

from .worlds import policy

HEAVY = ["stripe", "yaml", "jsonschema", "deepdiff", "pydantic", "rich", "click", "asyncio", "psycopg", "sqlalchemy"]
PROGRAM = """
import json, sys
from reconciler.entitlements import Entitlements
with Entitlements.open(sys.argv[1], "sqlite://", mode=sys.argv[2], journal=sys.argv[3]) as ent:
    ent.grant("acme", 10, key="g")
    assert ent.consume("acme", "search", key="k").allowed
    assert ent.check("acme", "search").allowed
print(json.dumps(sorted({name.split(".")[0] for name in sys.modules})))
"""


def loaded(source: Path, mode: str, journal: Path) -> list[str]:
    """Return the packages a fresh process has loaded after deciding a call."""
    arguments = [sys.executable, "-c", PROGRAM, str(source), mode, str(journal)]
    done = subprocess.run(arguments, capture_output=True, text=True, check=True, cwd=Path(__file__).parents[2])
    return list(json.loads(done.stdout))


def test_a_compiled_policy_needs_the_standard_library_alone(tmp_path: Path) -> None:
    """Deciding and booking calls from a policy file loads nothing heavy, in no mode; from YAML it does (control)."""
    text = "plans: {pro: {name: Pro, credits: {default: 1}}}\ntenants: {acme: {name: Acme, plan: pro}}\n"
    compiled = tmp_path / "policy.json"
    compiled.write_text(policy(text).dump())
    for mode in ("direct", "group", "lease"):
        assert not set(HEAVY) & set(loaded(compiled, mode, tmp_path / "j"))
    directory = tmp_path / "billing.d"
    directory.mkdir()
    (directory / "all.yaml").write_text("settings: {namespace: acme}\n" + text)
    assert {"yaml", "pydantic"} <= set(loaded(directory, "direct", tmp_path / "j"))
