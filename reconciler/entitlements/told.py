"""Entries of a ledger in one plain sentence each, with the amounts that moved. Pure."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from reconciler.config.words import count
from reconciler.entitlements.books import OWN
from reconciler.entitlements.explain import amount, moment
from reconciler.entitlements.ledger_calls import Booked, call_of
from reconciler.entitlements.policy import SPEND
from reconciler.ledger.book import Lot
from reconciler.ledger.checkpoint import KIND as CHECKPOINT
from reconciler.ledger.entry import Entry

_FILE = f"{OWN}file:"


class Told(NamedTuple):
    """What an entry says; ``of`` is the key of the call, reservation or grant it is about, where it is another entry.

    ``effect`` is ``in`` where credits came in or back, ``out`` where they were spent or went, empty otherwise.
    """

    text: str
    of: str | None = None
    effect: str = ""


def told(entry: Entry, following: Entry | None = None) -> Told:
    """Tell an entry in a sentence; of a refund the entry behind it says which call it was of."""
    if entry.kind == "refund":
        return _refund(entry, following)
    if entry.kind == CHECKPOINT:
        number = entry.answer["archived"]
        return Told(f"Calls up to entry {entry.answer['seq']} were archived: {number:,} entries in all.")
    say = SENTENCES.get(entry.kind)
    return Told(f"An entry of the kind {entry.kind}.") if say is None else say(entry)


def _granted(entry: Entry) -> Told:
    lot = Lot(*entry.answer)
    by = "The files grant" if lot.id.startswith(_FILE) else "Granted"
    why = f": {lot.reason}" if lot.reason else ""
    return Told(f"{by} {amount(lot.granted, 'credit')}{_until(lot.expires)}{why}.", effect="in")


def _reset(entry: Entry) -> Told:
    lot = Lot(*entry.answer)
    return Told(f"The month brought its {amount(lot.granted, 'credit')}{_until(lot.expires)}.", effect="in")


def _renew(entry: Entry) -> Told:
    lot = Lot(*entry.answer)
    given = amount(lot.granted, "credit")
    return Told(f"{given} of a refund whose lot had expired may be spent{_until(lot.expires)}.", effect="in")


def _until(expires: int | None) -> str:
    return "" if expires is None else f" until {moment(expires)}"


def _consumed(entry: Entry) -> Told:
    return _paid(entry, _called(entry))


def _owed(entry: Entry) -> Told:
    return _paid(entry, f"{_called(entry)} while the ledger was away, booked later,")


def _committed(entry: Entry) -> Told:
    hold = str(entry.key).removeprefix(f"{OWN}commit:")
    return _paid(entry, f"Finished a reserved call of {entry.answer[0][0]}")._replace(of=hold)


def _settled(entry: Entry) -> Told:
    calls = entry.answer[3]["calls"]
    return _paid(entry, f"Booked {count(calls, 'call')} of {entry.answer[0][0]} that had been lent to a process")


def _called(entry: Entry) -> str:
    call = call_of(entry)
    direct = call.units and all(units.meter == call.tool for units in call.units)
    return f"Used units of {call.tool}" if direct else f"Called {call.tool}"


def _paid(entry: Entry, head: str) -> Told:
    """Tell what a call cost, what it counted, what was not there and what was left then."""
    call, stored = call_of(entry), entry.answer[0]
    costs = [amount(call.credits, "credit")] if call.credits else []
    costs += [amount(each.number, each.meter.removeprefix(SPEND)) for each in call.spent]
    paid = f"for {' and '.join(costs)}" if costs else _unpaid(call)
    short = f"; {amount(call.short, 'credit')} short" if call.short else ""
    return Told(f"{head} {paid}{_units(call)}{short}{_left(stored)}.", effect="out" if call.credits else "")


def _unpaid(call: Booked) -> str:
    """Tell how a call that took neither credits nor a charge of its own is paid."""
    if call.short:
        return "unpaid"
    if call.paid_by != "usage":
        return "free of charge"
    if call.cost is None:
        return "billed by the unit"
    return f"for {amount(call.cost, call.unit)}, billed by the unit" if call.cost else "within what is included"


def _units(call: Booked) -> str:
    counted: dict[str, int] = {}
    for units in call.units:
        counted[units.meter] = counted.get(units.meter, 0) + units.number
    return _changes(counted)


def _changes(counted: Mapping[str, int]) -> str:
    told = ", ".join(f"{meter} {number:+,}" for meter, number in counted.items() if number)
    return f" ({told})" if told else ""


def _left(stored: list[Any]) -> str:
    remaining, limit, bound = stored[4:7]
    if remaining is None:
        return ""
    if bound == "credits":
        return f"; {amount(remaining, 'credit')} left"
    of = f" of {limit:,}" if limit is not None else ""
    return f"; {remaining:,}{of} {bound} left"


def _reserved(entry: Entry) -> Told:
    held, tool = _held(entry), entry.answer[0][0]
    what = f"Set aside {amount(held, 'credit')} for a call of {tool}" if held else f"Reserved a call of {tool}"
    return Told(f"{what}.", effect="out" if held else "")


def _lent(entry: Entry) -> Told:
    held = _held(entry)
    price = f", with {amount(held, 'credit')} set aside" if held else ""
    size, tool = entry.answer[1]["size"], entry.answer[0][0]
    return Told(f"Lent {count(size, 'call')} of {tool} to a process{price}.", effect="out" if held else "")


def _held(entry: Entry) -> int:
    return sum(each.amount for each in entry.transfers if each.target.startswith("held:"))


def _released(entry: Entry) -> Told:
    return _given_back(entry, "A reservation was given up")


def _lapsed(entry: Entry) -> Told:
    lent = str(entry.answer["hold"]).startswith(OWN)
    return _given_back(entry, "Lent calls ran out of time" if lent else "A reservation ran out of time")


def _given_back(entry: Entry, what: str) -> Told:
    back = sum(each.amount for each in entry.transfers if each.target.startswith("lot:"))
    gone = sum(each.amount for each in entry.transfers if each.target in ("expired", "voided"))
    told = f": {amount(back, 'credit')} went back" if back else ""
    lost = f", of which {amount(gone, 'credit')} had run out or been taken away meanwhile" if gone else ""
    hold = str(entry.answer["hold"])
    return Told(f"{what}{told}{lost}.", None if hold.startswith(OWN) else hold, "in" if back > gone else "")


def _expired(entry: Entry) -> Told:
    left = entry.answer["credits"]
    text = f"{amount(left, 'credit')} ran out unspent." if left else "A used-up grant reached its end."
    return Told(text, _plain(entry.answer["lot"]), "out" if left else "")


def _voided_by(entry: Entry) -> Told:
    answer = entry.answer
    why = f": {answer['reason']}" if answer["reason"] else ""
    left = amount(answer["credits"], "credit")
    effect = "out" if answer["credits"] else ""
    return Told(f"Took away what was left of a grant, {left}{why}.", _plain(answer["lots"][0]), effect)


def _voided(entry: Entry) -> Told:
    return Told("From here on nothing comes back to a grant that was taken away.", _plain(entry.answer["lot"]))


def _reversal(entry: Entry) -> Told:
    answer = entry.answer
    moved = sum(answer["lots"].values())
    if moved < 0:
        return Told(f"{amount(-moved, 'credit')} came back: the payment holds again.", _plain(answer["purchase"]), "in")
    effect = "out" if moved else ""
    return Told(f"Took back {amount(moved, 'credit')}, whose payment went back.", _plain(answer["purchase"]), effect)


def _plain(key: str) -> str | None:
    """Return a key that a person gave; the ledger's own say nothing to anybody."""
    return None if key.startswith(OWN) else key


def _refund(entry: Entry, following: Entry | None) -> Told:
    came = entry.answer
    parts = [f"{amount(came['restored'], 'credit')} went back to where they came from"] if came["restored"] else []
    parts += [f"{amount(came['renewed'], 'credit')} came back as a new grant"] if came["renewed"] else []
    parts += [f"{amount(came['lost'], 'credit')} lost, as the grant they came from is over"] if came["lost"] else []
    back = _taken_back(entry)
    charged = {meter: number for meter, number in back.items() if meter.startswith(SPEND)}
    parts += [f"{amount(number, meter.removeprefix(SPEND))} charged no more" for meter, number in charged.items()]
    owed = ", ".join(f"{number:,} {meter}" for meter, number in came["owed"].items())
    parts += [f"billed already and owed back as money: {owed}"] if owed else []
    known = following is not None and following.kind == "refunded"
    of = str(following.answer["of"]) if following is not None and known else None
    said = "; ".join(parts) or "nothing to pay back"
    counted = _changes({meter: -number for meter, number in back.items() if meter not in charged})
    return Told(f"Refunded a call: {said}{counted}.", of, "in" if came["restored"] or came["renewed"] else "")


def _taken_back(entry: Entry) -> dict[str, int]:
    """Return the units by meter that a refund took back, those that are owed as money apart."""
    back: dict[str, int] = {}
    for source, target, number in entry.transfers:
        if target.startswith("metered:") and not source.startswith("owed:"):
            meter, sign = target.removeprefix("metered:"), 1
        elif source.startswith("metered:") and not target.startswith("owed:"):
            meter, sign = source.removeprefix("metered:"), -1
        else:
            continue
        back[meter] = back.get(meter, 0) + sign * number
    return back


def _refunded(entry: Entry) -> Told:
    answer = entry.answer
    text = f"So far {amount(answer['refunded'], 'credit')} of this call were refunded"
    counted = ", and its units count no more" if answer["uncounted"] else ""
    return Told(f"{text}{counted}.", str(answer["of"]))


def _subscription(entry: Entry) -> Told:
    plan, status, start, end, *_ = entry.answer
    of = f" to plan {plan}" if plan else ""
    period = f", from {moment(start)} to {moment(end)}" if start is not None and end is not None else ""
    return Told(f"The subscription{of} is {status}{period}.")


def _exported(entry: Entry) -> Told:
    sums: dict[str, int] = {}
    for source, target, number in entry.transfers:
        account, sign = (target, 1) if target.startswith("sent:") else (source, -1)
        meter = account.removeprefix("sent:").rpartition("@")[0]
        sums[meter] = sums.get(meter, 0) + sign * number
    units = [
        amount(number, meter.removeprefix(SPEND)) if meter.startswith(SPEND) else f"{meter} {number:,}"
        for meter, number in sums.items()
    ]
    return Told(f"Handed to the export for billing: {', '.join(units) or 'nothing'}.")


def _recalled(_entry: Entry) -> Told:
    return Told("Asked the processes that hold lent calls to give them back.")


#: What says each kind of entry there is; a refund needs the entry behind it too.
SENTENCES: Mapping[str, Callable[[Entry], Told]] = MappingProxyType(
    {
        "commit": _committed,
        "consume": _consumed,
        "expire": _expired,
        "export": _exported,
        "grant": _granted,
        "lapse": _lapsed,
        "lease": _lent,
        "owed": _owed,
        "recall": _recalled,
        "refund": lambda entry: _refund(entry, None),
        "refunded": _refunded,
        "release": _released,
        "renew": _renew,
        "reserve": _reserved,
        "reset": _reset,
        "reversal": _reversal,
        "settle": _settled,
        "subscription": _subscription,
        "void": _voided_by,
        "voided": _voided,
    }
)
