"""What a network would take on a GAP9, without a bundle."""

from dataclasses import dataclass
from functools import cached_property

from ..._validation import check_choice, check_number
from .._integer.program import Preprocess
from .._integer.shapes import is_shape
from ._cost import COEFFICIENTS, OPERATING_POINTS, estimate, render_table
from ._memory import MemoryPlan
from ._plan import plan_program
from ._report import plot_cost, plot_memory

__all__ = ["GAP9Estimate", "check_memory", "estimate_gap9", "plan_pipeline"]

_KB = 1024


@dataclass(frozen=True)
class GAP9Estimate:
    """Memory, time and energy of a network; ``str(estimate)`` is a table.

    Parameters
    ----------
    plan : MemoryPlan
        Where everything lies.
    profile : {"370MHz", "240MHz", "150MHz"}
        Operating point of the table and the figure.
    preprocess : Preprocess or None, default=None
        Channel map and filter, whose time is counted; None: the network alone.

    Examples
    --------
    >>> from sktinymyo.export._integer.program import ProgramShape
    >>> from sktinymyo.export.gap9 import estimate_gap9
    >>> shape = ProgramShape(
    ...     n_channels=8, n_times=200, patch_size=20, n_patches=10, embed_dim=96,
    ...     n_heads=3, head_dim=32, mlp_dim=384, depth=3, n_classes=6, table_length=10,
    ... )
    >>> print(estimate_gap9(shape))
    layer   ...
    all     ...
    published       370MHz ...
    """

    plan: MemoryPlan
    profile: str = "370MHz"
    preprocess: Preprocess | None = None

    @cached_property
    def estimates(self):
        """CostEstimate by name of the coefficients."""
        shape = self.plan.shape
        return {
            name: estimate(shape, name, self.plan, self.preprocess)
            for name in COEFFICIENTS
        }

    def table(self, *, per_layer=False):
        """Return the estimates as a table.

        Parameters
        ----------
        per_layer : bool, default=False
            A line for every layer, in place of the sum over the blocks.

        Returns
        -------
        table : str
        """
        items = list(self.estimates.values())
        return render_table(items, self.profile, per_layer=per_layer)

    def plot(self, axes=None):
        """Draw the time of the layers as bars.

        Parameters
        ----------
        axes : sequence of 2 matplotlib Axes or None, default=None
            None makes a figure.

        Returns
        -------
        figure : matplotlib.figure.Figure
        """
        return plot_cost(list(self.estimates.values()), self.profile, axes)

    def plot_memory(self, axes=None):
        """Draw what lies in L2 and L1 over the steps of the network.

        Parameters
        ----------
        axes : sequence of 2 matplotlib Axes or None, default=None
            None makes a figure.

        Returns
        -------
        figure : matplotlib.figure.Figure
        """
        return plot_memory(self.plan, axes)

    def to_dict(self):
        """Return the estimates as plain dicts and numbers.

        Returns
        -------
        estimates : dict of str to dict
            By name of the coefficients.
        """
        return {name: item.to_dict() for name, item in self.estimates.items()}

    def __str__(self):
        return self.table()


def estimate_gap9(pipeline_or_shape, *, profile="370MHz", l1_kb=100, l2_kb=1400):
    """Estimate memory, time and energy of a network on a GAP9.

    Never measured: a model of the cycles, 25 % off in either direction, with two sets
    of coefficients. "published" reproduces the 0.785 s that were published for
    TinyMyo, without the residual additions that this deployment left out;
    "optimised" is what the kernels reach in a simulator.

    Parameters
    ----------
    pipeline_or_shape : fitted pipeline, ProgramShape or ImageShape
        The network. Of a pipeline the filter and the quantisation of a whole window
        are counted too; a shape is the network alone.
    profile : {"370MHz", "240MHz", "150MHz"}, default="370MHz"
        Operating point of the table and the figure.
    l1_kb, l2_kb : int, default=100, 1400
        Memory that the program may take, in units of 1024 bytes.

    Returns
    -------
    estimate : GAP9Estimate
        Print it, or see its ``estimates``, ``plan``, ``table()``, ``plot()``.

    Raises
    ------
    UnsupportedStepError
        If steps of the pipeline have no integer form.
    PlanError
        If the network does not fit the memory.

    Examples
    --------
    >>> from sktinymyo.export._integer.program import ProgramShape
    >>> from sktinymyo.export.gap9 import estimate_gap9
    >>> shape = ProgramShape(
    ...     n_channels=8, n_times=1000, patch_size=20, n_patches=50, embed_dim=192,
    ...     n_heads=3, head_dim=64, mlp_dim=768, depth=8, n_classes=6, table_length=50,
    ... )
    >>> seconds, low, high = estimate_gap9(shape).estimates["published"].seconds(
    ...     "370MHz")
    >>> round(low, 1), round(high, 1)
    (0.6, 1.0)
    """
    check_choice("profile", profile, OPERATING_POINTS)
    check_memory(l1_kb, l2_kb)
    network = pipeline_or_shape
    if not is_shape(network):
        from .._pipeline import read_pipeline

        network = read_pipeline(network)
    return plan_pipeline(network, l1_kb, l2_kb, profile)


def check_memory(l1_kb, l2_kb):
    """Refuse sizes of the memory that are no whole numbers."""
    for name, value in (("l1_kb", l1_kb), ("l2_kb", l2_kb)):
        check_number(name, value, minimum=1, integer=True)


def plan_pipeline(network, l1_kb, l2_kb, profile):
    """Plan and estimate a model of ``_pipeline.py`` or a shape."""
    shape, preprocess = network, None
    if not is_shape(network):
        from .._integer.lowering import shape_of

        shape, preprocess = shape_of(network), network.preprocess
    plan = plan_program(shape, int(l1_kb) * _KB, int(l2_kb) * _KB)
    return GAP9Estimate(plan, profile, preprocess)
