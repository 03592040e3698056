"""The house itself: layers, lazy imports, documentation of the API, packaging."""

import ast
import importlib
import inspect
import json
import pkgutil
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from numpydoc.validate import validate
from packaging.requirements import Requirement

import sktinymyo

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "sktinymyo"

# The table of layers in docs/architecture.md. A row is (layer, modules of the row,
# packages other than the standard library and the layers below it may import). Only
# modules of one row may import each other; `{"a"}` in the fourth place narrows the
# lower layers down to the rows of these modules (and layer 0).
LAYERS = [
    (
        0,
        {"_files", "_optional", "_validation", "exceptions"},
        {"numpy", "sklearn"},
        None,
    ),
    (1, {"signal"}, {"numpy", "scipy"}, set()),
    (1, {"nn"}, {"torch"}, set()),
    (2, {"weights"}, {"numpy", "torch", "safetensors"}, {"nn"}),
    (2, {"datasets"}, {"numpy", "scipy", "pandas", "sklearn"}, {"signal"}),
    (2, {"_torch"}, {"numpy", "torch", "threadpoolctl"}, {"nn"}),
    (2, {"_embedding_cache"}, {"numpy", "sklearn", "joblib"}, set()),
    (2, {"_linear_head"}, {"numpy", "torch", "sklearn", "threadpoolctl"}, set()),
    (2, {"_contract"}, set(), set()),
    (
        3,
        {"_training", "_lesson"},
        {"numpy", "torch", "skorch", "sklearn", "tqdm"},
        None,
    ),
    (3, {"engines"}, {"numpy", "torch"}, {"_torch", "nn"}),
    (4, {"preprocessing"}, {"numpy", "scipy", "sklearn"}, {"signal"}),
    (
        4,
        {
            "_base",
            "_tuned",
            "_embedder",
            "_classifier",
            "_regressor",
            "_frames",
            "_all_conv_net",
        },
        {"numpy", "scipy", "torch", "sklearn", "joblib"},
        None,
    ),
    (4, {"pretraining"}, {"numpy", "torch", "sklearn", "safetensors", "tqdm"}, None),
    (4, {"adaptation"}, {"numpy", "sklearn"}, {"signal"}),
    (4, {"distillation"}, {"numpy", "sklearn", "torch"}, {"nn", "_lesson"}),
    (4, {"model_selection"}, {"numpy", "pandas", "sklearn"}, None),
    (5, {"inspection"}, {"numpy"}, {"signal"}),
    (5, {"export"}, {"numpy", "scipy", "sklearn", "torch"}, None),
    (5, {"utils"}, {"numpy", "pandas", "sklearn", "joblib", "torch"}, None),
]
ROW_OF = {name: row for row in LAYERS for name in row[1]}

# Deviations, each with its reason in docs/architecture.md: (file, import).
INSIDE_FUNCTIONS_ONLY = {
    ("signal/windows.py", "pandas"),
    ("weights", "huggingface_hub"),
    ("utils", "pytest"),
    ("engines", "onnx"),
    ("engines", "onnxruntime"),
    ("engines", "openvino"),
    ("export", "onnx"),
    ("export", "onnxruntime"),
    ("export", "skl2onnx"),
    ("export", "matplotlib"),
}


def imports_of(path):
    """Yield (module imported, level 0 name or absolute name, at module level)."""
    relative = path.relative_to(PACKAGE.parent).with_suffix("")
    # The package that a relative import starts from.
    parents = relative.parts[:-1]
    tree = ast.parse(path.read_text(encoding="utf-8"))
    inner = {
        id(child)
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        for child in ast.walk(node)
    }
    for node in ast.walk(tree):
        top_level = id(node) not in inner
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, top_level
        elif isinstance(node, ast.ImportFrom):
            if node.level:
                start = parents[: len(parents) - node.level + 1]
                base = ".".join([*start, *filter(None, [node.module])])
            else:
                base = node.module
            if base == "sktinymyo":
                for alias in node.names:
                    yield f"sktinymyo.{alias.name}", top_level
            else:
                yield base, top_level


def violations(path):
    """List what the imports of one file do against the table of layers."""
    place = path.relative_to(PACKAGE)
    unit = place.parts[0].removesuffix(".py")
    if unit not in ROW_OF:
        return [f"{place}: {unit!r} is in no row of the table of layers; add it"]
    row = ROW_OF[unit]
    layer, siblings, packages, lower = row
    found = []
    for name, top_level in imports_of(path):
        first, *rest = name.split(".")
        if first == "sktinymyo":
            other = rest[0] if rest else ""
            if other in siblings or other == "__version__":
                continue
            if other not in ROW_OF:
                found.append(f"{place}: imports {name!r}, which is in no row")
                continue
            other_layer = ROW_OF[other][0]
            narrowed = lower is not None and other_layer > 0 and other not in lower
            if other_layer >= layer or narrowed:
                found.append(
                    f"{place} (layer {layer}) imports {name} (layer {other_layer})"
                )
        elif first in sys.stdlib_module_names:
            if first in {"pickle", "shelve", "marshal"}:
                found.append(f"{place} imports {name}: nothing is unpickled from files")
        else:
            inside = {(place.as_posix(), first), (unit, first)} & INSIDE_FUNCTIONS_ONLY
            if inside and top_level:
                found.append(f"{place} imports {name} outside a function")
            elif not inside and first not in packages:
                found.append(f"{place} imports {name}, not allowed in its row")
    return found


@pytest.mark.parametrize(
    "path",
    sorted(p for p in PACKAGE.rglob("*.py") if p != PACKAGE / "__init__.py"),
    ids=lambda path: path.relative_to(PACKAGE).as_posix(),
)
def test_layers(path):
    assert violations(path) == []


def test_layer_rules_catch_offenders(tmp_path, monkeypatch):
    """The rules see sideways, upward, foreign and misplaced imports."""
    package = tmp_path / "sktinymyo"
    monkeypatch.setattr(sys.modules[__name__], "PACKAGE", package)
    forbidden = {
        "signal/a.py": "from ..nn import tinymyo",
        "weights/a.py": "def f():\n    from ..datasets._cache import get",
        "nn/a.py": "from sktinymyo import weights",
        "datasets/a.py": "import torch",
        "preprocessing/a.py": "from ..nn import tinymyo",
        "_training.py": "from ._classifier import TinyMyoClassifier",
        "signal/windows.py": "import pandas as pd",
        "weights/b.py": "import huggingface_hub",
        "weights/c.py": "import pickle",
        "surprise.py": "",
    }
    allowed = {
        "signal/b.py": "import numpy as np\nfrom ..exceptions import WindowsError",
        "signal/c.py": "import scipy.signal",
        "weights/d.py": "def f():\n    import huggingface_hub",
        "weights/e.py": "from ..nn.tinymyo import TinyMyo",
        "_classifier.py": "from ._embedder import TinyMyoEmbedder",
    }
    for sources, is_forbidden in ((forbidden, True), (allowed, False)):
        for place, source in sources.items():
            path = package / place
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(source)
            assert bool(violations(path)) is is_forbidden, place


def loaded_after(statement):
    """Return the top-level modules loaded by a statement in a fresh interpreter."""
    code = f"{statement}\nimport sys, json; print(json.dumps(list(sys.modules)))"
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    return {name.split(".")[0] for name in json.loads(result.stdout)}


@pytest.mark.parametrize(
    ("statement", "absent"),
    [
        (
            "import sktinymyo; dir(sktinymyo)",
            {"torch", "pandas", "matplotlib", "skorch", "sklearn", "scipy"},
        ),
        (
            "from sktinymyo import EMGFilter, TimeDomainFeatures, sliding_windows",
            # pandas is missing here because scikit-learn itself loads it.
            {"torch", "matplotlib", "skorch"},
        ),
        (
            "import sktinymyo.datasets, sktinymyo.model_selection",
            {"torch", "matplotlib", "skorch", "pooch", "h5py"},
        ),
        (
            "from sktinymyo import TinyMyoClassifier",
            {
                "matplotlib",
                "huggingface_hub",
                "onnx",
                "onnxruntime",
                "openvino",
                "dask",
            },
        ),
    ],
    ids=["package", "preprocessing", "datasets", "estimators"],
)
def test_imports_are_lazy(statement, absent):
    assert loaded_after(statement) & absent == set()


def test_lazy_names_exist_and_are_known_to_type_checkers():
    for name in sktinymyo.__all__:
        assert getattr(sktinymyo, name) is not None
        assert name in dir(sktinymyo)
    with pytest.raises(AttributeError, match="no attribute 'TinyMyoClasifier'"):
        _ = sktinymyo.TinyMyoClasifier
    tree = ast.parse((PACKAGE / "__init__.py").read_text())
    static = {
        alias.asname or alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
        if alias.name != "TYPE_CHECKING"
    }
    assert static == set(sktinymyo.__all__)
    assert (PACKAGE / "py.typed").exists()


# Codes of numpydoc.validate that every public docstring satisfies. Left out: where
# the summary starts (GL01), blank lines and section order that ruff already checks,
# the verb form (SS05, wrong for many nouns), extended summaries (ES01), links to
# other names (SA), and forms of the type (PR04 to PR06, PR09: ours are free text,
# or "as in" another function).
DOCSTRING_CODES = {
    "GL05",  # tabs
    "GL06",  # unknown section
    "GL07",  # order of sections
    "GL08",  # no docstring
    "SS01",  # no summary
    "SS03",  # summary without a full stop
    "SS06",  # summary longer than one line
    "PR01",  # parameters without a description
    "PR02",  # unknown parameters described
    "PR03",  # parameters in another order
    "PR07",  # parameter without a text
    "PR10",  # no space before the colon
    "RT01",  # no Returns section
    "YD01",  # no Yields section
}
# Functions and classes also show an example; methods need none of their own.
EXAMPLE_CODE = "EX01"


def public_modules():
    """Yield every importable module without an underscore in its dotted name."""
    yield sktinymyo
    for info in pkgutil.walk_packages(sktinymyo.__path__, "sktinymyo."):
        if not any(part.startswith("_") for part in info.name.split(".")):
            yield importlib.import_module(info.name)


def public_objects():
    """Map the defining name of each public class, function and method to it."""
    objects = {}
    for module in public_modules():
        assert hasattr(module, "__all__"), f"{module.__name__} has no __all__"
        for name in module.__all__:
            value = getattr(module, name)
            if not (inspect.isclass(value) or inspect.isfunction(value)):
                continue
            if not value.__module__.startswith("sktinymyo"):
                continue
            path = f"{value.__module__}.{value.__qualname__}"
            objects[path] = value
            if not inspect.isclass(value):
                continue
            for method, member in vars(value).items():
                function = getattr(member, "__func__", member)
                if method.startswith("_") or not inspect.isfunction(function):
                    continue
                if function.__module__.startswith("sktinymyo"):
                    objects[f"{path}.{method}"] = function
    return objects


def name_of_check(path):
    """Whether this is a single check of estimators, an example of use by itself."""
    return path.rpartition(".")[2].startswith("check_windows_")


def test_public_names_are_documented():
    """Each has a numpydoc docstring; functions and classes have an example too."""
    problems = []
    for path, value in sorted(public_objects().items()):
        codes = set(DOCSTRING_CODES)
        if "." in value.__qualname__ and value.__module__.startswith("sktinymyo.nn"):
            # The docstring of a network describes what goes in and comes out.
            codes -= {"PR01", "RT01"}
        elif inspect.isclass(value) and issubclass(value, BaseException):
            codes -= {"PR01"}
        elif "." not in value.__qualname__ and not name_of_check(path):
            codes |= {EXAMPLE_CODE}
        for code, text in validate(path)["errors"]:
            if code in codes:
                problems.append(f"{path}: {code} {text}")
    assert problems == []


@pytest.fixture(scope="module")
def project():
    with (ROOT / "pyproject.toml").open("rb") as file:
        return tomllib.load(file)["project"]


def test_dependencies_have_lower_bounds_only(project):
    extras = project["optional-dependencies"]
    for line in [*project["dependencies"], *(r for e in extras.values() for r in e)]:
        requirement = Requirement(line)
        operators = {specifier.operator for specifier in requirement.specifier}
        own = requirement.name == "sktinymyo"
        assert operators == (set() if own else {">="}), line
    expected = {"onnxruntime", "openvino"}
    expected |= {"export", "hub", "plot", "data", "dask", "docs", "dev"}
    assert expected <= set(extras)


def test_constraints_are_exact_and_cover_the_dependencies(project):
    lines = (ROOT / "constraints-dev.txt").read_text().splitlines()
    pins = [Requirement(line) for line in lines if line and not line.startswith("#")]
    assert all([s.operator for s in pin.specifier] == ["=="] for pin in pins)
    versions = {pin.name.lower().replace("_", "-"): pin for pin in pins}
    assert str(versions["torch"].specifier) == "==2.13.0"
    for line in project["dependencies"] + project["optional-dependencies"]["dev"]:
        wanted = Requirement(line)
        if wanted.name == "sktinymyo":
            continue
        pin = versions[wanted.name.lower().replace("_", "-")]
        assert next(iter(pin.specifier)).version in wanted.specifier, line


def test_version_is_consistent(project):
    assert project["version"] == sktinymyo.__version__
    citation = (ROOT / "CITATION.cff").read_text()
    assert re.search(r"^version: (.+)$", citation, re.M)[1] == project["version"]
