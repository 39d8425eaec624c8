"""FID, KID and IS: distances and score in the features of Inception v3, weights from a file."""

import io
import os
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import ClassVar

import torch
from torch import Tensor, nn

from gan_lab.data.base import Source
from gan_lab.errors import ConfigError
from gan_lab.metrics.features.frechet import frechet_distance
from gan_lab.metrics.features.kernel_distance import kernel_distance
from gan_lab.metrics.features.scores import classifier_score
from gan_lab.metrics.metrics import Metric, MetricFunction, Units

WEIGHTS_URL = (
    "https://github.com/toshas/torch-fidelity/releases/download/v0.2.0/"
    "weights-inception-2015-12-05-6726825d.pth"
)
_LAST, _LOGITS = "2048", "logits_unbiased"
_BATCH = 32


@dataclass(frozen=True)
class Inception(Metric):
    """FID, KID and IS of images, in features of the Inception v3 that their papers use.

    The network is torch-fidelity's port of the TensorFlow graph of 2015, with its resizing to
    299 x 299; nothing is downloaded. Grey images become three equal channels, values in [-1, 1]
    become 8 bits. It takes about 0.2 s an image on a CPU core: it is for a GPU, or for few samples.

    Numbers compare with published ones only where data, split and n are the same as theirs: most
    take 50,000 samples, and FID at n = 500 is many times that at n = 50,000.

    Attributes:
        weights: Path of the weights as torch-fidelity distributes them.

    Reference: Heusel et al. 2017, arXiv:1706.08500 (FID); Binkowski et al. 2018, arXiv:1801.01401
    (KID, here of all samples at once); Salimans et al. 2016, arXiv:1606.03498 (IS, one split).
    """

    weights: str = ""
    units: ClassVar[Units] = {"inception/fid": "1", "inception/kid": "1", "inception/is": "1"}

    def check(self, source: Source) -> None:
        """See `Metric.check`.

        Raises:
            ConfigError: The data are no images of 1 or 3 channels, torch-fidelity is not installed,
                or the weights are not there or not this network's.
        """
        self._check_images(source)
        _ = self._network

    def prepare(self, source: Source) -> MetricFunction:
        """See `Metric.prepare`; errors as in `check`, whose network is taken."""
        self._check_images(source)
        network = self._network.to(source.device)

        def evaluate(samples: Tensor, held_out: Tensor) -> dict[str, float]:
            real, _ = _features(network, held_out)
            fake, logits = _features(network, samples)
            return {
                "inception/fid": frechet_distance(fake, real),
                # Binkowski et al. divide by the number of features.
                "inception/kid": kernel_distance(fake, real, scale=fake.shape[1])[0],
                "inception/is": classifier_score(logits.log_softmax(dim=1)),
            }

        return evaluate

    @cached_property
    def _network(self) -> nn.Module:
        return _network(self.weights)

    def _check_images(self, source: Source) -> None:
        shape = source.shape
        if len(shape) != 3 or shape[0] not in (1, 3):
            raise ConfigError(
                f"metrics=[inception] measures images of 1 or 3 channels, the data have shape "
                f"{list(shape)}; take inception out of metrics"
            )


def as_rgb(images: Tensor) -> Tensor:
    """Return images [n, 1 or 3, H, W] in [-1, 1] as uint8 [n, 3, H, W]."""
    pixels = ((images + 1) * 127.5).round().clamp(0, 255).to(torch.uint8)
    return pixels.expand(-1, 3, -1, -1)


def _features(network: nn.Module, images: Tensor) -> tuple[Tensor, Tensor]:
    """Return features [n, 2048] and logits [n, 1008]."""
    with torch.no_grad():
        parts = [network(part) for part in as_rgb(images).split(_BATCH)]
    last, logits = zip(*parts, strict=True)
    return torch.cat(last), torch.cat(logits)


def _network(weights: str) -> nn.Module:
    """Return torch-fidelity's Inception v3 with the weights of a file, in evaluation mode."""
    get = f"get {WEIGHTS_URL} and say metrics.inception.weights=FILE"
    if not weights:
        raise ConfigError(f"FID, KID and IS need Inception's weights, which nobody ships: {get}")
    path = Path(weights).expanduser()
    if not os.path.isfile(path):  # unlike is_file, False where a name is too long
        raise ConfigError(f"metrics.inception.weights={weights} is no file; {get}")
    try:
        from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3
    except ImportError as error:
        raise ConfigError(
            f"metrics=[inception] needs torch-fidelity ({error}); install it with "
            "`pip install 'gan-vs-wgan-lab[inception]'`"
        ) from error
    buffer = io.BytesIO()
    try:
        # torch-fidelity would run what is pickled in the file: it gets a copy of tensors alone.
        torch.save(torch.load(path, map_location="cpu", weights_only=True), buffer)
        buffer.seek(0)
        return FeatureExtractorInceptionV3("inception-v3-compat", [_LAST, _LOGITS], buffer)
    except Exception as error:  # pickle raises nearly anything
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise ConfigError(
            f"metrics.inception.weights={weights} is not torch-fidelity's Inception v3 ({reason}); "
            f"{get}"
        ) from error
