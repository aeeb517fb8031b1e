r"""The ways to train a network whose weight matrices are seen as matrices (chapter egop_related).

Methods that act element by element see all parameters as one vector, in any coordinates; SOAP,
GaLore, Shampoo and Muon are the libraries' and see each matrix.
"""

from dataclasses import dataclass
from typing import Any

from hdnotes.experiments.network_tasks import Task
from hdnotes.matrix_training import Part
from hdnotes.optimizers import BASIC, Method

#: Steps that never come: a basis that is computed once.
NEVER = 10**9
#: Share of a matrix's smaller side that GaLore keeps.
GALORE_SHARE = 0.25


#: What becomes of EGOP coordinates on the way: estimated anew near the point, and the method starts
#: anew; the same from the gradients of training; estimated anew, with memory carried over; and, the
#: control, the method started anew in the old coordinates.
TURNING = ("re-estimated", "path", "carried", "restarted")


@dataclass(frozen=True)
class Arm:
    """One way to train.

    Parameters
    ----------
    method : name of the method
    coordinates : "original", "EGOP", "Kronecker", "random"; those of `TURNING` begin as "EGOP"
    refresh : steps after which SOAP and GaLore look for their basis again
    longer : whether it may train on with as many gradients as an estimate takes
    share : of an estimate's gradients, those that it takes
    """

    method: str
    coordinates: str = "original"
    refresh: int = 0
    longer: bool = False
    share: float = 1.0


#: Methods that act element by element; "short Adam" has SOAP's memory.
ELEMENTWISE = {
    "Adam": BASIC["Adam"],
    "Adagrad": BASIC["Adagrad"],
    "short Adam": Method("Adam", {"betas": (0.95, 0.95)}),
}


def parts_of(task: Task, arm: Arm) -> list[Part]:
    """Return what the optimizers of an arm see: everything as one vector, or the matrices."""
    if arm.method in ELEMENTWISE:
        d = len(task.start)
        return [Part(slice(0, d), (d,), ELEMENTWISE[arm.method])]
    rest = _matrix_method(arm, None)
    return [
        *(Part(at, shape, _matrix_method(arm, shape)) for at, shape in task.matrices),
        *(Part(at, shape, rest) for at, shape in task.vectors),
    ]


def _matrix_method(arm: Arm, shape: tuple[int, int] | None) -> Method:
    """Return the libraries' method for a matrix of this shape, or for the biases.

    Biases are what they are in each method's own words: Adam beside Muon and within GaLore and
    SOAP (with its memory), one-sided in Shampoo. No weight decay anywhere.
    """
    plain: dict[str, Any] = {"weight_decay": 0.0}
    if arm.method == "SOAP":
        return Method("SOAP", {**plain, "precondition_frequency": arm.refresh})
    if arm.method == "Shampoo":
        return Method("Shampoo", {"preconditioning_compute_steps": 10})
    if shape is None:
        return BASIC["Adam"]
    if arm.method == "Muon":
        return Method("Muon", plain)
    kept = {"rank": max(1, round(GALORE_SHARE * min(shape))), "update_proj_gap": arm.refresh}
    return Method("GaLore", {**kept, "scale": 1.0, "projection_type": "std", "eps": 1e-8})
