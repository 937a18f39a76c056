"""One request on its way through the core: what it is read as, and what its reply is dressed in."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from email.utils import formatdate
from typing import Self

from reconciler.sandbox import form, namespaces
from reconciler.sandbox.journal import Entry, code_of, mark
from reconciler.sandbox.namespaces import Namespace
from reconciler.sandbox.objects.base import Route
from reconciler.sandbox.version import API_VERSION
from reconciler.sandbox.wire import Request, Response


@dataclass(frozen=True, slots=True)
class Exchange:
    """A request taken apart, under its id: path and query, lower-case header names, its namespace.

    ``key`` is the idempotency key; GET has none, nor has DELETE in v1.
    """

    request: Request
    request_id: str
    path: str
    query: str
    headers: Mapping[str, str]
    space: Namespace
    key: str | None
    began: float = field(default_factory=time.perf_counter)

    @classmethod
    def of(cls, request: Request, request_id: str) -> Self:
        """Take a request apart."""
        path, _, query = request.path.partition("?")
        headers = {name.lower(): value for name, value in request.headers.items()}
        space = namespaces.of(path)
        key = headers.get("idempotency-key") if request.method in space.keyed else None
        return cls(request, request_id, path, query, headers, space, key)

    def tree(self, route: Route) -> form.Tree:
        """Return the parameters, not validated yet."""
        content_type = self.headers.get("content-type", "").partition(";")[0].strip().lower()
        return self.space.decode(route, self.query, self.request, content_type)

    def dressed(self, response: Response, at: int) -> Response:
        """Return a reply in the namespace's envelope, with the headers that every reply has; ``at`` is its date."""
        response = self.space.refusal(response)
        headers = {
            "content-type": "application/json",
            "date": formatdate(at, usegmt=True),
            "request-id": self.request_id,
            "stripe-version": API_VERSION,
            **({"idempotency-key": self.key} if self.key else {}),
            **response.headers,
        }
        return Response(response.status, headers, response.body)

    def entry(self, response: Response, at: int) -> Entry:
        """Return the line of the journal for the reply, given at a time of the sandbox."""
        return Entry(
            at=at,
            method=self.request.method,
            path=self.path,
            status=response.status,
            ms=(time.perf_counter() - self.began) * 1000,
            request_id=self.request_id,
            idempotency=mark(self.key, response),
            code=code_of(response),
        )
