"""Who may ask what: credentials, tenants apart, and tokens of an identity provider."""

import asyncio
import json
import threading
import time
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

from reconciler.diagnostics import UsageError
from reconciler.service.identity.keys import OPERATOR, TENANT, new_key, parse_operator_keys, well_formed
from reconciler.service.identity.tokens import Keys, Tokens
from reconciler.service.settings import TokenSettings
from tests.service.world import ACME_KEY, OPERATOR_KEY, Served

CHECK = {"tool": "big"}
ISSUER, AUDIENCE = "https://id.example", "reconciler"
RSA_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
OTHER_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
EC_KEY = ec.generate_private_key(ec.SECP256R1())


@pytest.mark.parametrize(
    "authorization",
    [
        None,
        "",
        "Bearer",
        "Bearer ",
        f"Basic {ACME_KEY}",
        ACME_KEY,
        f"Bearer {ACME_KEY[:-1]}",
        f"Bearer {ACME_KEY}x",
        f"Bearer {ACME_KEY.swapcase()}",
        f"Bearer {new_key(TENANT)}",
        f"Bearer {new_key(OPERATOR)}",
        "Bearer a.b.c",
        "Bearer \xe9",
    ],
    ids=range(13),
)
def test_a_credential_that_is_none(served: Served, authorization: str | None) -> None:
    """Without a key, with a part of one, a strange one or in another scheme, nothing is told; with the key it is."""
    headers = {} if authorization is None else {"authorization": authorization}
    found = served.stranger.post("/v1/check", CHECK, headers=headers)
    assert (found.status, found.code) == (401, "unauthenticated")
    assert found.headers["www-authenticate"].startswith("Bearer")
    assert served.stranger.post("/v1/check", CHECK, headers={"authorization": f"bearer {ACME_KEY}"}).status == 200


def test_two_credentials_are_none(served: Served) -> None:
    """A request with two authorizations is nobody's, whichever of them is valid."""
    two = [("authorization", f"Bearer {ACME_KEY}"), ("authorization", f"Bearer {OPERATOR_KEY}")]
    assert served.stranger.post("/v1/check", CHECK, headers=two).status == 401


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/v1/check", {"tenant": "acme", "tool": "big"}),
        ("POST", "/v1/check/batch", {"tenant": "acme", "calls": [CHECK]}),
        ("POST", "/v1/consume", {"tenant": "acme", "tool": "big"}),
        ("POST", "/v1/reservations", {"tenant": "acme", "tool": "big"}),
        ("POST", "/v1/reservations/held/commit", {"tenant": "acme"}),
        ("POST", "/v1/reservations/held/release", {"tenant": "acme"}),
        ("GET", "/v1/balance?tenant=acme", None),
        ("GET", "/v1/tenants/acme/balance", None),
        ("GET", "/v1/entries?tenant=acme", None),
        ("POST", "/v1/checkout", {"tenant": "acme", "plan": "pro", "success_url": "https://shop.example/"}),
        ("POST", "/v1/payment-links", {"tenant": "acme", "plan": "pro"}),
        ("POST", "/v1/portal", {"tenant": "acme"}),
    ],
)
def test_another_tenants_name_is_refused(served: Served, method: str, path: str, body: Any) -> None:
    """A tenant's key acts for its own tenant and no other, wherever the other one is named; and so does the owner's."""
    served.acme.post("/v1/reservations", CHECK, once="held")
    before = served.operator.get("/v1/tenants/acme/balance").json
    once = "k" if path in {"/v1/consume", "/v1/reservations"} else None
    refused = served.rival.ask(method, path, body=body, once=once)
    assert (refused.status, refused.code) == (403, "forbidden")
    assert served.operator.get("/v1/tenants/acme/balance").json == before
    assert served.acme.ask(method, path, body=body, once=once).status in {200, 503}


def test_keys_of_reservations_are_a_tenants_own(served: Served) -> None:
    """A reservation is found under its key by its tenant alone."""
    served.acme.post("/v1/reservations", CHECK, once="held")
    assert served.rival.post("/v1/reservations/held/commit", {}).status == 404
    assert served.acme.post("/v1/reservations/held/commit", {}).status == 200


@pytest.mark.parametrize("end", ["commit", "release"])
def test_a_tenant_ends_no_reservation_of_an_operator(served: Served, end: str) -> None:
    """What an operator has reserved for a tenant only an operator ends, and the tenant's own the tenant."""
    call = {"tool": "any", "quantity": 5, "tenant": "acme"}
    assert served.operator.post("/v1/reservations", call, once="req-1").status == 200
    assert served.acme.post(f"/v1/reservations/req-1/{end}", {}).status == 404
    assert served.acme.post("/v1/consume", {"tool": "any"}, once="req-1").status == 200
    assert served.operator.post("/v1/reservations/req-1/commit", {"tenant": "acme"}).json["cost"] == "5"
    assert served.acme.post("/v1/reservations", {"tool": "any"}, once="own").json["key"] == "own"
    assert served.acme.post(f"/v1/reservations/own/{end}", {}).status == 200


def test_an_operator_names_the_tenant(served: Served) -> None:
    """An operator's call is of the tenant it names; without a name it is of nobody."""
    assert served.operator.post("/v1/check", CHECK).status == 422
    assert served.operator.post("/v1/check", {**CHECK, "tenant": "acme"}).json["tenant"] == "acme"


def test_a_key_of_removed_files_is_none(served: Served) -> None:
    """A key that the files no longer have is refused from the reload on, and the others are not."""
    tenants = {**served.files["tenants"], "rival": {"name": "Rival", "plan": "free"}}
    assert served.rival.get("/v1/balance").status == 200
    served.files = {**served.files, "tenants": tenants}
    assert served.operator.post("/v1/policy/reload").status == 200
    assert (served.rival.get("/v1/balance").status, served.acme.get("/v1/balance").status) == (401, 200)


def test_keys_carry_a_checksum() -> None:
    """A key with one letter changed is known to be none without a lookup; two fresh keys are never the same."""
    key = new_key(OPERATOR)
    assert well_formed(key)
    assert key != new_key(OPERATOR)
    changed = [key[:at] + ("a" if key[at] != "a" else "b") + key[at + 1 :] for at in range(len(OPERATOR), len(key))]
    assert not any(map(well_formed, changed))


def test_operator_keys_are_read_strictly() -> None:
    """Ids and hashes are read between white space or commas; what is no such thing, or an id twice, is refused."""
    digest = "ab" * 32
    assert parse_operator_keys(f"a:{digest},\n b:{digest.upper()}") == {"a": digest, "b": digest}
    for wrong in ("a", "a:", f":{digest}", f"a:{digest}0", "a:" + "g" * 64, f"a:{digest} a:{digest}", OPERATOR_KEY):
        with pytest.raises(UsageError):
            parse_operator_keys(wrong)


class Issuer:
    """An identity provider: signs tokens, publishes keys, counts how often they are read."""

    def __init__(self) -> None:
        self.published = {"r1": RSAAlgorithm.to_jwk(RSA_KEY.public_key(), as_dict=True)}
        self.reads, self.now, self.down = 0, 1000.0, False

    def fetch(self, url: str) -> bytes:
        """Return the JWKS document."""
        assert url == "https://id.example/jwks.json"
        self.reads += 1
        if self.down:
            raise OSError("no network")
        return json.dumps({"keys": [{**each, "kid": kid} for kid, each in self.published.items()]}).encode()

    def token(self, key: Any = RSA_KEY, algorithm: str = "RS256", kid: str | None = "r1", **changes: Any) -> str:
        """Return a token for acme, with changed claims; ``None`` takes one away."""
        claims = {"iss": ISSUER, "aud": AUDIENCE, "exp": int(time.time()) + 600, "sub": "u1", "tenant": "acme"}
        claims = {name: value for name, value in {**claims, **changes}.items() if value is not None}
        return jwt.encode(claims, key, algorithm, headers=None if kid is None else {"kid": kid})


@pytest.fixture
def issuer() -> Issuer:
    """Return an identity provider."""
    return Issuer()


@pytest.fixture
def believing(served: Served, issuer: Issuer) -> Served:
    """Serve tokens of the issuer."""
    keys = "https://id.example/jwks.json"
    settings = TokenSettings(ISSUER, AUDIENCE, keys, operator_value="reconciler.operator")
    tokens = Tokens(settings, Keys(keys, issuer.fetch, lambda: issuer.now))
    served.service.credentials._tokens = tokens
    return served


def balance(served: Served, token: str) -> tuple[int, str]:
    """Return the status, and the tenant of the balance that a token is shown."""
    found = served.stranger.get("/v1/balance", key=token)
    return found.status, found.json.get("tenant", "")


def test_a_token_names_its_tenant(believing: Served, issuer: Issuer) -> None:
    """A token that the issuer signed is its tenant's; the keys are read once, however many tokens come."""
    for sub in ("u1", "u2", "u3"):
        assert balance(believing, issuer.token(sub=sub)) == (200, "acme")
    assert issuer.reads == 1


def public_pem(key: Any) -> bytes:
    """Return the public half of a key as text."""
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    found: bytes = key.public_key().public_bytes(serialization.Encoding.PEM, form)
    return found


def forged(issuer: Issuer) -> dict[str, str]:
    """Return tokens that must not be believed, by what is wrong with them."""
    good = issuer.token()
    head, body, signature = good.split(".")
    encode = jwt.utils.base64url_encode
    none = encode(b'{"alg":"none","typ":"JWT"}').decode()
    hashed = jwt.api_jws.PyJWS()
    hashed._algorithms["HS256"].prepare_key = lambda key: key  # type: ignore[method-assign]  # what an attacker has
    claims = json.dumps({"iss": ISSUER, "aud": AUDIENCE, "exp": int(time.time()) + 600, "tenant": "acme"}).encode()
    return {
        "unsigned": f"{none}.{body}.",
        "unsigned, with a signature": f"{none}.{body}.{signature}",
        "signed by another key": issuer.token(key=OTHER_KEY),
        "signed with the public key as a secret": hashed.encode(claims, public_pem(RSA_KEY), "HS256", {"kid": "r1"}),
        "expired": issuer.token(exp=int(time.time()) - 60),
        "not yet valid": issuer.token(nbf=int(time.time()) + 600),
        "without an end": issuer.token(exp=None),
        "of another audience": issuer.token(aud="shop"),
        "without an audience": issuer.token(aud=None),
        "of another issuer": issuer.token(iss="https://evil.example"),
        "of a key nobody has": issuer.token(kid="r9"),
        "with another body": f"{head}.{encode(claims).decode()}.{signature}",
        "cut": good[:-3],
    }


def test_forged_tokens(believing: Served, issuer: Issuer) -> None:
    """No token that is unsigned, signed otherwise, expired, or for somebody else is believed; the issuer's is."""
    for what, token in forged(issuer).items():
        assert balance(believing, token)[0] == 401, what
        assert balance(believing, issuer.token(sub=what))[0] == 200


@pytest.mark.parametrize("claim", [None, "", 7, ["acme"], {"id": "acme"}])
def test_a_token_without_a_tenant(believing: Served, issuer: Issuer, claim: Any) -> None:
    """A valid token whose tenant claim is missing or no name is allowed nothing; an e-mail address is no name."""
    assert balance(believing, issuer.token(tenant=claim, email="billing@acme.example"))[0] == 403


@pytest.mark.parametrize(
    ("scope", "operator"),
    [
        ("reconciler.operator", True),
        ("read reconciler.operator", True),
        (["reconciler.operator"], True),
        ("reconciler.operator2", False),
        ("xreconciler.operator", False),
        ("reconciler.operator,read", False),
        ("RECONCILER.OPERATOR", False),
        (None, False),
    ],
)
def test_an_operators_token_has_exactly_its_scope(
    believing: Served, issuer: Issuer, scope: Any, *, operator: bool
) -> None:
    """A token is an operator's where the claim holds the value as a whole word, and otherwise its tenant's."""
    found = believing.stranger.get("/v1/tenants", key=issuer.token(scope=scope))
    assert found.status == (200 if operator else 403)


def test_keys_are_rotated(believing: Served, issuer: Issuer) -> None:
    """A token of a new key is believed once the keys may be read again; unknown ones cannot have them read all day."""
    assert balance(believing, issuer.token())[0] == 200
    issuer.published["r2"] = RSAAlgorithm.to_jwk(OTHER_KEY.public_key(), as_dict=True)
    for _ in range(20):
        assert balance(believing, issuer.token(key=OTHER_KEY, kid="r2"))[0] == 401
    assert issuer.reads == 1
    issuer.now += 31
    assert balance(believing, issuer.token(key=OTHER_KEY, kid="r2"))[0] == 200
    assert issuer.reads == 2


def test_an_issuer_that_is_away(believing: Served, issuer: Issuer) -> None:
    """Where the keys cannot be read no token is believed, and API keys still are."""
    issuer.down = True
    assert balance(believing, issuer.token())[0] == 401
    assert believing.acme.get("/v1/balance").status == 200


def test_an_issuer_that_is_slow(believing: Served, issuer: Issuer) -> None:
    """Tokens of keys that nobody knows wait for the issuer, and nobody who has a key waits with them."""
    held, reading = threading.Event(), issuer.fetch

    def slow(url: str) -> bytes:
        held.wait(30)
        return reading(url)

    issuer.now += 3600
    tokens = Tokens(
        TokenSettings(ISSUER, AUDIENCE, "https://id.example/jwks.json"),
        Keys("https://id.example/jwks.json", slow, lambda: issuer.now),
    )
    believing.service.credentials._tokens = tokens
    forged = [issuer.token(key=OTHER_KEY, kid=f"made-up-{number}") for number in range(40)]

    async def crowd() -> tuple[int, set[int]]:
        ask = believing.stranger.asked
        waiting = [asyncio.create_task(ask("GET", "/v1/balance", key=token)) for token in forged]
        await asyncio.sleep(0)
        known = await asyncio.wait_for(ask("GET", "/v1/balance", key=ACME_KEY), 20)
        held.set()
        return known.status, {reply.status for reply in await asyncio.gather(*waiting)}

    assert believing.stranger.run(crowd()) == (200, {401})


def test_keys_that_are_no_signing_keys(believing: Served, issuer: Issuer) -> None:
    """Of a document's keys secrets, keys for encryption and kinds nobody knows are left out; the others count."""
    issuer.published |= {
        "oct": {"kty": "oct", "k": "c2VjcmV0", "alg": "HS256"},
        "enc": {**RSAAlgorithm.to_jwk(RSA_KEY.public_key(), as_dict=True), "use": "enc"},
        "odd": {"kty": "XX"},
        "e1": ECAlgorithm.to_jwk(EC_KEY.public_key(), as_dict=True),
    }
    assert balance(believing, issuer.token(kid="enc"))[0] == 401
    assert balance(believing, issuer.token(key="secret" * 8, algorithm="HS256", kid="oct"))[0] == 401
    assert balance(believing, issuer.token(key=EC_KEY, algorithm="ES256", kid="e1"))[0] == 200


def test_a_public_key_from_a_file(served: Served, issuer: Issuer) -> None:
    """One public key in a file is enough; a private one, or a secret, is refused as such."""
    pem = public_pem(EC_KEY).decode()
    served.service.credentials._tokens = Tokens(TokenSettings(ISSUER, AUDIENCE, pem))
    assert balance(served, issuer.token(key=EC_KEY, algorithm="ES256", kid=None)) == (200, "acme")
    assert balance(served, issuer.token())[0] == 401
    private = EC_KEY.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()
    for wrong in (private, "-----BEGIN nothing", "http://id.example/jwks.json", "ftp://id.example/k"):
        with pytest.raises(UsageError, match="neither"):
            Tokens(TokenSettings(ISSUER, AUDIENCE, wrong))


class Published(BaseHTTPRequestHandler):
    """An issuer's web server: keys, a way to other keys, and a document without end."""

    def do_GET(self) -> None:
        """Answer by the path."""
        if self.path == "/moved":
            self.send_response(302)
            self.send_header("Location", "/jwks.json")
            self.end_headers()
            return
        self.send_response(200)
        self.end_headers()
        self.wfile.write(Issuer().fetch("https://id.example/jwks.json"))
        if self.path == "/endless":
            self.wfile.write(b" " * 300_000)

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


def test_keys_over_http(served: Served, issuer: Issuer) -> None:
    """Keys are read from the address itself: whoever sends the reader elsewhere, or too much, publishes none."""
    with HTTPServer(("127.0.0.1", 0), Published) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        for path, status in (("/jwks.json", 200), ("/moved", 401), ("/endless", 401)):
            url = f"http://127.0.0.1:{server.server_port}{path}"
            served.service.credentials._tokens = Tokens(TokenSettings(ISSUER, AUDIENCE, url))
            assert balance(served, issuer.token())[0] == status
        server.shutdown()
        thread.join()


@pytest.mark.parametrize("algorithms", [("HS256",), ("none",), ("RS256", "HS512"), ()])
def test_algorithms_that_are_not_taken(algorithms: tuple[str, ...]) -> None:
    """A service cannot be set to believe tokens that whoever verifies could have signed, or that nobody signed."""
    with pytest.raises(UsageError, match="cannot be verified"):
        Tokens(TokenSettings(ISSUER, AUDIENCE, "https://id.example/k", algorithms=algorithms))
