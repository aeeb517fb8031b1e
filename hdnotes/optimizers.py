"""The methods under study: the real classes of torch.optim, over trials in lockstep.

A method acts element by element, so T trials are the rows of one point and follow the paths they
would follow alone; each learning rate is a parameter group over its rows. Classes that torch does
not have come from pytorch_optimizer.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any

import torch
from torch import Tensor


@dataclass(frozen=True)
class Method:
    """An optimizer class and its settings, all but the learning rate.

    Parameters
    ----------
    optimizer : str
        Name of the class in torch.optim or, failing that, in pytorch_optimizer.
    settings : mapping
        Keyword arguments of the class.
    """

    optimizer: str
    settings: Mapping[str, Any] = field(default_factory=dict)

    def __call__(self, learning_rate: float) -> "Setting":
        """Return this method at a learning rate.

        Examples
        --------
        >>> Method("SGD", {"momentum": 0.9})(0.1).learning_rate
        0.1
        """
        return Setting(self, learning_rate)


@dataclass(frozen=True)
class Setting:
    """How one trial is trained: a method and its learning rate."""

    method: Method
    learning_rate: float


class Lockstep:
    """Optimizers over the rows of one point: a step updates every trial.

    Parameters
    ----------
    point : (trials, parameters), changed in place
    settings : one a trial, equal ones side by side: each run of equal settings is a group

    Raises
    ------
    ValueError
        If no library has a class of a method's name.
    """

    def __init__(self, point: Tensor, settings: Sequence[Setting]) -> None:
        self.point = point
        runs = [(setting, len(list(members))) for setting, members in groupby(settings)]
        self._views = list(point.split([length for _, length in runs]))
        methods = {repr(setting.method): setting.method for setting, _ in runs}
        self._optimizers = [
            find(method.optimizer)(
                [
                    {"params": [view], "lr": setting.learning_rate}
                    for view, (setting, _) in zip(self._views, runs, strict=True)
                    if repr(setting.method) == name
                ],
                **method.settings,
            )
            for name, method in methods.items()
        ]

    def step(self, gradient: Tensor) -> None:
        """Update every row with its row of ``gradient`` (trials, parameters)."""
        parts = gradient.split([len(view) for view in self._views])
        for view, part in zip(self._views, parts, strict=True):
            view.grad = part
        for optimizer in self._optimizers:
            optimizer.step()

    def keep(self, staying: Tensor) -> None:
        """Go on with the rows where ``staying`` (trials,) is True; their state goes with them."""
        kept = dict(zip(self._views, staying.split([len(v) for v in self._views]), strict=True))
        for optimizer in self._optimizers:
            for view, state in optimizer.state.items():
                for name, value in state.items():
                    if isinstance(value, Tensor) and value.shape == view.shape:
                        state[name] = value[kept[view]]
        self.point = self.point[staying]
        lengths = [int(rows.sum()) for rows in kept.values()]
        for view, part in zip(self._views, self.point.split(lengths), strict=True):
            view.grad = None
            view.data = part


def saved_state(rows: Lockstep) -> list[dict[str, dict[str, Any]]]:
    """Return what every run of equal settings that still has rows remembers, in their order."""
    return [
        {"state": dict(optimizer.state.get(view, {})), "group": _count(group)}
        for view, optimizer, group in _places(rows)
        if len(view)
    ]


def restore_state(rows: Lockstep, states: Sequence[Mapping[str, Mapping[str, Any]]]) -> None:
    """Give rows made anew, with the settings of those that were left, what they remembered."""
    for (view, optimizer, group), saved in zip(_places(rows), states, strict=True):
        optimizer.state[view] = dict(saved["state"])
        group.update(saved["group"])


def _places(rows: Lockstep) -> list[tuple[Tensor, torch.optim.Optimizer, dict[str, Any]]]:
    """Return each run's rows with the optimizer that moves them and its parameter group."""
    found = {
        group["params"][0]: (optimizer, group)
        for optimizer in rows._optimizers
        for group in optimizer.param_groups
    }
    return [(view, *found[view]) for view in rows._views]


def _count(group: Mapping[str, Any]) -> dict[str, Any]:
    """Return the steps that a group has counted: pytorch_optimizer keeps them there."""
    return {"step": group["step"]} if "step" in group else {}


def find(optimizer: str) -> type[torch.optim.Optimizer]:
    """Return the class of this name from torch.optim or pytorch_optimizer."""
    found = getattr(torch.optim, optimizer, None)
    if found is None:
        import pytorch_optimizer

        found = getattr(pytorch_optimizer, optimizer, None)
    if found is None:
        raise ValueError(
            f"optimizer = {optimizer!r} is not known; allowed are the classes of torch.optim "
            "and pytorch_optimizer"
        )
    return found


#: The four methods of document 4 (Section 6, D.2): defaults but for the learning rate.
BASIC = {
    "GD": Method("SGD"),
    "GD + momentum": Method("SGD", {"momentum": 0.9}),
    "Adagrad": Method("Adagrad"),
    "Adam": Method("Adam"),
}


@dataclass(frozen=True, eq=False)
class Alone(Setting):
    """A setting that equals no other: its trial is a parameter by itself, in lockstep too.

    For methods that couple the elements of a parameter, such as those that divide by its norm.

    Examples
    --------
    >>> Alone(Method("NovoGrad"), 0.1) == Alone(Method("NovoGrad"), 0.1)
    False
    """

    def __eq__(self, other: object) -> bool:
        return self is other

    __hash__ = object.__hash__
