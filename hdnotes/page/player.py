"""Sphinx: a picture is shown as the poster of a movie where the page offers one of its name.

The figure that holds it keeps its number and caption; other formats keep the picture. Named in
`_config.yml`; needs nothing beyond Sphinx, so that the book can be built where there is no torch.
"""

import posixpath
from html import escape
from pathlib import PurePosixPath
from urllib.parse import quote

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.writers.html5 import HTML5Translator


def visit_image(page: HTML5Translator, node: nodes.image) -> None:
    """Write the picture, or in its place the player of its movie."""
    movie = PurePosixPath(node["uri"]).with_suffix(".mp4").as_posix()
    _, file = page.builder.env.dlfiles.get(movie, (None, None))
    if file is None:
        return type(page).visit_image(page, node)
    poster = posixpath.join(page.builder.imgpath, quote(page.builder.images[node["uri"]]))
    source, words = posixpath.join(page.builder.dlpath, quote(file)), escape(node["alt"])
    page.body.append(
        f'<video controls playsinline preload="metadata" class="{" ".join(node["classes"])}" '
        f'poster="{poster}" aria-label="{words}"><source src="{source}" type="video/mp4">'
        f"{words}</video>\n"
    )


def depart_image(page: HTML5Translator, node: nodes.image) -> None:
    """Do nothing: a picture has no end."""


def setup(app: Sphinx) -> dict[str, bool]:
    """Take the writing of pictures over."""
    app.add_node(nodes.image, override=True, html=(visit_image, depart_image))
    return {"parallel_read_safe": True, "parallel_write_safe": True}
