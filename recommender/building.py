"""From a catalogue to an index version: encode, fit, publish, switch.

Two strategies. *full* encodes and fits everything anew, side by side with what is served. *incremental* keeps the fit
of the version that is served, encodes only films whose content hash is new, and lays them over it as a delta.
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from recommender.activation import activate, settle
from recommender.catalogue import Catalogue, film_hashes
from recommender.configuration import Configuration
from recommender.encoder import Dtype, EmbeddingStore, SentenceTransformerEncoder, choose_dtype
from recommender.evaluation.ground import Ground
from recommender.evaluation.subject import Subject
from recommender.features import layout
from recommender.features.content import film_texts
from recommender.features.fitted import FEATURE_CODE, Encoded, chosen_blocks, fit_features
from recommender.features.stored import StoredFeatures, write_features
from recommender.index import IndexVersion, Manifest, current_version, open_version, write_delta, write_version
from recommender.profile import market_means
from workspace.clock import Clock, SystemClock
from workspace.columns import Film, User
from workspace.errors import EncoderError, StateError
from workspace.files import file_lock
from workspace.ledger import Ledger
from workspace.paths import Paths
from workspace.settings import Settings
from workspace.store import Store

Vectors = npt.NDArray[np.float32]
Rows = npt.NDArray[np.int64]
Progress = Callable[[str, int, int], None]
Strategy = Literal["full", "incremental"]
_PROBE_TEXTS: Final = 32
_LOCK: Final = "build.lock"
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildOptions:
    """What to build.

    Args:
        strategy: ``full`` or ``incremental``.
        without: Blocks to leave out.
        only: The only blocks to build.
        configuration: Block weights and pooling to record with the version; fitted to the catalogue when None.
        activate: Whether to make the version the current one.
    """

    strategy: Strategy = "full"
    without: tuple[str, ...] = ()
    only: tuple[str, ...] | None = None
    configuration: Configuration | None = None
    activate: bool = True


def embed_films(
    settings: Settings, films: pd.DataFrame, progress: Progress | None = None, dtype: Dtype | None = None
) -> tuple[Vectors, str]:
    """Return the text vectors of films, from the store where they are known, and the encoder's name and precision.

    Args:
        settings: Names the encoder.
        films: The films.
        progress: Told how many of the unknown texts are encoded.
        dtype: The precision; chosen by the settings and the processor when None.
    """
    texts = film_texts(films)
    if dtype is None:
        probe = [text for text in texts if text][:_PROBE_TEXTS]
        dtype = choose_dtype(settings.encoder_dtype, settings.encoder, probe)
    encoder = SentenceTransformerEncoder(settings.encoder, dtype=dtype, batch=settings.encoder_batch)
    store = EmbeddingStore(Paths(settings.home).embeddings, encoder)
    return store.vectors(texts, progress), f"{settings.encoder} {dtype}"


def build_index(
    settings: Settings,
    catalogue: Catalogue,
    *,
    options: BuildOptions | None = None,
    progress: Progress | None = None,
    clock: Clock | None = None,
) -> Manifest:
    """Build a version of the catalogue and, unless told otherwise, make it the current one.

    Args:
        settings: Where, and with which encoder.
        catalogue: What is indexed.
        options: What to build.
        progress: Told the stage, what is done and what there is.
        clock: Stamps the version.

    Returns:
        The version's manifest. The same content gives the same version.

    Raises:
        StateError: When another build runs, or there is nothing to build on incrementally.
        EncoderError: When the encoder can't be opened or does not fit the version it extends.
    """
    wanted = options or BuildOptions()
    paths = Paths(settings.home).ensure()
    with file_lock(paths.indexes / _LOCK, blocking=False):
        if wanted.strategy == "incremental":
            manifest = _extend(settings, paths, catalogue, progress, clock or SystemClock())
        else:
            manifest = _regenerate(settings, paths, catalogue, wanted, progress, clock or SystemClock())
        if wanted.activate:
            _activate(settings, paths, manifest, wanted.strategy, clock)
    _log.info("index built", extra={"version": manifest.version, "rows": manifest.rows, "strategy": wanted.strategy})
    return manifest


def _activate(settings: Settings, paths: Paths, manifest: Manifest, strategy: Strategy, clock: Clock | None) -> None:
    store = Store.open(settings)
    try:
        ledger = Ledger(store, clock)
        if current_version(paths) == manifest.version:
            settle(paths, ledger)
        else:
            activate(paths, ledger, manifest.version, actor="build", strategy=strategy)
    finally:
        store.close()


def _regenerate(
    settings: Settings,
    paths: Paths,
    catalogue: Catalogue,
    options: BuildOptions,
    progress: Progress | None,
    clock: Clock,
) -> Manifest:
    films = catalogue.films
    blocks = chosen_blocks(options.without, options.only)
    text, encoder = embed_films(settings, films, progress) if layout.TEXT in blocks else (None, "none")
    ground = Ground.of(catalogue)
    subject = Subject.of(ground, text=text, blocks=blocks)
    configuration = options.configuration
    if configuration is None:
        _tell(progress, "fit weights")
        found = subject.fit_weights(ground, ground.acts)
        configuration = Configuration(weights=found.weights, pooling=subject.pooling, evidence=found.evidence)
    _tell(progress, "fit features")
    features, encoded = fit_features(films, ground.acts, text=text, blocks=blocks, content=subject.content)
    means = market_means(encoded.content.vectors, ground.acts, markets=catalogue.users[User.MARKET].tolist())
    extra = _facts(catalogue, encoder, list(features.layout), options.strategy, configuration)

    def attach(folder: Path) -> None:
        write_features(
            folder,
            features,
            encoded,
            rows=np.arange(len(films)),
            film_ids=films[Film.ID].tolist(),
            content_hashes=film_hashes(films).tolist(),
            market_means=means,
        )

    return write_version(
        paths,
        vectors=encoded.vectors,
        blocks=dict(features.layout.ranges),
        extra=extra,
        attachments=attach,
        progress=progress,
        clock=clock,
    )


def _tell(progress: Progress | None, stage: str) -> None:
    if progress:
        progress(stage, 0, 0)


def _facts(
    catalogue: Catalogue, encoder: str, blocks: Sequence[str], strategy: Strategy, configuration: Configuration
) -> dict[str, Any]:
    return {
        "feature_code": FEATURE_CODE,
        "encoder": encoder,
        "snapshot_id": catalogue.snapshot_id,
        "blocks": list(blocks),
        "strategy": strategy,
        **configuration.of_blocks(blocks).to_dict(),
    }


def _extend(
    settings: Settings, paths: Paths, catalogue: Catalogue, progress: Progress | None, clock: Clock
) -> Manifest:
    current = current_version(paths)
    if current is None:
        raise StateError(
            "no index version is current", "an increment needs one to stand on", "run `recommendr index build` first"
        )
    served = open_version(paths, current).manifest
    # Always laid over the full version, never over another delta: one look-up serves, however many increments came.
    root = open_version(paths, current if served.delta is None else served.delta.base)
    stored = StoredFeatures(root.folder)
    change = _changes(catalogue, stored)
    if not change.any:
        return root.manifest
    films = catalogue.films.take(np.concatenate([change.replaced_films, change.new_films])).reset_index(drop=True)
    encoded = _encode_changes(settings, root, stored, films, change.replaced_rows, progress)
    ids = [*stored.film_ids, *catalogue.films[Film.ID].take(change.new_films)]
    hashes = np.array([*stored.content_hashes, *change.hashes[change.new_films]], dtype=object)
    hashes[change.replaced_rows] = change.hashes[change.replaced_films]
    extra = {**root.manifest.extra, "snapshot_id": catalogue.snapshot_id, "strategy": "incremental"}

    def attach(folder: Path) -> None:
        write_features(
            folder,
            stored.fitted,
            encoded,
            film_ids=ids,
            content_hashes=hashes.tolist(),
            rows=np.concatenate([change.replaced_rows, np.arange(root.rows, len(ids))]),
            market_means=stored.market_means,
        )

    return write_delta(
        paths,
        root.version,
        replaced=change.replaced_rows,
        vectors=encoded.vectors,
        removed=change.removed_rows,
        extra=extra,
        attachments=attach,
        progress=progress,
        clock=clock,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Changes:
    """What a catalogue holds that a version does not: rows of the version, and films by their place in the catalogue.

    ``replaced_rows`` increase, and ``replaced_films`` go with them.
    """

    hashes: npt.NDArray[np.str_]
    replaced_rows: Rows
    replaced_films: Rows
    new_films: Rows
    removed_rows: Rows

    @property
    def any(self) -> bool:
        """Whether there is a change at all."""
        return bool(len(self.replaced_rows) + len(self.new_films) + len(self.removed_rows))


def _changes(catalogue: Catalogue, stored: StoredFeatures) -> _Changes:
    hashes = film_hashes(catalogue.films)
    known = {film: row for row, film in enumerate(stored.film_ids)}
    rows = np.array([known.get(film, -1) for film in catalogue.films[Film.ID]], np.int64)
    old = np.array([*stored.content_hashes, ""], dtype=object)  # row −1 finds the last, which equals no hash
    changed = np.flatnonzero((rows >= 0) & (old[rows] != hashes))
    changed = changed[np.argsort(rows[changed])]
    gone = np.setdiff1d(np.arange(len(stored.film_ids)), rows)
    return _Changes(
        hashes=hashes,
        replaced_rows=rows[changed],
        replaced_films=changed,
        new_films=np.flatnonzero(rows < 0),
        removed_rows=gone,
    )


def _encode_changes(
    settings: Settings,
    root: IndexVersion,
    stored: StoredFeatures,
    films: pd.DataFrame,
    replaced: Rows,
    progress: Progress | None,
) -> Encoded:
    text = None
    if stored.fitted.content.text_dim:
        # In the precision of the version, whatever these few films would have it be.
        precision: Dtype = "bfloat16" if root.manifest.extra["encoder"].endswith(" bfloat16") else "float32"
        text, encoder = embed_films(settings, films, progress, precision)
        if encoder != root.manifest.extra["encoder"] or text.shape[1] != stored.fitted.content.text_dim:
            raise EncoderError(
                f"encoder == {encoder} of {text.shape[1]} dimensions",
                f"must be {root.manifest.extra['encoder']} of {stored.fitted.content.text_dim}, as in {root.version}",
                "set it back, or run `recommendr index build --strategy full`",
            )
    encoded = stored.fitted.extend(films, text)
    # A film that was described anew keeps what its audience says of it.
    columns = slice(stored.fitted.content.layout.dim, root.dim)
    encoded.vectors[: len(replaced), columns] = root.take(replaced)[:, columns]
    if encoded.audience_history is not None:
        encoded.audience_history[: len(replaced)] = stored.audience_of(replaced)
    return encoded
