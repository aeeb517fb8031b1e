"""A cell prices a chapter's own cells."""

from hdnotes.experiments import costs, egop_convex
from hdnotes.experiments.parameters import resolve


def test_every_chapter_but_this_one_is_priced_at_the_sources_sizes():
    p = resolve(costs, "paper")
    assert "costs" not in p.chapters
    assert {"egop", "phase_retrieval"} < set(p.chapters)
    assert costs.cells(p)[0] == {"chapter": p.chapters[0], "at": "paper"}


def test_memory_is_that_of_the_hungriest_chapter():
    p = resolve(costs, "quick", {"chapters": ["egop_convex", "egop_images"]})
    alone = [resolve(costs, "quick", {"chapters": [name]}) for name in p.chapters]
    assert costs.memory(p) == max(map(costs.memory, alone)) > 0


def test_a_chapter_is_rehearsed_cell_by_cell():
    (cell,) = costs.cells(resolve(costs, "smoke"))
    table = costs.run(cell, "cpu")["kinds"]
    assert table.cells.sum() == len(egop_convex.cells(resolve(egop_convex, "smoke")))
    assert (table[["seconds", "flops", "memory_bytes"]] > 0).all(axis=None)
