"""The drawing of a space holds every line of its outline, inside of the picture."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree

import pytest

from optuna_nas.report import draw_space
from optuna_nas.space import Choice, SearchSpace, dense
from optuna_nas.space.outline import outline
from optuna_nas.spaces import chain_cnn, tabular_mlp

SVG = "{http://www.w3.org/2000/svg}"


@pytest.mark.parametrize("space", [chain_cnn(), tabular_mlp()], ids=lambda space: space.name)
def test_every_decision_is_drawn(space: SearchSpace) -> None:
    root = ElementTree.fromstring(draw_space(space))
    texts = [element.text for element in root.iter(f"{SVG}text")]
    rows = outline(space.points)
    assert texts == [text for row in rows for text in (row.name, row.text) if text]
    assert len(list(root.iter(f"{SVG}path"))) == sum(row.level > 0 for row in rows)
    assert len(list(root.iter(f"{SVG}rect"))) == sum(bool(row.name) for row in rows)
    _, _, width, height = map(float, root.attrib["viewBox"].split())
    for element in root.iter(f"{SVG}text"):
        assert 0 <= float(element.attrib["x"]) < width
        assert 0 <= float(element.attrib["y"]) < height
    (title,) = root.iter(f"{SVG}title")
    assert f"{space.size:,} networks" in str(title.text)


def test_names_are_escaped() -> None:
    body = dense(Choice("a<b & c", [1, 2]))
    picture = draw_space(SearchSpace("x", input_shape=(4,), classes=2, body=body))
    assert "a&lt;b &amp; c" in picture
    ElementTree.fromstring(picture)


def test_a_space_without_decisions_is_an_empty_picture() -> None:
    picture = draw_space(SearchSpace("x", input_shape=(4,), classes=2, body=[]))
    assert not list(ElementTree.fromstring(picture).iter(f"{SVG}rect"))
