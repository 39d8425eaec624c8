"""The estimate of memory against what a process really takes, and what is refused by it."""

import contextlib
import json
import os
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from gan_lab.data import free_memory
from gan_lab.engine.distributed import World
from gan_lab.engine.optimizers import Adam, RmsProp, Sgd
from gan_lab.errors import ConfigError
from gan_lab.metrics.metrics import Kernel
from gan_lab.networks.mlp import Mlp
from gan_lab.training import memory
from gan_lab.training.validate import validate, warnings
from tests.helpers import CPU, ONE, RING, ROOT, load_regularizers, main, run_config, small_config

GB = 10**9
CASES = {  # loss, width, size of a batch
    "penalty": ("wasserstein", 1024, 256, "data=ring"),
    "clipping": ("wasserstein_clip", 1024, 32, "data=ring"),
    "stacked": ("wasserstein", 256, 256, "data=ring", "n_seeds=16"),
    "batch": ("wasserstein", 128, 16384, "data=ring"),
    "warm-up": ("minimax", 256, 4096, "data=ring", "trainer.warmup_steps=1"),
    "images": ("wasserstein", 16, 2048, "data=digits", "network=dcgan"),
    "conv": ("wasserstein", 16, 512, "data=mnist_5k", "network=conv"),
    "conv plain": ("wasserstein", 16, 512, "data=mnist_5k", "network=conv", "regularizer=none"),
}
DEFAULT_CASES = ("stacked",)  # the others are slow
# One process for all cases: the peak of the resident set is put back before each.
MEASURE = """
import copy, ctypes, gc, json, sys, torch
from gan_lab.engine.step import train_step
from gan_lab.training import memory
from gan_lab.training.build import build
from gan_lab.training.callbacks.divergence import Snapshot
from tests.helpers import run_config
torch.set_num_threads(1)

def resident(row):
    lines = open("/proc/self/status").read().splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith(row))

def measured(loss, width, size, *keys):
    keys += (f"loss={loss}", f"network.width={width}", f"trainer.batch_size={size}")
    choice = run_config(*keys, "device=cpu", "execution.threads=1")
    source = choice.data.open(torch.device("cpu"))
    need = memory.estimate(choice, source)
    gc.collect()
    ctypes.CDLL("libc.so.6").malloc_trim(0)
    open("/proc/self/clear_refs", "w").write("5")
    before = resident("VmRSS")
    run = build(choice, source)
    now = Snapshot.of(run)
    for step in range(3):  # the best, and the last two that were checked
        train_step(run.state, run.streams.draws(step), run.gradients, 0.9)
        last = now
        now = Snapshot.of(run)
        best = copy.deepcopy(run.state.state_dict()) if step == 0 else best
    return need.training, resident("VmHWM") - before

measured("wasserstein", 8, 256, "data=ring")  # what libraries allocate once
print(json.dumps({name: measured(*case) for name, case in json.loads(sys.argv[1]).items()}))
"""
SAYS_WHAT_IS_TAKEN = pytest.mark.skipif(
    not os.access("/proc/self/clear_refs", os.W_OK), reason="only Linux says what a process takes"
)


@pytest.fixture(scope="module")
def measured(request):
    own = [item for item in request.session.items if item.path == request.path]
    names = [item.callspec.params["case"] for item in own if "measured" in item.fixturenames]
    cases = {name: CASES[name] for name in names}
    command = [sys.executable, "-c", MEASURE, json.dumps(cases)]
    checks = {"capture_output": True, "text": True, "check": True, "timeout": 300}
    done = subprocess.run(command, cwd=ROOT, env=ONE, **checks)
    return json.loads(done.stdout.splitlines()[-1])


@SAYS_WHAT_IS_TAKEN
@pytest.mark.parametrize(
    "case",
    [c if c in DEFAULT_CASES else pytest.param(c, marks=pytest.mark.slow) for c in CASES],
)
def test_the_estimate_is_within_a_factor_of_two_of_what_is_taken(measured, case):
    estimate, taken = measured[case]
    assert taken > 50e6, "too small to tell"
    assert 0.5 * taken < estimate < 2.0 * taken


def need(width=64, n_seeds=1, batch=32, regularizers=None, optim=Adam(1e-3), **schedule):  # noqa: B008
    parts = {"network": Mlp(4, width, 3), "optim": optim, "seeds": range(n_seeds)}
    config = small_config(None, regularizers, batch_size=batch, **parts, **schedule)
    return memory.estimate(config, config.data.open(CPU))


def test_the_state_is_the_formula():
    d = 2 * 64 + 64 + 2 * (64 * 64 + 64) + 64 + 1
    g = 4 * 64 + 64 + 2 * (64 * 64 + 64) + 2 * 64 + 2
    for n_moments, optim in enumerate((Sgd(1e-3), RmsProp(1e-3), Adam(1e-3))):
        snapshot = (1 + n_moments) * (d + g) + g
        assert need(optim=optim).state == 4 * (4 * snapshot + d + g)


def test_what_grows_with_what():
    small = need()
    assert need(n_seeds=7).state == 7 * small.state
    assert need(n_seeds=7).update == 7 * small.update
    assert need(batch=64).state == small.state
    assert need(batch=64).update > 1.5 * small.update
    penalty = load_regularizers("gradient_penalty")
    assert need(regularizers=penalty).update > 1.5 * small.update
    assert need(warmup_steps=1).update > small.update  # fakes of eight updates at once
    assert need(warmup_steps=1, warmup_n_critic=8).update == need(warmup_steps=1).update


def test_moments_are_counted():
    optims = (Sgd(1e-3), Sgd(1e-3, momentum=0.5), RmsProp(1e-3), RmsProp(1e-3, momentum=0.5))
    assert list(map(memory.count_moments, (*optims, Adam(1e-3)))) == [0, 1, 1, 2, 2]


def test_meta_networks_cost_no_time_and_no_memory():
    start = time.perf_counter()
    huge = need(width=10**6, n_seeds=10**5)
    assert time.perf_counter() - start < 2.0
    assert huge.total > 10**5 * 4e12


@pytest.mark.parametrize(
    ("keys", "n"),
    [
        (("data=ring",), 512),
        (("data=ring", "evaluator.n=3000"), 3000),
        (("data=digits", "evaluator.n=3000"), 500),  # 256 for validation, 500 held out
        (("data=digits", "data.n_held_out=300", "evaluator.final_n=20000"), 300),
    ],
)
def test_the_evaluator_keeps_the_distances_of_as_many_samples_as_there_are(keys, n):
    choice = run_config(*keys, "device=cpu")
    assert memory.estimate(choice, choice.data.open(CPU)).distances == 24 * n**2


@SAYS_WHAT_IS_TAKEN
def test_the_evaluator_s_estimate_is_what_its_largest_metric_takes():
    n, samples = 2000, torch.randn(2, 2000, 2)
    read = Kernel().prepare(run_config("data=ring").data.open(CPU))
    read(*samples[:, :20])
    Path("/proc/self/clear_refs").write_text("5")
    before = resident("VmRSS")
    read(*samples)
    assert resident("VmHWM") - before == pytest.approx(memory._PAIR * n**2, rel=0.2)


def resident(row):
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith(row))


# What is refused, and what is warned of.

OR = ", or set execution.ignore_memory=true to go on all the same\n"


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        (("network=mlp", "network.width=1000000000"), f"lower network.width{OR}"),
        (("n_seeds=100000", "network.width=4096"), f"lower network.width or n_seeds{OR}"),
        (("data=ring", "trainer.batch_size=1000000000"), f"lower trainer.batch_size{OR}"),
        (("network.width=10000000000",), "set a smaller network.width\n"),
        (("network.width=900000000000",), "set a smaller network.width\n"),
    ],
)
def test_a_run_that_cannot_fit_ends_with_one_line_before_anything_is_written(
    workdir, capsys, keys, said
):
    assert main("train", *keys, "device=cpu") == 2
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert err.startswith("ConfigError: the ")
    assert err.endswith(said)
    assert list(workdir.iterdir()) == []


def test_an_evaluator_that_cannot_fit_is_refused_by_its_own_keys(workdir, capsys, monkeypatch):
    monkeypatch.setattr(memory, "free_bytes", lambda device: int(4.7 * GB))
    keys = ("data=ring", "network.width=8", "evaluator.final_n=20000", "n_seeds=3", "device=cpu")
    assert main("train", *keys) == 2
    said = "9.6 GB), but 4.7 GB are free on cpu; lower evaluator.n or evaluator.final_n"
    assert capsys.readouterr().err.endswith(said + OR)
    assert list(workdir.iterdir()) == []


@pytest.mark.parametrize("ignored", [False, True])
def test_more_than_is_free_is_warned_of_and_more_than_twice_refused(monkeypatch, ignored):
    keys = ("data=ring", "network.width=64", "device=cpu", f"execution.ignore_memory={ignored}")
    choice = run_config(*keys)
    source = choice.data.open(CPU)
    needs = memory.estimate(choice, source).total
    half = -(-needs // 2)
    for free in (None, needs, needs - 1, half, half - 1):  # None: where nobody says
        monkeypatch.setattr(memory, "free_bytes", lambda device, free=free: free)
        fits = free is None or free >= needs
        may_begin = ignored or free is None or free >= half
        refusal = pytest.raises(ConfigError, match="the run needs about")
        with contextlib.nullcontext() if may_begin else refusal:
            validate(choice, source)
        assert len(warnings(choice, source)) == (not fits)
        assert warnings(choice, source, here=False) == warnings(choice) == []


def test_each_process_of_a_machine_takes_its_part_of_what_is_free(monkeypatch):
    choice = run_config("data=ring", "network.width=64", "device=cpu")
    source = choice.data.open(CPU)
    needs = memory.estimate(choice, source).total
    monkeypatch.setattr(memory, "free_bytes", lambda device: 3 * needs)
    for n, is_short in ((3, False), (4, True)):
        world = World(0, n, 0, n)
        assert bool(warnings(replace(choice, world=world), source)) == is_short


def test_a_run_that_is_short_of_memory_is_warned_of_and_trains(workdir, capsys, monkeypatch):
    monkeypatch.setattr(memory, "free_bytes", lambda device: 1 << 10)
    assert main("train", *RING, "trainer.steps=1") == 2
    assert capsys.readouterr().err.endswith(OR)
    assert list(workdir.iterdir()) == []
    assert main("train", *RING, "trainer.steps=1", "execution.ignore_memory=true") == 0
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("warning: the run needs about")
    assert "less than 1 MB are free on cpu; lower" in line


# What is free.


def test_this_machine_says_what_is_free():
    free = free_memory.free_bytes(CPU)
    if Path("/proc/meminfo").exists():
        rows = dict(line.split(":") for line in Path("/proc/meminfo").read_text().splitlines())
        assert 0 < free <= 1024 * int(rows["MemTotal"].split()[0])


def test_available_memory_is_read_and_a_system_without_it_has_pages(tmp_path):
    file = tmp_path / "meminfo"
    file.write_text("MemTotal:  16 kB\nMemFree:  2 kB\nMemAvailable:   5 kB\n")
    assert free_memory._available_memory(file) == 5 * 1024
    expected = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    assert free_memory._available_memory(tmp_path / "none") == expected


@pytest.mark.parametrize("own", ["0::/\n", "0::/job/step\n", "3:memory:/job/step\n", ""])
@pytest.mark.parametrize("names", [2, 1])
def test_a_control_groups_limit_counts_with_its_cache_dropped(tmp_path, own, names):
    me = tmp_path / "cgroup"
    me.write_text(own)
    folder = tmp_path / "fs" / ("job/step" if "job" in own else "")
    folder.mkdir(parents=True)
    assert free_memory._cgroup_memory(tmp_path / "fs", me) is None
    limit, usage, cache = {
        2: ("memory.max", "memory.current", "inactive_file"),
        1: ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
    }[names]
    (folder / limit).write_text(f"{8 * GB}\n")
    (folder / usage).write_text(f"{5 * GB}\n")
    (folder / "memory.stat").write_text(f"anon 7\n{cache} {GB}\nactive_file 3\n")
    assert free_memory._cgroup_memory(tmp_path / "fs", me) == 4 * GB
    (folder / limit).write_text("max\n")
    assert free_memory._cgroup_memory(tmp_path / "fs", me) is None
