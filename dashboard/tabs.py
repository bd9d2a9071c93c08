"""Tabs whose panels cost something: only the open one is drawn."""

from collections.abc import Callable, Mapping
from typing import TypeVarTuple

import streamlit as st

from dashboard import components

Given = TypeVarTuple("Given")


def draw_open(panels: Mapping[str, Callable[[*Given], None]], *given: *Given, key: str = "tab") -> None:
    """Draw a tab for each panel, and only the open one's panel; the open one is in the address.

    Args:
        panels: What draws each tab, by the tab's name, in order.
        given: What each panel is called with.
        key: The tabs' name in the address.
    """
    for tab, panel in zip(st.tabs(list(panels), key=key, bind="query-params"), panels.values(), strict=True):
        if tab.open:
            with tab, components.guarded():
                panel(*given)
