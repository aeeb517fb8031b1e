"""Running a chapter: its results first, then its notebook, then its place in the book.

`compute` needs torch and the store; `run` executes the notebook through papermill besides, which
then only reads and draws. A page is put into the book whole, after its last cell has succeeded:
a notebook that fails leaves the page, the figures and the sidecar of before.
"""

import json
import math
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd

from hdnotes import devices
from hdnotes.experiments import catalogue, parameters
from hdnotes.store import files, rehearsal, store
from hdnotes.store.merge import Merged
from hdnotes.store.merge import merge as merged
from hdnotes.store.store import Store
from hdnotes.store.sweep import (
    MissingResults,
    Results,
    cell_key,
    load,
    source_of,
    sweep,
    unfinished,
)

VERDICTS = ("holds", "partly", "fails", "undecided")
#: Profiles that a page is drawn at unasked, the richest first; `smoke` is not for readers.
DRAWN = ("paper", "quick")


class NotebookError(RuntimeError):
    """A chapter's notebook stopped; the sentence says in which cell and why."""


@dataclass(frozen=True)
class Layout:
    """Where the chapters' sources, pages and results lie."""

    notebooks: Path
    book: Path
    results: Path

    @classmethod
    def default(cls) -> "Layout":
        """Return the folders of this project, results where `HDNOTES_RESULTS` says."""
        project = store.project()
        return cls(project / "notebooks", project / "book", store.root())

    def store(self, name: str) -> Store:
        """Return a chapter's store."""
        return Store(self.results / name)

    def page(self, name: str) -> Path:
        """Return where a chapter's executed notebook lies."""
        return self.book / "sections" / f"{name}.ipynb"

    def sidecar(self, name: str) -> Path:
        """Return where a page's record of itself lies."""
        return self.page(name).with_suffix(".json")


def compute(
    name: str,
    profile: str = "quick",
    given: Mapping[str, Any] | None = None,
    device: str = "auto",
    refresh: bool = False,
    layout: Layout | None = None,
    scheduler: str | None = None,
) -> Results:
    """Compute what a chapter's results lack, and fold them.

    Parameters
    ----------
    name
        The chapter.
    profile, given
        Its parameters, as `hdnotes.experiments.parameters.resolve` takes them.
    device
        "auto", "cpu" or "cuda".
    refresh
        Compute stale results too.
    layout
        Where results lie; this project's folders by default.
    scheduler
        Address of a Dask scheduler whose workers compute; by default this process does.

    Raises
    ------
    ValueError
        If the chapter, a parameter or the device cannot be used; nothing is written.
    StoreError
        If a result cannot be written; finished ones are kept.
    """
    experiment = catalogue.load(name)
    resolved = parameters.resolve(experiment, profile, given, check_memory=False)
    place, cells = (layout or Layout.default()).store(name), experiment.cells(resolved)
    if scheduler:  # each worker chooses its device, and its own memory binds it
        results = sweep(
            experiment, cells, place, device=device, refresh=refresh, scheduler=scheduler
        )
    else:
        device = devices.resolve(device)
        chosen = given or {"profile": profile}
        fits = partial(parameters.require_memory, experiment, resolved, chosen, device)
        results = sweep(experiment, cells, place, device=device, refresh=refresh, before=fits)
    place.fold([cell_key(experiment, cell) for cell in cells])
    return results


def estimate(
    name: str,
    profile: str = "quick",
    given: Mapping[str, Any] | None = None,
    device: str = "auto",
    refresh: bool = False,
    layout: Layout | None = None,
) -> pd.DataFrame:
    """Return what `compute` would take on this machine, and write nothing.

    Takes and refuses what `compute` does.

    Returns
    -------
    DataFrame
        As `hdnotes.store.rehearsal.estimate` gives it, for the cells that lack a result.
    """
    experiment, device = catalogue.load(name), devices.resolve(device)
    resolved = parameters.resolve(experiment, profile, given, check_memory=False)
    place = (layout or Layout.default()).store(name)
    cells = unfinished(experiment, experiment.cells(resolved), place, refresh=refresh)
    if cells:
        parameters.require_memory(experiment, resolved, given or {"profile": profile}, device)
    return rehearsal.estimate(experiment, cells, device)


def run(
    name: str,
    profile: str = "quick",
    given: Mapping[str, Any] | None = None,
    device: str = "auto",
    refresh: bool = False,
    layout: Layout | None = None,
    scheduler: str | None = None,
) -> Path:
    """Compute a chapter, execute its notebook and put the page into the book.

    Takes and refuses what `compute` does.

    Returns
    -------
    Path
        The page.

    Raises
    ------
    NotebookError
        If the notebook stops; the page of before stays.
    """
    layout = layout or Layout.default()
    source = layout.notebooks / f"{name}.ipynb"
    if name in catalogue.names() and not source.is_file():
        raise ValueError(f"chapter {name} has no notebook: {source} is missing.")
    compute(name, profile, given, device, refresh, layout, scheduler)
    build = layout.book / "_build"
    build.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="page-", dir=build) as folder:
        new = Layout(layout.notebooks, Path(folder), layout.results)
        chosen = {"profile": profile, "device": device, **(given or {})}
        _execute(name, chosen, new)

        from hdnotes.page import scorecard

        with files.lock(layout.book / ".lock"):
            _publish(name, new, layout)
            scorecard.write(layout.book)
    return layout.page(name)


def merge(
    folder: Path, replace: bool = False, layout: Layout | None = None
) -> Iterator[tuple[str, Merged]]:
    """Take over the results of every chapter that lie in another folder of results.

    Parameters
    ----------
    folder
        Where another machine wrote: a copy of its `results/`, or of what it calls
        `HDNOTES_RESULTS`.
    replace
        Whether theirs take the place of ours where rows differ.
    layout
        Where ours lie.

    Yields
    ------
    tuple of str and Merged
        Each chapter that has results there, and what was met.

    Raises
    ------
    ValueError
        If the folder holds no results of a chapter.
    StoreError
        If a result cannot be written.
    """
    chapters = [name for name in catalogue.names() if (folder / name).is_dir()]
    if not chapters:
        raise ValueError(f"there are no results of a chapter in {folder}.")
    for name in chapters:
        ours, current = (layout or Layout.default()).store(name), partial(source, name)
        yield name, merged(ours, Store(folder / name), replace=replace, current=current)


def source(name: str, cell: Mapping[str, Any]) -> str:
    """Return the fingerprint of the code behind a chapter's cell as it is now; empty if none is."""
    experiment = catalogue.load(name)
    runs = getattr(experiment, "RUNS", None)
    return source_of(experiment, cell) if not runs or cell.get("kind") in runs else ""


def missing_pages(layout: Layout) -> list[tuple[str, str]]:
    """List the chapters without a page, each with the profile to draw it at.

    The profile is the richest whose results are all in the store, and `quick` where none is.
    """
    missing = []
    for name in catalogue.names():
        if _record(name, layout) is None:
            experiment = catalogue.load(name)
            drawn = [profile for profile in DRAWN if _stored(experiment, profile, {}, layout)]
            missing.append((name, [*drawn, "quick"][0]))
    return missing


def status(layout: Layout) -> list[dict[str, Any]]:
    """Describe every chapter, in the form that `hdnotes status --json` writes.

    Where there is a page it is that of the page; else of the richest profile in the store.
    """
    return [_status(name, layout) for name in catalogue.names()]


def site(layout: Layout) -> Path:
    """Build the site if anything it is made from has changed.

    Returns
    -------
    Path
        Its first page.

    Raises
    ------
    subprocess.CalledProcessError
        If the build fails or warns.
    """
    index, stamp = layout.book / "_build/html/index.html", layout.book / "_build/complete"
    if index.is_file() and stamp.is_file() and _newest(layout.book) < stamp.stat().st_mtime:
        return index
    stamp.parent.mkdir(exist_ok=True)
    stamp.unlink(missing_ok=True)
    start = time.time()
    command = [str(Path(sys.executable).with_name("jupyter-book")), "build"]
    subprocess.run([*command, "-n", "-W", "--keep-going", str(layout.book)], check=True)
    stamp.touch()
    os.utime(stamp, (start, start))  # what changed during the build is newer
    return index


def clean(layout: Layout, results: bool = False) -> None:
    """Remove the built site and, if asked to, the results that nothing refers to.

    Parameters
    ----------
    layout
        Where everything lies.
    results
        Drop results, too, that neither a profile nor the chapter's page asks for.
    """
    shutil.rmtree(layout.book / "_build", ignore_errors=True)
    for name in catalogue.names() if results else []:
        experiment, page = catalogue.load(name), _record(name, layout)
        cells = [cell for profile in experiment.PROFILES for cell in _cells(experiment, profile)]
        if page is None and layout.page(name).is_file():
            raise ValueError(f"{layout.sidecar(name)} cannot be read, so the page's results stay.")
        if page:
            try:
                cells += _cells(experiment, page["profile"], page["parameters"])
            except parameters.ParameterError as error:
                raise ValueError(
                    f"{layout.page(name)} was made with other parameters than there are now, so "
                    f"results stay: {error}"
                ) from error
        layout.store(name).keep({cell_key(experiment, cell) for cell in cells})


def _execute(name: str, chosen: Mapping[str, Any], layout: Layout) -> None:
    """Execute a notebook into a layout and clean what it leaves."""
    import papermill
    from papermill.exceptions import PapermillExecutionError

    source, page = layout.notebooks / f"{name}.ipynb", layout.page(name)
    page.parent.mkdir(parents=True)
    places = {"HDNOTES_PAGE": str(layout.book), "HDNOTES_RESULTS": str(layout.results)}
    with _environment(places):
        try:
            papermill.execute_notebook(
                str(source),
                str(page),
                parameters=dict(chosen),
                cwd=str(layout.notebooks),
                extra_arguments=["--log-level=CRITICAL"],
            )
        except PapermillExecutionError as error:
            reason = error.evalue.strip().splitlines() or ["no reason given"]
            raise NotebookError(
                f"notebook {name} stopped in cell {error.cell_index}, {error.ename}: {reason[0]}"
            ) from error
    text = json.dumps(_cleaned(json.loads(page.read_text("utf-8"))), indent=1, ensure_ascii=False)
    for folder in (layout.book, layout.notebooks.parent):
        text = text.replace(f"{folder}/", "")
    page.write_text(f"{text}\n", "utf-8")


def _cleaned(notebook: dict[str, Any]) -> dict[str, Any]:
    """Drop what differs between two executions that show the same."""
    notebook["metadata"].pop("papermill", None)
    notebook["metadata"].get("language_info", {}).pop("version", None)
    for cell in notebook["cells"]:
        for key in ("papermill", "execution"):
            cell["metadata"].pop(key, None)
        if cell["cell_type"] != "code":
            continue
        if "injected-parameters" in cell["metadata"].get("tags", []):
            cell["id"] = "injected-parameters"
            cell["metadata"]["tags"].append("hide-input")
        cell["execution_count"] = None
        cell["outputs"] = [out for out in cell["outputs"] if out.get("name") != "stderr"]
        for out in cell["outputs"]:
            if "execution_count" in out:
                out["execution_count"] = None
    return notebook


def _publish(name: str, new: Layout, layout: Layout) -> None:
    """Move a page, its sidecar and its figures into the book.

    The page goes first and comes last: killed in between, the chapter counts as having no page.
    """
    layout.page(name).parent.mkdir(parents=True, exist_ok=True)
    figures = layout.book / "figures" / name
    figures.parent.mkdir(parents=True, exist_ok=True)
    layout.page(name).unlink(missing_ok=True)
    layout.sidecar(name).unlink(missing_ok=True)
    shutil.rmtree(figures, ignore_errors=True)
    if (new.book / "figures" / name).is_dir():
        (new.book / "figures" / name).rename(figures)
    if new.sidecar(name).is_file():
        new.sidecar(name).rename(layout.sidecar(name))
    new.page(name).rename(layout.page(name))


def _status(name: str, layout: Layout) -> dict[str, Any]:
    experiment, page = catalogue.load(name), _record(name, layout)
    verdicts = [claim["verdict"] for claim in page["claims"]] if page else []
    row = dict[str, Any](name=name, profile=None, device=None, state="missing")
    row["claims"] = {verdict: verdicts.count(verdict) for verdict in VERDICTS}
    row["wall_time_s"] = None
    asked: list[tuple[str, dict]] = [(one, {}) for one in reversed(experiment.PROFILES)]
    if page:
        row |= {key: page[key] for key in ("profile", "device", "wall_time_s")}
        asked = [(page["profile"], page["parameters"])]
    for profile, given in asked:
        if results := _stored(experiment, profile, given, layout):
            drawn = page is None or _is_of(page, results)
            row["state"] = "fresh" if drawn and not results.stale else "stale"
            device = results.manifests[0]["device"]
            return {**row, "profile": profile, "device": device, "wall_time_s": results.wall_time_s}
    return row


def _is_of(page: Mapping[str, Any], results: Results) -> bool:
    """Tell whether a page was drawn from these results, by code that was theirs."""
    made = [manifest["date"] for manifest in results.manifests]
    same = page["date"] == max(made) and math.isclose(page["wall_time_s"], results.wall_time_s)
    return same and not page["stale"]


def _record(name: str, layout: Layout) -> dict[str, Any] | None:
    """Read a page's sidecar; `None` if there is no page, or none that can be read."""
    try:
        return (
            json.loads(layout.sidecar(name).read_text("utf-8"))
            if layout.page(name).is_file()
            else None
        )
    except (FileNotFoundError, ValueError):
        return None


def _cells(
    experiment: Any, profile: str, given: Mapping[str, Any] | None = None
) -> list[dict[str, Any]]:
    resolved = parameters.resolve(experiment, profile, given, check_memory=False)
    return experiment.cells(resolved)


def _stored(
    experiment: Any, profile: str, given: Mapping[str, Any], layout: Layout
) -> Results | None:
    """Load the results of these parameters; `None` if they are not all there, or not allowed."""
    try:
        cells = _cells(experiment, profile, given)
        return load(experiment, cells, layout.store(experiment.NAME))
    except (parameters.ParameterError, MissingResults):
        return None


def _newest(book: Path) -> float:
    """Return when the latest change to the site's sources was, removals included."""
    paths = [path for path in book.glob("*") if path.name != "_build"]
    inner = [path for folder in paths for path in folder.rglob("*")]
    return max(path.stat().st_mtime for path in [book, *paths, *inner])


@contextmanager
def _environment(variables: Mapping[str, str]) -> Iterator[None]:
    """Set environment variables, which a notebook's kernel inherits, for a while."""
    before = dict(os.environ)
    os.environ.update(variables)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)
