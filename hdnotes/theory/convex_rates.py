r"""How fast methods can minimise a smooth convex function: Nesterov's two bounds.

L is the largest curvature and R the distance from start to minimiser. Used by the chapter adam;
Nesterov 1983 and 2004 (Theorems 2.1.7 and 2.2.2).
"""


def accelerated_bound(smoothness: float, distance: float, step: int) -> float:
    """Return 2 L R^2 / (t + 1)^2, above which Nesterov's method never is after t updates."""
    return 2 * smoothness * distance**2 / (step + 1) ** 2


def lower_bound(smoothness: float, distance: float, step: int) -> float:
    """Return 3 L R^2 / (32 (t + 1)^2), below which no method that adds up gradients can be.

    On the function of `problems.hard_convex.worst`, for t up to half its dimension.
    """
    return 3 * smoothness * distance**2 / (32 * (step + 1) ** 2)


def nesterov_momentum(step: int) -> float:
    """Return t / (t + 3), the momentum of update t = 0, 1, ... that reaches the bound."""
    return step / (step + 3)
