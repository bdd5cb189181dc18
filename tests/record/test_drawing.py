from __future__ import annotations

import math
import struct
import zlib

import numpy as np
import pytest

from isthmus.errors import Error
from isthmus.record import png
from isthmus.record.arm import portrait, shade
from isthmus.record.axes import Axis, log_ticks, ticks
from isthmus.record.scene import Camera
from isthmus.record.svg import element, number, path, text

from .synthetic import STEPS, scenes


@pytest.mark.parametrize(
    ("low", "high", "count", "expected"),
    [
        (0.0, 1.0, 5, [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]),
        (-1.57, 1.57, 4, [-1.0, 0.0, 1.0]),
        (0.0, 480.0, 5, [0, 100, 200, 300, 400]),
        (0.0, 0.0007, 4, [0.0, 0.0002, 0.0004, 0.0006]),
    ],
)
def test_ticks_are_round(low: float, high: float, count: int, expected: list[float]) -> None:
    assert ticks(low, high, count) == pytest.approx(expected)


def test_log_ticks_stay_inside() -> None:
    assert log_ticks(0.1, 50) == pytest.approx([0.1, 1, 10])
    assert log_ticks(0.1, 1.5, dense=True) == pytest.approx([0.1, 0.2, 0.5, 1])


def test_an_axis_draws_what_is_outside_on_its_edge() -> None:
    axis = Axis(1.0, 100.0, 300.0, 100.0, log=True)
    assert [axis.at(v) for v in (0.0, 1.0, 10.0, 100.0, 1e9)] == [300, 300, 200, 100, 100]


def test_a_camera_from_above_sees_the_plan() -> None:
    camera = Camera(math.pi, math.pi / 2, 100.0, (0, 0, 0), (0, 0))
    x, y, near = camera.project(np.array([0.2, 0.1, 0.3]))
    assert (x, y, near) == pytest.approx((-10.0, -20.0, 0.3))


def test_a_camera_keeps_lengths() -> None:
    axes = Camera(-0.95, 0.4, 1.0, (0, 0, 0), (0, 0)).axes
    np.testing.assert_allclose(axes @ axes.T, np.eye(3), atol=1e-12)


def test_shades() -> None:
    assert shade("#804020", 0.5) == "#402010"
    assert shade("#804020", 1.5) == "#c0a090"


def test_elements_escape_what_they_are_given() -> None:
    assert element("p", class_='a"b', data_x=None) == '<p class="a&quot;b"></p>'
    assert text(1, 2, "<&>") == '<text x="1" y="2" class="t">&lt;&amp;&gt;</text>'
    assert [number(v) for v in (-0.001, 1.0, 2.346)] == ["0", "1", "2.35"]


def test_a_path_drops_what_no_eye_can_see_but_keeps_its_end() -> None:
    drawn = path([(0, 0), (0.1, 0), (5, 5), (5.2, 5.1)])
    assert drawn == '<path d="M0 0L5 5L5.2 5.1"></path>'
    assert path([]) == '<path d=""></path>'


def test_a_portrait_holds_every_part() -> None:
    drawn = portrait(scenes(1)[0], STEPS - 1, "a pose")
    assert drawn.count('class="tube"') == 2 and drawn.count("<rect") == 1
    assert 'aria-label="a pose"' in drawn


def test_a_png_holds_the_pixels() -> None:
    pixels = np.random.default_rng(1).integers(0, 256, (5, 7, 3), np.uint8)
    data = png(pixels)
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    chunks, at = {}, 8
    while at < len(data):
        (length,) = struct.unpack_from(">I", data, at)
        kind, body = data[at + 4 : at + 8], data[at + 8 : at + 8 + length]
        assert struct.unpack_from(">I", data, at + 8 + length)[0] == zlib.crc32(kind + body)
        chunks[kind], at = body, at + 12 + length
    assert struct.unpack(">IIBBBBB", chunks[b"IHDR"]) == (7, 5, 8, 2, 0, 0, 0)
    rows = np.frombuffer(zlib.decompress(chunks[b"IDAT"]), np.uint8).reshape(5, 22)
    assert (rows[:, 0] == 2).all()
    np.testing.assert_array_equal(np.cumsum(rows[:, 1:], 0, np.uint8).reshape(5, 7, 3), pixels)
    with pytest.raises(Error, match="expected uint8"):
        png(pixels.astype(float))
