import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from gan_lab.information import (
    binary_entropy,
    cross_entropy,
    entropy,
    js_divergence,
    kl_divergence,
    self_information,
    total_variation,
)
from tests.information import oracles
from tests.information.oracles import distributions, f64, some_distributions

LOG2 = math.log(2)
PAIRS = [cross_entropy, kl_divergence, js_divergence, total_variation]
quick = settings(max_examples=60, deadline=None, derandomize=True)
pairs = st.integers(1, 6).flatmap(lambda n: st.tuples(distributions(n), distributions(n)))
positive_pairs = st.integers(1, 6).flatmap(lambda n: st.tuples(*[distributions(n, 0.01)] * 2))
triples = st.tuples(*[distributions(4)] * 3)


def close(a, b, tolerance=1e-12):
    a, b = torch.as_tensor(a), torch.as_tensor(b, dtype=torch.float64)
    torch.testing.assert_close(a, b, rtol=tolerance, atol=tolerance)


def test_known_values():
    fair, biased = f64([0.5, 0.5]), f64([0.9, 0.1])
    close(self_information(f64([1.0, 0.5, 0.0])), [0.0, LOG2, math.inf])
    close(self_information(f64(0.125), base=2), 3.0)
    close(entropy(f64([0.5, 0.25, 0.125, 0.125]), base=2), 1.75)
    close(entropy(f64([1.0, 0.0])), 0.0)
    close(binary_entropy(f64([0.0, 0.5, 1.0]), base=2), [0.0, 1.0, 0.0])
    close(cross_entropy(fair, biased), 1.203972804325936)
    close(kl_divergence(fair, biased), 0.510825623765990683)
    close(kl_divergence(biased, fair), 0.368064207168497070)
    close(kl_divergence(fair, biased, base=2), 0.7369655941662062)
    close(js_divergence(fair, biased), 0.101749225079196689)
    close(total_variation(fair, biased), 0.4)
    close(js_divergence(f64([1.0, 0.0]), f64([0.0, 1.0])), LOG2)
    close(js_divergence(f64([1.0, 0.0]), f64([0.0, 1.0]), base=2), 1.0)


@quick
@given(pairs)
def test_values_are_those_of_the_definitions(pair):
    p, q = pair
    close(entropy(p), oracles.entropy(p.tolist()))
    close(cross_entropy(p, q), oracles.cross_entropy(p.tolist(), q.tolist()))
    close(kl_divergence(p, q), oracles.kl(p.tolist(), q.tolist()))
    close(js_divergence(p, q), oracles.js(p.tolist(), q.tolist()))
    close(total_variation(p, q), sum(max(a, 0) for a in (p - q).tolist()))


@quick
@given(pairs)
def test_bounds(pair):
    p, q = pair
    kl, js, tv = kl_divergence(p, q), js_divergence(p, q), total_variation(p, q)
    assert -1e-12 <= entropy(p) <= math.log(len(p)) + 1e-12
    assert kl >= -1e-12
    assert -1e-12 <= js <= LOG2 + 1e-12
    assert 0 <= tv <= 1 + 1e-12
    assert tv <= math.sqrt(max(float(kl), 0) / 2) + 1e-7  # Pinsker
    assert tv**2 / 2 - 1e-12 <= js <= LOG2 * tv + 1e-12  # Lin 1991, theorem 3, and Pinsker twice
    close(js_divergence(q, p), js)
    close(total_variation(q, p), tv)
    assert kl_divergence(p, p) == 0
    assert js_divergence(p, p) == 0


@quick
@given(positive_pairs)
def test_cross_entropy_is_entropy_plus_kl(pair):
    p, q = pair
    close(cross_entropy(p, q), entropy(p) + kl_divergence(p, q))
    m = (p + q) / 2
    close(js_divergence(p, q), entropy(m) - (entropy(p) + entropy(q)) / 2)


@quick
@given(triples)
def test_the_root_of_js_is_a_metric(ps):
    # Where JS is rounding noise its root is up to 1e-8.
    a, b, c = ps
    squares = (js_divergence(a, b), js_divergence(b, c), js_divergence(a, c))
    ab, bc, ac = (math.sqrt(max(float(square), 0)) for square in squares)
    assert ac <= ab + bc + 1e-7


def test_kl_is_neither_symmetric_nor_a_metric():
    a, b, c = f64([0.5, 0.5]), f64([0.25, 0.75]), f64([0.1, 0.9])
    assert abs(kl_divergence(a, c) - kl_divergence(c, a)) > 0.1
    direct, detour = kl_divergence(a, c), kl_divergence(a, b) + kl_divergence(b, c)
    close(direct, 0.5108256237659907)
    close(detour, 0.236172551598963260)
    assert direct > detour + 0.2


@quick
@given(st.tuples(*[distributions(3, 0.01)] * 2), st.tuples(*[distributions(4, 0.01)] * 2))
def test_independent_variables_add(first, second):
    (p, q), (r, s) = first, second
    joint, other = torch.outer(p, r).flatten(), torch.outer(q, s).flatten()
    close(entropy(joint), entropy(p) + entropy(r))
    close(kl_divergence(joint, other), kl_divergence(p, q) + kl_divergence(r, s))
    close(cross_entropy(joint, other), cross_entropy(p, q) + cross_entropy(r, s))


@quick
@given(distributions(12, 0.01), distributions(12, 0.01))
def test_chain_rules_and_data_processing(p, q):
    joint, other = p.reshape(3, 4), q.reshape(3, 4)
    x, y = joint.sum(1), other.sum(1)
    given_x, given_y = joint / x[:, None], other / y[:, None]
    close(entropy(p), entropy(x) + (x * entropy(given_x)).sum())
    conditional = (x * kl_divergence(given_x, given_y)).sum()
    close(kl_divergence(p, q), kl_divergence(x, y) + conditional)
    # Conditioning lowers entropy on average, and what forgets a variable cannot tell more apart.
    assert (x * entropy(given_x)).sum() <= entropy(joint.sum(0)) + 1e-12
    for divergence in (kl_divergence, js_divergence, total_variation):
        assert divergence(x, y) <= divergence(p, q) + 1e-12


@quick
@given(st.tuples(*[distributions(4)] * 2), st.lists(distributions(3), min_size=4, max_size=4))
def test_a_noisy_channel_only_loses(pair, channel):
    p, q = pair
    through = torch.stack(channel)
    for divergence in (kl_divergence, js_divergence, total_variation):
        assert divergence(p @ through, q @ through) <= divergence(p, q) + 1e-12


@given(st.floats(0, 1))
@quick
def test_binary_entropy_is_the_entropy_of_a_coin(p):
    close(binary_entropy(f64(p)), entropy(f64([p, 1 - p])), 1e-15)


def test_binary_entropy_keeps_its_digits_near_0():
    p = 1e-20
    close(binary_entropy(f64(p)) / p, 1 - math.log(p), 1e-14)


@pytest.mark.parametrize("function", PAIRS)
def test_batching_is_looping(function):
    p, q = some_distributions(2, 3, 5, seed=1), some_distributions(2, 3, 5, seed=2)
    looped = torch.stack([function(a, b) for a, b in zip(p.view(6, 5), q.view(6, 5), strict=True)])
    batched = function(p, q)
    assert batched.shape == (2, 3)
    assert torch.equal(batched.flatten(), looped)
    assert function(p[:0], q[:0]).shape == (0, 3)


@pytest.mark.parametrize("function", PAIRS)
@pytest.mark.parametrize("base", [2, 10.0])
def test_a_base_changes_the_unit(function, base):
    p, q = some_distributions(4, seed=3), some_distributions(4, seed=4)
    if function is not total_variation:
        close(function(p, q, base), function(p, q) / math.log(base))


@pytest.mark.parametrize("function", PAIRS)
def test_gradients_agree_with_differences(function):
    # On the simplex: what moves is a softmax's input.
    x, y = (torch.randn(2, 3, generator=torch.Generator().manual_seed(i)).double() for i in (0, 1))
    x.requires_grad_(), y.requires_grad_()
    assert torch.autograd.gradcheck(lambda a, b: function(a.softmax(-1), b.softmax(-1)), (x, y))
    assert torch.autograd.gradgradcheck(lambda a, b: function(a.softmax(-1), b.softmax(-1)), (x, y))


def test_gradients_of_one_variable_agree_with_differences():
    p = f64([0.1, 0.4, 0.45, 0.6, 0.95]).requires_grad_()
    assert torch.autograd.gradcheck(binary_entropy, p)
    assert torch.autograd.gradcheck(self_information, p)
    assert torch.autograd.gradcheck(lambda x: entropy(x.softmax(-1), 2), p)


def gradients(function, p, q):
    p, q = f64(p).requires_grad_(), f64(q).requires_grad_()
    return torch.autograd.grad(function(p, q).sum(), (p, q))


def test_gradients_at_the_boundary_are_infinite_or_finite_and_never_nan():
    inf = math.inf
    p, q = [0.5, 0.5, 0.0, 0.0], [0.25, 0.0, 0.75, 0.0]
    by_p, by_q = gradients(kl_divergence, p, q)
    close(by_p, [1 + LOG2, inf, -inf, 0.0])
    close(by_q, [-2.0, -inf, 0.0, 0.0])
    by_p, by_q = gradients(cross_entropy, p, q)
    close(by_p, [math.log(4), inf, -math.log(0.75), 0.0])
    close(by_q, [-2.0, -inf, 0.0, 0.0])
    by_p, by_q = gradients(js_divergence, p, q)
    close(by_p, [math.log(0.5 / 0.375) / 2, LOG2 / 2, -inf, 0.0])
    close(by_q, [math.log(0.25 / 0.375) / 2, -inf, LOG2 / 2, 0.0])
    by_p, by_q = gradients(total_variation, p, q)
    close(by_p, [0.5, 0.5, -0.5, 0.0])
    close(by_q, [-0.5, -0.5, 0.5, 0.0])
    (by_p,) = torch.autograd.grad(entropy(x := f64([1.0, 0.0]).requires_grad_()), x)
    close(by_p, [-1.0, inf])
    x = f64([0.0, 0.5, 1.0]).requires_grad_()
    close(torch.autograd.grad(binary_entropy(x).sum(), x)[0], [inf, 0.0, -inf])
    x = f64([0.0, 0.5]).requires_grad_()
    close(torch.autograd.grad(self_information(x).sum(), x)[0], [-inf, -2.0])


def test_the_smallest_number_is_mass_and_breaks_nothing():
    tiny = 5e-324
    p, q = f64([tiny, 1.0]), f64([0.0, 1.0])
    assert kl_divergence(p, q) == math.inf
    assert 0 <= js_divergence(p, q) < 1e-300
    assert math.isfinite(kl_divergence(q, p))
    close(kl_divergence(f64([1.0, 0.0]), f64([1e-310, 1.0])), -math.log(1e-310))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_other_dtypes_stay_and_agree(dtype):
    p, q = some_distributions(3, 7, seed=5).to(dtype), some_distributions(3, 7, seed=6).to(dtype)
    expected = {
        cross_entropy: oracles.cross_entropy,
        kl_divergence: oracles.kl,
        js_divergence: oracles.js,
        total_variation: lambda a, b: (f64(a) - f64(b)).abs().sum() / 2,
    }
    rows = list(zip(p.double().tolist(), q.double().tolist(), strict=True))
    for function in PAIRS:
        result = function(p, q)
        assert result.dtype == dtype
        exact = f64([expected[function](a, b) for a, b in rows])
        eps = torch.finfo(dtype).eps
        torch.testing.assert_close(result.double(), exact, rtol=eps, atol=3e-7)
    assert entropy(torch.tensor([1, 0])).dtype == torch.get_default_dtype()
    assert kl_divergence(p, some_distributions(3, 7)).dtype == torch.float64


@pytest.mark.parametrize("function", PAIRS)
@pytest.mark.parametrize(
    ("p", "q", "message"),
    [
        ([[0.5, 0.5], [1.5, -0.5]], [[0.5, 0.5]] * 2, r"p\[1, 1\] = -0.5 is negative"),
        ([0.5, 0.5], [0.5, 0.6], r"sum of q = 1.1 is not 1 within 1e-09"),
        ([[0.5, 0.5], [0.2, 0.3]], [[0.5, 0.5]] * 2, r"sum of p\[1\] = 0.5"),
        ([0.5, math.nan], [0.5, 0.5], r"p\[1\] = nan is not finite"),
        ([0.5, 0.5], [0.5, math.inf], r"q\[1\] = inf is not finite"),
        ([0.5, 0.5], [0.25, 0.25, 0.5], r"one shape, got \(2,\) and \(3,\)"),
        ([[0.5, 0.5]], [0.5, 0.5], r"one shape, got \(1, 2\) and \(2,\)"),
        ([], [], r"needs a last axis with an entry"),
        (1.0, 1.0, r"needs a last axis with an entry"),
    ],
)
def test_what_is_no_distribution_is_refused_by_its_entry(function, p, q, message):
    with pytest.raises(ValueError, match=message):
        function(f64(p), f64(q))


def test_other_refusals():
    with pytest.raises(ValueError, match=r"p\[1\] = 1.5 is above 1.*\(2 such entries\)"):
        binary_entropy(f64([0.5, 1.5, 2.0]))
    with pytest.raises(ValueError, match=r"p = -0.1 is negative"):
        self_information(f64(-0.1))
    with pytest.raises(ValueError, match=r"p\[0\] = nan"):
        self_information(f64([math.nan]))
    for base in (1, 0.5, -2, math.inf, math.nan):
        with pytest.raises(ValueError, match=f"base={base} is no base"):
            entropy(f64([0.5, 0.5]), base)
    with pytest.raises(ValueError, match="p must be real numbers"):
        entropy(torch.ones(1, dtype=torch.complex64))
    # A float32 softmax passes, a float64 sum that is off in the eighth digit does not.
    entropy(torch.randn(1000).softmax(-1))
    with pytest.raises(ValueError, match="sum of p"):
        entropy(f64([0.5, 0.5 + 1e-8]))


def test_the_package_exports_functions_where_modules_have_the_same_name():
    import gan_lab.information as information

    assert all(callable(getattr(information, name)) for name in information.__all__)
