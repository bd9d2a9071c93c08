"""What the events of anything add up to, in canonical SQL."""

from typing import Final

from workspace.columns import Event, Rollup

LONG_LOOK_S: Final = 10.0
"""A look of so many seconds counts as one at a relevant film."""
POSITIVE_SCORE: Final = 4
"""An answer from here on is a positive one."""
FIRST_POSITIONS: Final = 5
"""So many places of a slate count as the first ones; an event without a place is at none of them."""

COUNTS: Final = {
    Rollup.EVENTS: "COUNT(*)",
    Rollup.IMPRESSIONS: f"COUNT_IF({Event.TYPE} = 'impression')",
    Rollup.SLATES: f"COUNT_IF({Event.TYPE} = 'impression' AND {Event.POSITION} = 1)",
    Rollup.CLICKS: f"COUNT_IF({Event.TYPE} = 'click')",
    Rollup.FOCUSES: f"COUNT_IF({Event.TYPE} = 'focus')",
    Rollup.FOCUS_S: f"SUM(IFF({Event.TYPE} = 'focus', COALESCE({Event.VALUE}, 0), 0))",
    Rollup.THUMBS_DOWN: f"COUNT_IF({Event.TYPE} = 'thumbs_down')",
    Rollup.REFRESHES: f"COUNT_IF({Event.TYPE} = 'refresh')",
    Rollup.SURVEYS: f"COUNT_IF({Event.TYPE} = 'survey')",
    Rollup.SURVEY_SCORE: f"SUM(IFF({Event.TYPE} = 'survey', COALESCE({Event.VALUE}, 0), 0))",
}
USER_COUNTS: Final = {
    **COUNTS,
    Rollup.POSITIVE_SURVEYS: f"COUNT_IF({Event.TYPE} = 'survey' AND {Event.VALUE} >= {POSITIVE_SCORE})",
    Rollup.LONG_LOOKS: (
        f"COUNT_IF({Event.TYPE} = 'focus' AND {Event.VALUE} >= {LONG_LOOK_S} AND {Event.POSITION} <= {FIRST_POSITIONS})"
    ),
    Rollup.TOP_IMPRESSIONS: f"COUNT_IF({Event.TYPE} = 'impression' AND {Event.POSITION} <= {FIRST_POSITIONS})",
}
"""What is kept for single users: also the sums that only experiments ask for."""
