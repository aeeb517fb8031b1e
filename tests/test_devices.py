import pytest
import torch

from hdnotes import devices

N = 24


@pytest.fixture
def without_bfloat16(monkeypatch):
    monkeypatch.setattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", lambda: False, raising=False)


def muon(steps: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    slope = torch.randn(N, N, generator=generator) / N**0.5
    point = torch.nn.Parameter(torch.randn(N, N, generator=generator))
    optimizer = torch.optim.Muon([point], lr=0.03, weight_decay=0.0)
    for _ in range(steps):
        point.grad = slope @ point.detach()
        optimizer.step()
    return point.detach()


def test_muon_takes_the_steps_of_its_bfloat16_products_from_float32(without_bfloat16, monkeypatch):
    plain = muon(5)
    seen = []
    with devices.bfloat16_products():
        kinds = devices._Float32Products.PRODUCTS

        class Seen(tuple):
            def __contains__(self, function):
                seen.append(function in kinds)
                return function in kinds

        monkeypatch.setattr(devices._Float32Products, "PRODUCTS", Seen(kinds))
        found = muon(5)
    assert sum(seen) == 5 * 15  # three products in each of five iterations
    assert (found - plain).abs().max() < 2e-3 * plain.abs().max()


def test_a_product_is_rounded_once(without_bfloat16):
    a, b = (
        torch.randn(N, N, generator=torch.Generator().manual_seed(k)).bfloat16() for k in (0, 1)
    )
    with devices._Float32Products():
        product, sum_ = a @ b, torch.addmm(a, a, b, beta=2.0, alpha=-0.5)
        others = a + b, a.float() @ b.float()
    assert product.dtype == sum_.dtype == others[0].dtype == torch.bfloat16
    assert torch.equal(product, (a.float() @ b.float()).bfloat16())
    assert torch.equal(sum_, (2 * a.float() - 0.5 * (a.float() @ b.float())).bfloat16())
    assert others[1].dtype == torch.float32


def test_other_optimizers_and_what_comes_after_are_left_alone(without_bfloat16, monkeypatch):
    entered = []
    monkeypatch.setattr(devices._Float32Products, "__enter__", lambda self: entered.append(1))
    monkeypatch.setattr(devices._Float32Products, "__exit__", lambda self, *error: None)
    weight = torch.nn.Parameter(torch.ones(2, 2))
    with devices.bfloat16_products():
        weight.grad = torch.ones(2, 2)
        torch.optim.SGD([weight], lr=0.1).step()
        assert entered == []
        muon(1)
        assert entered == [1]
    muon(1)
    assert entered == [1]


def test_a_cpu_that_has_the_instructions_uses_them(monkeypatch):
    monkeypatch.setattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", lambda: True, raising=False)
    monkeypatch.setattr(devices._Float32Products, "__enter__", lambda self: pytest.fail("entered"))
    with devices.bfloat16_products():
        muon(1)


def normal(*shape: int, seed: int) -> torch.Tensor:
    numbers = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=numbers, dtype=torch.float32)


@pytest.mark.parametrize("multiply", [torch.matmul, torch.mm, torch.Tensor.__matmul__])
def test_products_in_tf32_are_those_of_rounded_factors(multiply):
    a, b = (normal(N, N, seed=k) for k in (0, 1))
    exact = a.double() @ b.double()
    with devices.products("float32", "cpu"):
        assert torch.equal(multiply(a, b), a @ b)
    with devices.products("TF32", "cpu"):
        found, double = multiply(a, b), multiply(a.double(), b.double())
        into = torch.mm(a, b.T, out=torch.empty_like(a))
    rounded = [devices.as_tf32(factor) for factor in (a, b)]
    assert torch.equal(found, rounded[0] @ rounded[1])
    assert torch.equal(into, rounded[0] @ rounded[1].T)
    assert torch.equal(double, exact)
    assert 1e-4 < (found - exact).abs().max() < 1e-2
    assert torch.equal(multiply(a, b), a @ b)


def test_tf32_keeps_ten_bits_and_rounds_to_the_nearest():
    values = normal(1000, seed=0)
    rounded = devices.as_tf32(values)
    mantissa, _ = rounded.double().frexp()
    assert torch.equal(mantissa * 2**11, (mantissa * 2**11).round())
    assert ((rounded - values).abs() <= 2.0**-11 * values.abs()).all()
    assert torch.equal(devices.as_tf32(-values), -rounded)


def test_an_unknown_kind_of_product_is_named():
    with pytest.raises(ValueError, match="products = 'half'"), devices.products("half", "cpu"):
        pass
