"""The logistic minimum has no gradient, agrees with scipy's, and is refused where there is none."""

import pytest
import torch
from scipy.optimize import minimize

from hdnotes import seeds
from hdnotes.problems.convex import logistic
from hdnotes.theory.logistic import logistic_minimum


def made(samples: int, d: int) -> tuple[torch.Tensor, torch.Tensor]:
    a = seeds.normal(samples, d, of=("logistic", samples, d, "A"))
    y = (seeds.normal(samples, of=("logistic", samples, d, "y")) + a[:, 0] > 0).double()
    return a, y


@pytest.mark.parametrize(("samples", "d", "scale"), [(60, 4, 1.0), (200, 10, 1e-2)])
def test_the_minimum_has_no_gradient_and_is_scipys(samples, d, scale):
    a, y = made(samples, d)
    a = scale * a
    point, minimum = logistic_minimum(a, y)
    assert (logistic(a @ point, y)[1] @ a).norm() < 1e-9

    def loss(x):
        value, slope = logistic(a @ torch.as_tensor(x), y)
        return float(value), (slope @ a).numpy()

    found = minimize(loss, torch.zeros(d).double().numpy(), jac=True, options={"gtol": 1e-7})
    assert minimum == pytest.approx(found.fun, rel=1e-10)
    assert minimum <= found.fun + 1e-10


def test_separable_labels_have_no_minimum():
    a, _ = made(60, 4)
    with pytest.raises(ValueError, match="hyperplane"):
        logistic_minimum(a, (a[:, 0] > 0).double())
