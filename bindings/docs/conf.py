# SPDX-License-Identifier: Apache-2.0
"""The documentation site. `make docs` builds it into build/docs/html."""

import re
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
SOURCES = ROOT / "bindings/python/src"
sys.path[:0] = [str(HERE / "extensions"), str(SOURCES)]
sys.dont_write_bytecode = True  # sources stay as they are

project = "Xent"
author = "the authors of Xent"
project_copyright = "the authors of Xent. Apache License 2.0"
header = (ROOT / "Include/xent.h").read_text()
release = ".".join(re.search(rf"^#define XENT_VERSION_{p} (\d+)$", header, re.M)[1] for p in ("MAJOR", "MINOR", "PATCH"))
version = release

extensions = [
    *("sphinx.ext.autodoc", "sphinx.ext.autosummary", "sphinx.ext.napoleon"),
    *("myst_parser", "sphinx_copybutton", "c_header", "fields", "repository"),
]
exclude_patterns = ["README.md", "extensions", "static"]
# Pages of what this checkout does not have.
OPTIONAL = {
    "xent/torch.py": ["languages/pytorch.*", "api/torch.*"],
    "xent/jax.py": ["languages/jax.*", "api/jax.*"],
    "xent_xla.h": ["api/xla.*"],
}
for source, pages in OPTIONAL.items():
    if not (SOURCES / source).exists() and not (ROOT / "Include" / source).exists():
        exclude_patterns += pages
suppress_warnings = ["toc.excluded"]  # index.md names them all

# ---- Python ----------------------------------------------------------------------------------------------------------

autodoc_typehints = "none"  # the docstrings say more than the types
autodoc_preserve_defaults = True
autodoc_member_order = "bysource"
# xent.torch and xent.jax are documented without the frameworks, and without what is made of theirs.
autodoc_mock_imports = ["jax", "jaxlib", "torch", "xent._torch_ops"]
napoleon_google_docstring = False
napoleon_use_param = False
napoleon_use_rtype = False
add_module_names = False
add_function_parentheses = False
default_role = "py:obj"
smartquotes_action = "D"  # dashes; quotes are code as often as not

# ---- C ---------------------------------------------------------------------------------------------------------------

c_maximum_signature_line_length = 10000
toc_object_entries_show_parents = "hide"

# ---- Markdown --------------------------------------------------------------------------------------------------------

myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3
# Fenced code in languages that Pygments does not have under that name.
highlight_language = "none"

# ---- HTML ------------------------------------------------------------------------------------------------------------

html_theme = "furo"
html_title = f"Xent {release}"
html_static_path = ["static"]
html_css_files = ["xent.css"]
html_show_sphinx = False
html_copy_source = False
html_theme_options = {
    "light_css_variables": {"color-brand-primary": "#0b5c8a", "color-brand-content": "#0b5c8a"},
    "dark_css_variables": {"color-brand-primary": "#6cbcf0", "color-brand-content": "#6cbcf0"},
}
copybutton_prompt_text = r">>> |\.\.\. |\$ |sqlite> "
copybutton_prompt_is_regexp = True
