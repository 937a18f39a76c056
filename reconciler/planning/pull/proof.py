"""Files that say what an account holds, proven: read back by the real loader and compared with what was read.

Whatever the files would make, change, replace or retire is taken out again and told in a comment, until nothing is
left but objects to be marked. So a plan from these files holds adoptions alone.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from reconciler.config.catalog import Catalog, catalog_from_texts
from reconciler.diagnostics import Diagnostic, Severity
from reconciler.planning.adopt import adopt, find
from reconciler.planning.change import Action, Change
from reconciler.planning.diff import diff
from reconciler.planning.leaves import leaves
from reconciler.planning.pull.draft import Account, Draft, Key
from reconciler.planning.pull.files import write
from reconciler.planning.pull.offers import add_products
from reconciler.planning.pull.rest import add_coupons, add_features, add_meters, add_promotion_codes, add_tax_rates
from reconciler.resources import BY_NAME, desire

#: Kinds that are written down; objects of any other are left out by name.
WRITTEN = frozenset("meter feature product product_feature price coupon promotion_code tax_rate".split())


@dataclass(frozen=True)
class Pulled:
    """The texts of the files by name, the catalogue they are, and the draft they were written from."""

    files: Mapping[str, str]
    catalog: Catalog
    draft: Draft


def pull(account: Account, namespace: str, *, imports: bool = True, origin: str | None = None) -> Pulled:
    """Write files for an account; deterministic for equal accounts.

    ``imports`` names objects by the ids they have; without it ``origin`` tells what the files were made from.
    """
    refused: dict[Key, str] = {}
    while True:
        draft = _drafted(account, namespace, refused)
        files = write(draft)
        catalog, diagnostics = catalog_from_texts(files)
        worse = dict(_invalid(draft, diagnostics)) if catalog is None else dict(_unequal(draft, catalog))
        if catalog is not None and not worse:
            break
        if not worse.keys() - refused.keys():
            raise AssertionError(f"nothing can be taken out for {[each.summary for each in diagnostics]}")
        refused |= worse
    if not imports:
        files = write(draft, imports=False, origin=origin)
        catalog, _ = catalog_from_texts(files)
        assert catalog is not None  # noqa: S101  a section less is as valid
    return Pulled(files, catalog, draft)


def _drafted(account: Account, namespace: str, refused: Mapping[Key, str]) -> Draft:
    draft = Draft(account, namespace, refused)
    add_meters(draft)
    add_features(draft)
    add_products(draft)
    add_coupons(draft)
    add_promotion_codes(draft)
    add_tax_rates(draft)
    for kind in BY_NAME.keys() - WRITTEN:
        for live in draft.account.of(kind):
            draft.leave(live, "objects of this kind are not written down")
    return draft


def _invalid(draft: Draft, diagnostics: tuple[Diagnostic, ...]) -> Iterator[tuple[Key, str]]:
    """Yield what an error of validation is about."""
    for each in diagnostics:
        if each.severity is Severity.ERROR:
            for key in _owners(draft, each.path):
                yield key, f"the files cannot say it: {each.summary}"


def _owners(draft: Draft, pointer: str) -> list[Key]:
    """Return the objects that a place in the files was written for."""
    path = [part.replace("~1", "/").replace("~0", "~") for part in pointer.split("/")[1:]]
    if path[:1] == ["tiers"]:
        return [_key(draft, address) for address in draft.tables[path[1]]]
    if path[:1] == ["imports"]:
        return [_key(draft, sorted(draft.imports)[int(path[1])][0])]
    for length in range(len(path), 0, -1):
        address = ".".join(path[:length])
        if address in draft.live:
            return [_key(draft, address)]
    return []


def _key(draft: Draft, address: str) -> Key:
    live = draft.live[address]
    return live.kind.name, live.id


def _unequal(draft: Draft, catalog: Catalog) -> Iterator[tuple[Key, str]]:
    """Yield every object that a plan from these files would do more to than mark it."""
    desired, objects = desire(catalog), draft.account.objects
    difference = diff(desired, objects, draft.namespace)
    for problem in difference.problems:
        address, _, why = problem.summary.partition(": ")
        yield from ((key, why) for key in _nearest(draft, address))
    for change in difference.changes:
        if change.action is not Action.ADOPT or change.fields:
            yield from ((key, _differing(change)) for key in _nearest(draft, change.address))
    adoption = adopt(desired, objects, draft.namespace, {}, find(desired, objects, draft.namespace))
    for left in adoption.left:
        if left.address is not None:
            yield (left.live.kind.name, left.live.id), left.why


def _nearest(draft: Draft, address: str) -> list[Key]:
    parts = address.split(".")
    found = (".".join(parts[:length]) for length in range(len(parts), 0, -1))
    return [_key(draft, each) for each in found if each in draft.live][:1]


def _differing(change: Change) -> str:
    told = [each for each in leaves(change) if not each.name.startswith("metadata.")]
    shown = "; ".join(f"{each.name} is {each.before or 'none'} there, {each.after or 'none'} here" for each in told)
    return f"the files cannot say it as it is: {shown}"
