"""What was probably meant by an unknown key or choice: needs neither torch nor Hydra."""

import difflib
from collections.abc import Iterable, Sequence

from gan_lab.config.catalogue import SHORT_NAMES
from gan_lab.runs.old_names import current_key

# Natural mistakes -> what to type, of which a command offers those whose key it has.
_KEYS: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(("seeds", "n_seed", "num_seeds"), ("n_seeds=5", "-m 'seed=range(5)'")),
    **dict.fromkeys(("random_seed", "manual_seed", "manualseed"), ("seed",)),
    **dict.fromkeys(
        ("epochs", "n_epochs", "iterations", "iters", "n_iter", "n_steps", "max_steps"),
        ("steps",),
    ),
    **dict.fromkeys(("learning_rate", "learningrate", "rate"), ("lr",)),
    **dict.fromkeys(("batch", "batchsize", "bs"), ("batch_size",)),
    **dict.fromkeys(
        ("critic_iters", "disc_iters", "d_steps", "n_dis", "n_disc"),
        ("n_critic",),
    ),
    **dict.fromkeys(("gpu", "cuda", "use_gpu", "gpus"), ("device=cuda",)),
    **dict.fromkeys(("dataset", "datasets"), ("data",)),
    **dict.fromkeys(("model", "arch", "architecture"), ("network",)),
    **dict.fromkeys(("optimizer", "optimiser", "opt"), ("optim",)),
    **dict.fromkeys(("criterion", "objective", "gan"), ("loss",)),
    **dict.fromkeys(("penalty", "gp"), ("regularizer",)),
    **dict.fromkeys(("width", "depth"), ("network.width",)),
    **dict.fromkeys(("nz", "z_dim", "latent", "latent_dim"), ("network.latent_dim",)),
    **dict.fromkeys(
        ("hydra.run.dir", "hydra.sweep.dir", "dir", "out", "outdir", "out_dir", "output_dir"),
        ("output",),
    ),
    **dict.fromkeys(("fast", "small"), ("quick=true",)),
    **dict.fromkeys(("num_samples", "n_samples"), ("n",)),
    **dict.fromkeys(("checkpoint", "ckpt"), ("step",)),
    "json": ("format=json",),
}
_CHOICES: dict[str, dict[str, tuple[str, ...]]] = {
    "loss": {
        **dict.fromkeys(("gan", "vanilla", "standard", "bce", "js"), ("non_saturating", "minimax")),
        **dict.fromkeys(("ns", "nsgan"), ("non_saturating",)),
        **dict.fromkeys(("wgan", "wgan_gp", "wgangp", "w", "emd"), ("wasserstein",)),
        **dict.fromkeys(("wgan_clip", "wgan_clipping"), ("wasserstein_clip",)),
        **dict.fromkeys(("lsgan", "ls", "mse", "l2"), ("least_squares",)),
        **dict.fromkeys(("rgan", "rpgan", "r3gan", "ragan"), ("relativistic",)),
        **dict.fromkeys(("sngan", "geometric"), ("hinge",)),
    },
    "regularizer": {
        **dict.fromkeys(("gp", "wgan_gp", "lp"), ("gradient_penalty",)),
        **dict.fromkeys(("clip", "clipping", "weight_clip"), ("weight_clipping",)),
        **dict.fromkeys(("sn", "spectral"), ("spectral_norm",)),
        **dict.fromkeys(("no", "off", "false"), ("none",)),
        "noise": ("instance_noise",),
    },
    "network": dict.fromkeys(("cnn", "conv", "convolutional"), ("dcgan",)),
    "data": {
        **dict.fromkeys(("gaussians", "8gaussians", "mixture"), ("ring",)),
        **dict.fromkeys(("25gaussians", "gaussian_grid"), ("grid",)),
        **dict.fromkeys(("images", "folder"), ("image_folder",)),
        **dict.fromkeys(("csv", "npy", "points"), ("array",)),
        "moons": ("two_moons",),
    },
    "metrics": {
        **dict.fromkeys(("w1", "emd"), ("wasserstein",)),
        **dict.fromkeys(("mmd", "energy", "kid"), ("kernel",)),
    },
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
    if hints := _natural(prefix + key, near) or [prefix + hint for hint in _natural(key, near)]:
        return _did_you_mean(hints)
    if close := difflib.get_close_matches(key.lower(), near, n=1):
        return _did_you_mean([prefix + close[0]])
    first_level = [name for name in names if "." not in name] or names
    return f"; known are {', '.join(prefix + name for name in sorted(first_level))}"


def _natural(key: str, names: Sequence[str]) -> list[str]:
    """Return what the tables say of a key: its name of today, or the command's word for it."""
    if (current := current_key(key)) != key:
        return [current]
    hints = _KEYS.get(key.lower().replace("-", "_"), ())
    return [hint for hint in hints if hint.removeprefix("-m '").partition("=")[0] in names]


def unknown_choice(group: str, choice: str, choices: Sequence[str]) -> str:
    """Return the refusal of a choice that a group does not have."""
    word = choice.lower().replace("-", "_")
    close = _CHOICES.get(group, {}).get(word) or [name for name in choices if name == word]
    close = close or [name for name in choices if len(word) > 2 and name.startswith(word)]
    close = close or difflib.get_close_matches(word, choices, n=1)
    hint = _did_you_mean(close[:2]) if close else ""
    return f"{group}={choice} is unknown; take one of {', '.join(choices)}{hint}"


def dashes(word: str, names: Iterable[str], after: str = "") -> str:
    """Return what to type for `--seed 3` or `--seed=3`; nothing where that is no key."""
    name, _, value = word.lstrip("-").partition("=")
    value = value or ("" if after.startswith("-") or "=" in after else after)
    if name.replace("-", "_") not in names:
        return ""
    return f"; keys have no dashes: say {name.replace('-', '_')}={value or '...'}"


def _did_you_mean(hints: Sequence[str]) -> str:
    return f"; did you mean {' or '.join(map(_quote, hints))}?"


def _quote(hint: str) -> str:
    return hint if "'" in hint else f"'{hint}'"
