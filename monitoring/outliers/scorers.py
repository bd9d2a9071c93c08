"""Scorers of oddness behind one interface; a greater score is odder, and every score is explained by feature.

None of them ever guesses a missing value: a row with NaN is not learnt from and its score is NaN. A column that does
not vary where it was learnt says nothing there, and counts for nothing.
"""

from typing import Final, Protocol, Self, runtime_checkable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from workspace.checks import check_scalar
from workspace.errors import InvalidValueError, NotEstimableError, StateError

Floats = NDArray[np.float64]

LEAST_ROWS: Final = 50
"""Fewer rows are no crowd to stand out from."""
TREES: Final = 100
SEED: Final = 20_251_027
CENTRAL: Final = 0.75
"""Share of the rows the robust covariance is made of: a quarter of all may be odd without moving it."""
MOST_LEARNT: Final = 1_000
A_COLUMN: Final = 20
"""Rows from which the covariance is learnt, in all and for each column if that is more; more make it hardly better."""


@runtime_checkable
class Scorer(Protocol):
    """Learns what is usual, and says how odd a row is beside it."""

    @property
    def name(self) -> str:
        """What it is called."""
        ...

    def fit(self, rows: ArrayLike) -> Self:
        """Learn from rows, shape (n, d).

        Raises:
            NotEstimableError: With fewer than 50 rows without NaN, or when no column varies.
        """
        ...

    def score(self, rows: ArrayLike) -> Floats:
        """Return how odd each row is, shape (n,); NaN where a value is missing.

        Raises:
            StateError: When nothing was learnt yet.
        """
        ...

    def explain(self, rows: ArrayLike) -> Floats:
        """Return how much each feature has to do with it, shape (n, d), in units of the score.

        Raises:
            StateError: When nothing was learnt yet.
        """
        ...


class _Learnt:
    """What every scorer keeps: which columns vary, and their medians."""

    def __init__(self) -> None:
        self._varies: NDArray[np.bool_] | None = None
        self._medians: Floats = np.empty(0)

    def _learn(self, rows: ArrayLike) -> Floats:
        """Return the rows to learn from: without NaN, and without columns that do not vary."""
        matrix = _matrix(rows)
        known = matrix[~np.isnan(matrix).any(axis=1)]
        if len(known) < LEAST_ROWS:
            raise NotEstimableError(
                f"{len(known)} rows without NaN", f"must be {LEAST_ROWS} to learn from, {LEAST_ROWS - len(known)} more"
            )
        varies: NDArray[np.bool_] = np.ptp(known, axis=0) > 1e-12 * np.maximum(1.0, np.abs(known).max(axis=0))
        if not varies.any():
            raise NotEstimableError("all columns are constant", "one at least must vary")
        self._varies, self._medians = varies, np.median(known, axis=0)
        return known[:, varies]

    def _seen(self, rows: ArrayLike) -> tuple[Floats, NDArray[np.bool_]]:
        """Return rows as a matrix, and which of them have no NaN."""
        if self._varies is None:
            raise StateError("the scorer has learnt nothing yet", hint="call fit first")
        matrix = _matrix(rows)
        if matrix.shape[1] != self._varies.size:
            raise InvalidValueError(f"{matrix.shape[1]} columns", f"must be {self._varies.size}, as learnt from")
        return matrix, np.asarray(~np.isnan(matrix).any(axis=1), dtype=np.bool_)

    def _kept(self, matrix: Floats) -> Floats:
        assert self._varies is not None  # noqa: S101 - `_seen` has looked
        return matrix[:, self._varies]


class Mahalanobis(_Learnt):
    """The robust distance from the centre of the crowd, squared.

    Centre and covariance are the minimum covariance determinant's, so that the odd rows don't hide themselves by
    widening what counts as usual. The explanation is exact: with v = Σ⁻¹(x − μ), d² = Σⱼ (xⱼ − μⱼ)·vⱼ, so that the
    features sum to the score; a feature that makes a row *less* odd, given the others, is negative.

    Source: Rousseeuw & Van Driessen (1999), A fast algorithm for the minimum covariance determinant estimator,
    Technometrics 41:212; the decomposition is Garthwaite & Koch's (2016, Australian & New Zealand J. of Statistics
    58:35) for the plain coordinates.

    Args:
        seed: Of what is drawn.

    Example:
        >>> rng = np.random.default_rng(1)
        >>> scorer = Mahalanobis().fit(rng.normal(size=(500, 2)))
        >>> far = [[0.0, 9.0]]
        >>> bool(scorer.score(far)[0] > 50), int(scorer.explain(far)[0].argmax())
        (True, 1)
    """

    def __init__(self, seed: int = SEED) -> None:
        super().__init__()
        self._seed = seed
        self._centre: Floats = np.empty(0)
        self._precision: Floats = np.empty((0, 0))

    @property
    def name(self) -> str:
        """What it is called."""
        return "robust Mahalanobis distance"

    def fit(self, rows: ArrayLike) -> Self:
        """Learn centre and covariance; see `Scorer.fit`."""
        import warnings

        from sklearn.covariance import EmpiricalCovariance, MinCovDet

        known = self._learn(rows)
        most = max(MOST_LEARNT, A_COLUMN * known.shape[1])
        if len(known) > most:
            known = known[np.random.default_rng(self._seed).choice(len(known), most, replace=False)]
        with warnings.catch_warnings():
            # Columns in a line with one another: the pseudo-inverse below leaves their direction out.
            warnings.simplefilter("ignore")
            robust = MinCovDet(support_fraction=CENTRAL, random_state=self._seed).fit(known)
        covariance = np.asarray(robust.covariance_, dtype=np.float64)
        if np.linalg.matrix_rank(covariance, hermitian=True) < covariance.shape[0]:
            # Most of the crowd lies in a plane: beside it everything would be infinitely odd.
            covariance = np.asarray(EmpiricalCovariance().fit(known).covariance_, dtype=np.float64)
        self._centre = np.asarray(robust.location_, dtype=np.float64)
        self._precision = np.asarray(np.linalg.pinv(covariance, hermitian=True), dtype=np.float64)
        return self

    def score(self, rows: ArrayLike) -> Floats:
        """Return squared distances; of a normal crowd they are χ² with as many degrees of freedom as columns vary."""
        score: Floats = self.explain(rows).sum(axis=1)
        return score

    def explain(self, rows: ArrayLike) -> Floats:
        """Return each feature's summand of the squared distance."""
        matrix, known = self._seen(rows)
        out = np.full(matrix.shape, np.nan)
        away = self._kept(matrix[known]) - self._centre
        part = np.zeros((int(known.sum()), matrix.shape[1]))
        part[:, self._varies] = away * (away @ self._precision)
        out[known] = part
        return out


class Forest(_Learnt):
    """Isolation forest: how few random cuts it takes to set a row apart from the crowd; scores lie in (0, 1).

    A feature's part is by how much the score falls when its value is replaced by the median of the crowd. The parts
    need not sum to the score: two features that are odd only together each explain all of it.

    Source: Liu, Ting & Zhou (2008), Isolation forest, ICDM, eq. 2, as scikit-learn has it.

    Args:
        trees: How many.
        seed: Of the cuts.

    Example:
        >>> rng = np.random.default_rng(1)
        >>> forest = Forest().fit(rng.normal(size=(500, 2)))
        >>> bool(forest.score([[9.0, 0.0]])[0] > forest.score([[0.0, 0.0]])[0])
        True
    """

    def __init__(self, trees: int = TREES, seed: int = SEED) -> None:
        super().__init__()
        self._trees = check_scalar(trees, "trees", ge=10, le=10_000)
        self._seed = seed
        self._model: object = None

    @property
    def name(self) -> str:
        """What it is called."""
        return "isolation forest"

    def fit(self, rows: ArrayLike) -> Self:
        """Grow the trees; see `Scorer.fit`."""
        from sklearn.ensemble import IsolationForest

        known = self._learn(rows)
        self._model = IsolationForest(n_estimators=self._trees, random_state=self._seed).fit(known)
        return self

    def score(self, rows: ArrayLike) -> Floats:
        """Return the scores; about 0.5 and below is usual."""
        matrix, known = self._seen(rows)
        out = np.full(len(matrix), np.nan)
        if known.any():
            out[known] = self._raw(self._kept(matrix[known]))
        return out

    def explain(self, rows: ArrayLike) -> Floats:
        """Return by how much each feature raises the score above that of its median."""
        matrix, known = self._seen(rows)
        return _replaced(self, matrix, known, self._medians, self._varies)

    def _raw(self, rows: Floats) -> Floats:
        return -np.asarray(self._model.score_samples(rows), dtype=np.float64)  # type: ignore[attr-defined]


class PyodScorer(_Learnt):
    """Any detector of PyOD, when it is installed: ``pip install recommendr[pyod]``.

    Args:
        detector: One of PyOD's, for example ``ECOD()`` of ``pyod.models.ecod``; it has ``fit`` and
            ``decision_function``, of which greater is odder.

    Raises:
        InvalidValueError: When it is no such detector.
    """

    def __init__(self, detector: object) -> None:
        super().__init__()
        if not callable(getattr(detector, "decision_function", None)) or not callable(getattr(detector, "fit", None)):
            raise InvalidValueError(
                f"detector == {type(detector).__name__}",
                "must have fit and decision_function",
                "pass for example pyod.models.ecod.ECOD()",
            )
        self._detector = detector

    @property
    def name(self) -> str:
        """What it is called."""
        return f"PyOD {type(self._detector).__name__}"

    def fit(self, rows: ArrayLike) -> Self:
        """Let the detector learn; see `Scorer.fit`."""
        self._detector.fit(self._learn(rows))  # type: ignore[attr-defined]
        return self

    def score(self, rows: ArrayLike) -> Floats:
        """Return the detector's own scores."""
        matrix, known = self._seen(rows)
        out = np.full(len(matrix), np.nan)
        if known.any():
            found = self._detector.decision_function(self._kept(matrix[known]))  # type: ignore[attr-defined]
            out[known] = np.asarray(found, dtype=np.float64)
        return out

    def explain(self, rows: ArrayLike) -> Floats:
        """Return by how much each feature raises the score above that of its median."""
        matrix, known = self._seen(rows)
        return _replaced(self, matrix, known, self._medians, self._varies)


def _replaced(
    scorer: Scorer, matrix: Floats, known: NDArray[np.bool_], medians: Floats, varies: NDArray[np.bool_] | None
) -> Floats:
    """Return by how much a score falls when one feature is replaced by its median."""
    out = np.full(matrix.shape, np.nan)
    rows = matrix[known]
    if not len(rows) or varies is None:
        return out
    part = np.zeros_like(rows)
    base = scorer.score(rows)
    for column in np.flatnonzero(varies):
        changed = rows.copy()
        changed[:, column] = medians[column]
        part[:, column] = base - scorer.score(changed)
    out[known] = part
    return out


def _matrix(rows: ArrayLike) -> Floats:
    matrix = np.asarray(rows, dtype=np.float64)
    if matrix.ndim != 2 or matrix.shape[1] == 0:  # noqa: PLR2004 - a matrix
        raise InvalidValueError(f"rows of shape {matrix.shape}", "must be a matrix with at least one column")
    if np.isinf(matrix).any():
        raise InvalidValueError("rows hold an infinite number", "must be finite, or NaN where nothing is known")
    return matrix
