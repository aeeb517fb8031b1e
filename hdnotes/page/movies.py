"""Movies: a drawing that moves over the steps that were recorded, kept as an MP4 and a poster.

Nothing is computed and nothing is filled in between: a frame is a recorded step. The encoder is
x264 in the ffmpeg that the package imageio-ffmpeg brings along, on one thread and without a date,
so that the same drawing gives the same bytes. Used by the chapter `matrix_recovery`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import imageio_ffmpeg
import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.animation import FFMpegWriter
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from hdnotes.page import style

FRAMES_PER_SECOND = 3
#: Pixels an inch, and inches in tenths below: a picture's pixel of 1/40 inch is then 4 x 4 of the
#: movie's and begins on a block of the encoder, which makes the file several times smaller.
DPI = 160
#: H.264 as every browser plays it; the index goes first, so that a player can start and seek.
ENCODER = (
    *("-pix_fmt", "yuv420p", "-crf", "26", "-preset", "slow", "-movflags", "+faststart"),
    *("-threads", "1", "-fflags", "+bitexact", "-flags:v", "+bitexact"),
)
#: Decades of error that the colours span, at most.
DECADES = 4
#: Methods a row, and in inches: the first one's corner, how far apart they are, a panel's side.
COLUMNS, LEFT, TOP, ACROSS, DOWN, SIDE = 3, 0.1, 0.9, 1.6, 1.1, 0.8
#: The panel of losses, in inches: its left edge, its height, and below it the room that a player's
#: controls cover.
LOSS_LEFT, LOSS, BELOW = 0.7, 1.0, 1.1


@dataclass(frozen=True)
class Movie:
    """A drawing and what moves it.

    Parameters
    ----------
    figure
        The drawing.
    draw
        Moves it to frame k = 0, 1, ...
    frames
        How many there are.
    """

    figure: Figure
    draw: Callable[[int], None]
    frames: int

    @property
    def poster(self) -> int:
        """The frame that stands where the movie has not been played."""
        return 2 * self.frames // 3


def write(movie: Movie, path: Path) -> None:
    """Write the movie as MP4, and its poster as PNG of the same name beside it."""
    settings: dict[Any, Any] = {
        "animation.ffmpeg_path": imageio_ffmpeg.get_ffmpeg_exe(),
        "figure.constrained_layout.use": False,  # or saving a frame turns it on
    }
    writer = FFMpegWriter(FRAMES_PER_SECOND, "libx264", extra_args=list(ENCODER))
    plain: dict[str, Any] = {"metadata": {"Software": None}, "pil_kwargs": {"optimize": True}}
    with matplotlib.rc_context(settings):
        with writer.saving(movie.figure, str(path), DPI):
            for frame in range(movie.frames):
                movie.draw(frame)
                writer.grab_frame()
        movie.draw(movie.poster)
        movie.figure.savefig(path.with_suffix(".png"), dpi=DPI, **plain)


def training(frames: pd.DataFrame, target: np.ndarray) -> Movie:
    """Draw how each method learns a matrix: where its error lies, its singular values, its loss.

    Parameters
    ----------
    frames
        One row a method and recorded step: ``method``, ``step``, ``log10_loss``,
        ``singular_values`` (largest first) and ``log10_error`` (in tenths; a picture row by row,
        each as many pixels as there are rows or as there are singular values).
    target
        The singular values of the matrix that is learned.

    Examples
    --------
    >>> row = {"method": "SGD", "log10_loss": 0.0, "singular_values": [2.0], "log10_error": [-5]}
    >>> training(pd.DataFrame([{**row, "step": step} for step in (0, 1, 500)]), np.ones(1)).frames
    3
    """
    steps = np.sort(frames["step"].unique())
    runs = [run.sort_values("step") for _, run in frames.groupby("method", sort=False)]
    down = TOP + DOWN * -(-len(runs) // COLUMNS) + 0.1
    fig = plt.figure(figsize=(style.WIDTH, down + LOSS + BELOW), layout="none")
    words = fig.text(0.02, 0.985, "", size=13, weight="bold", va="top")
    colours = _colours(fig, frames)
    highest = max(target.max(), max(values[0] for values in frames["singular_values"]))
    losses = _axes(fig, LOSS_LEFT, down, style.WIDTH - LOSS_LEFT - 0.1, LOSS)
    moves = [_loss(run, losses) for run in runs]
    for k, run in enumerate(runs):
        left, top = LEFT + ACROSS * (k % COLUMNS), TOP + DOWN * (k // COLUMNS)
        moves.append(_error(run, _axes(fig, left, top, SIDE, SIDE), colours))
        values = _axes(fig, left + SIDE + 0.2, top, ACROSS - SIDE - 0.3, SIDE)
        values.set(ylim=(0, 1.08 * highest), xticks=[])
        values.yaxis.set_major_locator(MaxNLocator(2, integer=True))
        values.tick_params(labelleft=k % COLUMNS == 0, length=2, pad=1)
        moves.append(_singular_values(run, target, values))
    _key(fig)

    def draw(k: int) -> None:
        words.set_text(f"step {steps[k]} of {steps[-1]}")
        for move in moves:
            move(k)

    return Movie(fig, draw, len(steps))


def _axes(fig: Figure, left: float, top: float, wide: float, high: float) -> Axes:
    """Return axes of a size in inches, placed from the upper left corner."""
    across, down = fig.get_size_inches()
    ax = fig.add_axes((left / across, 1 - (top + high) / down, wide / across, high / down))
    ax.tick_params(labelsize=9)
    return ax


def _key(fig: Figure) -> None:
    """Say what the lines beside the pictures are."""
    lines = [
        Line2D([], [], label=r"singular values of $\Phi$", **style.THEORY),
        Line2D([], [], label="of $W$", color="#4d4d4d"),
    ]
    above = (0, 1 - 0.3 / fig.get_figheight())
    small = {"fontsize": 9.5, "handlelength": 2, "columnspacing": 1}
    fig.legend(handles=lines, ncols=2, loc="upper left", bbox_to_anchor=above, **small)


def _colours(fig: Figure, frames: pd.DataFrame) -> dict[str, Any]:
    """Draw the bar of the error's colours, dark for large ones; return them as `imshow` does."""
    error = np.stack(list(frames["log10_error"])) / 10
    high = np.ceil(error.max())
    low = max(np.floor(error.min()), high - DECADES)
    scale: dict[str, Any] = {"cmap": "YlGnBu", "norm": Normalize(low, high)}
    bar = fig.colorbar(
        ScalarMappable(**scale),
        cax=_axes(fig, 3.1, 0.3, 1.7, 0.1),
        orientation="horizontal",
        extend="min" if error.min() < low else "neither",
    )
    ticks = list(range(int(low), int(high) + 1))
    bar.set_ticks(ticks, labels=[f"$10^{{{tick}}}$" for tick in ticks])
    bar.ax.set_title("error of $W$", size=10.5, pad=3)
    return scale


def _error(run: pd.DataFrame, ax: Axes, colours: dict[str, Any]) -> Callable[[int], None]:
    """Draw where the error lies; return what moves it."""
    method, wide = run["method"].iloc[0], len(run["singular_values"].iloc[0])
    pictures = np.stack(list(run["log10_error"])).reshape(len(run), -1, wide) / 10
    image = ax.imshow(pictures[0], aspect="auto", interpolation="nearest", **colours)
    ax.set(xticks=[], yticks=[])
    ax.set_title(method, size=10.5, pad=3, color=style.look(method)["color"])
    return lambda k: image.set_data(pictures[k])


def _singular_values(run: pd.DataFrame, target: np.ndarray, ax: Axes) -> Callable[[int], None]:
    """Draw the singular values of W against their index, and those of Phi; return what moves it."""
    values = np.stack(list(run["singular_values"]))
    look = style.look(run["method"].iloc[0])
    ax.plot(target, **style.THEORY)
    (line,) = ax.plot(values[0], color=look["color"])
    return lambda k: line.set_ydata(values[k])


def _loss(run: pd.DataFrame, ax: Axes) -> Callable[[int], None]:
    """Draw the loss against steps, pale, and a mark on it; return what moves the mark."""
    steps, loss = run["step"].to_numpy(), 10.0 ** run["log10_loss"].to_numpy(float)
    look = style.look(run["method"].iloc[0])
    ax.plot(steps, loss, **look | {"marker": "", "alpha": 0.6, "linewidth": 1.2})
    (mark,) = ax.plot(steps[:1], loss[:1], color=look["color"], marker=look["marker"], markersize=5)
    ax.set_xscale("symlog", linthresh=1, linscale=0.3)
    ax.set(yscale="log", xlabel="step", ylabel="test loss", xlim=(0, steps[-1] * 1.1))
    ax.set_xticks(ticks := [s for s in (0, 1, 10, 100) if s < steps[-1] / 2] + [steps[-1]], ticks)
    return lambda k: mark.set_data(steps[k : k + 1], loss[k : k + 1])
