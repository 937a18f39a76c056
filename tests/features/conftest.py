"""An empty directory and a shell, as the tests of the command line have them."""

from tests.cli.conftest import here, shell

__all__ = ["here", "shell"]
