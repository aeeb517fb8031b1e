"""The scorecard and the machine page, made from the sidecars that chapters leave.

Needs nothing beyond the standard library, so that the two pages can be made again wherever the
book is read. The same sidecars give the same bytes.
"""

import json
import os
from collections import Counter
from collections.abc import Sequence
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Any

from hdnotes.page import markup

_SCORECARD = """\
# Scorecard

Every claim that the book has put to the test, with its verdict at the profile the chapter was last
run at. This page is made from the chapters' results; [](intro.md) says what the verdicts mean."""

_MACHINE = """\
# Where it was computed

The machine behind every chapter, as its results recorded it. Wall times are sums over the
chapter's cells, memory is the most that any cell held. This page is made from the results."""

_SPEED = """\
## How fast it is

What `make benchmark` measured last: a median over a few rounds, with its range. A ratio compares
two ways of the same work, taken in turn in one run, so that a busy machine slows both."""


def write(book: Path) -> None:
    """Write ``scorecard.md`` and ``machine.md`` from the sidecars of ``book/sections``.

    What benchmarks measured is taken from ``benchmarks.json``, if there is one.

    Parameters
    ----------
    book
        The book's folder.
    """
    found = records(book)
    _replace(Path(book) / "scorecard.md", scorecard(found))
    _replace(Path(book) / "machine.md", machine(found, speeds(book)))


def records(book: Path) -> list[dict[str, Any]]:
    """Return the sidecars in the order of the book, those that ``_toc.yml`` does not name last."""
    contents = Path(book) / "_toc.yml"
    order = contents.read_text(encoding="utf-8").split() if contents.exists() else []
    place = {word: k for k, word in enumerate(order)}
    paths = sorted((Path(book) / "sections").glob("*.json"))
    paths.sort(key=lambda path: place.get(f"sections/{path.stem}", len(place)))
    return [_read(path) for path in paths]


def _read(path: Path) -> dict[str, Any]:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path} is no JSON; draw its page again.") from error


def speeds(book: Path) -> list[dict[str, str]]:
    """Return what benchmarks measured last, a row each."""
    path = Path(book) / "benchmarks.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else []


def scorecard(records: Sequence[dict[str, Any]]) -> str:
    """Return the page of all claims."""
    parts = [_SCORECARD]
    rows = []
    for record in records:
        counts = Counter(claim["verdict"] for claim in record["claims"])
        rows.append([_link(record), *(str(counts[verdict]) for verdict in markup.SYMBOLS)])
    parts.append(markup.table(["Chapter", *map(markup.badge, markup.SYMBOLS)], rows))
    for record in records:
        parts.append(f"## {record['title']}")
        if record["stale"]:
            parts.append(markup.stale())
        parts.append(f"{_link(record)} at profile *{record['profile']}*.")
        parts.append(markup.block("div", "hd-claims", {}, markup.claims(record["claims"])))
    return "\n\n".join(parts) + "\n"


def machine(records: Sequence[dict[str, Any]], measured: Sequence[dict[str, str]] = ()) -> str:
    """Return the page of machines, times and commands, and of what benchmarks measured."""
    parts = [_MACHINE]
    if measured:
        parts.append(_SPEED)
    names = {"name": "What", "measured": "Measured", "target": "Target", "met": ""}
    where = itemgetter("machine", "date")
    for (machine, date), runs in groupby(sorted(measured, key=where), where):
        rows = [[one[name] for name in names] for one in runs]
        parts += [f"On one {machine}, {date}:", markup.table(list(names.values()), rows)]
    for record in records:
        parts.append(f"## {record['title']}")
        parts.append(markup.card(record))
    return "\n\n".join(parts) + "\n"


def _link(record: dict[str, Any]) -> str:
    return f"[{record['title']}](sections/{record['chapter']}.ipynb)"


def _replace(path: Path, text: str) -> None:
    new = path.with_suffix(".new")
    new.write_text(text, encoding="utf-8")
    os.replace(new, path)
