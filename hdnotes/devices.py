"""The machine: which device computes, what it is called, how much fits near its cores."""

import os
import platform
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.optim.optimizer import (
    register_optimizer_step_post_hook,
    register_optimizer_step_pre_hook,
)
from torch.overrides import TorchFunctionMode

#: A budget of bytes that binds nothing.
UNLIMITED = 1 << 62


def resolve(device: str) -> str:
    """Return the device to compute on: ``auto`` is CUDA where there is one, else the CPU.

    Raises
    ------
    ValueError
        If the name is unknown, or CUDA is asked for and absent.
    """
    if device not in ("auto", "cpu", "cuda"):
        raise ValueError(f"device = {device!r} is not known; allowed are auto, cpu and cuda")
    if device == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    if device == "cuda" and not torch.cuda.is_available():
        raise ValueError("device = 'cuda' needs a CUDA GPU and torch sees none; use auto or cpu")
    return device


def name(device: str) -> str:
    """Return what the device is called, as the results record it."""
    if device == "cuda":
        return torch.cuda.get_device_name()
    for line in _lines("/proc/cpuinfo"):
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()


@cache
def cache_bytes() -> int:
    """Return how many bytes a loop on this CPU may touch again and again without slowing down.

    An eighth of the last-level cache: the rest belongs to other processes and to what streams by.
    """
    folder = Path("/sys/devices/system/cpu/cpu0/cache")
    texts = [path.read_text().strip() for path in folder.glob("index*/size")]
    sizes = [int(text[:-1]) << {"K": 10, "M": 20}[text[-1]] for text in texts if text[-1:] in "KM"]
    return max(sizes, default=16 << 20) // 8


class _Float32Products(TorchFunctionMode):
    """Multiply bfloat16 matrices in float32 and round the result to bfloat16."""

    PRODUCTS = (torch.addmm, torch.matmul, torch.mm, Tensor.__matmul__, Tensor.matmul, Tensor.mm)

    def __torch_function__(
        self,
        function: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        given = kwargs or {}
        if function in self.PRODUCTS and args[0].dtype == torch.bfloat16:
            return function(*(factor.float() for factor in args), **given).bfloat16()
        return function(*args, **given)


@contextmanager
def bfloat16_products() -> Iterator[None]:
    """Let torch's Muon, which multiplies in bfloat16, do so at full speed on every CPU.

    A CPU that has no instructions for bfloat16 takes a hundred times longer than in float32. A
    product in float32, rounded to bfloat16, is what those instructions give, but for the order of
    their sums. Everywhere else nothing changes.
    """
    if torch.ops.mkldnn._is_mkldnn_bf16_supported():
        yield
        return
    mode = _Float32Products()

    def enter(optimizer: torch.optim.Optimizer, args: Any, kwargs: Any) -> None:
        if isinstance(optimizer, torch.optim.Muon):
            mode.__enter__()

    def leave(optimizer: torch.optim.Optimizer, args: Any, kwargs: Any) -> None:
        if isinstance(optimizer, torch.optim.Muon):
            mode.__exit__(None, None, None)

    hooks = register_optimizer_step_pre_hook(enter), register_optimizer_step_post_hook(leave)
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


#: How matrices in float32 can be multiplied: as they are, or with their entries cut to TF32.
PRODUCTS = ("float32", "TF32")
#: What TF32 leaves out of the 23 bits behind float32's point, and half of its last bit.
_LEFT_OUT, _HALF = (1 << 13) - 1, 1 << 12


class _TF32Products(TorchFunctionMode):
    """Round what goes into float32 matrix products to TF32."""

    PRODUCTS = (torch.bmm, torch.matmul, torch.mm, Tensor.__matmul__, Tensor.matmul, Tensor.mm)

    def __torch_function__(
        self,
        function: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        given = kwargs or {}
        if function in self.PRODUCTS and args[0].dtype == torch.float32:
            return function(*(as_tf32(factor) for factor in args), **given)
        return function(*args, **given)


def as_tf32(values: Tensor) -> Tensor:
    """Return float32 numbers rounded to the nearest that has 10 bits behind the point.

    Examples
    --------
    >>> as_tf32(torch.tensor([1 + 2**-10, 1 + 2**-12, float("inf")])).tolist()
    [1.0009765625, 1.0, inf]
    """
    bits = values.view(torch.int32)
    return ((bits + _HALF) & ~_LEFT_OUT).view(torch.float32)


@contextmanager
def products(kind: str, device: str) -> Iterator[None]:
    """Multiply matrices in float32 as they are, or in TF32.

    A GPU's tensor cores take factors in TF32 and sum in float32. A CPU has none: there the factors
    are rounded before a product in float32, which is the same but for the order of the sums, and
    gains no time.

    Parameters
    ----------
    kind : one of `PRODUCTS`
    device : "cpu" or "cuda"

    Raises
    ------
    ValueError
        If there is no such kind.
    """
    if kind not in PRODUCTS:
        raise ValueError(f"products = {kind!r} is not known; allowed are {', '.join(PRODUCTS)}")
    if device == "cpu":
        with _TF32Products() if kind == "TF32" else nullcontext():
            yield
        return
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("high" if kind == "TF32" else "highest")
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)


def undisturbed_s(device: str, wall_s: float, cpu_s: float) -> float:
    """Return the time that work takes on a machine that does nothing else.

    On a CPU other processes add to the clock on the wall, not to the time that this one was given,
    which for several threads is longer; a GPU is taken to be ours.

    Examples
    --------
    >>> undisturbed_s("cpu", 30.0, 10.0), undisturbed_s("cuda", 30.0, 10.0)
    (10.0, 30.0)
    """
    return wall_s if device == "cuda" else min(wall_s, cpu_s)


def threads() -> int:
    """Return how many CPU threads torch computes with."""
    return torch.get_num_threads()


def peak_memory_bytes(device: str) -> int:
    """Return the most memory this process has held so far: of the GPU if it computed there."""
    if device == "cuda":
        return torch.cuda.max_memory_allocated()
    for line in _lines("/proc/self/status"):
        if line.startswith("VmHWM"):
            return int(line.split()[1]) << 10
    return 0


def _lines(path: str) -> list[str]:
    return Path(path).read_text().splitlines() if os.path.exists(path) else []
