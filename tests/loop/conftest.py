"""Every setting of the sandbox that stands for an unverified behaviour of Stripe, alone and all together."""

from dataclasses import Field, fields
from typing import Any

import pytest

from reconciler.sandbox import Settings


def variants() -> list[Settings]:
    """Return the default, each open point turned the other way, and all of them turned at once."""
    flags = {f.name: not f.default for f in fields(Settings) if f.metadata.get("concerns") != "billing"}
    return [Settings(), *(Settings(**{name: value}) for name, value in flags.items()), Settings(**flags)]


def felt() -> list[Settings]:
    """Return the variants that differ from the default in a point that the loop can come upon."""
    return [each for each in variants() if each == Settings() or any(map(_in_the_loop, _turned(each)))]


def _turned(settings: Settings) -> list[Field[Any]]:
    return [field for field in fields(Settings) if getattr(settings, field.name) != field.default]


def _in_the_loop(field: Field[Any]) -> bool:
    return field.metadata.get("concerns") != "billing"


def label(settings: Settings) -> str:
    """Name a variant by what differs from the default."""
    changed = [field.name for field in _turned(settings)]
    return "default" if not changed else changed[0] if len(changed) == 1 else "all-turned"


@pytest.fixture(params=variants(), ids=label)
def settings(request: pytest.FixtureRequest) -> Settings:
    """One way the open points of Stripe may turn out."""
    return request.param
