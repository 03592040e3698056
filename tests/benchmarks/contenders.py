"""The implementations whose speed is compared, each as a plain function.

Every builder returns ``call(x)`` for windows as a float32 numpy array
(n_windows, n_channels, n_times). All have the size of TinyMyo (8 layers of 192)
and a linear head of N_CLASSES classes.
"""

import importlib.util
import sys
import types
from pathlib import Path

N_CLASSES = 6
LABELS = {
    "plain": "ours, plain path",
    "packed": "ours, packed float32",
    "packed-bf16": "ours, packed bf16",
    "estimator": "ours, TinyMyoClassifier.predict",
    "encoder": "torch.nn.TransformerEncoder",
    "onnxruntime": "onnxruntime, float32",
    "authors": "authors' code",
}
INFERENCE = ("plain", "packed", "packed-bf16", "estimator", "encoder", "onnxruntime")
TRAINING_LABELS = {
    "ours": "ours, regularised",
    "ours-no-dropout": "ours, no dropout",
    "ours-float32": "ours, regularised, float32",
    "encoder": "torch.nn.TransformerEncoder, dropout 0.1",
    "authors": "authors' code, regularised",
}


def our_model(shape, *, dropout=0.1, seed=0):
    """Return a TinyMyo with random weights and a classification head."""
    import torch

    from sktinymyo.nn import ClassificationHead, TinyMyo, TinyMyoConfig

    config = TinyMyoConfig(
        dropout=dropout, attention_dropout=dropout, drop_path=dropout
    )
    generator = torch.Generator().manual_seed(seed)
    head = ClassificationHead(
        config.embed_dim, shape[0], N_CLASSES, generator=generator
    )
    return TinyMyo(config, head, generator=generator)


def encoder_model(shape, *, dropout=0.1):
    """Return a torch.nn.TransformerEncoder of the same size on the same tokens."""
    import torch
    from torch import nn

    class Encoder(nn.Module):
        def __init__(self):
            super().__init__()
            self.patch = nn.Linear(20, 192)
            layer = nn.TransformerEncoderLayer(
                192,
                3,
                dim_feedforward=768,
                dropout=dropout,
                activation="gelu",
                batch_first=True,
                norm_first=True,
            )
            self.encoder = nn.TransformerEncoder(
                layer, 8, norm=nn.LayerNorm(192), enable_nested_tensor=False
            )
            self.head = nn.Linear(shape[0] * 192, N_CLASSES)

        def forward(self, x):
            tokens = self.patch(x.unflatten(2, (-1, 20)))
            tokens = self.encoder(tokens.flatten(1, 2)).unflatten(1, (shape[0], -1))
            return self.head(tokens.mean(dim=2).flatten(1))

    with torch.random.fork_rng():
        torch.manual_seed(0)
        return Encoder()


def authors_model(shape, folder):
    """Return the authors' model from a checkout of pulp-bio/BioFoundation.

    Their file is imported from where it lies. It needs einops; of timm it needs
    three small layers, which stand-ins replace where timm is not installed.
    """
    path = Path(folder).expanduser() / "models" / "TinyMyo.py"
    if not path.is_file():
        raise SystemExit(f"--authors {folder}: there is no file models/TinyMyo.py.")
    if importlib.util.find_spec("einops") is None:
        raise SystemExit("--authors needs einops: pip install einops")
    if "authors_tinymyo" not in sys.modules:
        try:
            import timm.layers  # noqa: F401
        except Exception:
            _stand_in_for_timm()
        spec = importlib.util.spec_from_file_location("authors_tinymyo", path)
        module = importlib.util.module_from_spec(spec)
        sys.modules["authors_tinymyo"] = module
        spec.loader.exec_module(module)
    return sys.modules["authors_tinymyo"].TinyMyo(
        img_size=shape[1], in_chans=shape[0], num_classes=N_CLASSES
    )


def _stand_in_for_timm():
    """Register modules with the three layers that the authors take from timm."""
    from torch import nn

    class DropPath(nn.Module):
        def __init__(self, drop_prob=0.0):
            super().__init__()
            self.rate = drop_prob

        def forward(self, x):
            if not (self.training and self.rate):
                return x
            shape = (len(x), *[1] * (x.ndim - 1))
            return x * x.new_empty(shape).bernoulli_(1 - self.rate) / (1 - self.rate)

    class Mlp(nn.Sequential):
        def __init__(self, in_features, hidden_features, act_layer, drop=0.0):
            super().__init__()
            self.fc1 = nn.Linear(in_features, hidden_features)
            self.act = act_layer()
            self.drop1 = nn.Dropout(drop)
            self.fc2 = nn.Linear(hidden_features, in_features)
            self.drop2 = nn.Dropout(drop)

    contents = {
        "timm": {},
        "timm.layers": {},
        "timm.layers.drop": {"DropPath": DropPath},
        "timm.layers.mlp": {"Mlp": Mlp},
        "timm.layers.weight_init": {"trunc_normal_": nn.init.trunc_normal_},
    }
    for name in [name for name in sys.modules if name.split(".")[0] == "timm"]:
        del sys.modules[name]
    for name, values in contents.items():
        module = types.ModuleType(name)
        vars(module).update(values)
        module.__path__ = []
        sys.modules[name] = module


def inference_call(name, shape, batch, *, authors=None, onnx_file=None):
    """Return the function that computes the outputs of windows."""
    if name == "onnxruntime":
        return _onnxruntime_call(onnx_file)
    if name == "estimator":
        return _estimator_call(shape)
    import torch

    if name == "encoder":
        model = encoder_model(shape)
    elif name == "authors":
        authors_net = authors_model(shape, authors)

        def model(x):
            return authors_net(x)[0]

        authors_net.eval()
    elif name == "plain":
        model = our_model(shape)
    else:
        from sktinymyo.nn import micro_batch_size, pack

        precision = "bf16" if name == "packed-bf16" else "float32"
        packed = pack(our_model(shape).eval(), precision=precision)
        part = micro_batch_size(shape[0], -(-shape[1] // 20))

        # The way the estimators call it: in parts that fit the caches.
        def model(x):
            return torch.cat([packed(piece) for piece in x.split(part)])

    if isinstance(model, torch.nn.Module):
        model.eval()

    def call(x):
        with torch.inference_mode():
            return model(torch.from_numpy(x)).numpy()

    return call


def _estimator_call(shape):
    import numpy as np

    from sktinymyo import TinyMyoClassifier

    rng = np.random.default_rng(0)
    X = rng.normal(size=(2 * N_CLASSES, *shape)).astype(np.float32)
    model = TinyMyoClassifier(
        weights="random",
        tune="head",
        max_epochs=1,
        device="cpu",
        precision="float32",
        random_state=0,
    )
    model.fit(X, np.arange(len(X)) % N_CLASSES)
    return model.predict


def export_onnx(shape, batch, path):
    """Write our model, for this shape and batch, as an ONNX file.

    ONNX has no complex numbers: the rotary positions are written as real products
    of halves, with the rows of the query and key weights sorted to match.
    """
    import torch
    import torch.nn.functional as F
    from torch import nn

    model = our_model(shape).eval()
    config = model.config
    n_channels, n_patches = shape[0], shape[1] // config.patch_size
    half = config.head_dim // 2
    order = torch.arange(config.head_dim).reshape(half, 2).T.flatten()
    rows = torch.arange(3 * config.embed_dim).reshape(3, config.n_heads, -1)
    rows[:2] = rows[:2][..., order]
    exponents = torch.arange(0, config.head_dim, 2, dtype=torch.float64)
    frequencies = config.rotary_base ** (-exponents / config.head_dim)
    positions = torch.arange(n_patches, dtype=torch.float64).repeat(n_channels)
    angles = torch.outer(positions, frequencies)

    class Exported(nn.Module):
        def __init__(self):
            super().__init__()
            self.model = model
            self.register_buffer("cosines", angles.cos().float())
            self.register_buffer("sines", angles.sin().float())
            with torch.no_grad():
                for block in model.blocks:
                    block.attn.qkv.weight.copy_(block.attn.qkv.weight[rows.flatten()])
                    block.attn.qkv.bias.copy_(block.attn.qkv.bias[rows.flatten()])

        def rotate(self, x):
            a, b = x[..., :half], x[..., half:]
            turned = (
                a * self.cosines - b * self.sines,
                b * self.cosines + a * self.sines,
            )
            return torch.cat(turned, dim=-1)

        def attend(self, attention, x):
            qkv = attention.qkv(x).reshape(*x.shape[:2], 3, config.n_heads, -1)
            q, k, v = qkv.permute(2, 0, 3, 1, 4)
            q = self.rotate(q) * config.head_dim**-0.5
            weights = (q @ self.rotate(k).transpose(2, 3)).softmax(dim=-1)
            mixed = (weights @ v).transpose(1, 2).flatten(2)
            return attention.proj(mixed)

        def forward(self, x):
            patches = x.reshape(len(x), n_channels, n_patches, config.patch_size)
            state = dict(self.model.named_parameters())
            weight = state["patch_embedding.patch_embed.proj.weight"].flatten(1)
            bias = state["patch_embedding.patch_embed.proj.bias"]
            channels = torch.arange(n_channels) % config.n_channel_embeddings
            tokens = F.linear(patches, weight, bias)
            tokens = (tokens + self.model.channel_embed[:, channels]).flatten(1, 2)
            for block in self.model.blocks:
                tokens = tokens + self.attend(block.attn, block.norm1(tokens))
                hidden = F.gelu(block.mlp.fc1(block.norm2(tokens)))
                tokens = tokens + block.mlp.fc2(hidden)
            tokens = self.model.norm(tokens)
            return self.model.model_head(
                tokens.reshape(len(x), n_channels, n_patches, -1)
            )

    example = torch.randn(batch, *shape, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        expected = model(example).clone()
    exported = Exported().eval()
    with torch.no_grad():
        torch.onnx.export(exported, (example,), str(path), dynamo=True, verbose=False)
    got = torch.from_numpy(_onnxruntime_call(path)(example.numpy()))
    torch.testing.assert_close(got, expected, atol=1e-4, rtol=0)


def _onnxruntime_call(path):
    import os

    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = int(os.environ.get("OMP_NUM_THREADS", "1"))
    options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(
        str(path), options, providers=["CPUExecutionProvider"]
    )
    name = session.get_inputs()[0].name
    return lambda x: session.run(None, {name: x})[0]


def training_call(name, shape, batch, *, authors=None):
    """Return the function that takes one optimiser step per batch of the windows."""
    import torch

    if name.startswith("ours"):
        return _our_training(name, shape, batch)
    model = encoder_model(shape) if name == "encoder" else authors_model(shape, authors)
    model.train()
    optimiser = torch.optim.AdamW(model.parameters(), lr=5e-4, weight_decay=0.01)
    loss_function = torch.nn.CrossEntropyLoss(label_smoothing=0.1)

    def call(x, y):
        windows, labels = torch.from_numpy(x), torch.from_numpy(y)
        for start in range(0, len(x), batch):
            optimiser.zero_grad()
            output = model(windows[start : start + batch])
            output = output[0] if isinstance(output, tuple) else output
            loss_function(output, labels[start : start + batch]).backward()
            optimiser.step()

    return call


def _our_training(name, shape, batch):
    """Train with the package's own loop, as the estimators do."""
    import numpy as np
    import torch

    from sktinymyo._torch import resolve_precision, windows_per_call
    from sktinymyo._training import TrainingData, TrainingPlan, train

    model = our_model(shape, dropout=0.0 if name == "ours-no-dropout" else 0.1)
    device = torch.device("cpu")
    precision = "float32" if name == "ours-float32" else "auto"
    plan = TrainingPlan(
        loss="cross-entropy",
        max_epochs=1,
        batch_size=batch,
        micro_batch_size=windows_per_call(*shape, model.config, device, batch),
        lr=5e-4,
        weight_decay=0.01,
        layer_decay=0.9,
        warmup=0.1,
        label_smoothing=0.1,
        patience=None,
        augment=None,
        device=device,
        precision=resolve_precision(precision, device, training=True),
        seed=0,
    )

    def call(x, y):
        data = TrainingData(
            windows=lambda rows: torch.from_numpy(x[rows]),
            targets=y,
            weights=np.ones(len(x), dtype=np.float32),
            training=np.arange(len(x)),
        )
        train(model, data, plan)

    return call
