"""Hide secrets, Stripe's and the service's own keys, in any text before it is shown, logged or stored."""

import re
from collections.abc import Iterator

#: Secret, restricted, publishable and ephemeral keys and webhook secrets. A live key is recognised from its first
#: character; without a mode in its name it needs a length and a digit, so that an id like ``pk_generator`` passes.
_SECRET = re.compile(
    r"""(?<![A-Za-z0-9])
    (?P<prefix>
        (?:sk|rk|pk|ek)_live_ (?=[A-Za-z0-9])
      | (?:sk|rk|pk|ek)_test_ (?=[A-Za-z0-9]{8})
      | whsec_(?:live_|test_)? (?=[A-Za-z0-9+/]{8})
      | (?:sk|rk|pk|ek)_ (?=[A-Za-z]{0,64}[0-9]) (?=[A-Za-z0-9]{16})
      | rck_(?:op|tenant)_ (?=[A-Za-z0-9]{16})
    )
    (?P<tail> [A-Za-z0-9_+/=]+ )""",
    re.VERBOSE,
)
#: One of these stands in every secret. To look for them first is many times faster, and most texts hold none.
_MARKS = ("sk_", "rk_", "pk_", "ek_", "ck_", "whsec_")


def redact(text: str) -> str:
    """Replace every Stripe secret in the text by its prefix and ``***``."""
    return _SECRET.sub(lambda match: f"{match['prefix']}***", text) if _suspect(text) else text


def mask(text: str) -> str:
    """Replace every Stripe secret by its prefix and as many ``*`` as it had characters: columns keep their meaning."""
    return _SECRET.sub(lambda match: match["prefix"] + "*" * len(match["tail"]), text) if _suspect(text) else text


def find_secrets(text: str) -> Iterator[tuple[int, int, str]]:
    """Yield start, end (exclusive) and harmless prefix of every Stripe secret in the text."""
    for match in _SECRET.finditer(text) if _suspect(text) else ():
        yield match.start(), match.end(), match["prefix"]


def _suspect(text: str) -> bool:
    return "_" in text and any(mark in text for mark in _MARKS)
