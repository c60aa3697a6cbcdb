"""The figures of tfrs.evaluate beside the same figures computed by numpy.

    crosscheck.py DATA      DATA: a folder with ml-100k, online_retail and splits (see README.md)

Trains the default models on each split in the database that psql connects to (schema
tfrs_crosscheck, made anew), reads their vectors by SQL, ranks every candidate for every query of
the test in float64, and computes popularity and item-item cosine from the training rows.  Exits with 1
where a figure differs by more than TOLERANCE: two scores within a float32 rounding of each other
may change places, nothing else.
"""
import csv
import gzip
import json
import os
import subprocess
import sys

import numpy as np

TOLERANCE = 2e-4
NEIGHBOURS = 100
FIGURES = (("ndcg", "10"), ("recall", "10"), ("capped_recall", "20"), ("hit", "10"))
RANKINGS = (None, "popularity", "item_item")


def psql(sql, text=""):
    """Rows of one statement, as lists of strings; text goes to its standard input."""
    command = ["psql", "-XqAt", "-F", "\t", "-v", "ON_ERROR_STOP=1", "-c", sql]
    done = subprocess.run(command, input=text, capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(done.stderr)
    return [line.split("\t") for line in done.stdout.splitlines()]


def read(folder, name):
    with gzip.open(os.path.join(folder, name), "rt") as file:
        return list(csv.reader(file, delimiter="\t"))[1:]


def load(table, rows):
    """Rows of (query, candidate, at) into a new table; at may be empty."""
    psql(f"CREATE TABLE tfrs_crosscheck.{table} (query text, candidate text, at timestamptz)")
    psql(f"COPY tfrs_crosscheck.{table} FROM STDIN WITH (NULL '')",
         "".join("\t".join(row) + "\n" for row in rows))


def movielens(data, name):
    test = {(row[0], row[1]) for row in read(data, f"splits/{name}.test.tsv.gz")}
    rows = [(row[0], row[1], row[3]) for row in read(data, "ml-100k/ratings.tsv.gz")]
    timed = name.endswith("by_time")
    iso = lambda seconds: str(np.datetime64(int(seconds), "s")) if timed else ""
    return ([(q, c, iso(at)) for q, c, at in rows if (q, c) not in test],
            [(q, c, "") for q, c in sorted(test)])


def retail(data, name):
    held = {tuple(row) for row in read(data, f"splits/{name}.test.tsv.gz")}
    training, test = [], []
    for query, candidate, _, invoice, at in read(data, "online_retail/purchases.tsv.gz"):
        is_test = (query, invoice) in held
        (test if is_test else training).append((query, candidate, "" if is_test else at))
    return training, test


SPLITS = {"ml-100k_by_time": movielens, "ml-100k_random": movielens,
          "online_retail_last_invoice": retail}


def vectors(rows):
    return [row[0] for row in rows], np.array([json.loads(row[1]) for row in rows])


def item_item(chosen):
    """Scores (queries, candidates): cosine to the candidates of a query that are near."""
    common = chosen.T @ chosen
    counts = np.sqrt(np.diag(common))
    cosine = (common / np.outer(counts, counts)).astype(np.float32)
    np.fill_diagonal(cosine, 0)
    for column in range(cosine.shape[1]):
        far = np.argsort(-cosine[:, column], kind="stable")[NEIGHBOURS:]
        cosine[far, column] = 0
    return chosen @ cosine


def mean_figures(scores, seen, relevant):
    """Means over queries; relevant: a query's candidates, by number where the model knows them."""
    sums = np.zeros(len(FIGURES))
    queries = 0
    discount = 1 / np.log2(np.arange(2, 12))
    for query, wanted in relevant.items():
        wanted = wanted - seen[query]
        known = {c for c in wanted if isinstance(c, int)}
        if not wanted:
            continue
        own = np.array(scores[query], dtype=np.float64)
        own[list(seen[query])] = -np.inf
        hits = np.isin(np.argsort(-own, kind="stable")[:20], list(known))
        gain = (hits[:10] * discount).sum() / discount[:len(wanted)].sum()
        sums += (gain, hits[:10].sum() / len(wanted), hits.sum() / min(len(wanted), 20),
                 hits[:10].any())
        queries += 1
    return sums / queries


def check(name, data):
    training, test = SPLITS[name](data, name)
    psql("DROP SCHEMA IF EXISTS tfrs_crosscheck CASCADE")
    psql("CREATE SCHEMA tfrs_crosscheck")
    load("training", training)
    load("test", test)
    # numpy ranks by the vectors: nothing may stand beside them
    arguments = "query, candidate" + (", NULL, at" if training[0][2] else "") + ", '{\"parts\": false}'"
    psql(f"CREATE TABLE tfrs_crosscheck.model AS SELECT tfrs.train({arguments}) AS model "
         "FROM tfrs_crosscheck.training")
    ours = json.loads(psql("SELECT tfrs.evaluate(model, query, candidate) "
                           "FROM tfrs_crosscheck.model, tfrs_crosscheck.test")[0][0])
    candidates, x = vectors(psql("SELECT c.* FROM tfrs_crosscheck.model, "
                                 "tfrs.candidate_embeddings(model) AS c"))
    queries, q = vectors(psql("SELECT query, tfrs.embed_query(model, query) FROM tfrs_crosscheck.model, "
                              "(SELECT DISTINCT query FROM tfrs_crosscheck.test) AS t"))
    row = {c: n for n, c in enumerate(candidates)}
    number = {c: n for n, c in enumerate(queries)}
    chosen = np.zeros((len(queries), len(candidates)), np.float32)
    everybody = {u: n for n, u in enumerate(sorted({t[0] for t in training}))}
    all_chosen = np.zeros((len(everybody), len(candidates)), np.float32)
    for query, candidate, _ in training:
        all_chosen[everybody[query], row[candidate]] = 1
    for query, n in number.items():
        chosen[n] = all_chosen[everybody[query]] if query in everybody else 0
    seen = [set(np.flatnonzero(c).tolist()) for c in chosen]
    relevant = {}
    for query, candidate, _ in test:
        relevant.setdefault(number[query], set()).add(row.get(candidate, candidate))
    near = item_item(all_chosen)
    none = np.zeros(len(candidates))
    scores = {None: q @ x.T, "popularity": np.tile(all_chosen.sum(0), (len(queries), 1)),
              "item_item": [near[everybody[u]] if u in everybody else none for u in queries]}
    worst = 0
    for ranking in RANKINGS:
        figures = ours if ranking is None else ours[ranking]
        got = np.array([figures[name][k] for name, k in FIGURES])
        expected = mean_figures(scores[ranking], seen, relevant)
        worst = max(worst, np.abs(got - expected).max())
        for label, values in (("tfrs.evaluate", got), ("numpy", expected)):
            print(f"{name:28}{ranking or 'model':12}{label:14}" +
                  "".join(f"{value:10.5f}" for value in values))
    return worst


def main():
    print(f"{'split':28}{'ranking':12}{'':14}" +
          "".join(f"{figure[:6] + '@' + k:>10}" for figure, k in FIGURES))
    worst = max(check(name, sys.argv[1]) for name in SPLITS)
    psql("DROP SCHEMA tfrs_crosscheck CASCADE")
    print(f"largest difference {worst:.1e}")
    sys.exit(int(worst > TOLERANCE))


if __name__ == "__main__":
    main()
