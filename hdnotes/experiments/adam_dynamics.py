r"""Chapter `adam_dynamics`: Adam in phase retrieval, as it was run, tuned, and explained.

    dynamics   learning curves of Adam, and of P-SGD with and without momentum, for d hidden units
               (document 2, Figures 4.12 and 4.5, alpha = 2.5)
    race       a method and a kind of batch at one alpha: its learning rate, and at alpha Adam's
               betas, are searched on data sets of their own and judged on others; d = 1, or wide
    untuned    Adam as the source ran it, on the data sets of that judgement
    motion     where students that have stopped learning stand, and how far they still move
    noise      the share of the batches' noise that Adam's first moment keeps along its path
    floor      what error a constant learning rate leaves at the teacher

Methods differ in their class and settings only: data, starts and batches of a trial are the same
for all. P-SGD switches samples at the source's rate whatever the learning rate: eta / (b tau) is
0.01 a step in Figure 4.5 (learning curves, and wide students), 0.005 in Figure 4.1 (all others).
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
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
from hdnotes.optimizers import Lockstep, Method, Setting
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
    "Adam": (0.1, "Adam", {}),
    "Lion": (0.03, "Lion", {}),
    "ADOPT": (0.03, "ADOPT", {}),
    "RMSprop": (0.03, "RMSprop", {}),
    "NAdam": (0.03, "NAdam", {}),
    "long momentum": (0.0005, "SGD", {"momentum": 0.99}),
    "RAdam": (0.03, "RAdam", {}),
    "Adamax": (0.03, "Adamax", {}),
}
#: Betas of Adam's search: torch's; squares that are forgotten sooner; a longer momentum.
BETAS = ((0.9, 0.999), (0.9, 0.95), (0.99, 0.999))
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
#: Epochs kept of a judged run at alpha, about.
RECORDS = 40
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
    wide: tuple[int, ...] = parameter(
        (5,), at_least=2, help="hidden units of the race of wide students at alpha"
    )
    wide_methods: tuple[str, ...] = parameter(
        ("Adam", "Lion", "ADOPT", "momentum"),
        choices=tuple(RACE),
        help="its methods: SGD's on persistent batches, the others on shuffled ones",
    )
    rates: int = parameter(8, at_least=1, help="learning rates tried, half a decade apart")
    betas: int = parameter(
        3, at_least=1, at_most=len(BETAS), help="betas tried with each of Adam's rates at alpha"
    )
    search_sets: int = parameter(6, at_least=1, help="data sets of the search")
    search_starts: int = parameter(1, at_least=1, unit="trials", help="starts on each of them")
    judge_sets: int = parameter(10, at_least=1, help="data sets of the judgement")
    judge_starts: int = parameter(2, at_least=1, unit="trials", help="starts on each of them")
    epochs_factor: float = parameter(
        300, above=0, unit="epochs", help="budget over log2(p + 1), but for the learning curves"
    )
    batch_fraction: float = parameter(0.5, above=0, at_most=0.5, help="b, share of a batch")
    redraws: float = parameter(
        0.005,
        above=0,
        at_most=0.9,
        unit="a step",
        help="how often P-SGD draws a sample's state, but for what the next one says",
    )
    wide_redraws: float = parameter(
        0.01,
        above=0,
        at_most=0.9,
        unit="a step",
        help="the same in the learning curves, and in the race of wide students",
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
        "wide_methods": ("Adam", "momentum"),
        "rates": 2,
        "betas": 2,
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
        "methods": tuple(RACE)[:7],
        "wide_methods": ("Adam", "ADOPT", "momentum"),
        "full_methods": ("SGD", "momentum", "Adam"),
        "alphas": (1.7, 2.0, 2.3, 2.7, 3.0, 4.0, 5.0, 6.0),
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
        *_wide_race(p),
        *(cell for d in wide for cell in _dynamics(p, d)),
    ]


def _dynamics(p: Parameters, hidden: int) -> Iterator[dict[str, Any]]:
    """Yield the learning curves of d hidden units; the switch rate is Figure 4.5's at every d."""
    most = next((count for size, count in SETS_A_CELL if p.dynamics_features <= size), 1)
    for first in range(0, p.dynamics_sets, most):
        group = {"first_set": first, "sets": min(most, p.dynamics_sets - first)}
        for method, batches in (("Adam", "shuffled"), ("SGD", "persistent")):
            yield {
                **_problem(p, p.dynamics_features, p.alpha, hidden),
                "redraws": p.wide_redraws,
                "kind": "dynamics",
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
        yield _contest(p, alpha, method, batches)
    yield _untuned_cell(p, 1)


def _wide_race(p: Parameters) -> Iterator[dict[str, Any]]:
    """Yield a few methods at alpha once more, each on its own kind of halves, for wide students."""
    for hidden in p.wide:
        for method in p.wide_methods:
            batches = "persistent" if RACE[method][1] == "SGD" else "shuffled"
            yield _contest(p, p.alpha, method, batches, hidden)
        yield _untuned_cell(p, hidden)


def _contest(
    p: Parameters, alpha: float, method: str, batches: str, hidden: int = 1
) -> dict[str, Any]:
    at_home = alpha == p.alpha
    return {
        **_problem(p, p.features, alpha, hidden),
        "kind": "race",
        "method": method,
        "batches": batches,
        "epochs": epochs(p.features, p.epochs_factor),
        "rates": p.rates,
        "betas": p.betas if at_home else 1,
        "records": RECORDS if at_home else 0,
        "search_sets": p.search_sets,
        "search_starts": p.search_starts,
        "judge_sets": p.judge_sets,
        "judge_starts": p.judge_starts,
    }


def _untuned_cell(p: Parameters, hidden: int) -> dict[str, Any]:
    searched = ("rates", "betas", "search_sets", "search_starts")
    cell = _contest(p, p.alpha, "Adam", "shuffled", hidden) | {"kind": "untuned"}
    return {name: value for name, value in cell.items() if name not in searched}


def _problem(p: Parameters, features: int, alpha: float, hidden: int = 1) -> dict[str, Any]:
    return {
        "features": features,
        "alpha": alpha,
        "hidden": hidden,
        "batch_fraction": p.batch_fraction,
        "redraws": p.redraws if hidden == 1 else p.wide_redraws,
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
    sizes = {
        "sets": max(p.search_sets, p.judge_sets),
        "starts": max(p.search_starts, p.judge_starts),
    }

    def race(cell: dict[str, Any]) -> dict[str, Any]:
        return {"momenta": tried(cell) if cell["kind"] == "race" else [ADAM_RATE], **sizes}

    return held_bytes(
        {"momenta": FLOOR_RATES, **cell, **(race(cell) if "judge_sets" in cell else {})}
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


def tried_rates(method: str, rates: int, hidden: int = 1) -> list[float]:
    """Return the learning rates that are tried: half a decade apart around the middle one.

    A unit's gradient is as 1/d, which torch's SGD makes up for and the others divide by.

    Examples
    --------
    >>> [f"{rate:.3g}" for rate in tried_rates("Adam", 5)]
    ['0.01', '0.0316', '0.1', '0.316', '1']
    """
    middle, optimizer, _ = RACE[method]
    if optimizer == "SGD":
        middle *= hidden
    return [middle * 10 ** ((k - (rates - 1) // 2) / 2) for k in range(rates)]


def tried(cell: Mapping[str, Any]) -> list[Setting]:
    """Return what a cell's search tries: every learning rate, Adam's with each of its betas."""
    _, optimizer, given = RACE[cell["method"]]
    own = [{"betas": pair} for pair in BETAS[: cell["betas"]]] if cell["method"] == "Adam" else [{}]
    rates = tried_rates(cell["method"], cell["rates"], cell["hidden"])
    return [Method(optimizer, {**given, **betas})(rate) for betas in own for rate in rates]


def _tuned(cells: Sequence[dict[str, Any]], device: str) -> list[dict[str, pd.DataFrame]]:
    """Search each setting with the least mean error on some data sets; judge it on others."""
    options = [tried(cell) for cell in cells]
    found = _trained(final_errors, cells, device, options, "search", first_set=SEARCH_SETS)
    searches = [tables["runs"] for tables in found]
    best = [_best(search, own) for search, own in zip(searches, options, strict=True)]
    judged = _judged(cells, device, best)
    for tables, search, own in zip(judged, searches, options, strict=True):
        rates = [setting.learning_rate for setting in own]
        edge = tables["race"].rate.isin([min(rates), max(rates)])
        tables |= {"search": search, "race": tables["race"].assign(at_edge=edge)}
    return judged


def _best(search: pd.DataFrame, options: Sequence[Setting]) -> Setting:
    return options[int(search.groupby("tried").test_error.mean().idxmin())]


def _untuned(cells: Sequence[dict[str, Any]], device: str) -> list[dict[str, pd.DataFrame]]:
    """Judge Adam as the source ran it."""
    return _judged(cells, device, [Method("Adam")(ADAM_RATE * cell["hidden"]) for cell in cells])


def _judged(
    cells: Sequence[dict[str, Any]], device: str, chosen: Sequence[Setting]
) -> list[dict[str, pd.DataFrame]]:
    """Return each cell's judged runs, and their ``paths`` where the cell has records."""
    records = cells[0]["records"]
    train = partial(learning_curves, records=records) if records else final_errors
    found = _trained(train, cells, device, [[one] for one in chosen], "judge", first_set=0)
    names = {"runs": "race", "curves": "paths"}
    return [{names[name]: table for name, table in tables.items()} for tables in found]


def _trained(
    train: Callable[..., list[dict[str, pd.DataFrame]]],
    cells: Sequence[dict[str, Any]],
    device: str,
    options: Sequence[list[Setting]],
    part: str,
    first_set: int,
) -> list[dict[str, pd.DataFrame]]:
    """Train a student a setting, data set and start; return each cell's tables, told by setting.

    ``tried`` is the setting's number, ``rate`` its learning rate, ``betas`` those given, as text.
    """
    students, settings = [], []
    for cell, own in zip(cells, options, strict=True):
        sizes = {"sets": cell[f"{part}_sets"], "starts": cell[f"{part}_starts"]}
        names = [str(k) for k in range(len(own))]
        students.append(student(cell, names, first_set=first_set, **sizes))
        settings += [own[int(k)] for k in trials_of(students[-1])["momentum"]]
    return [
        {name: _told(table, own) for name, table in tables.items()}
        for tables, own in zip(train(students, device, settings), options, strict=True)
    ]


def _told(table: pd.DataFrame, options: Sequence[Setting]) -> pd.DataFrame:
    number = table["momentum"].astype(int)
    rates = pd.Series([one.learning_rate for one in options])
    betas = pd.Series([str(one.method.settings.get("betas", "")) for one in options])
    told = table.assign(
        tried=number, rate=number.map(rates).to_numpy(), betas=number.map(betas).to_numpy()
    )
    unused = ["momentum", "method", "sampled_error", *(["training_error"] * ("epoch" in table))]
    return told.drop(columns=unused, errors="ignore")


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
    "race": Joint(_tuned, alike_in_time),
    "untuned": Joint(_untuned, alike_in_time),
    "motion": _motion,
    "noise": _noise,
    "floor": _floor,
}
