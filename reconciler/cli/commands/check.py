"""``reconciler check``: may a tenant make a call now, and what would it cost; nothing is written."""

import json

import click

from reconciler.cli.books import BookOptions, book_options, numbers, reading, understood
from reconciler.cli.context import App, common_options, pass_app
from reconciler.cli.exits import Exit
from reconciler.cli.options import call_options, format_option, refusal_exitcode
from reconciler.diagnostics.visible import visible
from reconciler.entitlements import Decision, Policy
from reconciler.entitlements.explain import explain


@click.command("check")
@click.argument("tenant")
@call_options
@book_options
@format_option("text", "json")
@refusal_exitcode
@common_options
@pass_app
def command(
    app: App,
    tenant: str,
    tool: str | None,
    *,
    meter: str | None,
    quantity: int,
    units: tuple[str, ...],
    books: BookOptions,
    form: str,
    exit_code: bool,
) -> int:
    """Tell whether TENANT may call TOOL now, and why; a refusal is an answer, not an error. Writes nothing."""
    with reading(app, books) as runtime, understood():
        decision = runtime.check(tenant, tool, meter=meter, quantity=quantity, units=numbers(units))
        answer(app, decision, runtime.policy, form)
    return Exit.GUARD if exit_code and not decision.allowed else Exit.OK


def answer(app: App, decision: Decision, policy: Policy, form: str) -> None:
    """Write a decision to stdout, as a sentence or as JSON with the sentence in it."""
    sentence = explain(decision, policy)
    if form == "json":
        app.out.data(json.dumps({**decision.as_json(), "explanation": sentence}, indent=2) + "\n")
    else:
        app.out.data(f"{visible(sentence)}\n")
