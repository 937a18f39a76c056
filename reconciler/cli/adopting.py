"""Showing what is taken over and what is left, asking, and writing the marks."""

import json
import secrets
from collections.abc import Iterator
from datetime import UTC, datetime

from reconciler.cli.account import connect
from reconciler.cli.applying import Apply
from reconciler.cli.config import load
from reconciler.cli.context import App
from reconciler.cli.exits import Exit
from reconciler.cli.invocation import same_target
from reconciler.cli.options import AccountOptions, ConfigOptions
from reconciler.config.words import count
from reconciler.diagnostics.table import table
from reconciler.planning.adopt import Adoption, Left, Taken, describe
from reconciler.planning.plan import Plan
from reconciler.provider.adopt import Offer, offer_matches, offer_one
from reconciler.provider.binding import check_account, check_mode
from reconciler.provider.gateway import Connection, Gateway


class Adopting:
    """One import: what the files find, or one object for one address."""

    def __init__(self, app: App, config: ConfigOptions, account: AccountOptions, connection: Connection | None) -> None:
        self._app = app
        self._config = config
        self._account = account
        self._connection = connection or connect(account)

    def run(self, pick: tuple[str, str] | None, *, form: str, dry_run: bool, ask: bool) -> int:
        """Read without a way to write, show, ask, write the marks; return the exit code."""
        offer = self._offer(pick)
        show = _json(offer) if form == "json" else "".join(_text(offer, whole=pick is None))
        self._app.out.data(show)
        changes = offer.plan.changes
        if dry_run or not changes:
            return Exit.OK
        if ask and not self._confirmed(offer.plan):
            self._app.out.problem("Nothing was written.")
            return Exit.ERROR
        resume = "Run the same command again: what is marked already stays as it is."
        unlock = same_target("unlock", self._config, self._account)
        code = Apply(self._app, self._connection, offer.plan, None, form, resume, unlock, records=False).run()
        if code == Exit.OK:
            self._app.out.note(f"Next: {same_target('plan', self._config, self._account)}")
        return code

    def _offer(self, pick: tuple[str, str] | None) -> Offer:
        catalog, _sources = load(self._app, self._config)
        check_mode(self._connection.mode, catalog.environment)
        gateway = Gateway(self._connection, read_only=True)
        check_account(gateway, catalog.environment)
        plan_id, now = secrets.token_hex(16), datetime.now(UTC)
        if pick is None:
            return offer_matches(catalog, gateway, plan_id=plan_id, now=now)
        return offer_one(catalog, gateway, *pick, plan_id=plan_id, now=now)

    def _confirmed(self, plan: Plan) -> bool:
        word = plan.target.account if plan.target.mode == "live" else "yes"
        what = f"Write these marks to account {plan.target.account} in {plan.target.mode} mode? Type {word} to go on."
        return self._app.ask(what, "--auto-approve") == word


def _text(offer: Offer, *, whole: bool) -> Iterator[str]:
    adoption, target = offer.adoption, offer.plan.target
    yield f"Account {target.account} ({target.mode}), namespace {target.namespace}\n\n"
    if adoption.taken:
        yield "Taken over, by owner marks in metadata (managed_by, address, config_digest, own keys) alone:\n"
        yield table([_taken(each) for each in adoption.taken], indent="  ")
        for each in adoption.taken if not whole else ():
            yield table([(f"metadata.{name}", value) for name, value in _mark(offer.plan, each).items()], indent="    ")
        yield "\n"
    renewed = len(offer.plan.changes) - len(adoption.taken)
    if renewed:
        yield f"{count(renewed, 'mark')} renewed, of objects that refer to these.\n"
    if whole and adoption.left:
        yield "Left as it is:\n"
        yield table([_left(each) for each in adoption.left], indent="  ") + "\n"
    left = f", {len(adoption.left)} left" if whole else ""
    taken, settled = count(len(adoption.taken), "object"), len(adoption.settled)
    yield f"{taken} to take over, {settled} under management already{left}.\n"


def _taken(each: Taken) -> tuple[str, ...]:
    later = f"the next plan changes {', '.join(each.later)}" if each.later else "as the files say"
    return each.address, describe(each.live), each.live.id, later


def _left(each: Left) -> tuple[str, ...]:
    return each.live.id, describe(each.live), each.address or "", each.why


def _json(offer: Offer) -> str:
    adoption: Adoption = offer.adoption
    content = {
        "account": offer.plan.target.account,
        "mode": offer.plan.target.mode,
        "namespace": offer.plan.target.namespace,
        "taken": [
            {
                "address": each.address,
                "kind": each.live.kind.name,
                "id": each.live.id,
                "later": list(each.later),
                "mark": _mark(offer.plan, each),
            }
            for each in adoption.taken
        ],
        "left": [
            {"address": each.address, "kind": each.live.kind.name, "id": each.live.id, "why": each.why}
            for each in adoption.left
        ],
        "settled": {address: live.id for address, live in adoption.settled.items()},
    }
    return json.dumps(content, indent=2) + "\n"


def _mark(plan: Plan, taken: Taken) -> dict[str, str]:
    states = (change.after for change in plan.changes if (change.address, change.id) == (taken.address, taken.live.id))
    return next((dict(state.metadata) for state in states if state is not None), {})
