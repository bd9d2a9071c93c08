"""A history of telemetry with known truths in it: events, samples of the services, log lines.

Public API::

    from data.synthetic.history import HistorySpec, write_history

    report = write_history(HistorySpec(users=500, weeks=26, seed=1), Path("history"))
    json.loads(Path("history/truth.json").read_text())["experiments"]
"""

from data.synthetic.history.spec import HISTORY_VERSION, SCALES, HistorySpec, users_of_scale
from data.synthetic.history.writing import HistoryReport, write_history

__all__ = ["HISTORY_VERSION", "SCALES", "HistoryReport", "HistorySpec", "users_of_scale", "write_history"]
