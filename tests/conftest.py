"""What every test stands on: where the data are, and the arithmetic."""

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

SHARED = Path(__file__).parents[2] / "shared" / "data"

# Read by cuBLAS when it starts; without it deterministic algorithms refuse matrix products.
os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")


@pytest.fixture(scope="session")
def scikit_learn_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write scikit-learn's digits as the UCI file that they are a copy of, `optdigits.tes`."""
    from sklearn.datasets import load_digits

    folder = tmp_path_factory.mktemp("scikit_learn")
    rows = np.column_stack(load_digits(return_X_y=True))
    np.savetxt(folder / "optdigits.tes", rows, fmt="%d", delimiter=",")
    return folder


@pytest.fixture(scope="session", autouse=True)
def data_folder(request: pytest.FixtureRequest) -> Iterator[Path]:
    """Point HDNOTES_DATA at the data: the given folder, ../shared/data, or scikit-learn's digits.

    The last holds `optdigits.tes` and nothing else: enough for the smoke profiles.
    """
    folder = Path(os.environ.get("HDNOTES_DATA") or SHARED)
    if not folder.is_dir():
        folder = request.getfixturevalue("scikit_learn_folder")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HDNOTES_DATA", str(folder))
        yield folder


@pytest.fixture(autouse=True)
def arithmetic() -> Iterator[None]:
    """Test in float64 and with deterministic algorithms (a test may set its own)."""
    dtype = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    torch.use_deterministic_algorithms(True)
    yield
    torch.use_deterministic_algorithms(False)
    torch.set_default_dtype(dtype)
