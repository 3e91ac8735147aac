from __future__ import annotations

import xml.etree.ElementTree as ET

import pytest

from recsys.report import CloudPlot, Point

HOSTILE = '<script>alert("1")</script>&\' ÄÖ 木'


def cloud(n: int) -> CloudPlot:
    points = tuple(Point(f"{HOSTILE}{i}", i - 3.0, (i * 7) % 5 / 1e3, i) for i in range(n))
    return CloudPlot(HOSTILE, "D", points)


@pytest.mark.parametrize("width", [400, 860])
@pytest.mark.parametrize("n", [0, 1, 40])
def test_every_point_has_its_name_on_hover_and_nothing_is_markup(n: int, width: int) -> None:
    drawn = cloud(n).draw(width, "a-plot")
    root = ET.fromstring(drawn)
    groups = [part for part in root if part.tag.endswith("g")]
    assert [group[0].text for group in groups] == [f"{HOSTILE}{i}" for i in range(n)]
    assert "<script" not in drawn
    assert "<text" not in drawn


def test_points_lie_inside_and_to_scale() -> None:
    root = ET.fromstring(cloud(9).draw(400, "a-plot"))
    height = float(root.get("height", "0"))
    circles = [float(x.get("cx", "0")) for x in root.iter() if x.tag.endswith("circle")]
    assert 0 < min(circles) < max(circles) < 400
    assert circles == sorted(circles)
    assert all(0 < float(x.get("cy", "0")) < height for x in root.iter() if x.tag == "circle")
