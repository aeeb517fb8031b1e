"""Values in words: what a sentence shows of a number, a duration, a size."""

import math

_SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def number(value: float, digits: int = 2) -> str:
    """Return a number as a sentence shows it, rounded to ``digits`` significant digits.

    Examples
    --------
    >>> number(0.03449), number(123456), number(1.0), number(float("inf"))
    ('0.034', '123,456', '1.0', '∞')
    >>> number(1.26e-9).split()
    ['1.3', '×', '10⁻⁹']
    """
    if isinstance(value, int):
        return f"{value:,}"
    if not math.isfinite(value):
        return {math.inf: "∞", -math.inf: "−∞"}.get(value, "not a number")
    mantissa, exponent = f"{value:.{digits - 1}e}".split("e")
    power = int(exponent)
    if value == 0 or -3 <= power < 5:
        decimals = 0 if value == 0 else max(digits - 1 - power, 0)
        return f"{round(value, digits - 1 - power):,.{decimals}f}".replace("-", "−")
    text = f"{mantissa} × 10{str(power).translate(_SUPERSCRIPTS)}".replace("-", "−")
    return text.replace(" ", "\N{NO-BREAK SPACE}")


def duration(seconds: float) -> str:
    """Return a duration in the unit a person would choose.

    Examples
    --------
    >>> duration(0.2), duration(75), duration(8000)
    ('0.2 s', '1 min 15 s', '2 h 13 min')
    """
    if seconds < 60:
        return f"{seconds:.2g} s" if seconds < 10 else f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def in_bytes(size: int) -> str:
    """Write a number of bytes in the largest binary unit it fills, rounded.

    Examples
    --------
    >>> in_bytes(24 * 10**12), in_bytes(34373632)
    ('21.8 TiB', '32.8 MiB')
    """
    units = ["bytes", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"]
    power = min(max(int(size).bit_length() - 1, 0) // 10, len(units) - 1)
    tenths = (int(size) * 20 // 1024**power + 1) // 2  # in whole numbers: sizes have no limit
    return f"{tenths // 10}{f'.{tenths % 10}' if power else ''} {units[power]}"
