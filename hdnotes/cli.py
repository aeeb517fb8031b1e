"""The command line: compute chapters, run them into the book, say what state they are in.

What goes wrong is one sentence on standard error and exit code 2; Ctrl-C is exit code 130 and
keeps what is finished. Nothing heavy is imported before the command is known.
"""

import argparse
import json
import re
import subprocess
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hdnotes.experiments import catalogue

_NOTES = """\
profiles:
  smoke  seconds a chapter, to see that everything works
  quick  the default: minutes (half an hour for the longest), small but showing the effect
  paper  the source's own sizes, seeds and epochs; meant for a GPU, resumable
"""
_HINT = "Name a chapter before --help to see its parameters: units, ranges, and their values."


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return its exit code."""
    words = sys.argv[1:] if arguments is None else list(arguments)
    parser = _parser(_epilog(words))
    options = parser.parse_args(words)
    with warnings.catch_warnings():
        warnings.showwarning = _show_warning
        try:
            return _COMMANDS[options.command](options)
        except KeyboardInterrupt:
            return _say("interrupted: what is finished is kept, the same command goes on.", 130)
        except subprocess.CalledProcessError as error:
            return _say(f"{error.cmd[0]} failed with exit code {error.returncode}.")
        except Exception as error:
            if options.traceback or not _is_expected(error):
                raise
            return _say(str(error))


def _compute(options: argparse.Namespace) -> int:
    from hdnotes import runner

    if options.dry_run:
        return _dry_run(options, [(name, options.profile) for name in _chapters(options)])
    for name in _chapters(options):
        runner.compute(
            name,
            options.profile,
            _given(options),
            options.device,
            options.refresh,
            scheduler=options.scheduler,
        )
    return 0


def _run(options: argparse.Namespace) -> int:
    from hdnotes import runner

    layout, names = runner.Layout.default(), _chapters(options)
    jobs = [(name, options.profile) for name in names]
    if options.missing:
        jobs = [job for job in runner.missing_pages(layout) if job[0] in names]
        _tell_stale(runner.status(layout))
    if options.dry_run:
        return _dry_run(options, jobs)
    for name, profile in jobs:
        page = runner.run(
            name,
            profile,
            _given(options),
            options.device,
            options.refresh,
            scheduler=options.scheduler,
        )
        print(f"{name}: {page}")
    return 0


def _tell_stale(rows: Sequence[dict[str, Any]]) -> None:
    """Name the pages that are kept although their results, or the code behind them, are others."""
    stale = [row["name"] for row in rows if row["state"] == "stale"]
    if stale:
        _say(f"stale and left as they are: {', '.join(stale)}; `hdnotes run --refresh` mends them.")


def _dry_run(options: argparse.Namespace, jobs: Sequence[tuple[str, str]]) -> int:
    from hdnotes import runner
    from hdnotes.wording import duration, in_bytes

    rows = []
    for name, profile in jobs:
        costs = runner.estimate(name, profile, _given(options), options.device, options.refresh)
        for cost in costs.itertuples():
            work = (duration(cost.seconds), f"{cost.flops:.1e}", in_bytes(cost.memory_bytes))
            rows.append((name, cost.kind, str(cost.cells), *work))
        rows.append((name, "all", str(costs.cells.sum()), duration(costs.seconds.sum()), "", ""))
    _print_table([("chapter", "kind", "cells", "time", "flop", "memory"), *rows])
    return 0


def _status(options: argparse.Namespace) -> int:
    from hdnotes import runner

    rows = runner.status(runner.Layout.default())
    if options.json:
        print(json.dumps({"chapters": rows}, indent=1))
        return 0
    heads = ("chapter", "state", "profile", "device", *runner.VERDICTS, "wall time")
    table = [heads] + [
        (
            row["name"],
            row["state"],
            row["profile"] or "-",
            row["device"] or "-",
            *(str(row["claims"][verdict]) for verdict in runner.VERDICTS),
            "-" if row["wall_time_s"] is None else f"{row['wall_time_s']:.0f} s",
        )
        for row in rows
    ]
    _print_table(table)
    return 0


def _print_table(lines: Sequence[Sequence[str]]) -> None:
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        print("  ".join(map(str.ljust, line, widths)).rstrip())


def _merge(options: argparse.Namespace) -> int:
    from hdnotes import runner

    conflicts = 0
    for name, found in runner.merge(options.folder, options.replace):
        renewed = f" ({len(found.renewed)} now by the code of today)" * bool(found.renewed)
        known = f"{len(found.same)} were here{renewed}"
        taken = "replaced" if options.replace else "kept as they are here"
        differ = f", {len(found.conflicts)} with other rows {taken}" * bool(found.conflicts)
        print(f"{name}: {len(found.added)} cells added, {known}{differ}")
        conflicts += len(found.conflicts)
    if conflicts and not options.replace:
        return _say(f"{conflicts} cells differ and stay as they are; --replace takes the others.")
    return 0


def _clean(options: argparse.Namespace) -> int:
    from hdnotes import runner

    runner.clean(runner.Layout.default(), options.results)
    return 0


def _site(options: argparse.Namespace) -> int:
    from hdnotes import runner

    print(f"The book is at {runner.site(runner.Layout.default()).as_uri()}")
    return 0


_COMMANDS = {
    "run": _run,
    "compute": _compute,
    "merge": _merge,
    "status": _status,
    "clean": _clean,
    "site": _site,
}


def _parser(epilog: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="hdnotes", description="Compute and draw the chapters of the book."
    )
    parser.add_argument(
        "--traceback", action="store_true", help="show where in the code an error arose"
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, text in [
        ("run", "compute chapters, execute their notebooks, put the pages into the book"),
        ("compute", "compute the results of chapters, without Jupyter"),
    ]:
        command = commands.add_parser(
            name,
            help=text,
            description=f"{text.capitalize()}. What is in the store is not computed again.",
            epilog=epilog,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        _add_computing(command)
        if name == "run":
            command.add_argument(
                "--missing",
                action="store_true",
                help="only chapters without a page, each at the richest profile in the store",
            )
    text = "take over results that another machine computed"
    command = commands.add_parser("merge", help=text, description=f"{text.capitalize()}.")
    command.add_argument("folder", type=Path, help="a copy of that machine's folder of results")
    command.add_argument(
        "--replace",
        action="store_true",
        help="take theirs where rows differ, and where only theirs are of the code that there is "
        "now; default: keep ours",
    )
    command = commands.add_parser("status", help="list the chapters and the state of their results")
    command.add_argument("--json", action="store_true", help="as JSON; wall times in seconds")
    command = commands.add_parser("clean", help="remove the built site")
    command.add_argument(
        "--results",
        action="store_true",
        help="drop results, too, that neither a profile nor a page asks for",
    )
    commands.add_parser("site", help="build the site, if anything has changed")
    return parser


def _add_computing(command: argparse.ArgumentParser) -> None:
    """Add what `run` and `compute` share."""
    command.add_argument("chapters", nargs="*", metavar="CHAPTER", help="which ones (default: all)")
    command.add_argument(
        "--profile",
        choices=("smoke", "quick", "paper"),
        default="quick",
        help="sizes to compute at (default: quick)",
    )
    command.add_argument(
        "--device",
        choices=("auto", "cpu", "cuda"),
        default="auto",
        help="where to compute (default: auto, which is cuda where there is a GPU, else cpu)",
    )
    command.add_argument(
        "--refresh", action="store_true", help="compute again what other code has made"
    )
    where = command.add_mutually_exclusive_group()
    where.add_argument(
        "--dry-run",
        action="store_true",
        help="say what is left to compute and what it will take here: time, flop of the matrix "
        "products, memory; found by running pieces of it, a tenth to a fifth of the whole",
    )
    where.add_argument(
        "--scheduler",
        metavar="ADDRESS",
        help="let the workers of a Dask cluster compute, as in tcp://host:8786",
    )
    command._negative_number_matcher = re.compile(r"-\.?\d")  # -1e3 is a value, too
    command.add_argument(
        "-p",
        nargs=2,
        action="append",
        default=[],
        metavar=("NAME", "VALUE"),
        dest="parameters",
        help="a parameter that overrides the profile's; may be repeated; a list as '[1, 2]'",
    )


def _epilog(words: Sequence[str]) -> str:
    """Describe the parameters of the chapters whose help is asked for."""
    asked = [word for word in words if word in catalogue.names()] if set(words) & _HELP else []
    return "\n".join([_NOTES, *(map(_describe, asked) if asked else [_HINT])])


_HELP = {"-h", "--help"}


def _describe(name: str) -> str:
    """Write a chapter's parameters: value at each profile, unit, what is allowed."""
    from hdnotes.experiments import parameters

    experiment = catalogue.load(name)
    lines = [f"parameters of {name} (smoke / quick / paper):"]
    for one in parameters.describe(experiment):
        values = [
            _plain(profile.get(one.name, one.default)) for profile in experiment.PROFILES.values()
        ]
        shown = " / ".join(values) if len(set(values)) > 1 else values[0]
        unit = f" {one.unit}" if one.unit else ""
        lines += [f"  {one.name} = {shown}{unit}", f"      {one.help}; {one.range}"]
    return "\n".join(lines)


def _plain(value: Any) -> str:
    return str(list(value)) if isinstance(value, tuple) else str(value)


def _chapters(options: argparse.Namespace) -> list[str]:
    """Return the chapters asked for; refuse them all before any is computed."""
    from hdnotes import devices
    from hdnotes.experiments import parameters
    from hdnotes.store import sweep

    names = options.chapters or catalogue.names()
    for name in names:
        experiment = catalogue.load(name)
        parameters.resolve(experiment, options.profile, _given(options), check_memory=False)
        sweep.remember(experiment)
    if not options.scheduler:
        devices.resolve(options.device)
    return names


def _given(options: argparse.Namespace) -> dict[str, Any]:
    return {name: _typed(value) for name, value in options.parameters}


def _typed(value: str) -> Any:
    """Read a value as papermill does: True, False, None, whole numbers, numbers, else text.

    Lists stay text, which `parameters` reads.

    Examples
    --------
    >>> [_typed(value) for value in ("1", "1e-3", "None", "adam", "[1, 2]")]
    [1, 0.001, None, 'adam', '[1, 2]']
    """
    words = {"True": True, "False": False, "None": None}
    if value in words:
        return words[value]
    for kind in (int, float):
        try:
            return kind(value)
        except ValueError:
            continue
    return value


def _is_expected(error: Exception) -> bool:
    """Tell what a person can mend from a fault in the code."""
    from hdnotes.runner import NotebookError
    from hdnotes.store.store import StoreError

    kinds = (ValueError, OSError, MemoryError, NotebookError, StoreError)
    return isinstance(error, kinds) or type(error).__name__ == "OutOfMemoryError"


def _say(sentence: str, code: int = 2) -> int:
    print(f"hdnotes: {sentence}", file=sys.stderr)
    return code


def _show_warning(message: Warning | str, *place: Any, **more: Any) -> None:
    print(f"hdnotes: {message}", file=sys.stderr)
