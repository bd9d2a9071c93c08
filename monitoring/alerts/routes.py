"""Routes: where alerts go. Secrets stand in environment variables; a route names the variable, never the secret."""

import os
from collections.abc import Iterable
from typing import Annotated, Final, Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from workspace.errors import StateError
from workspace.redaction import REDACTED

Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_.-]{0,99}$")]
Variable = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,199}$")]
TIMEOUT_S: Final = 10.0
"""A receiver that hangs is left after so many seconds, and tried again later."""
_SCHEMES: Final = ("http", "https")
_SHORTEST_SECRET: Final = 4


class _Route(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Name
    timeout_s: float = Field(default=TIMEOUT_S, gt=0, le=60)

    def variables(self) -> tuple[str, ...]:
        """Names of the environment variables it needs."""
        return ()


class WebhookRoute(_Route):
    """A POST of one JSON document.

    Args:
        url: Where; without a secret in it.
        url_env: Variable that holds the URL, when the URL is a secret.
        token_env: Variable that holds a bearer token.
        signing_env: Variable that holds the key of the HMAC-SHA256 over the body, in ``X-Signature-256``.
    """

    kind: Literal["webhook"]
    url: str | None = None
    url_env: Variable | None = None
    token_env: Variable | None = None
    signing_env: Variable | None = None

    @field_validator("url")
    @classmethod
    def _plain_url(cls, url: str | None) -> str | None:
        return None if url is None else checked_url(url)

    @model_validator(mode="after")
    def _one_url(self) -> "WebhookRoute":
        if (self.url is None) == (self.url_env is None):
            raise ValueError("needs either url or url_env")
        return self

    def variables(self) -> tuple[str, ...]:
        """Names of the environment variables it needs."""
        return tuple(name for name in (self.url_env, self.token_env, self.signing_env) if name)


class SlackRoute(_Route):
    """A message in Slack's format; the URL of an incoming webhook is a secret.

    Args:
        url_env: Variable that holds the URL.
    """

    kind: Literal["slack"]
    url_env: Variable

    def variables(self) -> tuple[str, ...]:
        """Names of the environment variables it needs."""
        return (self.url_env,)


class EmailRoute(_Route):
    """A mail by SMTP.

    Args:
        host: The server.
        sender: Whom it is from.
        to: Whom it goes to.
        security: ``starttls``, ``tls`` from the first byte, or ``none``, which refuses a password.
        username: To sign in with.
        password_env: Variable that holds the password.
    """

    kind: Literal["email"]
    host: str = Field(min_length=1)
    port: int = Field(default=587, ge=1, le=65535)
    security: Literal["starttls", "tls", "none"] = "starttls"
    sender: str = Field(pattern=r"^[^@\s]+@[^@\s]+$")
    to: tuple[Annotated[str, Field(pattern=r"^[^@\s,]+@[^@\s,]+$")], ...] = Field(min_length=1)
    username: str | None = None
    password_env: Variable | None = None

    @model_validator(mode="after")
    def _password_guarded(self) -> "EmailRoute":
        if (self.username is None) != (self.password_env is None):
            raise ValueError("username and password_env go together")
        if self.password_env is not None and self.security == "none":
            raise ValueError('a password needs security "starttls" or "tls"')
        return self

    def variables(self) -> tuple[str, ...]:
        """Names of the environment variables it needs."""
        return (self.password_env,) if self.password_env else ()


Route = Annotated[WebhookRoute | SlackRoute | EmailRoute, Field(discriminator="kind")]


def checked_url(url: str) -> str:
    """Return a URL alerts may go to.

    Raises:
        ValueError: When it is none, or bears a password; it is not repeated.
    """
    parts = urlsplit(url)
    if parts.scheme not in _SCHEMES or not parts.hostname or not url.isprintable():
        raise ValueError("must be an http or https URL")
    if parts.username or parts.password:
        raise ValueError("must bear no user or password: name variables by token_env or url_env")
    return url


def secret(variable: str) -> str:
    """Return what an environment variable holds.

    Raises:
        StateError: When it is not set; nothing is repeated.
    """
    value = os.environ.get(variable, "")
    if not value:
        raise StateError(f"the environment variable {variable} is not set", hint="set it where the monitor runs")
    return value


def missing_variables(route: "WebhookRoute | SlackRoute | EmailRoute") -> tuple[str, ...]:
    """Return the environment variables a route needs and does not find."""
    return tuple(name for name in route.variables() if not os.environ.get(name))


def without_secrets(text: str, variables: Iterable[str]) -> str:
    """Return a text in which nothing that these variables hold is left."""
    for name in variables:
        value = os.environ.get(name, "")
        if len(value) >= _SHORTEST_SECRET:
            text = text.replace(value, REDACTED)
    return text
