import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linear_sum_assignment, linprog
from scipy.stats import wasserstein_distance

from gan_lab.information import (
    js_divergence,
    optimal_transport,
    total_variation,
    wasserstein_1,
    wasserstein_1_samples,
)
from tests.helpers import normal
from tests.information.oracles import distributions, f64, some_distributions

quick = settings(max_examples=60, deadline=None, derandomize=True)
lines = st.lists(st.floats(-5, 5, allow_subnormal=False), min_size=4, max_size=4).map(f64)
numbers = st.lists(st.floats(-5, 5, allow_subnormal=False), min_size=1, max_size=7).map(f64)


def close(a, b, tolerance=1e-12):
    b = torch.as_tensor(b, dtype=torch.float64)
    torch.testing.assert_close(a, b, rtol=tolerance, atol=tolerance)


def cheapest(p, q, cost):
    """The linear programme as it is written, by an independent solver."""
    n, m = cost.shape
    rows = np.kron(np.eye(n), np.ones(m))
    columns = np.kron(np.ones(n), np.eye(m))
    strict = {"primal_feasibility_tolerance": 1e-10, "dual_feasibility_tolerance": 1e-10}
    answer = linprog(cost.flatten(), A_eq=np.vstack([rows, columns]), b_eq=[*p, *q], options=strict)
    assert answer.success
    return answer.fun


def test_moving_a_point_costs_its_distance_where_js_and_tv_see_nothing():
    left = f64([1.0, 0.0, 0.0, 0.0])
    for distance in (1, 2, 3):
        moved = left.roll(distance)
        close(wasserstein_1(left, moved), float(distance))
        close(js_divergence(left, moved), math.log(2))
        close(total_variation(left, moved), 1.0)
    close(wasserstein_1(f64([0.5, 0.5]), f64([0.9, 0.1]), f64([0.0, 10.0])), 4.0)
    close(wasserstein_1(f64([1.0]), f64([1.0])), 0.0)


@quick
@given(distributions(4), distributions(4), lines)
def test_on_a_line_it_is_scipys_in_any_order(p, q, x):
    expected = wasserstein_distance(x.numpy(), x.numpy(), p.numpy(), q.numpy())
    close(wasserstein_1(p, q, x), expected)
    close(wasserstein_1(p.flip(0), q.flip(0), x.flip(0)), expected)
    close(wasserstein_1(q, p, x), expected)
    close(wasserstein_1(p, q, 2 * x - 3), 2 * expected)
    assert wasserstein_1(p, q, x) <= (x.max() - x.min()) * total_variation(p, q) + 1e-12


@quick
@given(distributions(4), distributions(4), distributions(4), lines)
def test_it_is_a_metric(p, q, r, x):
    ab, bc, ac = wasserstein_1(p, q, x), wasserstein_1(q, r, x), wasserstein_1(p, r, x)
    assert ac <= ab + bc + 1e-12
    assert wasserstein_1(p, p, x) == 0


@settings(max_examples=25, deadline=None, derandomize=True)
@given(distributions(4), distributions(4), lines)
def test_any_cost_agrees_with_the_line_and_with_linear_programming(p, q, x):
    distance = (x[:, None] - x).abs()
    value, coupling = optimal_transport(p, q, distance)
    close(value, wasserstein_1(p, q, x), 1e-10)
    close(coupling.sum(1), p)
    close(coupling.sum(0), q)
    assert bool((coupling >= 0).all())
    close((coupling * distance).sum(), value)
    rough = normal(4, 4, seed=int(p[0] * 1000))
    close(optimal_transport(p, q, rough)[0], cheapest(p, q, rough.numpy()), 1e-8)


def test_the_unit_of_the_cost_does_not_matter():
    p, q, cost = some_distributions(5), some_distributions(5, seed=1), normal(5, 5)
    value, coupling = optimal_transport(p, q, cost)
    for unit in (1e-300, 1e-20, 1e20, 1e300):
        scaled, same = optimal_transport(p, q, unit * cost)
        close(scaled / unit, value)
        close(same, coupling)
    assert optimal_transport(p, q, 0 * cost)[0] == 0


def test_uniform_masses_are_an_assignment():
    cost = torch.cdist(normal(40, 3), normal(40, 3, seed=1))
    value, coupling = optimal_transport(*[f64([1 / 40] * 40)] * 2, cost)
    rows, columns = linear_sum_assignment(cost)
    close(value, cost[rows, columns].mean(), 1e-12)
    assert bool((coupling[rows, columns] > 0).all())


def test_rectangular_and_batched_transport_is_looping():
    p, q = some_distributions(2, 3, 4), some_distributions(2, 3, 5, seed=1)
    cost = normal(2, 3, 4, 5)
    value, coupling = optimal_transport(p, q, cost)
    assert value.shape == (2, 3)
    assert coupling.shape == (2, 3, 4, 5)
    for i in range(2):
        for j in range(3):
            close(value[i, j], optimal_transport(p[i, j], q[i, j], cost[i, j])[0])
            close(value[i, j], cheapest(p[i, j], q[i, j], cost[i, j].numpy()), 1e-8)
    shared, _ = optimal_transport(p, q, cost[0, 0])
    close(shared[0, 0], value[0, 0])
    assert optimal_transport(p[:0], q[:0], cost[:0])[1].shape == (0, 3, 4, 5)


@quick
@given(numbers, numbers)
def test_samples_of_any_two_sizes_are_scipys(a, b):
    close(wasserstein_1_samples(a, b), wasserstein_distance(a.numpy(), b.numpy()))
    close(wasserstein_1_samples(b, a), wasserstein_distance(a.numpy(), b.numpy()))
    close(wasserstein_1_samples(a, a + 3), 3.0)


def test_samples_are_distributions_on_their_points():
    a, b = normal(2, 3, 6), normal(2, 3, 9, seed=1)
    batched = wasserstein_1_samples(a, b)
    assert batched.shape == (2, 3)
    p, q = f64([1 / 6] * 6 + [0.0] * 9), f64([0.0] * 6 + [1 / 9] * 9)
    close(batched, wasserstein_1(p.expand(2, 3, -1), q.expand(2, 3, -1), torch.cat([a, b], -1)))
    close(batched[1, 2], wasserstein_1_samples(a[1, 2], b[1, 2]))
    close(wasserstein_1_samples(a, a.flip(-1)), torch.zeros(2, 3))
    assert wasserstein_1_samples(a[:0], b[:0]).shape == (0, 3)
    assert wasserstein_1_samples(a.half(), b.half()).dtype == torch.float16


def test_batching_on_a_line_is_looping():
    p, q, x = some_distributions(2, 3, 5), some_distributions(2, 3, 5, seed=1), normal(2, 3, 5)
    for positions in (x, x[0, 0], None):
        batched = wasserstein_1(p, q, positions)
        assert batched.shape == (2, 3)
        own = positions[1, 2] if positions is x else positions
        close(batched[1, 2], wasserstein_1(p[1, 2], q[1, 2], own))
    close(wasserstein_1(p, q), wasserstein_1(p, q, torch.arange(5)))
    assert wasserstein_1(p.float(), q.float(), x).dtype == torch.float64
    assert wasserstein_1(p[:0], q[:0], x[:0]).shape == (0, 3)


def test_gradients_agree_with_differences():
    x, y = normal(2, 4).requires_grad_(), normal(2, 4, seed=1).requires_grad_()
    positions = normal(4, seed=2).requires_grad_()
    other, cost = normal(2, 6, seed=3).requires_grad_(), normal(4, 6, seed=4).requires_grad_()
    check = torch.autograd.gradcheck
    assert check(lambda a, b: wasserstein_1(a.softmax(-1), b.softmax(-1)), (x, y))
    assert check(lambda a, b, c: wasserstein_1(a.softmax(-1), b.softmax(-1), c), (x, y, positions))
    assert check(wasserstein_1_samples, (x, y))
    assert check(wasserstein_1_samples, (x, other))
    assert check(
        lambda a, b, c: optimal_transport(a.softmax(-1), b.softmax(-1), c)[0], (x, other, cost)
    )


def test_the_gradient_is_a_price_where_there_is_no_mass_yet():
    # All mass at 0 and 1; a new place at 5 costs what moving there costs, though no mass is there.
    x = f64([0.0, 1.0, 5.0])
    p, q = f64([0.5, 0.5, 0.0]).requires_grad_(), f64([0.5, 0.5, 0.0]).requires_grad_()
    value, _ = optimal_transport(p, q, (x[:, None] - x).abs())
    by_p, by_q = torch.autograd.grad(value, (p, q))
    for gradient in (by_p, by_q):
        assert 4 - 1e-9 <= gradient[2] - gradient[1] <= 4 + 1e-9
    close(value.detach(), 0.0)
    # The gradient by the cost is the coupling.
    cost = (x[:, None] - x).abs().requires_grad_()
    value, coupling = optimal_transport(f64([0.2, 0.3, 0.5]), f64([0.6, 0.2, 0.2]), cost)
    close(torch.autograd.grad(value, cost)[0], coupling)


P = [0.5, 0.5]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: wasserstein_1(f64([0.5, 0.6]), f64(P)), "sum of p = 1.1 is"),
        (lambda: wasserstein_1(f64(P), f64([1.5, -0.5])), r"q\[1\] = -0.5 is negative"),
        (lambda: wasserstein_1(f64(P), f64([1.0])), r"one shape, got \(2,\) and \(1,\)"),
        (lambda: wasserstein_1(f64(P), f64(P), f64([0.0])), r"x has shape \(1,\).*2 entries"),
        (lambda: wasserstein_1(f64(P), f64(P), f64([0.0, math.nan])), r"x\[1\] = nan"),
        (lambda: wasserstein_1_samples(f64([]), f64(P)), "a has shape"),
        (lambda: wasserstein_1_samples(f64(P), f64(1.0)), "b has shape"),
        (lambda: wasserstein_1_samples(f64([0.0, math.inf]), f64(P)), r"a\[1\] = inf"),
        (lambda: wasserstein_1_samples(f64([P]), f64(P)), "same leading dimensions"),
        (lambda: optimal_transport(f64([0.5, 0.6]), f64(P), f64([P, P])), "sum of p = 1.1 is"),
        (lambda: optimal_transport(f64(P), f64([math.nan, 1]), f64([P, P])), r"q\[0\] = nan"),
        (lambda: optimal_transport(f64(P), f64(P), f64([P])), r"cost has shape \(1, 2\)"),
        (lambda: optimal_transport(f64([P]), f64(P), f64([P, P])), "same leading dimensions"),
        (
            lambda: optimal_transport(f64(P), f64(P), f64([P, [math.nan, 0]])),
            r"cost\[1, 0\] = nan is",
        ),
        (lambda: optimal_transport(f64(P), f64(P), f64([P, [math.inf, 0.0]])), "= inf"),
    ],
)
def test_refusals_name_the_entry(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_a_solver_that_stops_early_is_not_believed(monkeypatch):
    import ot

    def lazy(p, q, cost, **_):
        zeros = np.zeros(len(p))
        return np.outer(p, q), {"v": zeros, "u": zeros, "warning": "numItermax reached"}

    monkeypatch.setattr(ot, "emd", lazy)
    with pytest.raises(RuntimeError, match="above the optimum: numItermax reached"):
        optimal_transport(f64(P), f64(P), f64([[0.0, 1.0], [1.0, 0.0]]))


def test_without_the_solver_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "ot", None)
    with pytest.raises(ImportError, match="pip install POT"):
        optimal_transport(f64(P), f64(P), f64([P, P]))
