"""Forearm of a person: muscles, motor units and their fibres."""

from dataclasses import dataclass

import numpy as np

from .motor_units import MotorUnitPool, make_pool
from .volume_conduction import Fibres, Limb, surface_transfer

__all__ = ["MUSCLES", "MUSCLE_NAMES", "Muscle", "Person", "make_person"]

FIBRES_PER_AREA = 22_000.0  # per cm2: fibres of 55 um and the tissue between them
N_LINES = 4  # representative fibres of one motor unit


@dataclass(frozen=True)
class Muscle:
    """Place of a muscle in the cross-section under the electrodes.

    Parameters
    ----------
    name : str
        Usual abbreviation.
    angle : float
        Of the centre around the forearm, degrees: 0 is the middle of the palmar
        side, positive towards the thumb, 180 the middle of the dorsal side.
    depth : float
        Of the centre below the fascia, fraction of the radius of the muscles.
    area : float
        Cross-section, cm2.
    end_plate : float
        Centre of the innervation zone, mm towards the hand.
    distal, proximal : float
        Length of the fibres from the end plate, mm.
    """

    name: str
    angle: float
    depth: float
    area: float
    end_plate: float
    distal: float
    proximal: float


# Angles and depths as in cross-sections of the proximal third of the forearm
# (right arm seen from the elbow), areas and fibre lengths rounded from the
# architecture of cadavers (Lieber, Fazeli and Botte 1990).
MUSCLES = (
    Muscle("PT", 50, 0.24, 2.6, -24, 35, 35),  # pronator teres
    Muscle("FCR", 18, 0.19, 2.0, -18, 50, 45),  # flexor carpi radialis
    Muscle("FDS", -18, 0.36, 4.0, -14, 60, 55),  # flexor digitorum superficialis
    Muscle("FCU", -72, 0.20, 2.8, -20, 50, 45),  # flexor carpi ulnaris
    Muscle("FDP", -62, 0.52, 4.0, 14, 65, 60),  # flexor digitorum profundus
    Muscle("FPL", 35, 0.52, 1.8, 30, 50, 45),  # flexor pollicis longus
    Muscle("ECU", -140, 0.20, 2.2, -16, 50, 45),  # extensor carpi ulnaris
    Muscle("EDC", 178, 0.20, 2.2, -18, 55, 50),  # extensor digitorum
    Muscle("EPL", 165, 0.46, 1.8, 28, 45, 40),  # thumb extensors and abductor
    Muscle("ECR", 125, 0.20, 3.6, -26, 55, 50),  # radial wrist extensors
    Muscle("BR", 85, 0.19, 2.0, -30, 70, 60),  # brachioradialis
    Muscle("SUP", 118, 0.48, 2.4, -15, 30, 30),  # supinator
)
MUSCLE_NAMES = tuple(muscle.name for muscle in MUSCLES)


@dataclass(frozen=True)
class Person:
    """Forearm of one person.

    Parameters
    ----------
    limb : Limb
        Layers.
    pools : tuple of MotorUnitPool
        One per muscle.
    fibres : Fibres
        Of the units of all muscles, muscle after muscle.
    table : tuple (depths, transfer)
        Volume conductor tabulated for this limb.
    rotation : float
        How the person usually wears the armband, rad.
    """

    limb: Limb
    pools: tuple[MotorUnitPool, ...]
    fibres: Fibres
    table: tuple[np.ndarray, np.ndarray]
    rotation: float

    @property
    def n_units(self):
        """Motor units per muscle."""
        return len(self.pools[0].threshold)


def make_person(rng, n_motor_units=50, fat=None, variation=1.0):
    """Draw the forearm of a person.

    Parameters
    ----------
    rng : numpy.random.Generator
        Source of the differences between people.
    n_motor_units : int, default=50
        Per muscle. The fibres of a muscle are shared out among them, so that
        fewer units are larger ones.
    fat : float or None, default=None
        Thickness of the fat, mm; None draws it.
    variation : float, default=1.0
        Scale of the anatomical differences; 0 gives every person the mean
        forearm.

    Returns
    -------
    person : Person
    """
    radius = 40.0 + variation * np.clip(rng.normal(0, 3), -7, 7)
    drawn_fat = 2.8 * np.exp(variation * np.clip(rng.normal(0, 0.45), -1.2, 1.2))
    limb = Limb(radius=radius, fat=drawn_fat if fat is None else float(fat))
    rotation = variation * np.clip(rng.normal(0, np.deg2rad(17)), -0.7, 0.7)
    velocity = 4.0 + variation * np.clip(rng.normal(0, 0.2), -0.5, 0.5)
    inside = limb.muscle_radius
    pools, places = [], []
    for muscle in MUSCLES:
        strength = np.exp(variation * rng.normal(0, 0.3))
        total = FIBRES_PER_AREA * muscle.area * strength * (inside / 36.0) ** 2
        pool = make_pool(n_motor_units, total, velocity, rng)
        pools.append(pool)
        places.append(_place_units(muscle, inside, pool, strength, rng, variation))
    depth, angle, end_plate, distal, proximal = (
        np.concatenate(values) for values in zip(*places, strict=True)
    )
    fibres = Fibres(
        depth=depth,
        angle=angle,
        end_plate=end_plate,
        distal=distal,
        proximal=proximal,
        n_fibres=np.concatenate([pool.n_fibres for pool in pools]),
    )
    depths = np.geomspace(0.8, 0.9 * inside, 32)
    table = depths, surface_transfer(limb, depths)
    return Person(limb, tuple(pools), fibres, table, rotation)


def _place_units(muscle, inside, pool, strength, rng, variation):
    """Scatter the fibres of a muscle's units over its cross-section."""
    centre_angle = np.deg2rad(muscle.angle + variation * rng.normal(0, 9))
    centre_depth = inside * muscle.depth * np.exp(variation * rng.normal(0, 0.12))
    shift = muscle.end_plate + variation * rng.normal(0, 5)
    stretch = (inside / 36.0) * np.exp(variation * rng.normal(0, 0.05))
    # An ellipse wider around the limb than deep, of the muscle's area.
    deep = min(np.sqrt(100 * muscle.area * strength / (1.6 * np.pi)), centre_depth)
    wide = 100 * muscle.area * strength / (np.pi * deep)
    n_units = len(pool.threshold)
    spread = np.sqrt(rng.random(n_units))
    turn = rng.uniform(0, 2 * np.pi, n_units)
    # The fibres of a unit lie scattered over a territory of 2 to 5 mm.
    territory = 2.0 + 3.0 * (pool.n_fibres / pool.n_fibres.max()) ** 0.5
    scatter = rng.normal(0, 0.5, (2, n_units, N_LINES)) * territory[:, None]
    depth = centre_depth + (deep * spread * np.sin(turn))[:, None] + scatter[0]
    depth = np.clip(depth, 0.8, 0.9 * inside)
    across = (wide * spread * np.cos(turn))[:, None] + scatter[1]
    across = np.clip(across, -25, 25)
    angle = centre_angle + across / np.maximum(inside - centre_depth, 10.0)
    shape = (n_units, N_LINES)
    # End plates lie in a band of a centimetre, those of one unit closer.
    end_plate = shift + rng.normal(0, 2.5, (n_units, 1)) + rng.normal(0, 1.5, shape)
    distal = stretch * muscle.distal + rng.normal(0, 3.0, shape)
    proximal = stretch * muscle.proximal + rng.normal(0, 3.0, shape)
    return depth, angle, end_plate, np.maximum(distal, 12), np.maximum(proximal, 12)
