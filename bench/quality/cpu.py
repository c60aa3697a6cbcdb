"""Processor time of a default fit beside that of the same method in numpy, on one core each.

    cpu.py REFERENCE DATA [REPEATS]

REFERENCE: a python file with load(data, split) and Tower(u, i, ts, users, items, timed, seed).fit(steps),
the history tower in numpy and scipy.  DATA: as for crosscheck.py.  Both are measured by turns; of
ours all of the statement counts (reading the rows, sorting, training, writing the value), of the
reference Tower and fit without the loading and the judging.  psql connects, as a superuser and
without arguments, to a database with the extension on this machine.  Exits with 1 where ours
takes more than a third.
"""
import importlib.util
import os
import statistics
import subprocess
import sys
import time

CORE = min(os.sched_getaffinity(0))
STEPS = {True: 1000, False: 400}    # of the reference, with times and without
LIMIT = 1 / 3


def reference_seconds(path, data, split, seed):
    """In a process of its own, so that BLAS has one thread."""
    command = ["taskset", "-c", str(CORE), sys.executable, __file__, "--fit", path, data, split,
               str(seed)]
    alone = dict(os.environ, OPENBLAS_NUM_THREADS="1", OMP_NUM_THREADS="1")
    return float(subprocess.run(command, env=alone, check=True, stdout=subprocess.PIPE).stdout)


def fit_reference(path, data, split, seed):
    spec = importlib.util.spec_from_file_location("reference", path)
    reference = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(reference)
    u, i, ts, _, users, items, timed = reference.load(data, split)
    began = time.process_time()
    reference.Tower(u, i, ts, users, items, timed, int(seed)).fit(STEPS[timed])
    print(time.process_time() - began)


def our_seconds(arguments, seed):
    """Of the backend, by its own clock."""
    import crosscheck
    ticks = ("(SELECT split_part(s, ' ', 14)::int + split_part(s, ' ', 15)::int "
             "FROM pg_read_file('/proc/self/stat') AS s)")
    options = f'{{"seed": {seed}}}'
    rows = crosscheck.psql(
        "SET tfrs.threads = 1; SET max_parallel_workers_per_gather = 0; SET jit = off; "
        f"SELECT {ticks}; CREATE TEMP TABLE fitted AS SELECT tfrs.train({arguments}, '{options}') "
        f"AS model FROM tfrs_crosscheck.training; SELECT {ticks}")
    before, after = (int(row[0]) for row in rows)
    return (after - before) / os.sysconf("SC_CLK_TCK")


def measure(path, data, split, repeats):
    import crosscheck
    training, _ = crosscheck.SPLITS[split](data, split)
    crosscheck.psql("DROP SCHEMA IF EXISTS tfrs_crosscheck CASCADE")
    crosscheck.psql("CREATE SCHEMA tfrs_crosscheck")
    crosscheck.load("training", training)
    arguments = "query, candidate, NULL, at" if training[0][2] else "query, candidate"
    ours, theirs = [], []
    for seed in range(repeats):
        ours.append(our_seconds(arguments, seed))
        theirs.append(reference_seconds(path, data, split, seed))
    crosscheck.psql("DROP SCHEMA tfrs_crosscheck CASCADE")
    share = statistics.median(ours) / statistics.median(theirs)
    print(f"{split:28} {statistics.median(ours):6.2f} s {statistics.median(theirs):6.2f} s "
          f"{share:5.2f}   ours {ours}, theirs {[round(t, 2) for t in theirs]}", flush=True)
    return share


def main(path, data, repeats="3"):
    import crosscheck
    model = next(line.split(":")[1].strip() for line in open("/proc/cpuinfo")
                 if line.startswith("model name"))
    print(f"{model}, one core; medians of {repeats} fits: ours, the reference, their ratio")
    shares = [measure(path, data, split, int(repeats)) for split in crosscheck.SPLITS]
    sys.exit(max(shares) > LIMIT)


if __name__ == "__main__":
    fit_reference(*sys.argv[2:]) if sys.argv[1] == "--fit" else main(*sys.argv[1:])
