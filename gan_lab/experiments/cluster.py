"""Independent work of a study as jobs of a cluster, by the settings of one of Hydra's launchers.

A study waits between its stages, so its jobs go out in stages too: one after the other, where
Hydra's own sweep has all of them at once. The machines have to share the output directory.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any, TypeVar

from gan_lab.errors import ConfigError

T = TypeVar("T")
Jobs = Mapping[str, tuple[Any, ...]]
# Settings that are the same on every queue of submitit; others begin with the queue's name.
_COMMON = {"timeout_min", "cpus_per_task", "gpus_per_node", "tasks_per_node", "mem_gb", "nodes"}
_COMMON |= {"name", "stderr_to_stdout"}
SUBMITIT = {"SlurmLauncher": "slurm", "LocalLauncher": "local"}
_RAY = "RayLauncher"


@dataclass(frozen=True)
class Launcher:
    """Where the jobs of a study go.

    Attributes:
        name: Class of Hydra's launcher: SlurmLauncher, LocalLauncher (submitit) or RayLauncher.
        settings: The keys of hydra.launcher.
    """

    name: str
    settings: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.name not in (*SUBMITIT, _RAY):
            names = "submitit_slurm, submitit_local, ray"
            raise ConfigError(
                f"hydra/launcher={self.name} runs no jobs of a study; take one of {names}, or "
                "workers=N on this machine"
            )

    def map(
        self, folder: Path, function: Callable[..., T], jobs: Jobs, tell: Callable[[str], None]
    ) -> dict[str, T]:
        """Return function(*arguments) of every named job, in their order.

        Raises:
            ConfigError: The package of the launcher is missing.
        """
        run = _with_ray if self.name == _RAY else _with_submitit
        results: dict[str, T] = {}
        for name, result in run(self, folder, function, jobs):
            results[name] = result
            tell(f"{len(results)} of {len(jobs)}: {name}")
        return {name: results[name] for name in jobs}

    def submitit_parameters(self) -> dict[str, Any]:
        """Return the settings under the names that submitit's AutoExecutor takes."""
        queue = SUBMITIT[self.name]
        left_out = {"_target_", "submitit_folder", "max_num_timeout"}
        return {
            key if key in _COMMON else f"{queue}_{key}": value
            for key, value in self.settings.items()
            if key not in left_out and value is not None
        }


def _with_submitit(
    launcher: Launcher, folder: Path, function: Callable[..., T], jobs: Jobs
) -> Iterator[tuple[str, T]]:
    submitit = _package("submitit")
    executor = submitit.AutoExecutor(folder=folder, cluster=SUBMITIT[launcher.name])
    executor.update_parameters(**launcher.submitit_parameters())
    with executor.batch():
        waiting = [executor.submit(function, *arguments) for arguments in jobs.values()]
    names = dict(zip(waiting, jobs, strict=True))
    for job in submitit.helpers.as_completed(waiting):
        yield names[job], job.result()


def _with_ray(
    launcher: Launcher, folder: Path, function: Callable[..., T], jobs: Jobs
) -> Iterator[tuple[str, T]]:
    ray = _package("ray")
    settings = launcher.settings.get("ray", {})
    if not ray.is_initialized():
        ray.init(**(settings.get("init") or {}))
    remote = ray.remote(**{"num_cpus": 1, **(settings.get("remote") or {})})(function)
    waiting = {remote.remote(*arguments): name for name, arguments in jobs.items()}
    while waiting:
        [job], _ = ray.wait(list(waiting))
        yield waiting.pop(job), ray.get(job)


def _package(name: str) -> Any:
    try:
        return import_module(name)
    except ImportError as error:
        raise ConfigError(
            f"this launcher needs the package {name}, which is missing; pip install "
            f"hydra-{name}-launcher"
        ) from error
