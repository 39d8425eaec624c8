"""Packing: the discriminator judges several samples at once, and nothing else of a run changes."""

import pytest
import torch

from gan_lab.engine.objective import Objective
from gan_lab.errors import ConfigError
from gan_lab.loggers.jsonl import read_metrics
from gan_lab.losses import NonSaturating
from gan_lab.networks.base import batch_coupling, with_packing
from gan_lab.networks.conv import Conv
from gan_lab.networks.dcgan import Dcgan
from gan_lab.networks.mlp import Mlp
from gan_lab.reports.plots import landscape
from gan_lab.training.build import open_run
from tests.engine.test_step import EXACT, check_stacked_is_solo
from tests.helpers import (
    CHEAP,
    assert_same,
    draws_like,
    load_loss,
    load_regularizers,
    main,
    names,
    normal,
    run_config,
    seeded,
    small_config,
    small_run,
    snapshot,
)

PACKED = Mlp(2, 8, 2, packing=2)
CLOSE = {"rtol": 1e-11, "atol": 1e-12}


@pytest.mark.parametrize("packing", [1, 2, 3])
@pytest.mark.parametrize(
    ("pair", "shape"),
    [
        (lambda p: Mlp(3, 8, 2, packing=p), (2,)),
        (lambda p: Mlp(3, 8, packing=p), (3, 8, 8)),
        (lambda p: Dcgan(3, 4, packing=p), (1, 8, 8)),
        (lambda p: Conv(3, 4, packing=p), (3, 12, 12)),
    ],
    ids=["points", "mlp images", "dcgan", "conv"],
)
def test_a_pack_has_one_logit_and_depends_on_no_other_pack(packing, pair, shape):
    pair = pair(packing)
    discriminator = pair.discriminator(shape)
    pair.initialise_(discriminator, seeded(0))
    discriminator = discriminator.double()
    x = normal(12, *shape)
    logits = discriminator(x)
    assert logits.shape == (12 // packing,)
    for k in range(12 // packing):
        alone = discriminator(x[k * packing : (k + 1) * packing])
        torch.testing.assert_close(alone, logits[k : k + 1], **CLOSE)
    # Each sample of a pack is seen: changing the last moves this logit and no other.
    x[packing - 1] += 1
    moved = (discriminator(x) - logits).abs() > 1e-9
    assert moved.tolist() == [True] + [False] * (12 // packing - 1)


def test_without_packing_the_leaves_keep_their_names_and_their_start():
    with_key, without = Mlp(2, 8, 2, packing=1), Mlp(2, 8, 2)
    leaves = []
    for pair in (with_key, without):
        module = pair.discriminator((2,))
        pair.initialise_(module, seeded(0))
        leaves.append(snapshot(dict(module.named_parameters())))
    assert_same(*leaves)
    assert "1.weight" in leaves[0]
    assert [len(with_packing([torch.nn.Identity()], packing)) for packing in (1, 2)] == [1, 2]


def test_samples_that_fill_no_pack_are_refused():
    with pytest.raises(ValueError, match="7 samples make no packs of 2"):
        PACKED.discriminator((2,))(torch.zeros(7, 2))


@pytest.mark.parametrize("make", [lambda p: Mlp(2, 8, packing=p), lambda p: Dcgan(2, packing=p)])
@pytest.mark.parametrize("packing", [0, -1, 1.5, True])
def test_packing_is_a_whole_number(make, packing):
    with pytest.raises(ValueError, match=r"packing="):
        make(packing)


def test_a_packed_discriminator_couples_samples_by_name():
    assert batch_coupling(PACKED.discriminator((2,))) == "Packing ('0')"
    networks = (PACKED.generator((2,)), PACKED.discriminator((2,)))
    assert not Objective(*networks, NonSaturating()).independent


def game_losses(run):
    d, g = run.state.discriminator, run.state.generator
    draws = draws_like(run)
    real, z, mix = (each[0] for each in draws.discriminator[:3])
    fake = run.objective.fakes(g.params, g.buffers, z).detach()
    lost = run.objective.discriminator_loss(d.params, d.buffers, real, fake, mix, {})[0]
    return real, fake, lost


@pytest.mark.parametrize("batch_size", [8, 6, 2])
def test_a_pack_holds_samples_of_one_side_only(batch_size):
    # With a batch that is no multiple of twice the packing, joining real and fake would mix them.
    run = small_run(network=Mlp(2, 8, 2, packing=2), batch_size=batch_size, float64=True)
    real, fake, lost = game_losses(run)
    score = run.objective.score(run.state.discriminator.params, {})
    expected = NonSaturating().discriminator(score(real), score(fake)).mean()
    torch.testing.assert_close(lost, expected, **CLOSE)
    assert score(real).shape == (batch_size // 2,)


def test_packing_tells_a_collapsed_batch_from_a_varied_one_of_the_same_marginal():
    # Pairs (a, a) and (b, b) against (a, b) and (b, a): the same points one by one.
    a, b = torch.tensor([1.0, 0.0]), torch.tensor([-1.0, 0.0])
    equal, varied = torch.stack([a, a, b, b]), torch.stack([a, b, b, a])
    sums = {}
    for packing in (1, 2):
        pair = Mlp(2, 16, 2, packing=packing)
        module = pair.discriminator((2,))
        pair.initialise_(module, seeded(0))
        sums[packing] = float((module(equal).mean() - module(varied).mean()).abs().detach())
    assert sums[1] < 1e-6
    assert sums[2] > 1e-3


@pytest.mark.parametrize("loss", names("loss"))
@pytest.mark.parametrize("network", [PACKED, Mlp(2, 8, 2, packing=4)], ids=["2", "4"])
def test_stacked_seeds_equal_solo_seeds_with_packing(loss, network):
    check_stacked_is_solo(loss=load_loss(loss), network=network, n_critic=2, **EXACT)


@pytest.mark.parametrize("name", ["spectral_norm", "weight_clipping", "instance_noise"])
def test_what_is_no_penalty_goes_with_packing(name):
    regularizers = load_regularizers(name)
    check_stacked_is_solo(regularizers=regularizers, network=PACKED, **EXACT)


@pytest.mark.parametrize("name", ["gradient_penalty", "r1", "r2", "dragan"])
def test_a_penalty_is_refused_and_the_message_says_what_to_do(name):
    with pytest.raises(ConfigError) as refused:
        small_run(regularizers=load_regularizers(name), network=PACKED)
    for said in ("Packing ('0')", "Set network.packing=1", "regularizer=none"):
        assert said in str(refused.value)


def test_a_batch_that_fills_no_packs_is_refused_before_anything_is_allocated():
    with pytest.raises(ConfigError) as refused:
        open_run(small_config(network=Mlp(2, 8, packing=3), batch_size=8))
    for said in ("trainer.batch_size=8", "network.packing=3", "set trainer.batch_size=6"):
        assert said in str(refused.value)
    open_run(small_config(network=Mlp(2, 8, packing=3), batch_size=6))


def test_a_point_is_shown_by_the_logit_of_equal_copies():
    run = small_run(network=Mlp(2, 8, 2, packing=3), batch_size=6, float64=True)
    leaves = run.state.discriminator.params, {}
    points = normal(5, 2)
    shown = run.objective.landscape(*leaves)(points)
    assert shown.shape == (5,)
    score = run.objective.score(*leaves)
    for point, logit in zip(points, shown, strict=True):
        torch.testing.assert_close(score(point.expand(3, 2))[0], logit, **CLOSE)
    score = run.objective.landscape(run.state.discriminator.params, {})
    odd = landscape.compute(normal(7, 2).float(), normal(5, 2).float(), lambda x: score(x.double()))
    assert odd["logit"].shape == (40, 40)
    assert odd["arrow"].shape == (5, 2)


@pytest.mark.parametrize(
    "data", [("data=ring",), ("data=gaussian_1d",), ("data=digits", "network=conv")], ids=str
)
def test_a_packed_run_trains_measures_and_draws(tmp_path, data):
    cheap = [key for key in CHEAP if "image_every" not in key]
    keys = (*data, "loss=non_saturating", "network.width=8", "network.packing=2", *cheap)
    more = ("trainer.steps=6", "trainer.image_every=3", "trainer.n_preview=5", "n_seeds=2")
    assert main("train", *keys, *more, f"hydra.run.dir={tmp_path / 'run'}") == 0
    rows = [r for seed in (0, 1) for r in read_metrics(tmp_path / f"run/seed_{seed}/metrics.jsonl")]
    last = rows[-1]
    assert "discriminator_estimate/js" in rows[-2] or "discriminator_estimate/js" in last
    assert any("discriminator_estimate/optimality_gap" in row for row in rows)
    # A gradient at one sample depends on its pack, so none is logged.
    assert not any("discriminator_estimate/gradient_norm_mean" in row for row in rows)
    assert sorted(path.name for path in (tmp_path / "run/seed_1/samples").glob("*.png"))


def test_the_config_takes_packing_and_refuses_it_with_a_critics_penalty():
    chosen = run_config("data=ring", "loss=non_saturating", "network.packing=2")
    assert chosen.network.packing == 2
    critic = run_config("data=ring", "loss=wasserstein", "network.packing=2")
    with pytest.raises(ConfigError, match=r"network\.packing=1"):
        open_run(critic)
