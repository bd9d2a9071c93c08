"""Events from Kafka: read in batches, offsets committed only after the parts they became are.

A crash between the two makes Kafka hand the batch over again; its events are known by their ids and count once.
"""

import logging
import time
from collections.abc import Callable, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from telemetry.ingest import Ingestor, IngestReport
from workspace.errors import InvalidValueError, StateError, UnreachableError
from workspace.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from confluent_kafka import Consumer, KafkaError, KafkaException, Message

BATCH: Final = 50_000
TIDIED_AFTER: Final = 50
"""Batches after which the small parts they left are merged."""
GATHERED_S: Final = 2.0
REACHED_WITHIN_S: Final = 10.0
SESSION_MS: Final = 10_000
"""After so long without a sign of life, the partitions of a consumer that was killed go to the next."""
JOINED_WITHIN_S: Final = 30.0
_POLL_S: Final = 0.5
_LOG: Final = logging.getLogger(__name__)


def consume(
    settings: Settings,
    ingestor: Ingestor,
    *,
    on_domain_event: Callable[[dict[str, Any]], None],
    maximum: int | None = None,
    idle_s: float | None = None,
) -> IngestReport:
    """Take in what comes by Kafka.

    Args:
        settings: Brokers, topic and group.
        ingestor: Takes the rows.
        on_domain_event: Takes film and user events, at least once each, before their offset is committed.
        maximum: Ends after so many messages; None goes on.
        idle_s: Ends when nothing has come for so long; None goes on.

    Returns:
        The account of all batches.

    Raises:
        InvalidValueError: When the settings name no brokers.
        StateError: When the topic does not exist.
        UnreachableError: When no broker answers, or they stop answering.
    """
    brokers = settings.kafka_brokers
    if not brokers:
        raise InvalidValueError(
            "kafka_brokers is not set", "must name the bootstrap servers", "set RECOMMENDR_KAFKA_BROKERS=host:port"
        )
    report = IngestReport(source=f"kafka:{settings.kafka_topic}")
    with _consumer(settings, brokers) as consumer:
        handled = 0
        begun = idle_since = time.monotonic()
        while maximum is None or handled < maximum:
            messages = _gathered(consumer, BATCH if maximum is None else min(BATCH, maximum - handled), brokers)
            if messages:
                report.add(_take(consumer, messages, settings, ingestor, on_domain_event))
                handled += len(messages)
                idle_since = time.monotonic()
                if len(report.batches) % TIDIED_AFTER == 0:
                    ingestor.tidy(report)
            elif not consumer.assignment() and time.monotonic() - begun < JOINED_WITHIN_S:
                # The group is still dealing out the partitions: this is no silence.
                idle_since = time.monotonic()
            elif idle_s is not None and time.monotonic() - idle_since >= idle_s:
                break
    ingestor.tidy(report)
    return report


def _take(
    consumer: "Consumer",
    messages: "Sequence[Message]",
    settings: Settings,
    ingestor: Ingestor,
    on_domain_event: Callable[[dict[str, Any]], None],
) -> IngestReport:
    """Bring one batch in, then tell Kafka."""
    from confluent_kafka import KafkaException, TopicPartition

    topic = settings.kafka_topic
    ends: dict[int, int] = {}
    for message in messages:
        partition, offset = message.partition() or 0, message.offset() or 0
        ends[partition] = max(ends.get(partition, 0), offset + 1)
    position = {str(partition): offset for partition, offset in sorted(ends.items())}
    # A message without content can't be an event: an empty object is refused with the reason that its id is missing.
    lines = [message.value() or b"{}" for message in messages]
    report = ingestor.ingest_rows(lines, f"kafka:{topic}", settings.kafka_group, position, on_domain_event)
    try:
        consumer.commit(
            offsets=[TopicPartition(topic, partition, offset) for partition, offset in ends.items()], asynchronous=False
        )
    except KafkaException as error:
        # The rows are in; whoever gets the partition next meets them again and knows them.
        _LOG.warning("offsets could not be committed", extra={"reason": str(error)})
    return report


def _gathered(consumer: "Consumer", wanted: int, brokers: str) -> "list[Message]":
    """Return what comes within a moment."""
    from confluent_kafka import KafkaException

    messages: list[Message] = []
    until = time.monotonic() + GATHERED_S
    while len(messages) < wanted and time.monotonic() < until:
        try:
            come = consumer.consume(min(wanted - len(messages), 10_000), timeout=_POLL_S)
        except KafkaException as error:
            raise _unreachable(brokers, error) from error
        if not come:
            break
        messages += [message for message in come if _readable(message, brokers)]
    return messages


def _readable(message: "Message", brokers: str) -> bool:
    """Tell a message from a notice of trouble; librdkafka cures by itself what is not fatal."""
    error = message.error()
    if error is None:
        return True
    if error.fatal():
        raise _unreachable(brokers, error)
    _LOG.warning("Kafka reports trouble", extra={"reason": error.str()})
    return False


@contextmanager
def _consumer(settings: Settings, brokers: str) -> "Iterator[Consumer]":
    from confluent_kafka import Consumer, KafkaException

    consumer = Consumer(
        {
            "bootstrap.servers": brokers,
            "group.id": settings.kafka_group,
            "enable.auto.commit": False,
            "auto.offset.reset": "earliest",
            "session.timeout.ms": SESSION_MS,
            "heartbeat.interval.ms": SESSION_MS // 3,
            "fetch.message.max.bytes": 8 << 20,
            "queued.max.messages.kbytes": 64 << 10,
        },
        logger=_LOG,
    )
    try:
        try:
            found = consumer.list_topics(settings.kafka_topic, timeout=REACHED_WITHIN_S).topics[settings.kafka_topic]
        except KafkaException as error:
            raise _unreachable(brokers, error) from error
        if found.error is not None:
            what = f"the topic {settings.kafka_topic} at {brokers} can't be read: {found.error.str()}"
            raise StateError(what, hint="create it, or set RECOMMENDR_KAFKA_TOPIC")
        consumer.subscribe([settings.kafka_topic])
        yield consumer
    finally:
        consumer.close()


def _unreachable(brokers: str, error: "KafkaException | KafkaError") -> UnreachableError:
    reason = error.str() if hasattr(error, "str") else str(error)
    return UnreachableError(
        f"Kafka at {brokers} does not answer within {REACHED_WITHIN_S:g} s: {reason}",
        hint="check RECOMMENDR_KAFKA_BROKERS and that the brokers run",
    )
