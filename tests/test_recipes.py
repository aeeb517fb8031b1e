"""The recipes of the page on many machines, tried as far as one machine without a queue can."""

import os
import re
import subprocess
import textwrap
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[1] / "book" / "clusters.md"


def recipes(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE.read_text(), re.M | re.S)


def recipe(language: str, word: str) -> str:
    (found,) = [one for one in recipes(language) if word in one]
    return found


@pytest.fixture
def shell(tmp_path):
    """Run a script among commands that only write down how they were called."""
    log = tmp_path / "log"
    log.touch()

    def stub(path: Path, more: str = "") -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        said = f'echo "${{CUDA_VISIBLE_DEVICES:-none}} {path.name} $*" >> {log}'
        path.write_text(f"#!/bin/bash\n{said}\n{more}\n")
        path.chmod(0o755)

    folder = tmp_path / "bin"
    stub(folder / "dask")
    stub(folder / "make")
    stub(
        folder / "git",
        f'[ "$1" != clone ] || {{ mkdir -p $3/.venv/bin; cp {folder}/dask $3/.venv/bin; }}',
    )
    stub(folder / "nvidia-smi", "echo 'GPU 0: a'; echo 'GPU 1: b'")

    def run(script: str) -> list[str]:
        given = {
            "SCHEDULER": "10.0.0.1",
            "REPOSITORY": "there",
            "COMMIT": "abc",
            "TMPDIR": str(tmp_path),
        }
        given["PATH"] = f"{folder}{os.pathsep}{os.environ['PATH']}"
        subprocess.run(["bash", "-c", script], env=given, check=True, capture_output=True)
        return log.read_text().splitlines()

    return run


def test_each_gpu_has_a_worker_that_sees_it_alone(shell):
    called = [line for line in shell(recipe("bash", "CUDA_VISIBLE_DEVICES")) if " dask " in line]
    assert sorted(called) == [
        f"{gpu} dask worker tcp://10.0.0.1:8786 --nthreads 1 --name gpu-{gpu}" for gpu in (0, 1)
    ]


def test_a_rented_machine_takes_the_commit_and_becomes_a_worker(shell):
    assert shell(recipe("bash", "REPOSITORY")) == [
        "none git clone there hdnotes",
        "none git checkout abc",
        "none make setup",
        "none dask worker tcp://10.0.0.1:8786 --nthreads 1 --death-timeout 600",
    ]


def test_the_job_that_slurm_gets_starts_one_worker_in_the_checkout(monkeypatch, capsys):
    jobqueue = pytest.importorskip("dask_jobqueue")
    monkeypatch.setattr(jobqueue.SLURMCluster, "adapt", lambda self, **limits: None)
    script = recipe("python", "SLURMCluster").replace(
        '"port": 8786', '"port": 0, "host": "127.0.0.1"'
    )
    head, loop, _ = script.partition("while True:")
    assert loop
    scope = {}
    try:
        exec(head, scope)
        lines = capsys.readouterr().out.splitlines()
    finally:
        scope["cluster"].close()
    address = lines[-1]
    assert address.startswith("tcp://127.0.0.1:")
    assert {"#SBATCH -p gpu", "#SBATCH -t 12:00:00", "#SBATCH --gpus-per-node=1"} <= set(lines)
    there, thread, worker = (
        lines.index("cd ~/hdnotes"),
        lines.index("export OMP_NUM_THREADS=1"),
        [k for k, line in enumerate(lines) if "dask_worker" in line],
    )
    assert there < thread < worker[0]
    assert len(worker) == 1
    assert lines[worker[0]].startswith(
        f".venv/bin/python -m distributed.cli.dask_worker {address} "
    )
    assert "--nthreads 1 " in lines[worker[0]]


@pytest.mark.parametrize("script", recipes("bash"))
def test_what_the_page_tells_to_type_is_known(script):
    subprocess.run(["bash", "-n", "-c", script], check=True)
    for line in re.findall(r"(?:hdnotes|-m hdnotes) (\w+ .*)", textwrap.dedent(script)):
        from hdnotes.cli import _parser

        _parser("").parse_args(line.removesuffix(" &").split())


def test_the_commands_in_the_text_are_known():
    from hdnotes.cli import _parser

    for line in re.findall(r"`hdnotes ([^`]+)`", PAGE.read_text()):
        _parser("").parse_args(line.replace("CHAPTER", "egop").split())
