"""Points that the sources published, as small tables beside this file.

Each table opens with lines that name its source; figures and claims draw on them.
"""

from pathlib import Path

import pandas as pd


def points(name: str) -> pd.DataFrame:
    """Return the published points of a chapter.

    Examples
    --------
    >>> table = points("matrix_recovery")
    >>> table[table.sweep.eq("square") & table["size"].eq(64)].SGD.item()
    26.2
    """
    return pd.read_csv(Path(__file__).with_name(f"{name}.csv"), comment="#")
