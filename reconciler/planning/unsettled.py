"""What a comparison cannot settle by itself: differences that no write mends, each with what a person can do. Pure."""

from reconciler.diagnostics import Diagnostic
from reconciler.planning.change import State
from reconciler.planning.live import Live
from reconciler.planning.words import unlike
from reconciler.resources import Kind, Resource
from reconciler.resources.model import Mode, Values, held


def forces_replacement(kind: Kind, name: str, before: Values, after: Values) -> bool:
    """Tell whether Stripe cannot change a field so on the object that is there."""
    row = kind.field(name)
    old, new = before.get(name), after.get(name)
    if row.mode is Mode.DERIVED or row.patch is not None:
        return not row.in_place(old, new)
    if row.mode is Mode.CREATE_ONLY:
        return True
    if new is None and row.default is None and row.unset is None:
        return True
    return not row.in_place(old, new)


def unchangeable(resource: Resource, live: Live, fields: tuple[str, ...]) -> Diagnostic:
    """Return the refusal to change what Stripe fixes for good."""
    return Diagnostic(
        "E0702",
        f"{resource.address}: {', '.join(fields)} of {resource.kind.name} {live.id} cannot be changed at Stripe",
        resource.source,
        help="Add a meter under a new id and move usage to it, or put the value back.",
    )


def unfit(resource: Resource, live: Live, refusal: str) -> Diagnostic:
    """Return why an object stays as it is."""
    return Diagnostic("E0711", f"{resource.address}: {live.id} stays as it is: {refusal}", resource.source)


def planned_otherwise(address: str, live: Live) -> Diagnostic:
    """Return the refusal to end what somebody else's schedule plans something for."""
    why = f"schedule {live.facts['schedule']} of somebody else's plans other items for it"
    help_ = "Release the schedule, or cancel it, at Stripe; then it ends with its period."
    return Diagnostic("E0711", f"{address}: {live.id} stays as it is: {why}", help=help_)


def bound(resource: Resource, live: Live, fields: tuple[str, ...]) -> Diagnostic:
    """Return the refusal to replace what charges somebody."""
    return Diagnostic(
        "E0712",
        f"{resource.address}: {', '.join(fields)} of {live.id} cannot change, and a second one would charge twice",
        resource.source,
        help="Put the value back; or take it out of the files, apply, and add it anew when its period is over.",
    )


def refers_to_nothing(resource: Resource, address: str) -> Diagnostic:
    """Return the refusal to refer to what is not at Stripe."""
    return Diagnostic(
        "E0704",
        f"{resource.address} refers to {address}, which is no longer sold and is not at Stripe",
        resource.source,
        help=f"Remove the reference, or make {address} active.",
    )


def not_alike(
    resource: Resource, live: Live, before: State, after: State, fields: tuple[str, ...], *, ours: bool
) -> Diagnostic:
    """Return the refusal to change what is fixed under the id the file names, of our own object or one to take over."""
    fixed = [name for name in fields if forces_replacement(resource.kind, name, before.values, after.values)]
    shown = unlike(fixed, before.values, after.values)
    if ours:
        refusal = f"{resource.kind.name} {live.id} cannot change under a fixed id: {shown}"
        key = resource.kind.field(resource.kind.fixed_key or "").yaml or resource.kind.fixed_key
        remedy = f"Drop {key}, or change it too, for a new object; or put the value back."
    else:
        refusal = f"{live.id} cannot be taken over as it is: {shown}"
        remedy = "Make the file say what the object is, take it over, then change it; or drop the key that names it."
        for there, here in ((before.values.get(name), after.values.get(name)) for name in fixed):
            if isinstance(there, dict) and isinstance(here, dict) and "$id" in there and "$ref" in here:
                known = f"If {held(there)[1]} is {here['$ref']}, take it over first"
                remedy = f"{known}: `reconciler import {here['$ref']} {held(there)[1]}`. {remedy}"
    return Diagnostic("E0703", f"{resource.address}: {refusal}", resource.source, help=remedy)
