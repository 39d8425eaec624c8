"""The classifier of labelled images that the evaluator looks through, trained once for a set.

It has one design, whatever the set: see `ImageNetwork`. Beside the set's classes it knows one more,
of images that show none (`junk`). It is trained on training images alone, on the CPU by one thread
with a random generator of its own, so that a machine always makes the same bits, and kept in the
user's cache by a digest of the data.
"""

import contextlib
import errno
import hashlib
import io
import math
import os
import secrets
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from filelock import FileLock, Timeout
from torch import Tensor
from torch.nn import functional as F

from gan_lab.console import announce
from gan_lab.data.base import FiniteSource, Part
from gan_lab.data.image_network import (
    Extractor,
    ImageNetwork,
    block_size,
    build_image_network,
    pooled_stds,
    shrink,
)
from gan_lab.data.junk import augment, junk
from gan_lab.data.validation import one_line

_VERSION = 2  # of design, training and file: another one trains anew
_STEPS = 1200
_BATCH, _N_JUNK = 96, 32
_LEARNING_RATE, _WEIGHT_DECAY, _WARM_UP_STEPS = 4e-3, 1e-2, 50
MAX_TRAIN = 20_000  # images that it is trained on; a fixed choice of larger sets
_MAX_HELD_OUT = 10_000
# A held-out image's largest probability is above the limit in 19 of 20 cases.
_CONFIDENT_SHARE = 0.95
# The folder cannot be made or written, or its system knows no locks.
_NO_LOCK = {
    *(errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOLCK, errno.EACCES, errno.EPERM, errno.EROFS),
    *(errno.ENOSPC, errno.EDQUOT, errno.ENOTDIR, errno.EEXIST, errno.ENOENT),
    errno.EISDIR,
}


@dataclass(frozen=True)
class Classifier:
    """A trained classifier.

    Attributes:
        extract: Features and logits of images.
        accuracy: Share of held-out images that it puts into their class.
        confidence_limit: Probability of the likeliest class, among all classes and none, that 95 %
            of held-out images exceed or reach.
        seconds: Process seconds that its training took.
        digest: The start of the SHA-256 of its weights.
    """

    extract: Extractor
    accuracy: float
    confidence_limit: float
    seconds: float
    digest: str

    def classify(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Return the likeliest class [n] (int64), and whether its probability reaches the limit."""
        logits = self.extract(images).logits
        assert logits is not None
        best = logits.softmax(dim=1)[:, :-1].max(dim=1)
        is_confident = best.values >= self.confidence_limit
        return best.indices.to(images.device), is_confident.to(images.device)

    def record(self) -> dict[str, Any]:
        """Return what a record of its numbers has to say of it."""
        return {
            "classifier": self.digest,
            "held_out_accuracy": self.accuracy,
            "confidence_limit": self.confidence_limit,
            "train_seconds": round(self.seconds, 1),
        }


def cache_directory() -> Path:
    """Return the folder of trained classifiers: below $XDG_CACHE_HOME, or ~/.cache."""
    home = os.environ.get("XDG_CACHE_HOME", "")
    cache = Path(home) if os.path.isabs(home) else Path("~/.cache").expanduser()
    return cache / "gan_lab" / "classifiers"


def train_subset(source: FiniteSource, limit: int = MAX_TRAIN) -> Tensor:
    """Return indices of the training images that features are fitted to: all, or so many of more.

    The choice is the same for every run.
    """
    return _subset(source.n_train, limit).to(source.device)


def load_classifier(source: FiniteSource) -> Classifier:
    """Return the classifier of a labelled set of images, from the cache or trained now.

    A second process that needs it at the same time waits for the first. Where nothing can be kept,
    it is trained for this process alone.

    Raises:
        ValueError: The set has no labels.
    """
    data = _read(source)
    path = cache_directory() / f"{data.digest}.pt"
    content = _load(path, data)
    if content is None:
        with _lock(path):
            content = _load(path, data)  # another process may have written it meanwhile
            if content is None:
                content = _train(data)
                _save(path, content)
    return _build(content, data, source.device)


@dataclass(frozen=True)
class _LabelledImages:
    """The images as the network sees them, on the CPU, and their digest with the design's."""

    train: Tensor
    train_labels: Tensor
    held_out: Tensor
    held_out_labels: Tensor
    digest: str

    @property
    def n_classes(self) -> int:
        return 1 + int(max(self.train_labels.max(), self.held_out_labels.max()))


def _read(source: FiniteSource) -> _LabelledImages:
    if source.train_labels is None or source.held_out_labels is None:
        raise ValueError("a classifier needs a set with labels on both of its parts")
    train, held_out = train_subset(source).cpu(), _subset(source.n_held_out, _MAX_HELD_OUT)
    train_images, train_labels = _images(source, "train", train), source.train_labels.cpu()[train]
    images = _images(source, "held_out", held_out)
    labels = source.held_out_labels.cpu()[held_out]
    digest = hashlib.sha256(f"{_VERSION} {_STEPS} {_BATCH}".encode())
    for tensor in (train_images, train_labels, images, labels):
        digest.update(str(tuple(tensor.shape)).encode())
        digest.update(tensor.contiguous().numpy().data)
    return _LabelledImages(train_images, train_labels, images, labels, digest.hexdigest()[:32])


def _images(source: FiniteSource, part: Part, indices: Tensor) -> Tensor:
    blocks = indices.to(source.device).split(block_size(source.shape))
    return torch.cat([shrink(source.take(part, block)).cpu() for block in blocks])


def _subset(n: int, limit: int) -> Tensor:
    if n <= limit:
        return torch.arange(n)
    order = torch.randperm(n, generator=torch.Generator().manual_seed(0))
    return order[:limit].sort().values


def _train(data: _LabelledImages) -> dict[str, Any]:
    n_classes, n_images = data.n_classes, len(data.train)
    what = f"{n_classes} classes, {n_images:,} images, about 15 s of one core"
    announce(f"training the classifier of the evaluator, once for these data: {what}")
    start, n_threads = time.process_time(), torch.get_num_threads()
    precision = torch.get_float32_matmul_precision()
    torch.set_num_threads(1)  # sums over several threads depend on how many
    torch.set_float32_matmul_precision("highest")
    try:
        with torch.inference_mode(False), torch.enable_grad():
            network = _fit(data)
        accuracy, limit = _evaluate(network, data)
        stds = pooled_stds(network, data.train.split(500))
    finally:
        torch.set_num_threads(n_threads)
        torch.set_float32_matmul_precision(precision)
    seconds = time.process_time() - start
    announce(f"its classes of {len(data.held_out):,} held-out images: {100 * accuracy:.1f} % right")
    weights = {name: weight.detach() for name, weight in network.state_dict().items()}
    return {
        "weights": weights,
        "stds": stds,
        "accuracy": accuracy,
        "confidence_limit": limit,
        "seconds": seconds,
        "digest": _weights_digest(weights),
        "data_digest": data.digest,
    }


def _fit(data: _LabelledImages) -> ImageNetwork:
    generator = torch.Generator().manual_seed(0)
    network = build_image_network(tuple(data.train.shape[1:]), data.n_classes + 1, generator)
    optimizer = torch.optim.AdamW(
        network.parameters(), _LEARNING_RATE, (0.9, 0.99), weight_decay=_WEIGHT_DECAY
    )

    def choose(n: int) -> Tensor:
        return torch.randint(len(data.train), (n,), generator=generator)

    def others(labels: Tensor) -> Tensor:
        tries = choose(4 * len(labels)).view(-1, 4)  # of ten classes all four are the same in 1e-4
        first = (data.train_labels[tries] != labels[:, None]).int().argmax(dim=1)
        return data.train[tries.gather(1, first[:, None]).squeeze(1)]

    for step in range(_STEPS):
        warm_up = min(1.0, (step + 1) / _WARM_UP_STEPS)
        decay = (1 + math.cos(math.pi * step / _STEPS)) / 2
        optimizer.param_groups[0]["lr"] = _LEARNING_RATE * warm_up * decay
        real, basis = choose(_BATCH - _N_JUNK), choose(_N_JUNK)
        bad = junk(data.train[basis], data.train_labels[basis], others, generator)
        # One augmentation for both, else its traces alone would give the real ones away.
        images = augment(torch.cat([data.train[real], bad]), generator)
        none = torch.full((len(bad),), data.n_classes)
        optimizer.zero_grad()
        F.cross_entropy(network(images), torch.cat([data.train_labels[real], none])).backward()
        optimizer.step()
    return network.requires_grad_(False)


@torch.no_grad()
def _evaluate(network: ImageNetwork, data: _LabelledImages) -> tuple[float, float]:
    """Return accuracy and confidence limit on the held-out images."""
    logits = torch.cat([network(block) for block in data.held_out.split(500)])
    is_right = logits[:, :-1].argmax(dim=1) == data.held_out_labels
    confidence = logits.softmax(dim=1)[:, :-1].max(dim=1).values
    # The lower of two neighbours: rounding must not put the limit above an image that has to pass.
    limit = torch.quantile(confidence, 1 - _CONFIDENT_SHARE, interpolation="lower")
    return float(is_right.double().mean()), float(limit)


def _build(content: dict[str, Any], data: _LabelledImages, device: torch.device) -> Classifier:
    with torch.device("meta"):  # else its first weights would be drawn from torch's own generator
        network = ImageNetwork(tuple(data.train.shape[1:]), data.n_classes + 1)
    network.load_state_dict(content["weights"], assign=True)
    network = network.requires_grad_(False).to(device)
    extract = Extractor(network, content["stds"], has_classes=True)
    numbers = (content["accuracy"], content["confidence_limit"], content["seconds"])
    return Classifier(extract, *numbers, content["digest"])


def _weights_digest(weights: dict[str, Tensor]) -> str:
    digest = hashlib.sha256()
    for name in sorted(weights):
        digest.update(weights[name].contiguous().numpy().data)
    return digest.hexdigest()[:12]


def _load(path: Path, data: _LabelledImages) -> dict[str, Any] | None:
    """Return the content of a file of the cache; None where there is none that is whole."""
    if not path.is_file():
        return None
    try:
        content: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
        if _weights_digest(content["weights"]) != content["digest"]:
            raise ValueError("its weights are not those that were written")
        if content["data_digest"] != data.digest:
            raise ValueError("it is of other data than its name says")
        _build(content, data, torch.device("cpu"))
    except Exception as error:  # pickle raises nearly anything
        announce(f"warning: {path} is damaged ({one_line(error)}); the classifier is trained anew")
        return None
    return content


def _save(path: Path, content: dict[str, Any]) -> None:
    """Write a file of the cache, whole or not at all; where it cannot be written, say so."""
    buffer = io.BytesIO()
    torch.save(content, buffer)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    try:
        with open(temporary, "xb") as file:
            file.write(buffer.getbuffer())
        os.replace(temporary, path)
    except OSError as error:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        announce(f"warning: the classifier is not kept for the next run: {one_line(error)}")


@contextlib.contextmanager
def _lock(path: Path) -> Iterator[None]:
    """Let one process at a time train; without a lock where the folder or the system has none."""
    with contextlib.ExitStack() as stack:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            # Where no file can be made, filelock may wait for ever.
            tempfile.TemporaryFile(dir=path.parent).close()
            lock = FileLock(path.with_suffix(".lock"))
            try:
                lock.acquire(blocking=False)
            except Timeout:
                announce("waiting for another process that trains the evaluator's classifier")
                lock.acquire()
            stack.callback(lock.release)
        except OSError as error:
            if error.errno not in _NO_LOCK:
                raise
        yield
