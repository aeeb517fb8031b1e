import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest
import tiny

import hdnotes.experiments
from hdnotes import cli, memory, runner
from hdnotes.store import cluster
from hdnotes.store.store import Store, StoreError

LIGHT = ["torch", "numpy", "pandas", "pyarrow", "matplotlib", "papermill", "scipy"]


@pytest.fixture(autouse=True)
def layout(tmp_path, monkeypatch):
    monkeypatch.setattr(hdnotes.experiments, "__path__", list(hdnotes.experiments.__path__))
    layout = tiny.write(tmp_path)
    monkeypatch.setattr(runner.Layout, "default", lambda: layout)
    yield layout
    sys.modules.pop("hdnotes.experiments.tiny", None)
    vars(hdnotes.experiments).pop("tiny", None)


def python(code: str, *more: str) -> subprocess.CompletedProcess:
    folders = [str(Path(__file__).parent), str(Path(cli.__file__).parents[1])]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(folders), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", code, *more]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def test_the_command_line_imports_nothing_heavy():
    done = python(f"import sys, hdnotes.cli; print([x for x in {LIGHT} if x in sys.modules])")
    assert (done.stdout, done.stderr) == ("[]\n", "")


BARE = """
import sys

class Refuse:
    refused = {"papermill", "matplotlib", "IPython", "jupyter_book", "nbformat", "nbclient",
               "pydantic", "seaborn", "sklearn", "ipykernel", "psutil", "pytorch_optimizer"}
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in self.refused:
            raise ImportError(name)

sys.meta_path.insert(0, Refuse())
from pathlib import Path
import tiny
from hdnotes import cli, runner
layout = tiny.write(Path(sys.argv[1]))
runner.Layout.default = lambda: layout
sys.exit(cli.main(sys.argv[2:]))
"""


def test_computing_and_status_need_no_jupyter(tmp_path):
    (tmp_path / "bare").mkdir()
    done = python(BARE, str(tmp_path / "bare"), "compute", "tiny", "--profile", "smoke")
    assert (done.returncode, done.stdout) == (0, "")
    assert "tiny: 100%" in done.stderr
    assert (tmp_path / "bare/results/tiny/manifest.json").is_file()


def test_status_writes_the_agreed_json(capsys):
    assert cli.main(["compute", "tiny", "--profile", "smoke", "--device", "cpu"]) == 0
    capsys.readouterr()
    assert cli.main(["status", "--json"]) == 0
    (row,) = json.loads(capsys.readouterr().out)["chapters"]
    assert row.pop("wall_time_s") >= 0
    assert row == {
        "name": "tiny",
        "profile": "smoke",
        "device": "cpu",
        "state": "fresh",
        "claims": {"holds": 0, "partly": 0, "fails": 0, "undecided": 0},
    }


def test_status_is_a_table(capsys):
    assert cli.main(["status"]) == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    heads = ["chapter", "state", "profile", "device", *runner.VERDICTS, "wall", "time"]
    assert lines == [heads, ["tiny", "missing", "-", "-", "0", "0", "0", "0", "-"]]


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["compute", "tyny"], "there is no chapter 'tyny'; did you mean tiny?"),
        (["compute", "tiny", "-p", "dd", "3"], "tiny has no parameter 'dd'; did you mean 'd'?"),
        (["run", "tiny", "-p", "d", "0"], "d = 0 is not allowed; it must be a whole number, at "),
        (["run", "-p", "rates", "[0.1, -1]"], "rates = -1.0 is not allowed; it must be a list of "),
        (["run", "tiny", "-p", "d", "1000000"], "d = 1000000 needs about 21.8 TiB of memory and "),
        (["run", "tiny", "--device", "cuda"], "device = 'cuda' needs a CUDA GPU"),
        (["run", "tiny", "-p", "d", "-1e3"], "d = -1000 is not allowed; it must be a whole "),
    ],
)
def test_what_cannot_be_done_is_one_sentence_and_exit_code_two(
    layout, monkeypatch, capsys, words, sentence
):
    monkeypatch.setattr(memory, "free", lambda device: 2**30)
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    assert cli.main(words) == 2
    shown = capsys.readouterr()
    assert shown.err.startswith(f"hdnotes: {sentence}")
    assert shown.err.count("\n") == 1
    assert shown.out == ""
    assert not layout.results.exists()
    assert not layout.book.exists()


def test_results_are_named_after_what_was_imported_at_first(layout, monkeypatch):
    seen = []
    monkeypatch.setattr("hdnotes.store.sweep.remember", lambda one: seen.append(one.NAME))
    monkeypatch.setattr(runner, "compute", lambda name, *more, **options: seen.append("computed"))
    assert cli.main(["compute", "tiny", "--device", "cpu"]) == 0
    assert seen == ["tiny", "computed"]


def test_all_chapters_are_checked_before_the_first_is_computed(layout, capsys):
    assert cli.main(["compute", "tiny", "nothing"]) == 2
    assert not layout.results.exists()


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (KeyboardInterrupt(), 130),
        (StoreError("the disk is full"), 2),
        (runner.NotebookError("it stopped"), 2),
        (MemoryError("no more"), 2),
        (subprocess.CalledProcessError(1, ["jupyter-book", "build"]), 2),
    ],
)
def test_what_a_person_can_mend_is_one_sentence(monkeypatch, capsys, error, code):
    def fail(*arguments):
        raise error

    monkeypatch.setattr(runner, "site", fail)
    assert cli.main(["site"]) == code
    assert capsys.readouterr().err.count("\n") == 1


def test_a_fault_in_the_code_is_shown_whole(monkeypatch):
    def fail(*arguments):
        raise kind("fault")

    monkeypatch.setattr(runner, "site", fail)
    kind = TypeError
    with pytest.raises(TypeError):
        cli.main(["site"])
    kind = ValueError
    with pytest.raises(ValueError, match="fault"):
        cli.main(["--traceback", "site"])


def test_control_c_keeps_what_is_finished(layout, capsys):
    assert cli.main(["compute", "tiny", "--profile", "paper"]) == 130
    error = capsys.readouterr().err.splitlines()[-1]
    assert error == "hdnotes: interrupted: what is finished is kept, the same command goes on."
    cells = [path for path in (layout.results / "tiny/.cells").iterdir() if path.is_dir()]
    assert len(cells) == 6


@pytest.mark.filterwarnings("default")
def test_a_damaged_result_is_one_line_and_computed_again(layout, capsys):
    assert cli.main(["compute", "tiny"]) == 0
    (path,) = (layout.results / "tiny").glob("rows.*.parquet")
    path.write_text("{")
    capsys.readouterr()
    assert cli.main(["compute", "tiny"]) == 0
    shown = capsys.readouterr().err
    assert "hdnotes: " in shown
    assert f"{path.name} is damaged; its results count as missing.\n" in shown


@pytest.mark.filterwarnings("default")
def test_a_damaged_manifest_stops_the_command_and_costs_nothing(layout, capsys):
    assert cli.main(["compute", "tiny"]) == 0
    (layout.results / "tiny/manifest.json").write_text("{")
    before = sorted((layout.results / "tiny").glob("*.*"))
    capsys.readouterr()
    assert cli.main(["compute", "tiny"]) == 2
    assert "manifest.json is damaged: bring it back" in capsys.readouterr().err.splitlines()[-1]
    assert sorted((layout.results / "tiny").glob("*.*")) == before


def test_running_what_is_missing_makes_its_page_once(layout, capsys):
    assert cli.main(["run", "--missing", "--device", "cpu"]) == 0
    assert capsys.readouterr().out == f"tiny: {layout.page('tiny')}\n"
    assert cli.main(["run", "--missing"]) == 0
    assert capsys.readouterr() == ("", "")
    assert cli.main(["run", "--missing", "tyni"]) == 2
    assert "there is no chapter 'tyni'" in capsys.readouterr().err
    assert cli.main(["compute", "tiny", "--device", "cpu"]) == 0
    record = json.loads(layout.sidecar("tiny").read_text())
    layout.sidecar("tiny").write_text(json.dumps(record | {"date": "2024-01-01"}))
    assert cli.main(["run", "--missing"]) == 0
    assert "stale and left as they are: tiny;" in capsys.readouterr().err


@pytest.mark.parametrize("words", [[], ["run"], ["compute"], ["status"], ["clean"], ["site"]])
def test_every_command_has_help(words, capsys):
    with pytest.raises(SystemExit) as stop:
        cli.main([*words, "--help"])
    assert stop.value.code == 0
    assert "usage: hdnotes" in capsys.readouterr().out


def test_help_on_a_chapter_says_units_ranges_and_defaults(capsys):
    with pytest.raises(SystemExit):
        cli.main(["run", "tiny", "--help"])
    shown = capsys.readouterr().out
    assert "d = 2 / 4 / 8 parameters\n      dimension; a whole number, at least 1" in shown
    assert "rates = [0.1, 0.2]\n      learning rates; a list of numbers, each above 0" in shown


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1", 1),
        ("-2", -2),
        ("1e3", 1e3),
        ("0.5", 0.5),
        ("True", True),
        ("None", None),
        ("true", "true"),
        ("adam", "adam"),
        ("[1, 'a']", "[1, 'a']"),
    ],
)
def test_values_are_typed_as_papermill_does(text, value):
    typed = cli._typed(text)
    assert typed == value
    assert type(typed) is type(value)
    from papermill.cli import _resolve_type

    assert typed == _resolve_type(text)


def test_a_signal_stops_the_command_with_one_sentence(tmp_path):
    (tmp_path / "bare").mkdir()
    slow = BARE.replace(
        "layout = tiny",
        "tiny.EXPERIMENT = tiny.EXPERIMENT.replace("
        "'if cell', 'import time; time.sleep(0.2)\\n    if cell')\nlayout = tiny",
    )
    folders = [str(Path(__file__).parent), str(Path(cli.__file__).parents[1])]
    process = subprocess.Popen(
        [sys.executable, "-c", slow, str(tmp_path / "bare"), "compute", "tiny"],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(folders)},
        stderr=subprocess.PIPE,
        text=True,
        # A shell that runs the tests in the background has its children ignore this signal.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    cells = tmp_path / "bare/results/tiny/.cells"
    deadline = time.monotonic() + 60
    while not any(len(path.name) == 16 for path in (cells.iterdir() if cells.is_dir() else [])):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    shown = process.communicate()[1]
    assert process.returncode == 130
    assert shown.splitlines()[-1].startswith("hdnotes: interrupted")


def test_results_of_another_machine_are_merged_and_what_differs_is_told(layout, tmp_path, capsys):
    compute = ["compute", "tiny", "--device", "cpu"]
    assert cli.main(compute) == 0
    there = tmp_path / "there"
    shutil.copytree(layout.results, there)
    shutil.rmtree(layout.results)
    assert cli.main(["merge", str(there)]) == 0
    assert "tiny: 4 cells added, 0 were here\n" in capsys.readouterr().out
    assert cli.main(["compute", "tiny", "--profile", "smoke", "--device", "cpu"]) == 0
    store = Store(there / "tiny")
    (key, *_) = store.finished()
    manifest = store.get(key).manifest
    store.put(key, manifest, {"rows": pd.DataFrame({"x": [-1.0]})})
    assert cli.main(["merge", str(there)]) == 2
    said = capsys.readouterr()
    assert "0 cells added, 3 were here, 1 with other rows kept as they are here" in said.out
    assert said.err == "hdnotes: 1 cells differ and stay as they are; --replace takes the others.\n"
    assert cli.main(["merge", str(there), "--replace"]) == 0
    assert layout.store("tiny").get(key).tables["rows"]["x"].to_pylist() == [-1.0]


def test_merging_a_folder_without_results_is_one_sentence(tmp_path, capsys):
    assert cli.main(["merge", str(tmp_path)]) == 2
    assert capsys.readouterr().err == (
        f"hdnotes: there are no results of a chapter in {tmp_path}.\n"
    )


@pytest.mark.parametrize("command", ["compute", "run"])
def test_a_dry_run_says_what_is_left_and_writes_nothing(layout, capsys, command):
    assert cli.main(["compute", "tiny", "-p", "d", "3"]) == 0
    capsys.readouterr()
    assert cli.main([command, "tiny", "--dry-run", "--profile", "quick"]) == 0
    head, line, total = capsys.readouterr().out.splitlines()
    assert head.split() == ["chapter", "kind", "cells", "time", "flop", "memory"]
    assert line.split()[:3] == ["tiny", "line", "1"]
    assert total.split()[:3] == ["tiny", "all", "1"]
    assert len(layout.store("tiny").finished()) == 3
    assert not layout.page("tiny").exists()
    assert cli.main(["compute", "tiny", "--dry-run", "-p", "d", "3"]) == 0
    assert capsys.readouterr().out.splitlines()[-1].split()[:3] == ["tiny", "all", "0"]


def test_a_dry_run_of_what_is_there_needs_no_memory(layout, monkeypatch, capsys):
    assert cli.main(["compute", "tiny", "-p", "d", "3"]) == 0
    monkeypatch.setattr(memory, "free", lambda device: 1)
    assert cli.main(["compute", "tiny", "--dry-run", "-p", "d", "3"]) == 0
    assert cli.main(["compute", "tiny", "--dry-run", "-p", "d", "4"]) == 2
    assert "of memory" in capsys.readouterr().err


def test_a_scheduler_that_does_not_answer_is_one_sentence(monkeypatch, capsys):
    pytest.importorskip("distributed")
    monkeypatch.setattr(cluster, "PATIENCE_S", 0)
    assert cli.main(["compute", "tiny", "--scheduler", "tcp://127.0.0.1:1"]) == 2
    assert "scheduler = 'tcp://127.0.0.1:1' does not answer" in capsys.readouterr().err
