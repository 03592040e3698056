"""Single samples of windows as images: drawn, laid out and run through a network."""

import threading

import numpy as np
import torch

from ._torch import limited_threads

__all__ = ["FrameRunner", "draw_frames", "read_images"]

# Images of one forward pass in prediction, and values of one block of windows.
_IMAGES_PER_CALL = 512
_VALUES_PER_BLOCK = 4_194_304


def draw_frames(rows, n_times, n_frames, rng):
    """Draw samples in time, spread evenly over each window from a random start.

    Samples beside one another are nearly the same image.

    Parameters
    ----------
    rows : ndarray of int
        Windows to draw from.
    n_times : int
        Samples of a window.
    n_frames : int
        How many to draw of each window, at most `n_times`.
    rng : numpy.random.RandomState
        Source of the starts.

    Returns
    -------
    frames : ndarray of int, shape (n_rows * n_frames,)
        Numbers of frames: window times `n_times` plus sample.
    """
    if n_frames == n_times:
        times = np.arange(n_times)
    else:
        step = n_times / n_frames
        start = rng.uniform(0, step, size=(len(rows), 1))
        times = (start + step * np.arange(n_frames)).astype(np.int64)
        np.minimum(times, n_times - 1, out=times)
    return (rows[:, np.newaxis] * n_times + times).ravel()


def _lay_out(values, cells):
    """Lay values (n, n_channels) out on the grid; missing cells are zero."""
    places = torch.from_numpy(np.where(cells < 0, values.shape[1], cells))
    return torch.nn.functional.pad(values, (0, 1))[:, places]


def read_images(windows, frames, scaler, cells):
    """Return the images of numbered frames, without a copy of all others.

    Parameters
    ----------
    windows : ndarray of shape (n_windows, n_channels, n_times)
        Windows of any real type.
    frames : ndarray of int
        Numbers as from :func:`draw_frames`.
    scaler : WindowScaler
        Applied to the values.
    cells : ndarray of int, shape (rows, columns)
        Channel of every cell, -1 for none.

    Returns
    -------
    images : float32 tensor of shape (n_frames, rows, columns)
    """
    window, time = np.divmod(frames, windows.shape[2])
    values = scaler.to_tensor(windows[window, :, time][:, :, np.newaxis])
    return _lay_out(values[:, :, 0], cells)


class FrameRunner:
    """Run a fitted network over the samples of any number of windows.

    Parameters
    ----------
    module : AllConvNet
        The network; it is put into evaluation mode.
    scaler : WindowScaler
        Applied to the values.
    cells : ndarray of int, shape (rows, columns)
        Channel of every cell, -1 for none.
    """

    def __init__(self, module, scaler, cells):
        self.module = module.eval().requires_grad_(False)
        self.scaler = scaler
        self.cells = cells
        self._folded = None
        self._lock = threading.Lock()

    def _network(self, device):
        with self._lock:
            if self._folded is None:
                self._folded = self.module.fold()
            return self._folded.to(device)

    def run(self, windows, *, device, precision, batch_size, method="forward"):
        """Yield the network's output for one block of windows after the other.

        Parameters
        ----------
        windows : ndarray of shape (n_windows, n_channels, n_times)
            Windows of any real type.
        device : torch.device
            Where to compute.
        precision : {"float32", "bf16"}
            Type of the products.
        batch_size : int
            Most images of one forward pass; fewer are taken where that is faster.
        method : {"forward", "encode"}, default="forward"
            Logits, or what the last convolution sees.

        Yields
        ------
        block : slice
            Which windows.
        outputs : ndarray of float32, shape (n_in_block, n_times, n_outputs)
        """
        network = self._network(device)
        call = getattr(network, method)
        n_windows, n_channels, n_times = windows.shape
        step = max(1, _VALUES_PER_BLOCK // (n_channels * n_times))
        n_images = min(batch_size, _IMAGES_PER_CALL)
        cast = precision == "bf16"
        for start in range(0, n_windows, step):
            block = slice(start, min(start + step, n_windows))
            values = self.scaler.to_tensor(windows[block])
            values = values.transpose(1, 2).reshape(-1, n_channels)
            outputs = []
            with (
                torch.inference_mode(),
                limited_threads(n_images * network.n_products, device),
            ):
                for at in range(0, len(values), n_images):
                    images = _lay_out(values[at : at + n_images], self.cells)
                    with torch.autocast(device.type, torch.bfloat16, enabled=cast):
                        output = call(images.to(device))
                    outputs.append(output.float().cpu().numpy())
            joined = np.concatenate(outputs)
            yield block, joined.reshape(block.stop - start, n_times, -1)
