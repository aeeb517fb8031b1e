"""Findings of the chapter `exponential_lr`: how far apart two runs are that should be one."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from hdnotes.claims import (
    Claim,
    Verdict,
    Word,
    above,
    below,
    median_interval,
    mostly,
    quoted,
    together,
    within,
)
from hdnotes.experiments.exponential_lr import (
    DECAY,
    EVERY_STEP,
    GROWTH,
    NEITHER,
    PUBLISHED,
    PUBLISHED_GROWTH,
    REORDERED,
    SAME_BETAS,
    ZERO_BUFFER,
)
from hdnotes.theory import scale_invariance as theory
from hdnotes.wording import number

__all__ = ["CLAIMS"]

#: What a statement at a point, and one along a whole run, must hold to in float64.
POINT, RUN = 1e-12, 1e-10
#: Outputs this far apart are different functions; logits are of order 1.
APART = 1e-3
#: A gap that grows by more from a record to the next jumps.
JUMP = 1000.0
#: In float32 a pair this far apart is two runs.
LOST = 0.1
#: What the rows of the table of twins are called.
PARTS = {
    "no momentum": "no momentum",
    "theorem": "momentum",
    "steps": "momentum, rate falls in two steps",
    "cosine": "momentum, rate falls as a cosine",
    "tanh": "momentum, tanh in place of ReLU",
    "rayleigh": "momentum, Rayleigh quotient",
    "resnet": "momentum, residual network",
    "resnet, cosine": "momentum, residual network, cosine",
    "adam": "Adam",
    "eps": "momentum, eps = 10⁻⁵ in the normalization",
    "float32": "momentum, float32",
    "float32, tanh": "momentum, float32, tanh",
}
#: The pairs that are drawn, and what their networks are called.
NETWORKS = {"theorem": "digits", "resnet": "Fashion-MNIST, residual"}
#: Lines of the figure of what breaks the theorem: part and arm.
BREAKS = {
    "as the theorem says": ("theorem", GROWTH),
    "buffer starts at zero": ("theorem", ZERO_BUFFER),
    "eps = 10⁻⁵": ("eps", GROWTH),
    "float32": ("float32", GROWTH),
    "float32, tanh": ("float32, tanh", GROWTH),
}


def twins(results: Any, part: str, arm: str = GROWTH, table: str = "twin") -> pd.DataFrame:
    """Return the rows of one arm of one pair of runs; none if the profile leaves it out."""
    rows = results.table(table)
    rows = rows.assign(part=rows["part"].where(rows.kind.ne("adam"), "adam"))
    own = rows.kind.eq("reordered")
    return rows[rows.part.eq(part) & rows.arm.eq(arm) & (own == (arm == REORDERED))]


def gap(results: Any, part: str, arm: str = GROWTH) -> pd.Series:
    """Return the largest gap of outputs to the run with weight decay, one value a trial."""
    return twins(results, part, arm).output_gap.fillna(np.inf)


def twin_rows(results: Any) -> list[list[str]]:
    """Return every pair of runs as a row of text: updates, growth of the rate, largest gaps.

    The last gap is that of the run with weight decay from itself, summed in another order.
    """
    rows = []
    for part, words in PARTS.items():
        found, own = twins(results, part), gap(results, part, REORDERED)
        if len(found):
            last = [found.growth.iloc[0], found.output_gap.max()]
            beside = number(own.max()) if len(own) else "–"
            rows.append([words, f"{found.steps.iloc[0]:,}", *map(number, last), beside])
    return rows


def farther(results: Any, part: str) -> pd.DataFrame:
    """Return, for each start, how many ``times`` as far a run is from its twin as from itself.

    Itself summed in another order; and the largest quotient of the two gaps, in outputs or in loss,
    at any record at which the second is below `APART` and before either jumps: what has parted two
    runs there did so by chance in one pair sooner than in the other. ``until`` is the last of these
    records, ``gap`` the twin's largest gap in outputs by then.
    """
    columns = ["output_gap", "loss_gap"]
    twin, own = (
        twins(results, part, arm, "curve").set_index(["trial", "step"])[columns].fillna(np.inf)
        for arm in (GROWTH, REORDERED)
    )
    twin = twin.reindex(own.index)
    jumped = _jumps(twin.output_gap) | _jumps(own.output_gap)
    near = own.where((own > 0) & (own < APART))
    times = (twin / near)[~jumped.groupby("trial").cummax()].max(axis=1).dropna()
    table = times.to_frame("times").join(twin.output_gap.rename("gap")).reset_index("step")
    return table.rename(columns={"step": "until"}).groupby("trial").max()


def _jumps(gap: pd.Series) -> pd.Series:
    """Tell at which records a gap is more than `JUMP` times that of the record before.

    Not at the first: whether a gap has come to it by a jump or little by little is not known.
    """
    return gap > JUMP * gap.where(gap > 0).groupby("trial").shift()


def jumps(results: Any, part: str, arm: str) -> pd.Series:
    """Tell at which starts a gap jumps."""
    gap = twins(results, part, arm, "curve").set_index(["trial", "step"]).output_gap
    return _jumps(gap).groupby("trial").any()


def at_first_record(results: Any, part: str) -> pd.DataFrame:
    """Return each start's record of the gap to its twin that is the first after the start."""
    table = twins(results, part, GROWTH, "curve")
    return table[table.step.eq(table.step[table.step.gt(0)].min())]


def drift(results: Any, part: str) -> pd.DataFrame:
    """Return each start's gap in outputs from itself, at the ``first`` record and the ``last``."""
    table = twins(results, part, REORDERED, "curve")
    table = table[table.step.gt(0)].sort_values("step")
    return table.groupby("trial").output_gap.agg(["first", "last"])


def curves(results: Any, part: str, arms: Sequence[str]) -> pd.DataFrame:
    """Return the records of a pair's arms, with the arm under ``run``."""
    found = pd.concat([twins(results, part, arm, "curve") for arm in arms])
    return found.assign(run=found.arm)


def pairs(results: Any) -> dict[str, pd.DataFrame]:
    """Return the theorem's two runs for each network that was trained, by the network's name."""
    found = {title: curves(results, part, (DECAY, GROWTH)) for part, title in NETWORKS.items()}
    return {title: rows for title, rows in found.items() if len(rows)}


def stacked(tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Return tables as one, each under its name in the column ``network``."""
    return pd.concat([rows.assign(network=name) for name, rows in tables.items()])


def apart(results: Any) -> dict[str, pd.DataFrame]:
    """Return how far each of `pairs` is apart, and a run from itself, from the first update on."""
    words = {GROWTH: "from its twin", REORDERED: "from itself"}
    found = {title: curves(results, part, tuple(words)) for part, title in NETWORKS.items()}
    return {
        title: rows[rows.step.gt(0)].assign(run=rows.arm.map(words))
        for title, rows in found.items()
        if len(rows)
    }


def breaks(results: Any) -> pd.DataFrame:
    """Return the gap of outputs along the runs that keep to the theorem, and that do not."""
    parts = [
        twins(results, part, arm, "curve").assign(run=words)
        for words, (part, arm) in BREAKS.items()
    ]
    table = pd.concat(parts)
    return table[table.step > 0]


def growing(results: Any) -> pd.DataFrame:
    """Return what grows and what does not in the run without decay, a row a trial and record."""
    table = twins(results, "theorem", GROWTH, "curve")
    names = {
        "rate": "learning rate",
        "squared_norm": "squared length of the weights",
        "effective_rate": "rate over squared length",
    }
    long = table.melt(["trial", "step"], list(names), "name", "value")
    return long.assign(run=long.name.map(names))


def schedules(results: Any) -> pd.DataFrame:
    """Return the rates that stand for constant, falling and cosine ones with weight decay."""
    words = {"theorem": "constant", "steps": "two steps", "cosine": "cosine"}
    parts = [twins(results, part, GROWTH, "curve").assign(run=name) for part, name in words.items()]
    table = pd.concat(parts)
    return table[table.trial.eq(0)]


def arrows(results: Any, shown: float = 0.8) -> pd.DataFrame:
    """Return an update of gradient descent at weights of length 1 and 2, its end after its start.

    Both at the learning rate that makes the first one ``shown`` long, in units of the length.
    """
    return pd.DataFrame(
        [
            (f"update at length {length:g}", length, end)
            for length in (1.0, 2.0)
            for end in (0.0, -shown / length)
        ],
        columns=["run", "x", "y"],
    )


def medians(table: pd.DataFrame) -> str:
    """Return what lines and bands of a figure are: medians of how many starts, and quartiles."""
    counts = sorted(set(table.groupby("run").trial.nunique()))
    count = " to ".join(dict.fromkeys(f"{n}" for n in (counts[0], counts[-1])))
    return f"Medians of {count} starts, each with its own batches; bands: quartiles."


def first_gaps(table: pd.DataFrame) -> str:
    """Return the median gap of every run at the first record, in words."""
    return last_gaps(table[table.step.eq(table.groupby("run").step.transform("min"))])


def last_gaps(table: pd.DataFrame) -> str:
    """Return the median gap of every run at its end, in words."""
    last = table[table.step.eq(table.groupby("run").step.transform("max"))]
    found = last.groupby("run", sort=False).output_gap.median().fillna(np.inf)
    return ", ".join(f"{number(gap)} ({run})" for run, gap in found.items())


def gradient_slopes(results: Any) -> list[float]:
    """Return the slope of log gradient length on log weight length in each growing run."""
    table = twins(results, "theorem", GROWTH, "curve")
    table = table[table.step > 0]
    return [
        float(np.polyfit(np.log(rows.squared_norm), np.log(rows.squared_gradient), 1)[0])
        for _, rows in table.groupby("trial")
    ]


def norm_arms(results: Any, table: str = "norms") -> pd.DataFrame:
    """Return the runs of the norms with their arms in words."""
    rows = results.table(table)
    if "step" in rows:
        rows = rows[rows.step % 20 == 0]
    names = [
        " and ".join(word for word, there in (("momentum", g), ("weight decay", decay)) if there)
        or "neither"
        for g, decay in zip(rows.momentum, rows.decay, strict=True)
    ]
    return rows.assign(run=names)


def length_words(table: pd.DataFrame) -> str:
    """Return the median length of the weights at the first and the last record of every run."""
    found = table.groupby(["run", "step"], sort=False).norm.median().groupby("run", sort=False)
    ends = zip(found.first().items(), found.last(), strict=True)
    told = "; ".join(f"{run}: {number(a, 4)} to {number(b, 4)}" for (run, a), b in ends)
    return f"Median lengths, from the first record to the last: {told}."


def equilibrium(results: Any) -> pd.DataFrame:
    """Return the runs to equilibrium with what is predicted of them, a row a trial."""
    table = results.table("equilibrium")
    predicted = [
        (theory.adam_rotation(product, g), theory.adam_settling(product))
        if method == "AdamW"
        else (theory.rotation(product, g), theory.settling(product, g))
        for method, product, g in zip(
            table.method, table.rate * table.weight_decay, table.momentum, strict=True
        )
    ]
    rotations, settled = zip(*predicted, strict=True)
    return table.assign(
        predicted_rotation=rotations, predicted_settled=settled, setting=_settings(table)
    )


def settling(results: Any) -> pd.DataFrame:
    """Return the effective rate's path from both starts, for SGD without momentum."""
    table = results.table("settling")
    table = table[table.method.eq("SGD") & table.momentum.eq(0)]
    product = table.rate * table.weight_decay
    return table.assign(run=[f"ηλ = {p:g}, {s}" for p, s in zip(product, table.start, strict=True)])


def _settings(table: pd.DataFrame) -> list[str]:
    products = table.rate * table.weight_decay
    return [
        f"{row.method}{' + momentum' if row.method == 'SGD' and row.momentum else ''}, ηλ = {p:g}"
        for row, p in zip(table.itertuples(), products, strict=True)
    ]


def equilibrium_rows(results: Any) -> list[list[str]]:
    """Return the equilibria as rows of text: angle of an update and steps to settle."""
    return [
        [
            str(setting),
            number(1e3 * rows.predicted_rotation.iloc[0]),
            quoted(1e3 * rows.rotation),
            number(rows.predicted_settled.iloc[0]),
            quoted(rows.settled.fillna(np.inf)),
        ]
        for setting, rows in equilibrium(results).groupby("setting", sort=False)
    ]


def epochs_to_overflow() -> float:
    """Return the epochs until the published rate, kept constant, overflows float32."""
    rate, decay, momentum, epoch = PUBLISHED.values()
    largest = float(np.finfo(np.float32).max)
    return theory.overflow_step(rate, decay, momentum, largest) / epoch


# --- the claims ----------------------------------------------------------------------------------


def _lemma(results: Any, column: str, scale: float | None = None) -> dict[str, pd.Series]:
    """Return the worst value of each trial over all scales, or at one; by network and numbers."""
    table = results.table("lemma")
    table = table if scale is None else table[np.isclose(table.scale, scale)]
    keys = ["network", "dtype", "eps"]
    return {str(words): rows.groupby("trial")[column].max() for words, rows in table.groupby(keys)}


def _exact(network: str, dtype: str = "float64", eps: float = 0.0) -> str:
    return str((network, dtype, eps))


def _orthogonal(results: Any) -> Verdict:
    found = _lemma(results, "orthogonality")
    relu, quotient = found[_exact("relu")], found[_exact("rayleigh")]
    return Verdict(
        together(below(relu, POINT), below(quotient, POINT)),
        "The cosine between weights and gradient is, over all trials, at most "
        f"{number(relu.max())} for the network and {number(quotient.max())} for the Rayleigh "
        f"quotient (asked: below $10^{{-12}}$). With torch's own eps it is "
        f"{number(found[_exact('relu', eps=1e-5)].max())}, in float32 "
        f"{number(found[_exact('relu', 'float32')].max())}.",
    )


def _scale_law(results: Any) -> Verdict:
    found = _lemma(results, "scale_gap")
    relu, quotient = found[_exact("relu")], found[_exact("rayleigh")]
    small = _lemma(results, "scale_gap", 0.1)[_exact("relu", eps=1e-5)]
    return Verdict(
        together(below(relu, POINT), below(quotient, POINT)),
        "Relative gap of $c\\,\\nabla L(c\\theta)$ to $\\nabla L(\\theta)$, the largest over $c$ "
        f"from $10^{{-6}}$ to $10^6$: {number(relu.max())} for the network, "
        f"{number(quotient.max())} for the Rayleigh quotient (asked: below $10^{{-12}}$). With "
        f"torch's own eps it is {number(small.max())} at $c = 0.1$.",
    )


def _norms_grow(results: Any) -> Verdict:
    table = norm_arms(results)
    arms = dict(iter(table.groupby("run")))
    plain, decays = arms["neither"], [arms["weight decay"], arms["momentum and weight decay"]]
    grows = together(below(plain.identity_gap, POINT), below(plain.falling, 1e-9))
    words = [grows, *(below(rows.falling, 1e-9) for rows in decays)]
    momentum = arms["momentum"]
    return Verdict(
        together(*words),
        f"Over {plain.steps.iloc[0]:,} updates: "
        "without weight decay and momentum the squared length grows at every update, by "
        f"$\\eta^2\\lVert\\nabla L\\rVert^2$ to within {number(plain.identity_gap.max())}. With "
        "momentum alone it falls in "
        f"{quoted(100 * momentum.falling)} % of the updates, but this formula is off by up to "
        f"{quoted(100 * momentum.identity_gap)} %. With weight decay it falls in "
        f"{quoted(100 * decays[0].falling)} % of the updates, with both in "
        f"{quoted(100 * decays[1].falling)} %.",
    )


def _smaller_gradients(results: Any) -> Verdict:
    slopes = gradient_slopes(results)
    return Verdict(
        within(slopes, -1.1, -0.9),
        "In the run with a growing rate the slope of log gradient length on log length of the "
        f"weights is {quoted(slopes, 3)} over {len(slopes)} starts (asked: −1.1 to −0.9).",
    )


def _larger_rate(results: Any) -> Verdict:
    runs = [twins(results, "theorem", arm).set_index("trial") for arm in (DECAY, NEITHER)]
    decay, without = (rows.effective_growth for rows in runs)
    return Verdict(
        above(decay / without, 1),
        f"With momentum, after {runs[0].steps.iloc[0]:,} updates, "
        f"$\\eta/\\lVert\\theta\\rVert^2$ is {quoted(decay)} times its first value with "
        f"weight decay and {quoted(without)} times without: {quoted(decay / without)} times as "
        "large (asked: above 1).",
    )


def _gaps(results: Any, parts: Iterable[str], start: str) -> Verdict:
    """Test that these pairs are one run, in outputs and in loss.

    Or, where training makes much of little, that a run is as far from itself. If that can be seen
    for a part of the run only, the claim is decided for that part: partly.
    """
    words: list[Word] = []
    listed = []
    for part in parts:
        rows = twins(results, part)
        if not len(rows):
            continue
        gaps = rows[["output_gap", "loss_gap"]].fillna(np.inf)
        outputs, loss = (quoted(gaps[name]) for name in gaps)
        said = f"{outputs} in outputs, {number(gaps.output_gap.max())} at most, {loss} in loss"
        word, found = together(*(below(gaps[name], RUN) for name in gaps)), farther(results, part)
        if word != "holds" and len(found):
            word, said = _beside_itself(found, rows.steps.iloc[0], said)
        words.append(word)
        listed.append(f"{PARTS[part]} {said}")
    return Verdict(
        together(*words),
        f"{start}: {'; '.join(listed)}. (Asked of the medians: below $10^{{-10}}$; or, to the end "
        "of the run, fewer times as far as a run is from itself, its batches summed in another "
        f"order, than there were updates. Once a gap jumps, {JUMP:g}-fold in a record, or a run is "
        f"{APART:g} from itself, there is nothing to compare with.)",
    )


def _beside_itself(found: pd.DataFrame, steps: int, said: str) -> tuple[Word, str]:
    """Test that a run is from its twin as from itself: partly if some start's end is not seen."""
    word = below(found.times, steps)
    times = f"{quoted(found.times)} times as far as from itself (allowed: {steps:,})"
    if found.until.min() == steps:
        return word, f"{said}, {times}"
    return (
        "partly" if word == "holds" else word,
        f"{quoted(found.gap)} in outputs until {_update(found, steps)}, {times}, afterwards not "
        "decidable",
    )


def _update(found: pd.DataFrame, steps: int) -> str:
    """Say until which update pairs are compared."""
    low, median, high = (
        number(round(at) if np.isfinite(at) else at) for at in median_interval(found.until)
    )
    return f"update {median} ({low} to {high}) of {steps:,}"


def _parts_from_itself(results: Any) -> Verdict:
    """Test hd-lr-j wherever a run was made beside itself in float64."""
    found = {part: farther(results, part) for part in PARTS if not part.startswith("float32")}
    found = {part: table for part, table in found.items() if len(table)}
    steps = {part: twins(results, part).steps.iloc[0] for part in found}
    words = [below(table.times, steps[part]) for part, table in found.items()]
    listed = []
    for part, table in found.items():
        own = drift(results, part)
        listed.append(
            f"{PARTS[part]}: from itself {quoted(own['first'])} at the first record and "
            f"{quoted(own['last'])} at the last, {quoted(table.times)} times as far from the twin"
            + f" until {_update(table, steps[part])}" * bool(table.until.min() < steps[part])
            + _jumping(results, part, len(own))
        )
    return Verdict(
        together(*words) if found else "undecided",
        f"Gaps in outputs, and the larger quotient, in outputs or loss. {'; '.join(listed)}. "
        "(Asked: fewer times than there were updates, in outputs and in loss, until a gap jumps, "
        f"{JUMP:g}-fold in a record, or a run is {APART:g} from itself.)",
    )


def _jumping(results: Any, part: str, count: int) -> str:
    """Say how many runs jump away from their twin and from themselves, if any does."""
    away = [jumps(results, part, arm).sum() for arm in (GROWTH, REORDERED)]
    return f" (jumps away from it in {away[0]}, from itself in {away[1]} of {count})" * any(away)


def _theorem(results: Any) -> Verdict:
    none, found = (twins(results, part) for part in ("no momentum", "theorem"))
    grown = " and ".join(number(rows.growth.iloc[0]) for rows in (none, found) if len(rows))
    start = (
        f"Largest gap over {found.steps.iloc[0]:,} updates, in which the rate grows by a factor of "
        f"{grown}"
    )
    return _gaps(results, ("no momentum", "theorem"), start)


def _any_schedule(results: Any) -> Verdict:
    return _gaps(results, ("steps", "cosine", "resnet, cosine"), "Largest gap")


def _any_loss(results: Any) -> Verdict:
    return _gaps(results, ("tanh", "rayleigh", "resnet"), "Largest gap")


def _adam(results: Any) -> Verdict:
    found = twins(results, "adam")
    unchanged = gap(results, "adam", SAME_BETAS)
    return Verdict(
        together(below(found.output_gap.fillna(np.inf), RUN), above(unchanged, APART)),
        f"Outputs of AdamW at a constant rate and of Adam at a growing one differ by at most "
        f"{number(found.output_gap.max())} over {found.steps.iloc[0]:,} updates (asked: below "
        f"$10^{{-10}}$). With unchanged betas the gap is {quoted(unchanged)} (asked: above "
        f"{APART:g}).",
    )


def _breaks(results: Any) -> Verdict:
    eps, buffer = gap(results, "eps"), gap(results, "theorem", ZERO_BUFFER)
    errors = [
        twins(results, part, arm).set_index("trial").error
        - twins(results, part, DECAY).set_index("trial").error
        for part, arm in (("eps", GROWTH), ("theorem", ZERO_BUFFER))
    ]
    worse = [below(error.abs(), 0.02) for error in errors]
    return Verdict(
        together(above(eps, APART), above(buffer, APART), *worse),
        f"Largest gap in outputs: {quoted(eps)} with eps = $10^{{-5}}$, {quoted(buffer)} with a "
        f"first buffer of zero (asked: above {APART:g}). Test errors then differ by "
        f"{quoted(100 * errors[0].abs())} and {quoted(100 * errors[1].abs())} percentage points "
        "(asked: below 2).",
    )


def _kink(results: Any) -> Verdict:
    """Test hd-lr-c on the pairs that are kept along their way: with ReLU they jump, or do not."""
    parts = {"ReLU": "float32", "tanh": "float32, tanh"}
    jumped = {name: jumps(results, part, GROWTH) for name, part in parts.items()}
    lost = {name: gap(results, part) > LOST for name, part in parts.items()}
    first = {name: at_first_record(results, part) for name, part in parts.items()}
    return Verdict(
        together(mostly(jumped["ReLU"], 0.5), mostly(~jumped["tanh"], 0.5)),
        f"From one record to the next {JUMP:g}-fold jump "
        + " and ".join(f"{sum(away)} of {len(away)} pairs with {x}" for x, away in jumped.items())
        + f". The first record is at update {first['ReLU'].step.iloc[0]:,}, and what happens "
        "before it is not seen; there the gap is "
        + " and ".join(f"{quoted(rows.output_gap)} with {x}" for x, rows in first.items())
        + f". In the end a gap above {LOST:g} has come up in "
        + " and ".join(f"{sum(away)} of {len(away)} pairs with {x}" for x, away in lost.items())
        + ". (Asked: at least half of the pairs with ReLU jump, and at most half of those with "
        "tanh, beyond chance.)",
    )


def _per_epoch(results: Any) -> Verdict:
    rate, decay, momentum, epoch = PUBLISHED.values()
    growth = theory.growth(momentum, rate * decay) ** -2
    exact = abs(growth**epoch - PUBLISHED_GROWTH) < 0.0005
    own, every = (twins(results, "published", arm) for arm in (GROWTH, EVERY_STEP))
    plain = twins(results, "published", DECAY).set_index("trial").last_loss
    worse = every.set_index("trial").last_loss - plain
    return Verdict(
        together(
            "holds" if exact else "fails",
            below(own.output_gap, RUN),
            above(worse.fillna(np.inf), 0),
        ),
        f"$a^{{-2}}$ is {growth:.5f} an update and {growth**epoch:.4f} over {epoch} of them. "
        f"At this growth the outputs are within {number(own.output_gap.max())} of those with "
        f"weight decay; growing by {PUBLISHED_GROWTH} an update leaves the training loss "
        f"{quoted(worse)} higher (asked: above 0).",
    )


def _overflow(results: Any) -> Verdict:
    table = results.table("overflow")
    seen = table[table.stop.notna()]
    ratio = (table.stop / table.predicted).fillna(1)  # they end with the rate
    return Verdict(
        above(ratio, 0.95),
        f"The rate overflows after {table.predicted.min():,.0f} to {table.predicted.max():,.0f} "
        f"updates, depending on its growth. In {len(seen)} of {len(table)} runs gradients end "
        f"first, zero or no number, at {quoted(seen.stop / seen.predicted, 3)} times that update; "
        "in the others some gradient is left until the rate ends (asked of all: above 0.95).",
    )


def _effective(results: Any) -> Verdict:
    table = twins(results, "theorem", GROWTH, "curve")
    late = table[table.step > table.step.max() / 2].groupby("trial")
    spread = late.effective_rate.max() / late.effective_rate.min()
    grown = late.rate.max() / late.rate.min()
    return Verdict(
        together(below(spread, 1.5), above(grown, 1.5)),
        "In the second half of the run the rate grows by a factor of "
        f"{number(grown.median())}; the rate over the squared length varies by a factor of "
        f"{quoted(spread, 3)} over {len(spread)} starts (asked: below 1.5).",
    )


def _rotation(results: Any) -> Verdict:
    table = equilibrium(results)
    ratios = {
        str(name): rows.rotation / rows.predicted_rotation
        for name, rows in table.groupby("setting", sort=False)
    }
    return Verdict(
        together(*(within(ratio, 0.9, 1.1) for ratio in ratios.values())),
        "Angle of an update over the predicted one: "
        + "; ".join(f"{name}: {quoted(ratio, 3)}" for name, ratio in ratios.items())
        + " (asked: 0.9 to 1.1).",
    )


def _settles(results: Any) -> Verdict:
    table = equilibrium(results)
    ratio = (table.settled / table.predicted_settled).fillna(np.inf)
    ratios = {str(name): rows for name, rows in ratio.groupby(table.setting, sort=False)}
    return Verdict(
        together(*(within(one, 0.5, 2) for name, one in ratios.items() if name.startswith("SGD"))),
        "Updates in which the influence of the first length falls $e$ times, over the predicted: "
        + "; ".join(f"{name}: {quoted(rows)}" for name, rows in ratios.items())
        + " (asked of SGD: 1/2 to 2).",
    )


NOTE = "“Exponential Learning Rates”"
CLAIMS = (
    Claim(
        "d3-lr-a",
        "The gradient of a scale-invariant loss is at right angles to the weights.",
        f"{NOTE}, Lemma 1",
        _orthogonal,
    ),
    Claim(
        "d3-lr-b",
        "At weights $c$ times as long the gradient is the same, divided by $c$.",
        f"{NOTE}, Lemma 1",
        _scale_law,
    ),
    Claim(
        "d3-lr-c",
        "Right angles make sure that the length of the weights increases.",
        f"{NOTE}, after Lemma 1 and in its Figure 1",
        _norms_grow,
    ),
    Claim(
        "d3-lr-d",
        "As weights grow, their gradients become smaller: a built-in correction.",
        f"{NOTE}, after Lemma 1",
        _smaller_gradients,
    ),
    Claim(
        "d3-lr-e",
        "With batch normalization, weight decay works as a larger learning rate.",
        NOTE,
        _larger_rate,
    ),
    Claim(
        "d3-lr-f",
        "A constant rate with weight decay and momentum computes the same functions as an "
        "exponentially growing rate without weight decay.",
        f"{NOTE}, Theorem 1 (informal)",
        _theorem,
    ),
    Claim(
        "d3-lr-g",
        "This is so for every scale-invariant loss, not for one network.",
        f"{NOTE}, after Theorem 1",
        _any_loss,
    ),
    Claim(
        "hd-lr-a",
        "It is so for every schedule: any rates with weight decay have a twin without.",
        "Li and Arora 2019, in place of a constant rate",
        _any_schedule,
    ),
    Claim(
        "hd-lr-j",
        "Until gaps jump, whatever parts the twins is rounding, and what training makes of it: a "
        "run whose batches are summed in another order parts from itself in the same way.",
        "our explanation",
        _parts_from_itself,
    ),
    Claim(
        "hd-lr-b",
        "Without its fine print (no eps, the right first momentum) the two runs compute other "
        "functions, though equally good ones.",
        "our question",
        _breaks,
    ),
    Claim(
        "hd-lr-c",
        "In float32 two runs with ReLU part in a jump; with tanh they part little by little.",
        "our question",
        _kink,
    ),
    Claim(
        "hd-lr-d",
        f"The published growth of the learning rate, {PUBLISHED_GROWTH}, is that of an epoch of "
        f"{PUBLISHED['epoch']} updates, not of one.",
        "Li and Arora 2019, their experiment",
        _per_epoch,
    ),
    Claim(
        "hd-lr-e",
        "While the rate grows without bounds, the rate over the squared length of the weights "
        "becomes constant.",
        "our question",
        _effective,
    ),
    Claim(
        "hd-lr-f",
        r"In equilibrium an update turns the weights by $\sqrt{2\lambda\eta/(1+g)}$ with SGD and "
        r"$\sqrt{2\lambda\eta(1-\beta_1)/(1+\beta_1)}$ with AdamW.",
        "our question",
        _rotation,
    ),
    Claim(
        "hd-lr-g",
        r"With SGD the length at the start is forgotten in about $(1-g)/(4\lambda\eta)$ updates.",
        "our question",
        _settles,
    ),
    Claim(
        "hd-lr-h",
        "In float32 the growing rate has an end, which can be foretold.",
        "our question",
        _overflow,
    ),
    Claim(
        "hd-lr-i",
        "The rescaling works for Adam, too, where every parameter has a rate of its own, if both "
        "betas shrink a little and its eps is next to nothing.",
        f"our question, after {NOTE}, “Thoughts”",
        _adam,
    ),
)
