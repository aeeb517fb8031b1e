"""Schedules are those of torch."""

import pytest
import torch

from hdnotes.schedules import cosine_annealing


def test_cosine_annealing_is_torchs_stepped_once_an_epoch():
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    theirs = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 5)
    expected = []
    for _ in range(5):
        expected += [optimizer.param_groups[0]["lr"]] * 3
        optimizer.step()
        theirs.step()
    assert cosine_annealing(5, 3).tolist() == pytest.approx(expected, rel=1e-12)
