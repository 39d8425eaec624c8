"""From typed keys to a RunConfig: compose, resolve, construct; the constructors are the schema."""

import inspect
import math
import re
import types
import typing
from collections.abc import Mapping, Sequence
from dataclasses import is_dataclass
from typing import Any

from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException, OverrideParseException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import MissingMandatoryValue, OmegaConfBaseException

from gan_lab.config import resolvers
from gan_lab.config.catalogue import config_dir
from gan_lab.config.image_data import with_image_array
from gan_lab.config.suggestions import suggestion, unknown_choice
from gan_lab.data.base import Data
from gan_lab.engine.devices import resolve_device
from gan_lab.engine.execution import Execution
from gan_lab.engine.optimizers import Optimizer
from gan_lab.errors import ConfigError
from gan_lab.loggers.base import RUN_ARGUMENTS, Logger, LoggerFactory
from gan_lab.loggers.jsonl import JsonlLogger
from gan_lab.loggers.run_logger import DEFAULT_LOGGERS
from gan_lab.losses.base import AdversarialLoss
from gan_lab.metrics.evaluator import EvaluatorSettings
from gan_lab.metrics.metrics import Metric
from gan_lab.metrics.neural_distance import NeuralDistance
from gan_lab.networks.base import NetworkPair
from gan_lab.regularizers.base import Regularizer
from gan_lab.runs import imports
from gan_lab.training.config import RunConfig, TrainerSettings

resolvers.register()

_NODES: dict[str, type] = {
    "data": Data,
    "network": NetworkPair,
    "loss": AdversarialLoss,
    "optim": Optimizer,
    "trainer": TrainerSettings,
    "evaluator": EvaluatorSettings,
    "neural_distance": NeuralDistance,
    "execution": Execution,
}
_OTHER_KEYS = ("regularizer", "metrics", "logger", "hints", "seed", "n_seeds", "device")
_HINTS = (
    *("width", "latent_dim", "learning_rate", "n_critic", "batch_size", "penalty_weight"),
    *("penalty_every", "ema", "steps", "n_estimate", "presets"),
)
_NO_USE = re.compile(r"[+~]*hydra[./](?!run\.dir=|sweep\.(sub)?dir=|(launcher|sweeper)\b)")
_KINDS = {int: "whole number", float: "number", bool: "true or false", str: "text", tuple: "list"}
_KINDS |= {type(None): "null"}


def compose_config(name: str, overrides: Sequence[str]) -> DictConfig:
    """Return what Hydra makes of a primary config and overrides, without Hydra's node.

    A training gets the preset of its data and loss, see `with_preset`, and the defaults of images
    where its array holds images, see `with_image_array`.

    Raises:
        ConfigError: Hydra refuses, in one line and with a suggestion where a key is misspelt.
    """
    words = with_image_array(overrides) if name == "train" else list(overrides)
    cfg = _compose(name, words)
    if name == "train" and (recipe := _recipe(cfg, words)):
        cfg = _compose(name, words, *recipe)
    return cfg


def with_preset(overrides: Sequence[str]) -> list[str]:
    """Return the overrides of a training with the preset of its data and loss, where it has one.

    `hints.presets` of a data file names the recipe that was tuned for a loss on these data and
    the network that the file chooses; a typed preset or network leaves it out, and every other
    typed key wins over it.
    """
    words = with_image_array(overrides)
    return [*words, *_recipe(_compose("train", words), words)]


def _recipe(cfg: DictConfig, overrides: Sequence[str]) -> list[str]:
    """Return the preset of what was composed last; nothing where there is none.

    What it says of its own optimizer and regularizers goes where others are typed.
    """
    keys = {override.split("=")[0].lstrip("+~") for override in overrides}
    loss = str(HydraConfig.get().runtime.choices.get("loss"))
    hints = cfg.get("hints") or {}
    if not isinstance(hints, DictConfig | dict):
        raise ConfigError(f"hints={hints!r} is no table of keys; type those, say hints.width=64")
    presets = hints.get("presets") or {}
    if not isinstance(presets, DictConfig | dict):
        raise ConfigError(f"hints.presets={presets!r} is no table of losses and their presets")
    if loss not in presets or keys & {"preset", "network"}:
        return []
    recipe = [f"preset={presets[loss]}"]
    groups = [group for group in ("optim", "regularizer") if group in keys]
    if groups:
        whole = _compose("train", overrides, *recipe)
        for group in groups:
            own = cfg.get(group) or {}
            recipe += [f"~{group}.{key}" for key in whole.get(group) or {} if key not in own]
    return recipe


def _compose(name: str, overrides: Sequence[str], *not_typed: str) -> DictConfig:
    if key := next(filter(_NO_USE.match, overrides), None):
        raise ConfigError(
            f"{key} is of no use: a sweep is -m, and of Hydra's own keys hydra.run.dir, "
            "hydra.sweep.*, hydra.launcher.* and hydra.sweeper.* are taken"
        )
    GlobalHydra.instance().clear()
    try:
        with initialize_config_dir(str(config_dir()), version_base="1.3", job_name=name):
            cfg = compose(name, [*overrides, *not_typed], return_hydra_config=True)
            own = [each for each in overrides if not each.lstrip("+~").startswith("hydra")]
            cfg.hydra.overrides.task = own  # as Hydra sorts them, without what was not typed
            for group, choice in cfg.hydra.runtime.choices.items():
                if isinstance(choice, str) and not re.fullmatch(r"[\w\[\], ']*", choice):
                    raise ConfigError(unknown_choice(str(group), choice))
            HydraConfig.instance().set_config(cfg)
            OmegaConf.set_struct(cfg, False)
            cfg.pop("hydra")
            if name == "train":  # logger=[] names no file, and else leaves no key
                cfg.setdefault("logger", {})
            return cfg
    except (HydraException, OmegaConfBaseException, ValueError) as error:
        raise ConfigError(_explain(name, overrides, error)) from error


def resolve(cfg: DictConfig | Mapping[str, Any]) -> dict[str, Any]:
    """Return a configuration as plain containers, every interpolation filled in.

    Raises:
        ConfigError: An interpolation leads nowhere, or a key has no value.
    """
    try:
        node = cfg if isinstance(cfg, DictConfig) else OmegaConf.create(dict(cfg))
        config = OmegaConf.to_container(node, resolve=True, throw_on_missing=True)
    except OmegaConfBaseException as error:
        raise ConfigError(_unset(error)) from error
    assert isinstance(config, dict)
    return {str(key): value for key, value in config.items()}


def build_run_config(cfg: DictConfig | Mapping[str, Any]) -> RunConfig:
    """Build and check every part that a configuration names; read no data, allocate nothing.

    Raises:
        ConfigError: The first thing that is wrong, by its key.
    """
    plain = resolve(cfg)
    _check_keys(plain, [*_NODES, *_OTHER_KEYS])
    _check_keys(plain.get("hints") or {}, _HINTS, "hints")
    parts = {key: construct(plain.get(key), key, base) for key, base in _NODES.items()}
    device = str(plain.get("device"))
    resolve_device(device)
    return RunConfig(
        **parts,
        regularizers=_construct_group(plain, "regularizer", Regularizer, "[r1]"),
        metrics=_construct_group(plain, "metrics", Metric, "[wasserstein]"),
        loggers=_construct_loggers(plain),
        device=device,
        seeds=_seeds(plain.get("seed"), plain.get("n_seeds")),
        resolved=plain,
    )


def _construct_group(
    config: Mapping[str, Any], group: str, base: type, example: str
) -> dict[str, Any]:
    nodes = _nodes(config, group, example)
    return {name: construct(node, f"{group}.{name}", base) for name, node in nodes.items()}


def _construct_loggers(config: Mapping[str, Any]) -> Sequence[LoggerFactory]:
    """Return the loggers, each without the arguments that only a run has."""
    if "logger" not in config:  # a run of before there was a choice
        return DEFAULT_LOGGERS
    nodes = _nodes(config, "logger", "[jsonl,tensorboard]")
    loggers = tuple(
        LoggerFactory(*_class_and_arguments(node, f"logger.{name}", Logger, RUN_ARGUMENTS))
        for name, node in nodes.items()
    )
    if not any(issubclass(each.cls, JsonlLogger) for each in loggers):
        raise ConfigError(
            f"logger=[{','.join(nodes)}] lacks jsonl, whose files resume, compare and the "
            f"detectors read; say 'logger=[{','.join(['jsonl', *nodes])}]'"
        )
    return loggers


def _nodes(config: Mapping[str, Any], group: str, example: str) -> dict[str, Any]:
    nodes = config.get(group) or {}
    if not isinstance(nodes, dict):
        raise ConfigError(f"{group}={nodes!r} is no list of names; say '{group}={example}'")
    return nodes


def construct(node: Any, path: str, base: type) -> Any:
    """Build the class that a node's `_target_` names, with its other keys as arguments.

    Raises:
        ConfigError: No such class, not a kind of `base`, an unknown or missing key, a value of the
            wrong type, or one that the constructor refuses.
    """
    cls, arguments = _class_and_arguments(node, path, base)
    try:
        return cls(**arguments)
    except (ValueError, TypeError) as error:
        # The class says `Adam.lr=-1 ...`; the user typed `optim.lr=-1`.
        raise ConfigError(re.sub(r"\b[A-Z]\w*\.(?=\w+=)", _under(path, ""), str(error))) from error


def _class_and_arguments(
    node: Any, path: str, base: type, later: Sequence[str] = ()
) -> tuple[Any, dict[str, Any]]:
    """Return the class of a node and its other keys, checked; `later` ones are no keys."""
    if not isinstance(node, Mapping) or not isinstance(node.get("_target_"), str):
        kind = base.__name__
        raise ConfigError(f"{path} needs a _target_ that names a kind of {kind}, got {node!r}")
    cls: Any = _class(node["_target_"], path, base)
    parameters = {
        name: parameter
        for name, parameter in inspect.signature(cls).parameters.items()
        if name not in later
        and parameter.kind not in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
    }
    try:
        hints = typing.get_type_hints(cls if is_dataclass(cls) else cls.__init__)
    except NameError:  # of an import for type checkers alone
        hints = {}
    values = {key: value for key, value in node.items() if key != "_target_"}
    _check_keys(values, list(parameters), path)
    arguments = {
        key: _convert(value, hints.get(key, Any), _under(path, key))
        for key, value in values.items()
    }
    for key, parameter in parameters.items():
        if parameter.default is inspect.Parameter.empty and key not in arguments:
            name = _under(path, key)
            raise ConfigError(f"{name} is not set; say {name}=...")
    return cls, arguments


def _class(target: str, path: str, base: type) -> type:
    try:
        cls = imports.import_object(target)
    except Exception as error:  # a module of the user's own may raise anything
        is_own = not isinstance(error, ImportError | AttributeError | ValueError | TypeError)
        why = f"{type(error).__name__}: {error}" if is_own else error
        raise ConfigError(f"{path}._target_={target!r} cannot be imported: {why}") from error
    if not (inspect.isclass(cls) and base in cls.__mro__):
        raise ConfigError(f"{path}._target_={target!r} is no {base.__name__}")
    return cls


def _convert(value: Any, annotation: Any, path: str) -> Any:
    """Return the value as its annotation wants it: a list as a tuple, a whole float as a float."""
    value = tuple(value) if isinstance(value, list) else value
    is_union = typing.get_origin(annotation) in (types.UnionType, typing.Union)
    choices = typing.get_args(annotation) if is_union else (annotation,)
    kinds = [typing.get_origin(option) or option for option in choices]
    if any(kind not in (int, float, bool, str, type(None), tuple) for kind in kinds):
        return value  # the constructor checks what is not simple
    fits = type(value) in kinds or (type(value) is int and float in kinds)
    if fits and (not isinstance(value, float) or math.isfinite(value)):
        return value
    problem = "is not finite" if fits else f"is no {' or '.join(_KINDS[k] for k in kinds)}"
    raise ConfigError(f"{path}={_format(value)} {problem}")


def _format(value: Any) -> str:
    return "null" if value is None else repr(value)


def _seeds(seed: Any, n_seeds: Any) -> tuple[int, ...]:
    for name, value, least, limit in (("seed", seed, 0, math.inf), ("n_seeds", n_seeds, 1, 10**6)):
        if isinstance(value, bool) or not isinstance(value, int) or value < least:
            raise ConfigError(f"{name}={_format(value)} is not a whole number >= {least}")
        if value > limit:
            raise ConfigError(f"{name}={value} is more than {limit}, the most")
    return tuple(range(seed, seed + n_seeds))


def _check_keys(node: Mapping[str, Any], names: Sequence[str], path: str = "") -> None:
    for key in node:
        if key not in names:
            raise ConfigError(f"unknown key '{_under(path, key)}'{suggestion(key, names, path)}")


def _under(path: str, key: str) -> str:
    return f"{path}.{key}" if path else key


def _unset(error: Exception) -> str:
    if isinstance(error, MissingMandatoryValue):
        return f"{error.full_key} is not set; say {error.full_key}=..."
    return one_line(error)


def one_line(error: BaseException) -> str:
    """Return the refusal of Hydra or OmegaConf, without the paths it was looking in."""
    if isinstance(error, OverrideParseException):
        return f"cannot read '{error.override}' as key=value; quote what is special: key='a,b'"
    cause = error.__cause__ if isinstance(error.__cause__, OmegaConfBaseException) else None
    text = str(error) if cause is None else f"{error}: {str(cause).splitlines()[0]}"
    return re.sub(r"\s+", " ", text.split("Config search path")[0]).strip()


def _explain(name: str, overrides: Sequence[str], error: Exception) -> str:
    if match := re.search(r"Could not (?:find|load) '(?!hydra/)(\w+)/([^']*)'", str(error)):
        return unknown_choice(match[1], match[2])
    if match := re.search(r"Could not override '([^']+)'", str(error)):
        key = match[1]
        rest = [o for o in overrides if o.split("=")[0].lstrip("+~").split("@")[-1] != key]
        names = _keys(compose_config(name, rest if len(rest) < len(overrides) else []))
        parent, _, last = key.rpartition(".")
        siblings = [k.rpartition(".")[2] for k in names if k.rpartition(".")[0] == parent]
        if last in siblings:
            return one_line(error)
        if parent and siblings:
            return f"unknown key '{key}'{suggestion(last, siblings, parent)}"
        return f"unknown key '{key}'{suggestion(key, [*names, 'output'])}"
    return _unset(error)


def _keys(cfg: Any, prefix: str = "") -> list[str]:
    keys = []
    for key in cfg:
        keys.append(f"{prefix}{key}")
        node = cfg._get_node(key)
        if isinstance(node, DictConfig) and len(node):
            keys += _keys(node, f"{prefix}{key}.")
    return keys
