"""Data sets: a frozen description each (`Data`), opened to a `Source` of samples on a device."""

from gan_lab.data.arrays import Array
from gan_lab.data.base import Data, Distribution, DistributionSource, Modes, Source, TensorSource
from gan_lab.data.digits import Digits, StackedDigits, StackedSource
from gan_lab.data.funnels import Funnels, KnownDistance
from gan_lab.data.image_arrays import ImageArray
from gan_lab.data.images import ImageFolder, TorchvisionImages
from gan_lab.data.mnist_5k import Mnist5k, StackedMnist
from gan_lab.data.toy import Components, Gaussian1d, Grid, Mixture, Mixture1d, Ring, Segments
from gan_lab.data.toy_shapes import Checkerboard, NoisyCurve, SwissRoll, TwoMoons

__all__ = ["Data", "Distribution", "DistributionSource", "Modes", "Source", "TensorSource"]
__all__ += [
    "Array",
    "Digits",
    "ImageArray",
    "ImageFolder",
    "Mnist5k",
    "StackedDigits",
    "StackedMnist",
    "StackedSource",
    "TorchvisionImages",
]
__all__ += ["Components", "Gaussian1d", "Grid", "Mixture", "Mixture1d", "Ring", "Segments"]
__all__ += ["Checkerboard", "NoisyCurve", "SwissRoll", "TwoMoons"]
__all__ += ["Funnels", "KnownDistance"]
