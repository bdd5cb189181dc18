from __future__ import annotations

import base64
import json
import re
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

from isthmus.errors import Error
from isthmus.record import Part, Run, Scene, Still, write_report

from .synthetic import STEPS, WALL_NS, make_run, scenes

VOID = {"meta", "img", "br", "input", "link"}
PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8BQDwAEhQGAhKmMIQAAAABJRU5ErkJg"
)


class Page(HTMLParser):
    """Checks that tags balance, and gathers what the page would load."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.loads: list[str] = []
        self.ids: list[str] = []
        self.words = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        self.loads += [found[key] or "" for key in ("src", "href", "xlink:href") if key in found]
        self.ids += [found["id"] or ""] if "id" in found else []
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open and self.open[-1] == tag, f"</{tag}> closes {self.open[-3:]}"
        self.open.pop()

    def handle_data(self, data: str) -> None:
        if self.open[-1:] not in (["script"], ["style"]):
            self.words += data + " "


def read(path: Path) -> tuple[Page, str]:
    text = path.read_text(encoding="utf-8")
    page = Page()
    page.feed(text)
    page.close()
    assert page.open == []
    assert len(page.ids) == len(set(page.ids))
    return page, text


def test_a_page_is_whole_and_loads_nothing(tmp_path: Path) -> None:
    run = make_run(tmp_path)
    run.finish({})
    page, text = read(write_report(run, scenes(), [Still("rendered", PNG)]))
    assert [load[:22] for load in page.loads] == ["data:image/png;base64,"]
    assert not re.search(r"https?:|url\(|@import|fetch\(|XMLHttp|//[a-z]+\.[a-z]", text)
    assert "The arm reached" in page.words and "1 of 2" in page.words
    assert "not one missed the 32\u00a0ms deadline" in page.words
    for words in ("Python 3.11.9", "Python 3.12.1", "shared memory", "ab" * 32, "p99"):
        assert words in page.words


def test_every_picture_is_well_formed_and_finite(tmp_path: Path) -> None:
    run = make_run(tmp_path, missed=frozenset({2, 3}))
    run.finish({})
    _, text = read(write_report(run, scenes()))
    pictures = re.findall(r"<svg.*?</svg>", text, flags=re.S)
    assert len(pictures) > 10
    for picture in pictures:
        ElementTree.fromstring(picture)
        assert not re.search(r"\b(nan|inf)\b", picture, flags=re.I)


def test_words_of_the_run_are_escaped(tmp_path: Path) -> None:
    run = make_run(tmp_path)
    run.finish({})
    page, text = read(write_report(run, scenes()))
    assert "<base> & co" in page.words
    assert "<base>" not in text.replace("\\u003cbase>", "")


def test_misses_are_told(tmp_path: Path) -> None:
    run = make_run(tmp_path, missed=frozenset({2, 3, 4}))
    run.finish({})
    page, _ = read(write_report(run, scenes()))
    assert "3 had no answer, and they were replaced by the declared fallback" in page.words
    assert "deadline 3" in page.words and "bridged 3" in page.words


def test_a_stall_that_was_asked_for_is_told_and_not_held_against_the_arm(tmp_path: Path) -> None:
    run = make_run(tmp_path, episodes=3, missed=frozenset({STEPS + 3}))
    span = STEPS * 40_000_000
    run.meta.update(stall_seconds=0.1, stalled_ns=[WALL_NS + span + 1, WALL_NS + 2 * span - 1])
    run.finish({})
    page, text = read(write_report(run, scenes(3)))
    words = " ".join(page.words.split())
    assert "The arm reached 2 of 2 goals that the stall did not touch" in words
    assert "stopped on purpose for 0.1 s: 1 goal was under way then" in words
    assert "not reached in the stall" in words and "0.1 s, on purpose" in words
    assert 'class="tile bad"' not in text and 'class="bad">2 of 2' not in text


def test_a_miss_outside_the_stall_still_counts(tmp_path: Path) -> None:
    run = make_run(tmp_path, missed=frozenset({3}))
    run.meta.update(stall_seconds=1, stalled_ns=[WALL_NS + 10**12, WALL_NS + 10**12 + 1])
    run.finish({})
    page, text = read(write_report(run, scenes()))
    assert "1 of 2" in page.words and text.count('class="tile bad"') == 2


def test_the_player_gets_the_recorded_motion(tmp_path: Path) -> None:
    run = make_run(tmp_path)
    run.finish({})
    _, text = read(write_report(run, scenes()))
    found = re.search(r'<script type="application/json" id="playback">(.*?)</script>', text)
    assert found
    data = json.loads(found[1])
    ends = np.frombuffer(base64.b64decode(data["ends"]), "<i2").reshape(2 * STEPS, 3, 2, 3)
    np.testing.assert_allclose(ends[:STEPS] / 1e4, scenes()[0].ends, atol=5.1e-5)
    q = np.frombuffer(base64.b64decode(data["q"]), "<i2").reshape(2 * STEPS, 2)
    np.testing.assert_allclose(q[:STEPS] / 1e4, run.episodes()[0].columns["q"], atol=5.1e-5)
    assert [e["start"] for e in data["episodes"]] == [0, STEPS]
    assert data["steps"] == 2 * STEPS


def test_a_run_without_pictures_or_timings_has_a_page(tmp_path: Path) -> None:
    run = Run.create(tmp_path, {"name": "bare"})
    with run.episode() as episode:
        episode.append(q=np.zeros(2))
    page, _ = read(write_report(run))
    assert "0 of 1" in page.words and "The program died before it could end." in page.words
    assert "The arm at work" not in page.words


def test_an_empty_run_has_a_page(tmp_path: Path) -> None:
    run = Run.create(tmp_path, {})
    run.finish({}, state="failed")
    page, _ = read(write_report(run))
    assert "0 of 0" in page.words


def test_scenes_must_fit_the_episodes(tmp_path: Path) -> None:
    with pytest.raises(Error, match=r"scenes of \[12\] steps for episodes of \[12, 12\]"):
        write_report(make_run(tmp_path), scenes(1))


@pytest.mark.parametrize(
    ("kind", "colour", "message"),
    [("box", "#000000", "use one of capsule, cylinder"), ("capsule", "red", "expected '#rrggbb'")],
)
def test_parts_are_checked(kind: str, colour: str, message: str) -> None:
    with pytest.raises(Error, match=message):
        Part(kind, 0.1, colour)


def test_a_scenes_arrays_must_fit_each_other() -> None:
    good = scenes(1)[0]
    with pytest.raises(Error, match=r"scene ends: expected shape \(12, 2, 2, 3\)"):
        Scene(good.parts[:2], good.ends, good.tip, good.goal)
