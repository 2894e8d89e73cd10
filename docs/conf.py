"""How Sphinx builds the pages of this folder: ``make docs``.

The pages are plain Markdown that reads well on a code host. What only the site needs is added here.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

from sphinx import addnodes

from docs import rule_pages

if TYPE_CHECKING:
    from docutils import nodes
    from sphinx.application import Sphinx

project = "tallykv"
extensions = ["myst_parser"]
html_theme = "furo"
html_title = "tallykv"
html_copy_source = False
html_show_copyright = False
#: Headings get the anchors that code hosts give them.
myst_heading_anchors = 4

#: Pages whose lists of links are the site's table of contents, by heading.
CONTENTS = ("index", "explanation/decisions")
LINT_RULES = "reference/lint-rules"


def add_contents(_app: Sphinx, page: str, source: list[str]) -> None:
    """Append a table of contents, which a code host would show as text, to the pages above."""
    if page not in CONTENTS:
        return
    for section in re.split(r"(?m)^#+ ", source[0])[1:]:
        heading, _, text = section.partition("\n")
        pages = re.findall(r"\]\((?!\.\./|\w+:)([^)#]+)\.md\)", text)
        if pages:
            entries = "\n".join(pages)
            source[0] += f"\n```{{toctree}}\n:hidden:\n:caption: {heading}\n\n{entries}\n```\n"


def offer_files(app: Sphinx, page: nodes.document) -> None:
    """Turn links to Markdown files outside this folder into downloads, as links to others are."""
    for link in list(page.findall(addnodes.pending_xref)):
        # MyST names a document outside by its absolute path, without the suffix.
        if link.get("refdomain") == "doc" and link["reftarget"].startswith("/"):
            path = "/" + os.path.relpath(link["reftarget"] + ".md", app.srcdir)
            download = addnodes.download_reference(
                "", "", *link.children, refdoc=link["refdoc"], reftarget=path
            )
            link.replace_self(download)


def add_rule_pages(app: Sphinx) -> None:
    """Write a page for each lint rule, see rule_pages.py; a test's site has no rules."""
    docs = Path(app.srcdir)
    if (docs / LINT_RULES).with_suffix(".md").exists():
        rule_pages.write(docs)


def link_rules(_app: Sphinx, page: str, source: list[str]) -> None:
    if page == LINT_RULES:
        source[0] = rule_pages.with_links(source[0])


def setup(app: Sphinx) -> None:
    app.connect("builder-inited", add_rule_pages)
    app.connect("source-read", link_rules)
    app.connect("source-read", add_contents)
    # Before Sphinx collects the files that pages offer.
    app.connect("doctree-read", offer_files, priority=100)
