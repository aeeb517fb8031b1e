import json
import shlex
from pathlib import Path

import matplotlib
import matplotlib.pyplot as plt
import nbformat
import numpy as np
import pandas as pd
import pytest
import toy_chapter

from hdnotes import cli
from hdnotes.experiments.parameters import ParameterError
from hdnotes.page import chapter, movies, style

WORDS = {"caption": "Loss over steps.", "alt": "The loss falls\nat once."}


@pytest.fixture
def shown(monkeypatch):
    """Collect what a page displays."""
    outputs = []
    monkeypatch.setattr(chapter, "display", lambda data, raw: outputs.append(data))
    return outputs


@pytest.fixture(autouse=True)
def results(tmp_path, monkeypatch):
    monkeypatch.setenv("HDNOTES_RESULTS", str(tmp_path / "results"))
    monkeypatch.delenv("HDNOTES_PAGE", raising=False)
    with matplotlib.rc_context():
        yield


@pytest.fixture
def book(tmp_path, monkeypatch):
    monkeypatch.setenv("HDNOTES_PAGE", str(tmp_path / "book"))
    return tmp_path / "book"


def open_toy(namespace):
    return chapter.open(toy_chapter, namespace, toy_chapter.CLAIMS)


def write(page):
    """Write a whole page."""
    data = page.results.table("losses")
    fig, ax = style.panels()
    ax.plot(data.step, data.loss)
    page.claims()
    page.figure(fig, "losses", data=data, **WORDS)
    for claim in toy_chapter.CLAIMS:
        page.claim(claim.id)
    page.end()


def still():
    """Return a movie of one frame."""
    fig, ax = style.panels()
    return movies.Movie(fig, lambda k: ax.plot([0, 1]), 1)


def files(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def markdown(shown):
    return "\n".join(data.get("text/markdown", "") for data in shown)


def test_the_notebooks_variables_are_its_parameters():
    namespace = {
        "In": ["d = 3"],
        "Out": {},
        "_": 1,
        "__name__": "__main__",
        "_dh": [],
        "np": np,
        "exit": print,
        "chapter": chapter,
        "profile": "smoke",
        "d": None,
        "rates": [0.5],
    }
    page = open_toy(namespace)
    assert page.given == {"rates": [0.5]}
    assert (page.parameters.d, page.parameters.rates, page.profile) == (2, (0.5,), "smoke")


@pytest.mark.parametrize(
    ("namespace", "words"),
    [
        ({"dd": 3}, "dd"),
        ({"d": "many"}, "d = 'many'"),
        ({"d": 0}, "d = 0"),
        ({"d": 5 * 10**6}, "d = 5000000 needs about 909.5 TiB"),
        ({"profile": "huge"}, "profile = 'huge'"),
        ({"device": "abacus"}, "device = 'abacus'"),
    ],
)
def test_what_cannot_be_is_refused_in_one_sentence(namespace, words, tmp_path):
    with pytest.raises(ParameterError) as error:
        open_toy(namespace)
    assert words in str(error.value)
    assert "\n" not in str(error.value)
    assert not files(tmp_path)


def test_a_page_writes_figures_data_and_sidecar(book, shown):
    write(open_toy({"d": 8}))
    names = [f"figures/toy/losses.{kind}" for kind in ("csv", "parquet", "svg")]
    assert files(book) == [*names, "sections/toy.json"]
    csv, parquet = pd.read_csv(book / names[0]), pd.read_parquet(book / names[1])
    pd.testing.assert_frame_equal(csv, parquet)
    assert list(csv.columns) == ["rate", "step", "loss"]  # kind and d never vary
    text = markdown(shown)
    assert ":alt: The loss falls at once.\n" in text
    assert ":name: toy-losses\n" in text
    assert "{download}`Parquet <../figures/toy/losses.parquet>`" in text
    assert "hdnotes run toy --profile quick -p d 8" in text
    assert "✓ holds" in text


def test_a_movie_is_shown_as_its_poster_with_the_movie_and_its_data_to_download(book, shown):
    page = open_toy({})
    page.movie(still(), "falling", data=page.results.table("losses"), **WORDS)
    kinds = ("csv", "mp4", "parquet", "png")
    assert files(book) == [f"figures/toy/falling.{kind}" for kind in kinds]
    text = markdown(shown)
    assert ":::{figure} ../figures/toy/falling.png\n" in text
    assert ":alt: The loss falls at once.\n" in text
    assert "{download}`MP4 <../figures/toy/falling.mp4>`" in text
    assert "How this movie was made" in text
    assert not plt.get_fignums()


def test_elsewhere_a_movie_plays_in_the_notebook_and_leaves_no_file(shown, tmp_path):
    page = open_toy({})
    page.movie(still(), "falling", data=pd.DataFrame(), **WORDS)
    assert all(name.startswith("results/") for name in files(tmp_path))
    assert shown[0]["text/plain"] == WORDS["alt"]
    assert "<video controls" in shown[0]["text/html"]
    assert 'src="data:video/mp4;base64,' in shown[0]["text/html"]
    assert shown[1]["text/markdown"] == WORDS["caption"]


def test_the_sidecar_tells_what_was_run_and_found(book, shown):
    write(open_toy({"d": 8}))
    record = json.loads((book / "sections/toy.json").read_text())
    assert record["parameters"] == {"d": 8, "rates": [0.1, 1.0]}
    assert record["profile"] == "quick"
    assert record["device"] == "cpu"
    assert record["stale"] is False
    assert len(record["seeds"]) == 2
    assert record["claims"][0] == {
        "id": "d0-1-a",
        "sentence": "The loss | falls.",
        "source": "Section 1",
        "verdict": "holds",
        "evidence": "It ends at 0.125.",
    }


def test_a_page_drawn_again_is_the_same(book, shown):
    def drawn():
        shown.clear()
        write(open_toy({}))
        return {name: (book / name).read_bytes() for name in files(book)}, list(shown)

    assert drawn() == drawn()


def test_results_of_other_code_are_marked_stale(book, shown):
    page = open_toy({})
    for manifest in page.results.manifests:
        manifest["source"] = "before"
    write(page)
    assert "hd-stale" in markdown(shown)
    assert json.loads((book / "sections/toy.json").read_text())["stale"] is True


def test_elsewhere_a_notebook_shows_everything_and_writes_no_page(shown, tmp_path):
    write(open_toy({}))
    assert all(name.startswith("results/") for name in files(tmp_path))
    assert any("<svg" in data.get("image/svg+xml", "") for data in shown)
    text = markdown(shown)
    assert ":::" not in text
    assert WORDS["caption"] in text
    assert "| `d` | `4` | `4` | parameters | dimension |" in text
    assert not plt.get_fignums()


def test_every_claim_stands_beside_its_figure(shown):
    page = open_toy({})
    page.claim("d0-1-a")
    with pytest.raises(ValueError, match="never shown on the page: d0-1-b"):
        page.end()
    with pytest.raises(ValueError, match="'d9' is not one of the chapter's: d0-1-a, d0-1-b"):
        page.claim("d9")


@pytest.mark.parametrize("missing", ["caption", "alt"])
def test_a_figure_and_a_movie_need_words(missing, shown, book):
    page = open_toy({})
    fig, _ = style.panels()
    words = {**WORDS, missing: " "}
    with pytest.raises(ValueError, match=f"{missing} of figure 'losses' is empty"):
        page.figure(fig, "losses", data=pd.DataFrame(), **words)
    with pytest.raises(ValueError, match=f"{missing} of movie 'falling' is empty"):
        page.movie(still(), "falling", data=pd.DataFrame(), **words)
    assert not book.exists()


def test_the_command_on_the_page_is_one_the_command_line_takes():
    page = open_toy({"d": 8, "rates": [0.5, 1.0]})
    words = shlex.split(page.command)
    options = cli._parser("").parse_args(words[1:])
    assert (options.chapters, options.profile) == (["toy"], "quick")
    assert options.parameters == [["d", "8"], ["rates", "[0.5, 1.0]"]]


NOTEBOOK = """
profile = "smoke"
d = None
#
import toy_chapter
from hdnotes.page import chapter
page = chapter.open(toy_chapter, globals())
print(dict(page.given), page.parameters)
"""


@pytest.fixture
def notebook(tmp_path):
    """Return a function that runs a notebook through papermill and returns what it printed."""
    papermill = pytest.importorskip("papermill")
    first, second = NOTEBOOK.strip().split("#\n")
    cells = [
        nbformat.v4.new_code_cell(source, id=str(k)) for k, source in enumerate([first, second])
    ]
    cells[0].metadata["tags"] = ["parameters"]
    kernel = {"kernelspec": {"name": "python3", "language": "python", "display_name": "Python 3"}}
    nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata=kernel), tmp_path / "in.ipynb")

    def execute(**given):
        here = Path(__file__).parent
        paths = [str(tmp_path / name) for name in ("in.ipynb", "out.ipynb")]
        out = papermill.execute_notebook(*paths, given, progress_bar=False, cwd=str(here))
        return "".join(output.get("text", "") for output in out.cells[-1].outputs)

    return execute


@pytest.mark.filterwarnings("ignore")  # of Jupyter's own, which differ between versions
def test_papermill_gives_parameters_to_a_real_kernel(notebook):
    assert notebook(d=3).strip().endswith("{'d': 3} Parameters(d=3, rates=(0.1, 1.0))")
    with pytest.raises(Exception, match="has no parameter 'dd'"):
        notebook(dd=3)
