"""Drawings that chapters share: long tables in, marks on the given axes out.

Every function takes a table with one row a measurement and the ``ax`` to draw on, and returns
``ax``. A group of rows is told by its ``method``, its ``coordinates`` or both, and looks as
``style.look`` says; told by anything else, it looks as ``style.level`` says of its order.
Independent trials are shown by their median and the band from the 25 % to the 75 % quantile; a
trial that diverged (NaN) counts as infinitely bad, and is not dropped.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator

from hdnotes.page import style

QUARTILES = (0.25, 0.5, 0.75)
#: Curves of at most so many points have a marker at each.
SPARSE = 20
#: What the line is called where message passing begins to succeed in infinitely large systems.
GAMP_LINE = r"GAMP, $p \to \infty$"


def quartiles(data: pd.DataFrame, x: str, y: str) -> pd.DataFrame:
    """Return the quartiles of ``y`` over the rows that share an ``x``; index x, columns 0.25 ...

    Examples
    --------
    >>> trials = pd.DataFrame({"step": [1, 1, 1], "loss": [1.0, 2.0, float("nan")]})
    >>> quartiles(trials, "step", "loss").loc[1, 0.75]
    np.float64(inf)
    """
    values = data[y].fillna(np.inf)
    with np.errstate(invalid="ignore"):
        band = values.groupby(data[x]).quantile(list(QUARTILES)).unstack()
    return band.fillna(np.inf)  # between two infinities pandas finds nothing


def thinned(data: pd.DataFrame, x: str, points: int = 150) -> pd.DataFrame:
    """Return the rows at about ``points`` values of ``x``, evenly spaced in its logarithm.

    Examples
    --------
    >>> thinned(pd.DataFrame({"k": range(1, 1001)}), "k", 5)["k"].tolist()
    [1, 6, 32, 178, 1000]
    """
    values = np.sort(data[x].unique())
    wanted = np.geomspace(max(values[0], 1e-12), values[-1], points)
    return data[data[x].isin(values[np.searchsorted(values, wanted * (1 - 1e-9))])]


def curves(
    data: pd.DataFrame,
    ax: Axes,
    *,
    x: str,
    y: str,
    by: Sequence[str] = ("method",),
    log: str = "y",
    marked: bool = True,
) -> Axes:
    """Draw ``y`` against ``x``, one line with its band a group.

    Parameters
    ----------
    data
        One row a trial and ``x``.
    ax
        Where to draw.
    x, y
        Columns.
    by
        The columns that make a group: ``method``, ``coordinates`` or both.
    log
        The axes that are logarithmic: ``""``, ``"x"``, ``"y"`` or ``"xy"``.
    marked
        Whether lines carry their methods' markers.
    """
    for line, rows in _groups(data, by):
        line = line if marked else line | {"marker": ""}
        band = quartiles(rows, x, y)
        every = 0.3 if len(band) > SPARSE else 1
        ax.plot(band.index, band[0.5], markevery=every, **line)
        ax.fill_between(band.index, band[0.25], band[0.75], color=line["color"], alpha=0.18, lw=0)
    return _scales(ax, log)


def equivariant(data: pd.DataFrame, ax: Axes, *, x: str, y: str, log: str = "y") -> Axes:
    """Draw methods that do not see the coordinates: a line in original ones, rings in EGOP ones.

    Parameters are those of ``curves``; the rows tell ``method`` and ``coordinates``.
    """
    ax = curves(data[data.coordinates.eq("original")], ax, x=x, y=y, log=log)
    label = "the same in EGOP coordinates"
    for _, rows in data[data.coordinates.eq("EGOP")].groupby("method", sort=False):
        middle = quartiles(rows, x, y)[0.5]
        look: dict[str, Any] = {"marker": "o", "fillstyle": "none", "markersize": 8}
        every = max(len(middle) // 8, 1)
        ax.plot(middle, linestyle="", color="#1a1a1a", markevery=every, label=label, **look)
    return ax


def points(
    data: pd.DataFrame,
    ax: Axes,
    *,
    x: str,
    y: str,
    by: Sequence[str] = ("method",),
    log: str = "xy",
) -> Axes:
    """Draw the median of ``y`` at each ``x`` as a marker, with a bar from 25 % to 75 %.

    Parameters are those of ``curves``; the markers of a group are joined by its line.
    """
    for line, rows in _groups(data, by):
        band = quartiles(rows, x, y)
        reach = np.abs(band[[0.25, 0.75]].sub(band[0.5], axis=0)).to_numpy().T
        ax.errorbar(band.index, band[0.5], yerr=reach, capsize=2.5, **line)
    return _ticked(_scales(ax, log), data[x])


def scatter(data: pd.DataFrame, ax: Axes, *, x: str, y: str, label: str, **marks: Any) -> Axes:
    """Draw a marker a row on two logarithmic axes; ``marks`` are matplotlib's keywords."""
    ax.plot(
        data[x], data[y], linestyle="", label=label, **({"markersize": 4, "alpha": 0.7} | marks)
    )
    return _scales(ax, "xy")


def success(
    data: pd.DataFrame, source: pd.DataFrame, threshold: float, columns: int = 1
) -> tuple[Figure, Any]:
    """Draw success probabilities against alpha, a panel for each value of ``panel``.

    Parameters
    ----------
    data
        One row a panel, method and alpha, with ``share``, ``low`` and ``high``.
    source
        Published points with the same ``panel``, ``method``, ``alpha`` and ``share``, and their
        ``features``, which the legend tells; or none.
    threshold
        The alpha at which GAMP begins to find the teacher in infinitely large systems.
    columns
        Panels side by side.
    """
    names = list(dict.fromkeys(data["panel"]))
    sizes = sorted(set(source["features"])) if len(source) else []
    of = f"the thesis, $p = {sizes[0]}$" if len(sizes) == 1 else "the thesis"
    rows = (len(names) + columns - 1) // columns
    fig, axes = style.panels(rows, columns, height=0.7 + 2.4 * rows, sharex=True, sharey=True)
    for ax, name in zip(np.ravel(axes), names, strict=False):
        intervals(data[data["panel"] == name], ax, x="alpha", y="share")
        published(source[source["panel"] == name], ax, x="alpha", y="share", label=of)
        ax.axvline(threshold, label=GAMP_LINE, **style.THEORY)
        ax.set(title=name, ylim=(-0.04, 1.04))
    fig.supxlabel(r"sample complexity $\alpha = n/p$")
    fig.supylabel("success probability")
    legend(fig, np.ravel(axes), 2)
    return fig, axes


def intervals(
    data: pd.DataFrame, ax: Axes, *, x: str, y: str, by: Sequence[str] = ("method",), log: str = ""
) -> Axes:
    """Draw ``y`` with bars from ``low`` to ``high``, one row a group and ``x``.

    Parameters are those of ``curves``. A value that is not finite is left out, and so is a bar
    that reaches down to 0 or has no end. A bar without a value, of which only the ends are known,
    stands alone.
    """
    for line, rows in _groups(data, by):
        kept = rows[np.isfinite(rows[y])]
        ends = rows[rows[y].isna() & rows.low.gt(0) & np.isfinite(rows.high)]
        ax.vlines(ends[x], ends.low, ends.high, color=line["color"], linewidth=3, alpha=0.4)
        reach = np.array([kept[y] - kept.low.where(kept.low > 0), kept.high - kept[y]])
        # Where all trials agree rounding puts the limit on the wrong side of the share.
        reach = np.where(np.isfinite(reach), np.abs(reach), 0)
        ax.errorbar(kept[x], kept[y], yerr=reach, capsize=2, elinewidth=0.8, **line)
    ax = _scales(ax, log)
    return _ticked(ax, data[x]) if "x" in log else ax


def theory(data: pd.DataFrame, ax: Axes, *, x: str, y: str, label: str) -> Axes:
    """Draw what is predicted or bounded: a thin dark line, drawn behind the data."""
    line = data[[x, y]].drop_duplicates().sort_values(x)
    ax.plot(line[x], line[y], label=label, **style.THEORY)
    return ax


def published(data: pd.DataFrame, ax: Axes, *, x: str, y: str, label: str = "") -> Axes:
    """Draw a source's own points as small open circles, each method's in its colour.

    With a ``label`` the legend names them, by a circle of no method's colour.
    """
    marks: dict[str, Any] = {
        "marker": "o",
        "fillstyle": "none",
        "markersize": 3.5,
        "markeredgewidth": 0.8,
    }
    for line, rows in _groups(data, ("method",)):
        ax.plot(rows[x], rows[y], linestyle="", color=line["color"], label="_", **marks)
    if label and len(data):
        ax.plot([], [], linestyle="", color=style.THEORY["color"], label=label, **marks)
    return ax


def families(
    data: pd.DataFrame,
    groups: Sequence[Sequence[str]],
    *,
    x: str,
    y: str,
    xlabel: str,
    ylabel: str,
    log: str = "x",
    source: pd.DataFrame | None = None,
    control: pd.DataFrame | None = None,
    marked: bool = True,
    apart: bool = False,
) -> Figure:
    """Draw ``y`` against ``x`` in panels, one a group of methods, two a row, under one legend.

    Parameters
    ----------
    data
        One row a method, trial and ``x``.
    groups
        The methods of each panel; those that ``data`` does not have are left out.
    x, y, log
        As in ``curves``.
    xlabel, ylabel
        What all panels' axes are called, with units.
    source
        Published points with the same columns, drawn as open circles.
    control
        What every panel shows as a thin dark line: one row a trial and ``x``, of one ``method``.
    marked
        Whether lines carry their methods' markers: without them a source's points stand out.
    apart
        Whether each panel has a legend of its own.
    """
    fig, axes = style.panels(
        (len(groups) + 1) // 2, 2, height=2.35 * ((len(groups) + 1) // 2), sharex=True, sharey=True
    )
    for ax, group in zip(axes.flat, groups, strict=False):
        curves(data[data["method"].isin(group)], ax, x=x, y=y, log=log, marked=marked)
        if source is not None:
            published(source[source["method"].isin(group)], ax, x=x, y=y)
        if control is not None:
            line = control.groupby(x, as_index=False)[y].median()
            theory(line, ax, x=x, y=y, label=control["method"].iloc[0])
    fig.supxlabel(xlabel)
    fig.supylabel(ylabel)
    if apart:
        for ax in axes.flat:
            ax.legend(fontsize=7.5, handlelength=2, borderpad=0.2, labelspacing=0.2)
    else:
        legend(fig, axes)
    return fig


def predicted(
    data: pd.DataFrame, ax: Axes, *, x: str, y: str, prediction: str, by: str, log: str = "x"
) -> Axes:
    """Draw ``y`` at each ``x`` as a marker and ``prediction`` as a line, in a colour a group.

    Parameters
    ----------
    data
        One row a group and ``x``.
    ax, x, y, log
        As in ``curves``.
    prediction
        The column of the line.
    by
        The column that makes a group; its values are the labels.
    """
    for order, (value, rows) in enumerate(data.groupby(by, sort=False)):
        rows, look = rows.sort_values(x), style.level(order, str(value))
        ax.plot(rows[x], rows[prediction], color=look["color"], linewidth=1.2)
        ax.plot(rows[x], rows[y], **look | {"linestyle": ""})
    return _scales(ax, log)


def ranks(data: pd.DataFrame, ax: Axes, *, x: str, by: str, order: Sequence[str]) -> Axes:
    """Draw the median of ``x`` for each ``method`` on a line of its own, a marker a group.

    Parameters
    ----------
    data
        One row a trial: ``method``, ``x`` and ``by``.
    ax
        Where to draw.
    x, by
        Columns: the value, and what makes a group; a bar spans all of its trials.
    order
        The methods from the top down.
    """
    groups = list(data.groupby(by, sort=False))
    for k, (value, rows) in enumerate(groups):
        found = rows.groupby("method")[x].agg(["median", "min", "max"]).reindex(list(order))
        at = np.arange(len(order)) + (k - (len(groups) - 1) / 2) * 0.22
        look = style.level(k, str(value))
        ax.hlines(at, found["min"], found["max"], color=look["color"], linewidth=1)
        ax.plot(found["median"], at, **look | {"linestyle": ""})
    ax.set_yticks(range(len(order)), list(order))
    ax.set_ylim(len(order) - 0.5, -0.5)
    return ax


def spectrum(
    data: pd.DataFrame, ax: Axes, *, y: str = "eigenvalue", label: str | None = None
) -> Axes:
    """Draw ``y`` against its index ``k`` = 1, 2, ... on two logarithmic axes.

    Parameters
    ----------
    data
        One row a draw and ``k``.
    ax, y
        As in ``curves``.
    label
        What the legend calls it.
    """
    ax = curves(data, ax, x="k", y=y, by=(), log="xy")
    ax.lines[-1].set_label(label or "_")
    ax.set_xlabel("index $k$")
    return ax


def landscape(
    surface: pd.DataFrame,
    paths: pd.DataFrame,
    ax: Axes,
    *,
    x: str,
    y: str,
    value: str,
    by: Sequence[str] = ("coordinates",),
    depth: float = 1000,
) -> Axes:
    """Draw the level lines of a function of two variables and the paths taken down it.

    Parameters
    ----------
    surface
        The function on a grid: one row a point, columns ``x``, ``y`` and ``value`` (positive:
        the levels are spaced evenly in its logarithm).
    paths
        One row a step in order, columns ``x``, ``y`` and those of ``by``.
    ax
        Where to draw.
    x, y, value, by
        Columns.
    depth
        The highest level over the lowest.
    """
    grid = surface.pivot(index=y, columns=x, values=value)
    top = grid.max(axis=None)
    levels = np.geomspace(max(grid.min(axis=None), top / depth), top, 14)
    lines: dict[str, Any] = {"colors": "#8c8c8c", "linewidths": 0.6, "zorder": 1}
    ax.contour(grid.columns, grid.index, grid, levels=levels, **lines)
    for line, rows in _groups(paths, by):
        ax.plot(rows[x], rows[y], markevery=[-1], **line)
    return ax


def side_by_side(
    tables: Mapping[str, pd.DataFrame],
    draw: Callable[[pd.DataFrame, Axes], Any],
    *,
    xlabel: str,
    ylabel: str,
    columns: int = 3,
    height: float = 3.2,
) -> Figure:
    """Draw each of two tables in a panel of its own, on one scale and under one legend.

    Parameters
    ----------
    tables
        Title of the panel -> what it shows.
    draw
        Draws a table on its axes.
    xlabel, ylabel
        What the axes say.
    columns
        Of the legend.
    height
        Inches.
    """
    fig, axes = style.panels(1, len(tables), height=height, sharey=True, squeeze=False)
    for ax, (title, table) in zip(axes.flat, tables.items(), strict=True):
        draw(table, ax)
        ax.set_title(title)
    fig.supxlabel(xlabel)
    axes[0, 0].set_ylabel(ylabel)
    legend(fig, axes, columns)
    return fig


def legend(fig: Figure, axes: Iterable[Axes], columns: int = 3) -> None:
    """Put one legend above all panels: every label once, in the order in which it first appears."""
    labels: dict[str, Any] = {}
    for ax in np.ravel(np.asarray(axes)):
        for handle, label in zip(*ax.get_legend_handles_labels(), strict=True):
            labels.setdefault(label, handle)
    fig.legend(labels.values(), labels, loc="outside upper center", ncols=columns)


def _groups(data: pd.DataFrame, by: Sequence[str]) -> Iterator[tuple[dict[str, Any], Any]]:
    """Yield each group's look and rows, in the order in which the table first names it."""
    if not by:
        yield {"color": "#0067a5"}, data
        return
    for order, (values, rows) in enumerate(data.groupby(list(by), sort=False)):
        if set(by) <= {"method", "coordinates"}:
            yield style.look(**dict(zip(by, values, strict=True))), rows
        else:
            yield style.level(order, ", ".join(map(_named, by, values))), rows


def _named(column: str, value: Any) -> str:
    return value if isinstance(value, str) else f"{column} = {value}"


def _ticked(ax: Axes, values: Iterable[float]) -> Axes:
    """Give the x axis a tick at each value and nowhere else."""
    at = sorted(set(values))
    ax.set_xticks(at, [f"{value:g}" for value in at])
    ax.set_xticks([], minor=True)
    return ax


def _scales(ax: Axes, log: str) -> Axes:
    for axis in log:
        ax.set(**{f"{axis}scale": "log"})
        low, high = getattr(ax, f"get_{axis}lim")()
        if high < 100 * low:  # decades alone would be one tick or two
            which = getattr(ax, f"{axis}axis")
            which.set_major_locator(LogLocator(subs=(1, 2, 5)))
            which.set_major_formatter("{x:g}")
            which.set_minor_formatter("")
    return ax
