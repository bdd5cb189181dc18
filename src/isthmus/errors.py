"""Every error isthmus raises, in one tree.

::

    Error
    ├── ContractError                  a contract, or a value held against one, is wrong
    │   ├── InterfaceMismatchError     the two sides hold different contracts (carries the diff)
    │   └── ObservationError           an observation does not fit the contract
    ├── ProtocolError
    │   ├── LocalProtocolError         we misused the conversation
    │   └── RemoteProtocolError        the peer did
    │       └── PeerError              the peer answered with a typed error
    ├── TransportError
    │   ├── AddressError               a URL cannot be understood or listened on
    │   ├── ConnectError               nobody could be reached
    │   │   └── NoAnswerError          somebody was, and did not answer the handshake
    │   ├── ConnectionLostError        the peer went away
    │   └── UpgradeError               shared memory cannot be used between these two processes
    ├── RefusedError                   the gateway refused the handshake; says what to change
    ├── DeadlineError                  no answer in time, where no fallback may replace it
    ├── PolicyError
    │   ├── PolicyLoadError            a model or its manifest cannot be used
    │   └── InferenceError             a policy failed on an observation
    ├── RecordError                    a run on disk is damaged, or a column does not fit
    ├── EventLogError                  an event log cannot be opened for writing, or be read
    ├── EnvironmentSetupError          an interpreter or environment is missing or broken
    │   └── NotBuiltError              an environment that is made on demand is not made yet
    ├── ManifestError                  `isthmus.toml` is missing, or says something wrong
    ├── SupervisionError               a run cannot be started or watched
    ├── ForbiddenImportError           a module that belongs to the other side was imported
    └── MissingDependencyError         an optional package is needed and absent

Messages say what was expected, what came, and what to do.
"""

from __future__ import annotations

__all__ = [
    "AddressError",
    "ConnectError",
    "ConnectionLostError",
    "ContractError",
    "DeadlineError",
    "EnvironmentSetupError",
    "Error",
    "EventLogError",
    "ForbiddenImportError",
    "InferenceError",
    "InterfaceMismatchError",
    "LocalProtocolError",
    "ManifestError",
    "MissingDependencyError",
    "NoAnswerError",
    "NotBuiltError",
    "ObservationError",
    "PeerError",
    "PolicyError",
    "PolicyLoadError",
    "ProtocolError",
    "RecordError",
    "RefusedError",
    "RemoteProtocolError",
    "SupervisionError",
    "TransportError",
    "UpgradeError",
]


class Error(Exception):
    """Base of every error isthmus raises on purpose."""


class ContractError(Error):
    """A contract, or a value held against one, is wrong."""


class InterfaceMismatchError(ContractError):
    """The two sides hold contracts with different interfaces; the message is the diff."""


class ObservationError(ContractError):
    """An observation is missing a field, or a field has the wrong shape, dtype or values."""


class ProtocolError(Error):
    """The conversation was broken.

    Attributes:
        code: a word from `isthmus.protocol.bounds.ERROR_CODES`, which crosses the wire.
    """

    def __init__(self, message: str, *, code: str = "schema_violation") -> None:
        super().__init__(message)
        self.code = code


class LocalProtocolError(ProtocolError):
    """This side tried a move the conversation does not allow."""


class RemoteProtocolError(ProtocolError):
    """The peer sent something the conversation does not allow."""


class PeerError(RemoteProtocolError):
    """The peer answered a question with a typed error.

    Attributes:
        retryable: True if the same question may succeed later.
    """

    def __init__(self, message: str, *, code: str, retryable: bool = False) -> None:
        super().__init__(message, code=code)
        self.retryable = retryable


class TransportError(Error):
    """Bytes could not travel."""


class AddressError(TransportError):
    """A URL cannot be understood, or cannot be listened on."""


class ConnectError(TransportError):
    """Nobody could be reached at the address in the time given."""


class NoAnswerError(ConnectError):
    """Something listens at the address, and does not answer the handshake."""


class ConnectionLostError(TransportError):
    """The peer went away, or closed the connection."""


class UpgradeError(TransportError):
    """Shared memory cannot be used between these two processes; the message says why."""


class RefusedError(Error):
    """The gateway refused the handshake.

    Attributes:
        code: why, as one word from the protocol's error codes.
        retryable: True if the same handshake may succeed later.
    """

    def __init__(self, message: str, *, code: str, retryable: bool = False) -> None:
        super().__init__(message)
        self.code = code
        self.retryable = retryable


class DeadlineError(Error):
    """No answer came in time, and this pacing allows no fallback."""


class PolicyError(Error):
    """A policy cannot be loaded or run."""


class PolicyLoadError(PolicyError):
    """A model or its manifest cannot be used."""


class InferenceError(PolicyError):
    """A policy failed on an observation."""


class RecordError(Error):
    """A run on disk is damaged, or what is to be recorded does not fit."""


class EventLogError(Error):
    """An event log is being written by another, or its folder or file cannot be used."""


class EnvironmentSetupError(Error):
    """An interpreter or an environment is missing or broken."""


class NotBuiltError(EnvironmentSetupError):
    """An environment that is made on demand is not made yet, and was not to be made now."""


class ManifestError(Error):
    """`isthmus.toml` is missing or says something wrong; names the line and what fits there."""


class SupervisionError(Error):
    """A run cannot be started, or its supervisor cannot be reached."""


class ForbiddenImportError(Error, ModuleNotFoundError):
    """A module that belongs to the other side was imported; the message has the import chain.

    Also a ModuleNotFoundError: for this process the module is not there, and code that tries an
    optional import goes on as it would without it.
    """


class MissingDependencyError(Error):
    """An optional package is needed and absent; the message says how to install it."""
