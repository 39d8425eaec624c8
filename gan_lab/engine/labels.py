"""Class labels of a conditional run, one-hot: of real samples, and those drawn for others."""

import torch
from torch import Tensor

from gan_lab.data.base import FiniteSource, Source
from gan_lab.errors import ConfigError

LABELS = "labels"  # their name among what comes with each sample of an update


class ClassLabels:
    """The labels of a data set's training samples, as both networks are given them.

    Attributes:
        n_classes: K.
        indices: Class of each training sample, [n_train], int64.
    """

    def __init__(self, source: Source) -> None:
        """Take the labels of a source.

        Raises:
            ConfigError: It has none.
        """
        labels = labels_of(source)
        if labels is None:
            why = "".join(f" ({note})" for note in source.notes if "no modes" in note)
            raise ConfigError(
                "network.conditional=true needs data with a class for each sample, but these have "
                f"no labels{why}; take labelled images (data=digits, mnist_5k, fashion_mnist, "
                "mnist or cifar10, an image_folder with a folder a class, an image_array with "
                "labels), or network.conditional=false"
            )
        self.indices = labels[0]
        self.n_classes = 1 + max(int(part.max()) for part in labels if len(part))

    def one_hot(self, indices: Tensor) -> Tensor:
        """Return classes of any shape as rows with a single 1: [*lead] -> [*lead, K], float32."""
        return torch.nn.functional.one_hot(indices, self.n_classes).float()

    def of(self, tickets: Tensor) -> Tensor:
        """Return the classes of training samples by their indices: [*lead] -> [*lead, K]."""
        return self.one_hot(self.indices[tickets])

    def draw(self, n: int, generator: torch.Generator) -> Tensor:
        """Return the classes of n training samples, uniform with replacement: [n, K]."""
        size, device = len(self.indices), self.indices.device
        return self.of(torch.randint(size, (n,), generator=generator, device=device))

    def rows(self, n: int) -> Tensor:
        """Return the classes of a grid of about n samples with a row a class: [<= n], int64.

        Of more than n classes, the first n have a sample each.
        """
        n_classes = min(n, self.n_classes)
        classes = torch.arange(n_classes, device=self.indices.device)
        return classes.repeat_interleave(n // n_classes)


def labels_of(source: Source) -> tuple[Tensor, Tensor, Tensor] | None:
    """Return the classes of the training, validation and held-out samples, or None."""
    if not isinstance(source, FiniteSource):
        return None
    parts = (source.train_labels, source.validation_labels, source.held_out_labels)
    if parts[0] is None or parts[1] is None or parts[2] is None:
        return None
    return parts[0], parts[1], parts[2]


def join_labels(z: Tensor, labels: Tensor | None) -> Tensor:
    """Return z [*lead, latent_dim] with labels [*lead, K] after it; without labels z itself."""
    return z if labels is None else torch.cat([z, labels], -1)
