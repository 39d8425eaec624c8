"""Hints for unknown keys and choices, without torch and Hydra."""

import difflib
from collections.abc import Iterable, Mapping, Sequence

from gan_lab.config.catalogue import SHORT_NAMES
from gan_lab.runs.old_names import current_key

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
    "network": {"dcgan": "cnn conv convolutional"},
    "data": {
        "ring": "gaussians 8gaussians mixture",
        "grid": "25gaussians gaussian_grid",
        "image_folder": "images folder",
        "array": "csv npy points",
        "two_moons": "moons",
    },
    "metrics": {"wasserstein": "w1 emd", "kernel": "mmd energy kid"},
}


def suggestion(key: str, names: Iterable[str], path: str = "") -> str:
    """Return how the refusal of an unknown key ends: the nearest known key, or all of them.

    Args:
        key: As it was typed, without `path.`.
        names: The keys of that place.
        path: The dotted place, with nothing for the first level.
    """
    names = [name for name in names if name != "_target_"]
    near = names + [short for short, long in SHORT_NAMES.items() if long in names]
    prefix = f"{path}." if path else ""
    current = current_key(prefix + key)
    if current != prefix + key and (path or current.partition(".")[0] in names):
        return _did_you_mean([current])
    hints = [
        prefix + hint
        for hint in _matches(key, _KEYS)
        if hint.removeprefix("-m '").partition("=")[0] in near
    ]
    if not hints:
        hints = [prefix + name for name in difflib.get_close_matches(key.lower(), near, n=1)]
    if hints:
        return _did_you_mean(hints)
    first_level = [name for name in names if "." not in name] or names
    return f"; known are {', '.join(prefix + name for name in sorted(first_level))}"


def unknown_choice(group: str, choice: str, choices: Sequence[str]) -> str:
    """Return the refusal of a choice that a group does not have."""
    word = choice.lower().replace("-", "_")
    close = _matches(word, _CHOICES.get(group, {})) or [name for name in choices if name == word]
    close = close or [name for name in choices if len(word) > 2 and name.startswith(word)]
    close = close or difflib.get_close_matches(word, choices, n=1)
    hint = _did_you_mean(close[:2]) if close else ""
    return f"{group}={choice} is unknown; take one of {', '.join(choices)}{hint}"


def _matches(word: str, table: Mapping[str, str]) -> list[str]:
    return [name for name, words in table.items() if word.lower() in words.split()]


def dashes(word: str, names: Iterable[str], after: str = "") -> str:
    """Return what to type for `--seed 3` or `--seed=3`; nothing where that is no key."""
    name, _, value = word.lstrip("-").partition("=")
    value = value or ("" if after.startswith("-") or "=" in after else after)
    if name.replace("-", "_") not in names:
        return ""
    return f"; keys have no dashes: say {name.replace('-', '_')}={value or '...'}"


def _did_you_mean(hints: Sequence[str]) -> str:
    words = [hint if "'" in hint else f"'{hint}'" for hint in hints]
    return f"; did you mean {' or '.join(words)}?"
