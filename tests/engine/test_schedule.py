"""When each network moves: arithmetic on the step number, and nothing else."""

import itertools
import math

import pytest

from gan_lab.engine.schedule import DECAYS, Schedule, learning_rate_factor


@pytest.mark.parametrize("n_critic", [1, 2, 3, 4, 5, 6])
def test_every_step_has_n_critic_updates_and_never_restarts(n_critic):
    schedule = Schedule(n_critic, warmup_n_critic=100)  # of no warm-up
    assert [schedule.discriminator_updates(s) for s in range(1000)] == [n_critic] * 1000


def test_the_wgan_authors_warm_up_is_100_in_the_first_25_steps_and_every_500th():
    schedule = Schedule(5, 1, warmup_steps=25, warmup_every=500, warmup_n_critic=100)
    for step in range(2001):
        warm = step < 25 or step in (500, 1000, 1500, 2000)
        assert schedule.discriminator_updates(step) == (100 if warm else 5), step


def test_a_warm_up_every_so_often_includes_step_0():
    schedule = Schedule(1, warmup_every=10, warmup_n_critic=4)
    warm = [s for s in range(31) if schedule.discriminator_updates(s) == 4]
    assert warm == [0, 10, 20, 30]


@pytest.mark.parametrize(
    ("key", "value"),
    [
        *(("n_critic", value) for value in (0, 2.0, True)),
        *(("n_generator", 0), ("warmup_steps", -1), ("warmup_every", -5), ("warmup_n_critic", 0)),
    ],
)
def test_counts_that_are_none_are_refused_by_name(key, value):
    with pytest.raises(ValueError, match=rf"Schedule\.{key}="):
        Schedule(**{key: value})


@pytest.mark.parametrize("decay", list(DECAYS))
def test_a_decay_starts_at_1_never_rises_and_stays_at_its_end(decay):
    factors = [learning_rate_factor(decay, s, 100) for s in range(131)]
    assert factors[0] == 1
    assert all(a >= b >= 0 for a, b in itertools.pairwise(factors))
    assert factors[100:] == [factors[100]] * 31


def test_known_values_of_the_decays():
    assert learning_rate_factor("constant", 77, 100) == 1
    assert learning_rate_factor("linear", 25, 100) == pytest.approx(0.75, abs=1e-15)
    assert learning_rate_factor("linear", 100, 100) == 0
    assert learning_rate_factor("cosine", 50, 100) == pytest.approx(0.5, abs=1e-15)
    expected = (1 + math.cos(math.pi / 4)) / 2
    assert learning_rate_factor("cosine", 25, 100) == pytest.approx(expected, abs=1e-15)
    assert learning_rate_factor("cosine", 100, 100) == pytest.approx(0, abs=1e-15)


@pytest.mark.parametrize(
    "schedule",
    [
        Schedule(3),
        Schedule(3, warmup_steps=5, warmup_n_critic=9),
        Schedule(2, warmup_every=7, warmup_n_critic=9),
        Schedule(2, warmup_steps=9, warmup_every=4, warmup_n_critic=7),
        Schedule(2, warmup_steps=8, warmup_every=4, warmup_n_critic=7),
        Schedule(3, warmup_steps=2, warmup_n_critic=1),
    ],
)
def test_the_most_and_the_sum_of_updates_are_those_of_the_steps(schedule):
    updates = [schedule.discriminator_updates(s) for s in range(60)]
    assert schedule.max_discriminator_updates == max(updates)
    sums = [0, *itertools.accumulate(updates)]
    assert [schedule.discriminator_steps(s) for s in range(61)] == sums
