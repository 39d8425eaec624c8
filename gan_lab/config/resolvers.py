"""What `${name:...}` means in the YAML files beyond OmegaConf's own."""

from typing import Any

from omegaconf import OmegaConf

from gan_lab.engine.execution import cores, resolve_device
from gan_lab.errors import ConfigError

n_jobs = 1_000_000  # of the sweep at hand; a worker without a job would heed no signal


def register() -> None:
    """Makes the names known to OmegaConf."""
    OmegaConf.register_new_resolver("full_or_quick", _full_or_quick, replace=True)
    OmegaConf.register_new_resolver("sweep_workers", _sweep_workers, replace=True)


def _full_or_quick(full: Any, quick: Any, *, _root_: Any) -> Any:
    """`${full_or_quick:1000,100}` in a study: the second where quick=true; a typed key wins."""
    return quick if _root_.get("quick") is True else full


def _sweep_workers(device: str) -> int:
    """Processes of a sweep: one a core, no more than jobs, one where they would share a GPU."""
    try:
        on_cpu = resolve_device(device).type == "cpu"
    except ConfigError:
        return 1  # refused later, with its reason
    return max(1, min(cores(), n_jobs)) if on_cpu else 1
