"""The contenders of the transfer benchmark and the recipe of the networks."""

from methods import CLASSICAL, FEATURES, STRENGTH, classifier, regression

FROZEN = ("embed-open", "embed-random", "union-open", "union-random")
TUNED = ("tuned-open", "tuned-random")
TUNED_ALIGNED = tuple(f"{name}-aligned" for name in TUNED)
# The same inside ArmbandAlignedClassifier, which undoes the turn of the armband.
FROZEN_ALIGNED = ("embed-open-aligned", "embed-random-aligned")
ALIGNED = ("lda-aligned", "forest-aligned", *FROZEN_ALIGNED, *TUNED_ALIGNED)
NETWORKS = (*FROZEN, *TUNED, *FROZEN_ALIGNED, *TUNED_ALIGNED)
# Methods whose result does not depend on a seed.
FIXED = (
    "lda",
    "lda-aligned",
    "svm",
    "logistic",
    "embed-open",
    "union-open",
    "embed-open-aligned",
)
# Methods of which one seed takes minutes: the spread is that of persons or folds.
COSTLY = (*TUNED, *TUNED_ALIGNED, "minirocket")

# Of ArmbandAlignedClassifier.
TURN_COST = 0.05
# Of TinyMyoEmbedder.
POOLING = "channel"
# Of TinyMyoClassifier, by what it starts from; chosen by recipes.py.
TUNING = {
    "open": {"lr": 5e-4, "layer_decay": 0.7, "head_start": "logistic"},
    "random": {"lr": 1e-3, "layer_decay": 1.0, "head_start": "random"},
}
# Windows that a network sees in training, repeated ones counted, and the fewest and
# most epochs.
VIEWS = {"open": 15_000, "random": 30_000}
EPOCHS = {"open": (3, 20), "random": (5, 60)}
# How partial_fit goes on from the model of other people.
CALIBRATION = {
    "head": {"tune": "head", "max_epochs": 20, "lr": 5e-4},
    "all": {"tune": "all", "max_epochs": 10, "lr": 5e-4},
}


def plain(method):
    """Return the name of what is inside ArmbandAlignedClassifier."""
    return method.removesuffix("-aligned")


def is_network(method):
    """Tell whether a method holds a TinyMyo encoder."""
    return method in NETWORKS


def weights_of(method, weights):
    """Return the weights a method starts from; None for one without weights."""
    if not is_network(method):
        return None
    return "random" if plain(method).endswith("-random") else weights


def options_of(method, protocol):
    """Return the part of the recipe that a result depends on, for its key."""
    if method in ALIGNED:
        return {"turn_cost": TURN_COST} | options_of(plain(method), protocol)
    if method == "logistic":
        return {"strength": STRENGTH["features"]}
    if method in FROZEN:
        return {"pooling": POOLING, "strength": STRENGTH["embeddings"]}
    if method not in TUNED:
        return {}
    start = method.removeprefix("tuned-")
    options = {"views": VIEWS[start], "epochs": list(EPOCHS[start])} | TUNING[start]
    if start == "open":
        options["strength"] = STRENGTH["embeddings"]
    if protocol == "calibration":
        options |= {f"calibration_{name}": kept for name, kept in CALIBRATION.items()}
    return options


def build(method, *, n_train, seed=0, weights=None, size=None, device="cpu"):
    """Return an unfitted model.

    Parameters
    ----------
    method : str
        Short name.
    n_train : int
        Training windows, from which VIEWS makes a number of epochs.
    seed : int, default=0
        Of whatever is drawn.
    weights : str or None, default=None
        Of networks: "random", "default", a file or a folder.
    size : str or None, default=None
        Of random weights, such as "tinymyo".
    device : str, default="cpu"
        Of networks.

    Returns
    -------
    model : estimator
    """
    from sklearn.pipeline import make_pipeline, make_union
    from sklearn.preprocessing import StandardScaler

    from sktinymyo import (
        ArmbandAlignedClassifier,
        TimeDomainFeatures,
        TinyMyoClassifier,
        TinyMyoEmbedder,
    )

    if method in ALIGNED:
        inside = build(
            plain(method),
            n_train=n_train,
            seed=seed,
            weights=weights,
            size=size,
            device=device,
        )
        return ArmbandAlignedClassifier(inside, turn_cost=TURN_COST)
    if method in CLASSICAL:
        return classifier(method, seed=seed)
    features = TimeDomainFeatures(features=FEATURES)
    if method == "logistic":
        head = regression(n_train, STRENGTH["features"])
        return make_pipeline(features, StandardScaler(), head)
    common = {"weights": weights, "random_state": seed, "device": device}
    if weights == "random":
        common["size"] = size
    if method in FROZEN:
        embedder = TinyMyoEmbedder(**common, pooling=POOLING)
        if method.startswith("union"):
            embedder = make_union(embedder, features)
        head = regression(n_train, STRENGTH["embeddings"])
        return make_pipeline(embedder, StandardScaler(), head)
    if method in TUNED:
        start = method.removeprefix("tuned-")
        low, high = EPOCHS[start]
        epochs = min(max(VIEWS[start] // n_train, low), high)
        return TinyMyoClassifier(**common, max_epochs=epochs, **TUNING[start])
    raise SystemExit(f"method {method!r} is not known.")
