"""What the events of anything add up to, in canonical SQL."""

from typing import Final

from workspace.columns import Event, Rollup

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
