"""x"""
from dataclasses import dataclass
from typing import ClassVar
import numpy as np, torch, math
from gan_lab.experiments.base import Experiment, Lab, Arrays
from gan_lab.experiments.claims import Claim, exact
from gan_lab.information import segments
from gan_lab.reports.plots import canvas, STYLES
@dataclass(frozen=True)
class ParallelSegments(Experiment):
    """x"""
    n_thetas: int = 41
    title: ClassVar[str] = "Parallel segments"
    question: ClassVar[str] = "q?"
    reference: ClassVar[str] = "r"
    def measure(self, lab):
        theta = torch.linspace(-2, 2, self.n_thetas).double()
        e = segments(theta)
        return {"theta": theta.numpy(), "js": e.js.numpy()}
    def claims(self, arrays):
        return [Claim("js", "JS is log 2", exact(arrays["js"][0]), "equals", math.log(2), 1e-9, "nats")]
    def figures(self, arrays):
        f, ax = canvas("t"); ax[0,0].plot(arrays["theta"], arrays["js"]); return {"x": f}
    def curves(self, arrays):
        return {"exact/js": (np.arange(len(arrays["theta"])), arrays["js"])}
