"""Opening what ``reconciler serve`` serves: settings, files, ledger, account, and the export of usage beside it."""

import functools
import ipaddress
import os
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import click

from reconciler.cli.account import BASE, connect, find_key
from reconciler.cli.books import BookOptions, ledger_of
from reconciler.cli.config import load, locate
from reconciler.cli.context import App
from reconciler.cli.customers import customers_of
from reconciler.cli.files import read_bounded
from reconciler.cli.options import AccountOptions
from reconciler.config.catalog import Catalog, load_catalog
from reconciler.diagnostics import UsageError
from reconciler.entitlements import Entitlements
from reconciler.entitlements.compile import compile_catalog
from reconciler.entitlements.periods import SECOND
from reconciler.entitlements.policy import read_policy
from reconciler.entitlements.remedies import Urls
from reconciler.ledger.ledger import Ledger, open_ledger
from reconciler.provider.binding import check_mode
from reconciler.provider.gateway import Connection, Gateway
from reconciler.provider.payments import Payments
from reconciler.provider.retry import Backoff
from reconciler.provider.worker import INTERVAL, Round, UsageWorker
from reconciler.service.buying.tokens import Shop, Tokens
from reconciler.service.figures.rounds import Figures
from reconciler.service.identity.keys import parse_operator_keys
from reconciler.service.operations.logs import told
from reconciler.service.secrets import secret_of
from reconciler.service.service import Files, Service
from reconciler.service.settings import PRINCIPAL_PACE, Network, Pace, Settings, TokenSettings

OPERATOR_KEYS, METRICS_KEY = "RECONCILER_OPERATOR_KEYS", "RECONCILER_METRICS_KEY_SHA256"
_LARGEST = 256 * 1024
Command = Callable[..., Any]


@dataclass(frozen=True, slots=True)
class ServeOptions:
    """Who may ask, and where pages lead."""

    operator_keys: Path | None = None
    hosts: tuple[str, ...] = ()
    proxies: tuple[str, ...] = ()
    return_origins: tuple[str, ...] = ()
    pace: int | None = None
    history: Path | None = None
    buy_url: str | None = None
    public_url: str | None = None
    jwt_issuer: str | None = None
    jwt_audience: str | None = None
    jwt_keys: str | None = None
    jwt_tenant_claim: str = "tenant"
    jwt_operator: str | None = None
    jwt_algorithms: tuple[str, ...] = ()


#: The options of the command, in the order of its help.
_OPTIONS = (
    click.option(
        "--operator-keys",
        type=click.Path(path_type=Path, dir_okay=False),
        metavar="FILE",
        help=f"Hashes of operators' keys; default {OPERATOR_KEYS}.",
    ),
    click.option(
        "--allow-host",
        "hosts",
        multiple=True,
        metavar="HOST",
        help="Name requests may be made to; default any.",
    ),
    click.option(
        "--trusted-proxy",
        "proxies",
        multiple=True,
        metavar="NETWORK",
        help="Who may say in X-Forwarded-For where a request comes from, such as 10.0.0.0/8; repeatable.",
    ),
    click.option(
        "--return-origin",
        "return_origins",
        multiple=True,
        metavar="ORIGIN",
        help="Where pages of Stripe may lead back to, such as https://shop.example; repeatable.",
    ),
    click.option(
        "--pace",
        type=click.IntRange(1),
        metavar="N",
        help="Requests a second of one credential; default 500, twice as many at once.",
    ),
    click.option(
        "--public-url",
        metavar="URL",
        help="Where the public reaches the service: refusals lead to its pages; default the address on this machine.",
    ),
    click.option(
        "--history",
        type=click.Path(path_type=Path, dir_okay=False),
        metavar="FILE",
        envvar="RECONCILER_HISTORY",
        help="The file `apply --history` appends to, for the dashboard to show.",
    ),
    click.option(
        "--buy-url",
        metavar="URL",
        help="Another page where a tenant buys what a refusal names, with {kind}, {id} and {tenant} in it.",
    ),
    click.option("--jwt-issuer", metavar="ISSUER", help="Issuer of the tokens that are believed."),
    click.option("--jwt-audience", metavar="AUDIENCE", help="Audience the tokens have to name."),
    click.option("--jwt-keys", metavar="URL|FILE", help="JWKS address, or PEM file of one public key."),
    click.option(
        "--jwt-tenant-claim",
        default="tenant",
        show_default=True,
        metavar="CLAIM",
        help="Claim naming the tenant.",
    ),
    click.option(
        "--jwt-operator", metavar="CLAIM=VALUE", help="Claim and exact value that make a token an operator's."
    ),
    click.option(
        "--jwt-algorithm", "jwt_algorithms", multiple=True, metavar="ALG", help="Default RS256, ES256, EdDSA."
    ),
)


def serve_options(function: Command) -> Command:
    """Add the options of :class:`ServeOptions`; the command takes ``options``."""
    names = ServeOptions.__dataclass_fields__

    @functools.wraps(function)
    def bundled(*args: Any, **kwargs: Any) -> Any:
        chosen = {name: kwargs.pop(name) for name in names}
        return function(*args, options=ServeOptions(**chosen), **kwargs)

    for option in reversed(_OPTIONS):
        bundled = option(bundled)
    return bundled


def settings_of(options: ServeOptions, *, simulated: bool, environ: Mapping[str, str] | None = None) -> Settings:
    """Return the settings that options and environment ask for; UsageError where they cannot be."""
    environ = os.environ if environ is None else environ
    keys = environ.get(OPERATOR_KEYS, "")
    if options.operator_keys is not None:
        keys += f" {read_bounded(options.operator_keys, _LARGEST).decode('ascii', 'replace')}"
    metrics = environ.get(METRICS_KEY)
    return Settings(
        operator_keys=parse_operator_keys(keys),
        metrics_key=next(iter(parse_operator_keys(f"metrics:{metrics}").values())) if metrics else None,
        tokens=_tokens(options),
        hosts=frozenset(host.lower() for host in options.hosts),
        proxies=tuple(map(_network, options.proxies)),
        return_origins=frozenset(map(_origin, options.return_origins)),
        local_returns=simulated,
        history=options.history,
        principal_pace=PRINCIPAL_PACE if options.pace is None else Pace(options.pace, 2 * options.pace),
    )


def _tokens(options: ServeOptions) -> TokenSettings | None:
    given = (options.jwt_issuer, options.jwt_audience, options.jwt_keys)
    if not any(given):
        return None
    issuer, audience, keys = given
    claim, _, value = (options.jwt_operator or "").partition("=")
    if not issuer or not audience or not keys or (options.jwt_operator is not None and not (claim and value)):
        raise UsageError(
            "E1507",
            "tokens need an issuer, an audience and keys, and an operator's a claim and a value",
            remedy="Give --jwt-issuer, --jwt-audience and --jwt-keys together; --jwt-operator as CLAIM=VALUE.",
        )
    if "://" not in keys:
        keys = read_bounded(Path(keys), _LARGEST).decode("ascii", "replace")
    more: dict[str, Any] = {"operator_claim": claim, "operator_value": value} if value else {}
    if options.jwt_algorithms:
        more["algorithms"] = options.jwt_algorithms
    return TokenSettings(issuer, audience, keys, tenant_claim=options.jwt_tenant_claim, **more)


def _network(text: str) -> Network:
    try:
        return ipaddress.ip_network(text)
    except ValueError as error:
        raise UsageError("E1507", f"{text} is no network: {error}", remedy="Write it as 10.0.0.0/8.") from None


def _origin(text: str) -> str:
    parts = urlsplit(text)
    if parts.scheme not in ("https", "http") or not parts.netloc or "@" in parts.netloc or parts.path.strip("/"):
        raise UsageError("E1507", f"{text} is not an origin", remedy="Write it as https://shop.example.")
    return f"{parts.scheme}://{parts.netloc.lower()}"


@contextmanager
def opened(
    app: App,
    books: BookOptions,
    connection: Connection | None,
    options: ServeOptions,
    *,
    mode: str,
    worker: bool,
    here: str | None = None,
) -> Iterator[Service]:
    """Open everything a service needs, and close it in the end; ``here`` is its address on this machine."""
    settings = settings_of(options, simulated=connection is not None and connection.simulated)
    files = _first(app, books)
    url, _ = ledger_of(books)
    ledger = open_ledger(url, "direct" if mode == "direct" else "group")
    journal = Path(os.environ.get("RECONCILER_JOURNAL", "reconciler-journal"))
    shop = _shop(options, ledger, here) if connection is not None and files.catalog is not None else None
    urls = shop.url if shop is not None else _urls(options.buy_url)
    with Entitlements(files.policy, ledger, urls, journal, lease=mode == "lease") as runtime:
        service = Service(
            runtime,
            settings=settings,
            catalog=files.catalog,
            gateway=None if connection is None else Gateway(connection),
            sell=None if connection is None else functools.partial(_desk, connection),
            read=lambda: _again(books),
            shop=shop,
        )
        if worker:
            figures = Figures(runtime, lambda: service.catalog, service.gateway)
            service.beside("figures", figures.work)
        if connection is not None and worker:
            check_mode(connection.mode, None if files.catalog is None else files.catalog.environment)
            service.beside("usage", functools.partial(_export, app, service, connection))
        yield service


def account_of(app: App, account: AccountOptions) -> Connection | None:
    """Return the account where one is named; without one the service decides calls and sells nothing."""
    if not account.api_base and not os.environ.get(BASE) and find_key() is None:
        app.out.note("There is no Stripe key: calls are decided and booked, nothing is sold or exported.")
        return None
    return connect(account)


def _first(app: App, books: BookOptions) -> Files:
    if books.policy is not None:
        return Files(read_policy(books.policy))
    catalog, _ = load(app, books.config)
    return Files(compile_catalog(catalog), catalog)


def _again(books: BookOptions) -> Files:
    if books.policy is not None:
        return Files(read_policy(books.policy))
    catalog = load_catalog(locate(books.config), books.config.env)
    return Files(compile_catalog(catalog), catalog)


def _desk(connection: Connection, catalog: Catalog) -> Payments:
    return Payments(catalog, connection)


def _shop(options: ServeOptions, ledger: Ledger, here: str | None) -> Shop | None:
    """Return what makes the addresses of the service's own pages; ``None`` where another page sells."""
    base = options.public_url or here
    if options.buy_url is not None or base is None:
        return None
    parts = urlsplit(base)
    if (
        parts.scheme not in ("http", "https")
        or not parts.netloc
        or parts.query
        or parts.fragment
        or "@" in parts.netloc
    ):
        raise UsageError("E1507", f"{base} is not an address", remedy="Write it as https://billing.example.")
    return Shop(Tokens(secret_of(ledger.store, "buy"), lambda: ledger.store.now() // SECOND), base)


def _urls(template: str | None) -> Urls:
    def url(kind: str, name: str, tenant: str) -> str | None:
        if template is None:
            return None
        found = template
        for mark, value in (("{kind}", kind), ("{id}", name), ("{tenant}", tenant)):
            found = found.replace(mark, quote(value, safe=""))
        return found

    return url


def _export(app: App, service: Service, connection: Connection, stop: threading.Event) -> None:
    """Send usage to Stripe in rounds until told to stop."""
    environment = None if service.catalog is None else service.catalog.environment

    def tell(done: Round) -> None:
        service.beat("usage", 3 * INTERVAL)
        told("usage", done.failed, None if done.report is None else done.report._asdict())

    service.beat("usage", 3 * INTERVAL)
    UsageWorker(
        service.runtime,
        Gateway(connection, backoff=Backoff(sleep=stop.wait)),
        lambda: customers_of(app, service.runtime.policy, None, connection, environment).customers,
        stop=stop,
        tell=tell,
    ).run()
