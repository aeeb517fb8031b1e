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


def plain_phase_loss(channel: str, hidden: int, x: Tensor, y: Tensor, w: Tensor) -> Tensor:
    """Return each sample's loss of a student of phase retrieval, from the definitions."""
    h = x @ w.view(hidden, -1).T
    if channel == "quadratic":
        return ((h**2).mean(1) - y) ** 2 / 2
    a = torch.sqrt(h**2 + 1e-8).mean(1)
    if channel == "absolute":
        return (a - y) ** 2 / 2
    if channel == "door, square":
        return (a - 0.67449 - y) ** 2 / 2
    return torch.log(1 + torch.exp(-y * (a - 0.67449)))


def plain_sphere_train(loss, start: Tensor, setting: Setting, steps: int, hidden: int) -> Tensor:
    """Train one student; after every step each hidden unit goes back to norm sqrt(p)."""
    w = start.clone().requires_grad_()
    optimizer = find(setting.method.optimizer)(
        [w], lr=setting.learning_rate, **setting.method.settings
    )
    for step in range(steps):
        optimizer.zero_grad()
        loss(w, step).backward()
        optimizer.step()
        with torch.no_grad():
            for unit in w.view(hidden, -1):
                unit *= len(unit) ** 0.5 / torch.linalg.norm(unit)
    return w.detach()
