"""Settings of Sphinx for the site that scripts/docs builds."""

from __future__ import annotations

import localtune

project = "localtune"
version = release = localtune.__version__
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
root_doc = "index"
# Code that pages lead to; it becomes downloads.
exclude_patterns = ["localtune/**", "tests/**"]
html_theme = "furo"
html_title = f"localtune {release}"
html_copy_source = False

# Markdown as on GitHub: headings are targets of links.
myst_heading_anchors = 4
suppress_warnings = ["myst.header"]

autodoc_member_order = "bysource"
autodoc_typehints = "description"
autodoc_typehints_description_target = "documented_params"
autodoc_inherit_docstrings = True
autodoc_class_signature = "mixed"
napoleon_numpy_docstring = False
napoleon_use_ivar = True
# Text in single backquotes is Markdown's code, here too.
default_role = "code"
