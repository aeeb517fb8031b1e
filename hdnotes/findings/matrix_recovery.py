"""Findings of the chapter `matrix_recovery`: SNRs beside the source's points, and the claims.

The text's SNR is 10 log10 of the mean test loss of steps 1-4 over that of the last four. The true
SNR puts the energy E||y||^2 in place of the first. The start loss is (1 + 2N/(3M)) E||y||^2, so
the text's is larger by 10 log10(1 + 2N/(3M)): 22 dB at M = 4, N = 1024.
"""

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import pandas as pd

from hdnotes.claims import Claim, Verdict, Word, above, below, median_interval, together, within
from hdnotes.experiments.matrix_recovery import CONTROL, FIGURES, METHODS, Parameters
from hdnotes.reference import points
from hdnotes.wording import number

#: Which methods share a panel.
FAMILIES = (
    ("Adam", "AdamW", "NAdam"),
    ("RAdam", "Adamax", "RMSprop"),
    ("Adagrad", "Adadelta", "Lion"),
    ("SGD", "ASGD", "Rprop"),
)
KINDS = ("snr_db", "true_snr_db")
#: What is changed one at a time, and the sweep that does it.
CHANGES = {
    "no bias": "square, no bias",
    "no clipping": "square, no clipping",
    "no weight decay": "square, no weight decay",
    "4 x batches": "square, 4 x batches",
}
#: "High dimension" begins here: where a run is smaller, claims about it stay undecided.
HIGH = 512
#: The source's points are compared above this size (Adam is erratic below).
ERRATIC = 16


def snrs(results: Any, sweep: str, *, control: bool = False) -> pd.DataFrame:
    """Return one sweep's runs, a row a method, size and repeat; with least squares if asked."""
    table = results.table("snr")
    table = table[table.sweep.eq(sweep)]
    return table if control else table[table.method != CONTROL]


def medians(table: pd.DataFrame, value: str = "snr_db") -> pd.DataFrame:
    """Return the median over the repeats, a row a size, a column a method."""
    return table.pivot_table(index="size", columns="method", values=value, aggfunc="median")


def source_points(sweep: str) -> pd.DataFrame:
    """Return the source's points of one figure, a row a method and size."""
    table = points("matrix_recovery")
    table = table[table.sweep.eq(sweep)].drop(columns="sweep")
    return table.melt("size", var_name="method", value_name="snr_db")


def as_in_text(p: Parameters) -> bool:
    """Tell whether a run is the text's but for sizes, repeats and methods."""
    ours = (p.fixed_size, p.batches, p.batch_size, p.clip, p.weight_decay, p.bias, p.learning_rates)
    return ours == (1024, 500, 32, 1.0, 0.01, True, ("text",))


def differences(results: Any) -> pd.DataFrame:
    """Return the median |difference| to the source in dB above size 16: methods by sweeps.

    Sizes that the small table does not hold are read off it, linear in the logarithm of the size.
    """
    columns = {}
    for sweep in FIGURES:
        ours = medians(snrs(results, sweep, control=True))
        ours = ours[ours.index > ERRATIC]
        theirs = medians(source_points(sweep))
        at = np.log(theirs.index)
        columns[sweep] = {
            method: float(np.median(abs(ours[method] - np.interp(np.log(ours.index), at, values))))
            for method, values in theirs.items()
            if method in ours and len(ours)
        }
    return pd.DataFrame(columns)


def start_excess_db(m: Any, n: Any) -> Any:
    """Return 10 log10(1 + 2N/(3M)), by which the text's SNR exceeds the true one.

    W and b start uniform on +-1/sqrt(M), of variance 1/(3M): E||p||^2 = 2N/(3M) for a unit x.

    Examples
    --------
    >>> start_excess_db(4, 1024).round(1), start_excess_db(64, 64).round(1)
    (np.float64(22.3), np.float64(2.2))
    """
    return 10 * np.log10(1 + 2 * n / (3 * m))


def crossing(sizes: Iterable[float], values: Iterable[float], level: float) -> float:
    """Return the size at which ``values`` first fall below ``level``, linear in log size.

    Infinite if they never do.

    Examples
    --------
    >>> round(crossing([10, 100], [60, 40], 50), 1)
    31.6
    """
    x, y = np.log(np.asarray(list(sizes), float)), np.asarray(list(values), float)
    under = np.flatnonzero(y < level)
    if not len(under):
        return np.inf
    k = under[0]
    if k == 0:
        return float(np.exp(x[0]))
    share = (y[k - 1] - level) / (y[k - 1] - y[k])
    return float(np.exp(x[k - 1] + share * (x[k] - x[k - 1])))


def power_laws(table: pd.DataFrame, low: int, high: int) -> pd.DataFrame:
    """Return slope and R^2 of dB on log10 size between two sizes, a row a method and repeat."""
    rows = []
    chosen = table[table["size"].between(low, high)]
    for (method, repeat), run in chosen.groupby(["method", "repeat"], sort=False):
        if len(run) > 2:
            x = np.log10(run["size"].astype(float))
            line = np.polyfit(x, run.snr_db, 1)
            left, whole = np.var(run.snr_db - np.polyval(line, x)), np.var(run.snr_db)
            rows.append((method, repeat, line[0], 1 - left / whole if whole else 0.0))
    return pd.DataFrame(rows, columns=["method", "repeat", "slope", "r2"])


def gains(results: Any, sweep: str, value: str = "true_snr_db") -> pd.DataFrame:
    """Return ``value`` in ``sweep`` less that in the square one, a row a paired run."""
    base, other = snrs(results, "square"), snrs(results, sweep)
    both = other.merge(base, on=["size", "method", "repeat"], suffixes=("", "_square"))
    return both.assign(gain_db=both[value] - both[f"{value}_square"])


def published(p: Parameters, sweep: str) -> pd.DataFrame | None:
    """Return the source's points among the sizes of a run, or None where they do not apply."""
    if not as_in_text(p):
        return None
    table = source_points(sweep)
    return table[table["size"].between(min(p.sizes), max(p.sizes)) & table["method"].ne(CONTROL)]


def control(results: Any, sweeps: Iterable[str] = tuple(FIGURES)) -> pd.DataFrame:
    """Return the runs of least squares, of all figures or some."""
    table = pd.concat([snrs(results, sweep, control=True) for sweep in sweeps])
    return table[table.method == CONTROL]


def effects(results: Any) -> pd.DataFrame:
    """Return what each change gives in dB of true SNR: methods by changes and checked sizes.

    Medians over the repeats; against the square sweep as in the text.
    """
    table = pd.concat(
        [gains(results, sweep).assign(change=name) for name, sweep in CHANGES.items()]
    )
    table = table[table["size"].isin(snrs(results, "square, no bias")["size"])]
    gained = table.groupby(["method", "change", "size"]).gain_db.median()
    return gained.unstack(["change", "size"])[list(CHANGES)]


def effect_rows(table: pd.DataFrame) -> list[list[str]]:
    """Return the effects as rows of text, the sizes side by side in a cell."""
    words = table.map(lambda db: "diverges" if db == -np.inf else signed(db))
    return [
        [str(name), *(" / ".join(row[change]) for change in CHANGES)]
        for name, row in words.iterrows()
    ]


def moved(table: pd.DataFrame, change: str) -> str:
    """Say from where to where a change moves the methods that do not diverge, and at which size."""
    found = table[change].stack()
    found = found[np.isfinite(found)]
    ends = ((found[at], *at) for at in (found.idxmin(), found.idxmax()))
    return " to ".join(f"{signed(db)} dB ({method} at {size})" for db, method, size in ends)


def signed(value: float, form: str = "+.1f") -> str:
    """Write a number with a true minus sign, and zero without any.

    Examples
    --------
    >>> signed(-1.25), signed(3), signed(-0.04)
    ('−1.2', '+3.0', '0.0')
    """
    text = f"{value:{form}}"
    return text.replace("-", "−") if float(text) else text.lstrip("+-")


def movie(results: Any, sweep: str) -> tuple[pd.DataFrame, np.ndarray]:
    """Return one sweep's frames, families side by side, and the singular values of s Phi."""
    frames, target = (results.table(name) for name in ("movie", "movie_matrix"))
    order = {method: k for k, method in enumerate(sum(FAMILIES, ()))}
    frames = frames[frames.sweep.eq(sweep)].sort_values(
        ["method", "step"],
        key=lambda column: column.map(order) if column.name == "method" else column,
    )
    return frames, target[target.sweep.eq(sweep)].singular_value.to_numpy()


def movie_numbers(frames: pd.DataFrame) -> pd.DataFrame:
    """Return the loss, the error's rms and every singular value of each frame, one in a row."""
    tenths = np.stack(list(frames.log10_error)).astype(float)
    values = np.stack(list(frames.singular_values))
    table = frames[["method", "step"]].reset_index(drop=True)
    table["loss"] = 10.0 ** frames.log10_loss.to_numpy(float)
    table["rms_error"] = np.sqrt((10 ** (tenths / 5)).mean(1))
    names = [f"singular_value_{k + 1}" for k in range(values.shape[1])]
    return table.join(pd.DataFrame(values, columns=names))


def movie_end(frames: pd.DataFrame) -> str:
    """Say which methods end with the smallest and the largest errors."""
    table = movie_numbers(frames)
    last = table[table.step == table.step.max()].set_index("method").rms_error.sort_values()
    best, worst = (
        ", ".join(f"{name} ({number(value, 1)})" for name, value in rows.items())
        for rows in (last.head(3), last.tail(3)[::-1])
    )
    return (
        f"After {table.step.max()} steps the error is smallest with {best} and "
        f"largest with {worst}."
    )


def _at(table: pd.DataFrame, size: int, kind: str = "snr_db") -> dict[str, pd.Series]:
    """Return the SNR of every repeat at one size, by method."""
    return {name: run[kind] for name, run in table[table["size"] == size].groupby("method")}


def _if_high(size: int, word: Word) -> Word:
    return word if size >= HIGH else "undecided"


def _all(values: Iterable[Iterable[float]], threshold: float) -> Word:
    return together(*(below(one, threshold) for one in values))


def _span(values: Iterable[float], unit: str = "dB") -> str:
    """Write a median with its interval, or with nothing where there is none."""
    found = median_interval(values)
    text = signed(found.median, ".1f")
    if np.isfinite(found.low):
        text += f" ({signed(found.low, '.1f')} to {signed(found.high, '.1f')})"
    return f"{text} {unit}"


def _listed(values: pd.Series) -> str:
    words = ", ".join(f"{name} {signed(value, '.1f')}" for name, value in values.items())
    return words.replace("inf", "∞")


def _by_size(table: pd.DataFrame) -> pd.DataFrame:
    """Return the median gain over the repeats, methods by sizes."""
    return table.groupby(["method", "size"]).gain_db.median().unstack()


def _placed(gain: pd.DataFrame, at: pd.Series, least: float) -> tuple[int, str]:
    """Return how many methods change by ``least`` dB or more at their size in ``at``, and which."""
    found = pd.Series({name: gain.loc[name, size] for name, size in at.items()})
    found = found[found.abs() >= least].sort_values(key=abs, ascending=False)
    return len(found), ", ".join(f"{name} {signed(db)} at {at[name]}" for name, db in found.items())


# --- the claims ----------------------------------------------------------------------------------


def _poor(results: Any) -> Verdict:
    """Test a: a true SNR below 10 dB leaves more than a tenth of the energy of y."""
    table = snrs(results, "square")
    top = table["size"].max()
    last = table[table["size"] == top]
    text, true = (medians(last, kind).loc[top].sort_values() for kind in KINDS)
    limit = 10
    word = _all(_at(table, top, "true_snr_db").values(), limit)
    return Verdict(
        _if_high(top, word),
        f"At {top} x {top} the best is {text.index[-1]} with {text.iloc[-1]:.1f} dB by the text's "
        f"SNR, and {true.index[-1]} with {true.iloc[-1]:.1f} dB by the true one; the "
        f"median method has {text.median():.1f} and {true.median():.1f} dB (medians of "
        f"{last.repeat.nunique()} matrices; asked of every method: below {limit} dB by the true "
        f"SNR; by the text's {(text < limit).sum()} of {len(text)} would pass).",
    )


def _least_squares(results: Any) -> Verdict:
    """Test b: above 100 dB everywhere, and at least 100 times less data everywhere."""
    least = 100
    runs = control(results)
    samples = int((runs.batches * runs.batch_size).max())
    ratio = samples / (2 * runs.m)
    words = [above(one.snr_db, least) for _, one in runs.groupby(["sweep", "size"])]
    words += ["holds" if r >= least else "fails" for r in (ratio.max(), ratio.min())]
    return Verdict(
        together(*words),
        f"Over all sizes and sweeps least squares on 2M samples reaches at least "
        f"{runs.snr_db.min():.0f} dB by the text's SNR. The gradient methods see {samples:,} "
        f"samples: {number(ratio.max(), 3)} times as many at the smallest M, "
        f"{number(ratio.min())} times at the largest (asked: above {least} dB, and {least} times "
        "or more, everywhere).",
    )


def _variance(results: Any) -> Verdict:
    """Test c: the spread between methods, beside the spread between matrices."""
    spreads, ratios, far, more = [], [], 10, 3
    for sweep in ("square", "fat", "skinny"):
        for _, rows in snrs(results, sweep).groupby("size"):
            by_method = rows.groupby("method").snr_db
            spreads.append(by_method.median().max() - by_method.median().min())
            within_one = by_method.std().median()
            ratios.append(by_method.median().std() / max(within_one, 1e-3))
    return Verdict(
        together(above(spreads, far), above(ratios, more)),
        f"Best less worst method, at one size: {_span(spreads)} by the text's SNR (median over "
        f"{len(spreads)} sizes of three sweeps). The standard deviation between methods is "
        f"{number(float(np.median(ratios)))} times that between matrices (asked: above {far} dB, "
        f"and above {more} times).",
    )


def _bias(results: Any) -> Verdict:
    """Test d: without a bias the true SNR changes by less than 1 dB, for each method and size."""
    table, limit = gains(results, "square, no bias"), 1
    gain = _by_size(table)
    word = _all([abs(run.gain_db) for _, run in table.groupby(["method", "size"])], limit)
    many, each = _placed(gain, gain.abs().idxmax(axis=1), limit)
    return Verdict(
        word,
        f"True SNR without the bias less that with it, medians over matrices at sizes "
        f"{', '.join(map(str, gain))}: {many} of {len(gain)} methods change by {limit} dB or more "
        f"at one size at least{f' (most in dB: {each})' if each else ''}; of the {gain.size} "
        f"medians {(gain.abs() < limit).to_numpy().sum()} change by less (asked: all).",
    )


def _enough_batches(results: Any) -> Verdict:
    """Test e: four times the batches give less than 3 dB, but for SGD and ASGD, the slow cases."""
    table, limit, slow = gains(results, "square, 4 x batches"), 3, ["SGD", "ASGD"]
    gain = _by_size(table)
    fast = table[~table.method.isin(slow)]
    word = _all([run.gain_db for _, run in fast.groupby(["method", "size"])], limit)
    many, each = _placed(gain.clip(lower=0), gain.idxmax(axis=1), limit)
    return Verdict(
        word,
        f"Four times the batches give {limit} dB or more of true SNR, at one size at least, to "
        f"{many} of {len(gain)} methods{f' (most in dB: {each})' if each else ''}; medians over "
        f"matrices, sizes {', '.join(map(str, gain))} (asked of all but {' and '.join(slow)}: less "
        f"than {limit} dB at each).",
    )


def _test_is_train(results: Any) -> Verdict:
    """Test f: the loss on samples before they are learned from, and on fresh ones."""
    table, near = gains(results, "square, training loss", "snr_db"), 0.5
    gain = _by_size(table)
    _, farthest = _placed(gain, gain.abs().idxmax(axis=1), gain.abs().max(axis=None))
    return Verdict(
        within(table.gain_db, -near, near),
        f"The text's SNR on the training samples less that on fresh ones: {_span(table.gain_db)} "
        f"(median of {len(table)} runs; asked: within {near} dB; the farthest median of a method "
        f"at one size: {farthest}). In one pass a training sample is fresh when its loss is taken.",
    )


def _power_law(results: Any) -> Verdict:
    """Test g: most methods have R^2 above 0.9 and a negative slope from rank 8 to 520."""
    straight, low, high = 0.9, 8, 520
    fits = power_laws(snrs(results, "fat"), low, high)
    good = fits.assign(good=(fits.r2 > straight) & (fits.slope < 0)).groupby("repeat").good.sum()
    methods = fits.method.nunique()
    slope = fits.groupby("method").slope.median()
    r2 = fits.groupby("method").r2.median().sort_values()
    return Verdict(
        above(good, methods / 2),
        f"For {good.median():.0f} of {methods} methods a straight line of dB on log M has "
        f"$R^2 > {straight}$ and falls, by the text's SNR from rank {low} to {high}; slopes from "
        f"{signed(slope.min(), '.0f')} to {signed(slope.max(), '.0f')} dB a decade, lowest $R^2$: "
        f"{_listed(r2.head(2).round(2))} (asked: more than half of the methods).",
    )


def _rprop_transition(results: Any) -> Verdict:
    """Test h: above 90 dB up to rank 32; from 80 to 40 dB within a factor of 2, near 60."""
    runs = snrs(results, "fat").query("method == 'Rprop'").sort_values("size")
    rank, great, near, sharp = 32, 90, (50, 75), 2
    low = runs[runs["size"] <= rank].snr_db
    curves = [(run["size"], run.snr_db) for _, run in runs.groupby("repeat")]
    where = [crossing(*curve, 70) for curve in curves]
    width = [crossing(*curve, 40) / crossing(*curve, 80) for curve in curves]
    return Verdict(
        together(above(low, great), within(where, *near), below(width, sharp)),
        f"By the text's SNR Rprop has {_span(low)} up to rank {rank} (asked: above {great}); it "
        f"falls through 70 dB at M = {_span(where, '')}(asked: {near[0]} to {near[1]}) and from 80 "
        f"to 40 dB within a factor of {np.median(width):.2f} (asked: below {sharp}).",
    )


def _asgd(results: Any) -> Verdict:
    """Test i: rises and falls by more than half a dB, by the text's SNR."""
    runs = snrs(results, "fat").query("method == 'ASGD'").sort_values("size")
    rise, fall, true_fall, least = [], [], [], 0.5
    for _, run in runs.groupby("repeat"):
        rise.append(run.snr_db.max() - run.snr_db.iloc[0])
        fall.append(run.snr_db.max() - run.snr_db.iloc[-1])
        true_fall.append(run.true_snr_db.max() - run.true_snr_db.iloc[-1])
    ends = runs.groupby("size").true_snr_db.median()
    return Verdict(
        together(above(rise, least), above(fall, least)),
        f"By the text's SNR ASGD rises by {_span(rise)} and falls by {_span(fall)} (asked: above "
        f"{least} dB each). By the true SNR it goes from {signed(ends.iloc[0], '.1f')} to "
        f"{signed(ends.iloc[-1], '.1f')} dB, {np.median(true_fall):.1f} dB down again at the end.",
    )


def _skinny(results: Any) -> Verdict:
    """Test j, by either SNR: above 15 dB at the lowest N only Adam, AdamW; 8 at the top Adagrad."""
    table = snrs(results, "skinny")
    low, top = table["size"].min(), table["size"].max()
    fair, good, some, somewhat = 15, ("Adam", "AdamW"), ("Adagrad",), 8
    words = []
    for kind in KINDS:
        first, last = _at(table, low, kind), _at(table, top, kind)
        words += [_stands_out(name in good, run, fair) for name, run in first.items()]
        words += [
            _if_high(top, _stands_out(name in some, run, somewhat)) for name, run in last.items()
        ]
    text, true = (
        [medians(table, kind).loc[size].sort_values(ascending=False).head(4) for size in (low, top)]
        for kind in KINDS
    )
    return Verdict(
        together(*words),
        f"Best in dB by the text's SNR: {_listed(text[0])} at N = {low}; {_listed(text[1])} at "
        f"N = {top}. By the true one: {_listed(true[0])}; {_listed(true[1])} (asked, by either "
        f"SNR: {' and '.join(good)} alone above {fair} dB at N = {low}, {' and '.join(some)} "
        f"alone above {somewhat} dB at N = {top}).",
    )


def _stands_out(expected: bool, run: pd.Series, level: float) -> Word:
    return above(run, level) if expected else below(run, level)


def _small_square(results: Any) -> Verdict:
    """Test k: all above 20 dB up to size 8; at each size up to 32 Rprop is first, Adam second."""
    table, tiny, most, well = snrs(results, "square"), 8, 32, 20
    small = table[table["size"] <= tiny]
    ranked = table[table["size"] <= most]
    rank = ranked.groupby(["size", "repeat"]).snr_db.rank(ascending=False)
    sizes = ranked["size"]
    first, second = (
        [within(places, *limits) for _, places in rank[ranked.method == name].groupby(sizes)]
        for name, limits in (("Rprop", (1, 1)), ("Adam", (1, 2)))
    )
    middle = medians(ranked)
    lead = middle.Rprop - middle.Adam
    worst = small.groupby("method").snr_db.median().sort_values()
    return Verdict(
        together(*(above(run.snr_db, well) for _, run in small.groupby("method")), *first, *second),
        f"By the text's SNR the worst method up to size {tiny} is {worst.index[0]} with "
        f"{worst.iloc[0]:.1f} dB (asked: above {well}). Of {len(first)} sizes up to {most} Rprop "
        f"is first at {first.count('holds')} and Adam among the first two at "
        f"{second.count('holds')} (asked: at all); Rprop less Adam: "
        f"{signed(lead.iloc[0], '.0f')} dB at size {lead.index[0]}, "
        f"{signed(lead.iloc[-1], '.0f')} dB at size {lead.index[-1]}.",
    )


def _large_square(results: Any) -> Verdict:
    """Test l: at the largest size all are within 3 dB of 0 but Lion, which is below and diverges.

    A loss that diverges grows at least half as many dB in the second half as in the first.
    """
    table = snrs(results, "square")
    top = table["size"].max()
    last = _at(table, top)
    others = {name: run for name, run in last.items() if name != "Lion"}
    early, late = _growth(results, "Lion", top)
    near, grown = 3, 0.5
    grows = late > grown and late > early / 2
    words = [within(run, -near, near) for run in others.values()]
    words += [below(last["Lion"], 0), "holds" if grows else "fails"]
    far = pd.Series({name: run.median() for name, run in others.items()}).sort_values()
    return Verdict(
        _if_high(top, together(*words)),
        f"At {top} x {top}, by the text's SNR: Lion {_span(last['Lion'])} (asked: below 0); the "
        f"others from {signed(far.iloc[0], '.1f')} dB ({far.index[0]}) to "
        f"{signed(far.iloc[-1], '.1f')} dB ({far.index[-1]}) (asked: within {near} of 0). Lion's "
        f"loss grows by {signed(early, '.1f')} dB in the first half of the run and by "
        f"{signed(late, '.1f')} dB in the second (asked: by more than {grown} and than half of "
        "the first): "
        + ("it diverges." if grows else "it comes to rest on a floor, and does not diverge."),
    )


def _growth(results: Any, method: str, size: int) -> tuple[float, float]:
    """Return by how many dB the loss grows over the first and the second half of the run."""
    curves = results.table("curves")
    run = curves[curves.sweep.eq("square") & curves.method.eq(method) & curves["size"].eq(size)]
    run = run.sort_values("step")
    start, middle = np.interp([1, run.step.max() / 2], run.step, run.log10_loss)
    return float(10 * (middle - start)), float(10 * (run.log10_loss.tail(4).mean() - middle))


def _no_decay(results: Any) -> Verdict:
    """Test m: up to size 32 Adagrad, Adamax and RAdam gain more than 20 dB, three less than 3."""
    most, much, little = 32, 20, 3
    gainers, others = ("Adagrad", "Adamax", "RAdam"), ("SGD", "Lion", "RMSprop")
    table = gains(results, "square, no weight decay", "snr_db")
    table = table[table["size"] <= most]
    groups = {at: run.gain_db for at, run in table.groupby(["method", "size"])}
    words = [above(run, much) for (name, _), run in groups.items() if name in gainers]
    words += [below(abs(run), little) for (name, _), run in groups.items() if name in others]
    gain = _by_size(table)
    rest = gain.drop([*gainers, *others])
    _, more = _placed(rest.clip(lower=0), rest.idxmax(axis=1), much)
    return Verdict(
        together(*words),
        f"Gain by the text's SNR without weight decay, medians at one size up to {most}, in dB: at "
        f"least {_listed(gain.loc[list(gainers)].min(axis=1))} (asked: above {much} at each); at "
        f"most {_listed(gain.loc[list(others)].abs().max(axis=1))} either way (asked: below "
        f"{little}){f'. The most of others: {more}' if more else ''}. Adam and Rprop never had "
        "any.",
    )


def _claim(
    letter: str,
    sentence: str,
    source: str,
    test: Callable[[Any], Verdict],
    *,
    within: tuple[int, int] = (0, 10**9),
    sizes: int = 1,
) -> Claim:
    """Return a claim that stays undecided where it lacks methods, or ``sizes`` sizes ``within``."""

    def guarded(results: Any) -> Verdict:
        table = snrs(results, "square")
        missing = sorted(set(METHODS) - set(table.method))
        if missing:
            return Verdict("undecided", f"Not run: {', '.join(missing)}.")
        if table["size"][table["size"].between(*within)].nunique() < sizes:
            return Verdict("undecided", f"It needs {sizes} or more sizes from {within}.")
        return test(results)

    return Claim(f"d1-1-{letter}", sentence, source, guarded)


CLAIMS = (
    _claim("a", "In high dimension every optimizer works very poorly.", "take-away 1", _poor),
    _claim(
        "b",
        "Least squares works everywhere, with orders of magnitude less data.",
        "take-away 2",
        _least_squares,
    ),
    _claim("c", "The methods differ much from each other.", "take-away 3", _variance),
    _claim("d", "The bias does not affect the results.", "training details", _bias),
    _claim(
        "e",
        "500 batches are enough but for a few slow cases (SGD).",
        "training details",
        _enough_batches,
    ),
    _claim("f", "Test and training loss are the same.", "training details", _test_is_train),
    _claim(
        "g",
        "Fat matrices: for most methods the SNR falls with the rank as a power law.",
        "first figure",
        _power_law,
        within=(8, 520),
        sizes=3,
    ),
    _claim(
        "h",
        "Fat matrices: Rprop is great at low rank and has a sharp transition around 60.",
        "first figure",
        _rprop_transition,
        within=(2, 32),
    ),
    _claim("i", "Fat matrices: ASGD is not monotonic in the rank.", "first figure", _asgd),
    _claim(
        "j",
        "Skinny matrices: Adam and AdamW are fair at low N, Adagrad somewhat good at high N, the "
        "rest not.",
        "second figure",
        _skinny,
    ),
    _claim(
        "k",
        "Square matrices: all work very well when small; Rprop stands out, Adam is a close second.",
        "third figure",
        _small_square,
        within=(2, 8),
    ),
    _claim(
        "l",
        "At 1000 x 1000 all come down to about 0 dB, except Lion, which diverges.",
        "third figure",
        _large_square,
    ),
    _claim(
        "m",
        "Without weight decay Adagrad, Adamax and RAdam gain tens of dB on small matrices, and "
        "SGD, Lion and RMSprop nothing.",
        "fourth figure, read by us",
        _no_decay,
        within=(2, 32),
    ),
)
