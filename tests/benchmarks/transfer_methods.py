"""The contenders of the transfer benchmark and the recipe of the networks."""

from methods import CLASSICAL, FEATURES, classifier

FROZEN = ("embed-open", "embed-random", "union-open", "union-random")
TUNED = ("tuned-open", "tuned-random")
TUNED_ALIGNED = tuple(f"{name}-aligned" for name in TUNED)
# The same inside ArmbandAlignedClassifier, which undoes the turn of the armband.
ALIGNED = ("lda-aligned", "forest-aligned", *TUNED_ALIGNED)
NETWORKS = (*FROZEN, *TUNED, *TUNED_ALIGNED)
# Methods whose result does not depend on a seed.
FIXED = ("lda", "lda-aligned", "svm", "logistic", "embed-open", "union-open")
# Methods of which one seed takes minutes: the spread is that of persons or folds.
COSTLY = (*TUNED, *TUNED_ALIGNED, "minirocket")

# Keyword arguments of the networks for each protocol: of TinyMyoEmbedder
# ("frozen"), else of TinyMyoClassifier. "head" and "all" are set for partial_fit.
TUNING = {
    "frozen": {"pooling": "channel"},
    "few-labels": {},
    "people": {},
    "calibration": {},
    "shift": {},
}
CALIBRATION = {
    "head": {"tune": "head", "max_epochs": 20},
    "all": {"tune": "all", "max_epochs": 10, "lr": 1e-4},
}
# Windows that a network sees in training, repeated ones counted; gives max_epochs
# where TUNING does not name it.
VIEWS = {
    "few-labels": 5_000,
    "people": 30_000,
    "calibration": 30_000,
    "shift": 6_000,
}
EPOCHS = (5, 60)


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
    return "random" if method.endswith("-random") else weights


def options_of(method, protocol):
    """Return the part of the recipe that a result depends on, for its key."""
    method = plain(method)
    if method in FROZEN:
        return TUNING["frozen"]
    if method not in TUNED:
        return {}
    options = {"views": VIEWS[protocol]} | TUNING[protocol]
    if protocol == "calibration":
        options |= {f"calibration_{name}": kept for name, kept in CALIBRATION.items()}
    return options


def build(method, protocol, *, n_train, seed=0, weights=None, size=None, device="cpu"):
    """Return an unfitted model.

    Parameters
    ----------
    method : str
        Short name.
    protocol : str
        Which part of TUNING applies.
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
    from sklearn.linear_model import LogisticRegression
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
            protocol,
            n_train=n_train,
            seed=seed,
            weights=weights,
            size=size,
            device=device,
        )
        return ArmbandAlignedClassifier(inside)
    if method in CLASSICAL:
        return classifier(method, seed=seed)
    head = LogisticRegression(C=0.1, max_iter=500)
    features = TimeDomainFeatures(features=FEATURES)
    if method == "logistic":
        return make_pipeline(features, StandardScaler(), head)
    common = {"weights": weights, "random_state": seed, "device": device}
    if weights == "random":
        common["size"] = size
    if method in FROZEN:
        embedder = TinyMyoEmbedder(**common, **TUNING["frozen"])
        if method.startswith("union"):
            embedder = make_union(embedder, features)
        return make_pipeline(embedder, StandardScaler(), head)
    if method in TUNED:
        low, high = EPOCHS
        epochs = min(max(VIEWS[protocol] // n_train, low), high)
        options = {"max_epochs": epochs} | TUNING[protocol]
        return TinyMyoClassifier(**common, **options)
    raise SystemExit(f"method {method!r} is not known.")
