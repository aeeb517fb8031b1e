"""Findings of the chapter `egop_scalability`: what cheaper bases keep, what they cost, the claims.

What a basis keeps is the share of the full basis's gain, on the scale of the logarithm of the final
training loss: 0 is the original coordinates, 1 the full basis. Trials are paired: the same start
and batches in every basis. Times are ratios to plain Adam on the same network, measured in turns.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd

from hdnotes.claims import (
    Claim,
    Verdict,
    Word,
    above,
    below,
    quoted,
    quoted_over,
    together,
    within,
)
from hdnotes.wording import duration, in_bytes, number

#: A loss below this is not told apart from 0 in float32.
TINY = 1e-7
#: The share of the gain that counts as most of it, and the ratios of two losses that count as one.
MOST, SAME = 0.75, (2 / 3, 3 / 2)
#: Complements in words.
COMPLEMENTS = {"axes": "complement near the axes", "random": "random complement"}


class Missing(LookupError):
    """A coordinate system that was not run."""


def ends(results: Any) -> pd.DataFrame:
    """Return how each run on the digits ended, a diverged one's loss infinite."""
    return _finite(results.table("ends"))


def large_ends(results: Any) -> pd.DataFrame:
    """Return how each run of the large network ended."""
    return _finite(results.table("large_ends"))


def large_order(results: Any, shown: Sequence[str]) -> str:
    """List these coordinate systems by the median final loss of the large network's runs."""
    table = large_ends(results)
    table = table[table.learning_rate.eq(best_rate(table)) & table.coordinates.isin(shown)]
    medians = table.groupby("coordinates").final_loss.median().sort_values()
    return ", ".join(f"{name} {number(loss)}" for name, loss in medians.items())


def _finite(table: pd.DataFrame) -> pd.DataFrame:
    return table.assign(
        final_loss=table.final_loss.fillna(np.inf),
        coordinates=coordinates(table),
        trial=table.draw.astype(str) + "." + table.start.astype(str),
    )


def coordinates(table: pd.DataFrame) -> pd.Series:
    """Return the name of each row's coordinate system as figures know it."""
    names = table.basis.replace({"full": "EGOP"})
    turned = table.complement.eq("random") & table.basis.ne("random")
    return names.where(~turned, names + ", random")


def methods(table: pd.DataFrame) -> list[str]:
    """List the methods that were run."""
    return list(dict.fromkeys(table.method))


def reference_rank(table: pd.DataFrame) -> int:
    """Return the k of everything that is not a sweep over k."""
    return int(_rows(table, basis="streamed")["rank"].max())


def dimension(table: pd.DataFrame) -> int:
    """Return the number of parameters d, the rank of every whole basis."""
    return int(table["rank"].max())


def _rows(table: pd.DataFrame, **where: Any) -> pd.DataFrame:
    for name, value in where.items():
        table = table[table[name].eq(value)]
    if not len(table):
        asked = ", ".join(f"{name} {value}" for name, value in where.items())
        raise Missing(f"{asked} was not run")
    return table


def losses(table: pd.DataFrame, **where: Any) -> pd.Series:
    """Return the final losses of one coordinate system, a trial each.

    Raises
    ------
    Missing
        If it was not run.
    """
    return _rows(table, **where).set_index("trial").final_loss + TINY


def kept(table: pd.DataFrame, method: str, **where: Any) -> pd.Series:
    """Return the share of the full basis's gain that a coordinate system keeps, a trial each."""
    own = table[table.method.eq(method)]
    original = np.log(losses(own, basis="original"))
    full = np.log(losses(own, basis="full"))
    return (original - np.log(losses(own, **where))) / (original - full)


def ratio(table: pd.DataFrame, one: dict[str, Any], other: dict[str, Any]) -> pd.Series:
    """Return the final loss in one coordinate system over that in another, a trial each."""
    return losses(table, **one) / losses(table, **other)


def by_draw(values: pd.Series) -> pd.Series:
    """Return the median of the starts of each draw of the gradients.

    Where an estimate is on trial its draws are what is uncertain, and the starts of one share it.
    """
    return values.groupby(values.index.str.split(".").str[0]).median()


def _draws(values: pd.Series) -> str:
    return quoted_over(values, "draw", " of the gradients")


def sweep(table: pd.DataFrame) -> pd.DataFrame:
    """Return the runs of the leading vectors of all gradients, by k."""
    rows = _rows(table, basis="leading")
    return rows[rows.gradients.eq(rows.gradients.max())]


def by_gradients(table: pd.DataFrame) -> pd.DataFrame:
    """Return the runs of the reference k by the number of gradients, all of them included."""
    everything = _rows(table, basis="leading", rank=reference_rank(table))
    fewer = table[table.basis.str.startswith("fewer gradients")]
    names = fewer.coordinates.replace(
        {
            "fewer gradients": "leading",
            "fewer gradients, random": "leading, random",
            "fewer gradients, block": "block",
        }
    )
    return pd.concat([fewer.assign(coordinates=names), everything], ignore_index=True)


def beside(rows: pd.DataFrame, table: pd.DataFrame, x: str, names: tuple[str, ...]) -> Any:
    """Return, by method, the rows and at each of their ``x`` the runs of some other coordinates."""
    others = table[table.coordinates.isin(names)]
    whole = pd.concat([rows, *(others.assign(**{x: at}) for at in sorted(rows[x].unique()))])
    return {name: whole[whole.method.eq(name)] for name in methods(table)}


def fewest(table: pd.DataFrame) -> int:
    """Return the smallest number of gradients that was tried."""
    return int(_rows(table, basis="fewer gradients").gradients.min())


def comparison(table: pd.DataFrame) -> pd.DataFrame:
    """Return one system of each kind: the reference k and the complement near the axes."""
    k = reference_rank(table)
    sweeps = table.basis.isin(["leading", "exact", "streamed"])
    chosen = ~sweeps | (table["rank"].eq(k) & table.complement.eq("axes"))
    return table[chosen & ~table.basis.str.startswith("fewer")]


def best_rate(table: pd.DataFrame, basis: str = "original") -> float:
    """Return the learning rate of the lowest median final loss in some coordinates."""
    own = _rows(table, basis=basis)
    return float(own.groupby("learning_rate").final_loss.median().idxmin())


def tuned(table: pd.DataFrame) -> pd.DataFrame:
    """Return each coordinate system's runs at its own best rate; ``at`` says which, in words."""
    found = []
    for _, own in table.groupby("coordinates", sort=False):
        rate = best_rate(own, own.basis.iloc[0])
        ends = {own.learning_rate.min(): ", the least tried"}
        ends[own.learning_rate.max()] = ", the largest tried"
        best = own[own.learning_rate.eq(rate)]
        found.append(best.assign(at=f"{rate:g}{ends.get(rate, '')}"))
    return pd.concat(found, ignore_index=True)


def held_out_words(table: pd.DataFrame) -> str:
    """Compare the range of the training losses with that of accuracies, each at its own best."""
    medians = tuned(table).groupby("coordinates")[["final_loss", "accuracy"]].median()
    original = medians.loc["original"]
    lowest = medians.final_loss.idxmin()
    best = medians.accuracy.idxmax()
    return (
        f"At its own best rate each, the lowest training loss is {number(medians.final_loss.min())}"
        f" (*{lowest}*), for {number(original.final_loss)} in original coordinates. On held-out "
        f"images these coordinates reach {number(100 * medians.accuracy[lowest], 3)} %, the "
        f"original ones {number(100 * original.accuracy, 3)} %, and the best of all, *{best}*, "
        f"{number(100 * medians.accuracy[best], 3)} %."
    )


def large_curves(results: Any) -> pd.DataFrame:
    """Return the large network's training loss by epoch, at the original coordinates' best rate."""
    table = results.table("large_curves")
    rate = best_rate(large_ends(results))
    return table[table.learning_rate.eq(rate)].assign(coordinates=coordinates)


# --- costs --------------------------------------------------------------------------------------


def step_ratios(results: Any) -> pd.DataFrame:
    """Return each round's seconds a step over those of plain Adam just before."""
    table = results.table("steps")
    return table.assign(ratio=table.seconds / table.plain_seconds, coordinates=coordinates)


def ratio_at(results: Any, d: int, basis: str, complement: str = "none") -> pd.Series:
    """Return a basis's step ratios on the network of d parameters, a round each."""
    rows = _rows(step_ratios(results), basis=basis, complement=complement, parameters=d)
    return rows.ratio


def sizes(results: Any) -> pd.DataFrame:
    """Return what each basis keeps and what making it took, by network."""
    table = results.table("sizes")
    return table.assign(coordinates=coordinates, setup_s=table.sampling_s + table.forming_s)


def costs(results: Any) -> pd.DataFrame:
    """Return a row a network and basis: quartiles of its step ratios, its bytes, its outcome."""
    at = ["parameters", "coordinates"]
    ratios = step_ratios(results).groupby(at).ratio.quantile([0.25, 0.5, 0.75]).unstack()
    ratios.columns = ["ratio_low", "ratio", "ratio_high"]
    kept = sizes(results)[[*at, "basis_bytes", "held_bytes", "setup_s", "outcome"]]
    return kept.merge(ratios.reset_index(), on=at, how="left")


def largest(results: Any) -> int:
    """Return the number of parameters of the largest network that was timed."""
    return int(results.table("sizes").parameters.max())


def refusal(results: Any) -> pd.Series:
    """Return the row of the full basis of the largest network, formed or refused."""
    return _rows(sizes(results), basis="full", parameters=largest(results)).iloc[0]


def refusals(results: Any) -> list[str]:
    """List the sentences that refused a basis of the largest network."""
    table = sizes(results)
    refused = table[table.outcome.eq("refused") & table.parameters.eq(largest(results))]
    return list(refused.words)


def time_to_match(results: Any) -> pd.DataFrame:
    """Return what each basis needs to reach plain Adam's final loss on the large network.

    A row a trial and basis, at the original coordinates' best rate: ``epochs``, interpolated on the
    logarithm of the loss and infinite where it is not reached; ``share``, the time of their steps
    over that of all of plain Adam's; ``setup``, the set-up's time in plain steps; ``even``, the
    length of plain training, in steps, from which the set-up has paid for itself.
    """
    table = large_curves(results)
    table = table.assign(trial=table.draw.astype(str) + "." + table.start.astype(str))
    h = next(cell["hidden"] for cell in results.cells if cell["kind"] == "Fashion")
    timed, made = (_rows(own, hidden=h) for own in (step_ratios(results), sizes(results)))
    steps = timed.groupby("coordinates").ratio.median()
    setup = made.set_index("coordinates").setup_s / timed.plain_seconds.median()
    rows = []
    for trial, own in table.groupby("trial"):
        wide = own.pivot(index="epoch", columns="coordinates", values="loss")
        for name in [name for name in wide if name in steps.index]:
            needed = _reached(wide[name], float(wide.original.iloc[-1]))
            share = needed * steps[name] / wide.index[-1]
            even = setup[name] / (1 - share) if share < 1 else np.inf
            rows.append((trial, name, needed, share, setup[name], even))
    columns = ["trial", "coordinates", "epochs", "share", "setup", "even"]
    return pd.DataFrame(rows, columns=columns)


def against_size(results: Any) -> pd.DataFrame:
    """Return Adam's runs on the networks that were trained, by their number of parameters.

    A row a run, at the reference k and the original coordinates' best rate: ``images``, and
    ``over_original``, the final loss over that of the same trial in original coordinates.
    """
    table = ends(results)
    table = table[table.basis.ne("leading") | table["rank"].eq(reference_rank(table))]
    runs = {"digits": table[table.method.eq("Adam")], "Fashion-MNIST": large_ends(results)}
    found = []
    for images, own in [(images, own) for images, own in runs.items() if len(own)]:
        own = own[own.learning_rate.eq(best_rate(own))]
        base = own.trial.map(losses(own, basis="original"))
        over = {"over_original": (own.final_loss + TINY) / base, "images": images}
        found.append(own.assign(parameters=dimension(own), **over))
    return pd.concat(found, ignore_index=True)


def sizes_in_words(table: pd.DataFrame) -> str:
    """List the networks that were trained: their parameters and what they see."""
    pairs = table[["parameters", "images"]].drop_duplicates().itertuples(index=False)
    return " and ".join(f"$d$ = {d:,} ({images})" for d, images in pairs)


def medians_in_words(table: pd.DataFrame, value: str) -> str:
    """List the medians of a column by network and coordinate system."""
    parts = []
    for d, own in table.groupby("parameters"):
        medians = own.groupby("coordinates", sort=False)[value].median()
        listed = ", ".join(f"{name} {number(median)}" for name, median in medians.items())
        parts.append(f"at d = {d:,}: {listed}")
    return "; ".join(parts)


def _reached(loss: pd.Series, target: float) -> float:
    """Return the epoch at which a loss first comes down to a target, interpolated."""
    values, epochs = np.log(loss.to_numpy(float)), loss.index.to_numpy(float)
    below_it = np.flatnonzero(values <= np.log(target) + 1e-6)
    if not len(below_it):
        return np.inf
    k = int(below_it[0])
    if k == 0:
        return float(epochs[0])
    share = (values[k - 1] - np.log(target)) / (values[k - 1] - values[k])
    return float(epochs[k - 1] + min(share, 1) * (epochs[k] - epochs[k - 1]))


# --- the claims ---------------------------------------------------------------------------------


def _tested(find: Callable[[Any], tuple[Word, str]]) -> Callable[[Any], Verdict]:
    """Make a test of a function that may miss a coordinate system."""

    def test(results: Any) -> Verdict:
        try:
            word, sentence = find(results)
        except Missing as missing:
            return Verdict("undecided", f"{missing}.")
        return Verdict(word, f"{sentence[0].upper()}{sentence[1:]}.")

    return test


def _each(find: Callable[[pd.DataFrame, str], tuple[Word, str]]) -> Callable[[Any], Verdict]:
    """Make a test of one that looks at a method on the digits."""

    def over(results: Any) -> tuple[Word, str]:
        table = ends(results)
        found = {name: find(table[table.method.eq(name)], name) for name in methods(table)}
        words = [word for word, _ in found.values()]
        return together(*words), "; ".join(f"{k}: {text}" for k, (_, text) in found.items())

    return _tested(over)


def _most(share: pd.Series) -> Word:
    return above(share, MOST)


def _leading_suffice(table: pd.DataFrame, method: str) -> tuple[Word, str]:
    ranks = [int(k) for k in sweep(table)["rank"] if k <= dimension(table) / 4]
    if not ranks:
        raise Missing("a quarter as many leading vectors as parameters, or fewer,")
    k = max(ranks)
    found = {c: kept(table, method, basis="leading", rank=k, complement=c) for c in COMPLEMENTS}
    words = ", ".join(f"{COMPLEMENTS[c]} {quoted(share)}" for c, share in found.items())
    return together(*map(_most, found.values())), (
        f"share of the full basis's gain kept by k = {k} of {dimension(table):,} vectors, {words} "
        f"(asked: above {MOST})"
    )


def _randomized(table: pd.DataFrame, method: str) -> tuple[Word, str]:
    k = reference_rank(table)
    found = ratio(
        table,
        {"basis": "leading", "rank": k, "complement": "axes"},
        {"basis": "exact", "complement": "axes"},
    )
    return within(found, *SAME), (
        f"final loss with k = {k} vectors from randomized SVD over that with exact ones "
        f"{quoted(found)} (asked: 2/3 to 3/2)"
    )


def _partial_needs_renewal(table: pd.DataFrame, method: str) -> tuple[Word, str]:
    fixed = ratio(table, {"basis": "partial"}, {"basis": "original"})
    renewed = ratio(table, {"basis": "partial, renewed"}, {"basis": "partial"})
    return together(above(fixed, 1), below(renewed, 1 / 2)), (
        f"kept, it ends at {quoted(fixed)} times the loss of the original coordinates; renewed, at "
        f"{quoted(renewed)} times that of the kept one (asked: above 1; below 1/2)"
    )


def _half_the_gradients(table: pd.DataFrame, method: str) -> tuple[Word, str]:
    k, all_of_them = reference_rank(table), int(table.gradients.max())
    rows = _rows(table, basis="fewer gradients", complement="axes")
    some = int(rows.gradients.max())
    found = by_draw(
        ratio(
            table,
            {"basis": "fewer gradients", "complement": "axes", "gradients": some},
            {"basis": "leading", "rank": k, "complement": "axes"},
        )
    )
    d = dimension(table)
    word = within(found, *SAME) if all_of_them <= 1.01 * d else "undecided"
    return word, (
        f"the final loss with M = {some:,} gradients over that with {all_of_them:,} is "
        f"{_draws(found)} (d = {d:,}, k = {k}; asked: 2/3 to 3/2)"
    )


def _block(table: pd.DataFrame, method: str) -> tuple[Word, str]:
    share = kept(table, method, basis="block")
    return _most(share), f"it keeps {quoted(share)} of the gain"


def _bytes_of(results: Any, basis: str) -> int:
    return int(_rows(results.table("setup"), basis=basis).basis_bytes.iloc[0])


def _cheaper(basis: str, at_most: float) -> Callable[[Any], Verdict]:
    """Make a test: this basis takes less room than the full one and keeps most of its gain."""

    def over(results: Any) -> tuple[Word, str]:
        table = ends(results)
        size, full = _bytes_of(results, basis), _bytes_of(results, "full")
        shares = {name: kept(table, name, basis=basis) for name in methods(table)}
        smaller: Word = "holds" if size < at_most * full else "fails"
        words = ", ".join(f"{name} {quoted(share)}" for name, share in shares.items())
        return together(smaller, *map(_most, shares.values())), (
            f"{in_bytes(size)} in place of {in_bytes(full)}; share of the gain kept, {words} "
            f"(asked: above {MOST})"
        )

    return _tested(over)


def _three_costs(results: Any) -> tuple[Word, str]:
    table = sizes(results)
    formed = _rows(table, basis="full", outcome="formed")
    one = formed.loc[formed.parameters.idxmax()]
    d = int(one.parameters)
    ratios = ratio_at(results, d, "full")
    plain = _rows(step_ratios(results), basis="original", parameters=d).seconds.median()
    parts = [one.sampling_s / plain, one.forming_s / plain]
    slow: list[Word] = ["holds" if part > 100 else "fails" for part in parts]
    return together(*slow, above(ratios, 1)), (
        f"at d = {d:,} sampling the gradients takes {duration(one.sampling_s)} and forming the "
        f"basis {duration(one.forming_s)}, {number(parts[0])} and {number(parts[1])} plain steps; "
        f"a step in it takes {quoted(ratios)} plain ones (asked: above 100, 100 and 1)"
    )


def _gap_decides(results: Any) -> tuple[Word, str]:
    table = agreement(results)
    edge = cliff(results)
    inside = max(2, edge // 4)
    if edge >= table.k.max():
        return "undecided", f"the largest gap of the spectrum is beyond k = {table.k.max()}"
    at = table[table.k.eq(edge)].set_index(["draw", "split"]).overlap
    before = table[table.k.eq(inside)].set_index(["draw", "split"]).overlap
    after = table[table.k.eq(table.k.max())].set_index(["draw", "split"]).overlap
    return together(above(at - before, 0.1), above(at - after, 0.1)), (
        f"the subspaces of two halves of the gradients share {quoted(at)} at the largest gap, "
        f"k = {edge}, against {quoted(before)} before it, at k = {inside}, and {quoted(after)} "
        f"beyond, at k = {table.k.max()} (asked: at least 0.1 more than either)"
    )


def agreement(results: Any) -> pd.DataFrame:
    """Return the overlap of the leading subspaces of two halves of the gradients."""
    return results.table("agreement")


def cliff(results: Any) -> int:
    """Return the k > 1 at which the spectrum falls most, by ratio to the next eigenvalue."""
    table = results.table("spectrum")
    first = table[table.draw.eq(table.draw.min())].set_index("k").eigenvalue
    falls = (first / first.shift(-1)).loc[2:]
    return int(falls.idxmax())


def _narrow_layer(table: pd.DataFrame, method: str) -> tuple[Word, str]:
    found = ratio(table, {"basis": "second layer"}, {"basis": "original"})
    return below(found, 1), f"final loss over that in original coordinates {quoted(found)}"


def _is_folding(results: Any) -> tuple[Word, str]:
    shares = results.table("products").single_row
    table = ends(results)
    names = methods(table)
    found = {
        name: ratio(table[table.method.eq(name)], {"basis": "folded"}, {"basis": "first layer"})
        for name in names
    }
    fits = above(shares, 0.9)
    words = ", ".join(f"{name} {quoted(one)}" for name, one in found.items())
    return together(fits, *(below(one, SAME[1]) for one in found.values())), (
        "a rotation of the inputs has eigenvectors that belong to one hidden unit each; those of "
        f"the first layer's EGOP have {quoted(shares)} of their square there (asked: above 0.9). "
        f"Yet folding $Z$ into the inputs ends at this many times the loss of the first "
        f"layer's eigenbasis: {words} (asked: below 3/2)"
    )


def _block_needs_fewer(table: pd.DataFrame, method: str) -> tuple[Word, str]:
    m = fewest(table)
    found = by_draw(
        ratio(
            table,
            {"basis": "fewer gradients, block", "gradients": m},
            {"basis": "fewer gradients", "complement": "axes", "gradients": m},
        )
    )
    return below(found, 1), (
        f"with M = {m:,} gradients the final loss with the blocks' leading vectors, as many for "
        f"each matrix as the global ones are in all, over that with these is {_draws(found)} "
        "(asked: below 1)"
    )


def smallest_rank(table: pd.DataFrame, method: str) -> int | None:
    """Return the smallest k whose vectors, near the axes, surely keep most of the gain."""
    for k in sorted(sweep(table)["rank"].unique()):
        if _most(kept(table, method, basis="leading", rank=k, complement="axes")) == "holds":
            return int(k)
    return None


def _few_suffice(table: pd.DataFrame, method: str) -> tuple[Word, str]:
    d, ranks = dimension(table), sorted(sweep(table)["rank"].unique())
    shares = {k: kept(table, method, basis="leading", rank=k, complement="axes") for k in ranks}
    enough, most = smallest_rank(table, method), [k for k in ranks if k <= d / 20]
    text = ", ".join(f"k = {k}: {quoted(share)}" for k, share in shares.items())
    text = f"share of the gain kept, {text}; 5 % of d is {number(d / 20)}"
    if enough is not None and enough <= d / 20:
        return "holds", text
    return together(*(_most(shares[k]) for k in most[-1:] or ranks[:1])), text


def _any_complement(table: pd.DataFrame, method: str) -> tuple[Word, str]:
    words: list[Word] = []
    parts = []
    for k in sorted(sweep(table)["rank"].unique()):
        own = {"basis": "leading", "rank": k}
        found = ratio(table, own | {"complement": "random"}, own | {"complement": "axes"})
        words.append(within(found, *SAME))
        parts.append(f"k = {k}: {quoted(found)}")
    return together(*words), (
        "final loss with the random complement over that with the one near the axes, "
        + ", ".join(parts)
        + " (asked: 2/3 to 3/2)"
    )


def _few_gradients(table: pd.DataFrame, method: str) -> tuple[Word, str]:
    d = dimension(table)
    rows = _rows(table, basis="fewer gradients", complement="axes")
    tried = sorted(int(m) for m in rows.gradients.unique() if m <= d / 5)
    if not tried:
        raise Missing("a fifth as many gradients as parameters, or fewer,")
    shares = {
        m: by_draw(kept(table, method, basis="fewer gradients", complement="axes", gradients=m))
        for m in tried
    }
    parts = ", ".join(f"M = {m:,}: {_draws(share)}" for m, share in shares.items())
    return _most(shares[tried[-1]]), (
        f"share of the gain kept by k = {reference_rank(table)} vectors, {parts} (d = {d:,}; "
        f"asked: above {MOST} at the last)"
    )


def _not_any_rotation(table: pd.DataFrame, method: str) -> tuple[Word, str]:
    found = ratio(table, {"basis": "random"}, {"basis": "original"})
    return above(found, 1), (
        f"final loss over that in original coordinates {quoted(found)} (asked: above 1)"
    )


def _as_good(*bases: str) -> Callable[[pd.DataFrame, str], tuple[Word, str]]:
    """Make a test: these bases do no worse than the full one."""

    def find(table: pd.DataFrame, method: str) -> tuple[Word, str]:
        found = {name: ratio(table, {"basis": name}, {"basis": "full"}) for name in bases}
        words = ", ".join(f"{name} {quoted(one)}" for name, one in found.items())
        return together(*(below(one, SAME[1]) for one in found.values())), (
            f"final loss over that of the full basis, {words} (asked: below 3/2)"
        )

    return find


def _streaming(table: pd.DataFrame, method: str) -> tuple[Word, str]:
    k = reference_rank(table)
    found = by_draw(
        ratio(
            table,
            {"basis": "streamed", "complement": "axes"},
            {"basis": "leading", "rank": k, "complement": "axes"},
        )
    )
    return within(found, *SAME), (
        f"final loss with k = {k} streamed vectors over that with vectors of all gradients at once "
        f"{_draws(found)} (asked: 2/3 to 3/2)"
    )


def _renewed_is_enough(table: pd.DataFrame, method: str) -> tuple[Word, str]:
    found = ratio(table, {"basis": "partial, renewed"}, {"basis": "original"})
    return below(found, SAME[1]), (
        f"final loss over that in original coordinates {quoted(found)} (asked: below 3/2)"
    )


def _mean_input(table: pd.DataFrame, method: str) -> tuple[Word, str]:
    found = {name: kept(table, method, basis=name) for name in ("mean input", "input SVD")}
    words = ", ".join(f"{name} {quoted(one)}" for name, one in found.items())
    return _most(found["mean input"]), f"share of the gain kept, {words} (asked: above {MOST})"


def _mean_is_leading(results: Any) -> tuple[Word, str]:
    table = results.table("products")
    h = hidden(results)
    first, rest = table[table.k.le(h)].mean_input, table[table.k.gt(h)].mean_input
    if not len(rest):
        raise Missing(f"more than {h} leading vectors of the first layer's EGOP")
    return together(above(first, 0.9), below(rest, 0.1)), (
        f"the first {h} vectors of the first layer's EGOP, as many as it has hidden units, have "
        f"{quoted(first)} of their square along the mean input, the next ones {quoted(rest)} "
        "(asked: above 0.9; below 0.1)"
    )


def hidden(results: Any) -> int:
    """Return the hidden units of the digits' network."""
    return next(cell["hidden"] for cell in results.cells if cell["kind"] == "digits")


def _implicit_step(results: Any) -> tuple[Word, str]:
    d = largest(results)
    found = ratio_at(results, d, "leading", "axes")
    k = int(_rows(sizes(results), basis="leading", parameters=d)["rank"].iloc[0])
    return below(found, 3), (
        f"at d = {d:,} with k = {k} a step takes {quoted(found)} times a plain one (asked: below 3)"
    )


def _folded_step(results: Any) -> tuple[Word, str]:
    d = largest(results)
    found = ratio_at(results, d, "folded")
    return below(found, 1.25), (
        f"at d = {d:,} a step takes {quoted(found)} times a plain one (asked: below 1.25)"
    )


def _refused_and_trained(results: Any) -> tuple[Word, str]:
    one, table = refusal(results), large_ends(results)
    table = table[table.learning_rate.eq(best_rate(table))]
    trained = losses(table, basis="leading", complement="axes")
    start = results.table("large_curves").query("epoch == 0").loss.median()
    refused: Word = "holds" if one.outcome == "refused" else "fails"
    return together(refused, below(trained / start, 1 / 2)), (
        f"the full basis is {one.outcome} ({in_bytes(int(one.basis_bytes))}); in the implicit one "
        f"the training loss ends at {quoted(trained)}, from {number(start)}"
    )


def _large(*bases: tuple[str, str]) -> Callable[[Any], Verdict]:
    """Make a test: on the large network these bases end lower than the original coordinates.

    At the original coordinates' best rate, and each at its own.
    """

    def over(results: Any) -> tuple[Word, str]:
        table = large_ends(results)
        rate = best_rate(table)
        plain = losses(table, basis="original", learning_rate=rate)
        words: list[Word] = []
        parts = []
        for basis, complement in bases:
            own = _rows(table, basis=basis, complement=complement)
            best = tuned(own)
            found = [losses(one) / plain for one in (own[own.learning_rate.eq(rate)], best)]
            words += [below(one, 1) for one in found]
            name = COMPLEMENTS.get(complement, basis)
            parts.append(f"{name} {quoted(found[0])}, {quoted(found[1])} (at {best['at'].iloc[0]})")
        return together(*words), (
            f"final loss over that in original coordinates at their best rate, {rate:g}, first at "
            "the same rate, then at its own best: " + "; ".join(parts)
        )

    return _tested(over)


def _matching(results: Any, *names: str) -> dict[str, pd.DataFrame]:
    """Return what the time to match is made of, for some bases."""
    table = time_to_match(results)
    found = {name: table[table.coordinates.eq(name)] for name in names}
    for name in [name for name, own in found.items() if not len(own)]:
        raise Missing(f"{name} was not run")
    return found


def _sooner(results: Any) -> tuple[Word, str]:
    found = _matching(results, "leading", "Kronecker", "folded")
    words = ", ".join(f"{name} {quoted(own.share)}" for name, own in found.items())
    return together(*(below(own.share, 1) for own in found.values())), (
        f"time of the steps to plain Adam's final loss over that of all of plain Adam's: {words}"
    )


def _repaid(results: Any) -> tuple[Word, str]:
    found = _matching(results, "input SVD", "folded", "Kronecker")
    words = ", ".join(
        f"{name} {quoted(own.even)} (set-up {number(own.setup.iloc[0])})"
        for name, own in found.items()
    )
    return below(found["input SVD"].even, 1000), (
        "plain steps after which a basis would have repaid its set-up, if longer runs save the "
        f"same share: {words} (asked: below 1,000 for the first)"
    )


def _inputs_alone(results: Any) -> tuple[Word, str]:
    table, large = ends(results), large_ends(results)
    large = large[large.learning_rate.eq(best_rate(large))]
    cases = {f"{name} on the digits": table[table.method.eq(name)] for name in methods(table)}
    cases |= {"Adam on Fashion-MNIST": large}
    found = {
        name: ratio(own, {"basis": "input SVD"}, {"basis": "folded"}) for name, own in cases.items()
    }
    words = ", ".join(f"{name} {quoted(one)}" for name, one in found.items())
    return together(*(below(one, SAME[1]) for one in found.values())), (
        f"final loss over that of the basis folded from gradients, {words} (asked: below 3/2)"
    )


CLAIMS = (
    Claim(
        "d4-5-a",
        "It is enough to estimate the leading eigenvectors; any random orthonormal complement will "
        "do.",
        "Section 5 and Appendix B, a hypothesis",
        _each(_leading_suffice),
    ),
    Claim(
        "d4-5-b",
        "Randomized SVD is good enough to find them.",
        "Section 5 and Appendix B, a proposal",
        _each(_randomized),
    ),
    Claim(
        "d4-5-c",
        "A partial basis has to be computed anew from time to time to perform well.",
        "Section 5 and Appendix B, from the experience with GaLore",
        _each(_partial_needs_renewal),
    ),
    Claim(
        "d4-5-d",
        "Where the spectrum decays fast, no more gradients than parameters are needed.",
        "Section 5 and Appendix B",
        _each(_half_the_gradients),
    ),
    Claim(
        "d4-5-e",
        "A basis for each layer takes less room than a full one and keeps its benefit.",
        "Section 5, Eq. 5, and Appendix B",
        _cheaper("block", 1),
    ),
    Claim(
        "d4-5-f",
        "A Kronecker factorization saves most of the room.",
        "Section 5 and Appendix B; that it keeps the benefit is tested as well",
        _cheaper("Kronecker", 0.1),
    ),
    Claim(
        "d4-5-g",
        "The extra cost lies in sampling gradients, in forming the basis and in applying it.",
        "Section 5",
        _tested(_three_costs),
    ),
    Claim(
        "d4-b-a",
        "How well a leading subspace is estimated is a matter of the gap behind it: few gradients "
        "give the leading eigenvectors only.",
        "Appendix B",
        _tested(_gap_decides),
    ),
    Claim(
        "d4-b-b",
        "Where a layer is too wide, one can turn the narrower ones alone.",
        "Appendix B; that it helps is what we test",
        _each(_narrow_layer),
    ),
    Claim(
        "d4-b-c",
        "Turning the first layer is an orthogonal transformation of the data, made once.",
        "Appendix B",
        _tested(_is_folding),
    ),
    Claim(
        "d4-b-d",
        "Bases for each layer can be estimated with fewer gradients than a global one.",
        "Appendix B",
        _each(_block_needs_fewer),
    ),
    Claim(
        "hd-es-a",
        "Leading vectors, one for twenty parameters or fewer, keep three quarters of the gain.",
        "a question of ours",
        _each(_few_suffice),
    ),
    Claim(
        "hd-es-b",
        "How the leading vectors are completed makes no difference.",
        "a question of ours",
        _each(_any_complement),
    ),
    Claim(
        "hd-es-c",
        "A gradient for every five parameters, or fewer, is enough.",
        "a question of ours",
        _each(_few_gradients),
    ),
    Claim(
        "hd-es-d",
        "It is not any rotation that helps: on the digits a random one does harm.",
        "a control of ours",
        _each(_not_any_rotation),
    ),
    Claim(
        "hd-es-e",
        "Rotating the two sides of each matrix, or the inputs alone, does as well as the full "
        "basis.",
        "a question of ours",
        _each(_as_good("Kronecker", "folded")),
    ),
    Claim(
        "hd-es-f",
        "A stream of gradients, never held together, gives vectors as good as a batch.",
        "a question of ours",
        _each(_streaming),
    ),
    Claim(
        "hd-es-g",
        "Renewed, a partial basis reaches what the original coordinates reach.",
        "a question of ours",
        _each(_renewed_is_enough),
    ),
    Claim(
        "hd-es-h",
        "The leading vectors are the mean input, once for each hidden unit.",
        "a question of ours",
        _tested(_mean_is_leading),
    ),
    Claim(
        "hd-es-i",
        "A single reflection that turns the mean input onto an axis, without any gradient, keeps "
        "three quarters of the gain.",
        "a question of ours",
        _each(_mean_input),
    ),
    Claim(
        "hd-es-j",
        "An implicit basis makes a step of Adam less than three times as long.",
        "a question of ours",
        _tested(_implicit_step),
    ),
    Claim(
        "hd-es-k",
        "Folded into the inputs, a basis costs nothing during training.",
        "a consequence of Appendix B, measured by us",
        _tested(_folded_step),
    ),
    Claim(
        "hd-es-l",
        "Where a full basis is refused for its size, an implicit one trains.",
        "a question of ours",
        _tested(_refused_and_trained),
    ),
    Claim(
        "hd-es-m",
        "On the large network the leading vectors lower the final loss.",
        "a question of ours",
        _large(("leading", "axes"), ("leading", "random")),
    ),
    Claim(
        "hd-es-n",
        "On the large network rotations of the sides lower the final loss.",
        "a question of ours",
        _large(("Kronecker", "none"), ("folded", "none")),
    ),
    Claim(
        "hd-es-o",
        "Their set-up aside, these bases reach plain Adam's final loss sooner.",
        "a question of ours",
        _tested(_sooner),
    ),
    Claim(
        "hd-es-p",
        "Rotating the inputs by their own singular vectors, without any gradient, does as well as "
        "rotating them by the gradients'.",
        "a question of ours",
        _tested(_inputs_alone),
    ),
    Claim(
        "hd-es-q",
        "Rotating the inputs by their own singular vectors would repay its set-up within a "
        "thousand steps, if what it saves in a short run is saved in a longer one, too.",
        "a question of ours",
        _tested(_repaid),
    ),
)
