"""Documentation that cannot rot: the README's code runs, the pages build."""

import importlib
import inspect
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import sktinymyo

ROOT = Path(__file__).parent.parent
MODULES = [
    "adaptation",
    "datasets",
    "distillation",
    "exceptions",
    "export",
    "export.gap9",
    "export.quantize",
    "inspection",
    "model_selection",
    "nn",
    "preprocessing",
    "pretraining",
    "signal",
    "utils.estimator_checks",
    "weights",
]


def code_blocks(path, language):
    """Return the fenced code blocks of a Markdown file."""
    return re.findall(rf"^```{language}\n(.*?)^```", path.read_text(), re.M | re.S)


def test_readme_code_runs(tmp_path, monkeypatch):
    """Run the README from top to bottom, as a reader would, in an empty folder."""
    monkeypatch.chdir(tmp_path)
    blocks = code_blocks(ROOT / "README.md", "python")
    assert len(blocks) >= 3
    namespace = {"__name__": "readme"}
    for number, block in enumerate(blocks, 1):
        exec(compile(block, f"README.md, block {number}", "exec"), namespace)


def test_readme_commands_exist():
    """Every make target named in the README and the pages is in the Makefile."""
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.M))
    texts = [ROOT / "README.md", *(ROOT / "docs").rglob("*.rst")]
    named = {
        target
        for path in texts
        for target in re.findall(r"(?:^|[`$] ?)make ([a-z-]+)", path.read_text(), re.M)
    }
    assert {"demo", "test"} <= named <= targets


def test_api_page_lists_every_public_name():
    """What is public is on the page, and what is on the page exists."""
    page = (ROOT / "docs" / "api.rst").read_text()
    listed = set()
    for module, body in re.findall(
        r"^\.\. currentmodule:: (\S+)\n(.*?)(?=^\.\. currentmodule::|\Z)",
        page,
        re.M | re.S,
    ):
        names = re.findall(r"^   ([A-Za-z_]\w*)$", body, re.M)
        listed |= {f"{module}.{name}" for name in names}
    expected = {
        f"sktinymyo.{name}"
        for name in sktinymyo.__all__
        if not inspect.ismodule(getattr(sktinymyo, name))
    }
    for name in MODULES:
        module = importlib.import_module(f"sktinymyo.{name}")
        for public in module.__all__:
            value = getattr(module, public)
            # Estimators are listed once, where users import them from. The single
            # checks of estimators are run by the functions that are listed.
            if (
                (inspect.isclass(value) or inspect.isfunction(value))
                and f"sktinymyo.{public}" not in expected
                and public not in getattr(module, "_CHECK_NAMES", ())
            ):
                expected.add(f"{module.__name__}.{public}")
    assert listed == expected


@pytest.mark.slow
def test_docs_build_without_warnings(tmp_path):
    """Build from a copy, so that generated pages do not end up in the tree."""
    ignore = shutil.ignore_patterns("_build", "auto_examples", "generated", "*.pyc")
    shutil.copytree(ROOT / "docs", tmp_path / "docs", ignore=ignore)
    shutil.copytree(ROOT / "examples", tmp_path / "examples")
    result = subprocess.run(
        [sys.executable, "-m", "sphinx", "-W", "--keep-going", "-q", "-b", "html"]
        # The example has a test of its own; here its text is enough.
        + ["-D", "plot_gallery=0", "docs", "html"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stderr[-4000:]
    html = tmp_path / "html"
    for page in ("index", "api", "user_guide/evaluation", "benchmarks"):
        assert (html / f"{page}.html").exists()
    for example in (ROOT / "examples").glob("plot_*.py"):
        assert (html / "auto_examples" / f"{example.stem}.html").exists()
    assert (html / "generated" / "sktinymyo.EMGFilter.html").exists()
