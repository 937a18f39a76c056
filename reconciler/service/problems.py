"""Refusals and failures as RFC 9457 problem details, the same for every route."""

import json
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

MEDIA_TYPE = "application/problem+json"
_TITLES = {
    "insufficient_credits": "Not enough credits",
    "subscription_inactive": "The subscription is not active",
    "tool_not_in_plan": "The plan does not have this tool",
    "feature_required": "The tool needs a feature the tenant does not have",
    "unknown_tenant": "Unknown tenant",
    "unknown_tool": "Unknown tool or meter",
    "in_progress": "A call under this key is in progress",
    "key_conflict": "The key was used for another request",
    "quota_exceeded": "The quota is used up",
    "rate_limited": "Too many requests",
    "store_unavailable": "The ledger cannot be reached",
    "unauthenticated": "No valid credential",
    "forbidden": "Not allowed",
    "invalid_request": "The request cannot be understood",
    "not_found": "There is no such thing",
    "method_not_allowed": "The method is not allowed here",
    "payload_too_large": "The body is too large",
    "headers_too_large": "The headers are too large",
    "unsupported_media_type": "The body is not JSON",
    "misdirected_request": "The request is for another host",
    "timeout": "The request took too long",
    "internal_error": "The service failed",
}


class ProblemError(Exception):
    """Ends a request with a problem; ``code`` is stable, ``members`` stand beside the standard ones in the body."""

    def __init__(
        self,
        status: int,
        code: str,
        detail: str = "",
        *,
        title: str | None = None,
        headers: Mapping[str, str] | None = None,
        **members: Any,
    ) -> None:
        super().__init__(detail or code)
        self.status = status
        self.code = code
        self.detail = detail
        self.title = title or _TITLES.get(code) or HTTPStatus(status).phrase
        self.headers = dict(headers or {})
        self.members = members

    def body(self, request_id: str) -> bytes:
        """Return the problem as JSON; ``instance`` names the request."""
        found = {
            "type": f"urn:reconciler:problem:{self.code}",
            "title": self.title,
            "status": self.status,
            **({"detail": self.detail} if self.detail else {}),
            "instance": f"urn:reconciler:request:{request_id}",
            "code": self.code,
            **self.members,
        }
        return json.dumps(found, separators=(",", ":")).encode()


def unauthenticated(detail: str) -> ProblemError:
    """Return the problem of a request without a valid credential."""
    return ProblemError(401, "unauthenticated", detail, headers={"WWW-Authenticate": 'Bearer realm="reconciler"'})


def forbidden(detail: str) -> ProblemError:
    """Return the problem of a request its credential does not allow."""
    return ProblemError(403, "forbidden", detail)


def invalid(detail: str, pointer: str | None = None, status: int = 422) -> ProblemError:
    """Return the problem of a request that cannot be taken; ``pointer`` is the JSON pointer of what is wrong."""
    found = [] if pointer is None else [{"pointer": pointer, "detail": detail}]
    return ProblemError(status, "invalid_request", detail, errors=found)


def slow_down(seconds: float, detail: str) -> ProblemError:
    """Return the problem of a request that came too early by so many seconds."""
    return ProblemError(429, "rate_limited", detail, headers={"Retry-After": str(max(1, -int(-seconds // 1)))})
