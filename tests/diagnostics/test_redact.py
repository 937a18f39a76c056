"""Secrets and invisible characters never reach a reader."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.diagnostics.redact import find_secrets, mask, redact
from reconciler.diagnostics.visible import quoted, visible

KEY = "a1B2c3D4e5F6"
PREFIXES = ["sk_live_", "rk_live_", "pk_live_", "ek_live_", "sk_test_", "rk_test_", "pk_test_", "whsec_", "whsec_test_"]


@pytest.mark.parametrize("prefix", PREFIXES)
@pytest.mark.parametrize("around", ["{}", "key={}", '"{}"', "({})\n", "x {}, y", "Bearer {}", "A_{}", "é{}."])
def test_a_secret_is_reduced_to_its_prefix(prefix: str, around: str) -> None:
    """Every kind of Stripe secret is recognised in any surroundings, and the surroundings stay."""
    text = around.format(prefix + KEY)
    assert redact(text) == around.format(f"{prefix}***")
    assert mask(text) == around.format(prefix + "*" * len(KEY))


def test_a_live_key_is_recognised_from_its_first_character() -> None:
    """However short, what follows the live prefix is hidden."""
    assert redact("sk_" + "live_" + "x") == "sk_live_***"


def test_an_old_key_without_mode_is_recognised() -> None:
    """Keys from before modes were part of the name are hidden: long, with a digit."""
    assert redact("sk_" + KEY * 2) == "sk_***"


@pytest.mark.parametrize(
    "text",
    [
        "sk_live_",
        "sk_test_sandbox",
        "pk_generator",
        "pk_" + "generator" * 3,
        "task_live_x1",
        "whsec_short",
        "acct_a1B2c3D4",
        "sk_live_…",
        "",
    ],
)
def test_other_text_is_left_alone(text: str) -> None:
    """Decoy: prefixes alone, test words, ids of objects and longer words are not secrets."""
    assert redact(text) == mask(text) == text


@given(st.lists(st.sampled_from([*PREFIXES, KEY, "_", " ", "\n", "=", "sk", "é"]), max_size=12).map("".join))
def test_masking_keeps_length_and_leaves_nothing_to_find(text: str) -> None:
    """A masked text is as long as before and holds no secret, and neither does a redacted one."""
    assert len(mask(text)) == len(text)
    assert list(find_secrets(mask(text))) == list(find_secrets(redact(text))) == []


@given(st.text())
def test_visible_text_is_printable_on_one_line(text: str) -> None:
    """Whatever the text, what is shown has no controls, no line breaks, no overrides and can be encoded."""
    shown = visible(text)
    assert len(shown.splitlines()) <= 1
    assert not set(shown) & set("\x1b\x07\r\n\t\u202e\u2066\u200b\ufeff")
    shown.encode()


def test_visible_text_stays_readable() -> None:
    """Letters of any script, accents and emoji are shown as they are; what is invisible is spelled out."""
    assert visible("Zoë 日本 \U0001f680 a\u0301") == "Zoë 日本 \U0001f680 a\u0301"
    assert visible("a\tb\u202ec\x1b[0m") == "a\\tb\\u{202e}c\\u{1b}[0m"


def test_a_quoted_text_is_cut() -> None:
    """A long text is cut to its limit inside the quotes, a text of exactly the limit is not."""
    assert quoted("abcdef", limit=6) == "'abcdef'"
    assert quoted("abcdefg", limit=6) == "'abcde…'"
