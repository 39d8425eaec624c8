"""A run on disk as an object: samples, networks, metrics, evaluation."""

import base64
import html
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from torch import nn

from gan_lab.api.estimates import Estimates
from gan_lab.cli import open_run
from gan_lab.config import compose
from gan_lab.engine.rng import stream
from gan_lab.errors import ConfigError
from gan_lab.loggers.jsonl import read_metrics
from gan_lab.metrics.estimate import Estimate
from gan_lab.runner import train as runner
from gan_lab.runs.run_dir import RunDir
from gan_lab.training.callbacks import evaluation

if TYPE_CHECKING:
    import pandas


def load(
    path: str | Path, step: int | str | None = None, device: str | None = None
) -> "TrainedRun":
    """Open a run directory, on any machine, without running anything that its author wrote.

    Args:
        path: The run, or a seed's directory in a run of several.
        step: A checkpoint's step or name ("best"); None = the newest.
        device: Where its networks are put; None = where the run was trained, if that is here.

    Raises:
        ConfigError: There is no run, or no such checkpoint that is intact.
    """
    run = TrainedRun(path, step, device)
    _ = run.loaded
    return run


class TrainedRun:
    """A run directory; of several seeds it speaks of the first, and `seed(s)` is another.

    Attributes:
        path: The directory.
    """

    def __init__(
        self, path: str | Path, step: int | str | None = None, device: str | None = None
    ) -> None:
        self.path, self._step, self._device = Path(path), step, device

    @cached_property
    def loaded(self) -> open_run.LoadedRun:
        """The checkpoint, with networks and data."""
        if not self.path.is_dir():
            raise ConfigError(f"{self.path} is no directory of a run")
        return open_run.open_run(self.path, self._step, self._device)

    @property
    def step(self) -> int:
        """The step of the checkpoint."""
        return self.loaded.step

    @property
    def seeds(self) -> tuple[int, ...]:
        """All seeds that were trained together."""
        return self.loaded.run.seeds

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

    def samples(self, n: int, seed: int = 0) -> np.ndarray:
        """Return samples of the averaged generator, [n, *shape], float32; images in [-1, 1].

        `seed` is of the noise: the same gives the same samples.
        """
        if not isinstance(n, int) or n < 1:
            raise ConfigError(f"samples(n={n!r}) is no number of samples; give one from 1")
        run = self.loaded.run
        generator = stream(seed, "samples", run.source.device)
        samples: np.ndarray = run.generate(self.loaded.seed_index, n, generator).cpu().numpy()
        return samples

    @cached_property
    def generator(self) -> nn.Module:
        """The averaged generator in eval mode: z [N, latent_dim] -> samples [N, *shape]."""
        state = self.loaded.run.state
        return self._module("generator", dict(state.average_of(self.loaded.seed_index)))

    @cached_property
    def discriminator(self) -> nn.Module:
        """The discriminator or critic in eval mode: samples -> logits [N / packing]."""
        params, buffers = self.loaded.run.discriminator_leaves(self.loaded.seed_index)
        return self._module("discriminator", {**params, **buffers})

    def _module(self, name: str, leaves: dict[str, Any]) -> nn.Module:
        source = self.loaded.run.source
        module: nn.Module = getattr(self.loaded.config.network, name)(source.shape)
        module.to(source.device)
        # Other leaves are a regularizer's buffers.
        module.load_state_dict({key: leaves[key].clone() for key in module.state_dict()})
        return module.eval().requires_grad_(False)

    @property
    def metrics(self) -> "pandas.DataFrame":
        """Every logged row: a row a step with its tags as columns."""
        import pandas

        index, seeds = self.loaded.seed_index, self.seeds
        own = RunDir(self.path)
        if len(seeds) > 1 and not open_run.is_child(self.path):
            own = own.child(seeds[index])
        return pandas.DataFrame(list(read_metrics(own.metrics))).set_index("step")

    def evaluate(self) -> Estimates:
        """Measure all metrics of the configuration on held-out data, each beside its floor.

        Raises:
            ConfigError: A sample is not finite.
        """
        loaded = self.loaded
        try:
            (estimates,) = evaluation.evaluate(loaded.run, loaded.step, [loaded.seed_index])
        except evaluation.NotFinite as error:
            raise ConfigError(f"{self.path}, step {loaded.step}: {error}") from error
        return Estimates(estimates)

    def resume(self, steps: int | None = None) -> "TrainedRun":
        """Go on from the newest checkpoint, to another number of steps where one is given."""
        from gan_lab.cli.train import resumed_config

        words = [] if steps is None else [f"steps={steps}"]
        runner.resume(resumed_config(self.path, words), self.path)
        return TrainedRun(self.path, device=self._device)

    def __repr__(self) -> str:
        return f"TrainedRun({str(self.path)!r})"

    def _repr_html_(self) -> str:
        run = RunDir(self.path)
        homes = [run, *run.children()]
        status = run.read_status()
        text = f"{html.escape(str(self.path))}: {html.escape(str(status.get('state')))}"
        parts = [f"<p>{text}, step {html.escape(str(status.get('step')))}</p>"]
        pictures = [max(home.samples.glob("step_*.png"), default=None) for home in homes]
        for picture in [each for each in pictures if each is not None][:1]:
            data = base64.b64encode(picture.read_bytes()).decode()
            parts.append(f'<img alt="samples" src="data:image/png;base64,{data}">')
        finals = (home.read_status().get("final") for home in homes)
        for final in [each for each in finals if each][:1]:
            estimates = {tag: Estimate(**estimate) for tag, estimate in final.items()}
            parts.append(Estimates(estimates)._repr_html_())
        return "".join(parts)
