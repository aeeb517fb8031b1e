r"""Parameters of a chapter: declared once, checked before anything is computed.

A chapter's `Parameters` is a frozen dataclass whose fields are made by `parameter`, which keeps
the unit, the range and a line of help beside the default. `resolve` puts together what a chapter
is run with, each over the one before,

    field defaults  <  the profile's overrides  <  what was given by hand,

and refuses, in one sentence, a name that does not exist, a value of the wrong type or out of
range, and a size that does not fit in memory. The standard library is all it needs: the same
check serves a bare computing machine, the command line and a notebook's second cell.
"""

import ast
import contextlib
import dataclasses
import difflib
import math
import numbers
import typing
from collections.abc import Mapping, Sequence
from types import UnionType
from typing import Any, NamedTuple

from hdnotes import memory
from hdnotes.wording import in_bytes

#: The word that stands for no value at all, where a parameter allows it.
NONE = "none"
#: Characters of a refused value that a sentence shows.
LONG = 60

_KINDS = {int: "whole number", float: "number", bool: "truth value", str: "text"}


class ParameterError(ValueError):
    """A parameter that cannot be used; a notebook shows its sentence and no traceback."""

    def _render_traceback_(self) -> list[str]:
        return [f"{type(self).__name__}: {self}"]


class Description(NamedTuple):
    """One parameter in words, for `--help` and for a page's table."""

    name: str
    default: Any
    unit: str
    range: str
    help: str


def parameter(
    default: Any,
    *,
    help: str,
    unit: str = "",
    at_least: float | None = None,
    at_most: float | None = None,
    above: float | None = None,
    choices: Sequence[Any] | None = None,
) -> Any:
    """Make a field of a chapter's `Parameters`.

    Parameters
    ----------
    default
        Value at the profile `quick`. A field may be typed `int`, `float`, `bool`, `str`, or a
        `tuple[kind, ...]` of these, to which the limits then apply element by element; or
        `kind | None`, which the word "none" sets to `None`.
    help
        What it is, in one line.
    unit
        Unit of the value, as in "samples"; empty for a pure number.
    at_least, at_most, above
        Closed lower, closed upper and open lower limit.
    choices
        The values allowed.

    Examples
    --------
    >>> @dataclasses.dataclass(frozen=True)
    ... class Parameters:
    ...     d: int = parameter(64, help="dimension", unit="parameters", at_least=2)
    >>> Parameters().d
    64
    """
    limits = {"at_least": at_least, "at_most": at_most, "above": above, "choices": choices}
    return dataclasses.field(
        default=default, metadata={"help": help, "unit": unit, "limits": limits}
    )


def resolve(
    experiment: Any,
    profile: str = "quick",
    given: Mapping[str, Any] | None = None,
    *,
    device: str = "cpu",
    check_memory: bool = True,
) -> Any:
    """Return the chapter's `Parameters` at a profile, with the given ones over it.

    Parameters
    ----------
    experiment
        The chapter's module.
    profile
        A name in the chapter's `PROFILES`.
    given
        Values set by hand; `None` means not given. A list, also one written out as text, may stand
        for a tuple, a single value for a tuple of one, a whole number for a float, and 1e3 for
        1000.
    device
        Where it will run: its memory is the one that must suffice.
    check_memory
        `False` where the results are only read.

    Raises
    ------
    ParameterError
        With one sentence that names the parameter, its value and what is allowed.
    """
    given = {name: value for name, value in (given or {}).items() if value is not None}
    if not isinstance(profile, str) or profile not in experiment.PROFILES:
        raise ParameterError(
            f"profile = {profile!r} is not known; {_choose(profile, experiment.PROFILES)}"
        )
    fields = {field.name: field for field in dataclasses.fields(experiment.Parameters)}
    kinds = typing.get_type_hints(experiment.Parameters)
    chosen = {**experiment.PROFILES[profile], **given}
    for name in chosen:
        if name not in fields:
            raise ParameterError(
                f"{experiment.NAME} has no parameter {name!r}; {_choose(name, fields)}"
            )
    checked = {name: _check(fields[name], kinds[name], value) for name, value in chosen.items()}
    try:
        parameters = experiment.Parameters(**checked)
    except ValueError as error:  # what a chapter's own __post_init__ refuses
        raise ParameterError(str(error)) from error
    if check_memory:
        require_memory(experiment, parameters, given or {"profile": profile}, device)
    return parameters


def require_memory(
    experiment: Any, parameters: Any, given: Mapping[str, Any], device: str = "cpu"
) -> None:
    """Refuse parameters whose peak memory exceeds what the device has free.

    Parameters
    ----------
    experiment, parameters
        The chapter's module and its resolved parameters.
    given
        What the person chose, named in the sentence.
    device
        "cpu" or "cuda".

    Raises
    ------
    ParameterError
        With the estimate and what is free, before anything is allocated.
    """
    needed, free = experiment.memory(parameters), memory.free(device)
    if needed > free:
        chosen = ", ".join(
            f"{name} = {value}" for name, value in given.items() if value is not None
        )
        where = "this machine" if device == "cpu" else "its GPU"
        raise ParameterError(
            f"{chosen} needs about {in_bytes(needed)} of memory and {where} has {in_bytes(free)} "
            "free; choose smaller values or a larger machine."
        )


def describe(experiment: Any) -> list[Description]:
    """List a chapter's parameters: name, default, unit, range and help."""
    kinds = typing.get_type_hints(experiment.Parameters)
    return [
        Description(
            field.name,
            field.default,
            field.metadata["unit"],
            _allowed(field, kinds[field.name]),
            field.metadata["help"],
        )
        for field in dataclasses.fields(experiment.Parameters)
    ]


def _choose(name: Any, known: Mapping[str, Any]) -> str:
    """Suggest the closest of the known names, or list them all."""
    close = difflib.get_close_matches(str(name), known, n=1)
    return f"did you mean {close[0]!r}?" if close else f"choose one of {', '.join(known)}."


def _check(field: dataclasses.Field, kind: Any, value: Any) -> Any:
    """Return the value as the field's type, or refuse it."""
    if isinstance(kind, UnionType) and value == NONE:
        return None
    if typing.get_origin(kind) is not tuple:
        return _check_one(field, kind, value)
    value = _read_list(value)
    several = value if isinstance(value, list | tuple) else [value]
    if not several:
        raise _refusal(field, kind, value)
    return tuple(_check_one(field, kind, one) for one in several)


def _read_list(value: Any) -> Any:
    """Return the list that a text writes out, as command lines hand it over; else the value."""
    if isinstance(value, str) and value[:1] in ("[", "("):
        with contextlib.suppress(ValueError, SyntaxError, MemoryError, RecursionError):
            return ast.literal_eval(value)
    return value


def _check_one(field: dataclasses.Field, kind: Any, value: Any) -> Any:
    """Return one value, or one element of a sequence, as its type, or refuse it."""
    element = _element(kind)
    limits = field.metadata["limits"]
    if isinstance(value, numbers.Real) and not isinstance(value, bool) and element in (int, float):
        try:
            exact = float(value)
        except OverflowError:  # a whole number of more than 308 digits
            exact = math.inf
        ok = math.isfinite(exact) and (element is float or exact.is_integer())
    else:
        ok = type(value) is element and element in (bool, str)
    if ok:
        value = element(value)
        ok = (
            (limits["at_least"] is None or value >= limits["at_least"])
            and (limits["at_most"] is None or value <= limits["at_most"])
            and (limits["above"] is None or value > limits["above"])
            and (limits["choices"] is None or value in limits["choices"])
        )
    if not ok:
        raise _refusal(field, kind, value)
    return value


def _refusal(field: dataclasses.Field, kind: Any, value: Any) -> ParameterError:
    unit = f" ({field.metadata['unit']})" if field.metadata["unit"] else ""
    shown = repr(value)
    if len(shown) > LONG:
        shown = f"{shown[:LONG]}... ({len(shown)} characters)"
    return ParameterError(
        f"{field.name} = {shown} is not allowed; it must be {_allowed(field, kind)}{unit}."
    )


def _allowed(field: dataclasses.Field, kind: Any) -> str:
    """Say what a field accepts, as in "a list of whole numbers, each at least 2"."""
    limits = field.metadata["limits"]
    several = typing.get_origin(kind) is tuple
    word = _KINDS[_element(kind)]
    bounds = [
        f"{words} {limits[name]}"
        for name, words in [("above", "above"), ("at_least", "at least"), ("at_most", "at most")]
        if limits[name] is not None
    ]
    if limits["choices"] is not None:
        bounds.append("one of " + ", ".join(str(choice) for choice in limits["choices"]))
    start = f"a list of {word}s, each " if several else f"a {word}, "
    text = (start + " and ".join(bounds)).removesuffix(", ").removesuffix(", each ")
    return f"{text}, or {NONE}" if isinstance(kind, UnionType) else text


def _element(kind: Any) -> Any:
    """Return the type of one value: of a tuple's element, or of what is not None."""
    return typing.get_args(kind)[0] if typing.get_args(kind) else kind
