"The site: what Sphinx is told. tools/site.py prepares the pages from the notebooks and calls it; `make site`."

import adapool

project = "adapool"
author = "The adapool authors"
copyright = "2026 onwards, the adapool authors"
release = adapool.__version__

extensions = ["myst_nb", "sphinx.ext.mathjax"]
nb_execution_mode = "off"           # the outputs that the notebooks store are part of them
nb_render_markdown_format = "myst"  # what a cell shows as Markdown is set like the text around it, tables too
nb_code_prompt_show = "Show the code"
nb_code_prompt_hide = "Hide the code"
nb_ipywidgets_js = {}               # nothing is loaded from another host
myst_enable_extensions = ["dollarmath", "amsmath"]
myst_heading_anchors = 3

smartquotes = False

html_theme = "furo"
html_title = "adapool"
html_favicon = "_static/favicon.svg"
html_static_path = ["_static"]
html_css_files = ["adapool.css"]
html_js_files = ["exercises.js", "scrolling.js"]
def _brand(colour, visited):
    return {"color-brand-primary": colour, "color-brand-content": colour, "color-brand-visited": visited}


html_theme_options = {
    "light_css_variables": _brand("#0B5F8A", "#6B3FA0"),
    "dark_css_variables": _brand("#7CC4EE", "#C3A6F2"),
}
pygments_style = "a11y-high-contrast-light"
pygments_dark_style = "a11y-high-contrast-dark"
html_show_sourcelink = html_copy_source = False
html_use_index = False

mathjax_path = "mathjax/tex-svg.js"
mathjax3_config = {"options": {"enableMenu": False, "enableAssistiveMml": True}}
