"""Observations to scores: what the report says is counted and averaged here.

A metric neither decodes nor infers; it knows the nouns that stages hand on, and statistics.
"""

from streamdeid.metrics.coverage import Coverage
from streamdeid.metrics.discrepancy import KernelDiscrepancy
from streamdeid.metrics.expression import ExpressionAgreement
from streamdeid.metrics.feature_space import FeatureSpace
from streamdeid.metrics.identity import IdentityDistance, References
from streamdeid.metrics.image_quality import ImageQuality
from streamdeid.metrics.metric import Cell, Metric
from streamdeid.metrics.proxy_agreement import ProxyAgreement
from streamdeid.metrics.realism import FrechetDistance
from streamdeid.metrics.sampled import Sampled

__all__ = [
    "Cell",
    "Coverage",
    "ExpressionAgreement",
    "FeatureSpace",
    "FrechetDistance",
    "IdentityDistance",
    "ImageQuality",
    "KernelDiscrepancy",
    "Metric",
    "ProxyAgreement",
    "References",
    "Sampled",
]
