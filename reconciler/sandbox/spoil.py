"""What faults do to an answer that is already decided: a proxy's page in its place, broken JSON, a cut, a trickle."""

from collections.abc import Iterable, Mapping
from dataclasses import replace

from reconciler.sandbox.faults import Fault
from reconciler.sandbox.wire import Response

_PAGE = b"<html><head><title>Bad Gateway</title></head><body><center><h1>Bad Gateway</h1></center></body></html>\r\n"
_HTML = "text/html; charset=utf-8"


def spoil(response: Response, struck: Iterable[Fault]) -> Response:
    """Return the answer as it arrives after the faults that hit its request."""
    for fault in struck:
        response = _spoiled(response, fault)
    return response


def _spoiled(response: Response, fault: Fault) -> Response:
    half = response.body[: len(response.body) // 2]
    match fault.kind:
        case "html":
            return Response(fault.status, {"content-type": _HTML}, _PAGE)
        case "invalid_json":
            return replace(response, body=half)
        case "content_type":
            return replace(response, headers=_with(response.headers, _HTML))
        case "cut":
            return replace(response, body=half, announced=len(response.body))
        case "slow":
            return replace(response, seconds=response.seconds + fault.seconds)
    return response


def _with(headers: Mapping[str, str], content_type: str) -> Mapping[str, str]:
    return {**headers, "content-type": content_type}
