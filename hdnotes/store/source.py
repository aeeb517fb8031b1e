"""Which code made a result: a hash of everything a function runs through, and of nothing else.

Start at a function. Every name it uses that is defined at the top level of its module, or comes
from another module of the same package, leads to a definition (function, class, assignment), which
uses names in turn. The closure of this relation, read from the source by `ast` and never run, is
the code behind the function. Each definition enters the hash as its syntax tree without positions
and docstrings: comments, formatting, docstrings and unrelated neighbours leave the hash alone, and
a change three modules away does not.

A module that says `CHANGES_NO_NUMBER = True` is left out, and what is only reached through it: it
says how fast numbers come and not which, as its tests have to hold, and may be mended without
making results stale.

Where syntax cannot tell, the hash takes in more rather than less: a module used as a value
(`getattr(module, name)`) counts whole, a local variable that shares the name of a definition counts
as a use of it (an argument does not), and the statements of a module that define nothing
(`torch.set_default_dtype(...)`, a function filed by a decorator of this package) count once the
module is reached. What it cannot see is a module whose name is made at run time, and data files.
"""

import ast
import hashlib
import importlib.util
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple


class _Place(NamedTuple):
    """A top-level name of a module; `*` stands for all of them."""

    module: str
    name: str


@cache
def fingerprint(function: Callable[..., Any]) -> str:
    """Hash the code that a function runs through, within its own package.

    Parameters
    ----------
    function
        A function of a module that lies in a file; of a nested one, what surrounds it counts too.

    Returns
    -------
    str
        16 hexadecimal digits, the same on every version of Python. A module is read once in a
        process, because what was imported first is what runs.

    Raises
    ------
    ValueError
        If the function does not come from a file.
    """
    if not _find(function.__module__):
        raise ValueError(
            f"the code of {function.__qualname__} cannot be traced, as {function.__module__} "
            "is not a file; define it in a module."
        )
    package = function.__module__.split(".")[0]
    waiting = [_Place(function.__module__, function.__qualname__.split(".")[0])]
    seen: set[_Place] = set()
    texts: set[str] = set()
    while waiting:
        place = waiting.pop()
        if place in seen or place.module.split(".")[0] != package or not _find(place.module):
            continue
        seen.add(place)
        module = _read(place.module)
        if module.neutral:
            continue
        waiting += module.imports.get(place.name, [])  # handed on from elsewhere
        for node in module.nodes(place.name):
            texts.add(f"{place.module}:{_canonical(node)}")
            waiting += module.uses(node)
    return hashlib.sha256("\n".join(sorted(texts)).encode()).hexdigest()[:16]


#: What a module says of itself that decides no number.
NEUTRAL = ast.dump(ast.parse("CHANGES_NO_NUMBER = True").body[0])


@dataclass
class _Module:
    """The top level of a module: its definitions, its other statements, and its imports."""

    name: str
    definitions: dict[str, list[ast.stmt]] = field(default_factory=dict)
    effects: list[ast.stmt] = field(default_factory=list)
    imports: dict[str, list[_Place]] = field(default_factory=dict)

    @property
    def neutral(self) -> bool:
        """Whether the module says that it changes no number."""
        said = self.definitions.get("CHANGES_NO_NUMBER", [])
        return any(ast.dump(node) == NEUTRAL for node in said)

    def nodes(self, name: str) -> list[ast.stmt]:
        """Return the statements behind a name."""
        if name == "*":
            return sum(self.definitions.values(), self.effects)
        return self.effects + self.definitions.get(name, [])

    def uses(self, node: ast.AST) -> Iterator[_Place]:
        """Yield what a statement refers to, in this module and in those it imports."""
        own = _imports(node, self.name)
        for root, *rest in _chains(node):
            if root in self.definitions:
                yield _Place(self.name, root)
            for module, name in [*self.imports.get(root, []), *own.get(root, [])]:
                yield _descend(module, ([] if name == "*" else [name]) + rest)
        yield from self.imports.get("*", [])


@cache
def _read(name: str) -> _Module:
    """Sort a module's top-level statements."""
    path = _find(name)
    assert path is not None
    tree = ast.parse(path.read_text(encoding="utf-8"))
    module = _Module(name, imports=_imports(tree, name, top_level=True))
    for node in tree.body:
        names = _defined(node)
        for one in names:
            module.definitions.setdefault(one, []).append(node)
        if not names and not isinstance(node, ast.Import | ast.ImportFrom) and not _is_text(node):
            module.effects.append(node)
    package = name.split(".")[0]
    for node in tree.body:
        for decorator in getattr(node, "decorator_list", []):
            filed = any(place.module.split(".")[0] == package for place in module.uses(decorator))
            module.effects += [node] if filed else []
    return module


@cache
def _find(name: str) -> Path | None:
    """Return the file of a module of an imported package, without importing it."""
    top, *rest = name.split(".")
    if file := getattr(sys.modules.get(name), "__file__", None):
        return Path(file)
    for folder in getattr(sys.modules.get(top), "__path__", []):
        stem = Path(folder, *rest)
        for path in (stem.with_name(f"{stem.name}.py"), stem / "__init__.py"):
            if path.is_file():
                return path
    return None


def _descend(module: str, names: list[str]) -> _Place:
    """Follow `a.b.c` through submodules to a module and its top-level name."""
    while names and _find(f"{module}.{names[0]}"):
        module, names = f"{module}.{names[0]}", names[1:]
    return _Place(module, names[0] if names else "*")


def _imports(tree: ast.AST, name: str, top_level: bool = False) -> dict[str, list[_Place]]:
    """Map the names that imports bind to what they stand for; at a module's top level or within."""
    path = _find(name)
    is_package = path is not None and path.name == "__init__.py"
    package = name if is_package else name.rpartition(".")[0]
    found: dict[str, list[_Place]] = {}
    for node in _outer(tree) if top_level else ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                whole = alias.name if alias.asname else alias.name.split(".")[0]
                found.setdefault(alias.asname or whole, []).append(_Place(whole, "*"))
        elif isinstance(node, ast.ImportFrom):
            dots = "." * node.level + (node.module or "")
            source = importlib.util.resolve_name(dots, package) if node.level else dots
            for alias in node.names:
                place = _Place(source, "*") if alias.name == "*" else _descend(source, [alias.name])
                found.setdefault(alias.asname or alias.name, []).append(place)
    return found


def _outer(tree: ast.AST) -> Iterator[ast.AST]:
    """Walk a tree without entering functions and classes."""
    for node in ast.iter_child_nodes(tree):
        yield node
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield from _outer(node)


def _defined(node: ast.stmt) -> list[str]:
    """Return the names that a definition or a plain assignment binds."""
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return [node.name]
    targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
    if not isinstance(node, ast.Assign | ast.AnnAssign | ast.AugAssign):
        return []
    parts = [part for target in targets if target is not None for part in ast.walk(target)]
    if any(isinstance(part, ast.Subscript | ast.Attribute) for part in parts):
        return []
    return [part.id for part in parts if isinstance(part, ast.Name)]


def _chains(node: ast.AST, arguments: frozenset[str] = frozenset()) -> Iterator[list[str]]:
    """Yield every dotted name of a tree, as in `["problems", "convex", "loss"]`, but arguments'."""
    names: list[str] = []
    inner = node
    while isinstance(inner, ast.Attribute):
        names, inner = [inner.attr, *names], inner.value
    if isinstance(inner, ast.Name):
        if inner.id not in arguments:
            yield [inner.id, *names]
        return
    body: list[Any] = []
    inside = arguments
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
        body = [node.body] if isinstance(node, ast.Lambda) else node.body
        own = [one.arg for one in ast.iter_child_nodes(node.args) if isinstance(one, ast.arg)]
        inside = arguments.union(own)
    for child in ast.iter_child_nodes(node):
        yield from _chains(child, inside if child in body else arguments)


def _canonical(node: ast.AST) -> str:
    """Write a tree without positions, docstrings and empty fields, which differ between Pythons."""
    parts = []
    for name, value in ast.iter_fields(node):
        if isinstance(value, list):
            value = [
                _canonical(one) if isinstance(one, ast.AST) else repr(one)
                for one in value
                if not _is_text(one)
            ]
        elif value is not None:
            value = _canonical(value) if isinstance(value, ast.AST) else repr(value)
        if value and name not in ("ctx", "kind", "type_comment"):
            parts.append(f"{name}={value}")
    return f"{type(node).__name__}({', '.join(parts)})"


def _is_text(node: Any) -> bool:
    """Tell a docstring, of whatever it documents, from a statement that does something."""
    return (
        isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    )
