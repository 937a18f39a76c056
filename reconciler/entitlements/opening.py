"""Where a policy comes from: YAML, a compiled file, or memory."""

from pathlib import Path

from reconciler.entitlements.policy import Policy, read_policy


def policy_of(source: str | Path | Policy, env: str | None = None) -> Policy:
    """Return a policy from a directory of YAML, a compiled file, or as it is."""
    if isinstance(source, Policy):
        return source
    path = Path(source)
    if path.is_dir():
        # The seam: only a process that reads YAML pays for the parser and the models.
        from reconciler.entitlements.compile import compile_directory  # noqa: PLC0415

        return compile_directory(path, env)
    return read_policy(path)
