"""Distances among samples and to the training data, which show collapse and copying."""

import numpy as np
import torch
from scipy.spatial import cKDTree
from torch import Tensor

from gan_lab.metrics.wasserstein import as_points, pairwise_distances


def mean_pairwise_distance(samples: Tensor) -> float:
    """Return the mean Euclidean distance over all pairs of samples [n, *shape], in data units.

    A collapsed generator has less of it than the data.
    """
    return float(pairwise_distances(as_points(samples)).mean())


def mean_nearest_distance(samples: Tensor, training: Tensor) -> float:
    """Return the mean distance of samples [n, *shape] to their nearest of training [m, *shape].

    A generator that copies has less of it than held-out data have.
    """
    points, train = as_points(samples), as_points(training, "training")
    if points.shape[1] <= 16:  # a tree beats all pairs in few dimensions only
        return float(cKDTree(train).query(points)[0].mean())
    # cdist's matrix products round distances near 0 away; hence the distance is taken again.
    distances = torch.cdist(torch.from_numpy(points), torch.from_numpy(train))
    nearest = train[distances.argmin(dim=1).numpy()]
    return float(np.linalg.norm(points - nearest, axis=1).mean())
