"""What unquoted scalars mean, and which spellings are refused."""

import json
from decimal import Decimal

import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from reconciler.config.scalars import MAX_DIGITS, Refusal, resolve
from reconciler.config.source import load_text

MEANINGS = [
    ("", None),
    ("~", None),
    ("null", None),
    ("true", True),
    ("false", False),
    ("0", 0),
    ("7", 7),
    ("-7", -7),
    ("999999999999999999", 999999999999999999),
    ("49.99", Decimal("49.99")),
    ("-0.5", Decimal("-0.5")),
    ("1.10", Decimal("1.10")),
    ("0.000000000000000001", Decimal("0.000000000000000001")),
    ("inf", "inf"),
    ("2027-01-31", "2027-01-31"),
    ("2028-02-29", "2028-02-29"),
    ("2027-01-31T12:00:00Z", "2027-01-31T12:00:00Z"),
    ("1.2.3", "1.2.3"),
    ("365 days", "365 days"),
    ("5%", "5%"),
    ("1,0", "1,0"),
    ("10:000", "10:000"),
    ("0x", "0x"),
    ("0b12", "0b12"),
    ("1e", "1e"),
    ("e3", "e3"),
    ("-", "-"),
    (".", "."),
    ("+", "+"),
    ("..5", "..5"),
    (".infinity", ".infinity"),
    ("yesterday", "yesterday"),
    ("Norway", "Norway"),
    ("nullable", "nullable"),
    ("==", "=="),
    ("é1", "é1"),
    ("x²", "x²"),
    ("5€", "5€"),
]

REFUSED = {
    "E0130": "y Y yes Yes YES n N no No NO on On ON off Off OFF True TRUE False FALSE".split(),
    "E0131": "010 0123 00 007 -07 +07 08 01.5 00. 000000".split(),
    "E0132": "0x1F 0X1f -0xff +0x1 0o10 0O7 0b101 0B1 0x1_0".split(),
    "E0133": "1_000 -1_0 1__0 1_ 1_000.5 1.000_5 0_1 1,000 -1,000,000 1,000.50".split(),
    "E0134": "1e3 1E3 -1e3 1e-7 1E+7 1.5e3 .5e1 1.e2 1_0e3 +1e1".split(),
    "E0135": "12:30 12:30:45 22:22 1:30.5 -1:30 0:59 1_0:30".split(),
    "E0136": ["2027-1-31", "2027-01-1", "2027-02-29", "2026-13-45", "2027-01-31 12:00:00", "2027-01-31t12:00:00z"],
    "E0137": ".inf .Inf .INF -.inf +.inf .nan .NaN .NAN".split(),
    "E0138": "Null NULL".split(),
    "E0139": "+5 +0.5 +.5 5. -5. .5 -.5 -0 -0.00 +5.".split(),
    "E0140": ["1" * (MAX_DIGITS + 1), "-" + "1" * (MAX_DIGITS + 1), "0." + "1" * (MAX_DIGITS + 1), "1" * 5000],
    "E0141": ["\uff11\uff10", "\u0661.\u0665", "\u22125", "5\u0660", "-\u0665", "\u0967:\u0969"],
    "E0142": ["=", "<<"],
}

whole = st.one_of(st.just("0"), st.from_regex(rf"[1-9][0-9]{{0,{MAX_DIGITS - 1}}}", fullmatch=True))
plain_decimals = st.builds(
    "{}{}.{}".format, st.sampled_from(["", "-"]), whole, st.from_regex(rf"[0-9]{{1,{MAX_DIGITS}}}", fullmatch=True)
).filter(lambda text: Decimal(text) != 0 or not text.startswith("-"))

FORBIDDEN = "".join(map(chr, [*range(32), *range(0x7F, 0xA0), 0x2028, 0x2029, 0xFEFF, 0xFFF9, 0xFFFA, 0xFFFB])) + (
    "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\ufffe\uffff" + "".join(map(chr, range(0xE0000, 0xE0080)))
)
allowed_text = st.text(st.characters(codec="utf-8", exclude_characters=FORBIDDEN.replace("\n", "").replace("\t", "")))


def value_of(yaml_value: str) -> object:
    """Load ``a: <yaml_value>`` and return what stands under ``a``; there must be no problem."""
    document, diagnostics = load_text(f"a: {yaml_value}\n", "f.yaml")
    assert document is not None
    assert diagnostics == []
    return document.root["a"]


@pytest.mark.parametrize(("text", "value"), MEANINGS)
def test_a_plain_scalar_has_one_meaning(text: str, value: object) -> None:
    """An unambiguous scalar becomes exactly its value, of exactly its type."""
    resolved = resolve(text)
    assert (resolved, type(resolved)) == (value, type(value))


@pytest.mark.parametrize(("code", "text"), [(code, text) for code, texts in REFUSED.items() for text in texts])
def test_an_ambiguous_scalar_is_refused_with_the_code_of_its_cause(code: str, text: str) -> None:
    """An ambiguous spelling is refused, names itself and says what to write."""
    refusal = resolve(text)
    assert isinstance(refusal, Refusal)
    assert refusal.code == code
    assert text[:10] in refusal.summary
    assert refusal.help


@pytest.mark.parametrize("text", [text for texts in REFUSED.values() for text in texts])
def test_a_refused_scalar_is_text_in_quotes(text: str) -> None:
    """Positive control: the same characters in quotes are that text, in both styles of quote."""
    assert value_of(f"'{text}'") == text
    assert value_of(json.dumps(text, ensure_ascii=False)) == text


@given(plain_decimals)
@example("0.00")
@example("49.90")
def test_a_plain_decimal_is_exact(text: str) -> None:
    """Every plain decimal within the limits becomes the decimal of its own text, down to its trailing zeros."""
    value = value_of(text)
    assert isinstance(value, Decimal)
    assert f"{value:f}" == text


@given(st.integers(min_value=1 - 10**MAX_DIGITS, max_value=10**MAX_DIGITS - 1))
def test_an_integer_is_exact(number: int) -> None:
    """Every integer within the limits becomes itself."""
    assert value_of(str(number)) == number


@given(allowed_text)
@example("yes")
@example("a\tb\nc # d: 'e' \"f\" \\ *")
@example("\U0001f680 zero\u200bwidth \u00a0")
def test_a_text_quoted_as_json_is_itself(text: str) -> None:
    """Every text of allowed characters survives quoting by JSON."""
    assert value_of(json.dumps(text, ensure_ascii=False)) == text


@given(
    st.one_of(
        st.text("0123456789+-._:eExXobTZ, infaNyYesO", min_size=1, max_size=12),
        st.sampled_from([text for texts in REFUSED.values() for text in texts]),
        st.dates().map(str),
        st.datetimes().map(str),
    ).map(str.strip)
)
def test_what_yaml_1_1_types_is_typed_alike_or_refused(text: str) -> None:
    """Where YAML 1.1 sees something other than text, ours is the same value, an ISO date as text, or a refusal."""
    tag = yaml.SafeLoader("").resolve(yaml.ScalarNode, text, (True, False))
    value = resolve(text)
    if tag == "tag:yaml.org,2002:str" or isinstance(value, Refusal):
        return
    if tag == "tag:yaml.org,2002:timestamp":
        assert value == text
        return
    theirs = yaml.safe_load(text)
    assert type(value) is (Decimal if isinstance(theirs, float) else type(theirs))
    assert value == (Decimal(text) if isinstance(theirs, float) else theirs)
