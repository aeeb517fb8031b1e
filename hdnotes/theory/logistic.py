r"""The minimum of the logistic loss, by Newton's method: what suboptimality is measured against.

f(theta) = sum_i log(1 + e^{z_i}) - y_i z_i with z = A theta has the gradient A^T (s - y) and the
Hessian A^T diag(s (1 - s)) A, where s = sigmoid(z). The chapter `egop_convex` uses it.
"""

import torch
from torch import Tensor

from hdnotes.problems.convex import logistic


def logistic_minimum(a: Tensor, y: Tensor, steps: int = 100) -> tuple[Tensor, float]:
    """Return the minimiser (d,) of the summed logistic loss and its minimum.

    Newton's step is halved until the loss falls; the last ones double the digits that are right.

    Parameters
    ----------
    a : data matrix A (samples, d), float64
    y : labels (samples,) in {0, 1}
    steps : at most

    Raises
    ------
    ValueError
        If there is no minimum: a hyperplane separates the labels, or A lacks full column rank.
    """
    point = a.new_zeros(a.shape[1])
    for _ in range(steps):
        loss, slope = logistic(a @ point, y)
        gradient, s = slope @ a, slope + y
        if gradient.norm() < 1e-11 * (1 + loss) and (s * (1 - s)).min() > 1e-9:
            return point, float(loss)
        hessian = (a.T * (s * (1 - s))) @ a
        step, failed = torch.linalg.solve_ex(hessian, gradient)
        if failed or not step.isfinite().all():
            break
        while step.norm() > 1e-15 and logistic(a @ (point - step), y)[0] > loss:
            step = step / 2
        point = point - step
    raise ValueError(
        f"{len(y)} labels in {a.shape[1]} dimensions have no logistic minimum: a hyperplane "
        "separates them, or the data are degenerate; more samples are needed"
    )
