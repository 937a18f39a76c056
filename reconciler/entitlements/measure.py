"""From a call's arguments and result to the numbers it is counted by, as its tool says."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from reconciler.entitlements.kinds.bounds import Ask
from reconciler.entitlements.policy import Tool
from reconciler.entitlements.terms import DIRECT, Call, blocks_of

#: Largest number one call may count: fifteen digits, as a meter event holds.
MOST = 10**15 - 1
#: A tool's rule for its quantity, and where the units of each meter come from.
Measures = tuple[Sequence[Any] | None, Sequence[Sequence[Any]]]


class MeasureError(ValueError):
    """A call cannot be counted: a number is missing, no whole number, negative or too large."""


def ask_of(call: Call, quantity: int, units: Mapping[str, int] | None, times: int = 1) -> Ask:
    """Return what a call asks for; MeasureError where a meter that is measured on the call got no number.

    A call that access refuses needs none: the refusal is told first.
    """
    if units is None and quantity == 1 and times == 1 and call.plain is not None:
        return call.plain
    if call.refused is not None:
        units = {**dict.fromkeys(measured_on(call.meters), 1), **(units or {})}
    return asked(measures_of(call), quantity, units, times)


def measured_on(meters: Iterable[Sequence[Any]]) -> list[str]:
    """Return the meters whose units are known only when the call is made."""
    return [meter for meter, number in meters if isinstance(number, str) and number != DIRECT]


def measures_of(call: Call) -> Measures:
    """Return how a call is counted, as a reservation keeps it: the commit is measured by the rule it was made under."""
    return call.tool.quantity, call.meters


def asked(measures: Measures, quantity: int, units: Mapping[str, int] | None, times: int = 1) -> Ask:
    """Return what a call asks for by a rule of counting; MeasureError as :func:`ask_of`."""
    rule, meters = measures
    blocks = blocks_of(rule, _checked("quantity", quantity))
    if blocks * times > MOST:
        raise MeasureError("the quantity is too large")
    given = units or {}
    if stray := given.keys() - {meter for meter, _ in meters}:
        raise MeasureError(f"the call does not count {', '.join(sorted(stray))}")
    return Ask(times, blocks, tuple((meter, _units(meter, fixed, quantity, given) * times) for meter, fixed in meters))


def _units(meter: str, fixed: int | str, quantity: int, given: Mapping[str, int]) -> int:
    if meter in given:
        return _checked(meter, given[meter])
    if isinstance(fixed, int):
        return fixed
    if fixed == DIRECT:
        return quantity
    raise MeasureError(f"{meter!r} is counted from {fixed}: pass units={{{meter!r}: …}}")


def _checked(name: str, number: Any) -> int:
    if isinstance(number, bool) or not isinstance(number, int) or not 0 <= number <= MOST:
        raise MeasureError(f"{name} must be a whole number from 0 to {MOST}, not {number!r}")
    return number


def measured(tool: Tool, arguments: Mapping[str, Any], result: Mapping[str, Any] | None) -> tuple[int, dict[str, int]]:
    """Return quantity and units of a call from its arguments and, where it is there, its result.

    What stands in a result that is not there yet is left out; MeasureError where a number is no whole number.
    """
    quantity = 1
    if tool.quantity is not None:
        found = _found(tool.quantity[0], arguments, result)
        quantity = 1 if found is None else _checked(tool.quantity[0], found)
    units = {}
    for meter, source in tool.counts.items():
        if isinstance(source, str) and (number := _found(source, arguments, result)) is not None:
            units[meter] = _checked(source, number)
    return quantity, units


def _found(source: str, arguments: Mapping[str, Any], result: Mapping[str, Any] | None) -> Any:
    """Follow ``argument.a.b`` or ``result.a``; MeasureError where the call has no such value."""
    where, *names = source.split(".")
    value: Any = arguments if where == "argument" else result
    if value is None:
        return None
    for name in names:
        if not isinstance(value, Mapping) or name not in value:
            raise MeasureError(f"the call has no {source}")
        value = value[name]
    return value
