"""OmegaConf resolvers of our YAML files: `${full_or_quick:...}` and `${sweep_workers:...}`."""

from typing import Any

from omegaconf import OmegaConf

from gan_lab.engine.devices import cores, resolve_device
from gan_lab.errors import ConfigError

n_jobs = 1_000_000  # of the sweep at hand; a worker without a job would heed no signal


def register() -> None:
    """Register the resolvers with OmegaConf."""
    OmegaConf.register_new_resolver("full_or_quick", _full_or_quick, replace=True)
    OmegaConf.register_new_resolver("sweep_workers", _sweep_workers, replace=True)


def _full_or_quick(full: Any, quick: Any, *, _root_: Any) -> Any:
    """Return the second of `${full_or_quick:1000,100}` where quick=true; a typed key wins."""
    return quick if _root_.get("quick") is True else full


def _sweep_workers(device: str) -> int:
    """Return the processes of a sweep: one a core, at most one a job, one on a shared GPU."""
    try:
        on_cpu = resolve_device(device).type == "cpu"
    except ConfigError:
        return 1  # refused later, with its reason
    return max(1, min(cores(), n_jobs)) if on_cpu else 1
