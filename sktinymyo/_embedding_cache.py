"""Embeddings of windows on disk, computed once per window.

joblib's ``Memory`` caches whole calls: a cross-validation cuts the same
windows into ever new sets, so that hardly a call repeats. Here every window
is a key of its own, and only windows never seen before reach the encoder.
"""

import contextlib
import hashlib
import os
import shutil
import tempfile
import warnings
from pathlib import Path

import numpy as np
from sklearn.utils.validation import check_memory

__all__ = ["EmbeddingCache"]

_KEY_BYTES = 16


class EmbeddingCache:
    """Remember the embedding of every window.

    The entries lie inside the folder of the joblib memory, one folder per
    call that met new windows, written beside and renamed: several processes
    may share a cache, and ``Memory.clear`` and ``Memory.reduce_size`` reach it.

    Parameters
    ----------
    memory : None, str, pathlib.Path or joblib.Memory
        Where to keep the embeddings; None (or a memory without a location)
        keeps nothing.
    context : bytes
        Everything beside the window that decides on its embedding: encoder,
        scaling, pooling, precision.
    """

    def __init__(self, memory, context):
        if isinstance(memory, os.PathLike):
            memory = os.fspath(memory)
        store = getattr(check_memory(memory), "store_backend", None)
        self._folder = None
        if store is not None:
            name = hashlib.blake2b(context, digest_size=12).hexdigest()
            self._folder = Path(store.location) / "sktinymyo" / f"embeddings-{name}"

    def compute(self, X, embed):
        """Return the embedding of every window, calling `embed` on new ones only.

        Parameters
        ----------
        X : ndarray of shape (n_windows, n_channels, n_times)
            Windows.
        embed : callable
            Takes an array of windows, returns an array with one row a window.

        Returns
        -------
        embeddings : ndarray of shape (n_windows, ...)
        """
        if self._folder is None:
            return embed(X)
        keys = [_key_of(window) for window in X]
        known = self._load(set(keys))
        first_seen = {}
        for row, key in enumerate(keys):
            if key not in known:
                first_seen.setdefault(key, row)
        if first_seen:
            rows = list(first_seen.values())
            new = embed(X if len(rows) == len(X) else X[rows])
            self._save(list(first_seen), new)
            if len(rows) == len(X):
                return new
            known.update(zip(first_seen, new, strict=True))
        embeddings = np.empty((len(X), *known[keys[0]].shape), dtype=np.float32)
        for row, key in enumerate(keys):
            embeddings[row] = known[key]
        return embeddings

    def _load(self, wanted):
        """Return the stored embeddings among the keys wanted."""
        known = {}
        with contextlib.suppress(FileNotFoundError):
            for shard in sorted(self._folder.iterdir()):
                if shard.name.startswith("."):
                    continue
                try:
                    stored = np.load(shard / "keys.npy", allow_pickle=False)
                    values = np.load(
                        shard / "values.npy", mmap_mode="r", allow_pickle=False
                    )
                    for row, key in enumerate(map(bytes, stored)):
                        if key in wanted:
                            # A copy, or every shard would keep its file open.
                            known[key] = np.array(values[row])
                except (OSError, ValueError, EOFError, IndexError):
                    # Damaged, or being cleared: these windows are computed again.
                    shutil.rmtree(shard, ignore_errors=True)
        return known

    def _save(self, keys, values):
        """Write one shard beside the others, then rename it into place."""
        beside = None
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            beside = Path(tempfile.mkdtemp(prefix=".writing-", dir=self._folder))
            stored = np.frombuffer(b"".join(keys), dtype=np.uint8)
            np.save(beside / "keys.npy", stored.reshape(-1, _KEY_BYTES))
            np.save(beside / "values.npy", np.asarray(values, dtype=np.float32))
            # A name of 32 hexadecimal digits is what joblib counts and evicts.
            name = hashlib.blake2b(b"".join(keys), digest_size=16).hexdigest()
            # Another process may have stored the same windows meanwhile.
            with contextlib.suppress(OSError):
                beside.rename(self._folder / name)
        except OSError as error:
            warnings.warn(
                f"The embeddings could not be kept in {self._folder}: {error}. They "
                "are used all the same, and computed again next time.",
                UserWarning,
                stacklevel=2,
            )
        finally:
            if beside is not None:
                shutil.rmtree(beside, ignore_errors=True)


def _key_of(window):
    """Return a short digest of one window: its values, type and shape."""
    digest = hashlib.blake2b(digest_size=_KEY_BYTES)
    digest.update(f"{window.dtype.str}{window.shape}".encode())
    digest.update(np.ascontiguousarray(window).data)
    return digest.digest()
