"""Means and maxima between two rows of the log, and what a checkpoint between them keeps."""

import math

import pytest
import torch

from gan_lab.engine.accumulator import Accumulator
from gan_lab.runs.checkpoint import load, save


def values(step, n_seeds=3):
    generator = torch.Generator().manual_seed(step)
    a, b, c = torch.randn(3, n_seeds, generator=generator)
    return {"gradient_norm_max": a, "loss": b, "a_max": c, "zero": torch.zeros(n_seeds)}


def test_means_are_means_and_maxima_are_maxima():
    accumulator = Accumulator()
    for step in range(10):
        batch = values(step)
        batch = dict(reversed(batch.items())) if step % 2 else batch
        accumulator.add_(batch)
    means = accumulator.means()
    all_ = {tag: torch.stack([values(step)[tag].double() for step in range(10)]) for tag in means}
    torch.testing.assert_close(means["loss"], all_["loss"].mean(0), rtol=1e-14, atol=0)
    for tag in ("gradient_norm_max", "a_max"):
        assert torch.equal(means[tag], all_[tag].amax(0))
    assert torch.equal(means["zero"], torch.zeros(3, dtype=torch.float64))
    accumulator.reset_()
    assert accumulator.means() == {}
    accumulator.add_(values(4))
    assert torch.equal(accumulator.means()["loss"], values(4)["loss"].double())


def test_values_are_not_held_and_not_changed():
    accumulator = Accumulator()
    value = torch.ones(2, dtype=torch.float64, requires_grad=True)
    for _ in range(2):
        accumulator.add_({"loss": value, "loss_max": value})
    means = accumulator.means()
    assert torch.equal(value, torch.ones_like(value))
    assert not means["loss"].requires_grad
    accumulator.add_({"loss": value, "loss_max": value * 5})
    assert torch.equal(means["loss_max"], torch.ones_like(means["loss_max"]))


def test_networks_may_report_at_different_rates_and_shapes_may_be_scalars():
    accumulator = Accumulator()
    accumulator.add_({})
    for step in range(6):
        accumulator.add_({"loss/discriminator": torch.tensor(float(step))})
    accumulator.add_({"loss/generator": torch.tensor(7, dtype=torch.bfloat16)})
    means = accumulator.means()
    expected = {"loss/discriminator": 2.5, "loss/generator": 7.0}
    assert {tag: value.item() for tag, value in means.items()} == expected


def test_a_mean_is_of_the_additions_that_have_the_tag():
    accumulator = Accumulator()
    for step in range(10):
        batch = values(step)
        accumulator.add_(batch if step % 4 == 0 else {tag: batch[tag] for tag in ("loss", "a_max")})
    means = accumulator.means()
    every = {tag: torch.stack([values(step)[tag].double() for step in range(10)]) for tag in means}
    assert set(means) == set(values(0))
    torch.testing.assert_close(means["loss"], every["loss"].mean(0), rtol=1e-14, atol=0)
    assert torch.equal(means["a_max"], every["a_max"].amax(0))
    some = every["gradient_norm_max"][::4]
    assert torch.equal(means["gradient_norm_max"], some.amax(0))
    assert not torch.equal(some.amax(0), every["gradient_norm_max"].amax(0))


@pytest.mark.parametrize("bad", [math.inf, -math.inf, math.nan])
def test_a_value_that_is_not_finite_is_never_hidden(bad):
    accumulator = Accumulator()
    for value in (1.0, bad, 2.0):
        accumulator.add_({"x": torch.tensor([value, 0.0]), "x_max": torch.tensor([value, 0.0])})
    means = accumulator.means()
    assert str(means["x"][0].item()) == str(bad)
    assert str(means["x_max"][0].item()) == str(max(bad, 2.0) if bad == bad else bad)
    assert means["x"][1] == 0


def test_adding_never_asks_the_device_for_a_number():
    # A meta tensor has no values: anything that would wait for one raises.
    accumulator = Accumulator()
    for _ in range(3):
        accumulator.add_(
            {"x": torch.empty(4, device="meta"), "x_max": torch.empty(4, device="meta")}
        )
    accumulator.reset_()


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_adding_on_the_gpu_does_not_synchronise():
    accumulator = Accumulator()
    accumulator.load_state_dict([{"tags": ["x", "x_max"], "total": torch.ones(2, 4), "count": 1}])
    batch = {"x": torch.ones(4, device="cuda"), "x_max": torch.ones(4, device="cuda")}
    accumulator.add_(batch)  # brings the state that was loaded to the device
    torch.cuda.set_sync_debug_mode("error")
    try:
        accumulator.add_(batch)
    finally:
        torch.cuda.set_sync_debug_mode("default")
    assert accumulator.means()["x"].device.type == "cpu"


def test_an_interval_that_a_checkpoint_divides_has_the_same_means(tmp_path):
    whole, first, second = Accumulator(), Accumulator(), Accumulator()
    for step in range(7):
        whole.add_(values(step))
        if step < 4:
            first.add_(values(step))
    save(tmp_path / "a.pt", {"interval": first.state_dict()})
    state = load(tmp_path / "a.pt")["interval"]
    second.load_state_dict(state)
    for step in range(4, 7):
        second.add_(values(step))
        first.add_(values(step))  # what was saved is no longer touched
    for resumed in (first, second):
        means = resumed.means()
        assert list(means) == list(whole.means())
        assert all(torch.equal(value, means[tag]) for tag, value in whole.means().items())
    third = Accumulator()
    third.load_state_dict(state)
    assert not torch.equal(third.means()["loss"], whole.means()["loss"])
