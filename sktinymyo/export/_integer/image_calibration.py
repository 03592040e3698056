"""What values the layers of a network for images take on real windows, in float32."""

import numpy as np
import torch

from .convolution import gather
from .image_lowering import image_shape_of
from .statistics import Statistics

__all__ = ["collect_image_statistics", "image_trace", "images_of"]

# Samples beside one another are nearly the same image: some thousand, spread over all
# windows, show the ranges.
_MOST_IMAGES = 4096
_IMAGES_PER_BATCH = 256
# Output cells whose inputs are kept: enough for their mean and variance.
_MOST_ROWS = 2048


@torch.inference_mode()
def _layers_of(model, images):
    """Return the results of all layers for float32 images (F, rows, columns)."""
    maps = torch.from_numpy(images).unsqueeze(1)
    layers, number = {"input": images.reshape(len(images), -1)}, 0
    for layer in model.network.features:
        maps = layer(maps)
        if any(isinstance(part, torch.nn.Conv2d) for part in layer.modules()):
            layers[f"layers.{number}"] = maps.flatten(2).transpose(1, 2).numpy()
            number += 1
    layers["pool"] = maps.mean(dim=(2, 3)).numpy()
    layers["head"] = layers["pool"] @ model.head_weight.T + model.head_bias
    return layers


def images_of(model, windows):
    """Lay scaled samples (n, n_channels, n_images) out as images."""
    values = np.pad(windows.swapaxes(1, 2), ((0, 0), (0, 0), (0, 1)))
    return np.ascontiguousarray(values[:, :, model.cells], dtype=np.float32)


def image_trace(model, windows):
    """Run the network in float32 and return the result of every layer.

    Parameters
    ----------
    model : ExportedImages
        Its network and head are run.
    windows : ndarray of float32, shape (n_windows, n_channels, n_times)
        Preprocessed and scaled windows.

    Returns
    -------
    layers : dict of str to ndarray
        Names and shapes are those of a trace of the integer program.
    """
    images = images_of(model, windows[:, :, model.n_times - model.n_voting :])
    n_windows, n_voting = images.shape[:2]
    layers = _layers_of(model, images.reshape(-1, *model.cells.shape))
    layers = {
        name: values.reshape(n_windows, n_voting, *values.shape[1:])
        for name, values in layers.items()
    }
    logits = layers["head"]
    weights = np.exp(logits - logits.max(axis=2, keepdims=True))
    scores = (weights / weights.sum(axis=2, keepdims=True)).mean(axis=1)
    if n_voting > 1:
        winners = logits.argmax(axis=2)[:, :, np.newaxis]
        votes = (winners == np.arange(logits.shape[2])).sum(axis=1)
        scores = (votes + scores) / (n_voting + 1)
    return layers | {"vote": scores}


def collect_image_statistics(model, windows, rng):
    """Run the network over images of the calibration and keep samples of its layers.

    Parameters
    ----------
    model : ExportedImages
        What to run.
    windows : ndarray of float32, shape (n_windows, n_channels, n_times)
        Preprocessed and scaled windows.
    rng : numpy.random.Generator
        Chooses what is kept.

    Returns
    -------
    statistics : Statistics
        Besides the layers of a trace, ``"layers.k.inputs"`` is what output cells of
        the layer look at.
    """
    voting = windows[:, :, model.n_times - model.n_voting :]
    n_images = len(windows) * model.n_voting
    chosen = np.arange(n_images)
    if n_images > _MOST_IMAGES:
        chosen = rng.choice(n_images, size=_MOST_IMAGES, replace=False)
    window, time = np.divmod(np.sort(chosen), model.n_voting)
    frames = voting[window, :, time][:, :, np.newaxis]
    n_batches = -(-len(frames) // _IMAGES_PER_BATCH)
    statistics, sizes = Statistics(), image_shape_of(model).convolutions
    for start in range(0, len(frames), _IMAGES_PER_BATCH):
        images = images_of(model, frames[start : start + _IMAGES_PER_BATCH])[:, 0]
        layers = _layers_of(model, images)
        source = "input"
        for size in sizes:
            maps = layers[source].reshape(len(images), size.cells_in, size.n_in)
            n_kept = -(-_MOST_ROWS // n_batches)
            own = rng.choice(len(images), min(len(images), n_kept), replace=False)
            rows = gather(maps[own], size, 0.0)
            cells = rng.choice(size.cells_out, len(own))
            rows = rows[np.arange(len(own)), cells]
            statistics.add(f"{size.layer}.inputs", rows, rows)
            source = size.layer
        for name, values in layers.items():
            flat = values.reshape(-1, values.shape[-1])
            kept = rng.choice(len(flat), min(len(flat), n_kept), replace=False)
            statistics.add(name, values, flat[kept])
    return statistics.joined()
