"""The structure of the package: its modules do not form a circle, and `__all__` names everything public."""

from __future__ import annotations

import ast
import importlib
from collections.abc import Iterator
from pathlib import Path

import homing
import pytest

FOLDER = Path(homing.__file__).parent
MODULES = {path.stem: ast.parse(path.read_text(encoding="utf-8")) for path in sorted(FOLDER.glob("*.py"))}
EXTENSION = "_homing"
PUBLIC_MODULES = {"__init__": "homing", "bg_jobs": "homing.bg_jobs", "errors": "homing.errors"}


def imports(tree: ast.AST) -> set[str]:
    """The modules of the package that a module imports anywhere: also in functions and under TYPE_CHECKING."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.level == 1 or node.module == "homing"):
            names = [node.module] if node.level == 1 and node.module else [alias.name for alias in node.names]
            found |= {name if name in MODULES else "__init__" for name in names if name != EXTENSION}
    return found & set(MODULES)


def reachable(start: str, graph: dict[str, set[str]]) -> set[str]:
    found: set[str] = set()
    left = list(graph[start])
    while left:
        module = left.pop()
        if module not in found:
            found.add(module)
            left += graph[module]
    return found


def definitions(tree: ast.Module) -> set[str]:
    """The public names that a module defines at its top level."""
    names: set[str] = set()
    for node in tree.body:
        if isinstance(node, (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
            names.add(node.name)
        elif isinstance(node, (ast.Assign, ast.AnnAssign)):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            names |= {target.id for target in targets if isinstance(target, ast.Name)}
    return {name for name in names - {"TYPE_CHECKING"} if not name.startswith("_")}


def annotations_of(node: ast.ClassDef) -> Iterator[ast.expr]:
    """The annotations of the public fields and methods of a class."""
    for member in node.body:
        if isinstance(member, ast.AnnAssign) and not ast.unparse(member.target).startswith("_"):
            yield member.annotation
        elif isinstance(member, (ast.FunctionDef, ast.AsyncFunctionDef)) and not member.name.startswith("_"):
            arguments = [*member.args.posonlyargs, *member.args.args, *member.args.kwonlyargs]
            given = [argument.annotation for argument in (*arguments, member.args.vararg, member.args.kwarg) if argument]
            yield from (annotation for annotation in (*given, member.returns) if annotation is not None)


def test_modules_do_not_import_each_other_in_a_circle() -> None:
    graph = {name: imports(tree) for name, tree in MODULES.items()}
    assert [name for name in graph if name in reachable(name, graph)] == []


@pytest.mark.parametrize("module", PUBLIC_MODULES)
def test_all_names_every_public_definition(module: str) -> None:
    exported = importlib.import_module(PUBLIC_MODULES[module]).__all__
    assert list(exported) == sorted(exported)
    assert definitions(MODULES[module]) <= set(exported)


def test_every_exported_name_exists() -> None:
    for name in PUBLIC_MODULES.values():
        module = importlib.import_module(name)
        for exported in module.__all__:
            assert hasattr(module, exported), f"{name}.{exported}"


def test_every_type_in_a_public_signature_is_exported() -> None:
    defined = set().union(*(definitions(tree) for tree in MODULES.values()))
    seen = {
        name.id
        for tree in MODULES.values()
        for node in tree.body
        if isinstance(node, ast.ClassDef) and node.name in homing.__all__
        for annotation in annotations_of(node)
        for name in ast.walk(annotation)
        if isinstance(name, ast.Name)
    }
    assert {"Job", "Seconds", "State"} <= seen & defined
    assert seen & defined <= set(homing.__all__)


def test_every_exception_is_exported() -> None:
    from homing import errors

    assert set(errors.__all__) <= set(homing.__all__)
