"""Findings of the chapter `egop_spectra`: where spectra step, how dense eigenvectors are."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from hdnotes.claims import Claim, Verdict, Word, above, below, quoted, within
from hdnotes.claims import together as all_of
from hdnotes.experiments.egop_spectra import DIGITS_PARAMETERS, WIDTHS, XAVIER
from hdnotes.wording import number

RUN = ["rho", "inputs", "trial"]
#: Fig. 2's law, if the chapter was run with it.
STANDARD = "N(0, 1²)"
#: Indices between which each step is looked for: a factor of 1.5 around 32 to 64, and around 320.
FIRST, SECOND = (21, 96), (213, 480)
#: Stretches in which the decay is fitted: up to either shelf's end, and two of what is behind them.
STRETCHES = ((1, 41), (42, 320), (321, 1000), (1001, 1900))
#: Shares of a block's size at which block spectra are compared.
SHARES = np.geomspace(0.005, 0.5, 40)
#: Decades within which two spectra are similar, and the factor that this is.
SIMILAR = 0.5
#: How many of the leading eigenvectors are several.
SEVERAL = 5


def expanded(parts: pd.DataFrame, by: Sequence[str]) -> pd.DataFrame:
    """Return all eigenvalues of symmetric estimates: ``by``, k and eigenvalue, in order of k."""
    parts = parts.reset_index(drop=True)
    rows = parts.loc[parts.index.repeat(parts.times), [*by, "eigenvalue"]]
    rows = rows.sort_values([*by, "eigenvalue"], ascending=[True] * len(by) + [False])
    return rows.assign(k=rows.groupby(list(by)).cumcount() + 1).reset_index(drop=True)


def symmetric_spectra(results: Any) -> pd.DataFrame:
    """Return every eigenvalue of the digits network, estimated with the units' symmetry."""
    return expanded(results.table("symmetric"), RUN)


def step(spectrum: pd.DataFrame, window: tuple[int, int]) -> tuple[float, float]:
    """Return the k in a window after which a spectrum falls most, and lambda_k / lambda_(k+1).

    Rows are consecutive in k as far as the window reaches; not a number where they end before.

    Examples
    --------
    >>> step(pd.DataFrame({"k": [1, 2, 3, 4], "eigenvalue": [8.0, 7.0, 1.0, 0.9]}), (1, 3))
    (2.0, 7.0)
    """
    values = spectrum.set_index("k").eigenvalue
    ratio = values / values.shift(-1)
    seen = ratio[(ratio.index >= window[0]) & (ratio.index <= window[1])]
    if len(values) <= window[1] or not seen.notna().all():
        return np.nan, np.nan
    return float(seen.idxmax()), float(seen.max())


def steps(results: Any) -> pd.DataFrame:
    """Return both steps of every draw of rho, by the plain and by the symmetric estimate."""
    rows = []
    for name, table in (
        ("plain", results.table("spectrum")),
        ("symmetric", symmetric_spectra(results)),
    ):
        for run, spectrum in table.groupby(RUN, sort=False):
            first, second = step(spectrum, FIRST), step(spectrum, SECOND)
            rows.append((*run, name, *first, *second))
    columns = [*RUN, "estimate", "first", "first_drop", "second", "second_drop"]
    return pd.DataFrame(rows, columns=columns)


def predicted_steps(data: str) -> tuple[int, int]:
    """Return h + C - 1 and h C, where one leading direction of the images puts the steps.

    Examples
    --------
    >>> predicted_steps("digits"), predicted_steps("Fashion")
    ((41, 320), (23, 80))
    """
    _, hidden, classes = WIDTHS[data]
    return hidden + classes - 1, hidden * classes


def laws(table: pd.DataFrame) -> list[str]:
    """Return the laws rho that raw inputs were run with, in their order."""
    return list(dict.fromkeys(table[table.inputs == "raw"].rho))


def at_law(table: pd.DataFrame, law: str, inputs: str = "raw") -> pd.DataFrame:
    """Return the rows of one law rho and kind of inputs."""
    return table[(table.rho == law) & (table.inputs == inputs)]


def standard_law(table: pd.DataFrame) -> str:
    """Return Fig. 2's rho = N(0, 1), or the first law there is where that was not run."""
    return STANDARD if STANDARD in set(table.rho) else laws(table)[0]


def standard(table: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of `standard_law`."""
    return at_law(table, standard_law(table))


def at_index(spectrum: pd.DataFrame, k: int) -> pd.Series:
    """Return lambda_k / lambda_1 of each draw."""
    return spectrum[spectrum.k == k].set_index("trial").eigenvalue


def rank(parts: pd.DataFrame) -> pd.Series:
    """Return how many eigenvalues of each draw are not rounding, of the symmetric estimate."""
    alive = parts[parts.eigenvalue > 1e-20]
    return alive.groupby(RUN).times.sum()


def fits(spectrum: pd.DataFrame, window: tuple[int, int]) -> pd.DataFrame:
    """Return R^2 of log lambda_k on k (exponential) and on log k (power), a row a draw.

    A stretch of equal eigenvalues has no decay, which neither law explains: 0.
    """
    rows = []
    for _, one in spectrum.groupby("trial"):
        seen = one[one.k.between(*window)]
        y, laws = np.log(seen.eigenvalue), (seen.k, np.log(seen.k))
        rows.append([np.corrcoef(x, y)[0, 1] ** 2 if np.ptp(y) else 0.0 for x in laws])
    return pd.DataFrame(rows, columns=["exponential", "power"])


def block_spectra(results: Any) -> pd.DataFrame:
    """Return every eigenvalue of each block, by the symmetric estimate."""
    return expanded(results.table("block_symmetric"), ["data", "layer", "trial"])


def _roots(spectrum: pd.DataFrame) -> float:
    """Return the stable rank over the number of eigenvalues."""
    return float(np.sqrt(spectrum.eigenvalue.clip(lower=0)).sum() / len(spectrum))


def _at_share(spectrum: pd.DataFrame, shares: np.ndarray) -> np.ndarray:
    values = spectrum.sort_values("k").eigenvalue.to_numpy()
    return values[np.maximum(np.ceil(shares * len(values)).astype(int) - 1, 0)]


def block_summary(results: Any) -> pd.DataFrame:
    """Return a row a block and draw: lambda at a tenth of its size, and sr over its size."""
    rows = []
    for (data, layer, trial), one in block_spectra(results).groupby(["data", "layer", "trial"]):
        if layer != "both":
            tenth = _at_share(one, np.array([0.1]))[0]
            rows.append((data, layer, trial, tenth, _roots(one)))
    return pd.DataFrame(rows, columns=["data", "layer", "trial", "tenth", "rank_share"])


def block_falls(results: Any, between: tuple[float, float]) -> dict[tuple[str, str], float]:
    """Return by how many decades each block's spectrum falls between two shares of its size.

    The median over draws, by data set and layer; a share of 0 is the largest eigenvalue.
    """
    rows = [
        (data, layer, -float(np.diff(np.log10(_at_share(one, np.array(between)).clip(1e-20)))[0]))
        for (data, layer, _), one in block_spectra(results).groupby(["data", "layer", "trial"])
        if layer != "both"
    ]
    table = pd.DataFrame(rows, columns=["data", "layer", "decades"])
    return table.groupby(["data", "layer"], sort=False).decades.median().to_dict()


def told_falls(results: Any, layer: str, share: float) -> str:
    """Return how far a layer's spectra have fallen at a share of the block, in words."""
    falls = block_falls(results, (0.0, share))
    return " and ".join(
        f"{number(decades)} ({data})" for (data, at), decades in falls.items() if at == layer
    )


def least_alive(results: Any) -> dict[str, float]:
    """Return the least eigenvalue of the second layer that is not rounding, over the largest."""
    blocks = block_spectra(results).query("layer == '2' and eigenvalue > 1e-20")
    least = blocks.groupby(["data", "trial"]).eigenvalue.min()
    return least.groupby("data").median().to_dict()


def block_distance(results: Any) -> pd.DataFrame:
    """Return, for each layer and draw, how far the two data sets' spectra are apart, in decades.

    The median over shares k/size from 0.005 to 0.5 of the distance of the two log10 eigenvalues.
    """
    found = {
        key: np.log10(_at_share(one, SHARES).clip(1e-20))
        for key, one in block_spectra(results).groupby(["data", "layer", "trial"])
    }
    rows = [
        (layer, trial, float(np.median(abs(values - found["Fashion", layer, trial]))))
        for (data, layer, trial), values in found.items()
        if data == "digits" and layer != "both" and ("Fashion", layer, trial) in found
    ]
    return pd.DataFrame(rows, columns=["layer", "trial", "decades"])


def long(table: pd.DataFrame, names: Mapping[str, str], variable: str, value: str) -> pd.DataFrame:
    """Return some columns of a table under one another, by k and trial, under the given names."""
    kept = table[["k", "trial", *names]].rename(columns=dict(names))
    return kept.melt(["k", "trial"], list(names.values()), variable, value)


def basis_ratios(results: Any) -> pd.DataFrame:
    """Return the symmetric basis's summed scale over the plain one's, a row a draw and M/d."""
    table = results.table("samples")
    both = table[table["count"] > 0].pivot(
        index=["fraction", "trial"], columns="basis", values="scale"
    )
    return both.assign(ratio=both.symmetric / both.plain).reset_index()


def scales(samples: pd.DataFrame) -> dict[tuple[str, str], str]:
    """Return each basis's summed scale from the fewest ("min") and the most gradients, in words."""
    return {
        (basis, end): number(float(rows.scale[rows.fraction.eq(rows.fraction.agg(end))].median()))
        for basis, rows in samples.groupby("basis")
        for end in ("min", "max")
    }


def told_steps(results: Any) -> str:
    """Return where the standard law's spectrum falls most in either window, median, in words."""
    found = standard(steps(results))
    places = (number(found[found.estimate == e][c].median(), 3) for e, c in _PLACES)
    return " and ".join(places)


def told_shelves(results: Any) -> str:
    """Say on which data the shelves stand where units and classes are counted, by the claims."""
    verbs = {
        "holds": "stand",
        "partly": "stand in part",
        "fails": "do not stand",
        "undecided": "are not seen to stand",
    }
    parts = [f"on the digits they {verbs[_arithmetic(results).verdict]} there (hd-4-b)"]
    if "Fashion" in set(results.table("block_symmetric").data):
        found = verbs[_fashion_arithmetic(results).verdict]
        parts.append(f"on Fashion-MNIST they {found} there (hd-4-c)")
    return (
        "Shelves are predicted where hidden units and classes are counted, if one direction of the "
        f"images is long: {', '.join(parts)}."
    )


# --- the claims ----------------------------------------------------------------------------------

NOTHING = Verdict("undecided", "These results hold no runs of it.")


def _decays(results: Any) -> Verdict:
    """Fig. 2: strong decay, of the law that the figure has."""
    if standard_law(results.table("spectrum")) != STANDARD:
        return NOTHING
    share = at_index(standard(results.table("spectrum")), 100)
    ranks = standard(results.table("summary")).query("estimate == 'plain'").stable_rank
    return Verdict(
        all_of(below(share, 0.1), below(ranks, DIGITS_PARAMETERS / 10)),
        rf"$\lambda_{{100}}/\lambda_1$ is {quoted(share)} (asked: below 0.1) and the stable rank "
        f"{quoted(ranks)} of {DIGITS_PARAMETERS} (asked: below a tenth).",
    )


def _exponential(results: Any) -> Verdict:
    """Fig. 2: a straight line on a logarithmic axis, in parts of the spectrum."""
    spectrum = standard(symmetric_spectra(results))
    found: dict[Word, list[str]] = {"holds": [], "fails": [], "undecided": []}
    parts = []
    for first, last in STRETCHES:
        fit, name = fits(spectrum, (first, last)), f"{first} to {last}"
        word = all_of(above(fit.exponential, 0.95), above(fit.exponential - fit.power, 0))
        found["fails" if word == "partly" else word].append(name)
        parts.append(f"{name} {quoted(fit.exponential, 3)} and {quoted(fit.power, 3)}")
    several: Word = "holds" if len(found["holds"]) > 1 else "partly"
    none: Word = "undecided" if found["undecided"] else "fails"
    told = zip(("exponential", "not", "open"), found.values(), strict=True)
    return Verdict(
        several if found["holds"] else none,
        r"Share of the variance of $\log \lambda_k$ that a line in $k$ (exponential) and one in "
        r"$\log k$ (a power law) explain, for $k$ from " + "; ".join(parts) + " (asked: above 0.95 "
        "for the exponential, and more than the power law, in two stretches or more). By this are "
        + "; ".join(f"{word}: {', '.join(names) or 'none'}" for word, names in told)
        + ".",
    )


def _every_law(results: Any) -> Verdict:
    """Fig. 6: for every other rho the decay is about that of Fig. 2's."""
    spectra, summary = results.table("spectrum"), results.table("summary")
    plain = summary[summary.estimate == "plain"]
    base = standard(spectra).rho.iloc[0]
    share, rank = (
        {law: values(at_law(table, law)) for law in laws(spectra)}
        for table, values in (
            (spectra, lambda rows: at_index(rows, 100)),
            (plain, lambda rows: rows.set_index("trial").stable_rank),
        )
    )
    words, parts = [], []
    for law in share:
        if law != base:
            apart = np.log10(share[law] / share[base].median())
            ratio = rank[law] / rank[base].median()
            words += [within(apart, -SIMILAR, SIMILAR), within(ratio, 2 / 3, 3 / 2)]
            parts.append(f"{law} {quoted(10**apart)} and {quoted(ratio)}")
    if not words:
        return NOTHING
    return Verdict(
        all_of(*words),
        rf"$\lambda_{{100}}/\lambda_1$ and stable rank are {quoted(share[base])} and "
        f"{quoted(rank[base])} at {base}. Over these, the other laws have "
        + "; ".join(parts)
        + " (asked: half a decade, 0.32 to 3.2, and 2/3 to 3/2).",
    )


def _shelves(results: Any) -> Verdict:
    """Fig. 6: the shelves stay where they are."""
    found = steps(results)
    words, parts = [], []
    base = found[found.inputs == "raw"]
    common = {c: standard(base[base.estimate == e])[c].median() for e, c in _PLACES}
    for law in laws(found):
        rows = at_law(found, law)
        first, second = (rows[rows.estimate == e][c] for e, c in _PLACES)
        for values, at in zip((first, second), common.values(), strict=True):
            words.append(within(values, 0.9 * at, 1.1 * at))
        parts.append(f"{law} $k$ = {quoted(first)} and {quoted(second, 3)}")
    return Verdict(
        all_of(*words),
        rf"The largest ratio $\lambda_k/\lambda_{{k+1}}$ for $k$ in {FIRST[0]} to {FIRST[1]} "
        f"(plain estimate) and in {SECOND[0]} to {SECOND[1]} (symmetric estimate) stands at: "
        + "; ".join(parts)
        + " (asked: within a tenth of the same place).",
    )


_PLACES = (("plain", "first"), ("symmetric", "second"))


def _arithmetic(results: Any) -> Verdict:
    """Ours: h + C - 1 and h C."""
    found = steps(results).query("inputs == 'raw' and estimate == 'symmetric'")
    places = predicted_steps("digits")
    words = [
        within(rows[column], place, place)
        for _, rows in found.groupby("rho")
        for column, place in zip(("first", "second"), places, strict=True)
    ]
    drops = [found.groupby("rho")[c].median() for c in ("first_drop", "second_drop")]
    return Verdict(
        all_of(*words),
        f"Predicted {places[0]} and {places[1]}; found at exactly these by the symmetric estimate "
        f"in {(found['first'] == places[0]).sum()} and {(found.second == places[1]).sum()} of "
        f"{len(found)} draws, where the spectrum falls by factors of {number(drops[0].min())} to "
        f"{number(drops[0].max())} and {number(drops[1].min())} to {number(drops[1].max())} "
        "(medians of the laws).",
    )


def _fashion_arithmetic(results: Any) -> Verdict:
    """Ours: the same prediction for another network and data set."""
    spectra = block_spectra(results).query("layer == 'both' and data == 'Fashion'")
    if spectra.empty:
        return NOTHING
    places = predicted_steps("Fashion")
    windows = [(place // 2, 2 * place) for place in places]
    found = [[step(one, w)[0] for _, one in spectra.groupby("trial")] for w in windows]
    ours, digits = (_directions(results, data) for data in ("Fashion", "digits"))
    return Verdict(
        all_of(*(within(f, place, place) for f, place in zip(found, places, strict=True))),
        f"Predicted {places[0]} and {places[1]}; the largest steps within a factor of 2 of them "
        f"are at {quoted(found[0])} and {quoted(found[1])}. Its first layer alone falls most after "
        f"{quoted(ours)} times $h$ eigenvalues, that of the digits after {quoted(digits)} times "
        "$h$: more than one direction of these images is long.",
    )


def _directions(results: Any, data: str) -> list[float]:
    """Return k/h at the largest step of the first layer's block, for k from h/2 to 4 h."""
    hidden = WIDTHS[data][1]
    blocks = block_spectra(results).query(f"layer == '1' and data == {data!r}")
    window = (hidden // 2, 4 * hidden)
    return [step(one, window)[0] / hidden for _, one in blocks.groupby("trial")]


def _null_space(results: Any) -> Verdict:
    """Ours: pixels that are always 0, and the softmax's blindness to a common shift."""
    found = rank(results.table("symmetric"))
    dead = results.table("summary").groupby(RUN).dead.first()
    _, hidden, _ = WIDTHS["digits"]
    predicted = DIGITS_PARAMETERS - hidden * dead - (hidden + 1)
    raw = found.index.get_level_values("inputs") == "raw"
    return Verdict(
        within((found - predicted)[raw], 0, 0),
        f"Rank {quoted(found[raw], 4)}, predicted {predicted[raw].max():.0f}: "
        f"{DIGITS_PARAMETERS} less {hidden} weights for each of {dead[raw].max():.0f} pixels that "
        f"are 0 in every image, less {hidden + 1} shifts that the softmax does not see.",
    )


def _standardised(results: Any) -> Verdict:
    """Ours, a control: without a dominating mean image there is no first step."""
    place = predicted_steps("digits")[0]
    spectra = symmetric_spectra(results)
    drops, ranks = {}, {}
    for inputs in ("raw", "standardised"):
        one = at_law(spectra, XAVIER, inputs)
        drops[inputs] = at_index(one, place) / at_index(one, place + 1)
        ranks[inputs] = [_roots(t) * len(t) for _, t in one.groupby("trial")]
    return Verdict(
        all_of(
            above(drops["raw"], 3),
            below(drops["standardised"], 1.5),
            above(np.divide(ranks["standardised"], ranks["raw"]), 2),
        ),
        rf"$\lambda_{{{place}}}/\lambda_{{{place + 1}}}$ is {quoted(drops['raw'])} with raw pixels "
        f"and {quoted(drops['standardised'])} with standardised ones (asked: above 3, below 1.5); "
        f"the stable rank grows from {quoted(ranks['raw'])} to {quoted(ranks['standardised'])} "
        "(asked: at least twice).",
    )


def _layers_differ(results: Any) -> Verdict:
    """Fig. 7: W1 decays far more than W2."""
    table = block_summary(results)
    words: list[Word] = ["undecided"] * (table.data.nunique() < len(WIDTHS))
    parts = []
    for data, rows in table.groupby("data", sort=False):
        both = rows.pivot(index="trial", columns="layer", values=["tenth", "rank_share"])
        tenth, share = (both[c] for c in ("tenth", "rank_share"))
        words += [below(tenth["1"] / tenth["2"], 0.1), below(share["1"] / share["2"], 0.5)]
        parts.append(
            f"{data} {quoted(tenth['1'], 1)} in the first layer and {quoted(tenth['2'], 1)} in "
            f"the second, stable rank {quoted(100 * share['1'])} and {quoted(100 * share['2'])} % "
            "of the block's size"
        )
    return Verdict(
        all_of(*words),
        r"$\lambda_k/\lambda_1$ at $k$ a tenth of the block's size: "
        + "; ".join(parts)
        + " (asked: a tenth and a half).",
    )


def _layers_alike(results: Any) -> Verdict:
    """Fig. 7: the first layer's spectrum is the same on both data sets."""
    table = block_distance(results)
    if table.empty:
        return NOTHING
    first, second = (table[table.layer == layer].decades for layer in ("1", "2"))
    falls = block_falls(results, (SHARES[0], SHARES[-1]))
    return Verdict(
        below(first, SIMILAR),
        "Median distance of the two normalised spectra at equal $k$ over size, 0.005 to 0.5: "
        f"{quoted(first)} decades in the first layer (asked: below {SIMILAR:g}), which falls over "
        f"{number(min(falls[data, '1'] for data in WIDTHS))} there; {quoted(second)} decades in "
        "the second.",
    )


def _dense(results: Any) -> Verdict:
    """Fig. 8: beta_1 d >> 1."""
    leading = results.table("leading").query("k == 1 and inputs == 'raw'")
    scaled = {law: at_law(leading, law).density * DIGITS_PARAMETERS for law in laws(leading)}
    return Verdict(
        all_of(*(above(values, 100) for values in scaled.values())),
        r"$\beta_1 d$ (asked: above 100): "
        + "; ".join(f"{law} {quoted(values)}" for law, values in scaled.items())
        + rf". In $\beta_1$ itself: {quoted(standard(leading).density)} at "
        f"{standard(leading).rho.iloc[0]}.",
    )


def _several_dense(results: Any) -> Verdict:
    """Fig. 8: several of the leading eigenvectors have a density like that of the first."""
    leading = standard(results.table("leading")).set_index(["trial", "k"]).density.unstack()
    alike = leading.drop(columns=1).ge(leading[1] / 2, axis=0)
    near = alike.loc[:, :10].sum(axis=1)
    return Verdict(
        above(alike.sum(axis=1), SEVERAL - 0.5),
        rf"Of the hundred leading eigenvectors behind $v_1$ {quoted(alike.sum(axis=1))} have a "
        rf"$\beta_k$ of at least half of $\beta_1$ (asked: {SEVERAL}), of the first nine of them "
        rf"{quoted(near)}; the least $\beta_k d$ of a hundred is "
        f"{quoted(leading.min(axis=1) * DIGITS_PARAMETERS)}.",
    )


def _not_denser_than_random(results: Any) -> Verdict:
    """Section 4.1, a control: random vectors."""
    leading = results.table("leading").query("inputs == 'raw'")
    per = leading.groupby(RUN).agg({"density": "median", "random_density": "median"})
    return Verdict(
        all_of(within(per.random_density, 0.62, 0.65), below(per.density / per.random_density, 1)),
        f"Random vectors have {quoted(per.random_density, 3)} ($2/\\pi$ is 0.637); the median of "
        f"the hundred leading eigenvectors is {quoted(per.density)}.",
    )


def _free_choice(results: Any) -> Verdict:
    """Ours: within equal eigenvalues the density is whatever one makes it."""
    leading = standard(results.table("leading"))
    shelf = leading[leading.k.between(11, predicted_steps("digits")[0])]
    per = shelf.groupby("trial")[["density", "helmert_density"]].median()
    return Verdict(
        below(per.helmert_density / per.density, 0.5),
        rf"For $k$ from 11 to {predicted_steps('digits')[0]} the estimated eigenvectors have a "
        rf"median $\beta_k$ of {quoted(per.density)}; contrasts of one hidden unit with those "
        f"before it, as good a basis of the same space, {quoted(per.helmert_density)} (asked: less "
        "than half).",
    )


def _fewer_gradients(results: Any) -> Verdict:
    """Ours: the symmetry is worth gradients."""
    table = basis_ratios(results)
    if table.fraction.nunique() < 2:
        return Verdict("undecided", "There is one $M/d$: no few gradients beside many.")
    words = [below(rows.ratio, 1) for fraction, rows in table.groupby("fraction") if fraction < 1]
    few, many = (table[table.fraction == f] for f in table.fraction.agg(["min", "max"]))
    both = few.set_index("trial").symmetric / many.set_index("trial").plain
    fold = many.fraction.iloc[0] / few.fraction.iloc[0]
    return Verdict(
        all_of(*words, below(both, 1)),
        f"Summed scale of fresh gradients over that in original coordinates: from $M$ = "
        f"{few.fraction.iloc[0]:g}$d$ gradients {quoted(few.plain, 3)} plainly and "
        f"{quoted(few.symmetric, 3)} with the symmetry; from {many.fraction.iloc[0]:g}"
        f"$d$ {quoted(many.plain, 3)} and {quoted(many.symmetric, 3)} (asked: the symmetric one "
        f"lower at every $M < d$, and from the fewest lower than the plain one from {fold:g} times "
        "as many).",
    )


CLAIMS = (
    Claim(
        "d4-4-c",
        r"The EGOP of the digits network at $\rho = N(0, 1)$ has strong spectral decay.",
        "Section 4, Fig. 2",
        _decays,
    ),
    Claim(
        "d4-4-d",
        "In regions of the spectrum the decay is roughly exponential.",
        "Section 4, Fig. 2",
        _exponential,
    ),
    Claim(
        "d4-c1-a",
        r"The level of decay is comparable for other sampling laws $\rho$.",
        "C.1, Fig. 6",
        _every_law,
    ),
    Claim(
        "d4-c1-b",
        r"The shelves among the leading eigenvalues are the same whatever $\rho$.",
        "C.1, Fig. 6",
        _shelves,
    ),
    Claim(
        "hd-4-b",
        "The shelves of the digits network end at $h + C - 1$ and $hC$ for $h$ hidden units and "
        "$C$ classes.",
        "ours",
        _arithmetic,
    ),
    Claim(
        "hd-4-c",
        "The same two sums place the shelves of the Fashion network.",
        "ours",
        _fashion_arithmetic,
    ),
    Claim(
        "hd-4-d",
        "The null space of the EGOP is that of dead pixels and of the softmax's shifts, no more.",
        "ours",
        _null_space,
    ),
    Claim(
        "hd-4-e",
        "The first shelf, and much of the decay, go with the images' mean and scale: standardised "
        "pixels have neither.",
        "ours, a control",
        _standardised,
    ),
    Claim(
        "d4-c1-c",
        "Decay persists in the blocks, and is more pronounced in the first layer than in the "
        "second on both data sets.",
        "C.1, Fig. 7",
        _layers_differ,
    ),
    Claim(
        "d4-c1-d",
        "The first layer's normalised spectrum is strikingly similar on the two data sets.",
        "C.1, Fig. 7",
        _layers_alike,
    ),
    Claim(
        "d4-c1-e",
        r"The leading eigenvector is dense: $\beta_1 d \gg 1$.",
        "Section 4, C.1, Fig. 8",
        _dense,
    ),
    Claim(
        "d4-c1-f",
        "Several of the leading eigenvectors have a similar density.",
        "C.1, Fig. 8",
        _several_dense,
    ),
    Claim(
        "hd-4-f",
        r"Random unit vectors are denser still, at $2/\pi$.",
        "Section 4.1; ours, a control",
        _not_denser_than_random,
    ),
    Claim(
        "hd-4-g",
        "Within a shelf the density is a matter of choice: equal eigenvalues have other "
        "eigenvectors of far lower density.",
        "ours",
        _free_choice,
    ),
    Claim(
        "hd-4-h",
        "An estimate that knows the hidden units' symmetry needs far fewer gradients.",
        "ours",
        _fewer_gradients,
    ),
)
