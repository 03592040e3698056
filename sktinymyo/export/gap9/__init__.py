"""From a fitted pipeline to a bundle for a GAP9, a microcontroller of 50 mW."""

from ...exceptions import BuildError, BundleError, PlanError
from ._bundle import GAP9Bundle
from ._estimate import GAP9Estimate, estimate_gap9
from ._export import export_gap9
from ._manifest import Check

__all__ = [
    "BuildError",
    "BundleError",
    "Check",
    "GAP9Bundle",
    "GAP9Estimate",
    "PlanError",
    "estimate_gap9",
    "export_gap9",
]
