"""What drift tells of who changed what and when, and what it says where nobody can know."""

from typing import Any

import pytest

from reconciler.planning.drift import Drift, select_drift
from reconciler.planning.drift_text import render_drift_text
from reconciler.planning.history import OURS
from reconciler.planning.render import Page
from reconciler.provider.history import MAX_PAGES, PAGE, read_history
from reconciler.sandbox import Fault

from .samples import simple
from .world import World

FILES: dict[str, Any] = {
    **simple(),
    "coupons": {"five": {"percent_off": "5"}},
    "features": {"sso": {"name": "SSO"}},
    "meters": {"calls": {"name": "Calls"}},
}


def applied() -> World:
    """Return a world with the files applied, an hour ago."""
    world = World()
    world.locked(world.plan(FILES))
    world.clock.now += 3600
    return world


def drift(world: World, files: dict[str, Any] | None = None) -> Drift:
    """Find the drift as the command does."""
    proposal = world.propose(FILES if files is None else files)
    record = proposal.live.applied
    since = int(record.instant.timestamp()) - 600 if record else 0
    history = read_history(world.gateway(read_only=True), since)
    return select_drift(proposal.plan, history, record, proposal.strangers)


def told(found: Drift) -> list[str]:
    """Return what is known of each change, without requests' ids."""
    return [str(found.of(each)).partition(" req_")[0] for each in found.changes]


def test_an_edit_is_told_with_its_moment_and_request() -> None:
    """What touched the differing field counts, not a later edit of something else; our own writes never do."""
    world = applied()
    world.dashboard.v1.products.update("acme_plan_pro", {"name": "Edited"})
    world.clock.now += 60
    world.dashboard.v1.products.update("acme_plan_pro", {"shippable": False, "metadata": {"theirs": "1"}})
    found = drift(world)
    (change,) = found.edited
    known = found.of(change)
    assert known is not None
    assert (str(known).startswith("edited 2027-01-01 01:00 UTC, request req_"), known.ours) == (True, False)


def test_the_same_edit_after_it_was_healed_is_the_new_one() -> None:
    """An edit that an apply has healed since explains nothing, however alike."""
    world = applied()
    for hour in ("01", "02"):
        world.dashboard.v1.products.update("acme_plan_pro", {"name": "Edited"})
        assert told(drift(world)) == [f"edited 2027-01-01 {hour}:00 UTC, request"]
        world.run(world.plan(FILES))
        world.clock.now += 3600


def test_an_edit_before_our_own_write_explains_nothing() -> None:
    """Where the list of events lags behind, no older edit that was healed is given for the new one."""
    world = applied()
    world.dashboard.v1.products.update("acme_plan_pro", {"name": "Edited"})
    world.run(world.plan(FILES))
    healed = read_history(world.gateway())
    world.dashboard.v1.products.update("acme_plan_pro", {"name": "Edited"})
    (change,) = world.plan(FILES).changes
    assert healed.of(change, "acme") is None
    assert read_history(world.gateway()).of(change, "acme") is not None


def test_what_was_archived_and_what_was_deleted_are_told_apart() -> None:
    """A product and a meter put out of use are archived, a coupon is deleted; each with its moment."""
    world = applied()
    world.dashboard.v1.products.update("acme_plan_pro", {"active": False})
    (meter,) = world.dashboard.v1.billing.meters.list().data
    world.dashboard.v1.billing.meters.deactivate(meter.id)
    world.dashboard.v1.coupons.delete("acme_coupon_five")
    found = drift(world)
    assert sorted(each.address for each in found.archived) == ["meters.calls", "plans.pro"]
    assert [each.address for each in found.deleted] == ["coupons.five"]
    assert sorted(told(found)) == ["archived 2027-01-01 01:00 UTC, request"] * 2 + [
        "deleted 2027-01-01 01:00 UTC, request"
    ]


def test_what_has_no_events_is_gone_if_these_files_were_applied() -> None:
    """A feature that somebody archived has no event; it was there when these very files were applied, so it is gone."""
    world = applied()
    (feature,) = world.dashboard.v1.entitlements.features.list().data
    world.dashboard.v1.entitlements.features.update(feature.id, {"active": False})
    found = drift(world)
    assert ([each.address for each in found.deleted], told(found)) == (["features.sso"], ["None"])


def test_what_was_never_applied_is_no_drift() -> None:
    """What the files have gained since the last apply is told as not applied yet, and is no drift."""
    world = applied()
    more = {**FILES, "coupons": {**FILES["coupons"], "six": {"percent_off": "6"}}}
    found = drift(world, more)
    assert ([each.address for each in found.unapplied], found.found) == (["coupons.six"], False)


def test_what_an_apply_deleted_itself_was_not_deleted_by_others() -> None:
    """A coupon that left the files and comes back is not applied yet; the deletion was the apply's own."""
    world = applied()
    world.locked(world.plan({**FILES, "coupons": {}}))
    found = drift(world)
    assert ([each.address for each in found.unapplied], found.found) == (["coupons.five"], False)


@pytest.mark.parametrize("kind", ["coupons", "features"])
def test_what_nobody_knows_is_missing(kind: str) -> None:
    """Without a record of an apply, and for what has no events, it is said that nobody knows which."""
    world = World() if kind == "coupons" else applied()
    more = {**FILES, kind: {**FILES[kind], "new": {"percent_off": "6"} if kind == "coupons" else {"name": "New"}}}
    assert f"{kind}.new" in [each.address for each in drift(world, more).missing]


def test_a_key_that_may_not_read_events_still_finds_drift() -> None:
    """Without access to events drift is found all the same, and it is said why nobody is named."""
    world = applied()
    world.dashboard.v1.products.update("acme_plan_pro", {"name": "Edited"})
    world.sandbox.faults.add(Fault(method="GET", path="/v1/events", status=403, every=1))
    found = drift(world)
    assert (len(found.edited), told(found)) == (1, ["None"])
    assert "may not read events" in str(found.note)


def test_a_bounded_number_of_events_is_read() -> None:
    """However much happened, at most a thousand events are read, and it is said where that ends the history."""
    world = applied()
    for number in range(PAGE + 1):
        world.dashboard.v1.products.create({"name": f"Theirs {number}"})
    since = world.clock.now - 1
    assert read_history(world.gateway(), since).note is None
    world.sandbox.requests.clear()
    endless = world.gateway()
    page = endless.get("/v1/events", {"types": ["product.created"], "limit": PAGE})
    endless.get = lambda _path, _params: {**page, "has_more": True}  # type: ignore[method-assign]  # an endless list
    history = read_history(endless, since)
    assert len(history.happenings) == MAX_PAGES * PAGE
    assert "only the latest 1000 events" in str(history.note)
    assert history.since == world.clock.now + 1


def test_locks_are_no_history() -> None:
    """What happens to the locks of applies tells nothing of any catalogue."""
    world = applied()
    assert all("_lock_" not in each.id for each in read_history(world.gateway()).happenings)
    assert any(each.ours for each in read_history(world.gateway()).happenings)


def test_every_write_of_an_apply_is_known_as_ours() -> None:
    """All that an apply makes carries the key that tells our own events."""
    world = applied()
    events = world.dashboard.v1.events.list({"limit": 100}).data
    assert {(event.request.idempotency_key or "")[: len(OURS)] for event in events} == {OURS}


def test_objects_of_others_are_listed_on_request_and_inert() -> None:
    """Verbose text lists kind, id and name of what is not ours; nothing in a name acts on the terminal."""
    world = applied()
    other = world.dashboard.v1.products.create({"name": "Theirs \x1b[2J"})
    proposal = world.propose(FILES)
    found = select_drift(proposal.plan, strangers=proposal.strangers)
    verbose = render_drift_text(found, proposal.plan, Page(verbose=True))
    assert f"product  {other.id}  Theirs \\u{{1b}}[2J" in verbose
    assert other.id not in render_drift_text(found, proposal.plan, Page())
