"""What a credential stands for: a tenant's key of the files, an operator's key, or a token."""

from reconciler.entitlements import Entitlements
from reconciler.service.identity import Principal
from reconciler.service.identity.keys import OperatorKeys, well_formed
from reconciler.service.identity.tokens import Tokens
from reconciler.service.problems import unauthenticated
from reconciler.service.settings import Settings


class Credentials:
    """Finds the principal of a credential. Tenants' keys are those of the policy that decides at this moment.

    A tenant's key is looked up by its SHA-256: how long that takes tells nothing that brings anybody nearer to a key.
    """

    def __init__(self, runtime: Entitlements, settings: Settings) -> None:
        self._runtime = runtime
        self._operators = OperatorKeys(settings.operator_keys)
        self._tokens = Tokens(settings.tokens) if settings.tokens is not None else None

    @property
    def any(self) -> bool:
        """Whether there is a credential anybody could have."""
        return bool(self._operators or self._tokens or self._runtime.policy.tenant_of_key)

    def by_key(self, secret: str) -> Principal | None:
        """Return the principal of an API key, ``None`` where it is none that is known."""
        tenant = self._runtime.tenant_of_key(secret)
        return Principal("tenant", *tenant) if tenant is not None else self._operators.find(secret)

    async def by_token(self, secret: str) -> Principal:
        """Return the principal of a JSON Web Token; a 401 or 403 problem for anything else."""
        if not well_formed(secret):
            raise unauthenticated("The key is mistyped: its checksum is not right.")
        if self._tokens is None:
            raise unauthenticated("The key is not known.")
        return await self._tokens.principal(secret)
