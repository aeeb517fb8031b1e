"""The data have the property that the lemma asks for, and the answers follow."""

import pytest
import torch

from hdnotes.problems import misleading_signs


@pytest.mark.parametrize(("samples", "positive"), [(3, 2), (10, 7), (21, 11)])
def test_the_signs_of_the_gradient_fit_the_data(samples: int, positive: int) -> None:
    y = misleading_signs.draw_labels(samples, positive, of=("signs", samples))
    assert int((y > 0).sum()) == positive
    a = misleading_signs.data(y)
    assert a.shape == (samples, 3 + 5 * samples)
    signs = (a.T @ y).sign()
    torch.testing.assert_close(a @ signs, 4 * y)
    assert misleading_signs.answers(signs / 4).tolist() == [0.75, 0.25]  # positive, always


def test_the_minimum_norm_solution_is_right_on_new_samples() -> None:
    y = misleading_signs.draw_labels(40, 28, of=("signs", "norm"))
    weights = torch.linalg.pinv(misleading_signs.data(y)) @ y
    positive, negative = misleading_signs.answers(weights).tolist()
    assert positive > 0 > negative


@pytest.mark.parametrize("positive", [5, 10, 11])
def test_labels_without_a_majority_or_a_minority_are_refused(positive: int) -> None:
    with pytest.raises(ValueError, match=f"positive = {positive} is not allowed"):
        misleading_signs.draw_labels(10, positive, of=("signs",))
