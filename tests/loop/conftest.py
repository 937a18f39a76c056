"""Every setting of the sandbox that stands for an unverified behaviour of Stripe, alone and all together."""

from dataclasses import Field, fields
from typing import Any

import pytest

from reconciler.sandbox import Settings


def variants() -> list[Settings]:
    """Return the default, each point the loop can come upon turned the other way, and all of them turned at once."""
    flags = {f.name: not f.default for f in fields(Settings) if f.metadata.get("concerns") != "billing"}
    return [Settings(), *(Settings(**{name: value}) for name, value in flags.items()), Settings(**flags)]


def _turned(settings: Settings) -> list[Field[Any]]:
    return [field for field in fields(Settings) if getattr(settings, field.name) != field.default]


def label(settings: Settings) -> str:
    """Name a variant by what differs from the default."""
    changed = [field.name for field in _turned(settings)]
    return "default" if not changed else changed[0] if len(changed) == 1 else "all-turned"


def both_ways() -> list[Any]:
    """Return the default and all points turned, which has each both ways; one alone is for the long run."""
    first, *singles, last = variants()
    alone = (pytest.param(each, id=label(each), marks=pytest.mark.soak) for each in singles)
    return [pytest.param(first, id=label(first)), *alone, pytest.param(last, id=label(last))]


@pytest.fixture(params=both_ways())
def settings(request: pytest.FixtureRequest) -> Settings:
    """One way the open points of Stripe may turn out."""
    return request.param


@pytest.fixture(params=[variants()[0], variants()[-1]], ids=label)
def extremes(request: pytest.FixtureRequest) -> Settings:
    """Return the default and all points turned at once, for what does not depend on any one of them alone."""
    return request.param
