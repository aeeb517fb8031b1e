"""One look for every figure: a colour a method, a line and a marker a coordinate system.

Colours are Okabe and Ito's, a little darker, so that readers with any colour vision tell them
apart; lines and markers say the same again without colour. Figures are SVG on a transparent
ground: the site shows them as they are on its light ground and, on its dark one, with their
lightness inverted and their hues kept (``book/_static/hdnotes.css``). The colours are chosen to
stand out on both. A new method gets its row here, and looks the same in every chapter.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib
import matplotlib.pyplot as plt
from matplotlib.figure import Figure

#: What a line is drawn with when only its method is told.
METHODS: Mapping[str, Mapping[str, Any]] = {
    "GD": {"color": "#4d4d4d", "linestyle": "-", "marker": "o"},
    "GD + momentum": {"color": "#c44e00", "linestyle": (0, (6, 2)), "marker": "s"},
    "Adam": {"color": "#0067a5", "linestyle": (0, (5, 1.5, 1, 1.5)), "marker": "^"},
    "Adagrad": {"color": "#00805a", "linestyle": (0, (2, 1)), "marker": "D"},
    "AdamW": {"color": "#d1278b", "linestyle": (0, (3, 1)), "marker": "v"},
    "NAdam": {"color": "#740000", "linestyle": (0, (1, 1)), "marker": "<"},
    "RAdam": {"color": "#0000e0", "linestyle": (0, (8, 1.5)), "marker": ">"},
    "Adamax": {"color": "#b20000", "linestyle": (0, (4, 1, 1, 1, 1, 1)), "marker": "p"},
    "RMSprop": {"color": "#005d6c", "linestyle": (0, (2, 2)), "marker": "P"},
    "Adadelta": {"color": "#b217e8", "linestyle": (0, (6, 1, 2, 1)), "marker": "X"},
    "Lion": {"color": "#00007c", "linestyle": (0, (1, 2)), "marker": "*"},
    "SGD": {"color": "#366483", "linestyle": (0, (10, 1)), "marker": "h"},
    "ASGD": {"color": "#c136aa", "linestyle": (0, (3, 2, 1, 2)), "marker": "d"},
    "Rprop": {"color": "#460fb9", "linestyle": (0, (7, 1, 1, 1)), "marker": "8"},
    "P-SGD": {"color": "#dd0061", "linestyle": (0, (9, 1, 1, 1, 1, 1)), "marker": "H"},
    "P-SGD + momentum": {"color": "#7d03fe", "linestyle": (0, (4, 2)), "marker": "+"},
    "SGD + momentum": {"color": "#066bf4", "linestyle": (0, (2, 1, 5, 1)), "marker": "x"},
}

#: Methods that came after the documents: each differs from those it shares a panel with.
LATER: Mapping[str, Mapping[str, Any]] = {
    "Nesterov": {"color": "#c44e00", "linestyle": (0, (6, 2)), "marker": "s"},
    "Nesterov, growing": {"color": "#0067a5", "linestyle": "-", "marker": "D"},
    "Nesterov, constant": {"color": "#00805a", "linestyle": (0, (1, 1.5)), "marker": "^"},
    "schedule-free SGD": {"color": "#00805a", "linestyle": (0, (2, 1)), "marker": "D"},
    "Adam, short memory": {"color": "#4d4d4d", "linestyle": "-", "marker": "o"},
    "ADOPT": {"color": "#0067a5", "linestyle": "-", "marker": "^"},
    "Prodigy": {"color": "#740000", "linestyle": (0, (1, 1)), "marker": "<"},
    "schedule-free AdamW": {"color": "#d1278b", "linestyle": (0, (3, 1)), "marker": "v"},
    "Sophia": {"color": "#00805a", "linestyle": (0, (8, 1.5)), "marker": ">"},
    "Muon": {"color": "#c44e00", "linestyle": "-", "marker": "s"},
    "SOAP": {"color": "#00805a", "linestyle": (0, (5, 1.5, 1, 1.5)), "marker": "D"},
    "SOAP, long memory": {"color": "#740000", "linestyle": (0, (1, 1)), "marker": "^"},
    "Shampoo": {"color": "#0067a5", "linestyle": "-", "marker": "P"},
    "GaLore": {"color": "#c44e00", "linestyle": (0, (1, 1.2)), "marker": "^"},
    "PSGD-Kron": {"color": "#c44e00", "linestyle": (0, (4, 1)), "marker": "X"},
    "L-BFGS": {"color": "#4d4d4d", "linestyle": (0, (2, 2)), "marker": "p"},
    "GAMP": {"color": "#0067a5", "linestyle": "-", "marker": "s"},
    "reweighted amplitude flow": {"color": "#00805a", "linestyle": (0, (5, 1.5)), "marker": "D"},
    "truncated amplitude flow": {"color": "#c44e00", "linestyle": (0, (2, 1)), "marker": "^"},
    "spectral start + GD": {"color": "#4d4d4d", "linestyle": (0, (6, 2, 1, 2)), "marker": "o"},
    "Langevin": {"color": "#00805a", "linestyle": (0, (5, 1.5)), "marker": "D"},
    "Langevin + momentum": {"color": "#0067a5", "linestyle": (0, (1, 1)), "marker": "^"},
    "persistent Adam": {"color": "#00805a", "linestyle": "-", "marker": "^"},
    "full-batch Adam": {"color": "#740000", "linestyle": (0, (1, 1)), "marker": "v"},
    "Adagrad, preset": {"color": "#740000", "linestyle": (0, (1, 1)), "marker": "<"},
    "GroupRMSprop": {"color": "#740000", "linestyle": (0, (3, 1.5)), "marker": "P"},
}

#: Values of one quantity told apart (sizes, batch sizes, variants), in their order.
LEVELS: Sequence[Mapping[str, Any]] = (
    {"color": "#0067a5", "linestyle": "-", "marker": "o"},
    {"color": "#c44e00", "linestyle": (0, (5, 2)), "marker": "s"},
    {"color": "#00805a", "linestyle": (0, (1, 1.2)), "marker": "^"},
    {"color": "#740000", "linestyle": (0, (5, 1.5, 1, 1.5)), "marker": "D"},
    {"color": "#b217e8", "linestyle": (0, (3, 1, 1, 1)), "marker": "v"},
    {"color": "#4d4d4d", "linestyle": (0, (8, 1.5)), "marker": "P"},
)

#: What the coordinates add; with a method told as well, these lines and markers win over its own.
COORDINATES: Mapping[str, Mapping[str, Any]] = {
    "original": {"color": "#4d4d4d", "linestyle": (0, (5, 2)), "marker": "o"},
    "EGOP": {"color": "#0067a5", "linestyle": "-", "marker": "s"},
    "random": {
        "label": "random rotation",
        "color": "#c44e00",
        "linestyle": (0, (1, 1.2)),
        "marker": "^",
    },
    "block": {
        "label": "block EGOP",
        "color": "#00805a",
        "linestyle": (0, (6, 1.5, 1, 1.5)),
        "marker": "D",
    },
    "first layer": {
        "label": "first-layer EGOP",
        "color": "#b217e8",
        "linestyle": (0, (3, 1)),
        "marker": "v",
    },
}

#: Cheaper bases of `egop_scalability`: each differs from those it shares a panel with.
BASES: Mapping[str, Mapping[str, Any]] = {
    "second layer": {
        "label": "second-layer EGOP",
        "color": "#0000e0",
        "linestyle": (0, (1, 2)),
        "marker": ">",
    },
    "leading": {
        "label": "leading $k$",
        "color": "#460fb9",
        "linestyle": (0, (7, 1, 1, 1)),
        "marker": "P",
    },
    "leading, random": {
        "label": "leading $k$, random rest",
        "color": "#d1278b",
        "linestyle": (0, (3, 2, 1, 2)),
        "marker": "X",
    },
    "exact": {
        "label": "leading $k$, exact",
        "color": "#4d4d4d",
        "linestyle": (0, (2, 2)),
        "marker": "d",
    },
    "streamed": {
        "label": "leading $k$, streamed",
        "color": "#005d6c",
        "linestyle": (0, (4, 2)),
        "marker": "*",
    },
    "Kronecker": {
        "label": "Kronecker",
        "color": "#740000",
        "linestyle": (0, (5, 1.5, 1, 1.5)),
        "marker": "p",
    },
    "folded": {
        "label": "folded into inputs",
        "color": "#066bf4",
        "linestyle": (0, (9, 1)),
        "marker": "h",
    },
    "partial": {
        "label": "partial",
        "color": "#5f5f00",
        "linestyle": (0, (1, 1)),
        "marker": "<",
    },
    "partial, renewed": {
        "label": "partial, renewed",
        "color": "#5f5f00",
        "linestyle": (0, (6, 2)),
        "marker": "8",
    },
    "mean input": {
        "label": "mean input",
        "color": "#c44e00",
        "linestyle": (0, (2, 1, 5, 1)),
        "marker": "H",
    },
    "input SVD": {
        "label": "input SVD",
        "color": "#dd0061",
        "linestyle": (0, (4, 1, 1, 1, 1, 1)),
        "marker": "x",
    },
}

#: What a theory, a bound or a guide is drawn with: never mistaken for data.
THEORY: Mapping[str, Any] = {
    "color": "#1a1a1a",
    "linestyle": (0, (8, 3)),
    "linewidth": 1.1,
    "zorder": 1.5,
}

WIDTH = 5.0
"""Inches a figure is wide: a telephone shows it at three quarters, a desktop a fifth larger."""

_SETTINGS: dict[Any, Any] = {
    "axes.axisbelow": True,
    "axes.grid": True,
    "axes.labelsize": 10.5,
    "axes.linewidth": 0.8,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlelocation": "left",
    "axes.titlesize": 11,
    "figure.constrained_layout.use": True,
    "font.size": 10.5,
    "grid.alpha": 0.5,
    "grid.color": "#bdbdbd",
    "grid.linewidth": 0.5,
    "legend.fontsize": 10,
    "legend.frameon": False,
    "legend.handlelength": 2.8,
    "lines.linewidth": 1.7,
    "lines.markersize": 5,
    "svg.fonttype": "path",
    "svg.hashsalt": "hdnotes",
}


def use() -> None:
    """Set the book's style for every figure drawn from now on."""
    matplotlib.rcParams.update(_SETTINGS)


def look(method: str | None = None, coordinates: str | None = None) -> dict[str, Any]:
    """Return matplotlib's keywords for a method, for a coordinate system, or for both.

    Raises
    ------
    ValueError
        If one of them has no row in this module yet.

    Examples
    --------
    >>> look("Adam", "EGOP")["color"] == look("Adam")["color"]
    True
    >>> look("Adam", "random")["label"]
    'Adam, random rotation'
    """
    rows = [
        {"label": name, **_row(axis, name, table)}
        for axis, name, table in (
            ("method", method, {**METHODS, **LATER}),
            ("coordinates", coordinates, {**COORDINATES, **BASES}),
        )
        if name is not None
    ]
    line = {key: value for row in rows for key, value in row.items()}
    first = {"color": rows[0]["color"]} if rows else {}
    return line | first | {"label": ", ".join(row["label"] for row in rows)}


def level(order: int, label: str) -> dict[str, Any]:
    """Return matplotlib's keywords for the value of this order of a quantity; six differ."""
    return {**LEVELS[order % len(LEVELS)], "label": label}


def panels(rows: int = 1, columns: int = 1, height: float | None = None, **options: Any) -> Any:
    """Return a figure of the book's width and its axes, as ``pyplot.subplots`` does.

    Parameters
    ----------
    rows, columns
        The grid; more than two columns become too small on a telephone.
    height
        Inches; by default rows 0.6 as high as they are wide.
    **options
        Passed on, such as ``sharey=True``.
    """
    height = height or rows * (0.62 * WIDTH / columns + (0.5 if columns > 1 else 0))
    return plt.subplots(rows, columns, figsize=(WIDTH, height), **options)


def svg(figure: Figure, path: Any, transparent: bool = True) -> None:
    """Write the figure as SVG: the same bytes for the same drawing."""
    figure.savefig(path, format="svg", transparent=transparent, metadata={"Date": None})


def _row(axis: str, name: str, rows: Mapping[str, Mapping[str, Any]]) -> Mapping[str, Any]:
    if name not in rows:
        raise ValueError(
            f"{axis} = {name!r} has no style; known are {', '.join(rows)}: "
            "add a row in hdnotes/page/style.py"
        )
    return rows[name]
