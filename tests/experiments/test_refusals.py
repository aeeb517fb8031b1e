"""What a chapter could compute but not write up is refused before anything is computed."""

import pytest

from hdnotes.experiments import catalogue
from hdnotes.experiments.parameters import ParameterError, resolve

#: chapter, what is asked for, what is said
REFUSED = [
    ("adam_intuition", {"methods": "GD"}, r"methods = \('GD',\) is not allowed; GD and Adam"),
    ("adam_intuition", {"methods": "Adam"}, r"methods = \('Adam',\) is not allowed; GD and Adam"),
    ("exponential_lr", {"weight_decay": 0}, "weight_decay = 0.0 is not allowed; .* above 0"),
    ("exponential_lr", {"weight_decay": 1}, "weight_decay = 1 is above 0.0263, .* rate = 0.1: "),
    ("exponential_lr", {"batch_size": 2000}, "batch_size = 2000 is not allowed; .* at most 1911"),
    ("linear_networks", {"path_rank": 8}, "path_rank = 8 is not allowed; it is at most 7, below"),
    ("matrix_recovery_explained", {"batch_size": 1}, "batch_size = 1 is not allowed; .* least 2"),
]


@pytest.mark.parametrize(("name", "given", "said"), REFUSED)
def test_it_is_refused_by_its_name(name, given, said) -> None:
    with pytest.raises(ParameterError, match=said):
        resolve(catalogue.load(name), "smoke", given)
