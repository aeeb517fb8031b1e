import ast
import shutil
import sys
from itertools import count
from pathlib import Path

import pytest

from hdnotes.store import source
from hdnotes.store.source import fingerprint
from hdnotes.store.sweep import remember, source_of

PACKAGE = {
    "__init__": "",
    "experiment": '''
        """A chapter."""
        import math
        from . import problems
        from {name}.far import helper as assistant, unrelated

        SIZE = 3
        TABLE = {{"sum": sum, "loss": problems.loss}}

        def tall():
            return 3

        def run(cell, device, tall=tall):
            """Run it."""
            from {name} import faster, late
            size = faster.sped(SIZE, key=lambda width: width)
            return assistant(cell, SIZE) + problems.rates.decay(2) + late.step() + TABLE["loss"](1)

        def cells(parameters):
            return [unrelated()]

        def width():
            return 1
    ''',
    "far": """
        import {name}.farther as beyond
        from .handed import passed_on

        def helper(cell, size, unrelated=int):
            return Tool(size).use() + passed_on() + unrelated(0)

        def unrelated():
            return 1

        class Tool:
            factor: int = 2

            def __init__(self, size):
                self.size = size

            def use(self):
                return beyond.constant * self.size
    """,
    "farther": "constant = 1\nother = 2\n",
    "handed": "from {name}.giver import passed_on\n",
    "giver": "def passed_on():\n    return 4\n\ndef kept():\n    return 5\n",
    "faster": """
        from .slow import exact
        CHANGES_NO_NUMBER = True

        def sped(x, key):
            return exact(x)
    """,
    "slow": "def exact(x):\n    return x\n",
    "late": "def step():\n    return 1\n",
    "problems/__init__": "def loss(x):\n    return x\n",
    "problems/rates": """
        FILED = {{}}

        def file(function):
            FILED[function.__name__] = function
            return function

        def decay(p):
            return FILED["power"](p)

        @file
        def power(p):
            return p**2

        def idle(p):
            return p
    """,
}


def text(name: str, module: str) -> str:
    lines = PACKAGE[module].format(name=name).split("\n")
    indent = 8 if any(line.startswith(" " * 8) for line in lines) else 0
    return "\n".join(line[indent:] for line in lines)


@pytest.fixture
def mark(tmp_path, monkeypatch):
    """Return the fingerprint of the package's `run` after a change `old -> new` of a module."""
    number = count()
    monkeypatch.syspath_prepend(tmp_path)
    name = "package_under_test"

    def measure(module="experiment", old="", new="") -> str:
        assert old in text(name, module), "the change changes nothing"
        root = tmp_path / name
        for part in PACKAGE:
            path = root / f"{part}.py"
            path.parent.mkdir(parents=True, exist_ok=True)
            content = text(name, part)
            path.write_text(content.replace(old, new, 1) if part == module and old else content)
        for loaded in [one for one in sys.modules if one.split(".")[0] == name]:
            monkeypatch.delitem(sys.modules, loaded)
        source._find.cache_clear()
        source._read.cache_clear()
        namespace = {"__name__": f"check_{next(number)}"}
        shutil.rmtree(root / "__pycache__", ignore_errors=True)
        exec(f"from {name}.experiment import run", namespace)
        return fingerprint(namespace["run"])

    return measure


CHANGES = {
    "the function": ("experiment", "tall):\n", "tall):\n    cell = dict(cell)\n"),
    "a constant it uses": ("experiment", "SIZE = 3", "SIZE = 4"),
    "a table it uses": ("experiment", '"sum": sum', '"sum": max'),
    "a helper of another module": ("far", ".use() +", ".use() -"),
    "a default of an argument with its name": ("experiment", "return 3", "return 4"),
    "a method of a class it makes": ("far", "self.size = size", "self.size = 2 * size"),
    "a class attribute": ("far", "factor: int = 2", "factor: int = 3"),
    "three modules away": ("farther", "constant = 1", "constant = 1.0"),
    "handed on by another module": ("giver", "return 4", "return 5"),
    "imported within the function": ("late", "return 1", "return 2"),
    "a package's own function": ("problems/__init__", "return x", "return -x"),
    "a submodule's function": ("problems/rates", '["power"]', '["idle"]'),
    "filed by a decorator": ("problems/rates", "p**2", "p**3"),
    "code that no longer says it changes no number": ("faster", "= True", "= False"),
    "a statement that acts when imported": ("farther", "other = 2", "other = 2\nprint()"),
}

KEEPS = {
    "a comment": ("far", "def helper", "# why\ndef helper"),
    "formatting": ("experiment", "assistant(cell, SIZE)", "assistant(\n        cell,\n  SIZE,\n )"),
    "a docstring": ("experiment", "Run it.", "Run it well."),
    "a new docstring": ("far", "=int):\n", '=int):\n    """Help."""\n'),
    "a module's docstring": ("experiment", "A chapter.", "A good chapter."),
    "the text below an attribute": ("far", "int = 2\n", 'int = 2\n    """Twice."""\n'),
    "a function that an argument is named after": ("far", "    return 1", "    return 2"),
    "an unrelated constant": ("farther", "other = 2", "other = 3"),
    "an unrelated function far away": ("giver", "return 5", "return 6"),
    "an unrelated import": ("experiment", "import math", "import math\nimport json"),
    "an unrelated neighbour": ("problems/rates", "return p\n", "return -p\n"),
    "the way a function is imported": ("far", "from .handed", "from .giver"),
    "what says it changes no number": ("faster", "return exact(x)", "return 0 + exact(x)"),
    "what is reached only through that": ("slow", "return x", "return 0 + x"),
    "what a lambda's argument is named after": ("experiment", "    return 1", "    return 2"),
    "what makes the cells": ("experiment", "[unrelated()]", "[unrelated(), 2]"),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_change_of_code_it_runs_through_changes_the_fingerprint(mark, change):
    assert mark(*change) != mark()


@pytest.mark.parametrize("change", KEEPS.values(), ids=KEEPS)
def test_any_other_change_leaves_it(mark, change):
    assert mark(*change) == mark()


def test_one_module_says_that_it_changes_no_number_and_a_test_of_its_own_holds_it_to_that():
    root = Path(source.__file__).parents[1]
    said = [path for path in root.rglob("*.py") if "CHANGES_NO_NUMBER = True\n" in path.read_text()]
    assert [path.relative_to(root).as_posix() for path in said] == ["problems/replayed.py"]


def test_what_was_imported_is_what_results_are_named_after(mark, tmp_path):
    before = mark()
    experiment = sys.modules["package_under_test.experiment"]
    source._read.cache_clear()
    fingerprint.cache_clear()
    remember(experiment)
    path = tmp_path / "package_under_test" / "experiment.py"
    path.write_text(path.read_text().replace("SIZE = 3", "SIZE = 4"))
    assert source_of(experiment, {}) == before


def test_a_module_used_as_a_value_counts_whole(mark):
    dynamic = ("experiment", "late.step()", 'getattr(late, "step")()')
    whole = mark(*dynamic)
    PACKAGE["late"] += "\ndef other():\n    return 3\n"
    try:
        assert mark(*dynamic) != whole
    finally:
        PACKAGE["late"] = PACKAGE["late"].partition("\ndef other")[0]


def test_a_function_without_a_file_is_one_sentence():
    namespace = {"__name__": "nowhere"}
    exec("def run(cell, device): return {}", namespace)
    with pytest.raises(ValueError, match=r"the code of run cannot be traced.*not a file"):
        fingerprint(namespace["run"])


def test_the_tree_is_written_in_the_parts_that_every_python_has():
    tree = ast.parse("def double(x, *, by=2):\n    'Help.'\n    return x * by").body[0]
    assert source._canonical(tree) == (
        "FunctionDef(name='double', args=arguments(args=[\"arg(arg='x')\"], "
        "kwonlyargs=[\"arg(arg='by')\"], kw_defaults=['Constant(value=2)']), "
        "body=[\"Return(value=BinOp(left=Name(id='x'), op=Mult(), right=Name(id='by')))\"])"
    )
