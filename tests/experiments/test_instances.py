"""One instance under several losses: the same data, starts and batches, other labels."""

import numpy as np
import pytest
import torch

from hdnotes.experiments import students
from hdnotes.experiments.instances import draw_instances, final_errors
from hdnotes.problems.phase_retrieval import DOOR

CELL = {
    "channel": "quadratic",
    "instances": "quadratic",
    "features": 16,
    "alpha": 6.0,
    "hidden": 1,
    "batches": "persistent",
    "momenta": ["none", "Nesterov"],
    "learning_rate": 0.005,
    "momentum_rate": 0.005,
    "momentum": 0.9,
    "batch_fraction": 0.5,
    "persistence": 2.0,
    "epochs": 60,
    "first_set": 0,
    "sets": 2,
    "starts": 2,
    "teacher": "sphere",
    "judged_on": "overlap",
}


@pytest.mark.parametrize("batches", students.BATCHES)
def test_the_channel_of_the_instances_gives_the_students_of_its_own_chapter(batches):
    cell = {**CELL, "batches": batches}
    ours, theirs = final_errors(cell, "cpu")["runs"], students.final_errors(cell, "cpu")["runs"]
    np.testing.assert_array_equal(ours[theirs.columns].to_numpy(), theirs.to_numpy())


@pytest.mark.parametrize(
    ("channel", "label"),
    [
        ("absolute", lambda y: y.sqrt()),
        ("door, logistic", lambda y: (y.sqrt() - DOOR).sign()),
    ],
)
def test_other_channels_see_the_same_data_with_their_own_labels(channel, label):
    plain = draw_instances(CELL, "cpu")
    seen = draw_instances({**CELL, "channel": channel}, "cpu")
    assert seen.channel == channel
    for k in range(2):
        assert torch.equal(seen.inputs[k], plain.inputs[k])
        assert torch.equal(seen.teachers[k], plain.teachers[k])
        torch.testing.assert_close(seen.targets[k], label(plain.targets[k]))


def test_momentum_has_its_own_learning_rate():
    both = final_errors({**CELL, "momentum_rate": 0.002}, "cpu")["runs"]
    without = final_errors({**CELL, "momenta": ["none"]}, "cpu")["runs"]
    slow = {**CELL, "momenta": ["Nesterov"], "learning_rate": 1.0, "momentum_rate": 0.002}
    apart = [*without.overlap, *final_errors(slow, "cpu")["runs"].overlap]
    np.testing.assert_allclose(both.overlap, apart, rtol=1e-4)
    assert both.momentum.tolist() == ["none"] * 4 + ["Nesterov"] * 4


def test_more_can_be_measured_at_the_end():
    table = final_errors(CELL, "cpu", {"twice": lambda visit: 2 * visit.point[:, 0]})["runs"]
    assert table.twice.abs().gt(0).all()
