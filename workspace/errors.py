"""The error tree: every error a user can meet says what, the value, the limit and the cure.

RecommendrError
├── InputError              the caller gave something that can't be used
│   ├── InvalidValueError   a scalar outside its limits
│   ├── UnknownError        an id nobody knows (user, film, slate, version)
│   ├── SchemaError         a frame or file with the wrong columns, types or encoding
│   └── NotEstimableError   figures that no estimate can be made of, with the reason
├── StateError              the workspace is not ready (nothing imported, no index built, locked)
├── IntegrityError          a stored file or chain is not what its hash says
├── EncoderError            the text encoder can't be loaded or does not fit the index
└── ErasedError             it needed data that was erased on request
"""


class RecommendrError(Exception):
    """Base of all errors this project raises on purpose.

    Args:
        what: The thing and its value, for example ``k == 0``.
        limit: What it must be, for example ``must be >= 1``.
        hint: How to cure it.
    """

    exit_code = 2

    def __init__(self, what: str, limit: str = "", hint: str = "") -> None:
        self.what = what
        self.limit = limit
        self.hint = hint
        text = f"{what}, {limit}." if limit else f"{what.rstrip('.')}."
        super().__init__(f"{text} Hint: {hint.rstrip('.')}." if hint else text)


class InputError(RecommendrError):
    """The caller gave something that can't be used."""


class InvalidValueError(InputError, ValueError):
    """A value outside its limits."""


class UnknownError(InputError, LookupError):
    """An id nobody knows."""


class SchemaError(InputError):
    """A frame or file with the wrong columns, types or encoding."""


class NotEstimableError(InputError):
    """Figures that no estimate can be made of: never a 0, always the reason."""


class StateError(RecommendrError):
    """The workspace is not ready for the request."""


class IntegrityError(RecommendrError):
    """A stored file or chain is not what its hash says."""


class UnreachableError(RecommendrError):
    """A system outside this program does not answer, or answers what it can't mean."""


class EncoderError(RecommendrError):
    """The text encoder can't be loaded, or does not fit the index."""


class ErasedError(RecommendrError):
    """The answer needed data that was erased on request."""
