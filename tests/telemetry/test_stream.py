"""Kafka by librdkafka's own mock cluster: real brokers on real sockets, inside the process."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import confluent_kafka
import pytest

from telemetry import stream
from telemetry.ingest import Ingestor
from telemetry.stream import consume
from tests.telemetry.raw_events import NOW, event, open_ingestor, stored
from workspace.errors import InvalidValueError, UnreachableError
from workspace.settings import Settings

TOPIC = "recommendr.events"
FILM = {"type": "film.updated", "event_id": "f1", "ts": NOW.isoformat(), "film": {"film_id": "1"}}


@pytest.fixture
def brokers(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Address of a broker that lives as long as the client that made it."""
    # The mock gives a second consumer nothing before the session of the first, even closed, has run out.
    monkeypatch.setattr(stream, "SESSION_MS", 3_000)
    owner = confluent_kafka.Producer({"bootstrap.servers": "mock", "test.mock.num.brokers": 1, "log_level": 0})
    broker = next(iter(owner.list_topics(timeout=10).brokers.values()))
    yield f"{broker.host}:{broker.port}"
    del owner


def settings_for(home: Path, brokers: str | None, group: str = "g") -> Settings:
    return Settings(home=home, kafka_brokers=brokers, kafka_group=group)


def produce(brokers: str, messages: list[Any]) -> None:
    producer = confluent_kafka.Producer({"bootstrap.servers": brokers, "log_level": 0})
    for number, message in enumerate(messages):
        value = message if isinstance(message, bytes | None) else json.dumps(message).encode()
        producer.produce(TOPIC, value, key=str(number))
    assert producer.flush(20) == 0


def take(home: Path, brokers: str, maximum: int, group: str = "g") -> tuple[Any, list[dict[str, Any]], Ingestor]:
    met: list[dict[str, Any]] = []
    ingestor = open_ingestor(home)
    report = consume(
        settings_for(home, brokers, group), ingestor, on_domain_event=met.append, maximum=maximum, idle_s=4
    )
    return report, met, ingestor


def committed(brokers: str, group: str) -> int:
    consumer = confluent_kafka.Consumer({"bootstrap.servers": brokers, "group.id": group, "log_level": 0})
    partitions = [
        confluent_kafka.TopicPartition(TOPIC, p) for p in consumer.list_topics(TOPIC).topics[TOPIC].partitions
    ]
    offsets = [max(found.offset, 0) for found in consumer.committed(partitions, timeout=10)]
    consumer.close()
    return sum(offsets)


def test_events_come_in_and_offsets_follow(tmp_path: Path, brokers: str) -> None:
    messages = [*(event(n) for n in range(200)), *(event(n) for n in range(50)), FILM, b"nonsense", None]
    produce(brokers, messages)
    report, met, ingestor = take(tmp_path / "home", brokers, len(messages))
    assert (report.read, report.accepted, report.duplicates, report.quarantined) == (252, 200, 50, 2)
    assert met == [FILM]
    assert len(stored(ingestor)) == 200
    assert committed(brokers, "g") == len(messages)
    last = ingestor.parts.last_batch(f"kafka:{TOPIC}", "g")
    assert last is not None
    assert sum(last.position.values()) <= len(messages)


def test_a_crash_between_the_parts_and_the_offsets_changes_no_count(
    tmp_path: Path, brokers: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    produce(brokers, [event(n) for n in range(300)])
    plain = Ingestor.ingest_rows

    def crash_after_the_commit(self: Ingestor, *arguments: Any) -> Any:
        plain(self, *arguments)
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(Ingestor, "ingest_rows", crash_after_the_commit)
        patched.setattr(stream, "BATCH", 120)
        with pytest.raises(KeyboardInterrupt):
            take(tmp_path / "home", brokers, 300)
    ingestor = open_ingestor(tmp_path / "home")
    before = len(stored(ingestor))
    assert 0 < before <= 120
    assert committed(brokers, "g") == 0
    report, _, ingestor = take(tmp_path / "home", brokers, 300)
    assert (report.read, report.accepted, report.duplicates) == (300, 300 - before, before)
    assert [row["event_id"] for row in stored(ingestor)] == [f"ev-{n:08d}" for n in range(300)]
    assert committed(brokers, "g") == 300


def test_a_receiver_that_fails_keeps_the_offset(tmp_path: Path, brokers: str) -> None:
    produce(brokers, [event(1), FILM])

    def fail(_: dict[str, Any]) -> None:
        raise KeyboardInterrupt

    settings = settings_for(tmp_path / "home", brokers)
    with pytest.raises(KeyboardInterrupt):
        consume(settings, open_ingestor(tmp_path / "home"), on_domain_event=fail, maximum=2, idle_s=1)
    report, met, _ = take(tmp_path / "home", brokers, 2)
    assert (report.accepted, len(met)) == (1, 1)


def test_silence_ends_it_when_asked(tmp_path: Path, brokers: str) -> None:
    produce(brokers, [event(1)])
    report, _, _ = take(tmp_path / "home", brokers, 1_000)
    assert report.accepted == 1


def test_brokers_that_do_not_answer_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "REACHED_WITHIN_S", 1.0)
    settings = settings_for(tmp_path / "home", "127.0.0.1:9")
    with pytest.raises(UnreachableError, match=r"127\.0\.0\.1:9 does not answer .*RECOMMENDR_KAFKA_BROKERS"):
        consume(settings, open_ingestor(tmp_path / "home"), on_domain_event=lambda _: None, idle_s=1)


def test_no_brokers_in_the_settings_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidValueError, match="RECOMMENDR_KAFKA_BROKERS"):
        consume(settings_for(tmp_path, None), open_ingestor(tmp_path), on_domain_event=lambda _: None)
