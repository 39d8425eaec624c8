import importlib
import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from gan_lab.information import (
    binary_cross_entropy,
    categorical_cross_entropy,
    sigmoid_cross_entropy_with_logits,
    softmax_cross_entropy_with_logits,
    sparse_categorical_cross_entropy,
    sparse_softmax_cross_entropy_with_logits,
    squared_error,
    weighted_cross_entropy_with_logits,
)
from tests.helpers import normal
from tests.information import oracles
from tests.information.oracles import f64, some_distributions

quick = settings(max_examples=60, deadline=None, derandomize=True)
BATCH = [
    [-1.0606, 1.5613, 1.2007, -0.2481],
    [-1.9652, -0.4367, -0.0645, -0.5104],
    [0.1011, -0.5904, 0.0243, 0.1002],
]
ELEMENTWISE = [
    sigmoid_cross_entropy_with_logits,
    lambda x, y, **k: weighted_cross_entropy_with_logits(x, y, 2.0, **k),
    binary_cross_entropy,
    squared_error,
]
SOFT = [softmax_cross_entropy_with_logits, categorical_cross_entropy]
SPARSE = [sparse_softmax_cross_entropy_with_logits, sparse_categorical_cross_entropy]


def close(a, b, tolerance=1e-12):
    b = torch.from_numpy(np.asarray(b, dtype=np.float64))
    torch.testing.assert_close(a, b, rtol=tolerance, atol=tolerance)


PAIR, WEIGHTS = [1.0, 2.0], {"sum_to_one": False}
KNOWN = [
    (sigmoid_cross_entropy_with_logits, [1.0], [1.0], {}, [0.3132617]),
    (binary_cross_entropy, [0.5, 0.5], [0.0, 1.0], {}, [0.6931472, 0.6931472]),
    (softmax_cross_entropy_with_logits, PAIR, PAIR, WEIGHTS, 1.939785),
    (categorical_cross_entropy, PAIR, PAIR, WEIGHTS, 1.9095424),
    (sparse_softmax_cross_entropy_with_logits, PAIR, 1, {}, 0.31326166),
    (sparse_categorical_cross_entropy, [0.2, 0.2, 0.6], 1, {}, 1.609438),
    (sparse_softmax_cross_entropy_with_logits, BATCH, [0, 2, 1], {"reduction": "mean"}, 2.0373473),
]


@pytest.mark.parametrize(("loss", "x", "y", "keys", "expected"), KNOWN)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_known_values(loss, x, y, keys, expected, dtype):
    labels = torch.tensor(y) if "sparse" in loss.__name__ else torch.tensor(y, dtype=dtype)
    result = loss(torch.tensor(x, dtype=dtype), labels, **keys)
    torch.testing.assert_close(result, torch.tensor(expected, dtype=dtype), rtol=3e-7, atol=0)


def test_known_values_of_the_clip_in_float32():
    # 1 - 1e-7 rounds to 1 - 2^-23, so a sure right answer costs 2^-23 and not 1e-7.
    right = binary_cross_entropy(torch.ones(1), torch.ones(1))
    torch.testing.assert_close(right, torch.tensor([1.1920933e-7]), rtol=1e-7, atol=0)
    half = torch.tensor([0.5, 0.5])
    unsure = binary_cross_entropy(torch.tensor([0.0, 1.0]), half, reduction="mean")
    torch.testing.assert_close(unsure, torch.tensor(8.01512), rtol=1e-6, atol=0)
    close(binary_cross_entropy(f64([1.0]), f64([1.0])), [-math.log1p(-1e-7)], 1e-9)
    close(binary_cross_entropy(f64([1.0]), f64([0.0]), 1e-3), [-math.log(1e-3)])


@quick
@given(st.lists(st.tuples(st.floats(-40, 40), st.floats(0, 1)), min_size=1, max_size=5))
def test_sigmoid_family_is_the_oracle(rows):
    x, y = f64(rows).T
    close(sigmoid_cross_entropy_with_logits(x, y), oracles.sigmoid_cross_entropy(x, y), 1e-11)
    weighted = weighted_cross_entropy_with_logits(x, y, 3.0)
    close(weighted, oracles.sigmoid_cross_entropy(x, y, 3.0), 1e-11)
    p = x.sigmoid()
    pairs = torch.stack([p, 1 - p], -1).numpy(), torch.stack([y, 1 - y], -1).numpy()
    close(binary_cross_entropy(p, y), oracles.categorical(*pairs), 1e-9)


@quick
@given(st.integers(0, 10**6), st.integers(1, 6))
def test_softmax_family_is_the_oracle(seed, classes):
    x, y = normal(3, classes, seed=seed) * 5, some_distributions(3, classes, seed=seed)
    numbers = torch.randint(classes, (3,), generator=torch.Generator().manual_seed(seed))
    hot = F.one_hot(numbers, classes)
    softmax, expected = softmax_cross_entropy_with_logits, oracles.softmax_cross_entropy(x, y)
    close(softmax(x, y), expected)
    close(softmax(x, 3 * y, sum_to_one=False), 3 * expected)
    p = x.softmax(-1)
    close(categorical_cross_entropy(p, y), oracles.categorical(p, y))
    close(categorical_cross_entropy(p / 2, y), oracles.categorical(p, y))
    # One-hot labels, as integers, are the sparse ones.
    close(sparse_softmax_cross_entropy_with_logits(x, numbers), softmax(x, hot))
    close(sparse_categorical_cross_entropy(p, numbers), categorical_cross_entropy(p, hot))
    close(squared_error(x, y), (x.numpy() - y.numpy()) ** 2)


def test_class_weights_and_ignored_rows():
    x, y = normal(5, 3), torch.tensor([0, 2, -100, 1, 2])
    weight = f64([1.0, 3.0, 0.5])
    loss = sparse_softmax_cross_entropy_with_logits
    kept = torch.tensor([0, 1, 3, 4])
    each = oracles.softmax_cross_entropy(x[kept], np.eye(3)[y[kept]]) * weight[y[kept]].numpy()
    close(loss(x, y, weight)[kept], each)
    assert loss(x, y, weight)[2] == 0
    close(loss(x, y, weight, reduction="sum"), each.sum())
    close(loss(x, y, weight, reduction="mean"), each.sum() / 5.0)
    close(loss(x, y, reduction="mean"), loss(x[kept], y[kept]).mean())
    for w in (None, weight):
        close(loss(x, y, w, reduction="mean"), F.cross_entropy(x, y, w))
    y = y.clamp_min(0)
    close(loss(x, y, ignore_index=2, reduction="sum"), loss(x, y)[[0, 2, 3]].sum())


def test_a_weight_for_each_column():
    x, y, w = normal(4, 3), some_distributions(4, 3), f64([1.0, 2.0, 0.0])
    loss = weighted_cross_entropy_with_logits(x, y, w)
    close(loss, oracles.sigmoid_cross_entropy(x, y, w.numpy()))
    close(weighted_cross_entropy_with_logits(x, y, 1), sigmoid_cross_entropy_with_logits(x, y))


INTEGERS = [torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64]
NUMBERS = torch.tensor([[0, 1, 2], [3, 0, 1]])


@pytest.mark.parametrize(
    ("loss", "y"),
    [
        *((loss, some_distributions(2, 3, 4, seed=1)) for loss in (*ELEMENTWISE, *SOFT)),
        *((loss, NUMBERS.to(dtype)) for loss in SPARSE for dtype in INTEGERS),
    ],
)
def test_shapes_reductions_and_empty_batches(loss, y):
    x = some_distributions(2, 3, 4)
    each, at = loss(x, y), (1, 2, 0) if loss in ELEMENTWISE else (1, 2)
    assert each.shape == ((2, 3, 4) if loss in ELEMENTWISE else (2, 3))
    assert loss(x[at], y[at]) == each[at]
    close(loss(x, y, reduction="sum"), each.sum())
    close(loss(x, y, reduction="mean"), each.sum() / each.numel())
    x, y = x[:0], y[:0]
    assert loss(x, y).shape == (0, *each.shape[1:])
    assert loss(x, y, reduction="sum") == 0
    with pytest.raises(ValueError, match="the mean has nothing to average"):
        loss(x, y, reduction="mean")
    with pytest.raises(ValueError, match="reduction='none' is unknown; use None, 'mean' or 'sum'"):
        loss(x, y, reduction="none")


def test_gradients_agree_with_differences():
    x, soft = normal(2, 3).requires_grad_(), some_distributions(2, 3)
    y = normal(2, 3, seed=2).requires_grad_()
    numbers = torch.tensor([2, 1])

    def check(function, *inputs):
        assert torch.autograd.gradcheck(function, inputs)
        assert torch.autograd.gradgradcheck(function, inputs)

    check(lambda a, b: sigmoid_cross_entropy_with_logits(a, b.sigmoid()), x, y)
    check(lambda a, b: weighted_cross_entropy_with_logits(a, b.sigmoid(), 2.5), x, y)
    check(lambda a, b: softmax_cross_entropy_with_logits(a, b.softmax(-1)), x, y)
    check(lambda a: sparse_softmax_cross_entropy_with_logits(a, numbers), x)
    check(lambda a, b: binary_cross_entropy(a.sigmoid(), b.sigmoid()), x, y)
    check(lambda a, b: categorical_cross_entropy(a.exp(), b.exp(), sum_to_one=False), x, y)
    check(lambda a: sparse_categorical_cross_entropy(a.softmax(-1), numbers), x)
    check(squared_error, x, y)
    (gradient,) = torch.autograd.grad(sigmoid_cross_entropy_with_logits(x, soft).sum(), x)
    close(gradient, (x.sigmoid() - soft).detach())
    weight = f64([1.0, 2.0, 3.0])
    mean = {"reduction": "mean"}
    check(lambda a: sparse_softmax_cross_entropy_with_logits(a, numbers, weight, **mean), x)


def test_extreme_inputs_give_finite_losses_and_gradients():
    x = f64([-1e4, 1e4]).requires_grad_()
    loss = sigmoid_cross_entropy_with_logits(x, f64([1.0, 0.0]))
    close(loss, [1e4, 1e4])
    close(torch.autograd.grad(loss.sum(), x)[0], [-1.0, 1.0])
    masked = f64([[0.0, -1e300]]).requires_grad_()
    loss = softmax_cross_entropy_with_logits(masked, f64([[1.0, 0.0]]))
    close(loss, [0.0])
    close(torch.autograd.grad(loss.sum(), masked)[0], [[0.0, 0.0]])
    for p in (f64([0.0, 1.0]), torch.tensor([0.0, 1.0])):
        p.requires_grad_()
        loss = binary_cross_entropy(p, torch.tensor([1, 0]))
        assert bool((loss > 15.9).all())
        assert torch.equal(torch.autograd.grad(loss.sum(), p)[0], torch.zeros_like(p))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_computed_in_float32(dtype):
    x, y = normal(3, 4).to(dtype), some_distributions(3, 4).to(dtype)
    numbers, eps = torch.tensor([0, 3, 1]), torch.finfo(dtype).eps
    p = x.float().softmax(-1).to(dtype)
    for loss in (*ELEMENTWISE, *SOFT, *SPARSE):
        first = x if "logits" in getattr(loss, "__name__", "") else p
        labels = numbers if loss in SPARSE else y
        wide = labels if loss in SPARSE else labels.float()
        result = loss(first, labels)
        assert result.dtype == dtype
        if loss in SOFT:
            wide = wide / wide.sum(-1, True)
        torch.testing.assert_close(
            result.float(), loss(first.float(), wide), rtol=4 * eps, atol=4 * eps
        )
    # 1 - 1e-7 is 1 in half precision: computed there, the clip would do nothing and give inf.
    ones = torch.ones(2, dtype=dtype)
    costs = binary_cross_entropy(ones, torch.tensor([1, 0]))
    torch.testing.assert_close(costs.float(), torch.tensor([1.192e-7, 15.94]), rtol=0.01, atol=1e-8)


def test_labels_may_be_booleans_or_integers():
    x = normal(4)
    hard = torch.tensor([True, False, True, True])
    expected = oracles.sigmoid_cross_entropy(x, hard.double())
    for labels in (hard, hard.int(), hard.float()):
        close(sigmoid_cross_entropy_with_logits(x, labels), expected)


X, Y = [[0.1, 0.2], [0.3, 0.4]], [[1.0, 0.0], [0.5, 0.5]]
NAN, BELOW, ABOVE = [[0.1, 0.2], [math.nan, 0.4]], [[1.0, 0.0], [-0.5, 1.5]], [[1.0, 0.0], [1.5, 0]]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda f: f(f64(X), f64(Y)[:, :1]), r"one shape, got \(2, 2\) and \(2, 1\)"),
        (lambda f: f(f64(NAN), f64(Y)), r"(logits|probabilities|predictions)\[1, 0\] = nan"),
        (lambda f: f(f64(X), f64(NAN)), r"(labels|targets)\[1, 0\] = nan is not finite"),
        (lambda f: f(f64(X).long(), f64(Y)), r"must be floating point"),
    ],
)
@pytest.mark.parametrize("loss", [*ELEMENTWISE, *SOFT])
def test_what_all_refuse(loss, call, message):
    with pytest.raises(ValueError, match=message):
        call(loss)


@pytest.mark.parametrize("loss", [*ELEMENTWISE[:3], *SOFT])
def test_labels_outside_the_unit_interval_are_refused(loss):
    with pytest.raises(ValueError, match=r"labels\[1, 0\] = -0.5 is negative"):
        loss(f64(X), f64(BELOW))
    with pytest.raises(ValueError, match=r"labels\[1, 0\] = 1.5 is above 1"):
        loss(f64(X), f64(ABOVE))
    with pytest.raises(ValueError, match=r"labels\[0, 1\] = 2 is above 1"):
        loss(f64(X), torch.tensor([[1, 2], [0, 1]]))


@pytest.mark.parametrize("loss", SOFT)
def test_class_labels_sum_to_1_unless_they_are_weights(loss):
    labels = f64([[1.0, 0.0], [0.5, 0.25]])
    with pytest.raises(ValueError, match=r"sum of labels\[1\] = 0.75.*sum_to_one=False"):
        loss(f64(X), labels)
    assert loss(f64(X), labels, sum_to_one=False).shape == (2,)
    with pytest.raises(ValueError, match=r"labels\[1, 0\] = -0.5 is negative"):
        loss(f64(X), f64(BELOW), sum_to_one=False)
    with pytest.raises(ValueError, match=r"need a last axis"):
        loss(f64(1.0), f64(1.0))


@pytest.mark.parametrize("loss", [binary_cross_entropy, *SOFT[1:], *SPARSE[1:]])
def test_probabilities_outside_the_unit_interval_are_refused(loss):
    labels = torch.tensor([0, 1]) if loss in SPARSE else f64(Y)
    with pytest.raises(ValueError, match=r"probabilities\[1, 0\] = -0.5 is negative"):
        loss(f64(BELOW), labels)
    with pytest.raises(ValueError, match=r"probabilities\[1, 0\] = 1.5 is above 1"):
        loss(f64(ABOVE), labels)
    for epsilon in (0, -1e-3, 0.5, math.nan, 1e-17):
        with pytest.raises(ValueError, match=f"epsilon={epsilon} cannot clip"):
            loss(f64(X), labels, epsilon)
    with pytest.raises(ValueError, match=r"epsilon=1e-08 cannot clip torch\.float32"):
        loss(f64(X).float(), labels, 1e-8)
    if loss is not binary_cross_entropy:
        with pytest.raises(ValueError, match=r"sum of probabilities\[1\] = 0 cannot be normalised"):
            loss(f64([[0.5, 0.5], [0.0, 0.0]]), labels)


@pytest.mark.parametrize("loss", SPARSE)
@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ([0, 2], r"labels\[1\] = 2 is no class; classes are 0..1"),
        ([-1, 1], r"labels\[0\] = -1 is no class"),
        ([0.0, 1.0], r"labels are torch.float32; class numbers are integers"),
        ([False, True], r"labels are torch.bool"),
        ([[0], [1]], r"labels have shape \(2, 1\) and (logits|probabilities) \(2, 2\)"),
        (0, r"labels have shape \(\)"),
    ],
)
def test_labels_that_are_no_class_are_refused(loss, labels, message):
    with pytest.raises(ValueError, match=message):
        loss(f64(X), torch.tensor(labels))


SPARSE_LOGITS, WEIGHTED = (
    sparse_softmax_cross_entropy_with_logits,
    weighted_cross_entropy_with_logits,
)
CATEGORICAL, SPARSE_CATEGORICAL = categorical_cross_entropy, sparse_categorical_cross_entropy
IGNORED, ENDS = torch.tensor([-100, 1]), torch.tensor([0, 1])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: CATEGORICAL(f64([[2.0, -1]]), f64([[1.0, 0]]), **WEIGHTS),
            r"\[0, 1\] = -1 is negative; a w",
        ),
        (lambda: SPARSE_CATEGORICAL(f64(X), IGNORED), r"labels\[0\] = -100 is no class"),
        (
            lambda: SPARSE_LOGITS(f64(X), IGNORED, ignore_index=-1),
            r"labels\[0\] = -100 is no class",
        ),
        (lambda: SPARSE_LOGITS(f64(NAN), ENDS), r"logits\[1, 0\] = nan"),
        (lambda: SPARSE_LOGITS(f64(X).long(), ENDS), r"logits are torch.int64"),
        (
            lambda: SPARSE_LOGITS(f64(X), ENDS, f64([1.0] * 3)),
            r"weight has shape \(3,\).*2 classes",
        ),
        (lambda: SPARSE_LOGITS(f64(X), ENDS, f64([1.0, -1.0])), r"weight\[1\] = -1 is negative"),
        (lambda: SPARSE_LOGITS(f64(X), ENDS, f64([math.nan, 1])), r"weight\[0\] = nan is not fin"),
        (lambda: WEIGHTED(f64(X), f64(Y), -1), r"pos_weight = -1 is negative"),
        (
            lambda: WEIGHTED(f64(X), f64(Y), f64([1.0, math.inf])),
            r"pos_weight\[1\] = inf is not fin",
        ),
        (lambda: WEIGHTED(f64(X), f64(Y), torch.ones(3)), "does not broadcast"),
        (lambda: WEIGHTED(f64(X), f64(Y), torch.ones(2, 2, 2)), "does not broadcast"),
    ],
)
def test_ignored_labels_and_wrong_weights_are_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.parametrize(
    ("labels", "weight"), [([-100, -100], None), ([0, 0], f64([0.0, 1.0]))], ids=["all", "weight"]
)
def test_labels_that_do_not_count_have_a_sum_and_no_mean(labels, weight):
    labels = torch.tensor(labels)
    with pytest.raises(ValueError, match="no label counts"):
        SPARSE_LOGITS(f64(X), labels, weight, reduction="mean")
    assert SPARSE_LOGITS(f64(X), labels, weight, reduction="sum") == 0


def test_the_module_is_importable_beside_the_function_of_its_name():
    module = importlib.import_module("gan_lab.information.cross_entropy")
    assert module.squared_error is squared_error
