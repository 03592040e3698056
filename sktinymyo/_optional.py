"""Import of optional packages with an error that says what to install."""

import importlib

from .exceptions import OptionalDependencyError


def import_optional(module, *, extra, purpose):
    """Import an optional package or explain how to get it.

    Parameters
    ----------
    module : str
        Dotted module name, such as ``"matplotlib.pyplot"``.
    extra : str
        Name of the extra of sktinymyo that installs the package.
    purpose : str
        What needs the package, as the subject of a sentence
        (``"EMGDisplay.plot"``).

    Returns
    -------
    module
        The imported module.

    Raises
    ------
    OptionalDependencyError
        If the package cannot be imported.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        package = module.split(".")[0]
        raise OptionalDependencyError(
            f"{purpose} needs the package {package!r}, which could not be imported "
            f"({error}). Install it with: pip install 'sktinymyo[{extra}]'"
        ) from error
