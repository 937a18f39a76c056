"""The house: floors, homes of third parties, sizes and manners of the code, read from its syntax."""

import ast
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "reconciler"
FILES = sorted(PACKAGE.rglob("*.py"))

#: Room to floor. Imports go down only; rooms of one floor do not know each other.
FLOORS = {
    "diagnostics": 0,
    "money": 0,
    "config": 1,
    "ledger": 1,
    "resources": 2,
    "pricing": 2,
    "planning": 3,
    "entitlements": 3,
    "provider": 4,
    "impact": 4,
    "sandbox": 4,
    "service": 5,
    "integrations": 5,
    "cli": 6,
    "__main__": 7,
    "__init__": -1,
}
#: The sandbox shares no belief about Stripe with the rooms that are tested against it.
SANDBOX_MAY_USE = {"diagnostics", "money", "__init__"}
HOMES = {
    "yaml": ("config/",),
    "jsonschema": ("config/",),
    # In the API it types what comes from strangers, and writes the schemas of the OpenAPI document from those types.
    "pydantic": ("config/", "planning/planfile.py", "planning/snapshot.py", "service/api/", "service/openapi.py"),
    "deepdiff": ("planning/",),
    "stripe": ("provider/", "sandbox/"),
    "starlette": ("sandbox/server", "service/"),
    "uvicorn": ("sandbox/server", "service/"),
    "click": ("cli/",),
    "rich": ("cli/",),
    "pytest": ("sandbox/pytest",),
    "psycopg": ("ledger/postgres",),
    "jwt": ("service/identity/",),
    "prometheus_client": ("service/operations/",),
}
SEAMS = {("entitlements/opening.py", "policy_of"), ("ledger/ledger.py", "_postgres")}
MAX_FILE, MAX_FUNCTION = 400, 70
files = pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))


@cache
def tree(path: Path) -> ast.Module:
    """Parse a file once."""
    return ast.parse(path.read_text())


def room(path: Path) -> str:
    """Name the room a file belongs to."""
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imports(node: ast.AST) -> Iterator[str]:
    """Yield the dotted names of the modules that are imported anywhere below a node."""
    for item in ast.walk(node):
        if isinstance(item, ast.Import):
            yield from (alias.name for alias in item.names)
        elif isinstance(item, ast.ImportFrom):
            assert item.level == 0, "relative import"
            module = item.module or ""
            below = PACKAGE.parent.joinpath(*module.split("."))
            for alias in item.names:
                inner = below / f"{alias.name}.py"
                yield f"{module}.{alias.name}" if inner.exists() or (below / alias.name).is_dir() else module


def first_party(node: ast.AST) -> list[str]:
    """Return the rooms below a node's imports."""
    own = [name for name in imports(node) if name == "reconciler" or name.startswith("reconciler.")]
    return [[*name.split("."), "__init__"][1] for name in own]


@files
def test_imports_go_down(path: Path) -> None:
    """A room imports rooms of lower floors and itself, never its neighbours and never upwards."""
    here = room(path)
    for there in first_party(tree(path)):
        assert there == here or FLOORS[there] < FLOORS[here], f"{path}: {here} imports {there}"
        if here == "sandbox":
            assert there in SANDBOX_MAY_USE | {"sandbox"}


@files
def test_third_parties_stay_at_home(path: Path) -> None:
    """A third-party package is imported only where its home is, and only if it has one."""
    where = path.relative_to(PACKAGE).as_posix()
    for name in imports(tree(path)):
        top = name.split(".")[0]
        if top == "reconciler" or top in sys.stdlib_module_names:
            continue
        assert any(where.startswith(home) for home in HOMES.get(top, ())), f"{where} imports {top}"


def test_no_cycles_between_modules() -> None:
    """No module imports itself through others."""
    names = {path: ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__") for path in FILES}
    modules = set(names.values())
    graph = {}
    for path, name in names.items():
        top_level = ast.Module(
            [node for node in tree(path).body if isinstance(node, ast.Import | ast.ImportFrom)], type_ignores=[]
        )
        graph[name] = {target for target in imports(top_level) if target in modules} - {name}
    done: set[str] = set()

    def visit(name: str, way: tuple[str, ...]) -> None:
        assert name not in way, " -> ".join([*way, name])
        if name not in done:
            for target in sorted(graph[name]):
                visit(target, (*way, name))
            done.add(name)

    for name in sorted(graph):
        visit(name, ())


@files
def test_no_first_party_import_inside_a_function(path: Path) -> None:
    """First-party imports stand at the top of a file; commands are loaded by name in one place of the command line.

    The seams: the runtime loads the compiler, and with it YAML and the models, only when it is given YAML, and the
    ledger its PostgreSQL store, and with it the driver, only for an address of one.
    """
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            seam = (path.relative_to(PACKAGE).as_posix(), node.name) in SEAMS
            assert seam or not first_party(node), f"{path}:{node.lineno}"


@files
def test_sizes(path: Path) -> None:
    """Files stay under 400 lines and functions under 70, tables of data excepted by being no functions."""
    assert len(path.read_text().splitlines()) <= MAX_FILE
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert (node.end_lineno or 0) - node.lineno < MAX_FUNCTION, f"{path}:{node.lineno} {node.name}"


@files
def test_public_names_are_documented(path: Path) -> None:
    """Every module, public class and public function has a docstring and annotations."""
    module = tree(path)
    assert ast.get_docstring(module)
    for node in public(module):
        assert ast.get_docstring(node), f"{path}:{node.lineno} {node.name}"
        if not isinstance(node, ast.ClassDef):
            assert node.returns is not None, f"{path}:{node.lineno} {node.name}"


def public(node: ast.Module | ast.ClassDef) -> Iterator[ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef]:
    """Yield public classes, functions and methods; private classes hide what is in them."""
    for item in node.body:
        if isinstance(item, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) and not item.name.startswith("_"):
            yield item
            if isinstance(item, ast.ClassDef):
                yield from public(item)


@pytest.mark.parametrize(
    "path", sorted((ROOT / "tests").rglob("test_*.py")), ids=lambda path: str(path.relative_to(ROOT / "tests"))
)
def test_tests_state_a_fact(path: Path) -> None:
    """Every test has a docstring that says what must hold."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
            assert ast.get_docstring(node), f"{path}:{node.lineno} {node.name}"


def test_the_root_imports_nothing() -> None:
    """``import reconciler`` costs nothing."""
    assert list(imports(tree(PACKAGE / "__init__.py"))) == []
