#!/usr/bin/env python3
"""Times the matrix product behind many queries and nothing else: each query with each row.

usage: OPENBLAS_NUM_THREADS=1 product.py ROWS.fbin QUERIES THREADS

Each thread multiplies its own tiles, small enough to stay in the cache; nothing is kept.
"""
import sys
import threading
import time

import numpy as np

QUERY_TILE, ROW_TILE = 256, 4096


def multiply(rows, queries, mine, threads):
    out = np.empty((QUERY_TILE, ROW_TILE), dtype=np.float32)
    for row in range(mine * ROW_TILE, len(rows), threads * ROW_TILE):
        part = rows[row : row + ROW_TILE].T
        for query in range(0, len(queries), QUERY_TILE):
            some = queries[query : query + QUERY_TILE]
            np.matmul(some, part, out=out[: len(some), : part.shape[1]])


def main():
    path, count, threads = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    shape = np.fromfile(path, dtype=np.uint32, count=2)
    rows = np.fromfile(path, dtype=np.float32, offset=8).reshape(shape)
    queries = np.random.default_rng(1).normal(size=(count, shape[1])).astype(np.float32)
    workers = [threading.Thread(target=multiply, args=(rows, queries, mine, threads))
               for mine in range(threads)]
    wall, cpu = time.perf_counter(), time.process_time()
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    print(f"matrix product, {count} queries, {threads} threads    {time.perf_counter() - wall:8.1f} s"
          f"  CPU {time.process_time() - cpu:7.1f} s")


main()
