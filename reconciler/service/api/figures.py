"""Figures over HTTP, for operators: the first page of the dashboard as data, and reports of some months."""

import asyncio
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from reconciler.ledger.annex import AnnexStore
from reconciler.service.api.operation import Asked, Operation
from reconciler.service.dashboard.told import overview_json
from reconciler.service.figures.reports import REPORTS, Span
from reconciler.service.figures.tables import month_now, prepared
from reconciler.service.problems import ProblemError, invalid
from reconciler.service.service import Service

_MONTH = "^(19[7-9][0-9]|[2-9][0-9]{3})-(0[1-9]|1[0-2])$"
_MOST = 120


class ReportAsked(BaseModel):
    """The first and the last month, both included; the first alone where no last, the running one where none is."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    first: Annotated[str, Field(pattern=_MONTH)] | None = None
    last: Annotated[str, Field(pattern=_MONTH)] | None = None


class ReportAnswer(BaseModel):
    """Rows of a report; money is decimal text in major units of the row's currency; ``unknown`` is what is missing."""

    report: str
    first: str
    last: str
    rows: list[dict[str, Any]]
    notes: list[str]
    unknown: list[str]


class StateAnswer(BaseModel):
    """Something that is well (``good``), to be looked at (``warn``), or bad; empty where it is not known."""

    name: str
    words: str
    kind: str


class DashboardAnswer(BaseModel):
    """Key figures of the last days and of those before; money is decimal text by currency, ``null`` what is unknown."""

    days: int
    tenants: int
    active_this_month: int
    active_last_month: int
    calls: int
    calls_before: int
    credits_spent: str
    credits_spent_before: str
    charged: dict[str, str]
    charged_before: dict[str, str]
    reservations_ended: int
    reservations_committed: int
    revenue_this_month: dict[str, str] | None
    revenue_last_month: dict[str, str] | None
    monthly_recurring_revenue: dict[str, str] | None
    tools: dict[str, int]
    tightest: list[dict[str, Any]]
    states: list[StateAnswer]


def _store(service: Service) -> AnnexStore:
    return prepared(service.runtime.ledger.store)


async def _dashboard(asked: Asked) -> dict[str, Any]:
    return await asyncio.to_thread(overview_json, asked.service)


async def _report(asked: Asked) -> dict[str, Any]:
    make = REPORTS.get(asked.path["name"])
    if make is None:
        raise ProblemError(404, "not_found", f"Reports are {', '.join(REPORTS)}.")
    store = asked.service.runtime.ledger.store
    query = asked.query or ReportAsked()
    now = month_now(store.now())
    first = now if query.first is None else _month(query.first)
    last = (now if query.first is None else first) if query.last is None else _month(query.last)
    if not first <= last < first + _MOST:
        raise invalid(f"The first month is not behind the last, and there are at most {_MOST}.", "/query")
    return await asyncio.to_thread(lambda: make(_store(asked.service), Span(first, last)).as_json())


def _month(text: str) -> int:
    year, month = text.split("-")
    return (int(year) - 1970) * 12 + int(month) - 1


OPERATIONS = (
    Operation(
        "dashboard",
        "GET",
        "/v1/dashboard",
        "Tell key figures, tenants near their limits, and whether all is well",
        _dashboard,
        DashboardAnswer,
        "figures",
        "dashboard",
        who="operator",
    ),
    Operation(
        "report",
        "GET",
        "/v1/reports/{name}",
        "Tell revenue, usage, customers or tools of some months",
        _report,
        ReportAnswer,
        "figures",
        "report",
        who="operator",
        query=ReportAsked,
        problems=(404, 422),
        parameters={"name": f"One of {', '.join(REPORTS)}."},
    ),
)
