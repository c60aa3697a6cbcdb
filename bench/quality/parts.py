#!/usr/bin/env python3
"""The default training beside one without parts, on each split of DATA/splits, by SQL.  See README.md.

    parts.py DATA [SPLIT ...]

psql connects without arguments to a database with the extension.
"""
import csv
import gzip
import os
import subprocess
import sys
import tempfile
from datetime import datetime, timezone

CUTS = {"online_retail_global_75": "2011-10-11 13:45:00", "online_retail_global_90": "2011-11-16 08:28:00",
        "ml-100k_global_90": datetime.fromtimestamp(891382309, timezone.utc).strftime("%Y-%m-%d %H:%M:%S")}
UNTIMED = ("ml-100k_random", "ml-1m_random", "online_retail_random")


def read(path, *columns):
    with gzip.open(path, "rt", newline="") as file:
        rows = csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE)
        return [tuple(row[c] for c in columns) for row in rows]


def interactions(data, name):
    """rows (query, candidate, time or None, invoice or None)"""
    if name.startswith("ml-1m"):
        return [(u, i, None, None) for u, i in read(f"{data}/ml-1m/pairs.tsv.gz", "user_id", "item_id")]
    if name.startswith("ml-100k"):
        rows = read(f"{data}/ml-100k/ratings.tsv.gz", "user_id", "item_id", "timestamp")
        return [(u, i, datetime.fromtimestamp(int(t), timezone.utc).strftime("%Y-%m-%d %H:%M:%S"), None)
                for u, i, t in rows]
    rows = read(f"{data}/online_retail/purchases.tsv.gz", "user_id", "item_id", "ts", "invoice_no")
    return [(u, i, t, invoice) for u, i, t, invoice in rows]


def split(data, name):
    """-> training (query, candidate, time or None), test (query, candidate)"""
    rows, path = interactions(data, name), f"{data}/splits/{name}.test.tsv.gz"
    first = {}
    if name == "online_retail_last_invoice":
        last = set(read(path, "user_id", "invoice_no"))
        test = {(u, i) for u, i, t, invoice in rows if (u, invoice) in last}
        rows = [row for row in rows if (row[0], row[3]) not in last]
    else:
        test = set(read(path, "user_id", "item_id"))
    for u, i, t, _ in rows:
        if (u, i) not in first or t is not None and t < first[u, i]:
            first[u, i] = t
    if name in CUTS:
        first = {pair: t for pair, t in first.items() if t < CUTS[name]}
    elif name != "online_retail_last_invoice":
        first = {pair: t for pair, t in first.items() if pair not in test}
    queries, candidates = {u for u, _ in first}, {i for _, i in first}
    training = [(u, i, None if name in UNTIMED else t) for (u, i), t in first.items()]
    return training, [(u, i) for u, i in test if u in queries and i in candidates and (u, i) not in first]


def psql(sql):
    return subprocess.run(["psql", "-XqAt", "-v", "ON_ERROR_STOP=1", "-c", sql], check=True, text=True,
                          stdout=subprocess.PIPE).stdout.strip()


def load(table, columns, rows):
    with tempfile.NamedTemporaryFile("w", suffix=".tsv", delete=False) as file:
        for row in rows:
            file.write("\t".join("\\N" if value is None else value for value in row) + "\n")
    psql(f"DROP TABLE IF EXISTS {table}; CREATE TABLE {table} ({columns})")
    psql(f"\\copy {table} FROM '{file.name}'")
    os.unlink(file.name)


def measure(timed, options):
    at = ", NULL, at" if timed else ""
    return psql(f"WITH m AS MATERIALIZED (SELECT tfrs.train(query, candidate{at}, '{options}') AS model FROM parts_training) "
                "SELECT (SELECT round((tfrs.evaluate(m.model, query, candidate, '{\"ks\": [10], \"baselines\": false}') "
                "-> 'ndcg' ->> '10')::numeric, 4) FROM m, parts_test), "
                "tfrs.model_info(m.model) -> 'options' -> 'parts' FROM m")


def main(data, *names):
    for name in names or sorted(CUTS) + list(UNTIMED) + ["ml-100k_by_time", "online_retail_last_invoice"]:
        training, test = split(data, name)
        load("parts_training", "query text, candidate text, at timestamptz", training)
        load("parts_test", "query text, candidate text", test)
        timed = name not in UNTIMED
        print(name, "towers", measure(timed, '{"parts": false}'), "defaults", measure(timed, "{}"), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
