"""How a step runs: the choice of auto, refusals, and what a run records of it."""

import platform

import pytest
import torch

from gan_lab.cli.main import main
from gan_lab.cli.open_run import saved_config
from gan_lab.config import compose
from gan_lab.engine import devices, execution
from gan_lab.engine.backends import matmul
from gan_lab.engine.backends.mlp_gradients import AnalyticMlpGradients
from gan_lab.engine.devices import cores
from gan_lab.engine.execution import Execution
from gan_lab.engine.gradients import Gradients
from gan_lab.errors import ConfigError
from gan_lab.runs.run_dir import RunDir
from gan_lab.training.build import open_run, with_mode
from gan_lab.training.loop import fit
from tests.helpers import normal

CPU, CUDA = torch.device("cpu"), torch.device("cuda")


@pytest.mark.parametrize(
    ("device", "updates", "analytic", "mode"),
    [
        (CPU, 199_999, True, "eager"),
        (CPU, 200_000, True, "compiled"),
        (CPU, 10_000_000, False, "eager"),
        (CUDA, 10_000_000, True, "eager"),  # CUDA graphs have not been tested on a GPU yet
    ],
)
def test_auto_decides_by_device_network_and_length(device, updates, analytic, mode, monkeypatch):
    monkeypatch.setattr(execution, "has_compiler", lambda: True)
    assert Execution().choose_mode(device, updates, analytic) == mode
    for asked in ("eager", "compiled", "cuda_graph"):
        assert Execution(mode=asked).choose_mode(device, updates, analytic) == asked


def test_without_a_compiler_auto_stays_eager_and_compiled_is_refused(monkeypatch):
    monkeypatch.setattr(execution, "has_compiler", lambda: False)
    assert Execution().choose_mode(CPU, 10**9, True) == "eager"
    with pytest.raises(ConfigError, match=r"execution\.mode=compiled needs a C\+\+ compiler"):
        Execution(mode="compiled").check(CPU)


@pytest.mark.parametrize("keys", [{"mode": "cuda_graph"}, {"precision": "tf32"}])
def test_what_a_gpu_alone_has_is_refused_on_the_cpu(keys):
    with pytest.raises(ConfigError, match=r"execution\.\w+=\w+ needs a CUDA device"):
        Execution(**keys).check(CPU)
    Execution(**keys).check(CUDA)


def test_a_graph_of_several_processes_is_refused():
    with pytest.raises(ConfigError, match="torchrun started several"):
        Execution(mode="cuda_graph").check(CUDA, alone=False)


def test_more_threads_than_any_use_has_are_refused():
    with pytest.raises(ConfigError, match=r"execution.threads=1000000 is more than \d+, the most"):
        Execution(threads=10**6).check(CPU)


@pytest.mark.parametrize("keys", [{"mode": "fast"}, {"precision": "f16"}, {"threads": -1}])
def test_unknown_choices_are_refused(keys):
    with pytest.raises(ValueError, match=f"Execution.{next(iter(keys))}="):
        Execution(**keys)


@pytest.mark.parametrize("key", ["mode=cuda_graph", "precision=tf32", "mode=fast"])
def test_the_command_refuses_in_one_line(key, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["train", "data=ring", "device=cpu", f"execution.{key}"]) == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert not any(tmp_path.iterdir())


def run_config(*keys):
    return compose.build_run_config(
        compose.compose_config("train", ["data=ring", "device=cpu", *keys])
    )


def test_a_long_run_of_perceptrons_is_compiled_and_says_so_in_its_record(monkeypatch):
    monkeypatch.setattr(execution, "has_compiler", lambda: True)
    for keys, mode in (
        (["trainer.steps=100000"], "compiled"),
        (["trainer.steps=100"], "eager"),
        (["trainer.steps=100000", "network.width=256"], "compiled"),
        (["trainer.steps=100000", "network.activation=tanh"], "eager"),
        (["trainer.steps=100000", "regularizer=[spectral_norm]"], "eager"),
    ):
        config = run_config(*keys)
        decided = with_mode(config, config.data.open(CPU))
        assert decided.execution.mode == decided.resolved["execution"]["mode"] == mode
        assert config.execution.mode == "auto"


def test_a_resumed_run_keeps_the_mode_it_began_with(tmp_path):
    keys = ["data=ring", "device=cpu", "network.width=8", "trainer.batch_size=16", "evaluator.n=16"]
    keys += ["trainer.image_every=0", "neural_distance.steps=0", f"hydra.run.dir={tmp_path}"]
    assert main(["train", *keys, "trainer.steps=3"]) == 0
    assert saved_config(tmp_path).execution.mode == "eager"
    extended = saved_config(tmp_path)
    extended.trainer.steps = 1_000_000
    config = compose.build_run_config(extended)
    assert with_mode(config, config.data.open(CPU)).execution.mode == "eager"
    assert RunDir(tmp_path).read_status()["threads"] == 1


def test_gradients_follow_the_network_and_the_precision():
    run = open_run(run_config("execution.precision=bf16"))
    assert isinstance(run.gradients, AnalyticMlpGradients)
    assert run.gradients.bf16
    run = open_run(run_config("execution.precision=bf16", "network.activation=elu"))
    assert type(run.gradients) is Gradients
    assert run.gradients.objective.arithmetic.bf16
    assert not run.objective.arithmetic.bf16  # samples to show and to measure are plain


def test_a_penalty_on_stacked_layer_norms_in_bf16_is_that_of_f32_rounded():
    changes = []
    for precision in ("f32", "bf16"):
        keys = (f"execution.precision={precision}", "network.discriminator_norm=layer", "n_seeds=3")
        run = open_run(run_config("loss=wasserstein", "optim=sgd", "network.width=8", *keys))
        params = run.state.discriminator.params
        before = {name: leaf.clone() for name, leaf in params.items()}
        fit(run, 1)
        changes.append(
            torch.cat([(params[name] - before[name]).detach().flatten() for name in params])
        )
    assert changes[0].dtype == changes[1].dtype == torch.float32
    assert 0.99 < float(torch.cosine_similarity(*changes, 0)) < 1 - 1e-9


def test_processes_of_one_machine_share_its_cores(monkeypatch):
    alone = cores()
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "2")
    assert cores() == max(1, alone // 2)


def test_freed_memory_is_kept_where_there_is_glibc():
    assert devices.keep_freed_memory() is (platform.libc_ver()[0] == "glibc")


# Products.


@pytest.mark.parametrize("is_slow", [False, True])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_products_are_torchs_whichever_kernel_makes_them(dtype, is_slow, monkeypatch):
    calls, original = [], matmul._onednn
    monkeypatch.setattr(matmul, "MKL_IS_SLOW", is_slow)
    monkeypatch.setattr(matmul, "WORTH", 2_000_000)
    monkeypatch.setattr(matmul, "_onednn", lambda *a: calls.append(1) or original(*a))
    tolerance = {torch.float32: 1e-4, torch.float64: 1e-12, torch.bfloat16: 1e-1}[dtype]
    x, y, b = (
        normal(*shape, seed=i).to(dtype) for i, shape in enumerate([(512, 160), (160, 128), (128,)])
    )
    for left, right in ((x, y), (x.t().contiguous().t(), y), (x, y.t().contiguous().t())):
        exact = left.double() @ right.double()
        near = {"rtol": tolerance, "atol": tolerance}
        torch.testing.assert_close(matmul.mm(left, right).double(), exact, **near)
        torch.testing.assert_close(
            matmul.addmm(b, left, right).double(), exact + b.double(), **near
        )
    assert len(calls) == (6 if is_slow and dtype == torch.float32 else 0)
    stacked = matmul.addmm(torch.stack([b, 2 * b]), torch.stack([x, x]), torch.stack([y, 2 * y]))
    torch.testing.assert_close(stacked[1].double(), 2 * stacked[0].double(), rtol=0.02, atol=0.1)


@pytest.mark.parametrize("stack", [(), (3,)], ids=["solo", "stacked"])
@pytest.mark.parametrize("n_columns", [1, 2, 15, 16])
@pytest.mark.parametrize("transposed", [False, True])
def test_a_product_of_few_columns_is_torchs(stack, n_columns, transposed):
    x, y = normal(*stack, 40, 30).double(), normal(*stack, 30, n_columns, seed=1).double()
    x = x.mT.contiguous().mT if transposed else x
    torch.testing.assert_close(matmul.mm(x, y), x @ y, rtol=0, atol=1e-13)


def test_onednn_is_for_larger_products_where_avx512_has_half_its_width():
    def cpu(maker, family):
        return f"vendor_id\t: {maker}\ncpu family\t: {family}\nmodel\t\t: 17\n"

    worth = matmul._multiplications_worth_onednn
    assert worth(cpu("AuthenticAMD", 25)) == matmul._WORTH_AT_HALF_WIDTH
    for full in (cpu("AuthenticAMD", 26), cpu("GenuineIntel", 6), ""):
        assert worth(full) == matmul._WORTH
