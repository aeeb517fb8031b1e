r"""How much of the batches' noise a running mean of gradients keeps.

Let g_t = g + z_t be the gradients of a path's batches, with noise z of autocorrelation
rho_k = E[z_t . z_{t+k}] / E||z||^2. Adam's first moment m_t = beta m_{t-1} + (1 - beta) g_t (and,
but for a factor, a momentum buffer) carries the share

    E||m - E m||^2 / E||z||^2  =  (1 - beta)/(1 + beta) (1 + 2 sum_k beta^k rho_k)

of its power. Used by chapter `adam_dynamics`.
"""


def carried_fresh(beta: float) -> float:
    """Return the share of noise that is new at every step, rho_k = 0.

    Examples
    --------
    >>> round(carried_fresh(0.9), 4)
    0.0526
    """
    return (1 - beta) / (1 + beta)


def carried_shuffled(beta: float, batches: int) -> float:
    """Return the share for an epoch of samples shuffled and cut into ``batches`` >= 2.

    The noises of an epoch sum to zero, so any two of them have correlation -1/(B - 1), and steps k
    apart lie in one epoch with probability (B - k)/B.

    Examples
    --------
    >>> round(carried_shuffled(0.9, 2), 5)
    0.00526
    """
    same = [(batches - k) / batches for k in range(1, batches)]
    total = sum(share * beta**k for k, share in enumerate(same, 1)) / (batches - 1)
    return carried_fresh(beta) * (1 - 2 * total)


def carried_persistent(beta: float, redraws: float) -> float:
    """Return the share for P-SGD, whose samples are redrawn at a rate a step: (1 - r)^k = rho_k.

    Examples
    --------
    >>> round(carried_persistent(0.9, 0.005), 3)
    0.955
    """
    kept = beta * (1 - redraws)
    return carried_fresh(beta) * (1 + kept) / (1 - kept)
