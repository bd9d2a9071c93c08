"""Eight-bit codes of the rows, with a proven bound on what they lose.

A row x is stored as int8 codes c with one step s per *column*: x_d = s_d (c_d + r_d), |r_d| <= 1/2. The steps are
folded into the query, g_d = q_d s_d, so columns of very different size (the query carries the block weights) keep their
precision. The query itself becomes one or two int8 digits, g = t h + t' l + rest. Then

    q.x = t h.c + t' l.c + rest.c + g.r

and what is left out is at most |rest| |c| + |g| |r| (Cauchy-Schwarz, or Hölder with the 1- and max-norm where that is
smaller). The norms of c and r are measured when the codes are made, so the bound holds for every row of the version.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

TOP_CODE: Final = 127
CHUNK_ROWS: Final = 16_384
# float64 rounding in the bounds themselves is covered by this factor.
_ROUND_UP: Final = 1.0 + 1e-9
_FLOAT64_UNIT: Final = 2.0**-53


@dataclass(frozen=True, slots=True, kw_only=True)
class CodeBounds:
    """Largest norms over all rows of one code matrix; the error bound needs no more.

    Attributes:
        code_norm: Largest Euclidean norm of a row of codes.
        residual_norm: Largest Euclidean norm of a row of residuals, in steps.
        residual_peak: Largest absolute residual, in steps.
        row_norm: Largest Euclidean norm of a row of the float vectors.
    """

    code_norm: float
    residual_norm: float
    residual_peak: float
    row_norm: float


@dataclass(frozen=True, slots=True, kw_only=True)
class CodedQuery:
    """A query as int8 digits; ``digits[i] @ codes`` times ``units[i]`` add up to the approximate score.

    Attributes:
        digits: int8 ``(2, n_columns)``, the coarse digit first.
        units: What one step of each digit is worth.
        errors: Proven bound on the error after the first digit alone, and after both.
    """

    digits: NDArray[np.int8]
    units: tuple[float, float]
    errors: tuple[float, float]


def column_steps(vectors: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return the quantisation step of each column: its largest absolute value over 127, 0 for an empty column."""
    peaks = np.zeros(vectors.shape[1], dtype=np.float32)
    for start in range(0, len(vectors), CHUNK_ROWS):
        chunk = vectors[start : start + CHUNK_ROWS]
        np.maximum(peaks, np.maximum(chunk.max(axis=0), -chunk.min(axis=0)), out=peaks)
    return peaks.astype(np.float64) / TOP_CODE


class Coder:
    """Turns rows into codes chunk by chunk and measures the norms on the way."""

    def __init__(self, vectors: NDArray[np.float32]) -> None:
        self._vectors = vectors
        self.steps = column_steps(vectors)
        self._maxima = np.zeros(4)

    def chunks(self) -> Iterator[NDArray[np.int8]]:
        """Yield the codes in chunks of rows; `bounds` is valid after the last."""
        # A column of zeros codes to zeros whatever its step: 1 only avoids the division by zero.
        divisor = np.where(self.steps > 0, self.steps, 1.0)
        for start in range(0, len(self._vectors), CHUNK_ROWS):
            chunk = self._vectors[start : start + CHUNK_ROWS].astype(np.float64)
            scaled = chunk / divisor
            codes = np.clip(np.rint(scaled), -TOP_CODE, TOP_CODE)
            residual = np.abs(scaled - codes)
            self._maxima = np.maximum(
                self._maxima,
                (_largest_norm(codes), _largest_norm(residual), float(residual.max(initial=0)), _largest_norm(chunk)),
            )
            yield codes.astype(np.int8)

    @property
    def bounds(self) -> CodeBounds:
        """The measured norms, rounded up."""
        code, residual, peak, row = (float(value) * _ROUND_UP for value in self._maxima)
        return CodeBounds(code_norm=code, residual_norm=residual, residual_peak=peak, row_norm=row)


def encode_query(query: NDArray[np.float64], steps: NDArray[np.float64], bounds: CodeBounds) -> CodedQuery:
    """Return a query as two int8 digits with their error bounds.

    Args:
        query: float64 ``(n_columns,)``, finite.
        steps: The steps of the columns.
        bounds: The measured norms of the codes.

    Returns:
        The digits, their units and the bounds on |approximate - exact| for every row.
    """
    folded = query * steps
    of_rows = _inner_bound(folded, bounds.residual_norm, bounds.residual_peak)
    # Exact codes of an exact query still meet float64 rounding, here and in the exact scores they are compared with.
    of_rows += 4 * (len(query) + 8) * _FLOAT64_UNIT * float(np.linalg.norm(query)) * bounds.row_norm
    coarse, unit, rest = _digit(folded)
    fine, fine_unit, fine_rest = _digit(rest)
    return CodedQuery(
        digits=np.stack((coarse, fine)),
        units=(unit, fine_unit),
        errors=(
            (of_rows + _inner_bound(rest, bounds.code_norm, TOP_CODE)) * _ROUND_UP,
            (of_rows + _inner_bound(fine_rest, bounds.code_norm, TOP_CODE)) * _ROUND_UP,
        ),
    )


def _digit(values: NDArray[np.float64]) -> tuple[NDArray[np.int8], float, NDArray[np.float64]]:
    unit = float(np.abs(values).max(initial=0)) / TOP_CODE
    if unit == 0:
        return np.zeros(len(values), dtype=np.int8), 0.0, np.zeros_like(values)
    digit = np.clip(np.rint(values / unit), -TOP_CODE, TOP_CODE)
    return digit.astype(np.int8), unit, values - unit * digit


def _inner_bound(values: NDArray[np.float64], norm: float, peak: float) -> float:
    return min(float(np.linalg.norm(values)) * norm, float(np.abs(values).sum()) * peak)


def _largest_norm(rows: NDArray[np.float64]) -> float:
    return float(np.sqrt(np.einsum("ij,ij->i", rows, rows).max(initial=0)))
