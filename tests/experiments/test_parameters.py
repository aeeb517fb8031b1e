import dataclasses
import re
from types import SimpleNamespace

import hypothesis
import hypothesis.strategies as st
import numpy as np
import pytest

from hdnotes import memory
from hdnotes.experiments import catalogue
from hdnotes.experiments.parameters import (
    Description,
    ParameterError,
    describe,
    parameter,
    require_memory,
    resolve,
)
from hdnotes.wording import in_bytes


@dataclasses.dataclass(frozen=True)
class Parameters:
    d: int = parameter(64, help="dimension", unit="parameters", at_least=2, at_most=10**7)
    rate: float = parameter(0.1, help="learning rate", above=0)
    method: str = parameter("sgd", help="method", choices=("sgd", "adam"))
    nesterov: bool = parameter(False, help="look ahead")
    clip: float | None = parameter(1.0, help="norm to clip to", above=0)
    sizes: tuple[int, ...] = parameter((8, 16), help="sizes", unit="samples", at_least=1)
    decays: tuple[float, ...] = parameter((0.5,), help="decays", at_least=0, at_most=1)
    methods: tuple[str, ...] = parameter(("sgd",), help="methods", choices=("sgd", "adam"))

    def __post_init__(self):
        if self.d % 2:
            raise ValueError(f"d = {self.d} must be even")


CHAPTER = SimpleNamespace(
    NAME="chapter",
    Parameters=Parameters,
    PROFILES={"smoke": {"d": 4, "sizes": (2,)}, "quick": {}, "paper": {"d": 1024}},
    memory=lambda p: 24 * p.d**2,
)


def test_profiles_go_over_defaults_and_what_is_given_over_profiles():
    assert resolve(CHAPTER) == Parameters()
    assert resolve(CHAPTER, "smoke") == Parameters(d=4, sizes=(2,))
    assert resolve(CHAPTER, "smoke", {"d": 6, "rate": None}) == Parameters(d=6, sizes=(2,))


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"d": 1e3}, 1000),
        ({"d": np.int64(8)}, 8),
        ({"rate": 1}, 1.0),
        ({"rate": np.float32(0.5)}, 0.5),
        ({"sizes": [1, 2e0]}, (1, 2)),
        ({"sizes": 5}, (5,)),
        ({"sizes": "[1, 2]"}, (1, 2)),
        ({"methods": "('sgd',)"}, ("sgd",)),
        ({"decays": [0, 1]}, (0.0, 1.0)),
        ({"methods": ["adam", "sgd"]}, ("adam", "sgd")),
        ({"nesterov": True}, True),
        ({"clip": 2}, 2.0),
        ({"clip": "none"}, None),
    ],
)
def test_a_value_becomes_the_type_of_its_field(given, expected):
    (name,) = given
    value = getattr(resolve(CHAPTER, given=given), name)
    assert value == expected
    assert type(value) is type(expected)
    assert not isinstance(value, tuple) or [type(one) for one in value] == [
        type(one) for one in expected
    ]


D = "it must be a whole number, at least 2 and at most 10000000 (parameters)."
REFUSED = [
    ({"d": "64"}, f"d = '64' is not allowed; {D}"),
    ({"d": True}, f"d = True is not allowed; {D}"),
    ({"d": 2.5}, f"d = 2.5 is not allowed; {D}"),
    ({"d": 1}, f"d = 1 is not allowed; {D}"),
    ({"d": 10**8}, f"d = 100000000 is not allowed; {D}"),
    ({"d": float("inf")}, f"d = inf is not allowed; {D}"),
    ({"d": float("nan")}, f"d = nan is not allowed; {D}"),
    ({"d": [64]}, f"d = [64] is not allowed; {D}"),
    ({"d": {}}, f"d = {{}} is not allowed; {D}"),
    ({"d": 7}, "d = 7 must be even"),
    ({"rate": 0}, "rate = 0.0 is not allowed; it must be a number, above 0."),
    ({"rate": float("nan")}, "rate = nan is not allowed; it must be a number, above 0."),
    ({"rate": float("-inf")}, "rate = -inf is not allowed; it must be a number, above 0."),
    ({"rate": 1j}, "rate = 1j is not allowed; it must be a number, above 0."),
    ({"method": "adm"}, "method = 'adm' is not allowed; it must be a text, one of sgd, adam."),
    ({"method": 1}, "method = 1 is not allowed; it must be a text, one of sgd, adam."),
    ({"nesterov": 1}, "nesterov = 1 is not allowed; it must be a truth value."),
    (
        {"sizes": [4, 0]},
        "sizes = 0 is not allowed; it must be a list of whole numbers, each at least 1 (samples).",
    ),
    (
        {"sizes": []},
        "sizes = [] is not allowed; it must be a list of whole numbers, each at least 1 (samples).",
    ),
    (
        {"methods": "12"},
        "methods = '12' is not allowed; it must be a list of texts, each one of sgd, adam.",
    ),
    (
        {"methods": "[sgd]"},
        "methods = '[sgd]' is not allowed; it must be a list of texts, each one of sgd, adam.",
    ),
    ({"dd": 3}, "chapter has no parameter 'dd'; did you mean 'd'?"),
    (
        {"zzz": 3},
        "chapter has no parameter 'zzz'; choose one of d, rate, method, nesterov, clip, sizes, "
        "decays, methods.",
    ),
]


@pytest.mark.parametrize(("given", "sentence"), REFUSED, ids=[str(given) for given, _ in REFUSED])
def test_what_is_not_allowed_is_one_sentence(given, sentence):
    with pytest.raises(ParameterError) as caught:
        resolve(CHAPTER, given=given)
    assert str(caught.value) == sentence


def test_a_number_of_too_many_digits_is_refused_and_not_shown_whole():
    with pytest.raises(
        ParameterError, match=r"^d = 10{59}\.\.\. \(401 characters\) is not allowed"
    ):
        resolve(CHAPTER, given={"d": 10**400})


def test_a_profile_that_is_no_word_is_one_sentence():
    with pytest.raises(ParameterError, match=r"profile = \[1\] is not known"):
        resolve(CHAPTER, [1])


def test_an_unknown_profile_is_one_sentence():
    with pytest.raises(ParameterError, match=r"^profile = 'papr' is not known; did you mean 'pa"):
        resolve(CHAPTER, "papr")
    with pytest.raises(ParameterError, match=r"7 is not known; choose one of smoke, quick, paper"):
        resolve(CHAPTER, 7)  # type: ignore[arg-type]


@hypothesis.settings(deadline=None)
@hypothesis.given(
    st.sampled_from([field.name for field in dataclasses.fields(Parameters)]),
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(), st.lists, max_leaves=4
    ),
)
def test_any_value_is_taken_or_refused_in_one_line(name, value):
    sentence = name
    try:
        resolve(CHAPTER, given={name: value}, check_memory=False)
    except ParameterError as error:
        sentence = str(error)
    assert name in sentence
    assert "\n" not in sentence


def test_a_notebook_shows_the_sentence_alone():
    assert ParameterError("d = 1 is not allowed.")._render_traceback_() == [
        "ParameterError: d = 1 is not allowed."
    ]


def test_a_size_that_does_not_fit_is_refused_with_the_estimate(monkeypatch):
    monkeypatch.setattr(memory, "free", lambda device: 22 * 2**30)
    with pytest.raises(ParameterError) as caught:
        resolve(CHAPTER, given={"d": 10**6, "rate": 0.5})
    assert str(caught.value) == (
        "d = 1000000, rate = 0.5 needs about 21.8 TiB of memory and this machine has 22.0 GiB free;"
        " choose smaller values or a larger machine."
    )
    assert resolve(CHAPTER, given={"d": 10**6}, check_memory=False).d == 10**6
    large = SimpleNamespace(**vars(CHAPTER) | {"memory": lambda p: 10**400})
    with pytest.raises(ParameterError, match="^profile = paper needs about"):
        resolve(large, "paper")
    with pytest.raises(ParameterError, match="and its GPU has 22"):
        require_memory(CHAPTER, Parameters(d=10**6), {"d": 10**6}, "cuda")


def test_free_memory_is_that_of_the_smallest_limit(tmp_path):
    assert 2**20 < memory.free() < 2**50
    table = tmp_path / "cgroup"
    table.write_text("0::/job\n3:cpuset:/\n4:memory:/old/job\n")
    for folder, content in {
        "job": {"memory.max": "1000", "memory.current": "900", "memory.stat": "inactive_file 50"},
        "memory/old/job": {"memory.limit_in_bytes": "70", "memory.usage_in_bytes": "80"},
        "memory": {"memory.limit_in_bytes": "max", "memory.usage_in_bytes": "1"},
        "memory/old": {"memory.limit_in_bytes": "90", "memory.usage_in_bytes": "20"},
    }.items():
        (tmp_path / folder).mkdir(parents=True, exist_ok=True)
        for name, text in content.items():
            (tmp_path / folder / name).write_text(f"{text}\n")
    assert sorted(memory._rooms(tmp_path, str(table))) == [0, 70, 150]
    assert memory._rooms(tmp_path, str(tmp_path / "nowhere")) == []


@pytest.mark.parametrize(
    ("size", "text"),
    [(0, "0 bytes"), (1023, "1023 bytes"), (1024, "1.0 KiB"), (24 * 10**12, "21.8 TiB")],
)
def test_bytes_are_written_in_the_largest_unit(size, text):
    assert in_bytes(size) == text


def test_describe_says_default_unit_and_range():
    assert describe(CHAPTER)[0] == Description(
        "d", 64, "parameters", "a whole number, at least 2 and at most 10000000", "dimension"
    )
    assert len(describe(CHAPTER)) == 8


@pytest.mark.parametrize("name", catalogue.names())
def test_every_chapter_says_all_it_needs_to(name):
    chapter = catalogue.load(name)
    assert name == chapter.NAME
    assert list(chapter.PROFILES) == ["smoke", "quick", "paper"]
    assert chapter.PROFILES["quick"] == {}
    for profile in chapter.PROFILES:
        parameters = resolve(chapter, profile, check_memory=False)
        assert chapter.memory(parameters) > 0
    assert resolve(chapter) == chapter.Parameters()
    assert all(one.help for one in describe(chapter))


def test_an_unknown_chapter_is_one_sentence():
    with pytest.raises(ValueError, match=re.escape("there is no chapter 'xyz'; choose one of ")):
        catalogue.load("xyz")
