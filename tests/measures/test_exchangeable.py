"""The EGOP of exchangeable units: against averaging over every renumbering, and its parts."""

from itertools import permutations

import pytest
import torch

from hdnotes import seeds
from hdnotes.measures.egop import eigenbasis, sample_gradients
from hdnotes.measures.exchangeable import hidden_units, symmetric
from hdnotes.measures.spectra import summed_scales
from hdnotes.problems.classifier import Classifier, draw_points, draw_uniform_points, layers

WIDTHS = (3, 4, 2)
UNITS = hidden_units(WIDTHS)
D = 26


def network():
    inputs = seeds.normal(15, 3, of=("inputs",))
    return Classifier(WIDTHS, inputs, torch.arange(15) % 2, (0,))


def gradients(count=9):
    return sample_gradients(network(), draw_points(WIDTHS, count, "xavier", of=("rho",)))


def estimate(g):
    return symmetric(g[:, UNITS.own], g[:, UNITS.rest])


def renumbered(order):
    index = torch.arange(D)
    index[UNITS.own.flatten()] = UNITS.own[list(order)].flatten()
    return index


def test_renumbering_the_units_changes_the_loss_not_and_moves_the_gradient():
    point = draw_points(WIDTHS, 1, "xavier", of=("point",))
    loss, gradient = network().loss_and_gradient(point)
    index = renumbered((2, 0, 3, 1))
    other, moved = network().loss_and_gradient(point[:, index])
    torch.testing.assert_close(other, loss)
    torch.testing.assert_close(moved, gradient[:, index])
    assert (point[:, index] - point).norm() > 1


def test_every_parameter_has_one_place():
    assert sorted([*UNITS.own.flatten().tolist(), *UNITS.rest.tolist()]) == list(range(D))


def test_it_is_the_mean_over_all_renumberings():
    g = gradients()
    every = torch.cat([g[:, renumbered(order)] for order in permutations(range(4))])
    exact = estimate(g)
    expected = every.T @ every / len(every)
    v = exact.vectors(UNITS)
    torch.testing.assert_close(v.T @ v, torch.eye(D), rtol=0, atol=1e-12)
    torch.testing.assert_close(v @ exact.values().diag() @ v.T, expected, rtol=0, atol=1e-12)
    assert (expected - g.T @ g / len(g)).abs().max() > 1e-3


def test_eigenvalues_occur_as_often_as_the_theorem_says():
    g = gradients(200)
    exact = estimate(g)
    assert len(exact.apart.values) == 3 + 1 + 2
    assert len(exact.together.values) == 3 + 1 + 2 + 2
    assert len(exact.values()) == D
    values = torch.cat([g[:, renumbered(o)] for o in permutations(range(4))])
    plain = eigenbasis(values).values
    torch.testing.assert_close(plain, exact.values(), rtol=1e-9, atol=1e-13)


def test_true_eigenvectors_make_the_summed_scale_smallest():
    g = gradients(60)
    best = summed_scales(g, eigenbasis(g).vectors)
    assert best < summed_scales(g, estimate(g).vectors(UNITS)) < summed_scales(g, torch.eye(D))
    torch.testing.assert_close(best, eigenbasis(g).values.sqrt().sum())


def test_uniform_points_have_the_range_of_their_layer():
    points = draw_uniform_points(WIDTHS, 400, of=("uniform",))
    for layer in layers(WIDTHS):
        both = points[:, layer.weight.start : layer.bias.stop]
        assert both.abs().max() <= layer.inputs**-0.5
        assert both.std().item() == pytest.approx((3 * layer.inputs) ** -0.5, rel=0.05)
