"""The page a notebook writes: it opens with an experiment and ends with a sidecar.

A chapter's notebook sets parameters, opens its page, then alternates sentences, figures and
claims::

    page = chapter.open(egop, globals(), findings.CLAIMS)
    page.claims()
    page.figure(fig, "spectrum", caption="...", alt="...", data=table)
    page.claim("d4-1-a")
    page.end()

Under the runner the environment's HDNOTES_PAGE names the folder of the book, and what is displayed
is MyST with links to the files written there. Anywhere else (a person's papermill or Jupyter) the
same notebook shows its figures inline and writes no file of the book.
"""

import json
import os
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from io import StringIO
from pathlib import Path
from tempfile import TemporaryDirectory
from textwrap import dedent
from typing import Any

import matplotlib.pyplot as plt
import pandas as pd
from IPython.display import Video, display
from matplotlib.figure import Figure

from hdnotes import devices
from hdnotes.claims import Claim
from hdnotes.experiments import parameters
from hdnotes.page import markup, movies, style
from hdnotes.store.store import Store
from hdnotes.store.sweep import Results, sweep
from hdnotes.wording import number

__all__ = ["Page", "number", "open"]

MADE = {"class-container": "hd-made"}

PLAIN = (bool, int, float, str, list, tuple, dict)
"""Types a notebook's parameter has; a variable that is None or of another type is not given."""


def open(experiment: Any, namespace: Mapping[str, Any], claims: Sequence[Claim] = ()) -> "Page":
    """Resolve the parameters given in a notebook, load or compute the results, return the page.

    Parameters
    ----------
    experiment
        The chapter's experiment module.
    namespace
        The notebook's ``globals()``. Every plain variable set so far is a parameter given by
        hand; ``None`` leaves it to the profile. ``profile`` and ``device`` say how to compute.
    claims
        What the chapter puts to the test.

    Raises
    ------
    ParameterError
        If a name is unknown, a value is not allowed or the sizes do not fit into memory.
    """
    style.use()
    given = _given(namespace)
    profile, device = given.pop("profile", "quick"), given.pop("device", "auto")
    resolved = parameters.resolve(experiment, profile, given, check_memory=False)
    try:
        device = devices.resolve(device)
    except ValueError as error:
        raise parameters.ParameterError(str(error)) from None
    chosen = given or {"profile": profile}
    results = sweep(
        experiment,
        experiment.cells(resolved),
        Store.of(experiment.NAME),
        device=device,
        before=lambda: parameters.require_memory(experiment, resolved, chosen, device),
    )
    folder = os.environ.get("HDNOTES_PAGE")
    where = Path(folder) if folder else None
    return Page(experiment, resolved, profile, given, results, claims, where)


@dataclass
class Page:
    """A chapter's page in the making.

    Parameters
    ----------
    experiment
        The chapter's experiment module.
    parameters
        What it ran with, resolved.
    profile
        The profile's name.
    given
        The parameters that were given by hand.
    results
        Tables and manifests.
    claimed
        What the chapter puts to the test.
    folder
        The book's folder, or None where no page is written.
    """

    experiment: Any
    parameters: Any
    profile: str
    given: Mapping[str, Any]
    results: Results
    claimed: Sequence[Claim]
    folder: Path | None
    _shown: set[str] = field(default_factory=set)

    @cached_property
    def verdicts(self) -> list[dict[str, str]]:
        """Every claim of the chapter with its verdict on these results."""
        return [
            {"id": claim.id, "sentence": claim.sentence, "source": claim.source}
            | asdict(claim.test(self.results))
            for claim in self.claimed
        ]

    @cached_property
    def record(self) -> dict[str, Any]:
        """What the sidecar keeps: how the chapter was made, and what it found."""
        made = pd.DataFrame(self.results.manifests)
        several = {
            key: ", ".join(sorted(made[key].astype(str).unique()))
            for key in ("device", "device_name", "commit", "torch")
        }
        return {
            "chapter": self.experiment.NAME,
            "title": self.experiment.TITLE,
            "profile": self.profile,
            **several,
            "wall_time_s": round(float(made["wall_time_s"].sum()), 3),
            "peak_memory_bytes": int(made["peak_memory_bytes"].max()),
            "date": made["date"].max(),
            "seeds": sorted(made["seed"].unique()),
            "stale": self.results.stale,
            "parameters": {
                name: parameters.NONE if value is None else value
                for name, value in asdict(self.parameters).items()
            },
            "command": self.command,
            "claims": self.verdicts,
        }

    @property
    def command(self) -> str:
        """The one command that makes this page again."""
        words = ["hdnotes", "run", self.experiment.NAME, "--profile", self.profile]
        for name, value in self.given.items():
            words += ["-p", name, str(value)]
        return shlex.join(words)

    def text(self, markdown: str) -> None:
        """Show Markdown whose numbers come from the results (an f-string, usually)."""
        display({"text/markdown": dedent(markdown).strip()}, raw=True)

    def claims(self) -> None:
        """Show the table of the chapter's claims and verdicts."""
        self._block("div", "hd-claims", {}, markup.claims(self.verdicts))

    def claim(self, name: str) -> None:
        """Show one claim, with its verdict and evidence.

        Raises
        ------
        ValueError
            If the chapter has no such claim.
        """
        found = {row["id"]: row for row in self.verdicts}
        if name not in found:
            raise ValueError(f"claim = {name!r} is not one of the chapter's: {', '.join(found)}")
        self._shown.add(name)
        row = found[name]
        title = f"Claim {name} {markup.badge(row['verdict'])}"
        body = f"{row['sentence']} *({row['source']})*\n\n{row['evidence']}"
        options = {"class": f"hd-claim hd-{row['verdict']}", "name": f"claim-{name}"}
        self._block("admonition", title, options, body)

    def figure(self, fig: Figure, name: str, *, caption: str, alt: str, data: pd.DataFrame) -> None:
        """Show a figure with its caption and, on the page, its data and how it was made.

        Parameters
        ----------
        fig
            The drawing.
        name
            Name of its files; the page refers to it as ``{numref}`chapter-name```.
        caption
            Markdown: what is shown, units, number of trials, what the bands are.
        alt
            What the curves do, for a reader who cannot see them.
        data
            The numbers drawn. Columns with one value throughout are left out of the files.
        """
        plt.close(fig)  # or Jupyter shows it a second time
        _require_words(f"figure {name!r}", caption=caption, alt=alt)
        if self.folder is None:
            picture = StringIO()
            style.svg(fig, picture, transparent=False)
            display({"image/svg+xml": picture.getvalue(), "text/plain": alt}, raw=True)
            return self.text(caption)
        style.svg(fig, self._files / f"{name}.svg")
        self._picture(f"{name}.svg", caption, alt, data)

    def movie(
        self, movie: movies.Movie, name: str, *, caption: str, alt: str, data: pd.DataFrame
    ) -> None:
        """Show a movie as `figure` shows a figure: numbered, with its poster, data and card.

        Parameters
        ----------
        movie
            The drawing and what moves it.
        name, caption, alt, data
            As in `figure`; the page refers to it in the same way.
        """
        plt.close(movie.figure)
        _require_words(f"movie {name!r}", caption=caption, alt=alt)
        if self.folder is None:
            with TemporaryDirectory() as folder:
                path = Path(folder) / "movie.mp4"
                movies.write(movie, path)
                settings = {"embed": True, "mimetype": "video/mp4", "html_attributes": "controls"}
                shown = Video(path.read_bytes(), width=560, **settings)
            display({"text/html": shown._repr_html_(), "text/plain": alt}, raw=True)
            return self.text(caption)
        movies.write(movie, self._files / f"{name}.mp4")
        self._picture(f"{name}.png", caption, alt, data)

    def end(self) -> None:
        """Show how the chapter was made and, on the page, write its sidecar.

        Raises
        ------
        ValueError
            If a claim of the chapter was never shown beside its figure.
        """
        hidden = [row["id"] for row in self.verdicts if row["id"] not in self._shown]
        if hidden:
            raise ValueError(f"claims never shown on the page: {', '.join(hidden)}")
        rows = [
            (f"`{name}`", f"`{self.record['parameters'][name]}`", f"`{default}`", unit, text)
            for name, default, unit, _, text in parameters.describe(self.experiment)
        ]
        settings = markup.table(["Parameter", "Value", "Default", "Unit", "What it is"], rows)
        body = f"{settings}\n\n{markup.card(self.record)}"
        self._block("dropdown", "How this chapter was made", MADE, body)
        if self.folder is not None:
            path = self.folder / "sections" / f"{self.experiment.NAME}.json"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps(self.record, indent=1, ensure_ascii=False) + "\n")

    @property
    def _files(self) -> Path:
        """The folder of the page's files."""
        assert self.folder is not None
        path = self.folder / "figures" / self.experiment.NAME
        path.mkdir(parents=True, exist_ok=True)
        return path

    def _picture(self, file: str, caption: str, alt: str, data: pd.DataFrame) -> None:
        """Write the data of a picture that lies in the book, and show both there."""
        path, chapter = self._files / file, self.experiment.NAME
        drawn = data.loc[:, data.nunique(dropna=False) > 1]  # what never varies is in the card
        drawn.to_csv(path.with_suffix(".csv"), index=False, float_format="%.7g")
        drawn.to_parquet(path.with_suffix(".parquet"), index=False, compression="zstd")
        address = f"../figures/{chapter}/{path.stem}"
        moves = path.with_suffix(".mp4").is_file()
        kinds = {"MP4": ".mp4"} if moves else {}
        kinds |= {"CSV": ".csv", "Parquet": ".parquet"}
        links = " · ".join(f"{{download}}`{kind} <{address}{end}>`" for kind, end in kinds.items())
        mark = f" · {markup.stale()}" if self.record["stale"] else ""
        title = f"How this {'movie' if moves else 'figure'} was made"
        options = {"name": f"{chapter}-{path.stem}", "alt": alt, "class": "dark-light hd-figure"}
        parts = [
            markup.block(
                "figure", f"../figures/{chapter}/{file}", options, dedent(caption).strip()
            ),
            markup.block("div", "hd-data", {}, f"Data: {links}{mark}"),
            markup.block("dropdown", title, MADE, markup.card(self.record)),
        ]
        self.text("\n\n".join(parts))

    def _block(self, directive: str, argument: str, options: Mapping[str, str], body: str) -> None:
        """Show a directive on the page, and only what it holds in a plain notebook."""
        if self.folder is None:
            title = "" if directive == "div" else f"**{argument}**\n\n"
            self.text(title + body)
        else:
            self.text(markup.block(directive, argument, options, body))


def _require_words(what: str, **words: str) -> None:
    for name, text in words.items():
        if not text.strip():
            raise ValueError(f"{name} of {what} is empty; every picture needs one")


def _given(namespace: Mapping[str, Any]) -> dict[str, Any]:
    """Return the notebook's own variables that are set and plain: its parameters."""
    return {
        name: value
        for name, value in namespace.items()
        if isinstance(value, PLAIN)
        and not name.startswith("_")
        and name not in ("In", "Out")  # Jupyter's
    }
