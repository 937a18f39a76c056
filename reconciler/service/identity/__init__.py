"""Who asks: a tenant by its API key or token, or an operator. Nobody is believed for a name in a body or an address."""

from collections.abc import MutableMapping
from typing import Any, NamedTuple, Protocol

from reconciler.service.problems import ProblemError, forbidden, unauthenticated

#: Where the outer layer of the app keeps what it found of a request's credential.
SCOPE = "reconciler.identity"


class Asking(Protocol):
    """A request, as Starlette has it."""

    scope: MutableMapping[str, Any]


class Principal(NamedTuple):
    """Who a credential stands for: ``tenant`` or ``operator``; ``key_id`` names the credential in logs."""

    kind: str
    tenant: str | None
    key_id: str

    @property
    def name(self) -> str:
        """The principal in one word, for rate limits and logs."""
        return f"{self.kind}:{self.tenant or ''}:{self.key_id}"


def identify(request: Asking) -> Principal:
    """Return who makes a request; the 401 problem where it has no valid credential."""
    found: Principal | ProblemError | None = request.scope.get(SCOPE)
    if found is None:
        raise unauthenticated("Send a key as `Authorization: Bearer KEY`.")
    if isinstance(found, ProblemError):
        raise found
    return found


def require_operator(request: Asking) -> Principal:
    """Return the operator who makes a request; the 401 or 403 problem for anybody else."""
    principal = identify(request)
    if principal.kind != "operator":
        raise forbidden("This needs an operator's credential.")
    return principal
