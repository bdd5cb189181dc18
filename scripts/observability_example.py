"""The example of docs/OBSERVABILITY.md. `tests/test_observability.py` types its commands.

The policy needed 50 ms for one step, under a deadline of 20. What is printed here is what
`isthmus logs` printed; the test compares all but the times, ports and names that are new in each
run.
"""

from __future__ import annotations

__all__ = ["CORR_ID", "EXAMPLE", "example"]

CORR_ID = "cell3-1187"
"""Of the bad action."""

EXAMPLE: tuple[tuple[str, str, str], ...] = (
    (
        "A robot hesitated at 04:46. Which steps were missed?",
        "isthmus logs --type deadline_miss",
        """\
2026-11-23T04:46:03.132Z  warn      deadline_miss        corr_id=cell3-1187 budget_ms=20.0\
 elapsed_ms=21.264183 consecutive=1 session=json-a5774c68 remote=127.0.0.1:57632
""",
    ),
    (
        "One was. Everything about it:",
        f"isthmus logs --corr {CORR_ID}",
        """\
2026-11-23T04:46:03.132Z  info      received             corr_id=cell3-1187\
 session=json-a5774c68 remote=127.0.0.1:57632 msg_type=obs\
 raw={"type":"obs","corr_id":"cell3-1187","data":{"q":[8.0,0.1],"dq":[0.0,0.0]}}
2026-11-23T04:46:03.132Z  info      sent                 corr_id=cell3-1187\
 session=json-a5774c68 remote=127.0.0.1:57632 msg_type=action\
 resp={"type":"action","seq":4,"epoch":0,"outcome":3,"spans_ns":[86649,20125619,0,20212268],\
"send_ns":25516843064984,"wall_ns":1795409163131460126,"corr_id":"cell3-11... (376\
 characters)
2026-11-23T04:46:03.132Z  warn      deadline_miss        corr_id=cell3-1187 budget_ms=20.0\
 elapsed_ms=21.264183 consecutive=1 session=json-a5774c68 remote=127.0.0.1:57632
2026-11-23T04:46:03.161Z  warn      late_inference       corr_id=cell3-1187\
 infer_ms=50.256082 late_ms=30.408038 budget_ms=20.0 session=json-a5774c68\
 remote=127.0.0.1:57632
""",
    ),
)
"""What one asks, the command, and what it printed."""

READING = """\
The question had 20 ms. The answer left after 21.3 ms, with the fallback's numbers and not the
policy's, because the inference had not ended by then; in truth it took 50.3 ms. One late step among
many is mostly the host's doing. Where `late_inference` says much the same again and again, the
policy is too slow for this deadline."""


def example() -> str:
    """The example, as the page has it."""
    shown = (f"{ask}\n\n```text\n$ {command}\n{said}```" for ask, command, said in EXAMPLE)
    return "\n\n".join([*shown, READING])
