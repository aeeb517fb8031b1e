"""Findings of the chapter `linear_networks`: identities as gaps, and what breaks them."""

from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd

from hdnotes.claims import Claim, Verdict, Word, above, below, mostly, quoted, together, within
from hdnotes.experiments.linear_networks import INNER, MINIMUM_RATES, OUTER, STARTS
from hdnotes.wording import number

#: An identity holds in float64 if no relative gap exceeds this.
EXACT = 1e-12
#: A Jacobian by differences is symmetric to about 1e-9.
SYMMETRIC = 1e-6
#: The Jacobian of a field that is no gradient is asymmetric by more than this.
TURNING = 0.01
#: A run has found the minimum if its loss is below this share of the loss where others stop.
FOUND = 1e-3
#: Of entries that were not learned at least this share of their norm is left.
UNTOUCHED = 0.9


def exact(gaps: Iterable[float], tolerance: float = EXACT) -> Word:
    """Say whether every gap is below the tolerance; one that is not a number is not.

    Examples
    --------
    >>> exact([1e-15, 3e-16]), exact([1e-15, 1e-3]), exact([float("nan")])
    ('holds', 'fails', 'fails')
    """
    return "holds" if all(gap < tolerance for gap in gaps) else "fails"


def network(depth: int) -> str:
    """Name a network of a depth."""
    return f"depth {depth}"


def named(table: pd.DataFrame) -> pd.DataFrame:
    """Return the table with each row's network by name."""
    return table.assign(network=table.depth.map(network))


# --- what is drawn --------------------------------------------------------------------------------


def starts(results: Any, loss: str = "squared") -> pd.DataFrame:
    """Return the gaps of one loss at balanced starts and at starts stretched out of balance."""
    table = results.table("instant")
    table = named(table[table.loss.eq(loss) & table.start.eq("stretched")])
    return table.assign(off=table.stretch - 1)


def loss_table(results: Any) -> pd.DataFrame:
    """Return the largest gap of each loss, from balanced starts and from Gaussian ones, as text."""
    table = results.table("instant")
    columns = {
        "balanced start": table[table.stretch.eq(1)],
        "Gaussian start": table[table.start.eq("Gaussian")],
    }
    found = {name: rows.groupby("loss", sort=False).gap.max() for name, rows in columns.items()}
    return pd.DataFrame(found).map(lambda gap: number(gap, 1))


def spectra(results: Any) -> pd.DataFrame:
    """Return the eigenvalues of the first draw over its largest, a row a depth and index."""
    table = named(results.table("spectrum"))
    table = table[table.trial.eq(0)]
    top = table.groupby("depth").predicted.transform("max")
    return table.assign(share=table.eigenvalue / top, predicted_share=table.predicted / top)


def asymmetry_table(results: Any) -> pd.DataFrame:
    """Return the median asymmetry, loss and outputs by depth, as text; 0 where it is rounding."""
    table = results.table("asymmetry")
    table = table[~(table.depth.eq(1) & table.loss.eq("linear"))]  # no Jacobian at all
    outputs = table.outputs.map(lambda count: "one output" if count == 1 else f"{count} outputs")
    table = table.assign(field=table.loss + ", " + outputs, network=table.depth.map(network))
    wide = table.pivot_table(
        index="field", columns="network", values="asymmetry", aggfunc="median", sort=False
    )
    columns = sorted(wide.columns)
    return wide[columns].map(
        lambda value: "none" if np.isnan(value) else "0" if value < SYMMETRIC else number(value)
    )


def searches(results: Any, rate: float) -> pd.DataFrame:
    """Return the deep runs that look for the minimum, a row a start and every other record."""
    table = named(results.table("minimum"))
    table = table[table.depth.gt(1) & np.isclose(table.rate, rate)]
    table = table[table["at"].isin(np.sort(table["at"].unique())[::2])]
    table = table.assign(share=table.loss / table.stuck_loss)
    return table[["network", "start", "trial", "at", "share"]]


def scalars(results: Any) -> pd.DataFrame:
    """Return the products of numbers, every fourth record."""
    table = named(results.table("scalar"))
    return table[table.time.isin(np.sort(table.time.unique())[::4])]


def ends(results: Any) -> pd.DataFrame:
    """Return the last row of each of these runs, with whether it found the minimum."""
    table = results.table("minimum")
    last = table[table["at"].eq(table.groupby("rate")["at"].transform("max"))]
    return last.assign(found=last.loss < FOUND * last.stuck_loss)


def found_table(results: Any) -> pd.DataFrame:
    """Return how many starts of each kind found the minimum, by depth and rate, as text."""
    table = ends(results)
    table = table.assign(run=[f"depth {r.depth}, rate {r.rate:g}" for r in table.itertuples()])
    counts = table.groupby(["run", "start"], sort=False).found.agg(["sum", "size"])
    text = counts["sum"].astype(str) + " of " + counts["size"].astype(str)
    return text.unstack().reindex(columns=list(STARTS))


def escapes(results: Any, depth: int) -> pd.Series:
    """Return when balanced starts with the wrong sign get below half the loss they stop at.

    A row a learning rate and trial; NaN where they never do.
    """
    table = results.table("minimum")
    table = table[table.depth.eq(depth) & table.start.eq(STARTS[1])]
    low = table[table.loss < table.stuck_loss / 2].groupby(["rate", "trial"])["at"].min()
    return low.reindex(table.groupby(["rate", "trial"])["at"].min().index)


def falls(results: Any, trial: int = 0) -> pd.DataFrame:
    """Return one run's loss over its first beside exp(-rate t), a row a depth and time."""
    table = named(results.table("rate"))
    table = table[table.trial.eq(trial)]
    first = table.groupby("depth").loss.transform("first")
    table = table.assign(share=table.loss / first, bound=np.exp(-table.guaranteed * table.time))
    kept = table.groupby("depth").cumcount() % 4 == 0
    return table[kept & table.share.gt(1e-20)]


def end_rates(results: Any) -> pd.DataFrame:
    """Return the measured rate of the fall at the end over 2 N sigma_min^(2-2/N), a row a run.

    Fitted where the loss is 1e-6 to 1e-20 of the first one.
    """
    rows = []
    for (depth, trial), run in results.table("rate").groupby(["depth", "trial"]):
        share = run.loss / run.loss.iloc[0]
        tail = share.between(1e-20, 1e-6)
        if tail.sum() > 2:
            slope = np.polyfit(run.time[tail], np.log(share[tail]), 1)[0]
            rows.append((depth, trial, -slope / run.at_the_end.iloc[0]))
    return pd.DataFrame(rows, columns=["depth", "trial", "ratio"])


def paths(results: Any, observed: float) -> pd.DataFrame:
    """Return the first draw's singular values by name, every other record."""
    table = results.table("paths")
    table = table[np.isclose(table.observed, observed)]
    table = table[table.groupby(["depth", "k"]).cumcount() % 2 == 0]
    value = table.k.map(lambda k: rf"$\sigma_{{{k}}}$")
    return table.assign(value=value)[["depth", "k", "value", "time", "singular_value", "predicted"]]


def rise_words(table: pd.DataFrame, observed: float) -> str:
    """Say how the singular values of `paths` rise, at the depths there are."""
    depths = set(table.depth)
    at_one = "At depth 1 all singular values rise at once"
    at_one += ", and the last, which should be zero, with them." if observed < 1 else "."
    told = [at_one if 1 in depths else "Singular values rise."]
    if len(depths) > 1:
        told.append(
            "The deeper the network, the more they rise one after the other and in sudden steps."
        )
    return " ".join([*told, "Dashed lines lie on the curves."])


def search_words(table: pd.DataFrame) -> str:
    """Say where the runs of `searches` end, by network and start."""
    last = table[table["at"].eq(table["at"].max())]
    medians = last.groupby(["network", "start"], sort=False).share.median()
    told = (f"{name}, {start}: {number(share, 1)}" for (name, start), share in medians.items())
    return f"Median losses at the end, where 1 is that of lower rank: {'; '.join(told)}."


def overlaps(results: Any, observed: float) -> pd.DataFrame:
    """Return how much of the next singular value is there when one is half learned: the most of it.

    A row a trial, a column a depth.
    """
    table = results.table("learned")
    table = table[np.isclose(table.observed, observed)]
    return table.groupby(["trial", "depth"]).next_share.max().unstack()


def overlap_table(results: Any) -> pd.DataFrame:
    """Return the overlaps, and the error on unseen entries, by depth and share seen, as text."""
    shares = results.table("path_ends").observed.unique()
    columns = {}
    for share in sorted(shares, reverse=True):
        overlap = overlaps(results, share)
        name = "all entries" if share == 1 else f"{share:.0%} of the entries"
        columns[f"next one's share, {name}"] = overlap.apply(lambda column: quoted(column))
    partial = results.table("path_ends").query("observed < 1")
    if len(partial):
        found = partial.groupby("depth").unseen_error.apply(lambda values: quoted(values))
        columns["error on unseen entries"] = found
    return pd.DataFrame(columns).rename(index=network)


def slopes(results: Any, start: str) -> pd.DataFrame:
    """Return the slope of log gap on log rate, a row a depth and trial; of one rate none."""
    table = results.table("descent")
    table = table[table.start.eq(start)]
    found = [
        (depth, trial, np.polyfit(np.log(run.rate), np.log(run.gap), 1)[0])
        for (depth, trial), run in table.groupby(["depth", "trial"])
        if run.rate.nunique() > 1
    ]
    return pd.DataFrame(found, columns=["depth", "trial", "slope"])


# --- the claims -----------------------------------------------------------------------------------


def _preconditioned(results: Any) -> Verdict:
    """Eq. 1: the product follows a preconditioned flow; the balance is not mentioned."""
    table = results.table("instant").query("loss == 'squared'")
    balanced = table[table.stretch.eq(1)].gap
    gaussian = table[table.start.eq("Gaussian")].gap
    order = slopes(results, "balanced").slope
    steps = results.table("descent").rate
    return Verdict(
        together(exact(balanced), within(order, 0.8, 1.2), exact(gaussian)),
        f"At a point, from balanced starts: gap at most {number(balanced.max(), 1)} (asked: below "
        f"{number(EXACT, 1)}). Over steps of {number(steps.min(), 1)} to {number(steps.max(), 1)} "
        f"it grows with the rate to the power {quoted(order)} (asked: 0.8 to 1.2). From Gaussian "
        f"starts, which are not balanced, the gap is {quoted(gaussian)}.",
    )


def _spectrum(results: Any) -> Verdict:
    """Depth promotes movement in directions already taken."""
    table = results.table("spectrum")
    top = table.groupby(["depth", "trial"]).predicted.transform("max")
    gaps = (table.eigenvalue - table.predicted).abs() / top
    deep = table[table.depth.gt(1)].groupby(["depth", "trial"]).eigenvalue
    spread = deep.max() / deep.min()
    return Verdict(
        together(exact(gaps), exact(table.residual), above(spread, 1)),
        f"Eigenvalues agree to {number(gaps.max(), 1)} and eigenvectors to "
        f"{number(table.residual.max(), 1)} of the largest eigenvalue (asked: "
        f"{number(EXACT, 1)}). The direction taken most gets "
        + ", ".join(f"{quoted(s)} (depth {d})" for d, s in spread.groupby("depth"))
        + " times the speed of the least.",
    )


def _any_loss(results: Any) -> Verdict:
    """Test that it holds for every loss."""
    table = results.table("instant").query("stretch == 1")
    worst = table.groupby("loss", sort=False).gap.max()
    return Verdict(
        exact(worst),
        "Largest gap: "
        + ", ".join(f"{loss} {number(gap, 1)}" for loss, gap in worst.items())
        + f" (asked: below {number(EXACT, 1)}).",
    )


def _not_a_gradient(results: Any) -> Verdict:
    """No explicit loss has this gradient; matrix completion is the loss that is meant."""
    table = results.table("asymmetry")
    completion = table[table.loss.eq("matrix completion")]
    deep, flat = completion[completion.depth > 1], completion[completion.depth == 1]
    loops = results.table("loop")
    gaps = (loops.integral - loops.predicted).abs()
    groups = deep.groupby(["depth", "outputs"]).asymmetry
    sharp = [above(rows, TURNING) for _, rows in groups]
    word = together(*sharp, exact(flat.asymmetry, SYMMETRIC), exact(gaps))
    worst = table[table.depth > 1].groupby(["loss", "depth", "outputs"]).asymmetry.max()
    free = worst[worst < SYMMETRIC]
    told = "; ".join(
        f"{loss}, depth {depth}, outputs: {outputs} ({number(gap, 1)})"
        for (loss, depth, outputs), gap in free.items()
    )
    return Verdict(
        "partly" if word == "holds" and len(free) else word,
        f"Matrix completion: asymmetry {number(groups.median().min())} to "
        f"{number(groups.median().max())} at depth 2 and more (medians by depth and outputs; asked "
        f"of each: above {TURNING}), {number(flat.asymmetry.max(), 1)} at depth 1. The loop "
        f"integral is its closed form to {number(gaps.max(), 1)}."
        + f" Exceptions, with their asymmetry: {told}."
        * bool(len(free)),
    )


def misses(results: Any) -> pd.DataFrame:
    """Return how far any gradient is from the field somewhere on the loop, over its mean size."""
    table = results.table("loop").query("depth > 2")
    return table.assign(miss=table.integral.abs() / table.length / table.mean_norm)


def _close(results: Any) -> Verdict:
    """Remark (a): limits of gradients are gradients, so what is none keeps a distance from all."""
    table = results.table("asymmetry").query("loss == 'matrix completion' and depth > 1")
    groups = table.groupby(["depth", "outputs"]).asymmetry
    medians = groups.median()
    loops = misses(results)
    return Verdict(
        together(*(below(rows, SYMMETRIC) for _, rows in groups)),
        f"Matrix completion: the asymmetry of the flow is {number(medians.min())} to "
        f"{number(medians.max())} at depths {table.depth.min()} to {table.depth.max()} (medians by "
        f"depth and outputs; asked: below {number(SYMMETRIC, 1)}). Where it is not 0 all gradients "
        "keep a distance from the flow near there; how large a one is not computed. For another "
        "loss, linear with one output, it is bounded: on the loop with "
        f"$r = {INNER:g}$, $R = {OUTER:g}$ any gradient misses the flow, somewhere, by at least "
        + ", ".join(
            f"{number(100 * rows.miss.median())} % (depth {depth})"
            for depth, rows in loops.groupby("depth")
        )
        + " of its mean length there.",
    )


def _depth_one(results: Any) -> Verdict:
    """Test the control of d3-2-d in `adam_ratio`: no penalty, depth 1 leaves what is unseen."""
    table = results.table("path_ends").query("observed < 1")
    if not len(table):
        return Verdict("undecided", "Every entry was observed.")
    errors = {depth: rows.unseen_error for depth, rows in table.groupby("depth")}
    return Verdict(
        above(errors[1], UNTOUCHED) if 1 in errors else "undecided",
        "Gradient descent without a penalty leaves this share of the unseen entries' norm: "
        + ", ".join(f"depth {depth} {quoted(error)}" for depth, error in errors.items())
        + f". (Asked of depth 1: above {UNTOUCHED}.)",
    )


def _definite(results: Any) -> Verdict:
    """Optimization: the preconditioner is positive definite."""
    table = results.table("definite")
    table = table[table.depth > 1]
    return Verdict(
        together(above(table.full_rank, EXACT), above(table.deficient_rank, EXACT)),
        f"Smallest eigenvalue over largest: {quoted(table.full_rank)} at full rank; with the last "
        f"singular value set to 0, at most {number(table.deficient_rank.abs().max(), 1)}, which "
        "is 0 to rounding.",
    )


def _global(results: Any) -> Verdict:
    """For a convex loss the flow reaches a global minimum."""
    deep = ends(results).query("depth > 1")
    scalar = results.table("scalar").groupby("depth").w.last()
    whole = deep.groupby(["start", "trial"], sort=False).found.all()  # over depths and rates
    counts = whole.groupby("start", sort=False)
    words = [mostly(rows, 0.5) for _, rows in counts]
    number_line: Word = "holds" if abs(scalar[2] + 1) < 0.1 else "fails"
    return Verdict(
        together(*words, number_line),
        "Squared loss. Starts that reach the minimum at every depth from 2 on and at every rate: "
        + ", ".join(f"{start} {sum(rows)} of {len(rows)}" for start, rows in counts)
        + f" (asked: at least half, beyond chance). One number, depth 2, from 0.5 towards −1, "
        f"ends at {number(scalar[2], 1)}.",
    )


def _linear_rate(results: Any) -> Verdict:
    """With the squared loss the rate is linear: under the conditions of the theorem."""
    table = results.table("rate")
    first = table.groupby(["depth", "trial"]).loss.transform("first")
    bound = first * np.exp(-table.guaranteed * table.time)
    kept = table.loss <= bound * (1 + 1e-9)
    rates = end_rates(results).ratio
    return Verdict(
        together("holds" if kept.all() else "fails", within(rates, 0.9, 1.1)),
        f"Started within the margin, the loss is below the bound at {kept.sum()} of {len(kept)} "
        f"records. Its rate at the end is {quoted(rates)} times $2N\\sigma_{{\\min}}^{{2-2/N}}$ "
        "(asked: 0.9 to 1.1).",
    )


def _one_by_one(results: Any) -> Verdict:
    """Singular values are learned one after another, the more sharply the deeper."""
    instant = results.table("instant").query("stretch == 1").values_gap
    table = results.table("learned")
    timing = table.half_time_predicted / table.half_time
    words: list[Word] = [exact(instant), within(timing, 0.97, 1.03)]
    evidence = []
    for share in sorted(table.observed.unique(), reverse=True):
        overlap = overlaps(results, share)
        words += [
            below(overlap[deeper] / overlap[depth], 1)
            for depth, deeper in zip(overlap.columns, overlap.columns[1:], strict=False)
        ]
        shown = ", ".join(f"{quoted(overlap[d] * 100)} % (depth {d})" for d in overlap.columns)
        evidence.append(f"with {share:.0%} of the entries seen {shown}")
    return Verdict(
        together(*words),
        "When one is half learned the next has, at most, " + "; ".join(evidence) + " of its value "
        f"(asked: less with each layer). Their equation holds to {number(instant.max(), 1)} at a "
        f"point, and tells the time of half of a run to a factor {quoted(timing, 3)}.",
    )


CLAIMS = (
    Claim(
        "d3-7-a",
        "The gradient flow of a product of layers is, for the product, a preconditioned gradient "
        "flow of a single layer.",
        "Linear networks, Setup, Eq. 1",
        _preconditioned,
    ),
    Claim(
        "d3-7-b",
        "The preconditioner of depth promotes movement in directions already taken.",
        "Linear networks, Setup",
        _spectrum,
    ),
    Claim(
        "d3-7-c",
        "This does not depend on the form of the loss, as long as the loss sees the product only.",
        "Linear networks, Setup",
        _any_loss,
    ),
    Claim(
        "d3-7-d",
        "No explicit loss of the product has this flow as its gradient flow.",
        "Linear networks, Equivalent explicit form",
        _not_a_gradient,
    ),
    Claim(
        "d3-7-i",
        "That is an exact statement, so there may be an explicit loss that comes arbitrarily "
        "close.",
        "Linear networks, Equivalent explicit form, remark a",
        _close,
    ),
    Claim(
        "hd-ln-a",
        "Without a penalty depth 1 completes no matrix. (With one, which the notes mean, see claim "
        "d3-2-d of the chapter adam_ratio.)",
        "control for Linear networks, Equivalent explicit form, remark b",
        _depth_one,
    ),
    Claim(
        "d3-7-f",
        "The preconditioner is positive definite.",
        "Linear networks, Optimization",
        _definite,
    ),
    Claim(
        "d3-7-j",
        "So the loss falls until its gradient vanishes: for any convex loss a deep linear network "
        "ends at a global minimum.",
        "Linear networks, Optimization",
        _global,
    ),
    Claim(
        "d3-7-g",
        "With the squared loss there is a linear rate of convergence (under conditions).",
        "Linear networks, Optimization",
        _linear_rate,
    ),
    Claim(
        "d3-7-h",
        "Singular values are learned one after another, the more sharply the deeper the network.",
        "Arora, Cohen, Hu and Luo 2019, cited by the notes",
        _one_by_one,
    ),
)

#: The smaller learning rate, nearer to the flow, that pictures of the search show.
FINE = min(MINIMUM_RATES)
