"""Delivery: to receivers that answer, refuse, hang, dribble or are not there."""

import hashlib
import hmac
import json
import socket
import time
from collections.abc import Iterator
from email import message_from_string
from typing import Any

import pytest

from monitoring.alerts import outbox
from monitoring.alerts.delivery import Delivered, deliver, slack_document
from monitoring.alerts.signals import Signals
from monitoring.alerts.states import advance
from tests.monitoring.alarms import NOW, Mailbox, Receiver, mail_server, receiving, rules_of, signal, stored
from workspace import logs
from workspace.clock import FrozenClock
from workspace.paths import Paths
from workspace.store import Store

RULE = {"name": "drift", "kind": "finding", "detector": "drift.*"}


@pytest.fixture(autouse=True)
def directly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "*")


@pytest.fixture
def store(home: Paths) -> Iterator[Store]:
    with stored(home.home) as opened:
        yield opened


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as found:
        yield found


@pytest.fixture
def mailbox() -> Iterator[Mailbox]:
    with mail_server() as found:
        yield found


def hook(url: str, name: str = "hook", **fields: Any) -> dict[str, Any]:
    return {"name": name, "kind": "webhook", "url": url, **fields}


def tell(store: Store, home: Paths, *routes: dict[str, Any], clock: FrozenClock | None = None, **of: Any) -> Delivered:
    """Let one alert fire, and deliver."""
    rules = rules_of(RULE, routes=routes)
    assert rules.problems == ()
    clock = clock or FrozenClock(NOW)
    advance(store, rules, Signals(signals=(signal(**of),)), clock.now())
    return deliver(store, rules.routes, clock, lock=home.monitoring / "lock")


def test_a_webhook_gets_the_message_under_its_id(store: Store, home: Paths, receiver: Receiver) -> None:
    done = tell(store, home, hook(receiver.url))
    ((headers, body),) = receiver.got
    assert done.delivered == (headers["Idempotency-Key"],)
    document = json.loads(body)
    assert (document["event"], document["delivery_id"]) == ("firing", headers["Idempotency-Key"])
    assert document["alerts"][0]["labels"] == {"rule": "drift", "region": "DE"}
    assert headers["Content-Type"] == "application/json"
    # A second pass has nothing to do.
    assert tell(store, home, hook(receiver.url)) == Delivered()
    assert len(receiver.got) == 1


def test_a_webhook_may_ask_for_a_token_and_a_signature(
    store: Store, home: Paths, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOOK_TOKEN", "hunter2")
    monkeypatch.setenv("HOOK_KEY", "swordfish")
    monkeypatch.setenv("HOOK_URL", receiver.url)
    route = {"name": "hook", "kind": "webhook", "url_env": "HOOK_URL"}
    tell(store, home, {**route, "token_env": "HOOK_TOKEN", "signing_env": "HOOK_KEY"})
    ((headers, body),) = receiver.got
    assert headers["Authorization"] == "Bearer hunter2"
    assert headers["X-Signature-256"] == f"sha256={hmac.new(b'swordfish', body, hashlib.sha256).hexdigest()}"
    kept = outbox.messages(store)[0]
    assert "hunter2" not in json.dumps(kept.body)


def test_slack_gets_its_own_format_and_is_not_steered() -> None:
    body = {"title": "1 alert & more", "lines": ["<!channel> ctr fell", "x" * 4_000], "delivery_id": "delivery_1"}
    document = slack_document(body)
    assert document["text"] == "1 alert &amp; more"
    assert document["blocks"][0] == {"type": "header", "text": {"type": "plain_text", "text": "1 alert & more"}}
    section = document["blocks"][1]["text"]
    assert section["text"].startswith("• &lt;!channel&gt; ctr fell\n")
    # Slack refuses sections of more than 3,000 characters.
    assert len(section["text"]) < 3_000


def test_slack_is_posted_to_the_url_of_its_variable(
    store: Store, home: Paths, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CHAT_URL", receiver.url)
    assert len(tell(store, home, {"name": "chat", "kind": "slack", "url_env": "CHAT_URL"}).delivered) == 1
    assert receiver.documents[0]["blocks"][0]["text"]["text"] == "[FIRING, warning] rule drift: 1 alert"


def test_a_mail_has_subject_lines_and_the_same_id_every_time(store: Store, home: Paths, mailbox: Mailbox) -> None:
    route = {"name": "mail", "kind": "email", "host": "127.0.0.1", "port": mailbox.port, "security": "none",
             "sender": "monitor@example.org", "to": ["a@example.org", "b@example.org"]}  # fmt: skip
    (delivery_id,) = tell(store, home, route, summary="It fell.\r\nBcc: c@example.org").delivered
    mail = message_from_string(mailbox.mails[0])
    assert mail["Subject"] == "[FIRING, warning] rule drift: 1 alert"
    assert (mail["To"], mail["Bcc"]) == ("a@example.org, b@example.org", None)
    assert mail["Message-ID"] == f"<{delivery_id}@example.org>"
    assert "It fell." in str(mail.get_payload())


def test_a_mail_server_that_refuses_is_tried_again(store: Store, home: Paths, mailbox: Mailbox) -> None:
    mailbox.refuses = True
    route = {"name": "mail", "kind": "email", "host": "127.0.0.1", "port": mailbox.port, "security": "none",
             "sender": "monitor@example.org", "to": ["a@example.org"]}  # fmt: skip
    done = tell(store, home, route)
    assert list(done.failed.values()) == [
        "the mail server refused it: SMTPRecipientsRefused. Hint: check to and sender."
    ]
    assert (done.waiting, mailbox.mails) == (1, [])


def test_no_password_goes_to_a_mail_server_without_encryption(
    store: Store, home: Paths, mailbox: Mailbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MAIL_PASSWORD", "hunter2")
    plain = {"name": "mail", "kind": "email", "host": "127.0.0.1", "port": mailbox.port, "username": "monitor",
             "sender": "monitor@example.org", "to": ["a@example.org"], "password_env": "MAIL_PASSWORD"}  # fmt: skip
    encrypted = {**plain, "name": "tls", "security": "tls", "timeout_s": 1}
    done = tell(store, home, plain, encrypted)
    unencrypted, no_tls = sorted(done.failed.values())
    assert "the mail server does not take it: SMTPNotSupportedError" in unencrypted
    assert "WRONG_VERSION_NUMBER" in no_tls
    assert not any(word.upper().startswith(("AUTH", "MAIL")) for word in mailbox.words)


@pytest.mark.parametrize("how", ["hangs", "dribbles"])
def test_a_webhook_that_hangs_costs_its_time_and_no_other_route_any(
    store: Store, home: Paths, receiver: Receiver, how: str
) -> None:
    with receiving(hangs=how == "hangs", dribbles=how == "dribbles") as stuck:
        begun = time.monotonic()
        done = tell(store, home, hook(stuck.url, "stuck", timeout_s=0.4), hook(receiver.url))
        assert time.monotonic() - begun < 3
    assert len(done.delivered) == 1
    assert list(done.failed.values()) == ["it did not answer within 0.4 s. Hint: check that it is not stuck."]
    assert len(receiver.got) == 1
    waiting = next(one for one in outbox.messages(store) if one.route == "stuck")
    assert (waiting.state, waiting.attempts) == ("waiting", 1)


def test_the_time_out_is_ten_seconds_unless_told() -> None:
    assert rules_of(routes=(hook("http://127.0.0.1:9"),)).routes["hook"].timeout_s == 10


@pytest.mark.parametrize("code", [301, 404, 429, 500])
def test_whatever_is_not_taken_is_tried_again_under_the_same_id(
    store: Store, home: Paths, receiver: Receiver, code: int
) -> None:
    receiver.codes = [code]
    clock = FrozenClock(NOW)
    done = tell(store, home, hook(receiver.url), clock=clock)
    assert list(done.failed.values()) == [f"it answered {code}. Hint: see its own log."]
    assert tell(store, home, hook(receiver.url), clock=clock).delivered == ()  # too soon
    clock.advance(outbox.FIRST_PAUSE)
    assert len(tell(store, home, hook(receiver.url), clock=clock).delivered) == 1
    first, second = (headers["Idempotency-Key"] for headers, _ in receiver.got)
    assert first == second


def test_a_message_that_is_refused_does_not_stop_the_next(store: Store, home: Paths, receiver: Receiver) -> None:
    receiver.codes = [400]
    rules = rules_of(RULE, {**RULE, "name": "other"}, routes=(hook(receiver.url),))
    advance(store, rules, Signals(signals=(signal(), signal(rule="other"))), NOW)
    done = deliver(store, rules.routes, FrozenClock(NOW), lock=home.monitoring / "lock")
    assert (len(done.delivered), len(done.failed), len(receiver.got)) == (1, 1, 2)


def test_a_route_that_is_down_is_tried_once_a_pass(store: Store, home: Paths, receiver: Receiver) -> None:
    receiver.codes = [503, 503]
    rules = rules_of(RULE, {**RULE, "name": "other"}, routes=(hook(receiver.url),))
    advance(store, rules, Signals(signals=(signal(), signal(rule="other"))), NOW)
    done = deliver(store, rules.routes, FrozenClock(NOW), lock=home.monitoring / "lock")
    assert (len(done.failed), done.waiting, len(receiver.got)) == (1, 2, 1)


def test_what_fails_is_said_without_secrets(store: Store, home: Paths, monkeypatch: pytest.MonkeyPatch) -> None:
    handler = logs.configure(home)
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        monkeypatch.setenv("SECRET_URL", f"http://127.0.0.1:{nobody.getsockname()[1]}/hunter2")
        monkeypatch.setenv("WRONG_URL", "hunter2://nowhere")
        routes = [
            {"name": name, "kind": "webhook", "url_env": variable}
            for name, variable in (("down", "SECRET_URL"), ("wrong", "WRONG_URL"), ("unset", "NOT_SET_URL"))
        ]
        done = tell(store, home, *routes)
    handler.close()
    said = "\n".join(done.failed.values())
    assert "it can't be reached: Connection refused" in said
    assert "the environment variable WRONG_URL, must be an http or https URL" in said
    assert "the environment variable NOT_SET_URL is not set" in said
    written = (home.logs / logs.LOG_FILE).read_text()
    assert "alert_not_delivered" in written
    assert "hunter2" not in said + written + json.dumps([one.to_dict() for one in outbox.messages(store)])


def test_a_route_that_is_gone_keeps_its_messages(store: Store, home: Paths, receiver: Receiver) -> None:
    rules = rules_of(RULE, routes=(hook(receiver.url),))
    advance(store, rules, Signals(signals=(signal(),)), NOW)
    lock = home.monitoring / "lock"
    done = deliver(store, {}, FrozenClock(NOW), lock=lock)
    assert (done.unrouted, done.waiting, done.delivered) == (1, 1, ())
    assert len(deliver(store, rules.routes, FrozenClock(NOW), lock=lock).delivered) == 1
