"""What was last applied to an account as a whole, as the lock of applies remembers it. Pure."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Applied:
    """SHA-256 digests of the files, the compiled policy and the plan; when (UTC)."""

    config_digest: str
    policy_digest: str
    plan: str
    instant: datetime
