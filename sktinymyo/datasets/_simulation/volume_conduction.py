"""Potential at the skin of muscle fibres in a limb of three layers.

The limb is a cylinder of muscle (anisotropic) in a layer of fat and a layer of
skin. Lengths are millimetres, angles radians, potentials microvolts. A fibre
runs along the limb at a depth below the surface of the muscle; its action
potential starts at the end plate, travels both ways and dies at the tendons.
"""

from dataclasses import dataclass

import numpy as np
from scipy import fft, special

__all__ = ["Fibres", "Limb", "surface_transfer", "unit_potentials"]

# Conductivities in S/mm: skin and fat in the ratio 20, muscle five times better
# along its fibres than across them.
MUSCLE_ACROSS = 0.1e-3
MUSCLE_ALONG = 0.5e-3
FAT = 0.05e-3
SKIN = 1.0e-3
# Intracellular conductivity times the cross-section of a fibre of 55 um, S mm.
FIBRE_CONDUCTANCE = 1.01e-3 * np.pi * 0.0275**2

N_ALONG = 512  # points along the limb, 1 mm apart; the model repeats after them
N_ORDERS = 48  # angular orders: 5 mm around a limb of 41 mm radius
UPSAMPLING = 2  # the potential is tabulated every 0.5 mm of travel
TRAVEL_STEP = 1.0 / UPSAMPLING


@dataclass(frozen=True)
class Limb:
    """Layers of a limb.

    Parameters
    ----------
    radius : float
        Radius at the skin, mm.
    fat : float
        Thickness of the fat, mm.
    skin : float, default=1.0
        Thickness of the skin, mm.
    conductivities : tuple of 4 floats
        Of muscle across and along the fibres, fat and skin, S/mm.
    """

    radius: float
    fat: float
    skin: float = 1.0
    conductivities: tuple = (MUSCLE_ACROSS, MUSCLE_ALONG, FAT, SKIN)

    @property
    def muscle_radius(self):
        """Radius of the muscle cylinder, mm."""
        return self.radius - self.fat - self.skin


@dataclass(frozen=True)
class Fibres:
    """Representative fibres of motor units, as arrays (n_units, n_fibres).

    Parameters
    ----------
    depth : ndarray
        Below the surface of the muscle, mm.
    angle : ndarray
        Around the limb, rad.
    end_plate : ndarray
        Position of the end plate along the limb, mm.
    distal, proximal : ndarray
        Length of the fibre from the end plate to either tendon, mm.
    n_fibres : ndarray of shape (n_units,)
        Muscle fibres that the representative ones stand for.
    """

    depth: np.ndarray
    angle: np.ndarray
    end_plate: np.ndarray
    distal: np.ndarray
    proximal: np.ndarray
    n_fibres: np.ndarray


def wavenumbers():
    """Wavenumbers along the limb, rad/mm, of the real transform used here."""
    return 2 * np.pi * fft.rfftfreq(N_ALONG, d=1.0)


def _grow_first(x):
    """Ratios I_{n+1}(x) / I_n(x) for n = 0 .. N_ORDERS - 1, along a new first axis.

    The recurrence is stable downwards. It starts ten orders above the highest
    one wanted, from an approximation whose error fades on the way (to 1e-5 or
    less for the arguments of a limb).
    """
    ratios = np.empty((N_ORDERS, *np.shape(x)))
    order = N_ORDERS + 10
    ratio = x / (order + 0.5 + np.sqrt((order + 1.5) ** 2 + x**2))
    for n in range(order, 0, -1):
        ratio = 1.0 / (2 * n / x + ratio)
        if n <= N_ORDERS:
            ratios[n - 1] = ratio
    return ratios


def _grow_second(x):
    """Ratios K_{n+1}(x) / K_n(x), by the recurrence that is stable upwards."""
    ratios = np.empty((N_ORDERS, *np.shape(x)))
    ratios[0] = special.k1e(x) / special.k0e(x)
    for n in range(1, N_ORDERS):
        ratios[n] = 2 * n / x + 1 / ratios[n - 1]
    return ratios


def _quotient(zeroth, inner, outer):
    """Quotient of two radii's Bessel functions from order zero and the ratios."""
    quotient = np.empty(np.broadcast_shapes(inner.shape, outer.shape))
    quotient[0] = zeroth
    np.cumprod(inner[:-1] / outer[:-1], axis=0, out=quotient[1:])
    quotient[1:] *= zeroth
    return quotient


def _through_layer(outer_admittance, conductivity, k, inner, outer):
    """Carry the boundary condition of a source-free layer from outside inwards.

    Returns the admittance (conductivity times slope over potential) at the
    inner radius, and the ratio of the outer to the inner potential.
    """
    orders = np.arange(N_ORDERS)[:, None]
    x_in, x_out = k * inner, k * outer
    first_in, first_out = _grow_first(x_in), _grow_first(x_out)
    second_in, second_out = _grow_second(x_in), _grow_second(x_out)
    growth = np.exp(x_out - x_in)
    # Logarithmic slopes are I_{n+1}/I_n + n/x and -K_{n+1}/K_n + n/x.
    rise = conductivity * k * (first_out + orders / x_out)
    fall = conductivity * k * (orders / x_out - second_out)
    share = (outer_admittance - fall) / (rise - fall)
    zeroth = special.i0e(x_in) / special.i0e(x_out) / growth
    first = share * _quotient(zeroth, first_in, first_out)
    zeroth = special.k0e(x_in) / special.k0e(x_out) * growth
    second = (1 - share) * _quotient(zeroth, second_in, second_out)
    potential = first + second
    current = first * (first_in + orders / x_in) + second * (orders / x_in - second_in)
    return conductivity * k * current / potential, 1 / potential


def surface_transfer(limb, depths):
    """Potential at the skin of a unit current source, by order and wavenumber.

    The equations of a point source in the innermost cylinder are solved by
    Bessel functions; potential and radial current continue through each
    boundary, and no current leaves the skin.

    Parameters
    ----------
    limb : Limb
        Layers.
    depths : ndarray of shape (n_depths,)
        Of the sources below the surface of the muscle, mm.

    Returns
    -------
    transfer : ndarray of shape (n_depths, n_orders, n_wavenumbers), float32
        In ohm times mm. Wavenumber zero is set to zero: a fibre has no net
        current.

    References
    ----------
    Farina D, Mesin L, Martina S, Merletti R (2004). A surface EMG generation
    model with multilayer cylindrical description of the volume conductor. IEEE
    Trans Biomed Eng 51:415-426, section II (without the bone).
    """
    across, along, fat, skin = limb.conductivities
    k = wavenumbers()[1:]
    muscle, fat_radius = limb.muscle_radius, limb.muscle_radius + limb.fat
    admittance, through_skin = _through_layer(0.0, skin, k, fat_radius, limb.radius)
    admittance, through_fat = _through_layer(admittance, fat, k, muscle, fat_radius)

    orders = np.arange(N_ORDERS)[:, None]
    stretched = k * np.sqrt(along / across)
    at_boundary = _grow_first(stretched * muscle)
    slope = across * stretched * (at_boundary + orders / (stretched * muscle))
    boundary = through_skin * through_fat / (muscle * (slope - admittance))

    depths = np.asarray(depths, dtype=float)[:, None]
    x = stretched * (muscle - depths)
    zeroth = special.i0e(x) / special.i0e(stretched * muscle)
    zeroth *= np.exp(-stretched * depths)
    inside = _quotient(zeroth, _grow_first(x), at_boundary[:, None])
    inside = inside.transpose(1, 0, 2)
    transfer = np.zeros((len(depths), N_ORDERS, len(k) + 1), dtype=np.float32)
    transfer[..., 1:] = inside * boundary
    return transfer


def _plate(k, extent):
    """Average over an electrode of `extent` mm along one direction."""
    return np.sinc(k * extent / (2 * np.pi))


def _membrane_slope():
    """Slope of the action potential along the fibre, mV/mm, every mm of travel.

    The potential is 96 u^3 exp(-u) mV, u mm behind the front (Rosenfalck 1969).
    """
    u = np.arange(N_ALONG, dtype=float)
    return 96 * (3 * u**2 - u**3) * np.exp(-u)


def _end(length, travel):
    """Weight of the points of a fibre: one up to its end, then zero."""
    edge = np.clip(length[:, None, None] - travel + 0.5, 0, 1)
    return edge.astype(np.float32)


def _around(limb, angle, electrodes, transfer, layer):
    """Sum the angular orders for each fibre and electrode, by wavenumber."""
    orders = np.arange(N_ORDERS)
    weight = np.where(orders == 0, 1.0, 2.0) / (2 * np.pi)
    weight = weight * _plate(orders / limb.radius, electrodes.width)
    columns, column = np.unique(electrodes.angle, return_inverse=True)
    cosines = np.cos(orders * (columns - angle[:, None])[..., None]) * weight
    cosines = cosines.astype(np.float32)
    result = np.empty((*cosines.shape[:2], transfer.shape[-1]), dtype=np.float32)
    for index in np.unique(layer):
        here = layer == index
        result[here] = cosines[here] @ transfer[index]
    return result[:, column]


def unit_potentials(limb, fibres, electrodes, table):
    """Potential of motor units at electrodes as a function of the way travelled.

    With s = velocity x time as argument one table serves every conduction
    velocity, fatigued ones too. A fibre is the line source of its axial
    current, cut at end plate and tendons, so that the standing potentials of
    generation and extinction come out by themselves: the potential is the
    convolution of the membrane's slope with the (windowed) slope of the
    surface potential of a point source along the fibre.

    Parameters
    ----------
    limb : Limb
        Layers.
    fibres : Fibres
        Of shape (n_units, n_fibres).
    electrodes : Electrodes
        Where and how the potential is taken.
    table : tuple (depths, transfer)
        Depths and what :func:`surface_transfer` gave for them; each fibre uses
        the nearest depth.

    Returns
    -------
    potentials : ndarray of shape (n_units, n_electrodes, n_travel), float32
        In microvolts, at s = 0, 0.5, 1, ... mm.

    References
    ----------
    Dimitrov GV, Dimitrova NA (1998). Precise and fast calculation of the motor
    unit potentials detected by a point and rectangular plate electrode. Med Eng
    Phys 20:374-381. Farina D, Merletti R (2001). A novel approach for precise
    simulation of the EMG signal detected by surface electrodes. IEEE Trans
    Biomed Eng 48:637-646, section II.
    """
    depths, transfer = table
    longest = max(fibres.distal.max(), fibres.proximal.max()) + 25.0
    n_travel = min(int(longest * UPSAMPLING), N_ALONG * UPSAMPLING)
    n_units, n_lines = fibres.depth.shape
    n_electrodes = len(electrodes.angle)
    potentials = np.empty((n_units, n_electrodes, n_travel), dtype=np.float32)
    k = wavenumbers()
    along = 1j * k * _plate(k, electrodes.length)
    if electrodes.spacing is not None:
        along = along * 2j * np.sin(k * electrodes.spacing / 2)
    to_electrode = np.exp(-1j * k * electrodes.position[:, None])
    membrane = fft.rfft(_membrane_slope()).astype(np.complex64)
    # A few units at a time keep the intermediate arrays in the cache.
    at_once = max(1, 2**20 // (n_lines * n_electrodes * N_ALONG))
    for start in range(0, n_units, at_once):
        units = slice(start, start + at_once)
        depth, angle, end_plate, distal, proximal = (
            values[units].ravel()
            for values in (
                fibres.depth,
                fibres.angle,
                fibres.end_plate,
                fibres.distal,
                fibres.proximal,
            )
        )
        layer = np.abs(depth[:, None] - depths).argmin(axis=1)
        spectrum = _around(limb, angle, electrodes, transfer, layer)
        spectrum = spectrum * to_electrode.astype(np.complex64)
        from_fibre = np.exp(1j * k * end_plate[:, None]) * along
        spectrum *= from_fibre[:, None].astype(np.complex64)
        slope = fft.irfft(spectrum, n=N_ALONG, axis=-1)

        travel = np.arange(N_ALONG // 2)
        window = slope[..., : N_ALONG // 2] * _end(distal, travel)
        window -= slope[..., -travel] * _end(proximal, travel)
        window = window.reshape(-1, n_lines, *window.shape[1:]).mean(axis=1)
        window *= (fibres.n_fibres[units] * FIBRE_CONDUCTANCE * 1e3)[:, None, None]

        potential = fft.rfft(window.astype(np.float32), n=N_ALONG, axis=-1)
        potential = fft.irfft(potential * membrane, n=N_ALONG * UPSAMPLING, axis=-1)
        potentials[units] = potential[..., :n_travel] * UPSAMPLING
    if electrodes.average:
        potentials -= potentials.mean(axis=1, keepdims=True)
    return potentials
