import itertools

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_rgb

from hdnotes.findings.matrix_recovery_explained import RACE_FAMILIES
from hdnotes.page import figures, style

ROWS = {**style.METHODS, **style.COORDINATES, **style.BASES}
#: Bases that share a panel in `egop_scalability`.
PANELS = (
    ("original", "random", "EGOP", "leading", "leading, random", "block"),
    ("EGOP", "block", "leading", "leading, random", "Kronecker", "folded", "partial"),
    ("original", "leading", "leading, random", "Kronecker", "folded", "input SVD", "partial"),
)

# Hue rotation by half a turn as browsers do it (W3C Filter Effects, feColorMatrix hueRotate).
HALF_TURN = np.array([[-0.574, 1.43, 0.144], [0.426, 0.43, 0.144], [0.426, 1.43, -0.856]])
# What a reader without green receptors sees, in linear light (Vienot, Brettel, Mollon 1999).
DEUTAN = np.array([[0.29275, 0.70725, 0], [0.29275, 0.70725, 0], [-0.02234, 0.02234, 1]])


def dark(colour):
    """Return a colour as the dark theme shows it."""
    return np.clip(HALF_TURN @ (1 - np.array(to_rgb(colour))), 0, 1)


def linear(rgb):
    rgb = np.asarray(rgb)
    return np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)


def contrast(one, other):
    """Return the contrast ratio of two colours (WCAG 2)."""
    light = sorted(linear(to_rgb(rgb)) @ [0.2126, 0.7152, 0.0722] + 0.05 for rgb in (one, other))
    return light[1] / light[0]


@pytest.fixture
def ax():
    with matplotlib.rc_context():
        style.use()
        fig, ax = style.panels()
        yield ax
        plt.close(fig)


@pytest.fixture
def trials():
    grid = itertools.product(["GD", "Adam"], ["original", "EGOP"], range(5), [1, 10, 100])
    table = pd.DataFrame(grid, columns=["method", "coordinates", "trial", "step"])
    return table.assign(loss=(1.0 + table.trial) / table.step)


@pytest.mark.parametrize("name", ROWS)
def test_every_colour_stands_out_on_both_grounds(name):
    assert contrast(ROWS[name]["color"], "white") > 4.5
    assert contrast(dark(ROWS[name]["color"]), "#121212") > 4.5


EVERY = {**style.METHODS, **style.LATER}


@pytest.mark.parametrize(
    "rows",
    [
        style.METHODS,
        style.COORDINATES,
        dict(enumerate(style.LEVELS)),
        *({name: EVERY[name] for name in panel} for panel in RACE_FAMILIES),
        *({name: ROWS[name] for name in panel} for panel in PANELS),
    ],
)
def test_rows_differ_with_and_without_colour(rows):
    for one, other in itertools.combinations(rows.values(), 2):
        assert one["linestyle"] != other["linestyle"]
        assert one["marker"] != other["marker"]
        for shown in (to_rgb, dark):
            seen = [DEUTAN @ linear(shown(row["color"])) for row in (one, other)]
            assert np.abs(seen[0] - seen[1]).max() > 0.05


def test_a_name_without_a_style_is_refused():
    with pytest.raises(ValueError, match="method = 'SGDX' has no style; known are GD"):
        style.look("SGDX")


def test_figures_are_transparent_and_the_same_again(ax, tmp_path):
    for name in "ab":
        style.svg(ax.figure, tmp_path / name)
    text = (tmp_path / "a").read_text()
    assert text == (tmp_path / "b").read_text()
    assert "fill: #ffffff" not in text
    assert "<text" not in text


def test_a_curve_a_group_with_median_and_quartiles(ax, trials):
    ax = figures.curves(trials, ax, x="step", y="loss", by=("method", "coordinates"), log="xy")
    labels = ["GD, original", "GD, EGOP", "Adam, original", "Adam, EGOP"]
    assert [line.get_label() for line in ax.lines] == labels
    np.testing.assert_allclose(ax.lines[0].get_ydata(), [3, 0.3, 0.03])
    band = ax.collections[0].get_paths()[0].vertices
    assert (band[:, 1].min(), band[:, 1].max()) == (0.02, 4)
    assert (ax.get_xscale(), ax.get_yscale()) == ("log", "log")


def test_a_diverged_trial_counts(trials):
    trials.loc[trials.trial > 1, "loss"] = np.nan
    band = figures.quartiles(trials, "step", "loss")
    assert np.isinf(band[0.75]).all()


def test_points_carry_their_quartiles(ax, trials):
    ax = figures.points(trials, ax, x="step", y="loss")
    assert [tick.get_text() for tick in ax.get_xticklabels()] == ["1", "10", "100"]
    ax = figures.theory(trials, ax, x="step", y="loss", label="bound")
    assert ax.get_legend_handles_labels()[1] == ["bound", "GD", "Adam"]


def test_intervals_leave_out_what_is_unknown(ax):
    rows = [("b", 1, 0.0, 0.0, 0.2), ("a", 1, 2.0, 0.0, 3.0), ("b", 2, np.nan, 0.0, 1.0)]
    table = pd.DataFrame(rows, columns=["series", "x", "y", "low", "high"]).assign(p=8)
    ax = figures.intervals(table, ax, x="x", y="y", by=("series", "p"), log="x")
    first, second = ax.containers
    assert [one.get_label() for one in ax.containers] == ["b, p = 8", "a, p = 8"]
    assert first.lines[0].get_xydata().tolist() == [[1, 0]]
    bars = [bar.get_segments()[0][:, 1].tolist() for one in (first, second) for bar in one.lines[2]]
    assert bars == [[0, 0.2], [2, 3]]
    assert first.lines[0].get_marker() == style.LEVELS[0]["marker"]
    assert [tick.get_text() for tick in ax.get_xticklabels()] == ["1", "2"]


def test_a_bar_without_a_value_stands_alone(ax):
    rows = [("a", 1, 2.0, 1.0, 3.0), ("a", 2, np.nan, 3.0, 5.0), ("a", 4, np.nan, 3.0, np.inf)]
    table = pd.DataFrame(rows, columns=["series", "x", "y", "low", "high"])
    figures.intervals(table, ax, x="x", y="y", by=("series",))
    (alone,) = [one for one in ax.collections if one.get_linewidth()[0] == 3]
    assert [bar.tolist() for bar in alone.get_segments()] == [[[2, 3], [2, 5]]]


def test_success_has_a_panel_a_group_and_the_threshold_in_each():
    rows = [("one", 2.0, 0.5, 0.3, 0.7), ("two", 3.0, 1.0, 0.8, 1.0)]
    table = pd.DataFrame(rows, columns=["panel", "alpha", "share", "low", "high"])
    table = table.assign(method="GD")
    fig, axes = figures.success(table, table.head(1).assign(features=1024), 1.1)
    assert [ax.get_title(loc="left") or ax.get_title() for ax in axes] == ["one", "two"]
    # A curve with two caps and the threshold; circles, and their entry in the legend.
    assert [len(ax.lines) for ax in axes] == [6, 4]
    names = [text.get_text() for text in fig.legends[0].texts]
    assert names == ["the thesis, $p = 1024$", r"GAMP, $p \to \infty$", "GD"]
    plt.close(fig)


def test_a_spectrum_is_drawn_against_its_index(ax):
    ax = figures.spectrum(pd.DataFrame({"k": [1, 2, 3], "eigenvalue": [9.0, 4.0, 1.0]}), ax)
    np.testing.assert_array_equal(ax.lines[0].get_xydata(), [[1, 9], [2, 4], [3, 1]])


def test_a_landscape_shows_every_path(ax):
    x, y = (grid.ravel() for grid in np.meshgrid(np.linspace(-1, 1, 5), np.linspace(-1, 1, 5)))
    surface = pd.DataFrame({"x": x, "y": y, "f": x**2 + y**2})
    paths = pd.DataFrame({"coordinates": ["original", "EGOP"] * 2, "x": [0, 0, 1, 1], "y": 1.0})
    ax = figures.landscape(surface, paths, ax, x="x", y="y", value="f")
    assert len(ax.lines) == 2
    figures.legend(ax.figure, [ax])
    assert [text.get_text() for text in ax.figure.legends[0].texts] == ["original", "EGOP"]


def test_a_deeper_landscape_has_level_lines_nearer_to_its_minimum(ax):
    x, y = (grid.ravel() for grid in np.meshgrid(np.linspace(-1, 1, 99), np.linspace(-1, 1, 99)))
    surface = pd.DataFrame({"x": x, "y": y, "f": x**2 + y**2})
    paths = pd.DataFrame({"coordinates": ["original"], "x": 0.0, "y": 1.0})
    lowest = []
    for depth in (10, 100):
        figures.landscape(surface, paths, ax, x="x", y="y", value="f", depth=depth)
        lowest.append(ax.collections[-1].levels[0])
    np.testing.assert_allclose(lowest, [0.2, 0.02])


def test_what_the_coordinates_do_not_move_is_a_line_with_rings(ax, trials):
    ax = figures.equivariant(trials, ax, x="step", y="loss", log="xy")
    lines, rings = ax.lines[:2], ax.lines[2:]
    assert [line.get_label() for line in lines] == ["GD", "Adam"]
    assert {ring.get_label() for ring in rings} == {"the same in EGOP coordinates"}
    assert all(ring.get_linestyle() == "None" for ring in rings)
    turned = trials[trials.method.eq("Adam") & trials.coordinates.eq("EGOP")]
    np.testing.assert_allclose(rings[1].get_ydata(), turned.groupby("step").loss.median())
    assert (ax.get_xscale(), ax.get_yscale()) == ("log", "log")


def test_methods_share_panels_by_family_with_the_sources_points(trials):
    source = trials[trials.trial == 0]
    fig = figures.families(
        trials,
        [["GD", "SGD"], ["Adam"]],
        x="step",
        y="loss",
        xlabel="batch",
        ylabel="test loss",
        log="xy",
        source=source,
        control=source.assign(method="least squares"),
    )
    assert [len(ax.lines) for ax in fig.axes] == [3, 3]
    ours, theirs, _ = fig.axes[1].lines
    assert (ours.get_marker(), theirs.get_marker()) == ("^", "o")
    assert ours.get_color() == theirs.get_color()
    assert [text.get_text() for text in fig.legends[0].texts] == ["GD", "least squares", "Adam"]
    assert (fig.get_supxlabel(), fig.get_supylabel()) == ("batch", "test loss")
    plt.close(fig)


def test_a_prediction_is_a_line_and_what_was_measured_its_markers(ax):
    table = pd.DataFrame({"size": [4, 8, 4, 8], "of": ["a", "a", "b", "b"], "snr": [1, 2, 3, 4]})
    table["theory"] = table.snr + 1
    figures.predicted(table[::-1], ax, x="size", y="snr", prediction="theory", by="of")
    lines = {line.get_label(): line for line in ax.lines}
    assert list(lines["a"].get_ydata()) == [1, 2]
    assert lines["a"].get_linestyle() == "None"
    drawn = [line for line in ax.lines if list(line.get_ydata()) == [2, 3]]
    assert [line.get_color() for line in drawn] == [lines["a"].get_color()]


def test_ranks_stand_from_the_top_down_with_their_ranges(ax):
    runs = pd.DataFrame({"method": ["GD", "GD", "GD", "Adam"], "snr": [1, 2, 9, 5], "of": "a"})
    figures.ranks(runs, ax, x="snr", by="of", order=["Adam", "GD"])
    assert [label.get_text() for label in ax.get_yticklabels()] == ["Adam", "GD"]
    assert list(ax.lines[-1].get_xdata()) == [5, 2]
    spans = [segment[:, 0].tolist() for segment in ax.collections[0].get_segments()]
    assert spans == [[5, 5], [1, 9]]
    assert ax.get_ylim()[0] > ax.get_ylim()[1]


def test_a_narrow_logarithmic_axis_has_plain_ticks(ax):
    data = pd.DataFrame({"method": "GD", "size": [20, 40, 90], "snr": [3, 2, 1]})
    figures.curves(data, ax, x="size", y="snr", log="x")
    ax.figure.canvas.draw()
    assert {"20", "50"} <= {label.get_text() for label in ax.get_xticklabels()}
