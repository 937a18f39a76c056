"""The one API version the sandbox models: the one the installed Stripe SDK pins."""

from stripe._api_version import _ApiVersion

API_VERSION: str = _ApiVersion.CURRENT
