"""``import``: one object or all that the files find, marked and nothing else; what is refused, and how it is said."""

import json
from typing import Any

import pytest
import stripe

from .support import Shell, dashboard, write

FILES = """\
settings: {namespace: acme, currency: usd}
meters:
  calls: {name: Calls, event_name: calls}
plans:
  pro:
    name: Pro
    default_price: monthly
    prices:
      monthly: {amount: 19, interval: month, lookup_key: pro-monthly}
      annual: {amount: 190, interval: year}
  team: {name: Team}
"""
ANNUAL = "plans.pro.prices.annual"


class Account:
    """The hand-made account of these tests: a product with two prices, another product, a meter."""

    def __init__(self) -> None:
        self.sandbox = dashboard()
        self.client = stripe.StripeClient("sk_test_sandbox", http_client=self.sandbox.http_client()).v1
        self.product = self.client.products.create({"name": "Pro", "metadata": {"team": "x"}}).id
        self.other = self.client.products.create({"name": "Other"}).id
        self.monthly = self.price(1900, "month", lookup_key="pro-monthly")
        self.annual = self.price(19000, "year")
        self.client.products.update(self.product, {"default_price": self.monthly})
        aggregation: Any = {"formula": "sum"}
        meter = {"display_name": "Calls", "event_name": "calls", "default_aggregation": aggregation}
        self.meter = self.client.billing.meters.create(meter).id  # type: ignore[arg-type]  # plain data

    def price(self, amount: int, interval: Any, **more: Any) -> str:
        """Make a price of the product."""
        params = {
            "product": self.product,
            "currency": "usd",
            "unit_amount": amount,
            "recurring": {"interval": interval},
        }
        return self.client.prices.create(params | more).id  # type: ignore[arg-type]  # plain data

    def dump(self) -> dict[str, dict[str, Any]]:
        """Return everything a person can see but the locks, which are inactive, without the times of changes."""
        lists = (
            self.client.products.list({"active": True}),
            self.client.prices.list(),
            self.client.billing.meters.list(),
        )
        found = {each.id: json.loads(str(each)) for page in lists for each in page.data}
        return {name: {key: value for key, value in each.items() if key != "updated"} for name, each in found.items()}


@pytest.fixture
def account() -> Any:
    """Make the account in the sandbox of the current directory."""
    write(FILES)
    made = Account()
    yield made
    made.sandbox.close()


def test_one_object_gets_its_mark_and_nothing_else(shell: Shell, account: Account) -> None:
    """The product is as before but for the mark; the next plan neither creates nor replaces it."""
    before = account.dump()
    done = shell.stored("import", "plans.pro", account.product, "--auto-approve")
    assert (done.code, "1 object to take over" in done.out) == (0, True)
    assert "metadata.address        plans.pro\n" in done.out
    after = account.dump()
    mark = after[account.product].pop("metadata")
    assert mark.pop("team") == before[account.product].pop("metadata")["team"]
    assert mark.keys() == {"managed_by", "address", "config_digest"}
    assert (mark["managed_by"], mark["address"]) == ("reconciler/acme", "plans.pro")
    assert after == before
    assert "Last applied: nothing as a whole yet\nLock: free\n" in shell.stored("status").out


def test_prices_follow_their_product_and_then_the_plan_is_of_what_differs(shell: Shell, account: Account) -> None:
    """Taken one by one, marks that name what was taken later are renewed, so only what the files ask for is planned."""
    pairs = {"plans.pro": account.product, "plans.pro.prices.monthly": account.monthly, ANNUAL: account.annual}
    for address, object_id in pairs.items():
        assert shell.stored("import", address, object_id, "--auto-approve").code == 0
    plan = json.loads(shell.stored("plan", "--format", "json").out)
    found = {each["address"]: (each["action"], each["fields"]) for each in plan["actions"]}
    assert found == {"plans.team": ("create", []), ANNUAL: ("update", ["lookup_key"])}


def test_what_the_next_plan_will_change_is_said(shell: Shell, account: Account) -> None:
    """A price without the key of its address is taken over, and the change to come is named."""
    assert shell.stored("import", "plans.pro", account.product, "--auto-approve").code == 0
    done = shell.stored("import", ANNUAL, account.annual, "--dry-run")
    assert (done.code, "the next plan changes lookup_key" in done.out) == (0, True)


def test_a_dry_run_writes_nothing(shell: Shell, account: Account) -> None:
    """--dry-run shows the mark and leaves every object byte for byte."""
    before = account.dump()
    done = shell.stored("import", "plans.pro", account.product, "--dry-run", "--format", "json")
    (taken,) = json.loads(done.out)["taken"]
    assert (taken["id"], taken["mark"]["address"]) == (account.product, "plans.pro")
    assert account.dump() == before


def test_without_an_answer_nothing_is_written(shell: Shell, account: Account) -> None:
    """Where nobody can be asked, the command fails and names the option."""
    before = account.dump()
    done = shell.stored("import", "plans.pro", account.product)
    assert (done.code, "--auto-approve" in done.err) == (1, True)
    assert account.dump() == before


def test_import_again_writes_nothing(shell: Shell, account: Account) -> None:
    """What carries its mark already is under management: no write, exit 0."""
    assert shell.stored("import", "plans.pro", account.product, "--auto-approve").code == 0
    before = account.dump()
    done = shell.stored("import", "plans.pro", account.product, "--auto-approve")
    assert (done.code, "0 objects to take over" in done.out) == (0, True)
    assert account.dump() == before


def test_match_takes_what_the_files_find_and_says_what_is_left(shell: Shell, account: Account) -> None:
    """Keys and entries find objects; the rest is listed with the reason and stays as it is."""
    entries = f"imports: [{{to: plans.pro, id: {account.product}}}, {{to: {ANNUAL}, id: {account.annual}}}]\n"
    write(FILES.replace("  team: {name: Team}\n", "") + entries)
    before = account.dump()
    done = shell.stored("import", "--match", "--auto-approve")
    assert done.code == 0
    assert f"{account.other}  product" in done.out
    assert "no address of the files names it" in done.out
    assert account.dump()[account.other] == before[account.other]
    assert json.loads(shell.stored("plan", "--format", "json").out)["changes"] == 0


REFUSED = {
    "unknown address": (lambda at: ("plans.prro", at.product), "E0706", "did you mean 'plans.pro'?"),
    "not there": (lambda _at: ("plans.pro", "prod_none"), "E0709", "has no product prod_none"),
    "another kind": (lambda at: ("plans.pro", at.monthly), "E0709", "is a price"),
    "its product is another": (lambda at: (ANNUAL, at.annual), "E0703", "here"),
    "another event name": (lambda at: ("meters.tokens", at.meter), "E0703", "event_name is calls there"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_taken_over_is_refused(case: str, shell: Shell, account: Account) -> None:
    """The reason is named, and nothing is written."""
    write(FILES.replace("meters:\n", "meters:\n  tokens: {name: Tokens}\n"))
    before = account.dump()
    pick, code, words = REFUSED[case]
    done = shell.stored("import", *pick(account), "--auto-approve")
    assert done.code == 1
    assert f"error[{code}]" in done.err
    assert words in done.err
    assert account.dump() == before


def test_another_amount_is_refused_with_both_sides(shell: Shell, account: Account) -> None:
    """A price the next plan would replace is refused: which field, what is there, what is here."""
    assert shell.stored("import", "plans.pro", account.product, "--auto-approve").code == 0
    write(FILES.replace("amount: 190,", "amount: 200,"))
    done = shell.stored("import", ANNUAL, account.annual, "--auto-approve")
    assert (done.code, 'unit_amount_decimal is "19000" there, "20000" here' in done.err) == (1, True)


@pytest.mark.parametrize(
    ("metadata", "code", "words"),
    [
        ({"managed_by": "reconciler/other", "address": "plans.x"}, "E0707", "of namespace other"),
        ({"managed_by": "reconciler/acme", "address": "plans.team"}, "E0707", "plans.team of namespace acme"),
        ({"address": "1 Main Street"}, "E0708", "uses address"),
        ({f"key{number}": "x" for number in range(47)}, "E0708", "none is free"),
    ],
    ids=["another namespace", "another address", "a key in use", "no key free"],
)
def test_an_object_with_an_owner_or_without_room_is_refused(
    metadata: dict[str, str], code: str, words: str, shell: Shell, account: Account
) -> None:
    """A mark is never written over anything."""
    account.client.products.update(account.product, {"metadata": metadata})
    before = account.dump()
    done = shell.stored("import", "plans.pro", account.product, "--auto-approve")
    assert done.code == 1
    assert f"error[{code}]" in done.err
    assert words in done.err
    assert account.dump() == before


@pytest.mark.parametrize("arguments", [(), ("plans.pro",), ("plans.pro", "prod_1", "--match")])
def test_the_command_line_is_checked(arguments: tuple[str, ...], shell: Shell, account: Account) -> None:
    """An address needs an id, and --match takes neither."""
    assert (account.product != "", shell.stored("import", *arguments).code) == (True, 64)


def test_a_saved_plan_takes_over_by_id(shell: Shell, account: Account) -> None:
    """Entries of imports are adopted by plan and apply through a plan file, and the next plan has nothing to do."""
    entries = f"imports: [{{to: plans.pro, id: {account.product}}}, {{to: {ANNUAL}, id: {account.annual}}}]\n"
    write(FILES.replace("  team: {name: Team}\n", "") + entries)
    assert shell.stored("plan", "--out", "plan.json").code == 0
    done = shell.stored("apply", "plan.json")
    assert done.code == 0, done.err
    assert account.client.prices.retrieve(account.annual).lookup_key is None
    assert json.loads(shell.stored("plan", "--format", "json").out)["changes"] == 0


def test_each_environment_has_ids_of_its_own(shell: Shell, account: Account) -> None:
    """Entries of several files stand together, and an overlay replaces them."""
    write(FILES.replace("  team: {name: Team}\n", ""))
    write("imports: [{to: plans.pro, id: prod_elsewhere}]\n", "products.yaml")
    write(f"imports: [{{to: {ANNUAL}, id: price_elsewhere}}]\n", "prices.yaml")
    here = f"imports: [{{to: plans.pro, id: {account.product}}}, {{to: {ANNUAL}, id: {account.annual}}}]\n"
    write(here, "env/here/imports.yaml")
    assert "product is" in shell.stored("plan").err
    assert json.loads(shell.stored("plan", "--env", "here", "--format", "json").out)["counts"] == {"adopt": 3}


def test_a_mark_that_names_what_is_taken_later_is_renewed(shell: Shell, account: Account) -> None:
    """A product's mark is bound to its default price; once that is taken over by id, the mark says its address."""
    account.client.products.update(account.product, {"default_price": account.annual})
    write(FILES.replace("default_price: monthly", "default_price: annual").replace("  team: {name: Team}\n", ""))
    assert shell.stored("import", "plans.pro", account.product, "--auto-approve").code == 0
    done = shell.stored("import", ANNUAL, account.annual, "--auto-approve")
    assert (done.code, "1 mark renewed" in done.out) == (0, True)
    plan = json.loads(shell.stored("plan", "--format", "json").out)
    assert {each["address"] for each in plan["actions"]} == {ANNUAL, "plans.pro.prices.monthly"}
