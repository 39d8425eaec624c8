"""All randomness is an argument: per seed and purpose, the same for every loss, exact to resume."""

import pytest
import torch

from gan_lab.data.digits import Digits
from gan_lab.data.toy import Ring
from gan_lab.engine.rng import DrawSpec, Streams, stream
from gan_lab.engine.schedule import Schedule
from tests.helpers import CPU, small_run

RING, DIGITS = Ring().open(CPU), Digits().open(CPU)


def spec(n_critic=1, n_generator=1, noise=(), batch_size=6, latent_dim=3, **schedule):
    shapes = dict.fromkeys(noise, (2,))
    return DrawSpec(batch_size, latent_dim, shapes, Schedule(n_critic, n_generator, **schedule))


def streams(*args, seeds=(0,), source=RING, **kwargs):
    return Streams(seeds, spec(*args, **kwargs), source)


def flat(draws):
    """All tensors of a step's draws by name."""
    found = {}
    for network, part in draws._asdict().items():
        found |= {f"{network}/{name}": getattr(part, name) for name in ("real", "z", "mix")}
        found |= {f"{network}/noise/{name}": tensor for name, tensor in part.noise.items()}
    return found


def assert_equal(a, b):
    a, b = flat(a), flat(b)
    assert a.keys() == b.keys()
    for name in a:
        assert torch.equal(a[name], b[name]), name


def test_seeds_differ_and_0_is_a_seed():
    zero, again, one = (flat(streams(seeds=(s,)).draws(0)) for s in (0, 0, 1))
    for name in zero:
        assert torch.equal(zero[name], again[name])
        assert not torch.equal(zero[name], one[name])


def test_each_purpose_has_a_stream_of_its_own():
    draws = flat(streams(noise=("a", "b"), batch_size=64, latent_dim=2).draws(0))
    normals = [t.flatten() for name, t in draws.items() if "real" not in name and "mix" not in name]
    assert len(normals) == 6
    table = torch.corrcoef(torch.stack(normals))
    assert (table - torch.eye(6)).abs().max().item() < 0.35  # 128 numbers each: 4 sigma
    assert not torch.equal(draws["discriminator/mix"], draws["generator/mix"])
    assert not torch.equal(draws["discriminator/real"], draws["generator/real"])


def test_a_stream_is_named_by_seed_and_purpose():
    def first(*args):
        return torch.rand(3, generator=stream(*args))

    assert torch.equal(first(3, "z"), first(3, "z"))
    assert not torch.equal(first(3, "z"), first(4, "z"))
    assert not torch.equal(first(3, "z"), first(3, "mix"))
    assert not torch.equal(first(1, "2/z"), first(12, "z"))


def test_successive_steps_differ_within_and_across_blocks():
    ours = streams()
    assert ours.spec.block_steps == 32
    seen = [flat(ours.draws(step)) for step in range(70)]
    for name in seen[0]:
        rows = torch.stack([draws[name].flatten() for draws in seen]).double()
        assert len(rows.unique(dim=0)) == 70, name


@pytest.mark.parametrize("n_generator", [1, 2])
def test_shapes_have_a_leading_axis_of_updates(n_generator):
    draws = streams(5, n_generator, noise=("a",)).draws(0)
    for part, count in ((draws.discriminator, 5), (draws.generator, n_generator)):
        assert part.real.shape == (count, 6, 2)
        assert part.z.shape == (count, 6, 3)
        assert part.mix.shape == (count, 6)
        assert part.noise["a"].shape == (count, 6, 2)
    stacked = streams(5, n_generator, noise=("a",), seeds=(0, 1, 2)).draws(0)
    assert stacked.discriminator.real.shape == (5, 3, 6, 2)
    assert stacked.generator.mix.shape == (n_generator, 3, 6)


@pytest.mark.parametrize("source", [RING, DIGITS], ids=["ring", "digits"])
def test_stacked_draws_are_the_stack_of_each_seeds_own(source):
    seeds = (0, 4, 9)
    together = streams(3, 2, noise=("a",), seeds=seeds, source=source)
    alone = [streams(3, 2, noise=("a",), seeds=(s,), source=source) for s in seeds]
    for step in range(34):
        each = [flat(s.draws(step)) for s in alone]
        for name, tensor in flat(together.draws(step)).items():
            assert torch.equal(tensor, torch.stack([draws[name] for draws in each], 1)), name


@pytest.mark.parametrize("source", [RING, DIGITS], ids=["ring", "digits"])
def test_the_generators_draws_do_not_depend_on_n_critic_or_on_the_regularizers(source):
    # Paired comparisons: the loss sets n_critic and the regularizer what noise is drawn.
    plain = streams(1, source=source)
    other = streams(5, noise=("dragan",), source=source)
    for step in range(70):
        ours, theirs = plain.draws(step).generator, other.draws(step).generator
        assert all(map(torch.equal, ours[:3], theirs[:3]))


@pytest.mark.parametrize("source", [RING, DIGITS], ids=["ring", "digits"])
def test_the_discriminators_draws_do_not_depend_on_the_regularizers(source):
    plain, other = streams(3, source=source), streams(3, noise=("dragan",), source=source)
    for step in range(40):
        ours, theirs = plain.draws(step).discriminator, other.draws(step).discriminator
        assert all(map(torch.equal, ours[:3], theirs[:3]))


def test_the_first_updates_are_the_same_for_different_n_critic():
    few = streams(2, source=DIGITS).draws(0).discriminator
    many = streams(5, source=DIGITS).draws(0).discriminator
    for a, b in zip(few[:3], many[:3], strict=True):
        assert torch.equal(a, b[:2])


@pytest.mark.parametrize("seeds", [(0,), (0, 1, 2)], ids=["solo", "stacked"])
def test_a_step_has_the_same_draws_whatever_was_drawn_before(seeds):
    # So a run resumes, and makes steps again, without a state of its randomness.
    ours = streams(2, noise=("a",), seeds=seeds)
    in_order = [ours.draws(step) for step in range(100)]
    for step in (99, 3, 7, 3, 33, 32, 31, 64, 65, 0):
        torch.manual_seed(step)  # no global generator has a say
        assert_equal(ours.draws(step), in_order[step])
        assert_equal(streams(2, noise=("a",), seeds=seeds).draws(step), in_order[step])


def test_a_warm_up_has_its_own_number_of_updates_and_loses_none():
    ours = streams(2, warmup_steps=3, warmup_every=40, warmup_n_critic=7)
    counts, seen = [], []
    for step in range(45):
        part = ours.draws(step).discriminator
        counts.append(len(part.z))
        seen.append(part.z.flatten(1))
    assert counts == [7, 7, 7] + [2] * 37 + [7] + [2] * 4
    rows = torch.cat(seen)
    assert len(rows.unique(dim=0)) == len(rows) == sum(counts)  # no update's noise comes twice


def test_mix_is_uniform_and_z_is_normal():
    ours = streams(4, batch_size=256, latent_dim=4, noise=("a",))
    draws = [ours.draws(step).discriminator for step in range(10)]
    mix = torch.stack([d.mix for d in draws]).flatten().double()
    assert 0 <= mix.min() < 0.01 < 0.99 < mix.max() <= 1
    assert mix.mean().item() == pytest.approx(1 / 2, abs=0.015)
    assert mix.var().item() == pytest.approx(1 / 12, abs=0.004)
    for normals in (torch.stack([d.z for d in draws]), torch.stack([d.noise["a"] for d in draws])):
        x = normals.flatten().double()
        assert x.mean().item() == pytest.approx(0, abs=0.04)
        assert x.var().item() == pytest.approx(1, abs=0.05)
        assert x.pow(4).mean().item() == pytest.approx(3, abs=0.4)


def test_batches_are_drawn_from_all_training_samples():
    ours = streams(4, batch_size=256, source=DIGITS)
    real = torch.cat([ours.draws(s).discriminator.real.flatten(0, 1) for s in range(16)])
    assert real.shape == (16 * 4 * 256, 1, 8, 8)
    # 16,384 draws with replacement out of 1041 miss one with probability 1041 e^-15.7.
    assert len(real.flatten(1).unique(dim=0)) == pytest.approx(1041, abs=10)


def test_the_block_size_is_a_function_of_the_configuration_and_not_of_the_seeds():
    assert streams(seeds=(0,)).spec.block_steps == streams(seeds=tuple(range(8))).spec.block_steps
    assert spec().block_steps == 32
    large = DrawSpec(512, 128, {"a": (3, 64, 64)}, Schedule(5))
    assert large.block_steps == 1
    assert DrawSpec(256, 128, {"a": (3, 32, 32)}, Schedule(1)).block_steps in range(2, 32)


@pytest.mark.parametrize(
    "schedule", [Schedule(5), Schedule(5, warmup_steps=25), Schedule(5, warmup_every=500)]
)
def test_a_block_holds_16_million_numbers_at_most_also_in_a_warm_up(schedule):
    sizes = DrawSpec(16, 128, {"a": (1, 32, 32)}, schedule)
    updates = sum(schedule.discriminator_updates(s) + 1 for s in range(sizes.block_steps))
    assert 2 <= sizes.block_steps <= 32
    assert updates * 16 * (128 + 2 + 1024) <= 16_000_000


def test_the_initial_weights_are_those_of_the_seed_whatever_is_drawn_later():
    runs = [small_run(seeds=(3,), n_critic=k, batch_size=b) for k, b in ((1, 8), (5, 16))]
    runs[0].streams.draws(0)
    third = small_run(seeds=(3,))
    for run in (runs[1], third):
        for network in ("discriminator", "generator"):
            ours = getattr(run.state, network).params
            for name, leaf in getattr(runs[0].state, network).params.items():
                assert torch.equal(leaf, ours[name])
