"""What a chapter could compute but not write up is refused before anything is computed."""

import pytest

from hdnotes.experiments import catalogue
from hdnotes.experiments.parameters import ParameterError, resolve

#: chapter, what is asked for, what is said
REFUSED = [
    ("adam_intuition", {"methods": "GD"}, r"methods = \('GD',\) is not allowed; GD and Adam"),
    ("adam_intuition", {"methods": "Adam"}, r"methods = \('Adam',\) is not allowed; GD and Adam"),
    ("absolute_loss", {"data_sets": 10**6}, "data_sets = 1000000 is not allowed; .* at most 1000"),
    ("absolute_loss", {"alphas": [0.01, 2]}, "alphas = 0.01 is not allowed; .* holds a sample"),
    (
        "adam_dynamics",
        {"dynamics_features": 10**18},
        "dynamics_features = 10{18} needs about .* EiB",
    ),
    ("adam_dynamics", {"alphas": [0.01]}, "alphas = 0.01 is not allowed; .* holds a sample"),
    ("exponential_lr", {"weight_decay": 0}, "weight_decay = 0.0 is not allowed; .* above 0"),
    ("exponential_lr", {"weight_decay": 1}, "weight_decay = 1 is above 0.0263, .* rate = 0.1: "),
    ("exponential_lr", {"batch_size": 2000}, "batch_size = 2000 is not allowed; .* at most 1911"),
    ("hidden_units", {"curve_sets": 10**6}, "curve_sets = 1000000 is not allowed; .* at most 1000"),
    (
        "hidden_units",
        {"curve_alphas": 0.01},
        "curve_alphas = 0.01 .* curve_features = 16 it must be",
    ),
    ("linear_networks", {"path_rank": 8}, "path_rank = 8 is not allowed; it is at most 7, below"),
    ("matrix_recovery_explained", {"batch_size": 1}, "batch_size = 1 is not allowed; .* least 2"),
    ("symmetric_door", {"longer": 1}, "longer = 1 is not allowed; .* at least 2"),
    ("symmetric_door", {"check_alpha": 0.01}, "check_alpha = 0.01 is not allowed; .* a sample"),
    ("threshold", {"time_alphas": [0.05]}, "time_alphas = 0.05 is not allowed; with sizes = 16 it"),
]


@pytest.mark.parametrize(("name", "given", "said"), REFUSED)
def test_it_is_refused_by_its_name(name, given, said) -> None:
    with pytest.raises(ParameterError, match=said):
        resolve(catalogue.load(name), "smoke", given)
