"""Models of what a tenant has, and of what changes it by hand."""

from typing import Annotated, Literal, Self

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, JsonValue, model_validator

from reconciler.service.api.model import Amount, Closed, Credits, Instant, Name, Text

_NULL: dict[str, JsonValue] = {"type": "null"}


class Whose(Closed):
    """Whose balance is asked for; a tenant's own credential need not say it."""

    tenant: Name | None = Field(None, description="The tenant. An operator names it.")


class LotAnswer(BaseModel):
    """What is left of one grant, in credits."""

    id: str
    granted: Amount
    remaining: Amount
    priority: int
    expires: AwareDatetime | None
    reason: str


class AllowanceAnswer(BaseModel):
    """``used`` of ``limit`` units or calls, until it resets."""

    of: str
    kind: Literal["included", "quota", "rate"]
    used: Amount
    limit: Amount
    resets_at: AwareDatetime | None
    source: str


class SubscriptionAnswer(BaseModel):
    """What is known of the tenant's subscription."""

    plan: str | None
    status: str
    start: AwareDatetime | None
    end: AwareDatetime | None
    anchor: AwareDatetime | None
    since: AwareDatetime | None


class BalanceAnswer(BaseModel):
    """A tenant's position. ``refused`` is the reason why it may call nothing, where that is so."""

    tenant: str
    plan: str | None
    subscription: SubscriptionAnswer | None
    refused: str | None
    credits: Amount
    held: Amount
    lots: list[LotAnswer]
    allowances: list[AllowanceAnswer]
    seq: int = Field(description="Number of the last entry of the tenant's ledger.")


class GrantAsked(Closed):
    """Credits, or a credit pack with its bonus, for a tenant, and why."""

    model_config = ConfigDict(
        json_schema_extra={
            "oneOf": [
                {"required": ["credits"], "properties": {"credits": {"not": _NULL}, "pack": _NULL}},
                {"required": ["pack"], "properties": {"pack": {"not": _NULL}, "credits": _NULL, "expires": _NULL}},
            ]
        }
    )

    tenant: Name
    credits: Credits | None = None
    pack: Name | None = None
    expires: Instant | None = None
    priority: Annotated[int, Field(ge=0, le=100)] = Field(50, description="Lots are spent by it, 0 first.")
    reason: Text

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.credits is None) == (self.pack is None):
            raise ValueError("name credits or a pack")
        if self.pack is not None and self.expires is not None:
            raise ValueError("a pack expires as the files say")
        return self


class GrantAnswer(BaseModel):
    """The tenant's credits after a grant."""

    tenant: str
    key: str
    credits: Amount


class RefundAsked(Closed):
    """The call made under the key ``of``, all of what is left of its payment or so many credits."""

    tenant: Name
    of: Name
    credits: Credits | None = None
    renew_until: Instant | None = Field(None, description="Keep what has expired meanwhile until then.")


class RefundAnswer(BaseModel):
    """Credits that went back to their lots, to a new lot, or were lost with expired ones.

    ``owed`` are units by meter whose billing period is over, to be given back as money.
    """

    tenant: str
    key: str
    restored: Amount
    renewed: Amount
    lost: Amount
    owed: dict[str, int]


class ReloadAnswer(BaseModel):
    """The policy that decides now."""

    config_digest: str
    revision: str
