#!/usr/bin/env python3
"""Writes an .fbin file to standard output as COPY (FORMAT binary) reads it: id integer, vector.

usage: fbin_to_copy.py FILE.fbin [first row] [rows] | psql -c "COPY t FROM STDIN (FORMAT binary)"

The binary form of tfrs.embedding is that of pgvector's vector, so one stream fills either.
"""
import sys

import numpy as np

BATCH = 100_000


def main():
    path = sys.argv[1]
    first = int(sys.argv[2]) if len(sys.argv) > 2 else 0
    count, dim = np.fromfile(path, dtype=np.uint32, count=2)
    vectors = np.memmap(path, dtype=np.float32, offset=8, shape=(count, dim), mode="r")
    last = min(first + int(sys.argv[3]), count) if len(sys.argv) > 3 else count
    row = np.dtype([("fields", ">i2"), ("id_bytes", ">i4"), ("id", ">i4"), ("bytes", ">i4"),
                    ("dim", ">i2"), ("unused", ">i2"), ("values", ">f4", (dim,))])
    out = sys.stdout.buffer
    out.write(b"PGCOPY\n\xff\r\n\0" + bytes(8))
    for start in range(first, last, BATCH):
        batch = np.zeros(min(BATCH, last - start), dtype=row)
        batch["fields"], batch["id_bytes"], batch["bytes"] = 2, 4, 4 + 4 * dim
        batch["id"] = np.arange(start, start + len(batch))
        batch["dim"], batch["values"] = dim, vectors[start : start + len(batch)]
        out.write(batch.tobytes())
    out.write(b"\xff\xff")


main()
