"""Run directories written by hand: what a run leaves behind, with numbers that a test knows."""

import json

import numpy as np
import yaml

CONFIG = {
    "data": {"_target_": "gan_lab.data.toy.Ring", "n_modes": 8},
    "network": {"_target_": "gan_lab.networks.mlp.Mlp", "width": 64},
    "loss": {"_target_": "gan_lab.losses.Minimax"},
    "optim": {"_target_": "gan_lab.engine.optimizers.Adam", "lr": 0.001},
    "trainer": {"_target_": "gan_lab.training.config.TrainerSettings", "steps": 100, "n_critic": 1},
    "evaluator": {"_target_": "gan_lab.metrics.evaluator.EvaluatorSettings", "every": 10, "n": 256},
    "regularizer": {},
    "seed": 0,
    "n_seeds": 1,
    "device": "cpu",
    "hints": {"width": 64},
}
PENALTY = {"_target_": "gan_lab.regularizers.GradientPenalty", "weight": 0.1}
WGAN = {
    "loss": {"_target_": "gan_lab.losses.Wasserstein"},
    "regularizer": {"gradient_penalty": PENALTY},
    "trainer": {**CONFIG["trainer"], "n_critic": 3},
}
TAG = "divergence/wasserstein"


def estimate(value, floor=0.1):
    ends = {"low": value - 0.01, "high": value + 0.01}
    return {"value": value, "unit": "data units", "n": 500, **ends, "floor": floor}


def run(path, seed=0, values=None, steps=None, state="done", final=None, **changes):
    """A run directory: W1 at steps 0, 10, ... 100, clocks, a status and a config."""
    config = {**CONFIG, **changes, "seed": seed}
    total = config["trainer"]["steps"]
    steps = list(range(0, total + 1, 10)) if steps is None else list(steps)
    values = [1.0 / (1 + s) for s in steps] if values is None else list(values)
    path.mkdir(parents=True)
    (path / "config.yaml").write_text(yaml.safe_dump(config))
    n_critic = config["trainer"]["n_critic"]
    rows = []
    for step, value in zip(steps, values, strict=True):
        number = value if np.isfinite(value) else str(float(value))
        row = {"step": step, "seed": seed, TAG: number, f"{TAG}_floor": 0.15, "loss/generator": 1.0}
        clocks = {
            "clock/discriminator_steps": n_critic * step,
            "clock/generator_steps": step,
            "clock/gradient_evaluations": (n_critic + 1) * step,
            "clock/images": n_critic * step * 256,
            "time/train_seconds": 0.01 * step * n_critic,
        }
        rows.append(json.dumps({**row, **(clocks if step else {})}))
    (path / "metrics.jsonl").write_text("\n".join(rows) + "\n")
    status = {"state": state, "seeds": [seed], "step": steps[-1] if steps else 0, "steps": total}
    if state == "done":
        status["final"] = {TAG: estimate(values[-1] if final is None else final)}
    if state == "diverged":
        status["error"] = "the discriminator loss is nan"
    (path / "status.json").write_text(json.dumps(status))
    return path


def two_groups(home, n_seeds=5, rng=None):
    """Minimax near 1 and WGAN-GP near .5, noise .05."""
    rng = rng or np.random.default_rng(0)
    finals = {"minimax": [], "wgan": []}
    for seed in range(n_seeds):
        for name, level, changes in (("minimax", 1.0, {}), ("wgan", 0.5, WGAN)):
            values = level + np.linspace(1, 0, 11) + 0.05 * rng.normal(size=11)
            run(home / f"{name}_seed_{seed}", seed, values, **changes)
            finals[name].append(float(values[-1]))
    return finals
