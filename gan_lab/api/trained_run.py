"""A run on disk as an object: samples, networks, metrics, evaluation."""

import base64
import html
import math
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from gan_lab.api.arguments import check_whole, path_of, short
from gan_lab.api.estimates import Estimates
from gan_lab.api.process import keep_torch_settings, stoppable, torch_settings
from gan_lab.cli import open_run
from gan_lab.cli.arguments import check_directories
from gan_lab.config import compose
from gan_lab.engine.devices import resolve_device
from gan_lab.engine.rng import stream
from gan_lab.errors import ConfigError
from gan_lab.loggers.jsonl import read_metrics
from gan_lab.metrics.estimate import Estimate
from gan_lab.reports.analysis.load import read_run
from gan_lab.runner import train as runner
from gan_lab.runner.generator import averaged_generator
from gan_lab.runs.checkpoint import is_name
from gan_lab.runs.headline import is_high_dimensional
from gan_lab.runs.run_dir import RunDir
from gan_lab.training import memory
from gan_lab.training.callbacks import evaluation

if TYPE_CHECKING:
    import pandas

_FIELDS = ("value", "unit", "n", "low", "high", "floor", "is_skewed")


def load(
    path: str | Path, step: int | str | None = None, device: str | None = None
) -> "TrainedRun":
    """Open a run directory, on any machine, without running anything that its author wrote.

    Args:
        path: The run, or a seed's directory in a run of several.
        step: A checkpoint's step or name ("best"); None = the newest.
        device: Where its networks are put; None = the run's device, or, where there is none of that
            kind, auto.

    Raises:
        ConfigError: There is no run, no such checkpoint that is intact, or its configuration names
            code outside of gan_lab; or an argument is of another type.

    Example:
        >>> import gan_lab
        >>> path = gan_lab.train(data="ring", steps=100).path
        >>> run = gan_lab.load(path, step="best")
        >>> print(run.step, run.metrics["divergence/wasserstein"].dropna())
    """
    run = TrainedRun(path, step, device)
    _ = run.checkpoint
    return run


class TrainedRun:
    """A run directory; of several seeds it speaks of the first, and `seed(s)` is another.

    The checkpoint is opened when it is first needed, and kept.

    Attributes:
        path: The directory.
    """

    def __init__(
        self, path: str | Path, step: int | str | None = None, device: str | None = None
    ) -> None:
        self.path, self._device = path_of("path", path), device
        is_whole = isinstance(step, int | np.integer) and not isinstance(step, bool)
        if not (step is None or is_whole or is_name(step)):
            raise ConfigError(f"step={short(step)} is neither a whole number >= 0 nor 'best'")
        self._step = int(step) if isinstance(step, np.integer) else step

    @cached_property
    def checkpoint(self) -> open_run.LoadedRun:
        """The checkpoint, with networks and data."""
        check_directories([self.path])
        with keep_torch_settings():
            checkpoint = open_run.open_run(
                self.path, self._step, self._device or self._device_here()
            )
            self._n_threads = torch.get_num_threads()
        return checkpoint

    def _device_here(self) -> str | None:
        """Return what stands in for the device of the configuration, if that is not here."""
        try:
            resolve_device(str(open_run.saved_config(self.path).get("device")))
        except ConfigError:
            return "auto"
        return None

    @property
    def step(self) -> int:
        """The step of the checkpoint."""
        return self.checkpoint.step

    @property
    def seeds(self) -> tuple[int, ...]:
        """All seeds that were trained together."""
        return self.checkpoint.run.seeds

    @property
    def latent_dim(self) -> int:
        """The dimension of the generator's noise."""
        return self.checkpoint.config.network.latent_dim

    @property
    def config(self) -> dict[str, Any]:
        """The whole configuration, in plain containers."""
        return compose.resolve(open_run.saved_config(self.path))

    @property
    def status(self) -> dict[str, Any]:
        """status.json: how it ended, when, with which versions, the final estimates."""
        return dict(RunDir(self.path).read_status())

    def seed(self, seed: int) -> "TrainedRun":
        """Return one of several seeds as a run.

        Raises:
            ConfigError: It was not trained.
        """
        if seed not in self.seeds:
            seeds = ", ".join(map(str, self.seeds))
            raise ConfigError(f"{self.path} has no seed {seed}; it has {seeds}")
        if len(self.seeds) == 1:
            return self
        home = self.path.parent if open_run.is_child(self.path) else self.path
        return TrainedRun(RunDir(home).child(seed).path, self._step, self._device)

    def samples(self, n: int, seed: int = 0, label: int | None = None) -> np.ndarray:
        """Return samples of the averaged generator, [n, *shape], float32; images in [-1, 1].

        They are those of `python -m gan_lab sample n=... seed=...`.

        Args:
            n: Their number.
            seed: Of the noise: the same gives the same samples.
            label: Of a conditional run: the class of all samples, from 0; None = classes as often
                as in the data.

        Raises:
            ConfigError: No number, no seed, no class, or more samples than fit into memory.
        """
        n, seed = check_whole("n", n, 1), check_whole("seed", seed, 0)
        run, latent_dim = self.checkpoint.run, self.latent_dim
        memory.check_samples(n, latent_dim + math.prod(run.source.shape), run.source.device)
        generator = stream(seed, "sample", run.source.device)
        labels = None if label is None else self._labels(n, check_whole("label", label, 0))
        with torch_settings(self.checkpoint.config.execution, self._n_threads):
            latents = run.latents(n, generator, labels)
            samples = run.samples(self.checkpoint.seed_index, latents)
        return np.asarray(samples.cpu().numpy())

    def _labels(self, n: int, label: int) -> Tensor:
        """Return n times one class, one-hot."""
        labels = self.checkpoint.run.labels
        if labels is None or label >= labels.n_classes:
            there = "no classes" if labels is None else f"{labels.n_classes} classes, from 0"
            raise ConfigError(f"label={label} is no class of {self.path}, which has {there}")
        return labels.one_hot(torch.full((n,), label, device=labels.indices.device))

    @cached_property
    def generator(self) -> nn.Module:
        """The averaged generator in eval mode: z [N, latent_dim] -> samples [N, *shape].

        Of a conditional run it takes [N, latent_dim + K]: z, then the class, one-hot.
        """
        run = self.checkpoint.run
        return averaged_generator(run, self.checkpoint.seed_index).to(run.source.device)

    @cached_property
    def discriminator(self) -> nn.Module:
        """The discriminator or critic in eval mode: samples [N, *shape] -> logits [N / packing].

        Spectral normalisation is in the weights. Of a conditional run it takes the classes, one-hot
        [N, K], as a second argument.
        """
        run = self.checkpoint.run
        params, buffers = run.discriminator_leaves(self.checkpoint.seed_index)
        leaves: dict[str, Tensor] = {**params, **buffers}
        for regularizer in run.objective.regularizers:
            leaves |= regularizer.reparametrize({name: leaves[name] for name in params}, buffers)
        module = run.config.pair(run.source).discriminator(run.source.shape)
        module.to(run.source.device)
        # Other leaves are a regularizer's buffers.
        module.load_state_dict({name: leaves[name] for name in module.state_dict()})
        return module.eval().requires_grad_(False)

    @property
    def metrics(self) -> "pandas.DataFrame":
        """Every row of metrics.jsonl by its step: a tag is a column, nan where a row lacks it."""
        import pandas

        directory = RunDir(self.path)
        if not open_run.is_child(self.path):
            directory = directory.of_seeds(self.seeds)[self.checkpoint.seed_index]
        return pandas.DataFrame(list(read_metrics(directory.metrics))).set_index("step")

    def evaluate(self) -> Estimates:
        """Measure all metrics of the configuration on held-out data, each beside its floor.

        At the last step they are the final estimates of status.json.

        Raises:
            ConfigError: A sample is not finite, or the data are not those of the training.
        """
        checkpoint = self.checkpoint
        checkpoint.check_data()
        try:
            with torch_settings(checkpoint.config.execution, self._n_threads):
                (estimates,) = evaluation.evaluate(
                    checkpoint.run, checkpoint.step, [checkpoint.seed_index]
                )
        except evaluation.NotFinite as error:
            raise ConfigError(f"{self.path}, step {checkpoint.step}: {error}") from error
        return Estimates(estimates, is_high_dimensional(checkpoint.run.source.shape))

    def resume(self, steps: int | None = None) -> "TrainedRun":
        """Go on from the newest checkpoint, bit for bit as if the run had not stopped.

        Args:
            steps: Another number of steps to train to; None = the configuration's.

        Returns:
            The run, as `train` does.

        Raises:
            ConfigError: It is complete, or cannot go on here.
            RunDiverged: See `train`.
        """
        from gan_lab.cli.train import resumed_config

        config = resumed_config(self.path, [] if steps is None else [f"steps={steps}"])
        with keep_torch_settings(), stoppable():
            runner.resume(config, self.path)
        return TrainedRun(self.path, device=self._device)

    def __repr__(self) -> str:
        return f"TrainedRun({str(self.path)!r})"

    def _repr_html_(self) -> str:
        home = RunDir(self.path)
        records = [read_run(each.path) for each in home.children() or [home]]
        record = next((each for each in records if each.finals), records[0])
        text = f"{self.path}: seed {record.seed}, {record.state} at step {record.step}"
        parts = [f"<p>{html.escape(text)}</p>"]
        if pictures := record.pictures():
            data = base64.b64encode(pictures[max(pictures)].read_bytes()).decode()
            parts.append(f'<img alt="samples" src="data:image/png;base64,{data}">')
        finals = {
            tag: Estimate(**{name: each[name] for name in _FIELDS if name in each})
            for tag, each in record.finals.items()
        }
        table = Estimates(finals, record.is_high_dimensional)._repr_html_()
        return "".join([*parts, *([table] if finals else [])])
