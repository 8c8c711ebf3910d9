"""Filling the page's template: escaping, figures as JSON, style and scripts inlined."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any

import plotly.graph_objects as go
from jinja2 import Environment, StrictUndefined, Template
from markupsafe import Markup
from plotly.offline import get_plotlyjs


def render(content: Mapping[str, Any]) -> str:
    """The page as text. Whatever is not marked as safe here is escaped."""
    figures = {
        name: figure and {"json": _embedded(figure), "height": int(figure.layout.height)}
        for name, figure in content["figures"].items()
    }
    page: str = _template().render(
        **{
            **content,
            "figures": figures,
            "css": Markup(_packaged("report.css")),
            "js": Markup(_packaged("report.js")),
            # 5 MB that only a page with figures needs
            "plotly": Markup(get_plotlyjs()) if any(figures.values()) else "",
            "drawing": Markup(content["drawing"]) if content["drawing"] else "",
        }
    )
    return page


def _embedded(figure: go.Figure) -> Markup:
    """A figure as JSON that can't end the script element around it."""
    return Markup(str(figure.to_json()).replace("<", "\\u003c"))


@cache
def _template() -> Template:
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    return environment.from_string(_packaged("report.html.jinja"))


def _packaged(name: str) -> str:
    return files("optuna_nas.report").joinpath("templates", name).read_text(encoding="utf-8")
