"""Every schema that is written, printed and compared: those of the files, and that of plans."""

from functools import cache

from reconciler.config.schemas import schema_files
from reconciler.planning.plan_schema import NAME, plan_schema_text


@cache
def all_schemas() -> dict[str, str]:
    """Return the text of every schema by file name."""
    return dict(sorted({**schema_files(), NAME: plan_schema_text()}.items()))
