"""Every bound and every word of the wire, in one place. All are checked before memory is taken."""

from __future__ import annotations

__all__ = [
    "ERROR_CODES",
    "MAX_BODY",
    "MAX_HANDSHAKE",
    "MAX_LINE",
    "MAX_NUM_ENVS",
    "MAX_TAIL",
    "MAX_TEXT",
    "PACINGS",
    "WIRE_VERSION",
]

WIRE_VERSION = 1
"""Version of the binary frames and of the handshake; two sides must have the same."""

MAX_HANDSHAKE = 1 << 20
"""Bytes of a frame or line before the handshake is done: a contract fits, a flood does not."""

MAX_TAIL = 1 << 20
"""Bytes of the JSON tail of a binary frame."""

MAX_BODY = 1 << 30
"""Bytes of the arrays of one frame; a contract that needs more is refused in the handshake."""

MAX_LINE = 16 << 20
"""Bytes of one line of the json codec; larger payloads belong in the binary codec."""

MAX_NUM_ENVS = 1 << 20
"""Environments of one link."""

MAX_TEXT = 256
"""Characters of an identifier that crosses: correlation ids, hashes, session names."""

PACINGS: tuple[str, ...] = ("realtime", "lockstep")

ERROR_CODES: dict[str, str] = {
    "bad_json": "the bytes are no JSON object, or no message at all",
    "schema_violation": "a message breaks the schema or the order of the conversation",
    "unknown_type": "the message's type is not known",
    "wire_version": "the two sides speak different wire versions",
    "interface_mismatch": "the two sides hold different contracts",
    "pacing": "this pacing is not possible with this contract or peer",
    "policy_unavailable": "no policy is loaded, or none of that name",
    "policy_too_slow": "the policy cannot answer inside the deadline",
    "load_failed": "a policy could not be loaded",
    "report_failed": "a report could not be written; the detail says which, and why",
    "inference_failed": "the policy raised, or answered with something the contract forbids",
    "not_finite": "a number is NaN or infinite",
    "too_large": "a message is larger than the bound",
    "too_many_sessions": "the gateway is full",
    "superseded": "the same session connected again",
    "shutting_down": "the gateway is closing",
    "upgrade_refused": "shared memory cannot be used between these two processes",
    "bad_admin_op": "the admin operation is not known",
    "internal": "an unexpected fault, logged on the other side",
}
"""Code -> meaning. An error crosses as {code, message, corr_id, retryable}; a traceback never."""
