"""Models of calls: what is asked about, what is decided."""

from typing import Annotated, Any, Literal, Self

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, model_validator

from reconciler.entitlements import Reason
from reconciler.service.api.model import Amount, Closed, Count, Name

Units = Annotated[dict[Name, Count], Field(min_length=1, max_length=100)]
_TEXT, _NULL = {"type": "string"}, {"type": "null"}
_ONE: dict[str, Any] = {
    "oneOf": [
        {"required": ["tool"], "properties": {"tool": _TEXT, "meter": _NULL}},
        {"required": ["meter"], "properties": {"meter": _TEXT, "tool": _NULL, "units": _NULL}},
    ]
}
LONGEST_HOLD, HOLD = 86_400, 600


class Call(Closed):
    """A call of a tool with its numbers, or units of a meter directly."""

    model_config = ConfigDict(json_schema_extra=_ONE)

    tool: Name | None = Field(None, description="The tool that is called.")
    meter: Name | None = Field(None, description="The meter, where units are counted directly.")
    quantity: Count = Field(1, description="What credits and prices per call are multiplied by.")
    units: Units | None = Field(None, description="Units of the meters that the tool counts from its result.")

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.tool is None) == (self.meter is None):
            raise ValueError("name a tool or a meter")
        if self.meter is not None and self.units is not None:
            raise ValueError("units are a tool's; of a meter, quantity is the number")
        return self

    def given(self) -> dict[str, Any]:
        """Return the call as the runtime takes it."""
        return {"meter": self.meter, "quantity": self.quantity, "units": self.units}


class TenantCall(Call):
    """A call of a tenant; a tenant's own credential need not name it."""

    tenant: Name | None = Field(None, description="The tenant. An operator names it.")


class Reserve(TenantCall):
    """A call whose cost is set aside until it is committed or released, or so many seconds have passed."""

    seconds: Annotated[int, Field(ge=1, le=LONGEST_HOLD)] = Field(HOLD, description="How long the hold lasts.")


class Batch(Closed):
    """Calls that are each decided as if they were the only one."""

    tenant: Name | None = Field(None, description="The tenant. An operator names it.")
    calls: Annotated[list[Call], Field(min_length=1, max_length=100)]


class Commit(Closed):
    """What was really used; what is left out is as it was reserved."""

    tenant: Name | None = Field(None, description="The tenant. An operator names it.")
    quantity: Count | None = None
    units: Units | None = None


class Release(Closed):
    """Whose reservation is given back."""

    tenant: Name | None = Field(None, description="The tenant. An operator names it.")


class RemedyAnswer(BaseModel):
    """What would unlock a refused call: a plan or pack to buy, where, or the instant from which waiting helps."""

    kind: Literal["plan", "pack", "wait"]
    id: str
    name: str
    url: str | None
    at: AwareDatetime | None


class DecisionAnswer(BaseModel):
    """The answer to a call. Amounts are exact decimals in strings: ``cost`` in ``unit``, a currency or ``credit``.

    ``remaining`` of ``limit`` is what is left of the ``bound`` that is closest: credits, units or calls; ``short`` how
    much was lacking. ``retry_after`` is in seconds.
    """

    allowed: bool
    reason: Reason
    tenant: str
    tool: str
    paid_by: str
    cost: Amount | None
    unit: str
    bound: str
    remaining: Amount | None
    limit: Amount | None
    short: Amount
    resets_at: AwareDatetime | None
    retry_after: int | None
    remedy: RemedyAnswer | None
    source: str
    config_digest: str
    recharge: str | None
    replayed: bool
    degraded: bool


class BatchAnswer(BaseModel):
    """Decisions in the order of the calls."""

    decisions: list[DecisionAnswer]


class ReservationAnswer(BaseModel):
    """A hold under its key, and the decision that made it."""

    key: str
    decision: DecisionAnswer


class ReleaseAnswer(BaseModel):
    """Whether there was something to give back."""

    key: str
    released: bool
