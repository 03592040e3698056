"""The models that are compared, each a Pipeline that fits all of it in the fold."""

CLASSICAL = ("lda", "svm", "forest")
NEURAL = ("embedder", "tinymyo")
REGRESSION_CLASSICAL = ("ridge", "forest")
REGRESSION_NEURAL = ("tinymyo",)
# The set of the published baselines of these recordings.
FEATURES = ["mav", "zc", "ssc", "wl", "rms", "log_var"]
# C of LogisticRegression times the training windows, on features and on embeddings:
# both chosen by recipes.py, which asks the same of both.
STRENGTH = {"features": 10.0, "embeddings": 3.0}


def regression(n_train, strength):
    """Return a LogisticRegression whose penalty does not depend on the windows."""
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression(C=strength / n_train, max_iter=500)


def classifier(method, *, seed=0, options=None):
    """Return an unfitted classifier by its short name."""
    from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler
    from sklearn.svm import LinearSVC

    from sktinymyo import TimeDomainFeatures

    if method in CLASSICAL:
        model = {
            # Shrinkage, or 45 windows of 48 features (ciil) cannot be fitted.
            "lda": LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto"),
            # The primal problem is smaller: there are more windows than features.
            "svm": LinearSVC(dual=False, random_state=seed),
            "forest": RandomForestClassifier(200, random_state=seed),
        }[method]
        features = TimeDomainFeatures(features=FEATURES)
        return make_pipeline(features, StandardScaler(), model)
    if method == "embedder":
        from sktinymyo import TinyMyoEmbedder

        embedder = TinyMyoEmbedder(weights="random", random_state=seed)
        return make_pipeline(
            embedder, StandardScaler(), LogisticRegression(C=0.1, max_iter=500)
        )
    if method == "tinymyo":
        from sktinymyo import TinyMyoClassifier

        return TinyMyoClassifier(weights="random", random_state=seed, **(options or {}))
    raise SystemExit(f"method {method!r} is not known: {CLASSICAL + NEURAL}")


def regressor(method, *, seed=0, options=None):
    """Return an unfitted regressor by its short name."""
    from sklearn.ensemble import RandomForestRegressor
    from sklearn.linear_model import Ridge
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    from sktinymyo import TimeDomainFeatures

    if method in REGRESSION_CLASSICAL:
        model = {
            "ridge": Ridge(alpha=1.0),
            "forest": RandomForestRegressor(200, random_state=seed),
        }[method]
        features = TimeDomainFeatures(features=FEATURES)
        return make_pipeline(features, StandardScaler(), model)
    if method == "tinymyo":
        from sktinymyo import TinyMyoRegressor

        return TinyMyoRegressor(weights="random", random_state=seed, **(options or {}))
    known = REGRESSION_CLASSICAL + REGRESSION_NEURAL
    raise SystemExit(f"method {method!r} is not known: {known}")
