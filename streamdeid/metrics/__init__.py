"""Observations to scores: what the report says is counted and averaged here.

A metric neither decodes nor infers; it knows the nouns that stages hand on, and statistics.
"""

from streamdeid.metrics.coverage import Coverage
from streamdeid.metrics.identity import IdentityDistance, References
from streamdeid.metrics.image_quality import ImageQuality
from streamdeid.metrics.metric import Cell, Metric
from streamdeid.metrics.sampled import Sampled

__all__ = [
    "Cell",
    "Coverage",
    "IdentityDistance",
    "ImageQuality",
    "Metric",
    "References",
    "Sampled",
]
