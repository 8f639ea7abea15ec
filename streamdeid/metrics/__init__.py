"""Observations to scores: what the report says is counted and averaged here.

A metric neither decodes nor infers; it knows the nouns that stages hand on, and statistics.
"""

from streamdeid.metrics.metric import Cell, Metric

__all__ = ["Cell", "Metric"]
