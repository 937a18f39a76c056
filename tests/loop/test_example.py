"""The repository's own catalogue against the sandbox."""

from pathlib import Path

from reconciler.config.catalog import load_catalog
from reconciler.provider.executor import Ending
from reconciler.provider.propose import propose
from reconciler.sandbox import Settings

from .world import NOW, World

EXAMPLE = Path(__file__).parents[2] / "billing.d"


def test_the_example_is_applied_and_planned_to_nothing(settings: Settings) -> None:
    """Real input goes all the way: every object is made, and the next plan is empty."""
    world = World(settings)
    catalog = load_catalog(EXAMPLE)

    def plan(number: int):
        return propose(catalog, world.gateway(), plan_id=f"{number:032x}", now=NOW).plan

    report = world.run(plan(1))
    assert report.ending is Ending.COMPLETE, report.failures
    assert report.total > 200
    assert plan(2).changes == ()
