"""The chapters that exist: every module of `hdnotes.experiments` that defines a NAME."""

import difflib
import importlib
import pkgutil
import re
from pathlib import Path
from types import ModuleType

import hdnotes.experiments


def names() -> list[str]:
    """List the chapters, in alphabetical order, without importing them."""
    return sorted(
        found.name
        for found in pkgutil.iter_modules(hdnotes.experiments.__path__)
        if _defines_name(Path(found.module_finder.path, f"{found.name}.py"))  # type: ignore[union-attr]
    )


def load(name: str) -> ModuleType:
    """Import a chapter's module.

    Raises
    ------
    ValueError
        If there is no such chapter; the sentence lists those there are.
    """
    known = names()
    if name not in known:
        close = difflib.get_close_matches(name, known, n=1)
        hint = f"did you mean {close[0]}?" if close else f"choose one of {', '.join(known)}."
        raise ValueError(f"there is no chapter {name!r}; {hint}")
    return importlib.import_module(f"hdnotes.experiments.{name}")


def _defines_name(path: Path) -> bool:
    return path.is_file() and re.search(r"^NAME\b", path.read_text(), re.MULTILINE) is not None
