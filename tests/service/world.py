"""A small catalogue behind the service: two tenants with keys, one without, an operator."""

from dataclasses import replace
from typing import Any

from reconciler.entitlements import Entitlements
from reconciler.entitlements.compile import compile_catalog
from reconciler.service.app import create_app
from reconciler.service.identity.keys import OPERATOR, TENANT, new_key, sha256_of
from reconciler.service.service import Files, Service
from reconciler.service.settings import Pace, Settings
from tests.entitlements.worlds import HandClock
from tests.loop.world import catalog_of
from tests.service.client import Client

ACME_KEY, RIVAL_KEY, OPERATOR_KEY = new_key(TENANT), new_key(TENANT), new_key(OPERATOR)
FILES: dict[str, Any] = {
    "settings": {"namespace": "acme", "currency": "usd", "default_meter": "calls"},
    "meters": {"calls": {"name": "Calls"}, "tokens": {"name": "Tokens"}},
    "features": {"reports": {"name": "Reports"}},
    "tools": {
        "llm": {"counts": {"calls": 1, "tokens": {"from": "result.tokens"}}},
        "report": {"requires": ["reports"]},
    },
    "plans": {
        "credits": {"name": "Credits", "credits": {"default": 1, "tools": {"big": 10, "half": "0.5"}}},
        "free": {
            "name": "Free",
            "tools": ["basic"],
            "usage": {"calls": {"included": 3, "per": "month", "overage": "deny"}},
            "limits": [{"of": "*", "max": 2, "per": "minute", "kind": "rate"}],
        },
        "pro": {"name": "Pro", "features": ["reports"], "usage": {"calls": {"included": 5, "overage": "deny"}}},
    },
    "credit_packs": {"small": {"name": "Small", "credits": 10, "bonus": 1, "price": "9.99"}},
    "tenants": {
        "acme": {
            "name": "Acme",
            "plan": "credits",
            "credits": [{"id": "welcome", "amount": 30, "reason": "welcome"}],
            "api_keys": [{"id": "ci", "sha256": sha256_of(ACME_KEY)}],
        },
        "rival": {"name": "Rival", "plan": "free", "api_keys": [{"id": "main", "sha256": sha256_of(RIVAL_KEY)}]},
        "quiet": {"name": "Quiet", "plan": "pro"},
    },
}
#: No limit on how often, which most tests are not about.
OPEN = Settings(
    operator_keys={"ops": sha256_of(OPERATOR_KEY)},
    return_origins=frozenset({"https://shop.example"}),
    principal_pace=Pace(1e6, 10**6),
    address_pace=Pace(1e6, 10**6),
)


class Served:
    """The service in process: clients for a tenant, its rival, an operator and a stranger."""

    def __init__(self, ledger: str = "sqlite://", mode: Any = "direct", files: Any = None, **changes: Any) -> None:
        self.clock = HandClock()
        self.files = FILES if files is None else files
        catalog = catalog_of(self.files)
        self.runtime = Entitlements.open(compile_catalog(catalog), ledger, mode=mode, clock=self.clock, urls=self._url)
        self.settings = replace(OPEN, **{name: changes.pop(name) for name in list(changes) if hasattr(OPEN, name)})
        self.service = Service(self.runtime, settings=self.settings, catalog=catalog, read=self._read, **changes)
        self.app = create_app(self.service)
        self.acme, self.rival = Client(self.app, ACME_KEY), Client(self.app, RIVAL_KEY)
        self.operator, self.stranger = Client(self.app, OPERATOR_KEY), Client(self.app)

    @staticmethod
    def _url(kind: str, name: str, _tenant: str) -> str:
        return f"https://shop.example/{kind}/{name}"

    def _read(self) -> Files:
        catalog = catalog_of(self.files)
        return Files(compile_catalog(catalog), catalog)

    def close(self) -> None:
        """Close everything."""
        for client in (self.acme, self.rival, self.operator, self.stranger):
            client.close()
        self.runtime.close()
