"""`isthmus logs`: what a gateway wrote down, found again and harmless to look at."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.support.rights import closed
from tests.support.waiting import until

from isthmus.cli.main import main
from isthmus.events import EventLog, new_event
from isthmus.events.log import DEFAULT_NAME

Output = pytest.CaptureFixture[str]
NOW = time.time()


def write(folder: Path, *events: dict[str, Any], **options: Any) -> EventLog:
    log = EventLog(folder, **options)
    for event in events:
        log.emit(event)
    log.start()
    log.close()
    return log


@pytest.fixture
def logs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A log in three files, in the current folder: questions c0 to c9 and their answers."""
    monkeypatch.chdir(tmp_path)
    events: list[dict[str, Any]] = []
    for number in range(10):
        about = {
            "corr_id": f"c{number}",
            "session": f"s{number % 2}",
            "ts_wall": NOW - 100 * number,
        }
        raw = json.dumps({"type": "obs", "data": {"q": [number]}}).encode()
        events += [
            new_event("received", msg_type="obs", **about, raw=raw),
            new_event("sent", msg_type="action", resp={"type": "action"}, **about),
        ]
    events.append(new_event("deadline_escalation", consecutive=5, threshold=5, session="s1"))
    write(tmp_path / "logs", *events, max_bytes=2000)
    assert len(list((tmp_path / "logs").glob("*Z*"))) >= 2
    return tmp_path / "logs"


def shown(capsys: Output, *arguments: str) -> list[str]:
    assert main(["logs", *arguments]) == 0
    out, err = capsys.readouterr()
    assert out or " no event fits --" in err
    assert not out or err == ""
    return list(out.splitlines())


def events(capsys: Output, *arguments: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in shown(capsys, "--json", *arguments)]


def test_everything_about_one_question(logs: Path, capsys: Output) -> None:
    asked, answered = shown(capsys, "--corr", "c7")
    assert "received" in asked and asked.endswith('raw={"type":"obs","data":{"q":[7]}}')
    assert "sent" in answered and "corr_id=c7" in answered
    assert [event["phase"] for event in events(capsys, "--corr", "c7")] == ["recv", "send"]


def test_all_of_it_in_order(logs: Path, capsys: Output) -> None:
    numbers = [event["seq"] for event in events(capsys)]
    assert numbers == list(range(23))
    written = b"".join(file.read_bytes() for file in sorted(logs.glob("ipc*.jsonl.*")))
    written += (logs / DEFAULT_NAME).read_bytes()
    assert shown(capsys, "--json") == written.decode().splitlines()


@pytest.mark.parametrize(
    ("arguments", "count"),
    [
        (["--session", "s1"], 11),
        (["--type", "received"], 10),
        (["--severity", "warn"], 1),
        (["--severity", "warning"], 1),
        (["--severity", "CRIT"], 1),
        (["--severity", "critical", "--session", "s0"], 0),
        (["--since", "5m", "--type", "sent"], 3),
        (["--until", "5m", "--type", "sent"], 7),
        (["--since", "10m", "--until", "5m", "--session", "s0", "--type", "sent"], 1),
        (["--until", "2001-01-01T00:00:00Z"], 0),
    ],
)
def test_only_what_is_asked_for(
    logs: Path, capsys: Output, arguments: list[str], count: int
) -> None:
    assert len(shown(capsys, *arguments)) == count


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--corr", "c99"], "no event fits --corr c99; one that went well is written down only"),
        (["--type", "sent", "--severity", "warn"], "no event fits --type sent --severity warn\n"),
        (["--session", "\x1b[2J"], r"no event fits --session \x1b[2J"),
    ],
)
def test_a_filter_that_nothing_fits_is_told(
    logs: Path, capsys: Output, arguments: list[str], words: str
) -> None:
    assert main(["logs", *arguments]) == 0
    out, err = capsys.readouterr()
    assert out == "" and words in err and err.count("\n") == 1


def test_a_log_without_events_is_told(tmp_path: Path, capsys: Output) -> None:
    (tmp_path / DEFAULT_NAME).touch()
    assert main(["logs", str(tmp_path)]) == 0
    assert "there is no event yet" in capsys.readouterr().err


def test_a_folder_a_run_a_file_and_a_part(logs: Path, capsys: Output) -> None:
    part = sorted(logs.glob("*Z"))[0]
    everything = shown(capsys)
    assert shown(capsys, "logs") == everything
    assert shown(capsys, ".") == everything
    assert shown(capsys, f"logs/{DEFAULT_NAME}") == everything
    some = shown(capsys, str(part))
    assert some == everything[: len(some)] and 1 < len(some) < 23


def test_the_newest_run_is_meant_where_there_are_no_logs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Output
) -> None:
    monkeypatch.chdir(tmp_path)
    for run in ("20261117T000000Z-a", "20261118T000000Z-b"):
        write(tmp_path / "runs" / run / "logs", new_event("accept_paused", detail=run))
    assert "detail=20261118T000000Z-b" in shown(capsys, "--type", "accept_paused")[0]


ESCAPES = "\x1b[2J\x1b]0;owned\x07\r\n\u2028\u202e\x9b31m\x00\x7f"


def test_a_client_cannot_command_the_terminal(tmp_path: Path, capsys: Output) -> None:
    about = {"corr_id": ESCAPES, "session": ESCAPES, "remote": ESCAPES}
    write(
        tmp_path,
        new_event("received", msg_type=ESCAPES, raw=ESCAPES.encode(), **about),
        new_event("received", msg_type="x", raw=json.dumps({ESCAPES: ESCAPES}).encode(), **about),
        {"type": ESCAPES, "phase": ESCAPES, ESCAPES: [ESCAPES]},
    )
    for arguments in ((), ("--json",), ("--corr", ESCAPES), ("--session", ESCAPES)):
        lines = shown(capsys, str(tmp_path), *arguments)
        assert len(lines) == (2 if len(arguments) == 2 else 5)
        assert all(line.isprintable() for line in lines)


def test_another_programs_lines_are_made_harmless_too(tmp_path: Path, capsys: Output) -> None:
    (tmp_path / DEFAULT_NAME).write_bytes(b'{"ts": 5.5, "text": "\xc2\x9b31m"}\r\n{"a": 1}\n')
    assert shown(capsys, str(tmp_path), "--json") == [
        '{"ts": 5.5, "text": "\\u009b31m"}',
        '{"a": 1}',
    ]
    assert shown(capsys, str(tmp_path))[0] == (
        "1970-01-01T00:00:05.500Z  info      event                text=\\x9b31m"
    )


def test_what_cannot_be_read_is_said(tmp_path: Path, capsys: Output) -> None:
    (tmp_path / DEFAULT_NAME).write_bytes(b'{"a": 1}\n\x1b[2J\n{"a": 2}\n')
    assert main(["logs", str(tmp_path), "--json"]) == 0
    out, err = capsys.readouterr()
    assert out == '{"a": 1}\n{"a": 2}\n'
    assert err == f"isthmus: {tmp_path / DEFAULT_NAME}: no event: b'\\x1b[2J'\n"


def test_nothing_is_missing(logs: Path, capsys: Output) -> None:
    (line,) = shown(capsys, "--gaps")
    assert line.endswith("23 events, the last is number 22; ended in order; 0 missing")
    (boot,) = json.loads("".join(shown(capsys, "--gaps", "--json")))["boots"]
    assert (boot["events"], boot["closed"], boot["missing"]) == (23, True, [])


def test_what_is_missing_and_why(tmp_path: Path, capsys: Output) -> None:
    write(tmp_path, *({"type": "x"} for _ in range(9)), capacity=4)
    path = tmp_path / DEFAULT_NAME
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([*lines[:2], b"broken\n", *lines[3:]]))
    assert main(["logs", str(tmp_path), "--gaps"]) == 1
    out, err = capsys.readouterr()
    _, first, second = out.splitlines()
    assert first == "  2 to 2 (1): the log does not say why"
    assert second == "  5 to 9 (5): dropped: 4 events were waiting already"
    assert err == f"isthmus: {path}: no event: b'broken'\n"
    assert main(["logs", str(tmp_path), "--gaps", "--json"]) == 1
    facts = json.loads(capsys.readouterr().out)
    assert [gap["count"] for gap in facts["boots"][0]["missing"]] == [1, 5]
    assert (facts["damage"][0]["file"], facts["unfinished_bytes"]) == (str(path), 0)


def test_gaps_of_a_log_without_numbers(tmp_path: Path, capsys: Output) -> None:
    (tmp_path / DEFAULT_NAME).write_text('{"ts_wall": 1}\n')
    assert main(["logs", str(tmp_path), "--gaps"]) == 0
    assert capsys.readouterr() == ("", "isthmus: no event here has a number\n")


def test_a_log_is_followed_over_its_rotations(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Output
) -> None:
    """The last ten events first, then what comes; Ctrl-C ends it."""
    folder = tmp_path / "logs"
    write(folder, *({"type": "x", "corr_id": f"c{n}"} for n in range(20)))
    rounds = iter(range(20, 60, 10))

    def meanwhile() -> None:
        first = next(rounds, None)
        if first is None:
            raise KeyboardInterrupt
        numbers = range(first, first + 10)
        write(folder, *({"type": "x", "corr_id": f"c{n}"} for n in numbers), max_bytes=500)

    monkeypatch.setattr("isthmus.cli.logs.pause", meanwhile)
    assert main(["logs", str(folder), "--follow", "--json"]) == 130
    found = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [e["corr_id"] for e in found if e["type"] == "x"] == [f"c{n}" for n in range(11, 60)]
    assert len(list(folder.glob("*Z*"))) > 8


def test_what_was_removed_before_it_was_read_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Output
) -> None:
    """A quota that is too small for the follower; a search for one kind of event notices, too."""
    log = EventLog(tmp_path, max_bytes=400, quota_bytes=800)
    log.start()
    rounds = iter([60])

    def meanwhile() -> None:
        count = next(rounds, None)
        if count is None:
            raise KeyboardInterrupt
        for number in range(count):
            log.emit({"type": "x", "n": number})
        log.close()

    until(lambda: log.stats().written == 1)
    monkeypatch.setattr("isthmus.cli.logs.pause", meanwhile)
    assert main(["logs", str(tmp_path), "--follow", "--type", "log_closed"]) == 130
    err = capsys.readouterr().err
    assert "events of" in err and "are not shown: their file was removed before it was read" in err


@pytest.mark.parametrize("arguments", [[], ["--gaps"]])
@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir])
def test_a_live_file_that_is_none_holds_nobody_up(
    tmp_path: Path, capsys: Output, make: Callable[[Path], None], arguments: list[str]
) -> None:
    write(tmp_path, *({"type": "x"} for _ in range(9)), max_bytes=300)
    (tmp_path / DEFAULT_NAME).unlink()
    make(tmp_path / DEFAULT_NAME)
    assert main(["logs", str(tmp_path), *arguments]) == (1 if arguments else 0)
    out, err = capsys.readouterr()
    assert out and f"{DEFAULT_NAME}: no regular file; not read" in err


def test_after_a_boot_without_an_end_nothing_is_known(tmp_path: Path, capsys: Output) -> None:
    path = tmp_path / DEFAULT_NAME
    for _ in range(2):
        write(tmp_path, {"type": "x"})
        lines = path.read_bytes().splitlines(keepends=True)
        path.write_bytes(b"".join(lines[:-1]))  # as a kill leaves it
    first, second = shown(capsys, "--gaps", str(tmp_path))
    assert "no end: killed, or its last events could not be written, so what came after" in first
    assert "no end: killed, or still writing, so what came after number 1 is unknown" in second
    facts = json.loads("".join(shown(capsys, "--gaps", "--json", str(tmp_path))))
    assert [boot["unknown_after"] for boot in facts["boots"]] == [1, 1]


def test_following_from_a_time_on(
    logs: Path, monkeypatch: pytest.MonkeyPatch, capsys: Output
) -> None:
    def interrupted() -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("isthmus.cli.logs.pause", interrupted)
    assert main(["logs", "--follow", "--since", "1h", "--type", "sent"]) == 130
    assert len(capsys.readouterr().out.splitlines()) == 10


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["nowhere"], "nowhere: there is no such folder or file"),
        ([], "there is no event log in logs/ nor in a run under runs/"),
        (["--type", "recieved"], "there is no kind of event 'recieved'; did you mean received?"),
        (["--type", "qqq"], "there is no kind of event 'qqq'; known: received, "),
        (["--since", "soon"], "expected a time such as 10m"),
    ],
)
def test_what_cannot_be_done(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: Output,
    arguments: list[str],
    words: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["logs", *arguments]) == 2
    assert words in capsys.readouterr().err


def test_a_file_that_was_put_aside_is_not_followed(logs: Path, capsys: Output) -> None:
    assert main(["logs", str(next(logs.glob("*Z"))), "--follow"]) == 2
    assert "does not grow; name its folder" in capsys.readouterr().err


def test_a_log_that_may_not_be_read(logs: Path, capsys: Output) -> None:
    with closed(logs):
        assert main(["logs", "logs"]) == 2
    assert "Permission denied" in capsys.readouterr().err
