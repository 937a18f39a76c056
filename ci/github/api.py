"""GitHub's REST API with nothing but the standard library, and without sending the token anywhere else."""

import json
import os
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

PAGE = 100
TIMEOUT_SECONDS = 30


class ApiError(Exception):
    """GitHub refused a request or could not be reached."""


class _StayHere(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_args: Any, **_kwargs: Any) -> None:
        """Follow no redirect by itself: it would take the token along."""


_OPENER = urllib.request.build_opener(_StayHere)


def repository() -> str:
    """Return owner and name of the repository."""
    return os.environ["GITHUB_REPOSITORY"]


def call(method: str, path: str, body: object = None) -> Any:
    """Send a request below the repository's address and return the JSON of the answer. Raises ApiError."""
    _status, _headers, data = _send(method, _address(path), body)
    return json.loads(data or b"null")


def pages(path: str, key: str | None = None) -> Iterator[dict[str, Any]]:
    """Yield every item of a list, page by page; ``key`` is where an answer holds its items, None where it is a list."""
    number = 0
    while True:
        number += 1
        answer = call("GET", f"{path}{'&' if '?' in path else '?'}per_page={PAGE}&page={number}")
        items = answer if key is None else answer[key]
        yield from items
        if len(items) < PAGE:
            return


def download(path: str, limit: int) -> bytes:
    """Return a file GitHub answers with an address for; the address is asked without the token. Raises ApiError."""
    status, headers, data = _send("GET", _address(path), None)
    if status in (301, 302, 303, 307, 308):
        where = headers.get("location", "")
        if urlsplit(where).scheme not in ("https", _scheme()):
            raise ApiError("the download is not at an https address")
        request = urllib.request.Request(where)  # noqa: S310  its scheme is checked above
        _status, _headers, data = _open(request, limit)
    if len(data) > limit:
        raise ApiError(f"the download is larger than {limit} bytes")
    return data


def _scheme() -> str:
    return urlsplit(_base()).scheme


def _base() -> str:
    return os.environ.get("GITHUB_API_URL") or "https://api.github.com"


def _address(path: str) -> str:
    base = _base()
    parts = urlsplit(base)
    if parts.scheme != "https" and parts.hostname not in ("127.0.0.1", "localhost"):
        raise ApiError("GITHUB_API_URL is not an https address")
    return f"{base}/repos/{repository()}{path}"


def _send(method: str, address: str, body: object) -> tuple[int, dict[str, str], bytes]:
    headers = {
        "Authorization": f"Bearer {os.environ.get('INPUT_TOKEN', '')}",
        "Accept": "application/vnd.github+json",
        "X-GitHub-Api-Version": "2022-11-28",
        "User-Agent": "reconciler",
    }
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(address, data, headers, method=method)  # noqa: S310  its scheme is checked above
    return _open(request, 64 * 1024 * 1024)


def _open(request: urllib.request.Request, limit: int) -> tuple[int, dict[str, str], bytes]:
    try:
        with _OPENER.open(request, timeout=TIMEOUT_SECONDS) as answer:
            return (
                answer.status,
                {name.lower(): value for name, value in answer.headers.items()},
                answer.read(limit + 1),
            )
    except urllib.error.HTTPError as error:
        with error:
            if error.code in (301, 302, 303, 307, 308):
                return error.code, {name.lower(): value for name, value in error.headers.items()}, b""
            raise ApiError(f"{request.get_method()} {urlsplit(request.full_url).path}: {error.code}") from None
    except OSError as error:
        raise ApiError(f"{request.get_method()} {urlsplit(request.full_url).path}: {error}") from None
