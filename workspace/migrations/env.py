"""Alembic's entry: runs on the connection `workspace.store` hands over, inside its transaction."""

from alembic import context

from workspace.store import Base

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Base.metadata,
    # SQLite's DDL is transactional when the transaction is begun by hand, as the store does: all or nothing.
    transactional_ddl=True,
)
context.run_migrations()
