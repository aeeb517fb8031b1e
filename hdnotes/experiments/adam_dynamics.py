r"""Chapter `adam_dynamics`: Adam in phase retrieval, as it was run, tuned, and explained.

    dynamics   learning curves of Adam, and of P-SGD with and without momentum, for d hidden units
               (document 2, Figures 4.12 and 4.5, alpha = 2.5)
    race       a method and a kind of batch at one alpha, d = 1: its learning rate is searched on
               data sets of their own and judged on others; the same search for every method
    motion     where students that have stopped learning stand, and how far they still move
    noise      the share of the batches' noise that Adam's first moment keeps along its path
    floor      what error a constant learning rate leaves at the teacher

Methods differ in their class and settings only: data, starts and batches of a trial are the same
for all. The switch rate of P-SGD is held at the source's whatever the learning rate.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor
from torch.nn.functional import cosine_similarity

from hdnotes.experiments.parameters import parameter
from hdnotes.experiments.students import (
    ERRORS,
    alike,
    alike_in_time,
    draw_problem,
    epochs,
    final_errors,
    held_bytes,
    learning_curves,
    require_batches,
    setting,
    source,
    start_names,
    steps_an_epoch,
    trials_of,
)
from hdnotes.long_training import Visit, train_long
from hdnotes.measures.batch_noise import carried_noise
from hdnotes.optimizers import Lockstep, Method
from hdnotes.problems.on_sphere import on_sphere
from hdnotes.problems.phase_retrieval import PhaseRetrieval, draw_start, project
from hdnotes.store.sweep import Joint

NAME = "adam_dynamics"
VERSION = 1
TITLE = "Adam in phase retrieval"

#: Methods of the race: the middle of the rates tried, class and settings.
RACE: Mapping[str, tuple[float, str, Mapping[str, Any]]] = {
    "SGD": (0.01, "SGD", {}),
    "momentum": (0.005, "SGD", {"momentum": 0.9}),
    "Adam": (0.03, "Adam", {}),
    "Lion": (0.01, "Lion", {}),
    "ADOPT": (0.03, "ADOPT", {}),
    "RMSprop": (0.03, "RMSprop", {}),
    "NAdam": (0.03, "NAdam", {}),
    "Adam, short memory": (0.03, "Adam", {"betas": (0.9, 0.95)}),
    "long momentum": (0.0005, "SGD", {"momentum": 0.99}),
    "Adam, long momentum": (0.03, "Adam", {"betas": (0.99, 0.999)}),
    "RAdam": (0.03, "RAdam", {}),
    "Adamax": (0.03, "Adamax", {}),
}
BATCHES = ("persistent", "shuffled", "full")
#: The success curves: methods and batches that are also run at other sample complexities.
CURVES = (
    ("Adam", "persistent"),
    ("momentum", "persistent"),
    ("Adam", "shuffled"),
    ("SGD", "full"),
)
#: The source's: learning rate of Adam and of P-SGD a hidden unit, and its momentum.
ADAM_RATE, PERSISTENT_RATE, MOMENTUM = 0.001, 0.01, 0.9
#: Data sets of the search are numbered from here on; those of everything else from 0.
SEARCH_SETS = 1000
#: Data sets of one cell at most, up to a size p, so that a cell takes minutes.
SETS_A_CELL = ((256, 100), (10**9, 1))
#: What is looked at once learning has stopped: method and learning rate, by name.
MOTION: Mapping[str, tuple[str, Mapping[str, Any], float]] = {
    "momentum": ("SGD", {"momentum": MOMENTUM}, 0.005),
    "Adam": ("Adam", {}, 0.01),
    "tangent Adam": ("Adam", {}, 0.01),
}
#: Learning rates at the teacher, and the overlap that runs start with there.
FLOOR_RATES, NEAR = (0.001, 0.003, 0.01, 0.03, 0.1), 0.99
#: Steps from look to look at the error of a run at the teacher, in its second half.
LOOK = 10
#: Adam's first moment keeps this share of itself.
BETA = 0.9


@dataclass(frozen=True)
class Parameters:
    """What the chapter can be run with."""

    alpha: float = parameter(2.5, above=0, unit="samples per p", help="sample complexity")
    dynamics_features: int = parameter(128, at_least=8, help="p of the learning curves")
    hidden: tuple[int, ...] = parameter(
        (1, 2, 5, 10), at_least=1, help="hidden units d of the learning curves"
    )
    dynamics_sets: int = parameter(
        6, at_least=1, at_most=1000, help="data sets of the learning curves"
    )
    dynamics_starts: int = parameter(1, at_least=1, unit="trials", help="starts on each of them")
    dynamics_epochs: int = parameter(2000, at_least=10, unit="epochs", help="their budget")
    features: int = parameter(96, at_least=8, help="p of everything else")
    methods: tuple[str, ...] = parameter(
        tuple(RACE)[:6], choices=tuple(RACE), help="methods of the race at alpha"
    )
    full_methods: tuple[str, ...] = parameter(
        ("SGD", "Adam"), choices=tuple(RACE), help="those that are also given all samples at once"
    )
    alphas: tuple[float, ...] = parameter(
        (3.5, 5.0), above=0, unit="samples per p", help="the others of the success curves"
    )
    rates: int = parameter(7, at_least=1, help="learning rates tried, half a decade apart")
    search_sets: int = parameter(4, at_least=1, help="data sets of the search")
    search_starts: int = parameter(1, at_least=1, unit="trials", help="starts on each of them")
    judge_sets: int = parameter(10, at_least=1, help="data sets of the judgement")
    judge_starts: int = parameter(2, at_least=1, unit="trials", help="starts on each of them")
    epochs_factor: float = parameter(
        300, above=0, unit="epochs", help="budget over log2(p + 1), but for the learning curves"
    )
    batch_fraction: float = parameter(0.5, above=0, at_most=0.5, help="b, share of a batch")
    redraws: float = parameter(
        0.005, above=0, at_most=0.9, unit="a step", help="how often P-SGD draws a sample's state"
    )
    motion_sets: int = parameter(
        8, at_least=1, help="data sets, one start each, of motion, noise and floor"
    )
    lags: int = parameter(
        11, at_least=1, help="motion is measured over 1, 2, 4, ... steps: so many spans"
    )

    def __post_init__(self) -> None:
        require_batches(self, "dynamics_features", "alpha")
        require_batches(self, "features", "alpha", "alphas")


PROFILES: dict[str, dict[str, Any]] = {
    "smoke": {
        "dynamics_features": 24,
        "hidden": (1, 5),
        "dynamics_sets": 5,
        "dynamics_epochs": 60,
        "features": 16,
        "methods": ("momentum", "Adam", "Lion"),
        "full_methods": ("SGD",),
        "alphas": (8.0,),
        "rates": 2,
        "search_sets": 1,
        "judge_sets": 2,
        "epochs_factor": 20,
        "motion_sets": 5,
        "lags": 5,
    },
    "quick": {},
    "paper": {
        "dynamics_features": 1024,
        "dynamics_sets": 4,
        "dynamics_starts": 3,
        "dynamics_epochs": 100_014,
        "features": 1024,
        "methods": (*tuple(RACE)[:8], "Adam, long momentum"),
        "full_methods": ("SGD", "momentum", "Adam"),
        "alphas": (1.7, 2.0, 2.3, 2.7, 3.0, 4.0, 5.0, 6.0),
        "rates": 7,
        "search_sets": 4,
        "search_starts": 2,
        "epochs_factor": 2000,
    },
}


def cells(p: Parameters) -> list[dict[str, Any]]:
    """Return what has to be computed: d = 1 and 2, what explains, the race, and wider students."""
    narrow = [d for d in sorted(p.hidden) if d <= 2]
    wide = [d for d in sorted(p.hidden) if d > 2]
    return [
        *(cell for d in narrow for cell in _dynamics(p, d)),
        *_explaining(p),
        *_race(p),
        *(cell for d in wide for cell in _dynamics(p, d)),
    ]


def _dynamics(p: Parameters, hidden: int) -> Iterator[dict[str, Any]]:
    """Yield the learning curves of d hidden units; the switch rate is the same for every d."""
    most = next((count for size, count in SETS_A_CELL if p.dynamics_features <= size), 1)
    for first in range(0, p.dynamics_sets, most):
        group = {"first_set": first, "sets": min(most, p.dynamics_sets - first)}
        for method, batches in (("Adam", "shuffled"), ("SGD", "persistent")):
            yield {
                **_problem(p, p.dynamics_features, p.alpha),
                "kind": "dynamics",
                "hidden": hidden,
                "method": method,
                "batches": batches,
                "epochs": p.dynamics_epochs,
                "starts": p.dynamics_starts,
                **group,
            }


def _explaining(p: Parameters) -> Iterator[dict[str, Any]]:
    point = {**_problem(p, p.features, p.alpha), "sets": p.motion_sets, "starts": 1}
    point |= {"epochs": epochs(p.features, p.epochs_factor)}
    for batches in BATCHES[:2]:
        yield {"kind": "noise", "batches": batches, **point}
        yield {"kind": "floor", "batches": batches, **point}
    for batches in BATCHES:
        yield {"kind": "motion", "batches": batches, "lags": p.lags, **point}


def _race(p: Parameters) -> Iterator[dict[str, Any]]:
    """Yield the methods at alpha, those of the success curves first, and then the curves."""
    pairs = [(m, b) for m in p.methods for b in BATCHES if b != "full" or m in p.full_methods]
    first = [pair for pair in CURVES if pair not in pairs]
    ordered = sorted(dict.fromkeys([*first, *pairs]), key=lambda pair: pair not in CURVES)
    wanted = [(p.alpha, *pair) for pair in ordered]
    wanted += [(alpha, *pair) for alpha in p.alphas if alpha != p.alpha for pair in CURVES]
    for alpha, method, batches in wanted:
        yield {
            **_problem(p, p.features, alpha),
            "kind": "race",
            "method": method,
            "batches": batches,
            "epochs": epochs(p.features, p.epochs_factor),
            "rates": p.rates,
            "search_sets": p.search_sets,
            "search_starts": p.search_starts,
            "judge_sets": p.judge_sets,
            "judge_starts": p.judge_starts,
        }


def _problem(p: Parameters, features: int, alpha: float) -> dict[str, Any]:
    return {
        "features": features,
        "alpha": alpha,
        "hidden": 1,
        "batch_fraction": p.batch_fraction,
        "redraws": p.redraws,
    }


def student(cell: Mapping[str, Any], variants: list[str], **change: Any) -> dict[str, Any]:
    """Return a cell of `students` with a trial for each variant, set and start.

    Its own learning rate and persistence only set the redraws of P-SGD.
    """
    hidden = cell["hidden"]
    persistence = PERSISTENT_RATE * hidden / (cell["redraws"] * cell["batch_fraction"])
    return {
        "channel": "quadratic",
        "teacher": "sphere",
        "judged_on": "overlap",
        "first_set": 0,
        "momentum": MOMENTUM,
        "learning_rate": PERSISTENT_RATE * hidden,
        "persistence": round(persistence, 9),
        "momenta": variants,
        **cell,
        **change,
    }


def memory(p: Parameters) -> int:
    """Return the peak bytes of the students that are trained together."""
    race = {
        "momenta": range(p.rates),
        "sets": max(p.search_sets, p.judge_sets),
        "starts": max(p.search_starts, p.judge_starts),
    }
    return held_bytes(
        {"momenta": FLOOR_RATES, **cell, **(race if cell["kind"] == "race" else {})}
        for cell in cells(p)
    )


# --- learning curves, and the race ----------------------------------------------------------------


def _curves(cells: Sequence[dict[str, Any]], device: str) -> list[dict[str, pd.DataFrame]]:
    """Return each cell's learning curves: of Adam, or of P-SGD with and without momentum."""
    students, settings = [], []
    for cell in cells:
        adam = cell["method"] == "Adam"
        students.append(student(cell, ["none"] if adam else ["none", "standard"]))
        settings += [
            Method("Adam")(ADAM_RATE * cell["hidden"])
            if adam
            else setting(momentum, MOMENTUM, PERSISTENT_RATE * cell["hidden"])
            for momentum in trials_of(students[-1])["momentum"]
        ]
    found = learning_curves(students, device, settings, records=80)
    for cell, tables in zip(cells, found, strict=True):
        if cell["method"] == "Adam":
            tables["curves"]["method"] = tables["runs"]["method"] = "Adam"
    return found


def tried_rates(method: str, rates: int) -> list[float]:
    """Return the learning rates that are tried: half a decade apart around the middle one.

    Examples
    --------
    >>> [f"{rate:.3g}" for rate in tried_rates("Adam", 5)]
    ['0.003', '0.00949', '0.03', '0.0949', '0.3']
    """
    middle = RACE[method][0]
    return [middle * 10 ** ((k - (rates - 1) // 2) / 2) for k in range(rates)]


def _tuned(cells: Sequence[dict[str, Any]], device: str) -> list[dict[str, pd.DataFrame]]:
    """Search each learning rate with the least mean error on some data sets; judge on others."""
    tried = [tried_rates(cell["method"], cell["rates"]) for cell in cells]
    searches = _ends(cells, device, tried, "search", first_set=SEARCH_SETS)
    best = [float(search.groupby("rate").test_error.mean().idxmin()) for search in searches]
    judged = _ends(cells, device, [[rate] for rate in best], "judge", first_set=0)
    return [
        {"search": search, "race": race.assign(at_edge=rate in (rates[0], rates[-1]))}
        for search, race, rate, rates in zip(searches, judged, best, tried, strict=True)
    ]


def _ends(
    cells: Sequence[dict[str, Any]],
    device: str,
    tried: Sequence[list[float]],
    part: str,
    first_set: int,
) -> list[pd.DataFrame]:
    """Return, for each cell, a row a learning rate, data set and start, with the errors there."""
    students, settings = [], []
    for cell, rates in zip(cells, tried, strict=True):
        _, optimizer, given = RACE[cell["method"]]
        sizes = {"sets": cell[f"{part}_sets"], "starts": cell[f"{part}_starts"]}
        students.append(student(cell, [repr(one) for one in rates], first_set=first_set, **sizes))
        chosen = trials_of(students[-1])["momentum"].astype(float)
        settings += [Method(optimizer, given)(rate) for rate in chosen]
    return [
        runs.assign(rate=runs["momentum"].astype(float)).drop(
            columns=["momentum", "method", "sampled_error"]
        )
        for runs in (tables["runs"] for tables in final_errors(students, device, settings))
    ]


# --- what explains it -----------------------------------------------------------------------------


def _motion(cell: dict[str, Any], device: str) -> dict[str, pd.DataFrame]:
    """Let students learn for their budget, then look where they stand and how far they move.

    Angles are in radians; ``radial`` is the cosine of the gradient, of all samples and in all
    directions, with the student.
    """
    begin = cell["epochs"] * steps_an_epoch(cell["batches"], cell["batch_fraction"])
    lags = [2**k for k in range(cell["lags"])]
    tables = []
    for name, (optimizer, settings, rate) in MOTION.items():
        problem, start, options = _drawn(cell, device)
        run = train_long(
            on_sphere(problem) if name == "tangent Adam" else problem,
            start,
            [Method(optimizer, settings)(rate)] * len(start),
            begin + lags[-1],
            record=begin + torch.tensor([0, *lags]),
            observe={"point": _place, "radial": _radial, "test_error": ERRORS["test_error"]},
            **options,
        )
        angle = _angles(run.observed["point"])
        ends = {key: run.observed[key][:, 0].numpy(force=True) for key in ("radial", "test_error")}
        table = pd.DataFrame({"method": name, "set": range(len(start)), **ends})
        tables += [table.assign(lag=lag, angle=angle[:, k]) for k, lag in enumerate(lags)]
    return {"motion": pd.concat(tables, ignore_index=True)}


def _drawn(cell: dict[str, Any], device: str) -> tuple[PhaseRetrieval, Tensor, dict[str, Any]]:
    """Draw a cell's problem, one start a data set, and how a run of `train_long` goes there."""
    whole = student(cell, ["none"])
    problem = draw_problem(whole, device)
    names = start_names(whole, trials_of(whole))
    start = torch.stack([draw_start(1, problem.features, of=name) for name in names])
    options: dict[str, Any] = {"project": partial(project, features=problem.features)}
    rates = [whole["learning_rate"]] * len(names)
    options["batches"] = source(whole, problem.samples, names, rates, device)
    return problem, start.to(device), options


def _place(visit: Visit) -> Tensor:
    return visit.point.clone()


def _radial(visit: Visit) -> Tensor:
    _, gradient = PhaseRetrieval.loss_and_gradient(visit.problem, visit.point)
    return cosine_similarity(gradient.double(), visit.point.double(), dim=1)


def _angles(points: Tensor) -> np.ndarray:
    """Return the angles (trials, looks - 1) from the first of a trial's points to the others."""
    unit = points.double() / points.double().norm(dim=2, keepdim=True)
    chord = (unit[:, 1:] - unit[:, :1]).norm(dim=2)
    return (2 * (chord / 2).asin()).numpy(force=True)


def _noise(cell: dict[str, Any], device: str) -> dict[str, pd.DataFrame]:
    """Return the share of batch noise in Adam's first moment, at the source's learning rate."""
    problem, start, options = _drawn(cell, device)
    rows = Lockstep(start, [Method("Adam")(ADAM_RATE)] * len(start))
    fraction = cell["batch_fraction"]
    share = carried_noise(
        problem, rows, steps=2 * cell["epochs"], fraction=fraction, beta=BETA, **options
    )
    return {"noise": pd.DataFrame({"set": range(len(start)), "share": share.numpy(force=True)})}


def _floor(cell: dict[str, Any], device: str) -> dict[str, pd.DataFrame]:
    """Start beside the teacher; return each learning rate's typical and largest error there."""
    problem, start, options = _drawn(cell, device)
    root = problem.features**0.5
    teachers = torch.stack(problem.teachers)
    aside = start - (start * teachers).sum(1, keepdim=True) / root**2 * teachers
    aside *= root / aside.norm(dim=1, keepdim=True)
    near = NEAR * teachers + (1 - NEAR**2) ** 0.5 * aside
    rates = [rate for rate in FLOOR_RATES for _ in near]
    trials = [*range(len(near))] * len(FLOOR_RATES)
    steps = cell["epochs"] * steps_an_epoch(cell["batches"], cell["batch_fraction"])
    run = train_long(
        problem.take(trials),
        near[trials],
        [Method("Adam")(rate) for rate in rates],
        steps,
        record=torch.arange(steps // 2, steps + 1, LOOK),
        observe={"test_error": ERRORS["test_error"]},
        batches=options["batches"].take(trials),
        project=options["project"],
    )
    error = run.observed["test_error"]
    ends = {"test_error": error.median(1).values, "largest": error.amax(1)}
    columns = {name: value.numpy(force=True) for name, value in ends.items()}
    return {"floor": pd.DataFrame({"rate": rates, "set": trials, **columns})}


RUNS = {
    "dynamics": Joint(_curves, alike_in_time),
    "race": Joint(_tuned, alike),
    "motion": _motion,
    "noise": _noise,
    "floor": _floor,
}
