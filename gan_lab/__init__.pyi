from gan_lab import data as data
from gan_lab import experiments as experiments
from gan_lab import losses as losses
from gan_lab import metrics as metrics
from gan_lab import networks as networks
from gan_lab import regularizers as regularizers
from gan_lab.api import Callback as Callback
from gan_lab.api import Comparison as Comparison
from gan_lab.api import ConfigError as ConfigError
from gan_lab.api import Estimate as Estimate
from gan_lab.api import Estimates as Estimates
from gan_lab.api import Run as Run
from gan_lab.api import RunDiverged as RunDiverged
from gan_lab.api import TrainedRun as TrainedRun
from gan_lab.api import compare as compare
from gan_lab.api import fit as fit
from gan_lab.api import load as load
from gan_lab.api import measure as measure
from gan_lab.api import steps as steps
from gan_lab.api import train as train

__version__: str
