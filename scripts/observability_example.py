"""The example of docs/OBSERVABILITY.md. `tests/test_observability.py` types its commands.

The policy needed 50 ms for one step, under `--deadline-ms 20`. What is printed here is what
`isthmus logs` printed; the test compares all but the times, ports and names that are new in each
run.
"""

from __future__ import annotations

__all__ = ["CORR_ID", "EXAMPLE", "example"]

CORR_ID = "cell3-1187"
"""Of the bad action."""

EXAMPLE: tuple[tuple[str, str, str], ...] = (
    (
        "A robot hesitated at 05:59. Which steps were missed?",
        "isthmus logs --type deadline_miss",
        """\
2026-11-23T05:59:24.827Z  warn      deadline_miss        corr_id=cell3-1187 budget_ms=18.0\
 elapsed_ms=18.905214 consecutive=1 session=json-7babde73 remote=127.0.0.1:44016
""",
    ),
    (
        "One was. Everything about it:",
        f"isthmus logs --corr {CORR_ID}",
        """\
2026-11-23T05:59:24.809Z  info      received             corr_id=cell3-1187\
 session=json-7babde73 remote=127.0.0.1:44016 msg_type=obs\
 raw={"type":"obs","corr_id":"cell3-1187","data":{"q":[8.0,0.1],"dq":[0.0,0.0]}}
2026-11-23T05:59:24.827Z  info      sent                 corr_id=cell3-1187\
 session=json-7babde73 remote=127.0.0.1:44016 outcome=miss msg_type=action\
 resp={"type":"action","seq":4,"epoch":0,"outcome":3,"spans_ns":[68142,18114898,0,18183040],\
"send_ns":29918538842374,"wall_ns":1795413564827233439,"corr_id":"cell3-11... (395\
 characters)
2026-11-23T05:59:24.827Z  warn      deadline_miss        corr_id=cell3-1187 budget_ms=18.0\
 elapsed_ms=18.905214 consecutive=1 session=json-7babde73 remote=127.0.0.1:44016
2026-11-23T05:59:24.859Z  warn      late_inference       corr_id=cell3-1187\
 infer_ms=50.255552 late_ms=32.365245 budget_ms=18.0 session=json-7babde73\
 remote=127.0.0.1:44016
""",
    ),
)
"""What one asks, the command, and what it printed."""

READING = """\
The gateway ran with `--deadline-ms 20`. A tenth of that, 2 ms at most, is kept back for sending, so
the policy had 18 ms (`budget_ms`). The answer left after 18.9 ms, with the fallback's numbers and
not the policy's, because the inference had not ended by then; in truth it took 50.3 ms. One late
step among many is mostly the host's doing. Where `late_inference` says much the same again and
again, the policy is too slow for this deadline. (A link keeps its own reserve: of its `budget_ns`
nothing more is kept back.)"""


def example() -> str:
    """The example, as the page has it."""
    shown = (f"{ask}\n\n```text\n$ {command}\n{said}```" for ask, command, said in EXAMPLE)
    return "\n\n".join([*shown, READING])
