"""Contract of conf/data: every key is a constructor argument, and every file has the same hints."""

import dataclasses
import importlib

import pytest
import torch
from omegaconf import OmegaConf

from gan_lab.data.base import Data
from tests.helpers import CONF, names, seeded

FILES = sorted((CONF / "data").glob("*.yaml"))
WHOLE = {"width", "latent_dim", "n_critic", "batch_size", "steps", "n_estimate", "penalty_every"}
HINTS = {*WHOLE, "learning_rate", "penalty_weight", "ema"}
# What is read from files of one's own; the others open as they are.
FROM_FILES = {"mnist", "fashion_mnist", "cifar10", "image_folder", "array", "image_array"}


def load(path):
    config = OmegaConf.load(path)
    keys = OmegaConf.to_container(config.data)
    module, _, name = keys.pop("_target_").rpartition(".")
    cls = getattr(importlib.import_module(module), name)
    return cls, keys, OmegaConf.to_container(config.hints)


@pytest.fixture(params=FILES, ids=lambda path: path.stem)
def path(request):
    return request.param


def test_every_data_set_is_there():
    assert len(FILES) >= 15
    assert {path.stem for path in FILES} >= FROM_FILES


def test_keys_are_the_constructor_arguments_with_their_defaults(path):
    cls, keys, _ = load(path)
    assert issubclass(cls, Data)
    fields = {field.name: field for field in dataclasses.fields(cls)}
    assert set(keys) == set(fields)
    for name, field in fields.items():
        if field.default is dataclasses.MISSING:
            continue
        if isinstance(field.default, float):
            assert keys[name] == pytest.approx(field.default, rel=1e-7)
        else:
            assert keys[name] == field.default
            assert type(keys[name]) is type(field.default)


def test_hints_have_the_same_keys_and_possible_values(path):
    hints = load(path)[2]
    presets = hints.pop("presets", {})  # by loss, where recipes were tuned on these data
    assert {*names("loss")} >= set(presets)
    assert {*names("preset")} >= set(presets.values())
    assert set(hints) == HINTS
    for name, value in hints.items():
        assert type(value) is (int if name in WHOLE else float)
        assert value > 0
    assert hints["ema"] < 1


def test_header_names_the_file_and_shows_a_use(path):
    lines = path.read_text().splitlines()
    assert lines[0] == "# @package _global_"
    assert lines[1].startswith(f"# conf/data/{path.name} -- ")
    assert lines[2].startswith(f"# Use: data={path.stem}")


def test_a_data_set_opens_and_keeps_what_a_source_promises(path):
    cls, keys, hints = load(path)
    if path.stem in FROM_FILES:
        pytest.skip("needs files: tests of its own write them")
    source = cls(**keys).open(torch.device("cpu"))
    n = hints["n_estimate"]
    once = seeded(0)
    draws = [source.gather(source.draw(n, each)) for each in (once, seeded(0), seeded(1), once)]
    for samples in (*draws, source.held_out(n, seeded(0)), source.real(n, seeded(0))):
        assert samples.shape == (n, *source.shape)
        assert samples.dtype == torch.float32
        assert bool(samples.isfinite().all())
    assert torch.equal(draws[0], draws[1])
    assert not any(torch.equal(draws[0], other) for other in draws[2:])
    if len(source.shape) == 3:
        assert max(samples.abs().max().item() for samples in draws) <= 1
    if source.log_density is not None:
        assert bool(source.log_density(draws[0]).isfinite().all())
