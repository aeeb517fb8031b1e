import json
import os
import shutil
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
import tiny

import hdnotes.experiments
from hdnotes import memory, runner
from hdnotes.experiments.parameters import ParameterError
from hdnotes.runner import NotebookError
from hdnotes.store.sweep import MissingResults, load


@pytest.fixture
def layout(tmp_path, monkeypatch):
    monkeypatch.setattr(hdnotes.experiments, "__path__", list(hdnotes.experiments.__path__))
    yield tiny.write(tmp_path)
    sys.modules.pop("hdnotes.experiments.tiny", None)
    vars(hdnotes.experiments).pop("tiny", None)


def contents(folder: Path) -> dict[str, bytes]:
    files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def row(**more) -> dict:
    claims = dict.fromkeys(runner.VERDICTS, 0)
    empty = {"name": "tiny", "profile": None, "device": None, "state": "missing"}
    return empty | {"claims": claims, "wall_time_s": None} | more


def test_computing_leaves_folded_results_and_needs_no_notebook(layout):
    results = runner.compute("tiny", "smoke", device="cpu", layout=layout)
    assert len(results.table("rows")) == 2
    names = {path.name.split(".")[0] for path in (layout.results / "tiny").glob("*.*")}
    assert names == {"", "manifest", "rows"}
    assert list((layout.results / "tiny" / ".cells").iterdir()) == []
    assert not layout.book.exists()


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"name": "tyni"}, r"there is no chapter 'tyni'; choose one of tiny\."),
        ({"profile": "papr"}, "profile = 'papr' is not known"),
        ({"given": {"d": 0}}, "d = 0 is not allowed"),
        ({"given": {"p": 1}}, "tiny has no parameter 'p'"),
        ({"given": {"d": 10**6}}, "d = 1000000 needs about 21.8 TiB"),
        ({"device": "gpu"}, "device = 'gpu' is not known"),
    ],
)
@pytest.mark.parametrize("call", [runner.compute, runner.run])
def test_what_cannot_be_computed_is_refused_and_nothing_is_written(
    layout, monkeypatch, call, arguments, sentence
):
    monkeypatch.setattr(memory, "free", lambda device: 2**30)
    before = contents(layout.notebooks.parent)
    with pytest.raises(ValueError, match=sentence):
        call(**{"name": "tiny", "layout": layout, "device": "cpu"} | arguments)
    after = contents(layout.notebooks.parent)
    assert {name for name in after if "__pycache__" not in name} == set(before)


def test_results_that_are_there_are_drawn_whatever_memory_they_took(layout, monkeypatch):
    runner.compute("tiny", device="cpu", layout=layout)
    monkeypatch.setattr(memory, "free", lambda device: 1)
    runner.compute("tiny", device="cpu", layout=layout)
    with pytest.raises(ParameterError, match="rates = "):
        runner.compute("tiny", "quick", {"rates": [0.3]}, device="cpu", layout=layout)


def test_an_interrupted_chapter_keeps_its_cells_and_is_not_folded(layout):
    with pytest.raises(KeyboardInterrupt):
        runner.compute("tiny", "paper", device="cpu", layout=layout)
    experiment = runner.catalogue.load("tiny")
    cells = experiment.cells(experiment.Parameters(d=6))
    assert len(load(experiment, cells, layout.store("tiny")).cells) == 6
    assert not (layout.results / "tiny" / "manifest.json").exists()
    assert runner.status(layout)[0]["profile"] == "quick"


def test_the_state_without_a_page_is_that_of_the_richest_results(layout):
    assert runner.status(layout) == [row()]
    assert runner.missing_pages(layout) == [("tiny", "quick")]
    runner.compute("tiny", "smoke", device="cpu", layout=layout)
    (state,) = runner.status(layout)
    time_s = state["wall_time_s"]
    assert state == row(profile="smoke", device="cpu", state="fresh", wall_time_s=time_s)
    assert runner.missing_pages(layout) == [("tiny", "quick")]


@pytest.fixture
def published(layout):
    runner.run("tiny", given={"rates": [0.5]}, device="cpu", layout=layout)
    return layout


def test_a_page_is_executed_cleaned_and_put_into_the_book(published, monkeypatch):
    layout = published
    notebook = json.loads(layout.page("tiny").read_text())
    shown = json.dumps([cell["outputs"] for cell in notebook["cells"]])
    assert '"tiny/shown' in shown
    for word in ("a warning", str(layout.notebooks.parent), "page-"):
        assert word not in shown
    metadata = json.dumps([notebook["metadata"], *(cell["metadata"] for cell in notebook["cells"])])
    for word in ("papermill", "iopub", sys.version.split()[0]):
        assert word not in metadata
    assert notebook["metadata"]["kernelspec"]["name"] == "python3"
    assert [cell.get("execution_count") for cell in notebook["cells"]] == [None] * 6
    injected = notebook["cells"][1]
    assert injected["id"] == "injected-parameters"
    assert injected["metadata"]["tags"] == ["injected-parameters", "hide-input"]
    assert "rates = [0.5]\n" in injected["source"]
    record = json.loads(layout.sidecar("tiny").read_text())
    assert (record["profile"], record["device"], record["parameters"]["rates"]) == (
        "quick",
        "cpu",
        [0.5],
    )
    figures = {path.name for path in (layout.book / "figures" / "tiny").iterdir()}
    assert figures == {"line.csv"}
    assert not [path for path in (layout.book / "_build").iterdir() if "page-" in path.name]
    assert "It is so." in (layout.book / "scorecard.md").read_text()

    claims = dict.fromkeys(runner.VERDICTS, 0) | {"holds": 1}
    (state,) = runner.status(layout)
    shown = {"profile": "quick", "device": "cpu", "wall_time_s": state["wall_time_s"]}
    assert state == row(state="fresh", claims=claims, **shown)
    assert runner.missing_pages(layout) == []

    before = contents(layout.book)
    runner.run("tiny", given={"rates": [0.5]}, device="cpu", layout=layout)
    assert contents(layout.book) == before

    monkeypatch.setenv("TINY_FAILS", "1")
    sentence = r"^notebook tiny stopped in cell 5, ValueError: it went$"
    with pytest.raises(NotebookError, match=sentence):
        runner.run("tiny", "smoke", device="cpu", layout=layout)
    assert contents(layout.book) == before
    assert "HDNOTES_PAGE" not in os.environ

    layout.sidecar("tiny").write_text("{")
    assert runner.missing_pages(layout) == [("tiny", "quick")]


def write_page(layout, **record):
    layout.page("tiny").parent.mkdir(parents=True)
    layout.page("tiny").touch()
    plain = {"profile": "quick", "device": "cuda", "stale": False, "claims": [], "wall_time_s": 7}
    plain |= {"date": "2025-01-01"}
    parameters = {"d": 3, "rates": [0.1]}
    layout.sidecar("tiny").write_text(json.dumps(plain | {"parameters": parameters} | record))


def drawn_from(results) -> dict:
    """Return what a sidecar says of the results that its page shows."""
    dates = [manifest["date"] for manifest in results.manifests]
    return {"date": max(dates), "wall_time_s": results.wall_time_s}


def test_the_state_of_a_page_is_that_of_the_results_it_shows(layout, monkeypatch):
    write_page(layout)
    assert runner.status(layout) == [row(profile="quick", device="cuda", wall_time_s=7)]
    made = runner.compute("tiny", "quick", {"d": 3, "rates": [0.1]}, "cpu", layout=layout)
    assert runner.status(layout)[0]["state"] == "stale"  # it was drawn from others
    shutil.rmtree(layout.book)
    write_page(layout, **drawn_from(made))
    assert runner.status(layout)[0]["state"] == "fresh"
    monkeypatch.setattr("hdnotes.store.sweep.fingerprint", lambda function: "changed")
    assert runner.status(layout)[0]["state"] == "stale"


@pytest.mark.parametrize(
    ("record", "state"), [({"stale": True}, "stale"), ({"parameters": {"gone": 1}}, "missing")]
)
def test_a_page_drawn_from_what_is_no_more_is_not_fresh(layout, record, state):
    made = runner.compute("tiny", "quick", {"d": 3, "rates": [0.1]}, "cpu", layout=layout)
    write_page(layout, **drawn_from(made) | record)
    assert runner.status(layout)[0]["state"] == state


def test_cleaning_keeps_what_profiles_and_pages_ask_for(layout):
    for given in ({}, {"rates": [0.1]}, {"rates": [0.7]}):
        runner.compute("tiny", "smoke", given, "cpu", layout=layout)
    write_page(layout, parameters={"d": 2, "rates": [0.7]})
    (layout.book / "_build").mkdir()
    runner.clean(layout)
    store, experiment = layout.store("tiny"), runner.catalogue.load("tiny")
    cells = {rate: experiment.cells(experiment.Parameters(2, (rate,))) for rate in (0.1, 0.7)}
    assert not (layout.book / "_build").exists()
    assert load(experiment, cells[0.1], store)
    runner.clean(layout, results=True)
    assert load(experiment, cells[0.7], store)
    assert load(experiment, experiment.cells(experiment.Parameters(2)), store)
    with pytest.raises(MissingResults):
        load(experiment, cells[0.1], store)


@pytest.mark.parametrize(
    ("record", "sentence"),
    [("{", r"tiny\.json cannot be read"), ('{"gone": 1}', r"has no parameter 'gone'")],
)
def test_cleaning_leaves_the_results_of_a_page_that_it_cannot_read(layout, record, sentence):
    runner.compute("tiny", "quick", {"rates": [0.7]}, "cpu", layout=layout)
    before = contents(layout.results)
    write_page(layout, parameters={"gone": 1})
    if record == "{":
        layout.sidecar("tiny").write_text(record)
    with pytest.raises(ValueError, match=sentence):
        runner.clean(layout, results=True)
    assert contents(layout.results) == before


def test_the_site_is_built_only_when_something_has_changed(layout, monkeypatch):
    built = []

    def build(command, check):
        built.append(command)
        index.parent.mkdir(parents=True, exist_ok=True)
        index.touch()
        return SimpleNamespace()

    monkeypatch.setattr(runner.subprocess, "run", build)
    index = layout.book / "_build" / "html" / "index.html"
    (layout.book / "sections").mkdir(parents=True)
    page = layout.book / "sections" / "a.md"
    page.touch()
    for number, change in enumerate([lambda: None, page.touch, page.unlink, index.unlink], 1):
        time.sleep(0.02)  # the clock of a file system is coarse
        change()
        time.sleep(0.02)
        assert runner.site(layout) == runner.site(layout) == index
        assert len(built) == number
    assert built[0][1:] == ["build", "-n", "-W", "--keep-going", str(layout.book)]
