"""Names of groups as a person says them: "WGAN-GP, penalty 1", not a list of dotted keys."""

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from gan_lab.reports.analysis.run_config import loss, regularizers

_LOSSES = {
    "non_saturating": "non-saturating",
    "wasserstein": "WGAN",
    "relativistic_pairing": "relativistic",
}
_REGULARIZERS = {"r1": "R1", "r2": "R2", "dragan": "DRAGAN"}
# Key -> its phrase; of other keys the last part and the value are said.
_PHRASES = {
    "regularizer.gradient_penalty.weight": "penalty {}",
    "regularizer.gradient_penalty.every": "GP every {}",
    "optim.discriminator_lr": "discriminator lr {}",
    "trainer.n_critic": "n_critic {}",
    "trainer.steps": "{} steps",
    "trainer.batch_size": "batch {}",
    "data.n_modes": "{} modes",
    "evaluator.n": "measured on {} samples",
}
_IN_METHOD_NAME = re.compile(
    r"(data|loss|regularizer\.\w+)\._target_|regularizer\.weight_clipping\.bound"
    r"|regularizer\.gradient_penalty\.one_sided|fork\..*"
)


def method_name(config: Mapping[str, Any]) -> str:
    """Return the name of a flat configuration's loss and regularizers.

    Wasserstein with a gradient penalty is "WGAN-GP" (arXiv:1704.00028), one-sided "WGAN-LP"
    (arXiv:1709.08894), with clipped weights "WGAN clip 0.01" (arXiv:1701.07875).
    """
    name = loss(config)
    first, others = _LOSSES.get(name, name.replace("_", " ")), regularizers(config)
    if name == "wasserstein":
        if "gradient_penalty" in others:
            others.remove("gradient_penalty")
            one_sided = config.get("regularizer.gradient_penalty.one_sided")
            first = "WGAN-LP" if one_sided else "WGAN-GP"
        elif "weight_clipping" in others:
            others.remove("weight_clipping")
            bound = config.get("regularizer.weight_clipping.bound", "")
            first = f"WGAN clip {value_text(bound)}".rstrip()
        elif not others:
            first = "WGAN without constraint"
    return " + ".join([first, *map(_regularizer, others)])


def group_name(config: Mapping[str, Any]) -> str:
    """Return the method's name, and of a fork where it comes from."""
    name = method_name(config)
    if "fork.step" not in config:
        return name
    return f"{name}, from {config['fork.of']} at step {config['fork.step']:g}"


def phrase(key: str, value: Any) -> str:
    """Return a key's value as a person says it: "lr 0.0001", "200 steps", "dcgan"."""
    text = value_text(value)
    if key in _PHRASES:
        return _PHRASES[key].format(text)
    if key.endswith("._target_"):
        return text.lower()
    return f"{key_name(key)} {text}"


def key_name(key: str) -> str:
    """Return what a dotted key is called beside its value: its last part, or what it chooses."""
    if key == "trainer.n_critic":
        return "n_critic"
    last = key.removesuffix("._target_").rpartition(".")[2].replace("_", " ")
    if match := re.fullmatch(r"regularizer\.(\w+)\.\w+", key):
        return f"{_regularizer(match[1])} {last}"
    return last


def value_text(value: Any) -> str:
    """Return a value of a configuration as text; a class without its module."""
    if isinstance(value, str) and "gan_lab." in value:
        return value.rpartition(".")[2]
    if isinstance(value, int | float) and not isinstance(value, bool):
        return f"{value:g}"
    return str(value)


def differing_keys(configs: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the keys whose values are not the same in all configurations."""
    keys = {key: None for config in configs for key in config}
    return [k for k in keys if len({repr(config.get(k)) for config in configs}) > 1]


def distinct_names(
    configs: Sequence[Mapping[str, Any]], short_name: Callable[[Mapping[str, Any]], str]
) -> list[str]:
    """Return a short name each, with just those differing keys that keep names apart."""
    names = [short_name(config) for config in configs]
    in_name = {key for config in configs for key in config if _IN_METHOD_NAME.fullmatch(key)}
    used = [set(in_name) for _ in configs]
    while True:
        again = [name for name, count in Counter(names).items() if count > 1]
        if not again:
            return names
        same = [i for i, name in enumerate(names) if name == again[0]]
        alike = [configs[i] for i in same]
        # The key that separates most of them; of several the first.
        free = [key for key in differing_keys(alike) if key not in used[same[0]]]
        if not free:  # values that read the same
            return [f"{name} ({i})" for i, name in enumerate(names)]
        key = max(free, key=lambda k: len({repr(c.get(k)) for c in alike}))
        for i in same:
            names[i] += f", {phrase(key, configs[i].get(key, 'none'))}"
            used[i].add(key)


def enumeration(names: Sequence[str]) -> str:
    """Return "a, b and c"; with semicolons where a name has a comma itself."""
    *firsts, last = names
    if not firsts:
        return last
    if any("," in name for name in names):
        return f"{'; '.join(firsts)}; and {last}"
    return f"{', '.join(firsts)} and {last}"


def _regularizer(name: str) -> str:
    return _REGULARIZERS.get(name, name.replace("_", " "))
