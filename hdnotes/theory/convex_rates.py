r"""How fast methods can minimise a smooth convex function: Nesterov's two bounds.

L is the largest curvature and R the distance from start to minimiser. Used by the chapter adam;
Nesterov 2004 (Sections 2.1.2 and 2.2.1).
"""


def accelerated_bound(smoothness: float, distance: float, step: int) -> float:
    """Return 2 L R^2 / (t + 1)^2, above which Nesterov's method never is after t updates."""
    return 2 * smoothness * distance**2 / (step + 1) ** 2


def lower_bound(d: int, step: int) -> float:
    """Return (1/(t + 1) - 1/(d + 1)) / 8, below which no method can be after t gradients.

    On `problems.hard_convex.worst` of dimension d, whose curvature is at most 1: the first t
    coordinates alone allow no less. At t = (d - 1)/2 it is of the order of R^2 / t^2, as R^2 is
    near d/3.
    """
    return (1 / (step + 1) - 1 / (d + 1)) / 8


def nesterov_momentum(step: int) -> float:
    """Return t / (t + 3), the momentum of update t = 0, 1, ... that reaches the bound."""
    return step / (step + 3)
