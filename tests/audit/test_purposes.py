import pytest

# Their tables are part of the schema.
import dashboard.arrivals  # noqa: F401
import monitoring.alerts.records
import monitoring.benchmark  # noqa: F401
from audit.purposes import read_register, register
from telemetry.warehouse.tables import EVENTS, USER_DAY
from workspace.columns import Event, Interaction, User
from workspace.errors import SchemaError
from workspace.store import Base

ENTRY = """
[[purpose]]
name = "a"
title = "A"
what = "x"
why = "y"
basis = "z"
retention = "1 day"
who = ["ml"]
columns = {users = ["user_id"]}
"""


def covered() -> dict[str, set[str]]:
    columns: dict[str, set[str]] = {}
    for purpose in register():
        for store, names in purpose.columns.items():
            columns.setdefault(store, set()).update(names)
    return columns


def test_every_column_that_names_a_person_has_a_purpose() -> None:
    known = covered()
    for table in Base.metadata.tables.values():
        for column in table.columns:
            if column.name in {"user_id", "subject"}:
                assert column.name in known.get(table.name, set()), f"{table.name}.{column.name}"
    assert known["catalogue.users"] == set(User.ALL)
    assert known["catalogue.interactions"] == set(Interaction.ALL)
    assert Event.USER in known["telemetry.events"]


def test_register_names_only_columns_that_exist() -> None:
    known = covered()
    for name, table in Base.metadata.tables.items():
        assert known.get(name, set()) <= {column.name for column in table.columns}, name
    assert known["telemetry.events"] <= {name for name, _ in EVENTS.columns}
    assert known["telemetry.user_day"] <= {name for name, _ in USER_DAY.columns}


def test_register_says_everything_a_record_of_processing_must() -> None:
    for purpose in register():
        told = purpose.to_dict()
        assert all(told.values()), purpose.name
        assert set(purpose.who) <= {"pm", "ml", "auditor", "admin"}


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("nonsense", "TOML"),
        ("a = 1", "purpose"),
        (ENTRY.replace('why = "y"', ""), "lacks why"),
        (ENTRY + 'odd = "1"', "has odd"),
        (ENTRY + ENTRY, "once"),
    ],
)
def test_register_that_is_not_one_is_named(content: str, said: str) -> None:
    with pytest.raises(SchemaError, match=said):
        read_register(content)


def test_read_register_reads() -> None:
    assert read_register(ENTRY)[0].columns == {"users": ("user_id",)}
