r"""Chapter `langevin`: gradient descent with P-SGD's amount of noise (document 2, 4.3.2).

P-SGD's batch changes from step to step, and its gradient with it: rho_t = ||g_t - g_(t-1)||. A cell
trains P-SGD, keeps this record, and then descends from the same starts on the same data with all
samples, adding after each step a random direction of length rho_t (the t-th epoch has P-SGD's t-th
step). It holds one p, alpha and group of data sets, with every kind of noise:

    none            GD
    record          rho_t of P-SGD's own run on these data from this start, then 0
    record x eta    the same times the learning rate
    constant        the mean of the record at every step of it, then 0
    cooling         from that mean in a straight line down to 0
    other data      the record of the run on the next data set

The source's P-SGD and GD had fewer epochs than its Langevin dynamics: here all have as many, and a
run that ends says when.

One more cell sets the changes of SGD's gradients beside those of P-SGD's.

The thesis first took another noise, the (scaled) difference of the batch's and the true gradient:
delta_t = ||g_t / b - g||, with g the gradient of all samples and b the batch's share of them. Its
cells record the beginning of P-SGD's run, and descend as long as there are pushes, on the sphere
and, without projection, off it:

    record              rho_t, beside the others
    difference          delta_t: the batch's gradient scaled up to all samples
    difference x b      b delta_t = ||g_t - b g||: the true gradient scaled down to the batch
    difference x eta    eta delta_t, as it is if the text's noise is added to the gradient
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import pandas as pd
import torch
from torch import Tensor

from hdnotes import seeds
from hdnotes.experiments.parameters import parameter
from hdnotes.experiments.students import (
    draw_problem,
    epochs,
    require_batches,
    start_names,
    steps_an_epoch,
    train_students,
)
from hdnotes.long_training import LongRun, Visit
from hdnotes.noise import Directions
from hdnotes.problems.phase_retrieval import sample_count
from hdnotes.training import record_steps

NAME = "langevin"
VERSION = 1
TITLE = "Gradient descent with noise"

NO_NOISE, RECORD = "none", "record"
#: What is drawn in Figure 4.8, and our controls.
FIGURE = (NO_NOISE, RECORD)
CONTROLS = ("record x eta", "constant", "cooling", "other data")
#: The batch's gradient against the true one, with each scaling, beside the record.
DIFFERENCE, SCALED_DOWN, TIMES_ETA = "difference", "difference x b", "difference x eta"
DIFFERENCES = (RECORD, DIFFERENCE, SCALED_DOWN, TIMES_ETA)
LANGEVIN = "Langevin"
#: The batches whose gradients change from step to step.
CHANGING = ("persistent", "shuffled")
#: Epochs of a run's curve that are kept, about, and starts that have one on each data set.
RECORDS, FOLLOWED = 60, 1
#: Differences are recorded for so many times fewer epochs, and looks at a run are evenly spaced.
SHORTER, LOOKS = 20, 200
#: Data sets of one cell at most, up to a size p; two or more, as each needs another.
SETS_A_CELL = ((256, 100),)


@dataclass(frozen=True)
class Parameters:
    """What the chapter can be run with."""

    features: int = parameter(64, at_least=8, help="p")
    alphas: tuple[float, ...] = parameter(
        (5.0, 4.0, 3.5, 3.0, 2.5), above=0, unit="samples per p", help="of Figure 4.8"
    )
    control_alphas: tuple[float, ...] = parameter(
        (4.0, 3.0), above=0, unit="samples per p", help="where other noises are tried"
    )
    changes_alpha: float = parameter(
        2.5, above=0, unit="samples per p", help="where SGD's gradients change beside P-SGD's"
    )
    data_sets: int = parameter(4, at_least=2, at_most=1000, help="data sets of each point")
    starts: int = parameter(5, at_least=1, unit="trials", help="starts on each data set")
    epochs_factor: float = parameter(
        400, above=0, unit="epochs", help="epochs of P-SGD that are recorded, over log2(p + 1)"
    )
    longer: float = parameter(5, at_least=2, help="a run's budget over these epochs")
    learning_rate: float = parameter(0.005, above=0, help="eta")
    batch_fraction: float = parameter(0.5, above=0, at_most=0.9, help="b of P-SGD")
    persistence: float = parameter(2.0, above=0, help="tau of P-SGD")
    momentum: float = parameter(0.9, above=0, at_most=0.999, help="where there is momentum")

    def __post_init__(self) -> None:
        require_batches(self, "features", "alphas", "control_alphas", "changes_alpha")


PROFILES: dict[str, dict[str, Any]] = {
    "smoke": {
        "features": 24,
        "alphas": (8.0, 4.0, 2.0),
        "control_alphas": (4.0,),
        "data_sets": 2,
        "starts": 2,
        "epochs_factor": 20,
    },
    "quick": {},
    "paper": {
        "features": 1024,
        "alphas": (7.0, 6.0, 5.0, 4.5, 4.0, 3.5, 3.0, 2.7, 2.5, 2.2),
        "control_alphas": (4.0, 3.5, 3.0, 2.7),
        "epochs_factor": 2000,
    },
}


def cells(p: Parameters) -> list[dict[str, Any]]:
    """Return what has to be computed: success from easy to hard, changes, then differences."""
    changes = {
        **_shared(p, p.changes_alpha),
        "kind": "changes",
        "momenta": ["none"],
        "epochs": epochs(p.features, p.epochs_factor),
        "first_set": 0,
        "sets": p.data_sets,
    }
    return [
        *(
            cell
            for alpha in sorted({*p.alphas, *p.control_alphas}, reverse=True)
            for cell in _point(p, alpha)
        ),
        changes,
        *_difference_cells(p),
    ]


def _shared(p: Parameters, alpha: float) -> dict[str, Any]:
    return {
        "channel": "quadratic",
        "features": p.features,
        "alpha": alpha,
        "hidden": 1,
        "learning_rate": p.learning_rate,
        "momentum": p.momentum,
        "batch_fraction": p.batch_fraction,
        "persistence": p.persistence,
        "starts": p.starts,
        "teacher": "sphere",
        "judged_on": "overlap",
    }


def _point(p: Parameters, alpha: float) -> Iterator[dict[str, Any]]:
    """Yield a point's cells, two data sets or more each; large ones hold one kind of momentum."""
    small = [count for size, count in SETS_A_CELL if p.features <= size]
    most = small[0] if small else 2
    firsts = range(0, p.data_sets - 1, most)
    for momenta in [["none", "standard"]] if small else [["none"], ["standard"]]:
        for first in firsts:
            last = p.data_sets if first == firsts[-1] else first + most
            controls = CONTROLS * (alpha in p.control_alphas and "none" in momenta)
            yield {
                **_shared(p, alpha),
                "kind": "success",
                "momenta": momenta,
                "noises": list(FIGURE + controls),
                "recorded": epochs(p.features, p.epochs_factor),
                "epochs": epochs(p.features, p.longer * p.epochs_factor),
                "first_set": first,
                "sets": last - first,
            }


def _difference_cells(p: Parameters) -> Iterator[dict[str, Any]]:
    """Yield a cell at each alpha of the controls, of the first data sets there."""
    recorded = max(epochs(p.features, p.epochs_factor / SHORTER), 1)
    for alpha in sorted(p.control_alphas, reverse=True):
        yield next(_point(p, alpha)) | {
            "kind": "difference",
            "momenta": ["none"],
            "noises": list(DIFFERENCES),
            "recorded": recorded,
            "epochs": recorded * steps_an_epoch("persistent", p.batch_fraction),
        }


def memory(p: Parameters) -> int:
    """Return the peak bytes: data sets and test points, every trial's activations and record."""
    needed = 0
    for cell in cells(p):
        n, width = sample_count(cell["alpha"], cell["features"]), cell["features"]
        ways = len(cell.get("noises", CHANGING)) * len(cell["momenta"])
        trials = ways * cell["sets"] * cell["starts"]
        steps = cell.get("recorded", RECORDS) * steps_an_epoch("persistent", cell["batch_fraction"])
        draws = 16 * (n + 2000) * width
        data = 4 * cell["sets"] * (n + 2000) * width
        needed = max(needed, data + draws + trials * (40 * n + 24 * steps + 600 * width))
    return needed + 2**29


# --- the noises ----------------------------------------------------------------------------------


def change(visit: Visit) -> Tensor:
    """Return rho_t, the distance of the step's gradient from the one before (trials,)."""
    return (visit.gradient - visit.before).norm(dim=1)


def record_of(run: LongRun) -> Tensor:
    """Return rho_t of a recorded run (trials, steps); 0 at its first step and after its last."""
    steps = run.observed["rho"].shape[1]
    running = torch.arange(steps) < run.steps.unsqueeze(1)
    running[:, 0] = False  # there is no gradient before the first
    return torch.where(running.to(run.point.device), run.observed["rho"], 0.0)


def _level(rho: Tensor) -> Tensor:
    """Return the mean of each record over the steps it has (trials, 1)."""
    return rho.sum(1, keepdim=True) / (rho > 0).sum(1, keepdim=True).clamp(min=1)


def _constant(rho: Tensor, cell: Mapping[str, Any]) -> Tensor:
    return _level(rho).expand_as(rho)


def _cooling(rho: Tensor, cell: Mapping[str, Any]) -> Tensor:
    return _level(rho) * torch.linspace(1, 0, rho.shape[1], device=rho.device)


def _other_data(rho: Tensor, cell: Mapping[str, Any]) -> Tensor:
    by_set = rho.view(len(cell["momenta"]), cell["sets"], cell["starts"], -1)
    return by_set.roll(-1, dims=1).flatten(0, 2)


#: Noise -> (record (trials, steps), cell) -> lengths of what is added (trials, steps).
LENGTHS: Mapping[str, Callable[[Tensor, Mapping[str, Any]], Tensor]] = {
    NO_NOISE: lambda rho, cell: torch.zeros_like(rho),
    RECORD: lambda rho, cell: rho,
    "record x eta": lambda rho, cell: cell["learning_rate"] * rho,
    "constant": _constant,
    "cooling": _cooling,
    "other data": _other_data,
}


# --- the runs ------------------------------------------------------------------------------------


def compare(cell: dict[str, Any], device: str) -> dict[str, pd.DataFrame]:
    """Return ``runs``, a row a run at its end, and ``curves``, a few runs along their way.

    All noises are added in one run, a group of trials each.
    """
    persistent, full = ({**cell, "batches": name} for name in ("persistent", "full"))
    steps = cell["recorded"] * steps_an_epoch("persistent", cell["batch_fraction"])
    looks: dict[str, Any] = {"record": torch.arange(steps), "observe": {"rho": change}}
    trials, run = train_students([persistent], device, **looks)
    rho = record_of(run)
    ends = [_ends(persistent, trials, run)]
    noises = cell["noises"]
    lengths = torch.cat([LENGTHS[noise](rho, cell) for noise in noises])
    streams = tuple(seeds.seed(*name, "noise") for name in start_names(cell, trials))
    added = Directions(lengths, cell["features"], streams * len(noises))
    when = record_steps(cell["epochs"], RECORDS)
    looks = {"record": when, "observe": {"test_error": _error}}
    trials, run = train_students([full] * len(noises), device, noise=added, **looks)
    trials["noise"] = [noises[number] for number in trials["cell"]]
    ends.append(_ends(full, trials, run))
    return {
        "runs": pd.concat(ends, ignore_index=True),
        "curves": _curves(trials, run, when, lengths),
    }


def _error(visit: Visit) -> Tensor:
    return visit.problem.test_error(visit.point)


def _ends(cell: dict[str, Any], trials: pd.DataFrame, run: LongRun) -> pd.DataFrame:
    """Return a row a trial: what it is called, and its errors and overlap at its end."""
    sets = (trials["set"] - cell["first_set"]).tolist()
    problem = draw_problem(cell, str(run.point.device)).take(sets)
    noises = trials["noise"] if "noise" in trials else ["batches"] * len(trials)
    names = [
        name if noise in (NO_NOISE, "batches") else name.replace("GD", LANGEVIN)
        for name, noise in zip(trials["method"], noises, strict=True)
    ]
    return trials.drop(columns="cell").assign(
        method=names,
        noise=noises,
        test_error=problem.test_error(run.point).cpu().numpy(),
        training_error=problem.training_error(run.point).double().cpu().numpy(),
        overlap=problem.overlap(run.point).amax(1).cpu().numpy(),
    )


def _curves(trials: pd.DataFrame, run: LongRun, when: Tensor, lengths: Tensor) -> pd.DataFrame:
    """Return the error and the length of the noise at each recorded epoch, of the first starts."""
    rows = trials[trials["start"] < FOLLOWED]
    parts = []
    for row, trial in rows.iterrows():
        kept = when[when <= run.steps[row]]
        rho = lengths[row].cpu()
        added = [float(rho[t]) if t < len(rho) else 0.0 for t in kept.tolist()]
        error = run.observed["test_error"][row, : len(kept)].cpu().numpy()
        named = {name: trial[name] for name in ("momentum", "set", "start", "noise")}
        parts.append(pd.DataFrame({**named, "epoch": kept, "test_error": error, "length": added}))
    return pd.concat(parts, ignore_index=True)


def changes(cell: dict[str, Any], device: str) -> dict[str, pd.DataFrame]:
    """Return ``changes``: rho_t of P-SGD and of SGD, a row a run and recorded step, to its end."""
    steps = cell["epochs"] * steps_an_epoch("shuffled", cell["batch_fraction"])
    when = record_steps(steps, RECORDS)
    looks: dict[str, Any] = {"record": when, "observe": {"rho": change}}
    both = [{**cell, "batches": batches} for batches in CHANGING]
    trials, run = train_students(both, device, **looks)
    named = trials.loc[trials.index.repeat(len(when)), ["method", "set", "start"]]
    table = named.reset_index(drop=True).assign(
        step=when.repeat(len(trials)).numpy(),
        end=run.steps.repeat_interleave(len(when)).numpy(),
        rho=run.observed["rho"].flatten().cpu().numpy(),
    )
    return {"changes": table[table.step.between(1, table.end)].drop(columns="end")}


def difference(visit: Visit, fraction: float) -> Tensor:
    """Return delta_t, the distance of the step's gradient over b from the true one (trials,)."""
    true = visit.problem.loss_and_gradient(visit.point, None)[1]
    return (visit.gradient / fraction - true).norm(dim=1)


def differences(cell: dict[str, Any], device: str) -> dict[str, pd.DataFrame]:
    """Return ``differences``, a row a run on the sphere or off it, with the pushes that it got.

    ``pushes`` are the epochs that had one, ``length`` is the median length of those recorded, and
    ``pushed_overlap`` the median overlap at looks during them (NaN if there was none).
    """
    persistent, full = ({**cell, "batches": name} for name in ("persistent", "full"))
    fraction = cell["batch_fraction"]
    steps = torch.arange(cell["recorded"] * steps_an_epoch("persistent", fraction))
    looks: dict[str, Any] = {"rho": change, "delta": partial(difference, fraction=fraction)}
    trials, run = train_students([persistent], device, record=steps, observe=looks)
    running = (steps < run.steps.unsqueeze(1)).to(run.point.device)
    delta = torch.where(running, run.observed["delta"], 0.0)
    scaled = {
        RECORD: record_of(run),
        DIFFERENCE: delta,
        SCALED_DOWN: fraction * delta,
        TIMES_ETA: cell["learning_rate"] * delta,
    }
    noises = cell["noises"]
    lengths = torch.cat([scaled[noise] for noise in noises])
    streams = tuple(seeds.seed(*name, "noise") for name in start_names(cell, trials))
    added = Directions(lengths, cell["features"], streams * len(noises))
    when = torch.linspace(0, cell["epochs"], LOOKS).long().unique()
    looks = {"overlap": lambda visit: visit.problem.overlap(visit.point).amax(1)}
    tables = []
    for sphere in (True, False):
        off: dict[str, Any] = {} if sphere else {"project": None}
        trials, run = train_students(
            [full] * len(noises), device, noise=added, record=when, observe=looks, **off
        )
        trials["noise"] = [noises[number] for number in trials["cell"]]
        pushes = (lengths > 0).sum(1).cpu().minimum(run.steps)
        under = (when > 0) & (when <= pushes.unsqueeze(1))
        seen = torch.where(under, run.observed["overlap"].cpu(), torch.nan)
        pushed = torch.where(lengths > 0, lengths, torch.nan).nanmedian(1).values
        tables.append(
            _ends(full, trials, run).assign(
                sphere=sphere,
                pushes=pushes.numpy(),
                length=pushed.cpu().numpy(),
                pushed_overlap=seen.nanmedian(1).values.numpy(),
            )
        )
    return {"differences": pd.concat(tables, ignore_index=True)}


RUNS = {"success": compare, "changes": changes, "difference": differences}
