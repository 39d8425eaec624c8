"""The step as graphs, rehearsed: the same numbers as the eager step, by the rules of a graph."""

import copy

import pytest
import torch

from gan_lab.engine.backends.cuda_graph import GraphedStep
from gan_lab.engine.backends.mlp_gradients import AnalyticMlpGradients
from gan_lab.engine.optimizers import Adam, RmsProp, Sgd
from gan_lab.engine.step import train_step
from gan_lab.losses import NonSaturating, Wasserstein
from gan_lab.networks.mlp import Mlp
from gan_lab.regularizers import GradientPenalty
from tests.helpers import load_loss, load_regularizers, names, small_run
from tests.rehearsal import Rehearsal

EACH = [name for name in names("regularizer") if name != "none"]
WGAN_GP = {"loss": Wasserstein(), "regularizers": {"gp": GradientPenalty(10.0)}}
OBJECTIVES = {"wgan_gp": WGAN_GP, "non_saturating": {"loss": NonSaturating()}}
WARM = {"n_critic": 2, "warmup_steps": 1, "warmup_every": 3, "warmup_n_critic": 11}


def graphed(run, ema=0.9, capture=None):
    return GraphedStep(run.state, run.gradients, ema, capture or Rehearsal())


def content(run):
    """All numbers of a state."""
    return copy.deepcopy(run.state.state_dict())


def assert_equal(actual, expected):
    torch.testing.assert_close(actual, expected, rtol=0, atol=0)


def tensor_rates_(run):
    """Learning rates as tensors, as they are on a GPU."""
    for network in (run.state.discriminator, run.state.generator):
        network.optimizer.rate = torch.tensor(network.optimizer.initial_lr)


def set_rates_(run, factor):
    run.state.discriminator.set_lr_factor_(factor)
    run.state.generator.set_lr_factor_(factor)


def check(runs, n_steps=5, factor=None):
    eager, replayed = runs
    step = graphed(replayed)
    for i in range(n_steps):
        if factor is not None:
            for run in runs:
                set_rates_(run, factor(i))
        draws = eager.streams.draws(eager.state.step)
        values, finite = train_step(eager.state, draws, eager.gradients, 0.9)
        again, again_finite = step(replayed.streams.draws(replayed.state.step))
        assert_equal(again, values)
        assert torch.equal(finite, again_finite)
    assert_equal(content(replayed), content(eager))
    return step


@pytest.mark.parametrize("name", sorted(OBJECTIVES))
@pytest.mark.parametrize("seeds", [(0,), (0, 1, 5)], ids=["solo", "stacked"])
@pytest.mark.parametrize("schedule", [{}, {"n_generator": 2}, WARM], ids=["one", "two", "warm"])
def test_replayed_is_eager(name, seeds, schedule):
    check([small_run(**OBJECTIVES[name], seeds=seeds, **schedule) for _ in range(2)])


@pytest.mark.parametrize("name", EACH)
@pytest.mark.parametrize("seeds", [(0,), (0, 1)], ids=["solo", "stacked"])
def test_every_regularizer_replays(name, seeds):
    choice = {"loss": NonSaturating(), "regularizers": load_regularizers(name)}
    check([small_run(**choice, seeds=seeds, n_critic=2) for _ in range(2)], 3)


@pytest.mark.parametrize(
    "optim",
    [Adam(1e-3), RmsProp(1e-3), RmsProp(1e-3, momentum=0.5), Sgd(1e-2), Sgd(1e-2, momentum=0.9)],
    ids=str,
)
def test_the_warm_up_of_a_capture_leaves_no_trace_in_any_optimiser(optim):
    check([small_run(**WGAN_GP, optim=optim, n_critic=2) for _ in range(2)], 4)


def test_batch_norms_buffers_move_once_an_update():
    network = Mlp(2, 8, 2, generator_norm="batch", discriminator_norm="batch")
    check([small_run(network=network, n_critic=2) for _ in range(2)], 3)


def test_a_decaying_learning_rate_needs_no_new_graph():
    runs = [small_run(**WGAN_GP, n_critic=2) for _ in range(2)]
    for run in runs:
        tensor_rates_(run)
    step = check(runs, 1, factor=lambda i: 1.0)
    graphs = dict(step._graphs)
    for i in range(1, 5):
        for run in runs:
            set_rates_(run, 1.0 - i / 5)
        train_step(runs[0].state, runs[0].streams.draws(i), runs[0].gradients, 0.9)
        step(runs[1].streams.draws(i))
    assert_equal(content(runs[1]), content(runs[0]))
    assert step._graphs == graphs


def test_a_learning_rate_that_is_a_number_cannot_change_in_silence():
    run = small_run(n_critic=2)
    step = graphed(run)
    step(run.streams.draws(0))
    set_rates_(run, 0.5)
    with pytest.raises(RuntimeError, match="a replay differs"):
        step(run.streams.draws(1))


@pytest.mark.parametrize("seeds", [(0,), (0, 1)], ids=["solo", "stacked"])
@pytest.mark.parametrize("name", ["non_saturating", "wasserstein", "relativistic", "hinge"])
def test_gradients_by_hand_replay(name, seeds):
    regularizers = {"gp": GradientPenalty(10.0)}
    runs = [small_run(load_loss(name), regularizers, seeds=seeds, n_critic=2) for _ in range(2)]
    for run in runs:
        run.gradients = AnalyticMlpGradients(run.objective, run.gradients.stacked)
    check(runs, 3)


def test_a_step_goes_on_from_a_state_that_was_loaded():
    run = small_run(**WGAN_GP, n_critic=2)
    step = graphed(run)
    for i in range(2):
        step(run.streams.draws(i))
    saved, graphs = copy.deepcopy(run.state.state_dict()), dict(step._graphs)
    for i in range(2, 5):
        step(run.streams.draws(i))
    whole = content(run)
    other = small_run(**WGAN_GP, n_critic=2)  # another process: loaded before the first step
    for again, take in ((run, step), (other, graphed(other))):
        again.state.load_state_dict_(saved)
        for i in range(2, 5):
            take(again.streams.draws(i))
        assert_equal(content(again), whole)
    assert step._graphs == graphs  # loading keeps them


def test_a_dropped_seed_stays_and_the_others_go_on_from_the_same_graphs():
    runs = [small_run(**WGAN_GP, seeds=(0, 1, 5), n_critic=2) for _ in range(2)]
    runs[1].step = graphed(runs[1], runs[1].config.trainer.ema)
    for run in runs:
        run.train_step()
    before, graphs = runs[1].state.generator.flat.detach().clone(), dict(runs[1].step._graphs)
    runs[1].drop([1])
    for run in runs:
        run.train_step()
        run.train_step()
    whole, rest = (run.state.generator.flat.detach() for run in runs)
    assert_equal(rest[1], before[1])
    assert_equal(rest[::2], whole[::2])
    assert not torch.equal(whole[1], before[1])
    assert runs[1].step._graphs == graphs


def test_there_is_one_graph_for_each_size_of_chunk():
    run = small_run(**WARM)
    step = graphed(run)
    for i in range(5):
        step(run.streams.draws(i))
    sizes = {(network, len(factors)) for network, factors in step._graphs}
    assert sizes == {*(("discriminator", n) for n in (8, 3, 2)), ("generator", 1)}


def test_what_a_step_returns_is_not_overwritten_by_the_next():
    run = small_run(n_critic=2)
    step = graphed(run)
    values, finite = step(run.streams.draws(0))
    kept = {name: value.clone() for name, value in values.items()}
    draws = run.streams.draws(1)
    draws.discriminator.real[:] = torch.nan
    _, broken = step(draws)
    assert_equal(values, kept)
    assert bool(finite)
    assert not bool(broken)
    assert not bool(step(run.streams.draws(2))[1])  # the weights are nan now


def test_a_failure_in_any_update_is_told():
    run = small_run(n_critic=2, n_generator=2)
    step = graphed(run)
    draws = run.streams.draws(0)
    before = copy.deepcopy(run.state.state_dict())
    draws.generator.z[0] = torch.nan
    assert not bool(step(draws)[1])
    run.state.load_state_dict_(before)
    assert bool(step(run.streams.draws(1))[1])  # it is forgotten with the state


# The rehearsal is strict.


def test_a_program_that_reads_what_is_not_fixed_is_refused():
    x, other = torch.ones(3), torch.ones(3)
    assert Rehearsal().record(lambda: x + x, [x])().tolist() == [2.0, 2.0, 2.0]
    with pytest.raises(RuntimeError, match="not static"):
        Rehearsal().record(lambda: x + other, [x])()


def test_a_step_that_reads_the_draws_themselves_is_refused(monkeypatch):
    run = small_run(n_critic=2)
    step = graphed(run)
    draws = run.streams.draws(0)
    module = "gan_lab.engine.backends.cuda_graph"
    monkeypatch.setattr(f"{module}._empty_like", lambda d: d._replace(z=d.z.clone()))
    # real is forgotten
    monkeypatch.setattr(f"{module}._parts", lambda d: [d.z, d.mix, *d.noise.values()])
    with pytest.raises(RuntimeError, match="not static"):
        step(draws)


def test_a_value_that_is_read_is_refused():
    x = torch.ones(3)
    for program in (lambda: x * x.sum().item(), lambda: x[x > 0]):
        with pytest.raises(RuntimeError, match="waits"):
            Rehearsal().record(program, [x])()


def test_a_number_that_changes_is_refused():
    x, numbers = torch.ones(3), iter([1.0, 1.0, 2.0])
    replay = Rehearsal().record(lambda: x * next(numbers), [x])
    replay()
    replay()
    with pytest.raises(RuntimeError, match=r"was aten::mul.* is aten::mul"):
        replay()


def test_a_branch_that_changes_is_refused():
    x, branch = torch.ones(3), iter([True, False])
    replay = Rehearsal().record(lambda: x + x if next(branch) else (x + x) * 2, [x])
    replay()
    with pytest.raises(RuntimeError, match="1 calls were 2"):
        replay()


def test_an_output_is_overwritten_as_a_graph_overwrites_it():
    x = torch.ones(3)
    replay = Rehearsal().record(lambda: x * 2, [x])
    first = replay()
    x.fill_(2.0)
    assert replay() is first
    assert first.tolist() == [4.0, 4.0, 4.0]
