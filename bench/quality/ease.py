#!/usr/bin/env python3
"""Processor time and NDCG@10 of a default fit beside EASE (Steck 2019), one thread each, by turns.  See README.md.

    ease.py DATA [SPLIT [LAMBDA [REPEATS]]]      ml-1m_random, 400, 3

EASE is one regression of all items on all items by a Cholesky factor, in single precision: numpy and scipy with one
thread of their BLAS.  Of ours the whole statement counts, of EASE everything but the reading of the rows.  psql connects,
as a superuser and without arguments, to a database with the extension on this machine.
"""
import os

os.environ["OPENBLAS_NUM_THREADS"] = os.environ["OMP_NUM_THREADS"] = "1"

import statistics
import sys
import time

import numpy as np
import scipy.sparse as sp
from scipy.linalg import lapack

import parts

TICKS = ("(SELECT split_part(s, ' ', 14)::int + split_part(s, ' ', 15)::int "
         "FROM pg_read_file('/proc/self/stat') AS s)")


def fit_ease(x, ridge):
    """x (users, items) csr -> weights (items, items) with a zero diagonal"""
    gram = (x.T @ x).toarray().astype(np.float32)
    gram[np.diag_indices(len(gram))] += ridge
    factor, _ = lapack.spotrf(gram, lower=1, overwrite_a=1)
    inverse, _ = lapack.spotri(factor, lower=1, overwrite_c=1)
    inverse = np.tril(inverse) + np.tril(inverse, -1).T
    weights = inverse / -np.diag(inverse)
    weights[np.diag_indices(len(weights))] = 0
    return weights


def numbered(training, test):
    """Rows and columns of the training pairs and of the test pairs."""
    users = {u: n for n, u in enumerate(sorted({row[0] for row in training}))}
    items = {i: n for n, i in enumerate(sorted({row[1] for row in training}))}
    number = lambda pairs: np.array([(users[p[0]], items[p[1]]) for p in pairs])
    pairs = number(training)
    x = sp.csr_matrix((np.ones(len(pairs), np.float32), (pairs[:, 0], pairs[:, 1])), (len(users), len(items)))
    wanted = number(test)
    return x, sp.csr_matrix((np.ones(len(wanted), bool), (wanted[:, 0], wanted[:, 1])), x.shape)


def ndcg(x, weights, wanted):
    discount = 1 / np.log2(np.arange(2, 12))
    sums = []
    for user in np.flatnonzero(np.diff(wanted.indptr)):
        seen = x.indices[x.indptr[user]:x.indptr[user + 1]]
        score = weights[seen].sum(0)
        score[seen] = -np.inf
        best = np.argsort(-score, kind="stable")[:10]
        want = wanted.indices[wanted.indptr[user]:wanted.indptr[user + 1]]
        sums.append(discount[np.isin(best, want)].sum() / discount[:min(10, len(want))].sum())
    return float(np.mean(sums))


def our_seconds(timed, seed):
    """Of the backend, by its own clock; the model stays in parts_model."""
    at = ", NULL, at" if timed else ""
    rows = parts.psql("DROP TABLE IF EXISTS parts_model; SET tfrs.threads = 1; SET jit = off; "
                      f"SELECT {TICKS}; CREATE TABLE parts_model AS SELECT tfrs.train(query, candidate{at}, "
                      f"'{{\"seed\": {seed}}}') AS model FROM parts_training; SELECT {TICKS}").splitlines()
    return (int(rows[-1]) - int(rows[-2])) / os.sysconf("SC_CLK_TCK")


def our_ndcg():
    return float(parts.psql("SELECT tfrs.evaluate(m.model, query, candidate, '{\"ks\": [10], \"baselines\": false}') "
                            "-> 'ndcg' ->> '10' FROM parts_test, parts_model m"))


def main(data, name="ml-1m_random", ridge="400", repeats="3"):
    training, test = parts.split(data, name)
    parts.load("parts_training", "query text, candidate text, at timestamptz", training)
    parts.load("parts_test", "query text, candidate text", test)
    x, wanted = numbered(training, test)
    ours, theirs, quality = [], [], []
    for seed in range(int(repeats)):
        ours.append(our_seconds(name not in parts.UNTIMED, seed))
        quality.append(our_ndcg())
        began = time.process_time()
        weights = fit_ease(x, float(ridge))
        theirs.append(time.process_time() - began)
    print(f"{name}: ours {statistics.median(ours):.2f} s, NDCG@10 {statistics.mean(quality):.4f}; EASE "
          f"{statistics.median(theirs):.2f} s, {ndcg(x, weights, wanted):.4f}; ratio of the seconds "
          f"{statistics.median(ours) / statistics.median(theirs):.2f}   {ours} {[round(t, 2) for t in theirs]} {quality}")


if __name__ == "__main__":
    main(*sys.argv[1:])
