"""From a fitted pipeline to a bundle for a GAP9, a microcontroller of 50 mW."""

from ._bundle import GAP9Bundle
from ._export import GAP9Estimate, estimate_gap9, export_gap9
from ._manifest import BundleError, Check
from ._plan import PlanError

__all__ = [
    "BundleError",
    "Check",
    "GAP9Bundle",
    "GAP9Estimate",
    "PlanError",
    "estimate_gap9",
    "export_gap9",
]
