"""How Sphinx builds the documentation. Nothing is fetched: it builds without a network."""

from __future__ import annotations

import pkgutil
from importlib.metadata import version as installed_version

from sphinx.pycode import ModuleAnalyzer

import snowtrio

project = "snowtrio"
author = "The snowtrio authors"
project_copyright = "The snowtrio authors"
version = release = installed_version("snowtrio")

extensions = ["sphinx.ext.autodoc", "sphinx.ext.napoleon", "myst_parser"]
# The figures are a part of the page beside them.
exclude_patterns = ["_build", "explanation/performance"]
html_theme = "furo"
html_title = f"snowtrio {release}"

myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3

# In docstrings `name` is a parameter or a member near by, seldom something to link to.
default_role = "literal"
autodoc_default_options = {"members": True}
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_type_aliases = {"Handler": "Handler"}

nitpicky = True
nitpick_ignore_regex = [
    # Trio, AnyIO and Python are documented elsewhere, and type variables nowhere.
    (r"py:.*", r"(?!snowtrio\b).*"),
    (r"py:.*", r"snowtrio\..*T(_co|_contra)?"),
    # A type alias remembers where a class was written, not where it is exported.
    (r"py:.*", rf"snowtrio\._.*\.({'|'.join(snowtrio.__all__)})"),
]


def show_sources() -> None:
    """Tell autodoc where the source of an exported name is.

    What is exported gives a package as its module (``snowtrio.Codec``), and autodoc looks there for
    what only the source has: attribute docstrings, overloads and the order of members.
    """
    for module in pkgutil.walk_packages(snowtrio.__path__, "snowtrio."):
        written = ModuleAnalyzer.for_module(module.name)
        written.analyze()
        for package in {"snowtrio", module.name.partition("._")[0]} - {module.name}:
            exported = ModuleAnalyzer.for_module(package)
            exported.analyze()
            exported.attr_docs.update(written.attr_docs)
            exported.overloads.update(written.overloads)
            exported.tagorder.update(written.tagorder)


show_sources()
