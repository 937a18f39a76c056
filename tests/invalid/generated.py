"""Invalid files that are large, hold bytes editors and git would change, or must not stand in a repository."""

from collections.abc import Callable

MEBIBYTE = 1024 * 1024
LETTERS = "abcdefghij"
KEY = "a1B2c3D4e5F6"


def secret(*parts: str) -> str:
    """Assemble something that looks like a key at run time, so that none stands in the repository."""
    return "_".join(parts) + "_" + KEY


def alias_bomb(width: int) -> str:
    """Write the billion-laughs file: every level names the level before ``width`` times."""
    lines = ["a0: &a0 [lol]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * width)}]" for n in range(1, len(LETTERS))]
    return "\n".join(lines) + "\n"


TEXTS: dict[str, str] = {
    # encoding: characters that hide or that act
    "bom-inside": "plans: {}\n\ufeffmeters: {}\n",
    "nul": "settings: {namespace: ac\0me}\n",
    "bell": "settings: {namespace: ac\ame}\n",
    "ansi-escape": "settings: {namespace: \x1b[31macme}\n",
    "delete-character": "settings: {namespace: ac\x7fme}\n",
    "c1-control": "settings: {namespace: ac\x9bme}\n",
    "hidden-key-next-line": "plans: {}  # nothing\x85coupons: {}\n",
    "hidden-key-line-separator": "a: 1\u2028b: 2\n",
    "hidden-key-paragraph-separator": "a: 1\u2029b: 2\n",
    "hidden-key-carriage-return": "a: 1\rb: 2\n",
    "carriage-return-at-end": "a: 1\r",
    "bidi-override": "plans: {pro: {name: \u202eorP}}\n",
    "bidi-isolate-in-comment": "plans: {} # \u2066 admin \u2069\n",
    "zero-width-in-key": "plans:\n  pro\u200b: {name: Pro}\n",
    "zero-width-joiner-in-quoted-key": 'plans:\n  "pr\u200do": {name: Pro}\n',
    "soft-hyphen-in-key": "plans:\n  pr\u00ado: {name: Pro}\n",
    "no-break-space-in-key": 'plans:\n  "pro\u00a0plan": {name: Pro}\n',
    "variation-selector-in-key": "plans:\n  pro\ufe0f: {name: Pro}\n",
    "hangul-filler-in-key": "plans:\n  pro\u3164: {name: Pro}\n",
    "tag-characters": "plans: {pro: {name: Pro\U000e0068\U000e0069}}\n",
    "noncharacter": "plans: {pro: {name: Pro\uffff}}\n",
    "no-break-space-after-colon": "plans:\n  pro:\n    name:\u00a0Pro\n    trial_days: 14\n",
    "ideographic-space-indent": "plans:\n\u3000pro: {name: Pro}\n",
    # traps that only other scripts have
    "full-width-digits": "credits: \uff11\uff10\uff10\n",
    "arabic-digits": "credits: \u0661\u0662\u0663\n",
    "typographic-minus": "credits: \u22125\n",
    # resources
    "alias-bomb": alias_bomb(9),
    "depth-65": "a: " + "[" * 64 + "]" * 64 + "\n",
    "depth-1000-block": "".join(f"{' ' * n}a:\n" for n in range(1000)),
    "depth-100000": "[" * 100_000,
    "depth-1000000-mappings": "{" * 1_000_000,
    "depth-before-syntax-error": "a: " + "[" * 1010 + "@",
    "depth-in-place-of-a-key": "a: 1\n" + "[" * 3000,
    "depth-with-anchors": "a: &a " + "[" * 1010,
    "keys-200000": "".join(f"k{n}: a\n" for n in range(100_000)),
    "merges-1500": "".join(f"m{n}:\n  <<: {{a: b}}\n" for n in range(1500)),
    "scalar-of-2-mebibytes": "a: " + "x" * 2 * MEBIBYTE,
    "integer-of-5000-digits": "a: " + "1" * 5000 + "\n",
    "hexadecimal-of-200000-digits": "a: 0x" + "f" * 200_000 + "\n",
    "problems-101": "a: [" + "yes, " * 101 + "]\n",
    "very-long-line": "a: {" + "".join(f"k{n}: a, " for n in range(40_000)) + "z: 1e3}\n",
    # structure that editors would repair
    "tab-indent": "plans:\n\tpro: {name: Pro}\n",
    "tab-inside-block": "plans:\n  pro:\n  \tname: Pro\n",
    "crlf-duplicate": "a: 1\r\nb: 2\r\na: 3\r\n",
    "no-final-newline": "a: yes",
    # secrets
    "secret-key": f"settings: {{key: {secret('sk', 'live')}}}\n",
    "secret-test-key": f"settings: {{key: {secret('sk', 'test')}}}\n",
    "secret-restricted-key": f"settings:\n  key: '{secret('rk', 'live')}'\n",
    "secret-publishable-key": f"settings: {{key: {secret('pk', 'live')}}}\n",
    "secret-webhook": f"webhooks: {{main: {{metadata: {{s: {secret('whsec')}}}}}}}\n",
    "secret-in-comment": f"plans: {{}}  # was {secret('sk', 'live')}, roll it\n",
    "secret-in-key": f"{secret('rk', 'test')}: 1\n",
    "secret-escaped": 'a: "s\\x6b_live_' + KEY + '"\n',
    "secret-folded": 'a: "' + "sk_live_" + KEY[:4] + "\\\n  " + KEY[4:] + '"\n',
    "secret-twice": f"a: {secret('sk', 'live')} {secret('ek', 'live')}\n",
    "secret-beside-syntax-error": f"a: {secret('sk', 'live')}\nb: [\n",
    "secret-in-duplicate": f"a: {secret('sk', 'live')}\na: {secret('sk', 'live')}\n",
}

RAW: dict[str, bytes] = {
    "utf-16-little": "plans: {}\n".encode("utf-16"),
    "utf-16-big": b"\xfe\xff" + "plans: {}\n".encode("utf-16-be"),
    "utf-16-without-mark": "plans: {}\n".encode("utf-16-le"),
    "latin-1": "plans:\n  café: {}\n".encode("latin-1"),
    "overlong": b"a: \xc0\xaf\n",
    "surrogate-bytes": b"a: \xed\xa0\x80\n",
    "truncated-character": b"a: \xe2\x82",
    "beyond-unicode": b"a: \xf4\x90\x80\x80\n",
    "bom-twice": b"\xef\xbb\xbf\xef\xbb\xbfa: 1\n",
}


def _constant(content: bytes) -> Callable[[], bytes]:
    return lambda: content


CASES: dict[str, Callable[[], bytes]] = {
    name: _constant(content) for name, content in (RAW | {name: text.encode() for name, text in TEXTS.items()}).items()
}
