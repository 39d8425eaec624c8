"""What needs a CUDA device: the same game on both devices, in every mode, without a wait.

What can run without one runs on the CPU too, where a graph is rehearsed.
"""

import contextlib
import copy

import numpy as np
import pytest
import torch
from torch.utils import _pytree

from gan_lab.config import compose
from gan_lab.data.host import HostSource
from gan_lab.engine import read_ahead
from gan_lab.engine.accumulator import Accumulator
from gan_lab.engine.backends.cuda_graph import GraphedStep
from gan_lab.engine.step import train_step
from gan_lab.loggers.jsonl import read_metrics
from gan_lab.training import memory
from gan_lab.training.build import build, open_run
from tests.helpers import CHEAP, load_checkpoint, main, train
from tests.rehearsal import Rehearsal

TINY = ["data=ring", "network.width=16", "trainer.batch_size=32", "evaluator.n=64"]
IMAGES = ["data=digits", "network=dcgan", "network.width=8", "trainer.batch_size=16"]
WARM = ["trainer.warmup_steps=1", "trainer.warmup_n_critic=11"]
BOTH = ["cpu", pytest.param("cuda", marks=pytest.mark.gpu)]
LOSSES = ["minimax", "non_saturating", "wasserstein", "relativistic"]


def opened(device, *keys):
    keys = [*keys, f"device={device}"]
    return open_run(compose.build_run_config(compose.compose_config("train", keys)))


def eager(run):
    return lambda draws: train_step(run.state, draws, run.gradients, 0.99)


def graphed(run):
    capture = Rehearsal() if run.source.device.type == "cpu" else None
    return GraphedStep(run.state, run.gradients, 0.99, capture)


def moved(draws, device):
    return _pytree.tree_map_only(torch.Tensor, lambda leaf: leaf.to(device), draws)


def assert_close(actual, expected, rtol, atol):
    assert actual.keys() == expected.keys()
    for name, tensor in expected.items():
        pair = (leaf.detach().cpu() for leaf in (actual[name], tensor))
        torch.testing.assert_close(*pair, rtol=rtol, atol=atol, msg=name)


@contextlib.contextmanager
def no_wait(device):
    """Inside, an operation that waits for the device is an error."""
    if device == "cpu":
        yield
        return
    torch.cuda.synchronize()
    torch.cuda.set_sync_debug_mode("error")
    try:
        yield
    finally:
        torch.cuda.set_sync_debug_mode("default")


@pytest.mark.gpu
@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("n_seeds", [1, 3])
def test_cpu_and_gpu_take_the_same_steps_from_the_same_draws(loss, n_seeds):
    runs = [opened(d, *TINY, f"loss={loss}", f"n_seeds={n_seeds}") for d in ("cpu", "cuda")]
    for step in range(3):
        draws = runs[0].streams.draws(step)
        values = [eager(run)(moved(draws, run.source.device))[0] for run in runs]
        assert_close(values[1], values[0], rtol=1e-3, atol=1e-5)
    assert_close(runs[1].state.average, runs[0].state.average, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("device", BOTH)
@pytest.mark.parametrize("n_seeds", [1, 3])
@pytest.mark.parametrize("keys", [TINY, IMAGES], ids=["points", "images"])
@pytest.mark.parametrize("loss", ["non_saturating", "wasserstein"])
def test_a_replayed_step_is_the_eager_one(device, n_seeds, keys, loss):
    runs = [opened(device, *keys, *WARM, f"loss={loss}", f"n_seeds={n_seeds}") for _ in range(2)]
    steps = [eager(runs[0]), graphed(runs[1])]
    for i in range(4):
        pairs = zip(steps, runs, strict=True)
        (values, finite), (again, also) = (step(run.streams.draws(i)) for step, run in pairs)
        assert_close(again, values, rtol=1e-3, atol=1e-5)
        assert bool((finite & also).all())
    assert_close(runs[1].state.average, runs[0].state.average, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("device", BOTH)
@pytest.mark.parametrize("keys", [TINY, IMAGES], ids=["points", "images"])
def test_a_lazy_penalty_replays_from_two_graphs_or_more(device, keys):
    lazy = ("loss=wasserstein", "regularizer.gradient_penalty.every=4")
    runs = [opened(device, *keys, *lazy, "trainer.n_critic=3") for _ in range(2)]
    steps = [eager(runs[0]), graphed(runs[1])]
    for i in range(6):
        values, again = (
            step(run.streams.draws(i))[0] for step, run in zip(steps, runs, strict=True)
        )
        assert_close(again, values, rtol=1e-3, atol=1e-5)
    assert_close(runs[1].state.average, runs[0].state.average, rtol=1e-3, atol=1e-5)
    assert len(steps[1]._graphs) == 4 + 1


@pytest.mark.parametrize("device", BOTH)
def test_a_graph_follows_the_learning_rate_and_what_is_loaded(device):
    runs = [opened(device, *TINY, "loss=wasserstein") for _ in range(2)]
    for run in runs:  # on a GPU it is a tensor from the start
        for player in (run.state.discriminator, run.state.generator):
            player.optimizer.rate = torch.tensor(player.optimizer.initial_lr, device=device)
    steps = [eager(runs[0]), graphed(runs[1])]
    steps[1](runs[1].streams.draws(0))  # recorded, then the state is put back
    runs[1].state.load_state_dict_(runs[0].state.state_dict())
    for i in range(4):
        for run, step in zip(runs, steps, strict=True):
            run.state.discriminator.set_lr_factor_(1.0 - i / 4)
            run.state.generator.set_lr_factor_(1.0 - i / 4)
            step(run.streams.draws(i))
    assert_close(runs[1].state.average, runs[0].state.average, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("device", BOTH)
def test_a_step_has_the_same_draws_whatever_was_drawn_before(device):
    runs = [opened(device, *TINY, "n_seeds=2") for _ in range(2)]
    in_order = [runs[0].streams.draws(step) for step in range(70)]
    for step in (69, 3, 33):
        for ours, theirs in zip(runs[1].streams.draws(step), in_order[step], strict=True):
            assert all(map(torch.equal, ours[:3], theirs[:3]))


ELSEWHERE = [("cpu", "disk")]
ELSEWHERE += [pytest.param("cuda", where, marks=pytest.mark.gpu) for where in ("host", "disk")]


@pytest.mark.parametrize(("device", "storage"), ELSEWHERE)
@pytest.mark.parametrize("chunk_bytes", [1, 1 << 24])
def test_data_outside_of_the_device_give_the_same_steps(
    tmp_path, monkeypatch, device, storage, chunk_bytes
):
    monkeypatch.setattr(read_ahead, "_CHUNK_BYTES", chunk_bytes)
    images = torch.randint(0, 256, (300, 3, 16, 16), dtype=torch.uint8)
    np.save(tmp_path / "images.npy", images.numpy())
    keys = ["data=image_array", f"data.path={tmp_path / 'images.npy'}", "network=mlp", "n_seeds=2"]
    keys += ["loss=relativistic", "network.width=16", "trainer.batch_size=16"]
    runs = [opened(device, *keys, f"data.storage={where}") for where in ("device", storage)]
    assert isinstance(runs[1].source, HostSource)
    for step in (*range(70), 3, 33):
        for ours, theirs in zip(*(run.streams.draws(step) for run in runs), strict=True):
            assert ours.real.device == theirs.real.device == runs[0].source.device
            assert all(map(torch.equal, ours[:3], theirs[:3]))
    steps = [eager(runs[0]), graphed(runs[1])]
    for i in range(40):
        for run, step in zip(runs, steps, strict=True):
            step(run.streams.draws(i))
    assert_close(runs[1].state.average, runs[0].state.average, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("device", BOTH)
@pytest.mark.parametrize("way", [eager, graphed])
@pytest.mark.parametrize("data", ["ring", "digits", "checkerboard"])
def test_no_step_waits_for_the_device(device, way, data):
    run = opened(device, *TINY, f"data={data}", "network=mlp", "n_seeds=2")
    step, accumulator = way(run), Accumulator()
    step(run.streams.draws(0))  # libraries load their kernels, graphs are recorded
    with no_wait(device):
        for i in range(1, run.streams.spec.block_steps + 2):  # a new block is drawn
            values, _ = step(run.streams.draws(i))
            accumulator.add_(values)
    assert accumulator.means()


@pytest.mark.gpu
def test_a_wait_is_found():
    x = torch.ones(3, device="cuda")
    with pytest.raises(RuntimeError), no_wait("cuda"):
        x.sum().item()


@pytest.mark.parametrize("device", BOTH)
@pytest.mark.parametrize("precision", ["tf32", "bf16"])
@pytest.mark.parametrize("keys", [TINY, IMAGES], ids=["points", "images"])
def test_fewer_bits_change_a_little(device, precision, keys):
    if device == "cpu" and precision == "tf32":
        pytest.skip("on GPUs only")
    values = []
    for name in ("f32", precision):
        run = opened(device, *keys, "loss=wasserstein", f"execution.precision={name}")
        if device == "cuda":
            for backend in (torch.backends.cuda.matmul, torch.backends.cudnn):
                assert backend.allow_tf32 == (name == "tf32")
        values.append(eager(run)(run.streams.draws(0))[0])
        assert all(leaf.dtype != torch.bfloat16 for leaf in run.state.average.values())
    opened(device, *keys, "execution.precision=f32")  # the switches are the process's
    assert_close(values[1], values[0], rtol=0.1, atol=0.05)


MODES = [("cpu", "eager")]
MODES += [pytest.param("cuda", mode, marks=pytest.mark.gpu) for mode in ("eager", "cuda_graph")]
MODES += [pytest.param("cuda", "compiled", marks=[pytest.mark.gpu, pytest.mark.slow])]


@pytest.mark.parametrize(("device", "mode"), MODES)
@pytest.mark.parametrize("n_seeds", [1, 2])
def test_a_run_resumes_from_its_checkpoint(tmp_path, device, mode, n_seeds):
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    cheap = [key for key in CHEAP if not key.startswith("device=")]
    keys = ["data=ring", "network.width=16", *cheap, "trainer.log_every=10"]
    keys += [f"device={device}", f"execution.mode={mode}", f"n_seeds={n_seeds}"]
    train(whole, *keys, "trainer.steps=60")
    train(parts, *keys, "trainer.steps=30")
    assert main("resume", parts, "trainer.steps=60") == 0
    contents = [load_checkpoint(path) for path in (whole, parts)]
    assert contents[0]["step"] == contents[1]["step"] == 60
    average = [c["state"]["average"] for c in contents]
    # A GPU's sums may change their order from process to process, hardly more.
    exact = {"rtol": 0, "atol": 0} if device == "cpu" else {"rtol": 1e-4, "atol": 1e-5}
    assert_close(average[1], average[0], **exact)
    child = "." if n_seeds == 1 else "seed_0"
    last = [read_metrics(path / child / "metrics.jsonl")[-1] for path in (whole, parts)]
    for tag in ("loss/discriminator", "divergence/wasserstein"):
        assert last[1][tag] == pytest.approx(last[0][tag], rel=1e-4)


@pytest.mark.gpu
def test_the_estimate_of_memory_is_right_on_a_gpu():
    keys = ["data=ring", "network.width=1024", "loss=wasserstein", "device=cuda"]
    config = compose.build_run_config(compose.compose_config("train", keys))
    source = config.data.open(torch.device("cuda"))
    estimate = memory.estimate(config, source)
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    run = build(config, source)
    snapshots = []
    for i in range(3):
        eager(run)(run.streams.draws(i))
        snapshots.append(copy.deepcopy(run.state.state_dict()))  # as the trainer keeps it
    taken = torch.cuda.max_memory_allocated() - before
    assert 0.4 * taken < estimate.training < 2.5 * taken
