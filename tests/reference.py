"""The plain twins of the fast paths: one trial, one torch.optim loop, autograd, nothing shared."""

from itertools import pairwise

import torch
from torch import Tensor
from torch.func import functional_call
from torch.nn.functional import cross_entropy

from hdnotes.optimizers import Setting, find


def plain_loss(kind: str, a: Tensor, y: Tensor, theta: Tensor) -> Tensor:
    """Return a convex objective, written from its definition."""
    z = a @ theta
    if kind == "least_squares":
        return ((z - y) ** 2).sum() / 2
    if kind == "logistic":
        return -(y * torch.log(torch.sigmoid(z)) + (1 - y) * torch.log(torch.sigmoid(-z))).sum()
    return torch.log(torch.exp((z - y) ** 2).sum())


def plain_train(loss, start: Tensor, setting: Setting, steps: int) -> tuple[Tensor, list[float]]:
    """Train one trial; ``loss(theta, step)``. Return the last point and the loss at every step."""
    theta = start.clone().requires_grad_()
    optimizer = find(setting.method.optimizer)(
        [theta], lr=setting.learning_rate, **setting.method.settings
    )
    losses = []
    for step in range(steps):
        optimizer.zero_grad()
        value = loss(theta, step)
        value.backward()
        losses.append(value.item())
        optimizer.step()
    return theta.detach(), losses


def plain_network(widths: tuple[int, ...], theta: Tensor, inputs: Tensor, labels: Tensor) -> Tensor:
    """Return the loss of a ReLU network built from torch.nn, its parameters read from ``theta``."""
    modules: list[torch.nn.Module] = []
    for i, o in pairwise(widths):
        modules += [torch.nn.Linear(i, o), torch.nn.ReLU()]
    network = torch.nn.Sequential(*modules[:-1]).to(theta.dtype)
    values, begin = {}, 0
    for name, parameter in network.named_parameters():
        values[name] = theta[begin : begin + parameter.numel()].view_as(parameter)
        begin += parameter.numel()
    return cross_entropy(functional_call(network, values, (inputs,)), labels)
