"""The peers of the request benchmark: each finds up to 200 allowed rows in its own way, on one core."""

import time
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

CANDIDATES: Final = 200
SHOWN: Final = 5
SEED: Final = 7

Vectors = NDArray[np.float32]
Query = NDArray[np.float64]
Mask = NDArray[np.bool_]
Rows = NDArray[np.int64]


class NumpyScan:
    """float32 products of the allowed rows, gathered when they are few."""

    name = "NumPy exact scan"

    def __init__(self, vectors: Vectors) -> None:
        self._vectors = vectors

    def search(self, query: Query, allowed: Mask) -> Rows:
        """Return the best 200."""
        rows = np.flatnonzero(allowed)
        few = 2 * len(rows) < len(allowed)
        narrow = query.astype(np.float32)
        scores = self._vectors[rows] @ narrow if few else (self._vectors @ narrow)[rows]
        if len(rows) <= CANDIDATES:
            return rows
        return rows[np.argpartition(scores, len(rows) - CANDIDATES)[len(rows) - CANDIDATES :]]


class Faiss:
    """faiss with IDSelectorBitmap: flat (exact), inverted lists, or HNSW."""

    def __init__(self, vectors: Vectors, kind: str, cache: Path) -> None:
        import faiss

        faiss.omp_set_num_threads(1)
        self._faiss = faiss
        dim = vectors.shape[1]
        path = cache / f"faiss-{kind}.bin"
        lists = 4096 if len(vectors) >= 400_000 else 512
        self.name = {"flat": "faiss Flat", "ivf": f"faiss IVF{lists},Flat nprobe 64", "hnsw": "faiss HNSW16 ef 512"}[
            kind
        ]
        self.build_s = 0.0
        if path.exists():
            self._index = faiss.read_index(str(path))
        else:
            begun = time.perf_counter()
            if kind == "ivf":
                self._index = faiss.index_factory(dim, f"IVF{lists},Flat", faiss.METRIC_INNER_PRODUCT)
                self._index.train(vectors[:: max(1, len(vectors) // (40 * lists))])
            elif kind == "hnsw":
                faiss.omp_set_num_threads(1)
                self._index = faiss.IndexHNSWFlat(dim, 16, faiss.METRIC_INNER_PRODUCT)
                self._index.hnsw.efConstruction = 100
            else:
                self._index = faiss.IndexFlatIP(dim)
            self._index.add(vectors)
            faiss.omp_set_num_threads(1)
            self.build_s = time.perf_counter() - begun
            if kind != "flat":
                faiss.write_index(self._index, str(path))
        self._kind = kind

    def search(self, query: Query, allowed: Mask) -> Rows:
        """Return what it finds of the best 200."""
        faiss = self._faiss
        selector = faiss.IDSelectorBitmap(np.packbits(allowed, bitorder="little"))
        if self._kind == "ivf":
            parameters = faiss.SearchParametersIVF(sel=selector, nprobe=64)
        elif self._kind == "hnsw":
            parameters = faiss.SearchParametersHNSW(sel=selector, efSearch=512)
        else:
            parameters = faiss.SearchParameters(sel=selector)
        narrow = query.astype(np.float32)
        rows: Rows = self._index.search(narrow[None], CANDIDATES, params=parameters)[1][0]
        return rows[rows >= 0]


class Hnswlib:
    """hnswlib with a Python filter callback."""

    name = "hnswlib M16 ef 512"

    def __init__(self, vectors: Vectors, cache: Path) -> None:
        import hnswlib

        path = cache / "hnswlib.bin"
        self._index = hnswlib.Index(space="ip", dim=vectors.shape[1])
        self.build_s = 0.0
        if path.exists():
            self._index.load_index(str(path), max_elements=len(vectors))
        else:
            begun = time.perf_counter()
            self._index.init_index(max_elements=len(vectors), M=16, ef_construction=100, random_seed=SEED)
            self._index.add_items(vectors, num_threads=1)
            self.build_s = time.perf_counter() - begun
            self._index.save_index(str(path))
        self._index.set_num_threads(1)
        self._index.set_ef(512)

    def search(self, query: Query, allowed: Mask) -> Rows:
        """Return what it finds of the best 200; it raises when it finds fewer than asked, so ask for fewer then."""
        lookup, narrow = allowed.tolist(), query.astype(np.float32)
        for wanted in (CANDIDATES, 50, SHOWN, 1):
            try:
                rows, _ = self._index.knn_query(narrow, k=wanted, filter=lookup.__getitem__)
            except RuntimeError:
                continue
            return np.asarray(rows[0], dtype=np.int64)
        return np.empty(0, dtype=np.int64)
