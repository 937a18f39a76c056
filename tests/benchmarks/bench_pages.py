"""Speed of lists: what a page of 100 costs in a small and in a large account, by every kind of filter.

``python -m tests.benchmarks.bench_pages`` prints a table: the processor's time for a page in the large account, and how
many times that is the page of the small one. The floor is parsing and writing the JSON of the same objects.
"""

import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import stripe

from reconciler.sandbox import Request, Sandbox
from reconciler.sandbox.families import FAMILIES
from reconciler.sandbox.store import Row as Stored
from tests.benchmarks.table import Row, show

HEADERS = {"Authorization": "Bearer sk_test_sandbox", "Stripe-Version": stripe.api_version}
NOW = 1_800_000_000
SMALL, LARGE = 1_000, 100_000
RUNS = 15

PAGES = (
    "/v1/prices",
    "/v1/prices?active=false",
    "/v1/prices?product={product}&active=true",
    "/v1/prices?currency=eur&active=true",
    "/v1/prices?currency=eur&type=recurring",
    "/v1/prices?lookup_keys[0]=k7&lookup_keys[1]=k8",
    "/v1/prices?created[gte]={early}&created[lt]={late}",
    "/v1/prices?starting_after={middle}",
    "/v1/prices?ending_before={middle}",
    "/v1/prices?expand[]=data.product",
    "/v1/events",
    "/v1/events?types[]=price.created&types[]=price.updated&types[]=product.*",
    "/v1/events?type=price.created&delivery_success=true",
    "/v2/core/events?",
    "/v2/core/events?object_id={price}",
    "/v1/invoices?status=draft",
    "/v1/invoices?due_date[lt]={early}",
    "/v1/invoices?due_date[gt]={early}&status=draft",
    "/v1/subscriptions?current_period_end[gt]={early}",
    "/v1/subscriptions?current_period_start[gt]={late}&price={used}",
    "/v1/prices/search?query=lookup_key:'k7'",
    "/v1/prices/search?query=metadata['colour']:'blue'",
    "/v1/prices/search?query=metadata['colour']:'none'",
    "/v1/prices/search?query=metadata['colour']:'none' AND currency:'none'&expand[]=total_count",
)


def ask(sandbox: Sandbox, method: str, path: str, body: str = "") -> Any:
    """Make a request that must succeed."""
    reply = sandbox.dispatch(Request(method, path.replace(" ", "%20"), HEADERS, body.encode()))
    assert reply.status == 200, reply.body
    return json.loads(reply.body)


def templates(sandbox: Sandbox) -> tuple[dict[str, str], list[Stored]]:
    """Make one of each object and return what pages ask for, and the objects as they are stored."""
    product = ask(sandbox, "POST", "/v1/products", "name=x")["id"]
    recurring = f"product={product}&currency=usd&unit_amount=1&recurring[interval]=month"
    used = ask(sandbox, "POST", "/v1/prices", recurring)["id"]
    customer = ask(sandbox, "POST", "/v1/customers")["id"]
    mailed = "collection_method=send_invoice&days_until_due=30"
    subscription = ask(
        sandbox, "POST", "/v1/subscriptions", f"customer={customer}&items[0][price]={used}&{mailed}&expand[]=items"
    )["id"]
    invoice = ask(sandbox, "POST", "/v1/invoices", f"customer={customer}&{mailed}")["id"]
    price = ask(sandbox, "POST", "/v1/prices", f"product={product}&currency=usd&unit_amount=1&metadata[colour]=blue")[
        "id"
    ]
    event = ask(sandbox, "GET", "/v1/events?type=price.created&limit=1")["data"][0]["id"]
    with sandbox._store.read(ask(sandbox, "GET", "/v1/account")["id"]) as tx:
        named = {"price": price, "event": event, "invoice": invoice, "subscription": subscription}
        rows = [tx.find(kind, object_id) for kind, object_id in named.items()]
    names = {"product": product, "price": price, "used": used, "early": f"{NOW + 50}", "late": f"{NOW + 60}"}
    return names, [row for row in rows if row]


def variants(obj: dict[str, Any], number: int) -> dict[str, Any]:
    """Return the fields in which one of many objects differs from the first."""
    match obj["object"]:
        case "price":
            rare = number % 1000 == 0
            return {"lookup_key": f"k{number}", "active": bool(number % 2), "currency": "eur" if rare else "usd"}
        case "invoice":
            return {"due_date": NOW + number, "status": "draft" if number % 2 else "open"}
        case "subscription":
            return {"_period_start": NOW + number, "_period_end": NOW + number + 30}
    return {}


def filled(count: int) -> tuple[Sandbox, dict[str, str]]:
    """Return an account with so many prices, events, invoices and subscriptions, ten created in each second."""
    sandbox = Sandbox(clock=NOW)
    names, rows = templates(sandbox)
    with sandbox._store.write(ask(sandbox, "GET", "/v1/account")["id"]) as tx:
        for row in rows:
            family = FAMILIES[row.body["object"]]
            stem = row.body["id"][:-6]
            if family.kind == "price":
                names["middle"] = f"{stem}{count // 2:06d}"
            for number in range(count):
                obj = {**row.body, **variants(row.body, number), "id": f"{stem}{number:06d}"}
                tx.insert(family.kind, obj, NOW + number // 10, family.terms(obj))
    return sandbox, names


def best(call: Callable[[], object]) -> float:
    """Return the fewest milliseconds of the processor that a call takes."""
    durations = []
    for _ in range(RUNS):
        start = time.process_time()
        call()
        durations.append(time.process_time() - start)
    return min(durations) * 1000


def page(sandbox: Sandbox, path: str) -> tuple[float, Any]:
    """Return the milliseconds of a page, and the page."""
    request = Request("GET", path.replace(" ", "%20"), HEADERS)
    return best(lambda: sandbox.dispatch(request)), ask(sandbox, "GET", path)


def floor(found: Any) -> float:
    """Return the milliseconds of parsing and writing the objects of a page."""
    texts = [json.dumps(each) for each in found["data"]]
    return best(lambda: json.dumps([json.loads(text) for text in texts]))


def measured(asks: Callable[[str], str]) -> Iterator[Row]:
    """Yield the row of every page."""
    (small, few), (large, many) = filled(SMALL), filled(LARGE)
    with small, large:
        for path in PAGES:
            limited = path + ("&" if "?" in path else "?") + "limit=100"
            little, _ = page(small, limited.format_map(few))
            much, found = page(large, limited.format_map(many))
            bare = floor(found)
            yield Row(
                asks(path),
                f"{len(found['data']):>3} objects in {much:7.2f} ms",
                f"{much / little:5.1f}x the page of {SMALL}",
                f"{much / bare:.1f}x their JSON" if found["data"] else "",
            )


def main() -> None:
    """Print every figure."""
    show(f"The sandbox: pages of {LARGE} objects of each kind", list(measured(lambda path: path.removesuffix("?"))))


if __name__ == "__main__":
    main()
