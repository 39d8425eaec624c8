"""Sphinx reads the pages as they lie in the repository, so that every link works there and here."""

import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

project = "gan_lab"
author = "The gan_lab authors"
copyright = "the gan_lab authors, MIT licence"
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx.ext.viewcode"]
# The source directory is the repository's root (sphinx-build -c docs . outputs/docs).
include_patterns = ["README.md", "CONTRIBUTING.md", "CHANGELOG.md", "docs/**.md"]
exclude_patterns = ["docs/_build"]
root_doc = "docs/index"
source_suffix = {".md": "markdown"}
html_theme = "furo"
html_title = "gan_lab"
html_extra_path: list[str] = []

myst_heading_anchors = 4
myst_enable_extensions = ["colon_fence"]
# Code in the pages is checked by tests/docs; a lexer may be stricter than the language.
# A word such as "shape" in a docstring is no reference to an attribute of that name.
suppress_warnings = ["misc.highlighting_failure", "ref.python"]

napoleon_use_rtype = False
autodoc_member_order = "bysource"
autodoc_typehints = "description"
autodoc_default_options = {"members": True, "show-inheritance": True}

_SIDEBAR = {
    "Start": ["/README", "getting-started", "compare-losses"],
    "Guide": "guide/*",
    "Experiments": ["experiments/index", "experiments/*"],
    "Extend": "extend/*",
    "Reference": ["reference/*", "diagnostics", "glossary", "references"],
    "Internals": ["internals/*", "benchmarks", "reliability"],
    "Project": ["/CONTRIBUTING", "/CHANGELOG"],
}
_API = (
    *("api.training", "api.trained_run", "api.comparison", "api.measuring", "api.estimates"),
    *("losses.base", "losses.cross_entropy", "losses.wasserstein", "losses.hinge"),
    *("losses.least_squares", "losses.relativistic"),
    *("regularizers.base", "regularizers.gradient_penalty", "regularizers.instance_noise"),
    *("regularizers.spectral_norm", "regularizers.weight_clipping"),
    *("networks.base", "networks.mlp", "networks.conv", "networks.dcgan"),
    *("data.base", "data.toy", "data.toy_shapes", "data.digits", "data.images", "data.arrays"),
    *("metrics.estimate", "metrics.metrics", "metrics.evaluator", "metrics.wasserstein"),
    *("metrics.knn", "metrics.kernel", "metrics.histogram", "metrics.mode_coverage"),
    *("metrics.diversity", "metrics.neural_distance"),
    *("loggers.base", "loggers.jsonl", "loggers.tensorboard", "loggers.trackio"),
    *("information.entropy", "information.divergences", "information.transport"),
    *("information.cross_entropy", "information.closed_forms", "information.penalty_bias"),
)


def _toctree() -> str:
    trees = []
    for caption, pages in _SIDEBAR.items():
        names = "\n".join([pages] if isinstance(pages, str) else pages)
        options = f":hidden:\n:glob:\n:caption: {caption}\n"
        trees.append(f"```{{toctree}}\n{options}\n{names}\n```")
    return "\n\n".join(["", *trees, ""])


def _api() -> str:
    parts = []
    for module in _API:
        directive = f"```{{eval-rst}}\n.. automodule:: gan_lab.{module}\n```"
        parts.append(f"## gan_lab.{module}\n\n{directive}")
    return "\n\n".join(["", *parts, ""])


def _adapt(app: object, docname: str, source: list[str]) -> None:
    """Add what only the site has, and turn GitHub's named anchors into MyST's."""
    if docname == "docs/index":
        source[0] += _toctree()
    if docname == "docs/reference/api":
        source[0] += _api()
    source[0] = re.sub(r'<a id="([\w-]+)"></a>\n', r"(\1)=\n", source[0])


def _escape(*arguments: object) -> None:
    """Show docstrings as they are written: [N, *shape] is no emphasis, |x| no substitution."""
    lines = arguments[-1]
    assert isinstance(lines, list)
    returns = False
    for i, line in enumerate(lines):
        if line and not line.startswith(" "):
            returns = line == "Returns:"
        elif returns and line.strip():
            line = f"    {line.strip()}"  # napoleon takes a hanging indent there for a quotation
        parts = line.split("`")
        parts[::2] = [re.sub(r"([*|])", r"\\\1", part) for part in parts[::2]]
        lines[i] = "``".join(parts) if len(parts) % 2 else line


def setup(app: object) -> None:
    """Connect the two adaptations; docstrings before napoleon reads them."""
    app.connect("source-read", _adapt)  # type: ignore[attr-defined]
    app.connect("autodoc-process-docstring", _escape, priority=400)  # type: ignore[attr-defined]
