"""The chain of P-SGD: its mean, flips and residence, and that it is a function of the step."""

import pytest
import torch

from hdnotes.batches import BLOCK, Drawn, Joined, Persistent, Shuffled, redraw_rate

N, B, RATE = 4000, 0.25, 0.02


def masks(batches: Persistent, steps: int) -> torch.Tensor:
    """Return (steps, trials, samples)."""
    return torch.stack([batches.at(step).clone() for step in range(steps)])


def chain() -> torch.Tensor:
    return masks(Persistent(N, B, (RATE,), (3,)), 600)[:, 0]


def test_the_chain_is_stationary_at_the_fraction():
    share = chain().mean(1)
    deviation = (B * (1 - B) / N) ** 0.5
    assert (share - B).abs().max() < 5 * deviation


def test_flips_per_step_are_those_of_the_document():
    learning_rate, persistence = 0.01, 2.0
    rate = redraw_rate(learning_rate, B, persistence)
    assert rate == RATE
    s = chain()
    on = ((1 - s[:-1]) * s[1:]).sum() / (1 - s[:-1]).sum()
    off = (s[:-1] * (1 - s[1:])).sum() / s[:-1].sum()
    assert on.item() == pytest.approx(learning_rate / persistence, rel=0.03)
    assert off.item() == pytest.approx((1 - B) * learning_rate / (B * persistence), rel=0.03)


def test_residence_times_are_geometric():
    s = chain()
    lengths, off = [], (1 - B) * RATE
    for sample in range(N):
        changes = s[:, sample].diff().nonzero().flatten()
        begins = [int(c) + 1 for c in changes if s[int(c) + 1, sample] == 1 and c < 200]
        for begin in begins:
            rest = (s[begin:, sample] == 0).nonzero()
            lengths.append(int(rest[0]) if len(rest) else len(s) - begin)
    times = torch.tensor(lengths, dtype=torch.float64)
    assert times.mean().item() == pytest.approx(1 / off, rel=0.05)
    assert (times > 46).double().mean().item() == pytest.approx((1 - off) ** 46, rel=0.05)


@pytest.mark.parametrize("rate", [0.02, 0.0004])
def test_a_mask_is_a_function_of_stream_and_step(rate):
    batches = Persistent(50, 0.5, (rate, 0.3), (3, 4))
    steps = 3 * BLOCK + 20
    whole = masks(batches, steps)
    for step in (steps - 1, 0, BLOCK, BLOCK - 1, 2 * BLOCK + 7):
        fresh = Persistent(50, 0.5, (rate, 0.3), (3, 4))
        assert torch.equal(fresh.at(step), whole[step])
        assert torch.equal(batches.at(step), whole[step])


@pytest.mark.parametrize("order", [[2, 0], [1], [1, 1, 0]])
def test_companions_change_nothing(order):
    streams, rates = (5, 6, 7), (0.1, 0.02, 0.004)
    whole = Persistent(40, 0.5, rates, streams)
    expected = masks(Persistent(40, 0.5, rates, streams), 700)
    whole.at(300)
    part = whole.take(order)
    for step in (300, 301, 340, BLOCK * 2, 699):
        assert torch.equal(part.at(step), expected[step][order])
    assert torch.equal(whole.at(300), expected[300])


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"fraction": 1.0}, "fraction = 1.0 is not allowed; it is above 0 and below 1"),
        ({"rates": (0.1, 1.5)}, "rate = 1.5 is not allowed"),
    ],
)
def test_impossible_chains_are_refused(change, sentence):
    with pytest.raises(ValueError, match=sentence):
        Persistent(**{"samples": 5, "fraction": 0.5, "rates": (0.1,), "streams": (1,), **change})


def test_drawn_rows_come_with_replacement_and_from_the_trial_alone() -> None:
    rows = Drawn(5, 1, (3, 4, 3))
    steps = torch.stack([rows.at(step) for step in range(600)])
    assert torch.equal(steps[:, 0], steps[:, 2])
    assert not torch.equal(steps[:, 0], steps[:, 1])
    counts = steps[:, 1].flatten().bincount(minlength=5)
    assert counts.min() > 80  # 120 each, give or take 10
    assert (steps[1:, 1] == steps[:-1, 1]).float().mean() > 0.1  # the same twice in a row
    assert torch.equal(rows.take([1]).at(599), steps[599, [1]])


def test_kinds_of_batches_are_masks_side_by_side():
    shuffled = Shuffled(10, 3, (5, 6))
    persistent = Persistent(10, 0.5, (0.2, 0.2), (7, 8))
    joined = Joined(10, ((None, (1,)), (shuffled, (4, 0)), (persistent, (2, 3))))
    for step in (0, 1, 2, 300):
        mask = joined.at(step).clone()
        assert mask[1].eq(1).all()
        for row, chunk in zip((4, 0), shuffled.at(step), strict=True):
            assert mask[row].nonzero().flatten().tolist() == chunk.sort().values.tolist()
        assert torch.equal(mask[2:4], persistent.at(step))


def test_some_trials_of_several_kinds_see_what_they_saw_before():
    parts = (
        (None, (0, 3)),
        (Shuffled(10, 3, (5,)), (2,)),
        (Persistent(10, 0.5, (0.2,), (7,)), (1,)),
    )
    joined = Joined(10, parts)
    before = [joined.at(step).clone() for step in range(4)]
    for trials in ([3, 1], [2], [1, 2, 0]):
        some = joined.take(trials)
        for step in range(4):
            assert torch.equal(some.at(step), before[step][trials])
