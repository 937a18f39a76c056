"""What is unique or reserved in a Stripe account."""

from collections.abc import Iterator

from reconciler.config.source import Path_
from reconciler.config.view import View
from reconciler.diagnostics import Diagnostic
from reconciler.diagnostics.visible import quoted

#: Metadata keys of the owner mark, and that of locks.
RESERVED = frozenset(
    {
        "managed_by",
        "address",
        "config_digest",
        "reconciler_keys",
        "reconciler_features",
        "reconciler_replaces",
        "reconciler_lock",
    }
)
#: Fields that name an existing object.
_OVERRIDES = ("stripe_id", "lookup_key", "event_name")


def metadata_free(view: View) -> Iterator[Diagnostic]:
    """E0501: own metadata does not use a key of the owner mark or of a lock."""
    for path, item in view.having("metadata"):
        for key in item.metadata:
            if key in RESERVED:
                summary = f"the metadata key {quoted(key)} is written by reconciler"
                yield view.error("E0501", (*path, "metadata", key), summary, "choose another key")


def overrides_unique(view: View) -> Iterator[Diagnostic]:
    """E0502: no two things take over the same object at Stripe."""
    seen: dict[tuple[str, str], Path_] = {}
    for name in _OVERRIDES:
        for path, item in view.having(name):
            value = getattr(item, name)
            if value is None:
                continue
            first = seen.setdefault((_family(name, path), value), (*path, name))
            if first != (*path, name):
                summary = f"{name} {quoted(value)} is used twice"
                yield view.error(
                    "E0502",
                    (*path, name),
                    summary,
                    "name another object, or remove one of the two",
                    (first, "first here"),
                )


def _family(name: str, path: Path_) -> str:
    """Return what a key is unique among: ids of coupons and of products, lookup keys of features and of prices."""
    return f"{path[0]} {name}" if path[0] in {"coupons", "features"} else name


def codes_unique(view: View) -> Iterator[Diagnostic]:
    """E0503: no two active promotion codes are the same to Stripe, which ignores case."""
    seen: dict[str, Path_] = {}
    for name, code in view.file.promotion_codes.items():
        path = ("promotion_codes", name, "code")
        if code.active and (first := seen.setdefault(code.code.casefold(), path)) != path:
            summary = f"code {quoted(code.code)} is already used; case does not count"
            yield view.error(
                "E0503", path, summary, "choose another code, or make one of them active: false", (first, "first here")
            )
