"""From a catalogue to a policy: every term in integers, with the place in the files that says so.

The one part of the runtime that knows the models; it is loaded only where YAML is read.
"""

from collections.abc import Iterable
from decimal import Decimal
from pathlib import Path

from reconciler import money
from reconciler.config import models
from reconciler.config.catalog import Catalog, load_catalog
from reconciler.config.models.offers import CreditTerms, PerCall, TransformQuantity
from reconciler.config.models.offers import Limit as LimitModel
from reconciler.config.models.usage import AllowUpTo, Measured
from reconciler.config.terms import plan_currency, sold, tenant_currency, through_spend
from reconciler.entitlements.periods import micros
from reconciler.entitlements.policy import (
    MICRO,
    SPEND,
    CallPrices,
    CreditCosts,
    Fine,
    Grant,
    Limit,
    Line,
    Meter,
    Pack,
    Plan,
    Policy,
    Rate,
    Step,
    Tenant,
    Tool,
)
from reconciler.pricing.tariff import call_prices
from reconciler.resources.names import EVENT_NAME_LIMIT, default_key
from reconciler.resources.spend import spend_currencies, spend_meter_address


def compile_directory(directory: Path, env: str | None = None) -> Policy:
    """Read, check and compile a directory; ConfigError with every problem where there is an error."""
    return compile_catalog(load_catalog(directory, env))


def compile_catalog(catalog: Catalog) -> Policy:
    """Return the policy of a valid catalogue; the same content gives the same policy."""
    return _Compiler(catalog).policy()


class _Compiler:
    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self._file = catalog.file

    def policy(self) -> Policy:
        file, settings = self._file, self._catalog.settings
        return Policy(
            config_digest=self._catalog.digest,
            namespace=settings.namespace,
            zone=settings.timezone,
            default_plan=settings.default_plan,
            grace_days=settings.past_due_grace_days,
            default_meter=settings.default_meter,
            features={name: feature.name for name, feature in file.features.items()},
            meters=self._meters(),
            tools={name: self._tool(name, tool) for name, tool in file.tools.items()},
            plans={name: self._plan(name, plan) for name, plan in file.plans.items() if plan.status != "draft"},
            packs={name: self._pack(name, pack) for name, pack in file.credit_packs.items() if pack.status != "draft"},
            tenants={name: self._tenant(name, tenant) for name, tenant in file.tenants.items()},
        )

    def _at(self, *path: str | int) -> str:
        where = self._catalog.at(*path)
        return "" if where is None else str(where)

    def _adds_up(self, meter: str) -> bool:
        """Tell whether the runtime can count on a meter; one that keeps the last value is Stripe's alone."""
        return self._file.meters[meter].aggregation != "last"

    def _meters(self) -> dict[str, Meter]:
        file, namespace = self._file, self._catalog.namespace
        found = {
            name: Meter(
                meter.event_name or default_key(namespace, f"meters.{name}", EVENT_NAME_LIMIT),
                meter.aggregation,
                meter.customer_key,
                meter.value_key,
                _WINDOWS[meter.event_time_window],
            )
            for name, meter in file.meters.items()
            if self._adds_up(name)
        }
        for currency in sorted(spend_currencies(file)):
            address = spend_meter_address(currency)
            event_name = default_key(namespace, address, EVENT_NAME_LIMIT)
            found[address.removeprefix("meters.")] = Meter(event_name, "sum", "stripe_customer_id", "value", 0)
        return found

    def _tool(self, name: str, tool: models.Tool) -> Tool:
        taken = tool.quantity
        quantity = None if taken is None else (taken.source, taken.per, taken.round == "up")
        counts = {
            meter: number.source if isinstance(number, Measured) else number for meter, number in tool.counts.items()
        }
        on_error = tool.on_error.allow_up_to if isinstance(tool.on_error, AllowUpTo) else -int(tool.on_error == "allow")
        return Tool(tool.title, tool.requires, quantity, counts, on_error, self._at("tools", name))

    def _plan(self, name: str, plan: models.BillingPlan) -> Plan:
        currency, here = plan_currency(self._file, plan), ("plans", name)
        return Plan(
            name,
            plan.name,
            plan.status,
            frozenset(plan.features),
            plan.tools,
            tuple(self._limit(limit, *here, "limits", index) for index, limit in enumerate(plan.limits)),
            {
                meter: self._line(meter, line, plan, currency, (*here, "usage", meter))
                for meter, line in plan.usage.items()
                if self._adds_up(meter)
            },
            self._calls(plan.per_call, currency, name) if plan.per_call else None,
            self._credits(plan.credits, name) if plan.credits else None,
            plan.pay,
            _monthly(plan),
            currency,
            self._at(*here),
        )

    def _limit(self, limit: LimitModel, *path: str | int) -> Limit:
        burst, day = limit.burst or limit.max, limit.resets_on or 1
        return Limit(limit.of, limit.max, limit.per, limit.kind, burst, day, limit.upgrade_to, self._at(*path))

    def _line(
        self,
        meter: str,
        line: models.UsageLine,
        plan: models.BillingPlan | None,
        currency: str,
        path: tuple[str, ...],
    ) -> Line:
        overage = sold(line)
        through = overage is not None and through_spend(self._file, plan, line)
        over = "deny" if line.overage == "deny" else "priced" if overage is not None else "credits"
        each = line.overage.credits if over == "credits" and line.overage != "deny" else None
        found = None if overage is None else self._rate(overage)
        return Line(
            meter,
            line.included,
            over,
            _micro(each) if each is not None else 0,
            "subscription" if overage is not None else line.per,
            line.resets_on or 1,
            "month" if through else line.interval,
            1 if through else line.interval_count,
            currency,
            found if isinstance(found, Rate) else None,
            found if isinstance(found, Fine) else None,
            SPEND + currency if through else "",
            self._at(*path),
        )

    def _rate(self, overage: models.Overage) -> Rate | Fine:
        """Return the price of units beyond the included ones, in millionths or, if that is too coarse, finer."""
        package, up = _package(overage.transform_quantity)
        if overage.tiers is None:
            brackets: Iterable[tuple[int | str, Decimal | None, Decimal | None]] = [("inf", overage.unit_amount, None)]
            mode = "graduated"
        else:
            table = self._file.tiers[overage.tiers]
            mode = table.mode
            brackets = [(step.up_to, step.unit_amount, step.flat_amount) for step in table.steps]
        found = [(up_to, unit or Decimal(0), flat or Decimal(0)) for up_to, unit, flat in brackets]
        places = max(_PLACES, *(money.decimals(amount) for _, unit, flat in found for amount in (unit, flat)))
        rate = Rate(
            mode,
            package,
            up,
            tuple(
                (None if up_to == "inf" else int(up_to), _scaled(unit, places), _scaled(flat, places))
                for up_to, unit, flat in found
            ),
        )
        return rate if places == _PLACES else Fine(places, rate)

    def _calls(self, terms: PerCall, currency: str, plan: str) -> CallPrices:
        prices = call_prices(self._file, terms, currency)

        def steps(tool: str, price: Decimal | None) -> tuple[Step, ...]:
            assert price is not None  # noqa: S101  asked for listed tools and a default that is there
            if not price:
                return ()
            if not prices.steps:
                return (Step(None, _major(price, currency)),)
            return tuple(
                Step(step.up_to, _major(prices.discounted(tool, price, step), currency)) for step in prices.steps
            )

        return CallPrices(
            currency,
            {tool: steps(tool, price) for tool, price in prices.prices.listed.items()},
            None if prices.prices.default is None else steps("", prices.prices.default),
            _major(prices.minimum, currency),
            prices.scope,
            self._at("plans", plan, "per_call"),
        )

    def _credits(self, terms: CreditTerms, plan: str) -> CreditCosts:
        recharge = terms.auto_recharge
        return CreditCosts(
            {tool: _micro(cost) for tool, cost in terms.tools.items()},
            None if terms.default is None else _micro(terms.default),
            _micro(terms.included),
            terms.rollover,
            None if recharge is None else (_micro(recharge.below), recharge.pack),
            self._at("plans", plan, "credits"),
        )

    def _pack(self, name: str, pack: models.CreditPack) -> Pack:
        lasts = None
        if pack.expires_after:
            number, unit = pack.expires_after.split()
            lasts = (int(number), unit.removesuffix("s"))
        return Pack(
            name,
            pack.name,
            _micro(pack.credits),
            _micro(pack.bonus),
            _micro(pack.price),
            pack.currency or self._catalog.settings.currency,
            pack.status,
            lasts,
            micros(pack.expires) if pack.expires else None,
            self._at("credit_packs", name),
        )

    def _tenant(self, name: str, tenant: models.Tenant) -> Tenant:
        here, currency = ("tenants", name), tenant_currency(self._file, tenant)
        plan = self._file.plans.get(tenant.plan or "")
        return Tenant(
            tenant.name,
            tenant.plan,
            frozenset(tenant.features),
            tenant.tools,
            tuple(self._limit(limit, *here, "limits", index) for index, limit in enumerate(tenant.limits)),
            {
                meter: self._line(meter, line, plan, currency, (*here, "usage", meter))
                for meter, line in tenant.usage.items()
                if self._adds_up(meter)
            },
            tuple(
                Grant(
                    grant.id,
                    _micro(grant.amount),
                    micros(grant.expires) if grant.expires else None,
                    grant.reason or "",
                    self._at(*here, "credits", index),
                )
                for index, grant in enumerate(tenant.credits)
            ),
            {key.id: key.sha256 for key in tenant.api_keys},
            self._at(*here),
        )


#: Decimal places of a millionth.
_PLACES = 6
_WINDOWS = {None: 0, "hour": 3600, "day": 86_400}
_MONTHS = {"day": Decimal(365) / 12, "week": Decimal(52) / 12, "month": Decimal(1), "year": Decimal(1) / 12}


def _micro(amount: Decimal) -> int:
    """Return an amount that validation made sure is whole in millionths."""
    return _scaled(amount, _PLACES)


def _scaled(amount: Decimal, places: int) -> int:
    """Return an amount in units of ten to the minus so many places, which hold it exactly."""
    return int(money.EXACT.scaleb(amount, places))


def _major(minor: Decimal, currency: str) -> int:
    return _micro(money.to_major(minor, currency))


def _package(packages: TransformQuantity | None) -> tuple[int, bool]:
    return (packages.divide_by, packages.round == "up") if packages else (1, True)


def _monthly(plan: models.BillingPlan) -> int | None:
    """Return about what a month of the plan costs, which orders remedies only; ``None`` where no flat price says."""
    chosen = plan.prices.get(plan.default_price or "") or next(iter(plan.prices.values()), None)
    if chosen is None:
        return 0
    if chosen.amount is None or chosen.interval == "once":
        return None
    return int(chosen.amount * MICRO * _MONTHS[chosen.interval] / chosen.interval_count)
