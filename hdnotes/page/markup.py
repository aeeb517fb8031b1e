"""What a page says, as MyST Markdown: numbers, verdicts, tables, cards, figures.

Pure functions from values to text. They know of no notebook and no file, so that the scorecard,
which is written where there is no torch, and the chapters speak with one voice.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from hdnotes.wording import duration, in_bytes

SYMBOLS = {"holds": "✓", "partly": "◐", "fails": "✗", "undecided": "?"}
"""The four verdicts, each with the symbol that says it without colour."""


def badge(verdict: str) -> str:
    """Return a verdict as symbol, word and (by its class) colour.

    Examples
    --------
    >>> badge("holds")
    '<span class="hd-verdict hd-holds">✓ holds</span>'
    """
    return f'<span class="hd-verdict hd-{verdict}">{SYMBOLS[verdict]} {verdict}</span>'


def stale() -> str:
    """Return the mark of a result that outlived the code that made it."""
    return '<span class="hd-verdict hd-stale">stale</span> computed by code that has changed since'


def flat(text: str) -> str:
    """Return the text on one line, as a table's cell or a directive's option needs it."""
    return " ".join(text.split())


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    r"""Return a Markdown table.

    Examples
    --------
    >>> print(table(["a", "b"], [["1", "|x|"]]))
    | a | b |
    | --- | --- |
    | 1 | \|x\| |
    """
    lines = [[flat(cell).replace("|", r"\|") for cell in row] for row in [header, *rows]]
    lines.insert(1, ["---"] * len(header))
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def block(directive: str, argument: str, options: Mapping[str, str], body: str) -> str:
    """Return a MyST directive, fenced wide enough to hold the directives of its body.

    Examples
    --------
    >>> print(block("figure", "a.svg", {"alt": "a line"}, "A line."))
    :::{figure} a.svg
    :alt: a line
    <BLANKLINE>
    A line.
    :::
    """
    fence = ":::"
    while fence in body:
        fence += ":"
    given = [f":{name}: {flat(value)}".rstrip() for name, value in options.items()]
    return "\n".join([f"{fence}{{{directive}}} {argument}".rstrip(), *given, "", body, fence])


def claims(rows: Iterable[Mapping[str, str]]) -> str:
    """Return the table of claims: what is said and where, the verdict and its evidence.

    Parameters
    ----------
    rows
        As in a sidecar: ``id``, ``sentence``, ``source``, ``verdict``, ``evidence``.
    """
    return table(
        ["Claim", "Verdict and evidence"],
        (
            (
                f"[{row['id']}](#claim-{row['id']}) {row['sentence']} *({row['source']})*",
                f"{badge(row['verdict'])} {row['evidence']}",
            )
            for row in rows
        ),
    )


def card(record: Mapping[str, Any]) -> str:
    """Return the table that says how something was made, from a chapter's sidecar."""
    settings = ", ".join(f"{name} = {value}" for name, value in record["parameters"].items())
    facts = {
        "Make it again": f"`{record['command']}`",
        "Profile": record["profile"],
        "Parameters": f"`{settings}`",
        "Seeds": f"named by the cell, {len(record['seeds'])} cells: `{record['seeds'][0]}`, ...",
        "Computed on": f"{record['device']} ({record['device_name']}), torch {record['torch']}",
        "Wall time": duration(record["wall_time_s"]),
        "Peak memory": in_bytes(record["peak_memory_bytes"]),
        "Date": record["date"][:10],
        "Commit": f"`{record['commit']}`",
        "State": stale() if record["stale"] else "fresh",
    }
    return table(["Chapter", record["title"]], facts.items())
