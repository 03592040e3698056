"""Download of public sets at pinned commits, every file checked by its sha256."""

from ._ciil import load_ciil
from ._cote_allard import load_cote_allard
from ._download import RemoteSet, fetch_set
from ._myo_readings import load_myo_readings
from ._one_subject_myo import load_one_subject_myo
from ._three_dc import load_3dc

_ONE_SUBJECT_MYO = RemoteSet(
    "one_subject_myo",
    "LibEMG/OneSubjectMyoDataset",
    "98d323eb224f3a270ce9c230b3dc9f7de5d9b637",
    as_archive=False,
)
_3DC = RemoteSet(
    "3dc",
    "LibEMG/3DCDataset",
    "1af9058237a5d79a883feb2ce61f4d59090288ac",
    as_archive=True,
)
_COTE_ALLARD = RemoteSet(
    "cote_allard",
    "UlysseCoteAllard/MyoArmbandDataset",
    "4de3efef85356fbf565d96a150f386d99165cfee",
    as_archive=True,
)
_CIIL = RemoteSet(
    "ciil",
    "LibEMG/CIILData",
    "b7230dd253b3cd2c2603f5fdeb0c3711551ba19f",
    as_archive=True,
)
_MYO_READINGS = RemoteSet(
    "myo_readings",
    "aljazfrancic/myo-readings-dataset",
    "2630b1dd8b83b2fa386f06d536f64254ad541ac5",
    as_archive=True,
)


def fetch_one_subject_myo(*, data_home=None, download_if_missing=True, **selection):
    """Download OneSubjectMyo (1 MB) and load it.

    Parameters
    ----------
    data_home : str, path or None, default=None
        Where to keep the files; see :func:`get_data_home`.
    download_if_missing : bool, default=True
        False raises an error instead of using the network.
    **selection : object
        Passed to :func:`load_one_subject_myo`: ``sessions``, ``repetitions``,
        ``gestures``, ``lazy``.

    Returns
    -------
    bunch : Bunch
        As from :func:`load_one_subject_myo`.

    Raises
    ------
    DatasetNotFoundError
        If the files are missing and may not or cannot be downloaded.
    DatasetFormatError
        If a download does not have the recorded sha256; it is thrown away.
    OptionalDependencyError
        If pooch is needed and missing.

    Notes
    -----
    Files come one by one from a pinned commit. Those that are there and have
    the recorded sha256 are not fetched again, so an interrupted download goes
    on where it stopped.

    Examples
    --------
    >>> from sktinymyo.datasets import fetch_one_subject_myo
    >>> bunch = fetch_one_subject_myo()  # doctest: +SKIP
    >>> len(bunch.recordings)  # doctest: +SKIP
    60
    """
    folder = fetch_set(_ONE_SUBJECT_MYO, data_home, download_if_missing)
    return load_one_subject_myo(folder, **selection)


def fetch_3dc(*, data_home=None, download_if_missing=True, **selection):
    """Download 3DC (368 MB of EMG; the archive holds more) and load it.

    Parameters
    ----------
    data_home : str, path or None, default=None
        Where to keep the files; see :func:`get_data_home`.
    download_if_missing : bool, default=True
        False raises an error instead of using the network.
    **selection : object
        Passed to :func:`load_3dc`: ``subjects``, ``sessions``,
        ``repetitions``, ``gestures``, ``drop_copies``, ``lazy``.

    Returns
    -------
    bunch : Bunch
        As from :func:`load_3dc`.

    Raises
    ------
    DatasetNotFoundError
        If the files are missing and may not or cannot be downloaded.
    DatasetFormatError
        If a file in the archive does not have the recorded sha256.
    OptionalDependencyError
        If pooch is needed and missing.

    Notes
    -----
    One archive of a pinned commit is downloaded (a broken download goes on
    where the server allows it), the EMG files are taken out one by one and
    checked by sha256, then the archive is removed.

    Examples
    --------
    >>> from sktinymyo.datasets import fetch_3dc
    >>> bunch = fetch_3dc(subjects=[1, 2], lazy=True)  # doctest: +SKIP
    """
    return load_3dc(fetch_set(_3DC, data_home, download_if_missing), **selection)


def fetch_cote_allard(*, data_home=None, download_if_missing=True, **selection):
    """Download the Myo set of Cote-Allard and others (34 MB) and load it.

    Parameters
    ----------
    data_home : str, path or None, default=None
        Where to keep the files; see :func:`get_data_home`.
    download_if_missing : bool, default=True
        False raises an error instead of using the network.
    **selection : object
        Passed to :func:`load_cote_allard`: ``part``, ``subjects``,
        ``sessions``, ``repetitions``, ``gestures``, ``drop_copies``, ``lazy``.

    Returns
    -------
    bunch : Bunch
        As from :func:`load_cote_allard`.

    Raises
    ------
    DatasetNotFoundError
        If the files are missing and may not or cannot be downloaded.
    DatasetFormatError
        If a file in the archive does not have the recorded sha256.
    OptionalDependencyError
        If pooch is needed and missing.

    Notes
    -----
    As for :func:`fetch_3dc`. Only recordings are taken out of the archive, not
    the programs and pickled models beside them.

    Examples
    --------
    >>> from sktinymyo.datasets import fetch_cote_allard
    >>> bunch = fetch_cote_allard(part="evaluation")  # doctest: +SKIP
    """
    folder = fetch_set(_COTE_ALLARD, data_home, download_if_missing)
    return load_cote_allard(folder, **selection)


def fetch_ciil(*, data_home=None, download_if_missing=True, **selection):
    """Download CIIL (32 MB) and load it.

    Parameters
    ----------
    data_home : str, path or None, default=None
        Where to keep the files; see :func:`get_data_home`.
    download_if_missing : bool, default=True
        False raises an error instead of using the network.
    **selection : object
        Passed to :func:`load_ciil`: ``part``, ``subjects``, ``sessions``,
        ``repetitions``, ``gestures``, ``lazy``.

    Returns
    -------
    bunch : Bunch
        As from :func:`load_ciil`.

    Raises
    ------
    DatasetNotFoundError
        If the files are missing and may not or cannot be downloaded.
    DatasetFormatError
        If a file in the archive does not have the recorded sha256.
    OptionalDependencyError
        If pooch is needed and missing.

    Notes
    -----
    As for :func:`fetch_3dc`.

    Examples
    --------
    >>> from sktinymyo.datasets import fetch_ciil
    >>> bunch = fetch_ciil(part="shift")  # doctest: +SKIP
    """
    return load_ciil(fetch_set(_CIIL, data_home, download_if_missing), **selection)


def fetch_myo_readings(*, data_home=None, download_if_missing=True, **selection):
    """Download myo-readings-dataset (296 MB) and load it.

    Parameters
    ----------
    data_home : str, path or None, default=None
        Where to keep the files; see :func:`get_data_home`.
    download_if_missing : bool, default=True
        False raises an error instead of using the network.
    **selection : object
        Passed to :func:`load_myo_readings`: ``hand``, ``curated``,
        ``subjects``, ``sessions``, ``repetitions``, ``gestures``, ``segment``,
        ``lazy``.

    Returns
    -------
    bunch : Bunch
        As from :func:`load_myo_readings`.

    Raises
    ------
    DatasetNotFoundError
        If the files are missing and may not or cannot be downloaded.
    DatasetFormatError
        If a file in the archive does not have the recorded sha256.
    OptionalDependencyError
        If pooch is needed and missing.

    Notes
    -----
    As for :func:`fetch_3dc`.

    Examples
    --------
    >>> from sktinymyo.datasets import fetch_myo_readings
    >>> bunch = fetch_myo_readings(curated=True)  # doctest: +SKIP
    """
    folder = fetch_set(_MYO_READINGS, data_home, download_if_missing)
    return load_myo_readings(folder, **selection)
