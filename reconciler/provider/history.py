"""Reading what happened at Stripe from its list of events: newest first, bounded, and optional."""

from http import HTTPStatus

from reconciler.planning.history import TYPES, Happening, History, read_happening
from reconciler.provider.gateway import Gateway, RequestFailedError

PAGE = 100
#: At most a thousand events are read.
MAX_PAGES = 10


def read_history(gateway: Gateway, since: int = 0) -> History:
    """Read what happened since a second of Stripe's clock, as far back as events and pages reach.

    Never fails: a key that may not read events, or an outage, is a note.
    """
    found: list[Happening] = []
    params = {"types": list(TYPES), "limit": PAGE, "created": {"gte": since}}
    oldest = None
    for _ in range(MAX_PAGES):
        try:
            page = gateway.get("/v1/events", params)
        except RequestFailedError as error:
            return History(tuple(found), oldest, _why(error))
        found += filter(None, map(read_happening, page["data"]))
        if not page["has_more"] or not page["data"]:
            return History(tuple(found), since)
        oldest = int(page["data"][-1]["created"]) + 1
        params["starting_after"] = page["data"][-1]["id"]
    return History(tuple(found), oldest, f"only the latest {MAX_PAGES * PAGE} events were read")


def _why(error: RequestFailedError) -> str:
    failure = error.failure
    if failure.status in (HTTPStatus.FORBIDDEN, HTTPStatus.UNAUTHORIZED):
        return "the key may not read events, so who changed what is not known"
    return f"events could not be read: {failure.message}"
