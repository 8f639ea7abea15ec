"""Numbers to numbers that merge: statistics of a stream in one pass and fixed memory, in float64.

An update is the merge of a small batch, the state is plain sums, and dividing waits until a result
is asked for. Numpy only.
"""

from streamdeid.stats.comoments import RunningComoments
from streamdeid.stats.covariance import RunningCovariance
from streamdeid.stats.frechet import Gaussian, frechet_distance
from streamdeid.stats.gaussian import RunningGaussian
from streamdeid.stats.histogram import RunningHistogram
from streamdeid.stats.kernel import Discrepancy, polynomial_mmd
from streamdeid.stats.lags import RunningLags
from streamdeid.stats.longest_run import LongestRun, Run
from streamdeid.stats.moments import RunningMoments
from streamdeid.stats.reservoir import Reservoir
from streamdeid.stats.spread import RunningSpread
from streamdeid.stats.state import State, StateReader, StateValue
from streamdeid.stats.statistic import Statistic

__all__ = [
    "Discrepancy",
    "Gaussian",
    "LongestRun",
    "Reservoir",
    "Run",
    "RunningComoments",
    "RunningCovariance",
    "RunningGaussian",
    "RunningHistogram",
    "RunningLags",
    "RunningMoments",
    "RunningSpread",
    "State",
    "StateReader",
    "StateValue",
    "Statistic",
    "frechet_distance",
    "polynomial_mmd",
]
