"""Delivery: what waits in the outbox is handed to webhooks, Slack and mail servers, each within its time.

Routes don't wait for one another: a receiver that hangs costs its own messages ten seconds, and nobody else's any.
"""

import hashlib
import hmac
import html
import json
import logging
import queue
import smtplib
import ssl
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from email.message import EmailMessage
from email.utils import formatdate
from http.client import HTTPException, HTTPMessage
from pathlib import Path
from typing import IO, Any, Final

from monitoring.alerts import outbox
from monitoring.alerts.outbox import Message
from monitoring.alerts.routes import EmailRoute, SlackRoute, WebhookRoute, checked_url, secret, without_secrets
from workspace.clock import Clock
from workspace.errors import InvalidValueError, RecommendrError, UnreachableError
from workspace.files import file_lock
from workspace.redaction import redacted_text
from workspace.store import Store

IDEMPOTENCY_HEADER: Final = "Idempotency-Key"
SIGNATURE_HEADER: Final = "X-Signature-256"
PASS_S: Final = 30.0
"""One pass takes about so long at most; what is left waits for the next."""
_SLACK_TEXT: Final = 2_900
_SLACK_HEADER: Final = 150
_ANSWER_BYTES: Final = 65_536
_PASSING: Final = frozenset({408, 425, 429})
_log: Final = logging.getLogger(__name__)

AnyRoute = WebhookRoute | SlackRoute | EmailRoute


class MessageRefusedError(UnreachableError):
    """The receiver answers, and does not take this message; it may take others."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivered:
    """What one pass did.

    Args:
        delivered: Ids of the messages that were received.
        failed: Why others were not, by id.
        waiting: How many wait now, these and those whose time has not come.
        unrouted: How many of them go to a route the rules do not have.
    """

    delivered: tuple[str, ...] = ()
    failed: Mapping[str, str] = field(default_factory=dict)
    waiting: int = 0
    unrouted: int = 0

    def to_dict(self) -> dict[str, Any]:
        """Return plain data."""
        return {
            "delivered": list(self.delivered),
            "failed": dict(self.failed),
            "waiting": self.waiting,
            "unrouted": self.unrouted,
        }


def deliver(
    store: Store, routes: Mapping[str, AnyRoute], clock: Clock, *, lock: Path, pass_s: float = PASS_S
) -> Delivered:
    """Hand over what is due.

    Args:
        store: Where the outbox is.
        routes: By name.
        clock: What "now" means.
        lock: File that keeps two processes of one workspace from sending the same message.
        pass_s: After so many seconds no further message is begun.
    """
    with file_lock(lock):
        by_route: dict[str, list[Message]] = {}
        unrouted = 0
        for message in outbox.due(store, clock.now()):
            if message.route in routes:
                by_route.setdefault(message.route, []).append(message)
            else:
                unrouted += 1
        delivered: list[str] = []
        failed: dict[str, str] = {}
        for message, reason in _sent(by_route, routes, time.monotonic() + pass_s):
            if reason is None:
                outbox.cross_out(store, message.delivery_id, clock.now())
                delivered.append(message.delivery_id)
                _log.info("alert_delivered", extra={"route": message.route, "delivery_id": message.delivery_id})
            else:
                outbox.put_off(store, message.delivery_id, clock.now(), reason)
                failed[message.delivery_id] = reason
                _log.warning(
                    "alert_not_delivered",
                    extra={"route": message.route, "delivery_id": message.delivery_id, "reason": reason},
                )
        left = outbox.waiting(store)
    return Delivered(delivered=tuple(delivered), failed=failed, waiting=left, unrouted=unrouted)


def _sent(
    by_route: Mapping[str, Sequence[Message]], routes: Mapping[str, AnyRoute], until: float
) -> Iterator[tuple[Message, str | None]]:
    """Send in one thread a route; yield each message with why it failed, as they end.

    A route goes on only when the message before is crossed out: a kill repeats one message of a route, not all of them.
    """
    results: queue.SimpleQueue[tuple[Message, str | None, threading.Event] | None] = queue.SimpleQueue()

    def work(route: AnyRoute, messages: Sequence[Message]) -> None:
        try:
            for message in messages:
                if time.monotonic() > until:
                    return
                reason, down = attempt(route, message)
                noted = threading.Event()
                results.put((message, reason, noted))
                if down:
                    # The others would only hang likewise: they stay due.
                    return
                noted.wait()
        finally:
            results.put(None)

    for name, messages in by_route.items():
        threading.Thread(target=work, args=(routes[name], messages), daemon=True).start()
    working = len(by_route)
    while working:
        found = results.get()
        if found is None:
            working -= 1
            continue
        message, reason, noted = found
        yield message, reason
        noted.set()


def attempt(route: AnyRoute, message: Message) -> tuple[str | None, bool]:
    """Try once.

    Returns:
        Why it failed, without any secret, or None; and whether the whole route is down.
    """
    try:
        _within(route.timeout_s, lambda: send(route, message))
    except Exception as error:  # noqa: BLE001 - whatever a receiver does, the next message goes on
        return _reason(route, error), not isinstance(error, MessageRefusedError)
    return None, False


def send(route: AnyRoute, message: Message) -> None:
    """Hand one message over; returns when the receiver has said that it has it.

    Raises:
        UnreachableError: When it does not answer, or answers that it is not well.
        MessageRefusedError: When it refuses this message.
        StateError: When a variable is not set.
    """
    if isinstance(route, EmailRoute):
        _mail(route, message)
    elif isinstance(route, SlackRoute):
        _post(route.timeout_s, _url(None, route.url_env), _encoded(slack_document(message.body)), {})
    else:
        body = _encoded(message.body)
        headers = {IDEMPOTENCY_HEADER: message.delivery_id}
        if route.token_env:
            headers["Authorization"] = f"Bearer {secret(route.token_env)}"
        if route.signing_env:
            digest = hmac.new(secret(route.signing_env).encode(), body, hashlib.sha256).hexdigest()
            headers[SIGNATURE_HEADER] = f"sha256={digest}"
        _post(route.timeout_s, _url(route.url, route.url_env), body, headers)


def slack_document(body: Mapping[str, Any]) -> dict[str, Any]:
    """Return a notice in Slack's format; the three characters that steer it are escaped."""
    lines = "\n".join(f"• {html.escape(line, quote=False)}" for line in body["lines"])
    text = lines if len(lines) <= _SLACK_TEXT else f"{lines[:_SLACK_TEXT]}…"
    title = body["title"]
    return {
        "text": html.escape(title, quote=False),
        "blocks": [
            {"type": "header", "text": {"type": "plain_text", "text": title[:_SLACK_HEADER]}},
            {"type": "section", "text": {"type": "mrkdwn", "text": text}},
            {"type": "context", "elements": [{"type": "mrkdwn", "text": body["delivery_id"]}]},
        ],
    }


def mail_document(route: EmailRoute, message: Message) -> EmailMessage:
    """Return a notice as a mail; its id is the same in every attempt."""
    mail = EmailMessage()
    title = str(message.body["title"])
    mail["Subject"] = "".join(character if character.isprintable() else " " for character in title)
    mail["From"] = route.sender
    mail["To"] = ", ".join(route.to)
    mail["Date"] = formatdate(message.created_at.timestamp())
    mail["Message-ID"] = f"<{message.delivery_id}@{route.sender.rpartition('@')[2]}>"
    mail["Auto-Submitted"] = "auto-generated"
    mail.set_content("\n\n".join([*message.body["lines"], f"Message {message.delivery_id}"]) + "\n")
    return mail


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A POST that is redirected would become a GET without its body: it is refused instead."""

    def redirect_request(
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: HTTPMessage, newurl: str
    ) -> None:
        """Follow nothing."""


def _post(timeout_s: float, url: str, body: bytes, headers: Mapping[str, str]) -> None:
    every = {"Content-Type": "application/json", "User-Agent": "recommendr", **headers}
    request = urllib.request.Request(url, data=body, headers=every, method="POST")  # noqa: S310 - the scheme is checked
    opener = urllib.request.build_opener(_NoRedirect())
    try:
        with opener.open(request, timeout=timeout_s) as answer:
            answer.read(_ANSWER_BYTES)
    except urllib.error.HTTPError as error:
        with error:
            code = error.code
        refused = 300 <= code < 500 and code not in _PASSING  # noqa: PLR2004 - classes of HTTP
        kind = MessageRefusedError if refused else UnreachableError
        raise kind(f"it answered {code}", hint="see its own log") from None
    except (OSError, HTTPException) as error:
        reason = getattr(error, "reason", None) or error
        if isinstance(reason, TimeoutError):
            raise _late(timeout_s) from None
        said = getattr(reason, "strerror", None) or str(reason) or type(reason).__name__
        raise UnreachableError(f"it can't be reached: {said}", hint="check that it runs") from None


def _mail(route: EmailRoute, message: Message) -> None:
    mail = mail_document(route, message)
    context = ssl.create_default_context()
    try:
        if route.security == "tls":
            server: smtplib.SMTP = smtplib.SMTP_SSL(route.host, route.port, timeout=route.timeout_s, context=context)
        else:
            server = smtplib.SMTP(route.host, route.port, timeout=route.timeout_s)
        with server:
            if route.security == "starttls":
                server.starttls(context=context)
            if route.username and route.password_env:
                server.login(route.username, secret(route.password_env))
            server.send_message(mail)
    except (smtplib.SMTPRecipientsRefused, smtplib.SMTPSenderRefused, smtplib.SMTPDataError) as error:
        raise MessageRefusedError(
            f"the mail server refused it: {type(error).__name__}", hint="check to and sender"
        ) from None
    except (OSError, smtplib.SMTPException) as error:
        said = getattr(error, "strerror", None) or type(error).__name__
        raise UnreachableError(
            f"the mail server does not take it: {said}", hint="check host, port and security"
        ) from None


def _url(url: str | None, variable: str | None) -> str:
    if url is not None:
        return url
    name = variable or ""
    try:
        return checked_url(secret(name))
    except ValueError as error:
        raise InvalidValueError(f"the environment variable {name}", str(error), "set it anew") from None


def _encoded(document: Mapping[str, Any]) -> bytes:
    return json.dumps(document, sort_keys=True, ensure_ascii=False).encode()


def _within(seconds: float, act: Callable[[], None]) -> None:
    """Do something within a time; what takes longer is left to itself.

    The time-out of a socket is about one read: a receiver that sends a byte now and then would never be left.
    """
    ended: queue.SimpleQueue[BaseException | None] = queue.SimpleQueue()

    def work() -> None:
        try:
            act()
        except BaseException as error:  # noqa: BLE001 - handed on to whoever waits
            ended.put(error)
        else:
            ended.put(None)

    threading.Thread(target=work, daemon=True).start()
    try:
        error = ended.get(timeout=seconds)
    except queue.Empty:
        raise _late(seconds) from None
    if error is not None:
        raise error


def _late(seconds: float) -> UnreachableError:
    return UnreachableError(f"it did not answer within {seconds:g} s", hint="check that it is not stuck")


def _reason(route: AnyRoute, error: Exception) -> str:
    """Return why an attempt failed, without what the variables of the route hold."""
    said = str(error) if isinstance(error, RecommendrError) else f"{type(error).__name__}: {error}"
    return redacted_text(without_secrets(said, route.variables()))
