"""Stripe's error envelope, and the constructors of every refusal that more than one object family uses.

Texts marked observed are quoted in public issues or recorded from a live account by third parties; the others are
written here and no client may depend on them. Status, ``type``, ``code`` and ``param`` are the contract
(https://docs.stripe.com/api/errors).
"""

import json
from collections.abc import Mapping
from typing import Any

from reconciler.sandbox.wire import Obj


def doc_url(code: str) -> str:
    """Return the address under which an error code is explained."""
    return f"https://stripe.com/docs/error-codes/{code.replace('_', '-')}"


class ApiError(Exception):
    """A refusal in Stripe's shape: status, type, message, and ``code``, ``param``, headers where Stripe sends them.

    ``extra`` adds members to the envelope, such as ``decline_code``. What was written before a refusal is undone
    unless it ``keeps_writes``: a declined charge exists.
    """

    def __init__(
        self,
        status: int,
        message: str,
        *,
        error_type: str = "invalid_request_error",
        code: str | None = None,
        param: str | None = None,
        headers: Mapping[str, str] | None = None,
        extra: Mapping[str, Any] | None = None,
        keeps_writes: bool = False,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.error_type = error_type
        self.code = code
        self.param = param
        self.headers = dict(headers or {})
        self.extra = dict(extra or {})
        self.keeps_writes = keeps_writes

    def body(self) -> bytes:
        """Return the JSON envelope ``{"error": {...}}`` with absent keys left out, as Stripe does."""
        error: Obj = {
            "code": self.code,
            "doc_url": doc_url(self.code) if self.code else None,
            "message": self.message,
            "param": self.param,
            "type": self.error_type,
            **self.extra,
        }
        return json.dumps({"error": {key: value for key, value in error.items() if value is not None}}).encode()


def invalid(message: str, param: str | None = None, code: str | None = None) -> ApiError:
    """Return a 400 ``invalid_request_error``."""
    return ApiError(400, message, code=code, param=param)


def missing(param: str) -> ApiError:
    """Return the refusal of an absent required parameter (observed)."""
    return invalid(f"Missing required param: {param}.", param, "parameter_missing")


def unknown_parameters(params: list[str]) -> ApiError:
    """Return the refusal of parameters the endpoint does not have; an immutable field on update is one (observed)."""
    text = f"parameters: {', '.join(params)}" if len(params) > 1 else f"parameter: {params[0]}"
    return invalid(f"Received unknown {text}", params[0], "parameter_unknown")


def empty(param: str) -> ApiError:
    """Return the refusal of ``''`` for a parameter that cannot be unset (observed)."""
    message = (
        f"You passed an empty string for '{param}'. We assume empty values are an attempt to unset a parameter; "
        f"however '{param}' cannot be unset. You should remove '{param}' from your request or supply a non-empty value."
    )
    return invalid(message, param, "parameter_invalid_empty")


def exclusive(*params: str) -> ApiError:
    """Return the refusal of parameters that exclude each other (observed)."""
    return invalid(f"You may only specify one of these parameters: {', '.join(params)}.", params[0])


def out_of_range(param: str, value: object, *, least: object = None, most: object = None) -> ApiError:
    """Return the refusal of a number below ``least`` or above ``most`` (observed)."""
    bound = f"greater than or equal to {least}" if most is None else f"less than or equal to {most}"
    code = "parameter_invalid_integer" if isinstance(value, int) else None
    return invalid(f"This value must be {bound} (it currently is '{value}').", param, code)


def not_modelled(what: str, param: str | None = None) -> ApiError:
    """Return the refusal of what Stripe has and the sandbox does not model; the code is the sandbox's own."""
    return invalid(f"The local sandbox does not model {what}.", param, "sandbox_not_modelled")


def no_such(noun: str, object_id: str, param: str, *, status: int = 400) -> ApiError:
    """Return ``resource_missing``: 404 for the object in the URL, 400 for one named in a parameter (observed)."""
    return ApiError(status, f"No such {noun}: '{object_id}'", code="resource_missing", param=param)


def rate_limited(reason: str) -> ApiError:
    """Return the limiter's 429; ``reason`` is the header's (https://docs.stripe.com/rate-limits)."""
    return ApiError(
        429,
        "Request rate limit exceeded. Learn more about rate limits here https://stripe.com/docs/rate-limits.",
        code="rate_limit",
        headers={"stripe-rate-limited-reason": reason},
    )


def lock_timeout() -> ApiError:
    """Return the 429 of an object another request holds (https://docs.stripe.com/rate-limits#object-lock-timeouts)."""
    return ApiError(
        429, "This object cannot be accessed right now because another request holds it.", code="lock_timeout"
    )


def key_in_use(key: str) -> ApiError:
    """Return the 409 of an idempotency key whose first request is being executed."""
    return ApiError(
        409,
        f"There is currently another in-progress request using this Idempotent Key ({key}).",
        error_type="idempotency_error",
        code="idempotency_key_in_use",
    )


def unrecognized_url(method: str, path: str) -> ApiError:
    """Return Stripe's 404 for a method and path it does not have (observed)."""
    slash = (
        " If you are trying to list objects, remove the trailing slash. If you are trying to retrieve an object, "
        "make sure you passed a valid (non-empty) identifier in your code."
        if path.endswith("/")
        else ""
    )
    return ApiError(
        404,
        f"Unrecognized request URL ({method}: {path}).{slash} Please see https://stripe.com/docs or we can help at "
        "https://support.stripe.com/.",
    )
