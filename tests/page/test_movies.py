"""A movie shows what was recorded, frame by frame, in a file that browsers play."""

import subprocess

import imageio_ffmpeg
import matplotlib
import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot as plt

from hdnotes.page import movies, style

STEPS = (0, 1, 10, 500)
METHODS = ("Adam", "SGD", "Lion", "Rprop")


@pytest.fixture(autouse=True)
def look():
    with matplotlib.rc_context():
        style.use()
        yield
        plt.close("all")


@pytest.fixture
def frames():
    """Return a table in which singular values rise to 1 and the error falls by a decade a frame."""
    rows = [
        (method, step, -float(k), np.array([1.0, k / 3]), np.full(6, -10 * k, np.int8))
        for method in METHODS
        for k, step in enumerate(STEPS)
    ]
    names = ["method", "step", "log10_loss", "singular_values", "log10_error"]
    return pd.DataFrame(rows, columns=names)


def said(path) -> str:
    """Return what ffmpeg says of a file."""
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-hide_banner", "-i", str(path)]
    return subprocess.run(command, capture_output=True, text=True).stderr


def test_every_method_has_a_picture_its_singular_values_and_a_mark_on_its_loss(frames):
    movie = movies.training(frames.sample(frac=1, random_state=0), np.ones(2))
    assert movie.frames == len(STEPS)
    titles = [ax.get_title(loc="left") for ax in movie.figure.axes]
    assert sorted(filter(lambda title: title in METHODS, titles)) == sorted(METHODS)
    for k, step in enumerate(STEPS):
        movie.draw(k)
        assert movie.figure.texts[0].get_text() == f"step {step} of 500"
        pictures = [ax.images[0] for ax in movie.figure.axes if ax.images]
        values = [ax.lines[1] for ax in movie.figure.axes if len(ax.lines) == 2]
        (loss,) = [ax for ax in movie.figure.axes if ax.get_ylabel() == "test loss"]
        assert len(pictures) == len(values) == len(loss.lines) // 2 == len(METHODS)
        for picture, line, mark in zip(pictures, values, loss.lines[1::2], strict=True):
            assert (picture.get_array() == -k).all()
            assert picture.get_array().shape == (3, 2)
            np.testing.assert_allclose(line.get_ydata(), [1, k / 3])
            np.testing.assert_allclose(mark.get_xydata(), [[step, 10.0**-k]])


def test_the_colours_span_the_errors_down_to_four_decades(frames):
    def scale(table):
        movie = movies.training(table, np.ones(2))
        return next(ax.images[0] for ax in movie.figure.axes if ax.images).get_clim()

    assert scale(frames) == (-3, 0)
    frames["log10_error"] = 3 * frames.log10_error
    assert scale(frames) == (-4, 0)


def test_a_diverged_run_is_drawn_as_far_as_it_goes(frames):
    frames.loc[frames.method.eq("SGD") & frames.step.gt(1), "log10_loss"] = np.inf
    movie = movies.training(frames, np.ones(2))
    movie.draw(3)
    movie.figure.canvas.draw()


def test_the_file_is_what_browsers_play_and_the_same_again(frames, tmp_path):
    for name in "ab":
        movies.write(movies.training(frames, np.ones(2)), tmp_path / f"{name}.mp4")
    first, second = ((tmp_path / f"{name}.mp4").read_bytes() for name in "ab")
    assert first == second
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    assert first.index(b"moov") < first.index(b"mdat")  # it starts before it is all there
    words = said(tmp_path / "a.mp4")
    assert "Video: h264" in words
    assert "yuv420p" in words
    assert "Audio" not in words
    assert "Duration: 00:00:01.33" in words  # four frames, three a second
