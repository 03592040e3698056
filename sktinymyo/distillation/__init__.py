"""Small networks that learn from the answers of large models."""

from ._classifier import DistilledClassifier
from ._regressor import DistilledRegressor

__all__ = ["DistilledClassifier", "DistilledRegressor"]
