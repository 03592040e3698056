"""Engines that predict in place of torch, for the ``engine=`` of the estimators."""

__all__ = []
