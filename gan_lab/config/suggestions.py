"""Hints for unknown keys and choices, without torch and Hydra."""

import difflib
from collections.abc import Iterable, Mapping, Sequence

from gan_lab.config.catalogue import SHORT_NAMES, choices
from gan_lab.runs.compatibility import current_key

# What to type -> what people type instead. A command offers what it has a key for.
_KEYS = {
    "n_seeds=5": "seeds n_seed num_seeds",
    "-m 'seed=range(5)'": "seeds n_seed num_seeds",
    "seed": "random_seed manual_seed manualseed",
    "steps": "epochs n_epochs iterations iters n_iter n_steps max_steps",
    "lr": "learning_rate learningrate rate",
    "batch_size": "batch batchsize bs",
    "n_critic": "critic_iters disc_iters d_steps n_dis n_disc",
    "device=cuda": "gpu gpus cuda use_gpu",
    "data": "dataset datasets",
    "network": "model arch architecture",
    "network.width": "width depth",
    "network.latent_dim": "latent_dim latent nz z_dim",
    "optim": "optimizer optimiser opt",
    "loss": "criterion objective gan",
    "regularizer": "penalty gp",
    "logger": "log loggers logging tracker",
    "output": "hydra.run.dir hydra.sweep.dir dir out outdir out_dir output_dir",
    "quick=true": "fast small",
    "n": "num_samples n_samples",
    "step": "checkpoint ckpt",
    "format=json": "json",
}
_CHOICES = {
    "loss": {
        "non_saturating": "gan vanilla standard bce js ns nsgan",
        "minimax": "gan vanilla standard bce js",
        "wasserstein": "wgan wgan_gp wgangp w emd",
        "wasserstein_clip": "wgan_clip wgan_clipping",
        "least_squares": "lsgan ls mse l2",
        "relativistic": "rgan rpgan r3gan ragan",
        "hinge": "sngan geometric",
    },
    "regularizer": {
        "gradient_penalty": "gp wgan_gp lp",
        "weight_clipping": "clip clipping weight_clip",
        "spectral_norm": "sn spectral",
        "instance_noise": "noise",
        "none": "no off false",
    },
    "network": {"conv": "cnn convolutional"},
    "data": {
        "ring": "gaussians 8gaussians mixture",
        "grid": "25gaussians gaussian_grid",
        "image_folder": "images folder",
        "array": "csv npy points",
        "two_moons": "moons",
    },
    "metrics": {"wasserstein": "w1 emd", "kernel": "mmd energy kid"},
    "logger": {"jsonl": "json", "tensorboard": "tb tensorboardx", "trackio": "wandb"},
}


def suggestion(key: str, names: Iterable[str], path: str = "") -> str:
    """Return how the refusal of the key `path.key` ends: the nearest of its names, or all."""
    names = [name for name in names if name != "_target_"]
    near = names + [short for short, long in SHORT_NAMES.items() if long in names]
    prefix = f"{path}." if path else ""
    current = current_key(prefix + key)
    if current != prefix + key and (path or current.partition(".")[0] in names):
        return _did_you_mean([current])
    same = [h for h in _matches(key, _KEYS) if h.removeprefix("-m '").partition("=")[0] in near]
    if hints := same or difflib.get_close_matches(key.lower(), near, n=1):
        return _did_you_mean([prefix + hint for hint in hints])
    if not names:
        return f"; {path} has no keys"
    first_level = [name for name in names if "." not in name] or names
    return f"; known are {', '.join(prefix + name for name in sorted(first_level))}"


def unknown_choice(group: str, choice: str) -> str:
    """Return the refusal of a choice that a group does not have."""
    names = choices(group)
    word = choice.lower().replace("-", "_")
    close = _matches(word, _CHOICES.get(group, {})) or [name for name in names if name == word]
    close = close or [name for name in names if len(word) > 2 and name.startswith(word)]
    close = close or difflib.get_close_matches(word, names, n=1)
    hint = _did_you_mean(close[:2]) if close else ""
    return f"{group}={choice} is unknown; take one of {', '.join(names)}{hint}"


def _matches(word: str, table: Mapping[str, str]) -> list[str]:
    return [name for name, words in table.items() if word.lower() in words.split()]


def _did_you_mean(hints: Sequence[str]) -> str:
    words = [hint if "'" in hint else f"'{hint}'" for hint in hints]
    return f"; did you mean {' or '.join(words)}?"
