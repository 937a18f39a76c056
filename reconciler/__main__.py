"""The console script and ``python -m reconciler``: the process around the command line."""

import atexit
import gc
import importlib
import os
import sys
from types import ModuleType

from reconciler import __version__

_PLUGINS = "pydantic.plugin._loader"


class _NoPlugins(ModuleType):
    """Stands in for the module in which pydantic looks for plugins, whose imports cost a tenth of a validation.

    Whatever else a later pydantic asks of that module comes from the module itself.
    """

    get_plugins = tuple

    def __getattr__(self, name: str) -> object:
        if name.startswith("__"):
            raise AttributeError(name)
        sys.modules.pop(_PLUGINS, None)
        return getattr(importlib.import_module(_PLUGINS), name)


def run() -> None:
    """Run the command line as a process; ``--version`` alone is answered before the command line is loaded."""
    if sys.argv[1:] == ["--version"] and _write(f"reconciler {__version__}\n"):
        return
    gc.set_threshold(200_000)  # imports and catalogues are many objects and no garbage
    atexit.register(gc.freeze)  # nor is there any worth looking for while the process ends
    if os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__") == "__all__":
        sys.modules[_PLUGINS] = _NoPlugins(_PLUGINS)
    importlib.import_module("reconciler.cli.main").run()


def _write(text: str) -> bool:
    """Write to stdout; False where it does not take the text, so that the command line can say why."""
    try:
        return sys.stdout is not None and os.write(sys.stdout.fileno(), text.encode()) == len(text)
    except OSError:
        return False


if __name__ == "__main__":
    run()
