"""What needs a CUDA device: the same game on both devices, a run, and its resumption."""

import pytest
import torch

from gan_lab import config
from gan_lab.cli import main
from gan_lab.recording import read_metrics
from gan_lab.run_dir import RunDir
from gan_lab.step import train_step
from gan_lab.streams import Draws, StepDraws

pytestmark = pytest.mark.gpu
TINY = ["data=ring", "network.width=16", "trainer.batch_size=32", "estimator.n=64"]


def moved(draws, device):
    return StepDraws(
        *(
            Draws(
                p.real.to(device),
                p.z.to(device),
                p.mix.to(device),
                {name: noise.to(device) for name, noise in p.noise.items()},
            )
            for p in draws
        )
    )


@pytest.mark.parametrize("loss", ["minimax", "non_saturating", "wasserstein", "relativistic"])
@pytest.mark.parametrize("n_seeds", [1, 3])
def test_cpu_and_gpu_take_the_same_steps_from_the_same_draws(loss, n_seeds):
    runs = [
        config.setup_of(
            config.composed("train", [*TINY, f"loss={loss}", f"n_seeds={n_seeds}", f"device={d}"])
        ).open()
        for d in ("cpu", "cuda")
    ]
    for step in range(3):
        draws = runs[0].streams.draws(step)
        values = [
            train_step(run.state, moved(draws, run.source.device), run.gradients, 0.99)[0]
            for run in runs
        ]
        for tag, value in values[0].items():
            torch.testing.assert_close(values[1][tag].cpu(), value, rtol=1e-3, atol=1e-5)
    for name, leaf in runs[0].state.average.items():
        torch.testing.assert_close(runs[1].state.average[name].cpu(), leaf, rtol=1e-3, atol=1e-4)


def test_a_run_on_the_gpu_resumes_from_its_checkpoint(tmp_path):
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    keys = [*TINY, "device=cuda", "trainer.log_every=10"]
    assert main(["train", *keys, "trainer.steps=60", f"hydra.run.dir={whole}"]) == 0
    assert main(["train", *keys, "trainer.steps=30", f"hydra.run.dir={parts}"]) == 0
    assert main(["resume", str(parts), "trainer.steps=60"]) == 0
    last = [read_metrics(RunDir(path).metrics)[-1] for path in (whole, parts)]
    for tag in ("loss/discriminator", "divergence/wasserstein"):
        assert last[1][tag] == pytest.approx(last[0][tag], rel=1e-4)
