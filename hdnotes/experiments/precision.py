r"""Chapter `precision`: what results owe to the machine, that is to products in TF32 and to a GPU.

The students of chapter `phase_retrieval`, same data, starts and batches, trained to the end of
their budget with each kind of matrix product on each kind of machine. A run that has found its
teacher goes on: where it ends is what the arithmetic leaves.
"""

from dataclasses import dataclass, replace
from typing import Any

import pandas as pd

from hdnotes import devices
from hdnotes.experiments import phase_retrieval
from hdnotes.experiments.parameters import parameter
from hdnotes.experiments.students import curve_point, held_bytes, learning_curves, require_batches

NAME = "precision"
VERSION = 1
TITLE = "Does the machine matter?"

BATCHES = ("persistent", "full")
#: Epochs of a curve that are kept.
RECORDS = 60


@dataclass(frozen=True)
class Parameters:
    """What the chapter can be run with."""

    products: tuple[str, ...] = parameter(
        devices.PRODUCTS, choices=devices.PRODUCTS, help="how float32 matrices are multiplied"
    )
    machines: tuple[str, ...] = parameter(
        ("cpu",), choices=("cpu", "cuda"), help="where to train; all of them have to be there"
    )
    features: int = parameter(128, at_least=2, unit="dimensions", help="p")
    alphas: tuple[float, ...] = parameter(
        (2.0, 2.5, 3.0, 4.0, 5.0), above=0, unit="samples per p", help="sample complexities n/p"
    )
    data_sets: int = parameter(8, at_least=1, unit="data sets", help="teachers and samples")
    starts: int = parameter(5, at_least=1, unit="trials", help="starts on each data set")
    epochs_factor: float = parameter(
        500, above=0, unit="epochs", help="a run's budget over log2(p + 1)"
    )

    def __post_init__(self) -> None:
        require_batches(self, "features", "alphas")


PROFILES: dict[str, dict[str, Any]] = {
    "smoke": {
        "features": 16,
        "alphas": (2.0, 6.0),
        "data_sets": 5,
        "starts": 2,
        "epochs_factor": 100,
    },
    "quick": {},
    "paper": {"features": 1024, "alphas": (1.5, 2.0, 2.5, 3.0, 4.0), "epochs_factor": 2000},
}


def cells(p: Parameters) -> list[dict[str, Any]]:
    """Return what has to be computed: a method and sample complexity, then each arithmetic."""
    students = replace(phase_retrieval.Parameters(), starts=p.starts, epochs_factor=p.epochs_factor)
    return [
        {
            **curve_point(students, p.features, alpha, batches, momenta=["Nesterov"]),
            "first_set": 0,
            "sets": p.data_sets,
            "products": products,
            "machine": machine,
        }
        for batches in BATCHES
        for alpha in p.alphas
        for machine in p.machines
        for products in p.products
    ]


def memory(p: Parameters) -> int:
    """Return the peak bytes: data, states, and the rounded copy of a data set."""
    return held_bytes(cells(p))


def run(cell: dict[str, Any], device: str) -> dict[str, pd.DataFrame]:
    """Return each student's end, and its errors along the way.

    Raises
    ------
    ValueError
        If the cell's machine is a GPU and there is none.
    """
    machine = devices.resolve(cell["machine"])
    with devices.products(cell["products"], machine):
        (tables,) = learning_curves([cell], machine, records=RECORDS, stop=None)
    return tables
