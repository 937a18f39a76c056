"""``pull``: the files of a hand-made account, and what it refuses."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import stripe

from reconciler.config.catalog import load_catalog
from reconciler.planning.pull import offers

from .support import Shell, dashboard, write

GOLDEN = Path(__file__).parent / "golden" / "pulled.txt"
AGGREGATION: Any = {"formula": "sum"}


@pytest.fixture
def v1() -> Any:
    """Open the dashboard of the sandbox in the current directory."""
    sandbox = dashboard()
    yield stripe.StripeClient("sk_test_sandbox", http_client=sandbox.http_client()).v1
    sandbox.close()


def company(v1: Any) -> None:
    """Make the account of a small company as a person does."""
    meters = v1.billing.meters
    calls = meters.create(
        {"display_name": "API requests", "event_name": "api_requests", "default_aggregation": AGGREGATION}
    )
    tokens = meters.create({"display_name": "Tokens", "event_name": "tokens.used", "default_aggregation": AGGREGATION})
    support = v1.entitlements.features.create({"name": "Priority support", "lookup_key": "priority-support"})
    v1.products.create(
        {
            "name": "Free",
            "default_price_data": {"currency": "usd", "unit_amount": 0, "recurring": {"interval": "month"}},
        }
    )
    pro = v1.products.create(
        {
            "name": "Pro Plan",
            "description": "For teams: everything, and more",
            "metadata": {"line": "core", "owner_email": "jane@example.com"},
            "marketing_features": [{"name": "5,000 calls"}, {"name": "Priority support"}],
            "tax_code": "txcd_10103001",
        }
    ).id
    month: Any = {"interval": "month"}
    common = {"product": pro, "currency": "usd"}
    monthly = v1.prices.create(common | {"unit_amount": 4999, "recurring": month, "lookup_key": "pro_monthly"}).id
    v1.prices.create(common | {"unit_amount": 49990, "recurring": {"interval": "year"}, "nickname": "A year at once"})
    tiers = {"billing_scheme": "tiered", "tiers_mode": "graduated"}
    free = {"up_to": 5000, "unit_amount": 0}
    v1.prices.create(
        common
        | tiers
        | {"tiers": [free, {"up_to": "inf", "unit_amount_decimal": "0.5"}]}
        | {"recurring": {**month, "usage_type": "metered", "meter": calls.id}}
    )
    brackets = [free, {"up_to": 10000, "unit_amount_decimal": "0.5"}, {"up_to": "inf", "unit_amount_decimal": "0.4"}]
    v1.prices.create(
        common | tiers | {"tiers": brackets, "recurring": {**month, "usage_type": "metered", "meter": tokens.id}}
    )
    v1.prices.create(common | {"unit_amount": 4099, "currency": "gbp", "recurring": month})
    v1.products.update(pro, {"default_price": monthly})
    v1.products.features.create(pro, {"entitlement_feature": support.id})
    payg = v1.products.create({"name": "Pay as you go"}).id
    used = v1.prices.create(
        {
            "product": payg,
            "currency": "usd",
            "unit_amount_decimal": "0.02",
            "recurring": {**month, "usage_type": "metered", "meter": calls.id},
        }
    )
    v1.products.update(payg, {"default_price": used.id})
    pack = v1.products.create({"name": "1,000 credits"}).id
    v1.products.update(
        pack, {"default_price": v1.prices.create({"product": pack, "currency": "usd", "unit_amount": 4500}).id}
    )
    donation = v1.products.create({"name": "Donation"}).id
    v1.prices.create({"product": donation, "currency": "usd", "custom_unit_amount": {"enabled": True, "minimum": 500}})
    v1.products.update(v1.products.create({"name": "Old"}).id, {"active": False})
    v1.products.create({"name": "Theirs", "metadata": {"managed_by": "reconciler/other", "address": "plans.x"}})
    launch = v1.coupons.create(
        {"id": "LAUNCH20", "percent_off": 20, "duration": "once", "applies_to": {"products": [pro]}}
    )
    restrictions = {"first_time_transaction": True, "minimum_amount": 2000, "minimum_amount_currency": "usd"}
    promotion = {"type": "coupon", "coupon": launch.id}
    v1.promotion_codes.create({"promotion": promotion, "code": "LAUNCH20", "restrictions": restrictions})
    customer = v1.customers.create({"email": "jane@example.com"}).id
    v1.promotion_codes.create({"promotion": promotion, "code": "JANE", "customer": customer})
    v1.tax_rates.create(
        {"display_name": "VAT", "percentage": 21, "inclusive": False, "country": "NL", "tax_type": "vat"}
    )


def pulled() -> str:
    """Return all files as one text, ids by their kind alone."""
    files = sorted(Path("billing.d").rglob("*.yaml"))
    text = "".join(f"=== {path.relative_to('billing.d')}\n{path.read_text(encoding='utf-8')}" for path in files)
    return re.sub(r"\b(prod|price|promo|txr|acct|feat_test)_[A-Za-z0-9]{10,}", r"\1_…", text)


def test_the_files_are_what_a_person_would_have_written(shell: Shell, v1: Any, request: pytest.FixtureRequest) -> None:
    """Everything of an ordinary account is written, and what cannot be is told where one would look for it."""
    company(v1)
    assert shell.stored("pull", "--out", "billing.d", "--namespace", "acme").code == 0
    if request.config.getoption("--update-expected"):
        GOLDEN.write_text(pulled(), encoding="utf-8")
    assert pulled() == GOLDEN.read_text(encoding="utf-8")
    assert "jane" not in pulled()


def test_pull_then_import_leaves_nothing_to_plan(shell: Shell, v1: Any) -> None:
    """The plan from pulled files only adopts; after import --match it is empty, and validate agrees with the files."""
    company(v1)
    assert shell.stored("pull", "--out", "billing.d", "--namespace", "acme").code == 0
    assert shell("validate").code == 0
    plan = json.loads(shell.stored("plan", "--format", "json").out)
    assert plan["counts"] == {"adopt": plan["changes"]}
    assert plan["changes"] > 10
    assert shell.stored("import", "--match", "--auto-approve").code == 0
    assert json.loads(shell.stored("plan", "--format", "json").out)["changes"] == 0


def test_adopt_does_both(shell: Shell, v1: Any) -> None:
    """One command writes files and marks, and the next plan is empty."""
    company(v1)
    done = shell.stored("pull", "--out", "billing.d", "--namespace", "acme", "--adopt", "--auto-approve")
    assert (done.code, "Applied: " in done.out) == (0, True)
    assert json.loads(shell.stored("plan", "--format", "json").out)["changes"] == 0


def test_without_an_answer_adopt_writes_files_and_no_mark(shell: Shell, v1: Any) -> None:
    """Where nobody can be asked, the files are there and the account is as it was."""
    company(v1)
    assert shell.stored("pull", "--out", "billing.d", "--namespace", "acme", "--adopt").code == 1
    plan = json.loads(shell.stored("plan", "--format", "json").out)
    assert plan["counts"] == {"adopt": plan["changes"]}


def test_a_wrong_translation_is_left_out_and_never_planned(
    shell: Shell, v1: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The proof is no formality: were amounts written wrongly, their prices would become comments."""
    company(v1)
    right = offers.major
    monkeypatch.setattr(
        offers, "major", lambda minor, currency: right(f"{minor}1" if str(minor) != "0" else "0", currency)
    )
    assert shell.stored("pull", "--out", "billing.d", "--namespace", "acme").code == 0
    assert "there" in Path("billing.d/left_out.yaml").read_text(encoding="utf-8")
    assert not Path("billing.d/plans/pro.yaml").exists()
    plan = json.loads(shell.stored("plan", "--format", "json").out)
    assert plan["counts"] == {"adopt": plan["changes"]}


def test_nothing_is_overwritten(shell: Shell, v1: Any) -> None:
    """A directory with something in it is refused; an empty one is filled."""
    company(v1)
    kept = write("settings: {namespace: mine}\n")
    done = shell.stored("pull", "--out", "billing.d")
    assert (done.code, "E1007" in done.err) == (1, True)
    kept.unlink()
    assert shell.stored("pull", "--out", "billing.d").code == 0
    assert (Path("billing.d") / "settings.yaml").exists()


def test_an_empty_account_is_settings_alone(shell: Shell, v1: Any) -> None:
    """An account without anything gives files that are valid and an empty plan."""
    assert v1.products.list().data == []
    assert shell.stored("pull", "--out", "billing.d").code == 0
    assert [path.name for path in Path("billing.d").iterdir()] == ["settings.yaml"]
    assert json.loads(shell.stored("plan", "--format", "json").out)["changes"] == 0


def test_a_namespace_in_use_is_refused(shell: Shell, v1: Any) -> None:
    """Files of a namespace that already owns objects would retire them, so another one has to be chosen."""
    company(v1)
    done = shell.stored("pull", "--out", "billing.d", "--namespace", "other")
    assert (done.code, "E0710" in done.err) == (1, True)
    assert not Path("billing.d").exists()


def test_meters_named_like_the_namespace_are_refused(shell: Shell, v1: Any) -> None:
    """An event name of the namespace would count as ours, whoever made the meter."""
    v1.billing.meters.create({"display_name": "X", "event_name": "acme.x", "default_aggregation": AGGREGATION})
    assert shell.stored("pull", "--out", "billing.d", "--namespace", "acme").code == 1
    assert shell.stored("pull", "--out", "billing.d", "--namespace", "other").code == 0


@pytest.mark.parametrize("namespace", ["Acme", "1a", "", "a b"])
def test_a_namespace_has_a_form(namespace: str, shell: Shell) -> None:
    """What can be no namespace is refused before anything is read."""
    done = shell.stored("pull", "--out", "billing.d", "--namespace", namespace)
    assert (done.code, "E1044" in done.err) == (64, True)


def test_a_label_that_is_lost_is_left_out_and_never_planned(
    shell: Shell, v1: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also what an update would change counts: a price whose nickname got lost is told, not renamed."""
    company(v1)
    monkeypatch.setattr(offers, "_labels", lambda _draft, _price: {})
    assert shell.stored("pull", "--out", "billing.d", "--namespace", "acme").code == 0
    assert 'nickname is "A year at once" there, none here' in " ".join(pulled().replace("#", "").split())
    plan = json.loads(shell.stored("plan", "--format", "json").out)
    assert plan["counts"] == {"adopt": plan["changes"]}


def test_secrets_and_hidden_characters_are_never_written(shell: Shell, v1: Any) -> None:
    """What holds a Stripe secret, or text that hides from a reader, is left out and told without it."""
    secret = "sk_live_" + "4eC39HqLyjWDarjtT1"
    v1.products.create({"name": "Leaky", "description": f"key {secret}"})
    v1.products.create({"name": "Hidden \u202e", "metadata": {"line": "core"}})
    v1.products.create({"name": "Fine", "metadata": {"hook": secret, "line": "core"}})
    done = shell.stored("pull", "--out", "billing.d", "--namespace", "acme")
    assert done.code == 0
    assert [path.name for path in Path("billing.d/plans").iterdir()] == ["fine.yaml"]
    assert secret not in pulled() + done.out + done.err
    assert "it holds a Stripe secret" in pulled()
    assert "it holds U+202E" in " ".join(pulled().split())
    assert shell("validate").code == 0


@pytest.mark.parametrize(
    ("product", "price", "bought"),
    [
        ({"name": "Starter", "metadata": {"credits": "250"}}, {}, 250),
        ({"name": "Starter"}, {"nickname": "10k credits"}, 10000),
        ({"name": "2,500 credits"}, {}, 2500),
        ({"name": "Credits"}, {}, None),
        ({"name": "1.5 credits"}, {}, None),
        ({"name": "100 credits"}, {"recurring": {"interval": "month"}}, None),
        ({"name": "100 credits"}, {"transform_quantity": {"divide_by": 10, "round": "up"}}, None),
    ],
)
def test_a_pack_is_what_says_how_many_credits_it_buys(
    product: dict[str, Any], price: dict[str, Any], bought: int | None, shell: Shell, v1: Any
) -> None:
    """One one-time price and a number of credits make a pack, with a comment that asks to check; all else is a plan."""
    made = v1.products.create(product).id
    default = v1.prices.create({"product": made, "currency": "usd", "unit_amount": 500, **price}).id
    v1.products.update(made, {"default_price": default})
    assert shell.stored("pull", "--out", "billing.d", "--namespace", "acme").code == 0
    file = load_catalog(Path("billing.d")).file
    assert [int(pack.credits) for pack in file.credit_packs.values()] == ([] if bought is None else [bought])
    assert len(file.plans) == (1 if bought is None else 0)
    assert ("Please check" in pulled()) is (bought is not None)
