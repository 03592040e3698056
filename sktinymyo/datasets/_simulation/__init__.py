"""Simulators of surface EMG built from motor units and volume conduction."""

from .gestures import make_gestures
from .hdsemg import make_hdsemg
from .kinematics import make_kinematics

__all__ = ["make_gestures", "make_hdsemg", "make_kinematics"]
