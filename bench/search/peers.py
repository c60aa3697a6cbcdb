#!/usr/bin/env python3
"""Measures FAISS or ScaNN on the corpora of corpora.py, one thread, as bench.c measures the index.

usage: peers.py faiss|scann DIRECTORY towers|trained|normal|words ...

Each library wants an environment of its own: python3 -m venv V; V/bin/pip install faiss-cpu (or
scann) numpy.  Prints build seconds of CPU, then per setting recall@10 and the median CPU time of a
query over the odd queries, recall counted as by bench.c (what reaches the k-th true score).
"""
import pathlib
import sys
import time

import numpy as np

K = 10
QUERIES = 200
LEAVES = {"towers": 2000, "trained": 2000, "normal": 2000, "words": 1000}
EFFORTS = [(4, 60), (8, 60), (16, 100), (24, 150), (40, 200), (60, 250), (80, 300), (120, 400),
           (160, 400), (300, 500), (600, 1000)]


def read(path):
    shape = np.fromfile(path, dtype=np.uint32, count=2)
    return np.fromfile(path, dtype=np.float32, offset=8).reshape(shape)


def measure(name, queries, truth, search):
    times, found = [], 0
    for repeat in range(2):
        times, found = [], 0
        for query, kth in zip(queries, truth):
            start = time.thread_time()
            scores = search(query)
            times.append(time.thread_time() - start)
            found += (scores >= kth - 1e-5 * abs(kth)).sum()
    print(f"{name:28} {np.median(times) * 1e3:8.4f} ms   recall {found / len(truth) / K:.4f}",
          flush=True)


def run_faiss(name, rows, queries, truth):
    import faiss

    faiss.omp_set_num_threads(1)
    print("faiss", faiss.__version__)
    flat = faiss.IndexFlatIP(rows.shape[1])
    flat.add(rows)
    measure("flat", queries, truth, lambda q: flat.search(q[None], K)[0][0])
    codes = rows.shape[1] if rows.shape[1] <= 32 else rows.shape[1] // 2
    start = time.process_time()
    coded = faiss.index_factory(rows.shape[1], f"IVF{LEAVES[name]},PQ{codes}x4fs",
                                faiss.METRIC_INNER_PRODUCT)
    coded.train(rows[:: max(1, len(rows) // 250_000)])
    coded.add(rows)
    index = faiss.IndexRefine(coded, flat)
    print(f"IVF + 4-bit: build {time.process_time() - start:.1f} s of CPU")
    for leaves, rerank in EFFORTS:
        coded.nprobe = leaves
        index.k_factor = rerank / K
        measure(f"lists {leaves} re-ranked {rerank}", queries, truth,
                lambda q: index.search(q[None], K)[0][0])


def run_scann(name, rows, queries, truth):
    import scann

    start = time.process_time()
    index = (scann.scann_ops_pybind.builder(rows, K, "dot_product")
             .tree(LEAVES[name], K, training_sample_size=250_000)
             .score_ah(1 if rows.shape[1] <= 32 else 2, anisotropic_quantization_threshold=0.2)
             .reorder(100).build())
    print(f"scann: build {time.process_time() - start:.1f} s of CPU")
    for leaves, rerank in EFFORTS:
        measure(f"leaves {leaves} re-ranked {rerank}", queries, truth,
                lambda q: index.search(q, final_num_neighbors=K, pre_reorder_num_neighbors=rerank,
                                       leaves_to_search=leaves)[1])


def main():
    library, folder = sys.argv[1], pathlib.Path(sys.argv[2])
    for name in sys.argv[3:]:
        rows = read(folder / f"{name}.rows.fbin")
        queries = read(folder / f"{name}.queries.fbin")[1 : 2 * QUERIES : 2]
        if name == "words":
            rows /= np.linalg.norm(rows, axis=1, keepdims=True)
            queries /= np.linalg.norm(queries, axis=1, keepdims=True)
        truth = [np.partition(rows @ query, -K)[-K] for query in queries]
        print(name, rows.shape)
        {"faiss": run_faiss, "scann": run_scann}[library](name, rows, queries, truth)


main()
