"""The warehouse of user telemetry: one canonical SQL, two engines."""

from typing import TYPE_CHECKING

from telemetry.parts import PartLog
from telemetry.warehouse.cells import Grain
from telemetry.warehouse.protocol import Step, Warehouse, Window
from workspace.paths import Paths

if TYPE_CHECKING:
    from workspace.settings import Settings
    from workspace.store import Store

__all__ = ["Grain", "Step", "Warehouse", "Window", "open_warehouse"]


def open_warehouse(settings: "Settings", store: "Store") -> Warehouse:
    """Open the warehouse the settings name.

    Args:
        settings: Which engine, and how much memory it may take.
        store: Where the visible parts are listed.

    Raises:
        UnreachableError: When Snowflake is named and does not answer.
    """
    parts = PartLog(store, Paths(settings.home))
    # Either engine takes a second to import: only the one that is used is.
    if settings.snowflake_connection is None:
        from telemetry.warehouse.embedded import EmbeddedWarehouse

        return EmbeddedWarehouse(parts, settings.warehouse_memory_mb)
    from telemetry.warehouse.snowflake import connect

    return connect(settings.snowflake_connection, parts)
