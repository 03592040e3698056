"""Places for buffers that are needed for a part of the time, in little memory."""

from dataclasses import dataclass

from ._tiles import align

__all__ = ["Request", "lower_bound", "place"]


@dataclass(frozen=True)
class Request:
    """A buffer that wants a place.

    Parameters
    ----------
    name : str
        Unique name.
    size : int
        Bytes.
    first_step, last_step : int
        Steps during which it is needed, both included.
    """

    name: str
    size: int
    first_step: int
    last_step: int

    def meets(self, other):
        """Say whether both are needed in some step."""
        return self.first_step <= other.last_step and other.first_step <= self.last_step

    @property
    def duration(self):
        """Steps during which it is needed."""
        return self.last_step - self.first_step + 1


# First-fit decreasing under several ideas of "large": which is best depends on the
# network, and all of them together take milliseconds.
_ORDERS = (
    lambda request: (-request.size, request.first_step),
    lambda request: (-request.duration, -request.size),
    lambda request: (-request.size * request.duration, request.first_step),
    lambda request: (request.first_step, -request.size),
)


def lower_bound(requests):
    """Return the bytes that the fullest step takes, whatever the placement.

    All buffers of a step count with the gaps of the alignment, but for the last one.
    """
    most = 0
    for step in {request.first_step for request in requests}:
        sizes = [r.size for r in requests if r.first_step <= step <= r.last_step]
        gaps = [align(size) - size for size in sizes]
        most = max(most, sum(sizes) + sum(gaps) - max(gaps))
    return most


def place(requests):
    """Find an offset for every buffer so that no two that are alive overlap.

    Parameters
    ----------
    requests : list of Request

    Returns
    -------
    offsets : dict of str to int
        Multiples of 16 bytes.
    """
    bound = lower_bound(requests)
    best, least = None, None
    for order in _ORDERS:
        offsets, peak = _first_fit(sorted(requests, key=order))
        if least is None or peak < least:
            best, least = offsets, peak
        if least == bound:
            break
    return best


def _first_fit(requests):
    placed, peak = [], 0
    for request in requests:
        offset, size = 0, align(request.size)
        for start, end, other in placed:
            if request.meets(other):
                if offset + size <= start:
                    break
                offset = max(offset, end)
        placed.append((offset, offset + size, request))
        placed.sort(key=lambda item: item[:2])
        peak = max(peak, offset + request.size)
    return {request.name: offset for offset, _, request in placed}, peak
