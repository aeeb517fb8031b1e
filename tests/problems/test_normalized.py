"""Normalized networks: equal to torch.nn, scale invariant layer by layer, rows independent."""

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from hdnotes import seeds
from hdnotes.problems.normalized import (
    Normalized,
    Perceptron,
    ResNet,
    draw_weights,
    normalize,
    split,
)

HEAD = seeds.normal(3, 6, of=("normalized", "head"))
MLP = Perceptron((784, 5, 6), HEAD)
NETWORKS = [MLP, Perceptron((784, 5, 6), HEAD, activation=torch.tanh), ResNet(3, HEAD)]
INPUTS = seeds.normal(40, 784, of=("normalized", "inputs"))
LABELS = torch.arange(40) % 3
BATCH = torch.stack([torch.arange(t, t + 12) for t in range(2)])


def points(network: Perceptron | ResNet) -> Tensor:
    return torch.stack([draw_weights(network.shapes(), of=("normalized", t)) for t in range(2)])


def plain_perceptron(network: Perceptron, theta: Tensor, x: Tensor, eps: float) -> Tensor:
    for (weight,) in [(w[0],) for w in split(theta[None], network.shapes())]:
        x = x @ weight.T
        x = network.activation(nn.BatchNorm1d(len(weight), eps=eps, affine=False)(x))
    return x @ network.head.T


def plain_resnet(network: ResNet, theta: Tensor, x: Tensor, eps: float) -> Tensor:
    w = [weights[0] for weights in split(theta[None], network.shapes())]

    def layer(x: Tensor, weight: Tensor, stride: int = 1) -> Tensor:
        convolution = nn.Conv2d(
            weight.shape[1], len(weight), weight.shape[2], stride, weight.shape[2] // 2, bias=False
        )
        z = torch.func.functional_call(convolution, {"weight": weight}, (x,))
        return nn.BatchNorm2d(len(weight), eps=eps, affine=False)(z)

    x = nn.AvgPool2d(2)(x.view(-1, 1, 28, 28))
    x = torch.relu(layer(x, w[0]))
    x = torch.relu(x + layer(torch.relu(layer(x, w[1])), w[2]))
    y = layer(torch.relu(layer(x, w[3], 2)), w[4])
    x = torch.relu(y + layer(x, w[5], 2))
    return x.mean((2, 3)) @ network.head.T


@pytest.mark.parametrize("network", NETWORKS, ids=["relu", "tanh", "resnet"])
def test_loss_and_gradient_equal_torch_nn(network):
    theta = points(network)
    problem = Normalized(network, INPUTS, LABELS, (0, 0))
    loss, gradient = problem.loss_and_gradient(theta, BATCH)
    plain = plain_resnet if isinstance(network, ResNet) else plain_perceptron
    for t in range(2):
        one = theta[t].clone().requires_grad_()
        value = cross_entropy(plain(network, one, INPUTS[BATCH[t]], 1e-300), LABELS[BATCH[t]])
        (expected,) = torch.autograd.grad(value, one)
        torch.testing.assert_close(loss[t], value.detach(), rtol=1e-12, atol=1e-12)
        torch.testing.assert_close(gradient[t], expected, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("network", NETWORKS, ids=["relu", "tanh", "resnet"])
def test_every_layer_may_be_scaled_and_its_gradient_is_orthogonal_to_it(network):
    theta = points(network)
    problem = Normalized(network, INPUTS, LABELS, (0, 0))
    loss, gradient = problem.loss_and_gradient(theta, BATCH)
    sizes = [layer[0].numel() for layer in split(theta, network.shapes())]
    factors = torch.repeat_interleave(10.0 ** torch.arange(len(sizes)), torch.tensor(sizes))
    scaled_loss, scaled = problem.loss_and_gradient(factors * theta, BATCH)
    torch.testing.assert_close(scaled_loss, loss, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(factors * scaled, gradient, rtol=1e-9, atol=1e-12)
    for layer, slope in zip(theta.split(sizes, 1), gradient.split(sizes, 1), strict=True):
        assert (layer * slope).sum(1).abs().max() < 1e-12


def test_eps_breaks_the_invariance():
    problem = Normalized(Perceptron((784, 5, 6), HEAD, eps=1e-2), INPUTS, LABELS, (0, 0))
    theta = points(MLP)
    loss, _ = problem.loss_and_gradient(theta, BATCH)
    small, _ = problem.loss_and_gradient(0.1 * theta, BATCH)
    assert (loss - small).abs().min() > 1e-3


def test_a_row_is_the_same_alone_and_in_company():
    problem = Normalized(MLP, INPUTS, LABELS, (0, 0))
    theta = points(MLP)
    _, both = problem.loss_and_gradient(theta, BATCH)
    _, one = problem.take([1]).loss_and_gradient(theta[1:], BATCH[1:])
    torch.testing.assert_close(both[1:], one, rtol=1e-12, atol=1e-14)
    _, whole = problem.loss_and_gradient(theta)
    _, listed = problem.loss_and_gradient(theta, torch.arange(40).expand(2, -1))
    torch.testing.assert_close(whole, listed, rtol=1e-12, atol=1e-14)


def test_normalized_units_have_mean_zero_and_variance_one():
    z = normalize(7 + 3 * seeds.normal(2, 50, 4, of=("normalize",)))
    assert z.mean(1).abs().max() < 1e-14
    torch.testing.assert_close(z.var(1, correction=0), torch.ones(2, 4))


def test_weights_have_the_scale_of_their_inputs():
    first, second = split(
        draw_weights([(300, 100), (100, 300)], of=("scale",))[None],
        [
            (300, 100),
            (100, 300),
        ],
    )
    assert first.std().item() == pytest.approx(0.1, rel=0.02)
    assert second.std().item() == pytest.approx(300**-0.5, rel=0.02)
