"""Two settings and what came of them: a coloured field with its numbers (chapter `adam_ratio`)."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm

from hdnotes.wording import number


def field(
    data: pd.DataFrame,
    ax: Axes,
    *,
    x: str,
    y: str,
    value: str,
    text: Callable[[Any], str],
    limits: tuple[float, float],
) -> Axes:
    """Draw ``value`` at each ``x`` and ``y`` as a colour on a logarithmic scale.

    Parameters
    ----------
    data
        One row a field.
    ax
        Where to draw.
    x, y, value
        Columns; the axes show the values of the first two in ascending order, one field each.
    text
        Row -> what its field says.
    limits
        Where the colours end.
    """
    wide = data.pivot(index=y, columns=x, values=value).clip(*limits)
    ax.imshow(wide, norm=LogNorm(*limits), cmap="YlOrBr", origin="lower", aspect="auto", alpha=0.75)
    at = {axis: {v: k for k, v in enumerate(keys)} for axis, keys in ((x, wide), (y, wide.index))}
    for _, row in data.iterrows():
        place = (at[x][row[x]], at[y][row[y]])
        ax.text(*place, text(row), ha="center", va="center", fontsize=7.5, linespacing=1.1)
    ax.set_xticks(np.arange(wide.shape[1]), [number(v) for v in wide.columns])
    ax.set_yticks(np.arange(wide.shape[0]), [number(v) for v in wide.index])
    ax.grid(False)
    return ax
