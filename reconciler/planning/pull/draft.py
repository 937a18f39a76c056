"""A draft of files: what of an account is written, under which address, and what is left out with the reason."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from reconciler.config.ids import unique
from reconciler.config.source import Path_
from reconciler.planning.live import Live
from reconciler.planning.pull.fit import own_metadata, unwritable
from reconciler.planning.words import headline
from reconciler.resources.model import Json, canonical_json, held

Key = tuple[str, str]
#: Sections in the order they are read in.
SECTIONS = (
    "meters",
    "features",
    "tiers",
    "plans",
    "credit_packs",
    "coupons",
    "promotion_codes",
    "tax_rates",
)


@dataclass(frozen=True)
class Account:
    """Everything alive of the managed kinds, newest first as Stripe lists it.

    ``odd`` says of an object what no field of the files can hold, ``archived`` how many of a kind are archived.
    """

    id: str
    mode: str
    objects: tuple[Live, ...]
    odd: Mapping[Key, str]
    archived: Mapping[str, int]

    def of(self, kind: str) -> list[Live]:
        """Return the living objects of a kind, oldest first."""
        found = [live for live in reversed(self.objects) if live.kind.name == kind and live.active]
        return sorted(found, key=lambda live: live.created)


@dataclass(frozen=True)
class LeftOut:
    """An object that is not written, and why."""

    live: Live
    why: str

    @property
    def words(self) -> str:
        """Say what it is and why it is left out, on one line."""
        return f"{self.live.id} ({headline(self.live.kind, self.live.values)}): {self.why}"


@dataclass
class Draft:
    """The content of the files to be, by section, with what each address was made from."""

    account: Account
    namespace: str
    refused: Mapping[Key, str]
    sections: dict[str, dict[str, Any]] = field(default_factory=lambda: {name: {} for name in SECTIONS})
    imports: list[tuple[str, str]] = field(default_factory=list)
    live: dict[str, Live] = field(default_factory=dict)
    addresses: dict[Key, str] = field(default_factory=dict)
    tables: dict[str, list[str]] = field(default_factory=dict)
    same_tables: dict[str, str] = field(default_factory=dict)
    comments: dict[Path_, list[str]] = field(default_factory=dict)
    left: dict[Key, LeftOut] = field(default_factory=dict)
    currency: str = "usd"
    tax_behavior: str | None = None

    def __post_init__(self) -> None:
        """Settle what is said once for all: the currency most prices have, and the tax behavior if all have one."""
        prices = self.account.of("price")
        counted = Counter(live.values["currency"] for live in prices)
        self.currency = min(counted, key=lambda code: (-counted[code], code), default="usd")
        behaviors = {live.values.get("tax_behavior") for live in prices if self.reason(live) is None}
        self.tax_behavior = behaviors.pop() if len(behaviors) == 1 else None

    def reason(self, live: Live) -> str | None:
        """Say why an object cannot be written, None where nothing is known against it."""
        key = (live.kind.name, live.id)
        if live.mark is not None:
            return f"it belongs to namespace {live.mark.namespace}"
        return self.refused.get(key) or self.account.odd.get(key) or unwritable(live)

    def fit(self, kind: str) -> list[Live]:
        """Return the objects of a kind that can be written; the others are left out with their reason."""
        found = []
        for live in self.account.of(kind):
            why = self.reason(live)
            if why is None:
                found.append(live)
            else:
                self.leave(live, why)
        return found

    def leave(self, live: Live, why: str) -> None:
        """Leave an object out; the first reason counts."""
        self.left.setdefault((live.kind.name, live.id), LeftOut(live, why))

    def near(self, each: LeftOut) -> str | None:
        """Return the address of the product that a price belongs to, where that is written."""
        return self.address_of(each.live.values["product"]) if each.live.kind.name == "price" else None

    def add(self, section: str, live: Live, entry: dict[str, Any], names: Iterable[str], fallback: str) -> str:
        """Write an entry under the first free of some ids, and return its address."""
        name = unique(names, self.sections[section].keys(), fallback)
        self.sections[section][name] = entry
        return self.stand(f"{section}.{name}", live)

    def stand(self, address: str, live: Live) -> str:
        """Note which object an address was made from, and return the address."""
        self.live[address] = live
        self.addresses[live.kind.name, live.id] = address
        return address

    def name_by_id(self, address: str, live: Live) -> None:
        """Name an object that has no key of its own by its id."""
        self.imports.append((address, live.id))

    def address_of(self, reference: Json) -> str | None:
        """Return the address of a held id, None where that object is not written."""
        return self.addresses.get(held(reference))

    def metadata(self, live: Live, path: Path_) -> dict[str, Any]:
        """Return the key for own metadata, if there is any; what stays at Stripe alone is told in a comment."""
        kept, others = own_metadata(live)
        if others:
            names = ", ".join(others)
            self.comment(path, f"Metadata that stays at Stripe alone, as it may be about a person or secret: {names}.")
        return {"metadata": kept} if kept else {}

    def comment(self, path: Path_, text: str) -> None:
        """Put a comment above a node."""
        self.comments.setdefault(path, []).append(text)

    def table(self, content: dict[str, Any], currency: str, names: Sequence[str], address: str) -> str:
        """Return the id of a table of tiers with this content, a new one unless there is one in this currency."""
        same = canonical_json([currency, content])
        if same in self.same_tables:
            self.tables[self.same_tables[same]].append(address)
            return self.same_tables[same]
        name = unique(names, self.sections["tiers"].keys(), "tiers")
        self.sections["tiers"][name] = content
        self.tables[name] = [address]
        self.same_tables[same] = name
        return name
