"""The native libraries of the index live in one process with pyarrow, whatever is imported first."""

import subprocess
import sys

_PROGRAM = """
import recommender.index.graph
import pandas as pd, pyarrow as pa
table = pa.table({"at": pa.array(pd.to_datetime(["2020-01-01"], utc=True))})
assert len(table.to_pandas()) == 1
"""


def test_index_imported_first_leaves_pyarrow_working() -> None:
    done = subprocess.run([sys.executable, "-c", _PROGRAM], capture_output=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr.decode()
