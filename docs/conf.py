"""Configuration of the documentation."""

import os
import re

import sktinymyo

project = "sktinymyo"
author = "The sktinymyo developers"
copyright = "2026, The sktinymyo developers"
version = release = sktinymyo.__version__

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "numpydoc",
    "myst_parser",
    "sphinx_gallery.gen_gallery",
]
exclude_patterns = ["_build", "auto_examples/*.ipynb", "auto_examples/**/*.py"]
myst_heading_anchors = 3

# Links into other projects need their inventories from the network, and the build
# must work without one: ask for them with SKTINYMYO_DOCS_ONLINE=1.
if os.environ.get("SKTINYMYO_DOCS_ONLINE"):
    extensions.append("sphinx.ext.intersphinx")
    intersphinx_mapping = {
        "python": ("https://docs.python.org/3", None),
        "numpy": ("https://numpy.org/doc/stable", None),
        "scipy": ("https://docs.scipy.org/doc/scipy", None),
        "pandas": ("https://pandas.pydata.org/docs", None),
        "sklearn": ("https://scikit-learn.org/stable", None),
        "joblib": ("https://joblib.readthedocs.io/en/stable", None),
    }

autosummary_generate = True
autodoc_typehints = "none"
# Attributes and methods come from numpydoc; its own toctree would ask for a page
# for each of them.
numpydoc_show_class_members = False
numpydoc_xref_param_type = False
templates_path = ["_templates"]

sphinx_gallery_conf = {
    "examples_dirs": "../examples",
    "gallery_dirs": "auto_examples",
    "within_subsection_order": "FileNameSortKey",
    "doc_module": ("sktinymyo",),
    "backreferences_dir": None,
    "remove_config_comments": True,
    "download_all_examples": False,
    "show_memory": False,
    "abort_on_example_error": True,
}

html_theme = "pydata_sphinx_theme"
html_title = f"sktinymyo {version}"
html_theme_options = {
    "show_toc_level": 2,
    "navigation_with_keys": False,
    "show_prev_next": False,
}
html_sourcelink_suffix = ""
html_show_sourcelink = False


def skip_inherited(app, kind, name, value, skip, options):
    """Leave out what scikit-learn and torch give to every class.

    Their docstrings refer to pages of their own documentation.
    """
    module = getattr(value, "__module__", None)
    if module and not module.startswith("sktinymyo"):
        return True
    return skip


FITTED_NAME = re.compile(r"(?<![\w`*.:])([A-Za-z]\w*_)(?=[\s,.;:)\]]|$)")


def quote_fitted_names(app, kind, name, value, options, lines):
    """Quote names such as ``classes_``: reST takes the underscore for a link."""
    lines[:] = [
        line
        if line.lstrip().startswith((">>>", "..."))
        else FITTED_NAME.sub(r"``\1``", line)
        for line in lines
    ]


def setup(app):
    """Connect the functions above, the second one after numpydoc."""
    app.connect("autodoc-skip-member", skip_inherited)
    app.connect("autodoc-process-docstring", quote_fitted_names, priority=600)
