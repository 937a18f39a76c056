"""E15xx: serving the runtime over HTTP."""

from reconciler.diagnostics.codes.model import prose

CODES = {
    "E1501": prose(
        "operator keys cannot be read",
        "RECONCILER_OPERATOR_KEYS, or the file of --operator-keys, holds words of an id and the SHA-256 of a key, "
        "between commas or white space. The key itself stands nowhere.",
        "RECONCILER_OPERATOR_KEYS=ops",
        "RECONCILER_OPERATOR_KEYS=ops:SHA256, as `reconciler key new --operator` prints it",
    ),
    "E1502": prose(
        "keys of tokens cannot be used",
        "JSON Web Tokens are verified by the public keys of their issuer: a JWKS document at an https address, or the "
        "PEM file of one public key.",
        "--jwt-keys http://issuer.example/jwks.json",
        "--jwt-keys https://issuer.example/.well-known/jwks.json",
    ),
    "E1503": prose(
        "algorithm of tokens not taken",
        "Whoever verifies a token must not be able to sign one, so only asymmetric algorithms are taken, and none is "
        "never one of them.",
        "--jwt-algorithm HS256",
        "--jwt-algorithm RS256",
    ),
    "E1504": prose(
        "nobody could be told apart",
        "A service that others can reach has to know who asks: by API keys of tenants in the files, by operator keys, "
        "or by tokens. Without any it listens on this machine only.",
        "reconciler serve --host 0.0.0.0, with no api_keys in the files",
        "reconciler key new --operator, then RECONCILER_OPERATOR_KEYS with what it prints",
    ),
    "E1505": prose(
        "cannot listen",
        "The address is not this machine's, is taken, or needs more rights.",
        "reconciler serve --port 80, as an ordinary user",
        "reconciler serve --port 8080",
    ),
    "E1506": prose(
        "packages of the server missing",
        "Serving needs packages that are installed only where they are asked for.",
        "reconciler serve after pip install reconciler",
        "pip install 'reconciler[server]'",
    ),
    "E1507": prose(
        "settings of the service disagree",
        "Tokens need an issuer, an audience and keys together; an origin is a scheme and a host, perhaps with a port.",
        "--return-origin shop.example/thanks",
        "--return-origin https://shop.example",
    ),
}
