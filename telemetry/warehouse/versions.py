"""When the listing of parts changed."""

from sqlalchemy import func, select

from telemetry.parts import PartLog, PartRow


def version_of(parts: PartLog) -> tuple[str, ...]:
    """Return something that changes whenever a part is added, retired or swept."""
    query = select(func.count(), func.max(PartRow.created_at), func.max(PartRow.retired_at), func.max(PartRow.part_id))
    with parts._store.reading() as session:  # noqa: SLF001 - a query of the same table, beside its class
        return tuple(map(str, session.execute(query).one()))
