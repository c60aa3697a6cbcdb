"""Processor seconds of each epoch of TensorFlow Recommenders' basic retrieval tutorial: two embedding tables, Retrieval task, Adagrad 0.1.

usage: tfrs_epoch.py PAIRS EPOCHS        PAIRS: lines "user<TAB>item"
"""
import os
import sys
import time

os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
import tensorflow as tf
import tensorflow_recommenders as tfrs

tf.config.threading.set_intra_op_parallelism_threads(1)
tf.config.threading.set_inter_op_parallelism_threads(1)
DIM, BATCH = 32, 8192


class Model(tfrs.Model):
    def __init__(self, users, items):
        super().__init__()
        tower = lambda values: tf.keras.Sequential([
            tf.keras.layers.StringLookup(vocabulary=values, mask_token=None),
            tf.keras.layers.Embedding(len(values) + 1, DIM)])
        self.user, self.item = tower(users), tower(items)
        self.task = tfrs.tasks.Retrieval()

    def compute_loss(self, row, training=False):
        return self.task(self.user(row["user"]), self.item(row["item"]), compute_metrics=False)


def main(path, epochs):
    rows = [line.rstrip("\n").split("\t") for line in open(path, encoding="utf-8")]
    users, items = ([row[k] for row in rows] for k in (0, 1))
    model = Model(sorted(set(users)), sorted(set(items)))
    model.compile(optimizer=tf.keras.optimizers.Adagrad(learning_rate=0.1))
    data = tf.data.Dataset.from_tensor_slices({"user": users, "item": items}).shuffle(100_000).batch(BATCH).cache()
    model.fit(data, epochs=1, verbose=0)          # traces the graph and fills the cache
    for _ in range(epochs):
        began = time.process_time()
        model.fit(data, epochs=1, verbose=0)
        print("%.3f" % (time.process_time() - began), flush=True)


main(sys.argv[1], int(sys.argv[2]))
