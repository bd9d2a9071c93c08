import pyarrow as pa

from telemetry.events import DEVICES, EVENT_TYPES, RULES, SCHEMA
from workspace.columns import Event


def test_schema_is_the_physical_contract() -> None:
    assert SCHEMA.names == list(Event.ALL)
    assert SCHEMA.field("user_id").type == pa.int64()
    assert SCHEMA.field("position").type == pa.int16()
    assert SCHEMA.field("value").type == pa.float64()
    assert {SCHEMA.field(name).type for name in ("ts", "received_at")} == {pa.timestamp("us")}
    others = set(SCHEMA.names) - {"user_id", "position", "value", "ts", "received_at"}
    assert {SCHEMA.field(name).type for name in others} == {pa.string()}


def test_words_are_those_of_the_contract() -> None:
    assert EVENT_TYPES == ("impression", "click", "focus", "thumbs_down", "refresh", "survey")
    assert DEVICES == ("web", "ios", "android", "tv")


def test_rules_name_a_field_and_differ() -> None:
    assert {rule.field for rule in RULES} <= set(Event.ALL)
    assert len({(rule.field, rule.reason) for rule in RULES}) == len(RULES)
    # The table of rejections holds reasons of up to 255 characters.
    assert max(len(rule.reason) for rule in RULES) <= 255
