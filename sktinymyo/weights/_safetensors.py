"""Safetensors files: refusing everything else, reading once, writing whole.

The header is read and judged before any tensor is. The bytes of the file are
read a single time, so that the checksum belongs to exactly the tensors that are
returned, even while another process replaces the file.
"""

import hashlib
import json
import os
import stat
from dataclasses import dataclass
from pathlib import Path

import safetensors.torch
from safetensors import SafetensorError

from .._files import write_whole
from ..exceptions import UnsafeFileError, WeightsError, WeightsNotFoundError

__all__ = [
    "TensorFile",
    "TensorSpec",
    "check_suffix",
    "parse_json_object",
    "read_json_file",
    "shown",
    "write_file",
]

# Generous: the header of an encoder with 100 blocks has about 100 kB.
MAX_HEADER_BYTES = 10 * 2**20
MAX_FILE_BYTES = 4 * 2**30
MAX_JSON_BYTES = 2**20

PICKLE_SUFFIXES = (".pt", ".pth", ".ckpt", ".bin", ".pkl", ".pickle", ".joblib")
# Archives of torch.save (zip) and the opcode that starts pickles of protocol 2 to 5.
_ZIP_STARTS = (b"PK\x03\x04", b"PK\x05\x06")
_PICKLE_STARTS = tuple(bytes([0x80, protocol]) for protocol in range(2, 6))


@dataclass(frozen=True)
class TensorSpec:
    """Stored type and shape of a tensor, as the header gives them."""

    dtype: str
    shape: tuple


class TensorFile:
    """An open safetensors file whose header has been checked.

    Parameters
    ----------
    path : Path
        The file.

    Attributes
    ----------
    metadata : dict of str to str
        Free texts of the header.
    specs : dict of str to TensorSpec
        Every tensor by name.

    Raises
    ------
    WeightsNotFoundError
        If there is no such file.
    UnsafeFileError
        If it is a pickle, by its name or by its first bytes.
    WeightsError
        If it is no safetensors file, or a damaged one.
    """

    def __init__(self, path):
        self.path = path
        check_suffix(path)
        self._file = _open_regular(path)
        try:
            self._size = os.fstat(self._file.fileno()).st_size
            self._head = self._read_header(self._size)
            header = parse_json_object(self._head[8:], f"the header of {path}")
            self.metadata, self.specs = _split_header(header, path)
        except OSError as error:
            self._file.close()
            raise _unreadable(path, error) from error
        except BaseException:
            self._file.close()
            raise

    def __enter__(self):
        """Return the file itself."""
        return self

    def __exit__(self, *exception):
        """Close the file."""
        self._file.close()

    def load(self):
        """Read all tensors.

        Returns
        -------
        tensors : dict of str to torch.Tensor
            Tensors in main memory, in the type stored.
        sha256 : str
            Checksum of the bytes read.
        """
        try:
            # One byte more than expected shows a file that grew in the meantime.
            data = self._head + self._file.read(self._size - len(self._head) + 1)
            tensors = safetensors.torch.load(data)
        except OSError as error:
            raise _unreadable(self.path, error) from error
        except SafetensorError as error:
            raise WeightsError(
                f"{self.path} is damaged: {error}. Copy or download it again."
            ) from error
        return tensors, hashlib.sha256(data).hexdigest()

    def _read_header(self, size):
        start = self._file.read(9)
        length = int.from_bytes(start[:8], "little")
        # 0x80 0x02 starts a pickle, but also a header of 640 bytes: the brace after
        # a believable length decides.
        if len(start) < 9 or start[8:] != b"{" or length > MAX_HEADER_BYTES:
            _refuse_pickles(self.path, start)
            raise WeightsError(
                f"{self.path} is not a safetensors file"
                f"{' (it is empty)' if size == 0 else ''}: it does not start with the "
                "length and the opening brace of a header."
            )
        if 8 + length > size:
            raise WeightsError(
                f"{self.path} is cut short: its header should have {length} bytes, "
                f"the whole file has {size}. Copy or download it again."
            )
        if size > MAX_FILE_BYTES:
            raise WeightsError(
                f"{self.path} has {size} bytes; more than {MAX_FILE_BYTES} are not "
                "accepted for weights."
            )
        return start + self._file.read(length - 1)


def shown(name):
    """Return a tensor's name for a message: short, and safe on a terminal."""
    name = name if len(name) <= 200 else f"{name[:200]}..."
    return name if name.isprintable() and name else ascii(name)


def check_suffix(path):
    """Refuse file names that belong to pickles, before anything is read."""
    suffix = Path(path).suffix.lower()
    if suffix in PICKLE_SUFFIXES:
        raise _unsafe(path, f"files ending in {suffix} are pickles")


def parse_json_object(text, origin):
    """Parse a JSON object from a stranger's file.

    Parameters
    ----------
    text : bytes or str
        What to parse.
    origin : str
        Where it is from, for messages.

    Returns
    -------
    fields : dict

    Raises
    ------
    WeightsError
        If it is not valid JSON, names a field twice, or is no object.
    """
    try:
        fields = json.loads(text, object_pairs_hook=_refuse_duplicates)
    except (ValueError, RecursionError) as error:
        reason = "nested too deeply" if isinstance(error, RecursionError) else error
        raise WeightsError(f"{origin} is not valid JSON: {reason}.") from error
    if not isinstance(fields, dict):
        raise WeightsError(
            f"{origin} must hold a JSON object; it holds a {type(fields).__name__}."
        )
    return fields


def read_json_file(path):
    """Read a small JSON file that lies beside weights.

    Parameters
    ----------
    path : Path
        The file.

    Returns
    -------
    fields : dict

    Raises
    ------
    WeightsError
        If it cannot be read, is too long, or holds no JSON object.
    """
    with _open_regular(path) as file:
        try:
            text = file.read(MAX_JSON_BYTES + 1)
        except OSError as error:
            raise _unreadable(path, error) from error
    if len(text) > MAX_JSON_BYTES:
        raise WeightsError(f"{path} has more than {MAX_JSON_BYTES} bytes.")
    return parse_json_object(text, str(path))


def write_file(path, tensors, metadata):
    """Write a safetensors file: the whole of it or nothing.

    Parameters
    ----------
    path : Path
        Target; replaced in one step if it exists.
    tensors : dict of str to torch.Tensor
        Contiguous tensors in main memory that share no memory.
    metadata : dict of str to str
        Texts for the header.

    Returns
    -------
    sha256 : str
        Checksum of the file.
    """
    data = safetensors.torch.save(tensors, metadata)
    write_whole(path, data)
    return hashlib.sha256(data).hexdigest()


def _open_regular(path):
    try:
        mode = path.stat().st_mode
        # Checked before opening: to open a named pipe would wait for ever.
        if not stat.S_ISREG(mode):
            kind = "a folder" if stat.S_ISDIR(mode) else "not a regular file"
            raise WeightsError(f"{path} is {kind}; pass a safetensors file.")
        return path.open("rb")
    except FileNotFoundError as error:
        raise WeightsNotFoundError(f"There is no file {path}.") from error
    except (OSError, ValueError) as error:
        raise _unreadable(path, error) from error


def _unreadable(path, error):
    return WeightsError(f"{path} cannot be read: {error}.")


def _unsafe(path, reason):
    return UnsafeFileError(
        f"{path} was refused: {reason}, and opening a pickle can run any code that its "
        "author put in. Convert a file from somebody you trust once, with plain torch:"
        "\n\n"
        "    import torch\n"
        "    from safetensors.torch import save_file\n\n"
        f'    state = torch.load({str(path)!r}, map_location="cpu", '
        "weights_only=True)\n"
        '    state = state.get("state_dict", state)\n'
        "    save_file({name: tensor.contiguous().clone() for name, tensor in "
        'state.items()}, "weights.safetensors")\n\n'
        'and pass "weights.safetensors".'
    )


def _refuse_pickles(path, start):
    if start.startswith(_ZIP_STARTS):
        raise _unsafe(path, "its content is a zip archive, as torch.save writes")
    if start.startswith(_PICKLE_STARTS):
        raise _unsafe(path, "its content is a pickle")


def _refuse_duplicates(pairs):
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise ValueError("a field occurs twice")
    return fields


def _split_header(header, path):
    metadata = header.pop("__metadata__", {})
    if not isinstance(metadata, dict) or not all(
        isinstance(value, str) for value in metadata.values()
    ):
        raise WeightsError(f"the header of {path} is damaged: metadata must be texts.")
    specs = {}
    for name, entry in header.items():
        dtype = entry.get("dtype") if isinstance(entry, dict) else None
        shape = entry.get("shape") if isinstance(entry, dict) else None
        if (
            not isinstance(dtype, str)
            or not isinstance(shape, list)
            or len(shape) > 8
            # Longer ones are beyond any file, and the longest beyond arithmetic.
            or not all(type(n) is int and 0 <= n <= MAX_FILE_BYTES for n in shape)
        ):
            raise WeightsError(
                f"the header of {path} is damaged: the entry of tensor {shown(name)} "
                "has no valid type and shape."
            )
        specs[name] = TensorSpec(dtype, tuple(shape))
    return metadata, specs
