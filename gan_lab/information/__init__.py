"""Information theory with known answers: entropies, divergences, transport, cross-entropy losses.

Functions of tensors, batched over leading dimensions, differentiable, in nats without a
base. Every function checks its inputs and names the first bad entry; that reads flags from the
device, so none of them runs under torch.vmap.

Two names are both a module here and a function: `gan_lab.information.cross_entropy` and
`gan_lab.information.entropy` are the functions of distributions; the cross-entropy losses of logits
and labels are exported beside them. The imports below must keep that order.
"""

from gan_lab.information.closed_forms import (
    Gaussians,
    Segments,
    SmoothedSegments,
    gaussian_shift,
    gaussians,
    js_gradient_peak,
    segments,
    segments_sample_wasserstein,
    smoothed_segments,
)
from gan_lab.information.cross_entropy import (
    binary_cross_entropy,
    categorical_cross_entropy,
    sigmoid_cross_entropy_with_logits,
    softmax_cross_entropy_with_logits,
    sparse_categorical_cross_entropy,
    sparse_softmax_cross_entropy_with_logits,
    squared_error,
    weighted_cross_entropy_with_logits,
)
from gan_lab.information.divergences import js_divergence, kl_divergence, total_variation
from gan_lab.information.entropy import binary_entropy, cross_entropy, entropy, self_information
from gan_lab.information.penalty_bias import (
    GradientPenaltyValue,
    clipping_gradient_norm_bound,
    gradient_penalty_value,
)
from gan_lab.information.transport import optimal_transport, wasserstein_1, wasserstein_1_samples

__all__ = ["Gaussians", "GradientPenaltyValue", "Segments", "SmoothedSegments"]
__all__ += ["gaussian_shift", "gaussians", "js_gradient_peak", "segments", "smoothed_segments"]
__all__ += ["clipping_gradient_norm_bound", "gradient_penalty_value", "segments_sample_wasserstein"]
__all__ += ["binary_entropy", "cross_entropy", "entropy", "self_information"]
__all__ += ["js_divergence", "kl_divergence", "total_variation"]
__all__ += ["optimal_transport", "wasserstein_1", "wasserstein_1_samples"]
__all__ += ["binary_cross_entropy", "categorical_cross_entropy", "sparse_categorical_cross_entropy"]
__all__ += ["sigmoid_cross_entropy_with_logits", "softmax_cross_entropy_with_logits"]
__all__ += ["sparse_softmax_cross_entropy_with_logits", "weighted_cross_entropy_with_logits"]
__all__ += ["squared_error"]
