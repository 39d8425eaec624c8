"""The host never waits for the device inside a step, and outside only where a callback is due.

On a CPU nothing waits, so what would wait on a GPU is counted: calls whose result or shape the host
has to know, and methods of a tensor that copy it to the host.
"""

import contextlib
from dataclasses import dataclass

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from gan_lab.data.digits import Digits
from gan_lab.engine.backends.cuda_graph import GraphedStep
from gan_lab.engine.optimizers import RmsProp, Sgd
from gan_lab.losses import NonSaturating
from gan_lab.networks.dcgan import Dcgan
from gan_lab.networks.mlp import Mlp
from gan_lab.training import loop
from gan_lab.training.build import open_run
from gan_lab.training.run import Run
from tests.helpers import RING, load_loss, load_regularizers, names, run_config, small_run, train
from tests.rehearsal import Rehearsal, waits

EACH = [name for name in names("regularizer") if name != "none"]
COPIES = ("cpu", "numpy", "tolist", "__array__")
# (data, network): points and images, tickets that are samples and tickets that are indices.
MLP = (None, Mlp(2, 8, 2))
DCGAN = (Digits(), Dcgan(4, width=4, generator_norm="layer"))
BATCH_NORM = (Digits(), Dcgan(4, width=4, discriminator_norm="batch"))


class Counted(TorchDispatchMode):
    def __init__(self):
        super().__init__()
        self.found = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        arguments = tree_leaves((args, kwargs or {}))
        if waits(func.name(), arguments) and not any(
            isinstance(a, torch.Tensor) and a.device.type == "meta" for a in arguments
        ):
            self.found.append(func.name())
        return func(*args, **(kwargs or {}))


@contextlib.contextmanager
def counted():
    """The waits that happen inside, by name."""
    patch, mode = pytest.MonkeyPatch(), Counted()

    def telling(name, method):
        def told(self, *args, **kwargs):
            mode.found.append(name)
            return method(self, *args, **kwargs)

        return told

    for name in COPIES:
        patch.setattr(torch.Tensor, name, telling(name, getattr(torch.Tensor, name)))
    to = torch.Tensor.to

    def to_host(self, *args, **kwargs):
        where = [a for a in (*args, kwargs.get("device")) if isinstance(a, str | torch.device)]
        # The device of the run is the CPU here, so only a literal "cpu" is a copy to the host.
        if "cpu" in where:
            mode.found.append("to('cpu')")
        return to(self, *args, **kwargs)

    patch.setattr(torch.Tensor, "to", to_host)
    try:
        with mode:
            yield mode.found
    finally:
        patch.undo()


def of_steps(run, n_steps=3):
    """What waits in some steps: drawing, training and accumulating."""
    with counted() as found:
        for _ in range(n_steps):
            run.train_step()
    return found


@pytest.mark.parametrize("seeds", [(0,), (0, 1)], ids=["solo", "stacked"])
@pytest.mark.parametrize("name", names("loss"))
@pytest.mark.parametrize("where", [MLP, DCGAN], ids=["mlp", "dcgan"])
def test_no_loss_makes_the_host_wait(name, seeds, where):
    data, network = where
    run = small_run(load_loss(name), data=data, network=network, seeds=seeds, n_critic=2)
    assert of_steps(run) == []


@pytest.mark.parametrize("seeds", [(0,), (0, 1)], ids=["solo", "stacked"])
@pytest.mark.parametrize("name", EACH)
@pytest.mark.parametrize("where", [MLP, DCGAN], ids=["mlp", "dcgan"])
def test_no_regularizer_makes_the_host_wait(name, seeds, where):
    data, network = where
    regularizers = load_regularizers(name)
    run = small_run(None, regularizers, data=data, network=network, seeds=seeds, n_critic=2)
    assert of_steps(run) == []


@pytest.mark.parametrize("seeds", [(0,), (0, 1)], ids=["solo", "stacked"])
@pytest.mark.parametrize("optim", [RmsProp(1e-3), Sgd(1e-3)], ids=["rms", "sgd"])
def test_no_optimiser_makes_the_host_wait(optim, seeds):
    regularizers = load_regularizers(*EACH)
    run = small_run(regularizers=regularizers, optim=optim, seeds=seeds, n_critic=2)
    assert of_steps(run) == []


@pytest.mark.parametrize("seeds", [(0,), (0, 1)], ids=["solo", "stacked"])
def test_batch_norm_does_not_make_the_host_wait(seeds):
    data, network = BATCH_NORM
    assert of_steps(small_run(data=data, network=network, seeds=seeds)) == []


@pytest.mark.parametrize("data", names("data"))
def test_no_data_set_makes_the_host_wait(data, monkeypatch):
    try:
        keys = (f"data={data}", "network.width=4", "trainer.batch_size=8", "device=cpu")
        run = open_run(run_config(*keys))
    except Exception as error:
        if "ConfigError" not in type(error).__name__ and "Mandatory" not in str(error):
            raise
        pytest.skip(f"not here: {str(error)[:60]}")
    assert of_steps(run) == []


def test_a_new_block_of_draws_does_not_make_the_host_wait():
    run = small_run(n_critic=2)
    with counted() as found:
        for step in range(2 * run.streams.spec.block_steps + 1):
            run.streams.draws(step)
    assert found == []


def test_a_replayed_step_does_not_make_the_host_wait():
    run = small_run(n_critic=2)
    run.step = GraphedStep(run.state, run.gradients, 0.9, Rehearsal())
    run.train_step()  # the capture may wait
    assert of_steps(run) == []


# The count finds what it is for.


@dataclass(frozen=True)
class _Reading(NonSaturating):
    how: str = "item"

    def generator(self, real_logits, fake_logits):
        loss = super().generator(real_logits, fake_logits)
        detached = loss.detach().sum()
        if self.how == "item":
            return loss * (1.0 + 0.0 * detached.item())
        if self.how == "branch":
            return loss if detached > -9.0 else -loss
        if self.how == "mask":
            return loss[loss > -9.0]
        if self.how == "cpu":
            return loss + 0.0 * detached.cpu()
        return loss + 0.0 * detached.to("cpu")


@pytest.mark.parametrize(
    ("how", "name"),
    [
        ("item", "aten::_local_scalar_dense"),
        ("branch", "aten::_local_scalar_dense"),
        ("mask", "aten::index.Tensor"),
        ("cpu", "cpu"),
        ("to", "to('cpu')"),
    ],
)
def test_a_loss_that_reads_a_value_is_counted(how, name):
    run = small_run(_Reading(how=how), n_critic=2)
    found = of_steps(run, n_steps=3)
    assert found.count(name) == 3  # once a generator update
    assert set(found) <= {name, "aten::index_put"}  # the mask's way back


def test_a_data_set_that_reads_a_value_is_counted(monkeypatch):
    run = small_run(n_critic=2)
    gather = run.source.gather
    monkeypatch.setattr(run.source, "gather", lambda t: (gather(t), t.sum().item())[0])
    assert of_steps(run, n_steps=1) == ["aten::_local_scalar_dense"] * 2  # once a network


def test_a_training_waits_only_where_a_callback_is_due(tmp_path, monkeypatch):
    waits_of = {}

    def watch(owner, name):
        function = getattr(owner, name)

        def watched(*args):
            with counted() as found:
                result = function(*args)
            waits_of.setdefault(name, []).append(list(found))
            return result

        monkeypatch.setattr(owner, name, watched)

    watch(Run, "train_step")
    watch(Run, "finite_seeds")
    watch(loop, "complete_step")
    keys = ("trainer.steps=40", "trainer.log_every=10", "trainer.landscape_every=0")
    train(tmp_path / "run", *RING, "evaluator.every=1000", *keys)
    assert waits_of["train_step"] == [[]] * 40
    assert waits_of["finite_seeds"] == [["cpu"]] * 4
    assert [step for step, found in enumerate(waits_of["complete_step"]) if found] == [
        *(0, 10, 20, 30, 40)
    ]
