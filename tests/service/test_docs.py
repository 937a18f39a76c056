"""The examples of docs/service.md: each command is run as it stands, and answers with what stands below it."""

import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from reconciler.service.api.table import OPERATIONS
from reconciler.service.identity.keys import sha256_of
from tests.service.processes import KEY, OPERATOR_KEY, Serving

DOC = (Path(__file__).parents[2] / "docs" / "service.md").read_text(encoding="utf-8")
EXAMPLE = re.compile(r"^\$ (curl .*)\n({.*})$", re.MULTILINE)
FILES = """
settings: {namespace: acme, currency: usd}
plans: {pro: {name: Pro, credits: {default: 1, tools: {expensive-ai: 10}}}}
tenants:
  acme:
    name: Acme
    plan: pro
    credits: [{id: welcome, amount: 30, reason: welcome}]
    api_keys: [{id: ci, sha256: "%s"}]
"""


def within(expected: Any, found: Any) -> bool:
    """Tell whether what is expected is there, whatever is there beside."""
    if isinstance(expected, dict):
        return isinstance(found, dict) and all(
            name in found and within(expected[name], found[name]) for name in expected
        )
    return bool(expected == found)


@pytest.mark.skipif(shutil.which("curl") is None, reason="no curl")
def test_the_examples_answer_as_they_say(tmp_path: Path) -> None:
    """Every curl of the page, run in its order against a server, answers at least with what is printed there."""
    (tmp_path / "billing.d").mkdir()
    (tmp_path / "billing.d" / "all.yaml").write_text(FILES % sha256_of(KEY))
    examples = EXAMPLE.findall(DOC)
    assert len(examples) == DOC.count("$ curl")
    with Serving(tmp_path, f"sqlite:///{tmp_path / 'usage.db'}", "--no-worker") as server:
        environ = {**os.environ, "URL": server.url, "KEY": KEY, "OPERATOR_KEY": OPERATOR_KEY}
        for command, answer in examples:
            done = subprocess.run(["sh", "-c", command], env=environ, capture_output=True, check=True)
            assert within(json.loads(answer), json.loads(done.stdout)), (command, done.stdout)


def test_paths_of_the_page_are_there() -> None:
    """Every path below /v1 that the page names is one of the API."""
    known = {each.path for each in OPERATIONS}
    for path in re.findall(r"`(?:GET |POST )?(/v1/[a-z/-]*[a-z])", DOC):
        assert any(each.startswith(path) for each in known), path
