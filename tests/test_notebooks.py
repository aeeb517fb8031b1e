from pathlib import Path

import pytest

from hdnotes import runner
from hdnotes.experiments import catalogue
from hdnotes.runner import Layout


@pytest.mark.parametrize("name", catalogue.names())
def test_the_chapter_runs_from_parameters_to_page(name: str, tmp_path: Path) -> None:
    project = Layout.default()
    layout = Layout(project.notebooks, tmp_path / "book", tmp_path / "results")
    runner.run(name, "smoke", device="cpu", layout=layout)
    (row,) = [row for row in runner.status(layout) if row["name"] == name]
    assert (row["profile"], row["state"]) == ("smoke", "fresh")
    assert sum(row["claims"].values()) > 0
