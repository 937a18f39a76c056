"""What ``/v1`` and ``/v2`` do differently with the same request: encoding, identity, idempotency, errors."""

from collections.abc import Mapping
from typing import ClassVar

from reconciler.sandbox import form, params, v2, v2_body
from reconciler.sandbox.auth import account_of, check_version
from reconciler.sandbox.errors import ApiError, invalid, rate_limited
from reconciler.sandbox.faults import NEVER_STORED
from reconciler.sandbox.idempotency import Key, key_of
from reconciler.sandbox.objects.base import Route
from reconciler.sandbox.wire import Obj, Request, Response

_FORM = "application/x-www-form-urlencoded"


class Namespace:
    """The ``/v1`` namespace, and what ``/v2`` shares with it."""

    #: The methods that take an idempotency key.
    keyed: ClassVar[frozenset[str]] = frozenset({"POST"})
    #: A failure is the outcome of its key like a success.
    replays_failures: ClassVar[bool] = True

    def account(self, _path: str, headers: Mapping[str, str], _seed: int, _now: int) -> str:
        """Return the account of a request; 401, 403, or 400 for an API version that is not modelled."""
        account = account_of(headers)
        check_version(headers)
        return account

    def decode(self, _route: Route, query: str, request: Request, content_type: str) -> form.Tree:
        """Return the parameters of a request as a tree; ``content_type`` is the media type alone."""
        if request.body and content_type not in {"", _FORM}:
            raise invalid(f"The v1 API takes {_FORM}, not {content_type[:64]}.")
        return form.decode(query, request.body)

    def read(self, name: str, tree: form.Tree, lengths: Mapping[str, int], clears: frozenset[str]) -> Obj:
        """Return the validated parameters."""
        return params.read(name, tree, lengths, clears)

    def key(self, text: str | None, _method: str, path: str, tree: form.Tree) -> Key | None:
        """Return the idempotency key with what it stands for."""
        return key_of(text, path, tree)

    def remembers(self, status: int) -> bool:
        """Tell whether an outcome is stored under its key."""
        return status not in NEVER_STORED

    def shown(self, result: Obj) -> Obj:
        """Return a reply as the namespace writes it."""
        return result

    def refusal(self, response: Response) -> Response:
        """Return a refusal in the namespace's envelope."""
        return response

    def too_concurrent(self) -> ApiError:
        """Return the refusal of a meter event while another one of its customer and meter is taken."""
        return rate_limited("endpoint-concurrency")


class _V2(Namespace):
    """The ``/v2`` namespace; a failure is never replayed, its retry is executed again."""

    keyed = frozenset({"POST", "DELETE"})
    replays_failures = False

    def account(self, path: str, headers: Mapping[str, str], seed: int, now: int) -> str:
        account = v2.account_of_token(headers, seed, now) if path == v2.STREAM else account_of(headers)
        v2.require_version(headers)
        check_version(headers)
        return account

    def decode(self, route: Route, query: str, request: Request, content_type: str) -> form.Tree:
        return v2_body.decode(route, query, request.body, content_type)

    def read(self, name: str, tree: form.Tree, lengths: Mapping[str, int], clears: frozenset[str]) -> Obj:
        return v2.read(name, tree, lengths, clears)

    def key(self, text: str | None, method: str, path: str, tree: form.Tree) -> Key | None:
        return v2.idempotency_key(text, method, path, tree)

    def remembers(self, status: int) -> bool:
        return status < 400  # noqa: PLR2004  the first status that is a failure

    def shown(self, result: Obj) -> Obj:
        return v2.shown(result)

    def refusal(self, response: Response) -> Response:
        return v2.refusal(response) if response.status >= 400 else response  # noqa: PLR2004  as above

    def too_concurrent(self) -> ApiError:
        message = "Cannot create multiple usage events for the same customer, meter concurrently."
        return ApiError(409, message, code="too_many_concurrent_requests")


V1, V2 = Namespace(), _V2()


def of(path: str) -> Namespace:
    """Return the namespace of a path."""
    return V2 if v2.owns(path) else V1
