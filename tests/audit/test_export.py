import json

import pytest

from audit.erasure import Ground, Subjects
from audit.export import LOOKED
from dashboard.erasing import erase_user, export_of, requests_of
from tests.audit.erasure import small
from tests.audit.erasure.small import CLOCK, NAMESAKE, PERSON, Made, built, made, settings_of  # noqa: F401 - fixtures
from workspace.columns import Interaction
from workspace.errors import ErasedError, UnknownError
from workspace.ledger import Ledger
from workspace.store import Store


def test_export_holds_all_of_the_person_and_nothing_of_anybody_else(made: Made) -> None:  # noqa: F811
    settings = settings_of(made.home)
    store = Store.open(settings)
    ground = Ground.open(settings, store, CLOCK)
    Ledger(store).append("ann", LOOKED, ground.subjects.named(PERSON), {"role": "ml", "reason": "debugging"})
    Ledger(store).append("bo", LOOKED, ground.subjects.named(NAMESAKE), {"role": "ml", "reason": "debugging"})
    store.close()
    document = export_of(settings, PERSON, actor="test")
    acts = small.frame_of(made.home, made.snapshot_id, "interactions")
    own = acts[acts[Interaction.USER] == PERSON]
    assert len(document["acts"]) == len(own) + 1  # one act came since the import
    assert {row["film_id"] for row in document["acts"][:-1]} == set(own[Interaction.FILM])
    assert document["account"][0]["user_id"] == PERSON
    assert [slate["slate_id"] for slate in document["slates"]] == [made.slate]
    assert len(document["events"]) == 2 * small.DAYS
    assert [(look["by"], look["why"]) for look in document["looks"]] == [("ann", "debugging")]
    assert {purpose["name"] for purpose in document["purposes"]} >= {"recommendation", "product_analytics"}
    assert document["retention_days"] == 396
    text = json.dumps(document, allow_nan=False)  # plain values, as a file must hold them
    assert NAMESAKE not in text
    assert made.others_slate not in text


def test_export_is_a_request_and_a_record_that_name_nobody(made: Made) -> None:  # noqa: F811
    settings = settings_of(made.home)
    document = export_of(settings, PERSON, actor="test")
    request = requests_of(settings)[0]
    assert (request.kind, request.state, request.request_id) == ("export", "done", document["request_id"])
    store = Store.open(settings)
    record = Ledger(store).entries(1)[0]
    store.close()
    assert record.action == "user.export"
    assert record.subject == Subjects.open(settings).names_of([PERSON])[0]
    assert PERSON not in json.dumps([record.to_dict(), request.to_dict()])
    assert request.subject not in json.dumps(record.to_dict())


def test_unknown_and_erased_people_are_told_apart(made: Made) -> None:  # noqa: F811
    settings = settings_of(made.home)
    with pytest.raises(UnknownError, match="unknown here"):
        export_of(settings, "nobody-at-all", actor="test")
    export_of(settings, PERSON, actor="test")
    listed = Subjects.open(settings).listed(PERSON)
    erase_user(settings, PERSON, actor="test", clock=CLOCK)
    with pytest.raises(ErasedError, match="erased by request"):
        export_of(settings, PERSON, actor="test")
    # The earlier export is no longer about anybody.
    assert [one.subject for one in requests_of(settings) if one.kind == "export"] == ["erased"]
    assert [one.subject for one in requests_of(settings) if one.kind == "erasure"] == [listed]
    assert Subjects.open(settings).names_of([PERSON]) == []
