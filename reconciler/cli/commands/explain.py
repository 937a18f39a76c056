"""``reconciler explain``: what an error code means, with an example and its correction."""

import textwrap

import click

from reconciler.cli.context import App, common_options, pass_app
from reconciler.config.words import did_you_mean
from reconciler.diagnostics import UsageError
from reconciler.diagnostics.codes import EXPLANATIONS, Explanation
from reconciler.diagnostics.visible import visible


@click.command("explain")
@click.argument("code", required=False)
@common_options
@pass_app
def command(app: App, code: str | None) -> None:
    """Explain an error code; without CODE, list all."""
    if code is None:
        app.out.data("".join(f"{name}  {each.title}\n" for name, each in EXPLANATIONS.items()))
        return
    name = code.strip().upper()
    if name not in EXPLANATIONS:
        raise UsageError(
            "E1032",
            f"there is no code {code!r}{did_you_mean(name, EXPLANATIONS)}",
            remedy="`reconciler explain` lists all.",
        )
    app.out.data(explained(name, EXPLANATIONS[name], app.out.width))


def explained(name: str, each: Explanation, width: int) -> str:
    """Write one explanation: title, cause, what produces it, what corrects it; hidden characters can be seen."""
    cause = textwrap.fill(each.cause, width)
    return f"{name}: {each.title}\n\n{cause}\n\nExample:\n{_block(each.example)}\nCorrected:\n{_block(each.fix)}"


def _block(text: str) -> str:
    return "".join(f"    {visible(line)}\n" for line in text.rstrip("\n").split("\n"))
