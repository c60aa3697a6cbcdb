"""Processor seconds of each epoch of the same training in PyTorch: two sparse embedding tables, in-batch softmax, Adagrad 0.1.

usage: torch_epoch.py PAIRS EPOCHS        PAIRS: lines "user<TAB>item"
"""
import sys
import time

import torch

torch.set_num_threads(1)
DIM, BATCH = 32, 8192


def main(path, epochs):
    rows = [line.rstrip("\n").split("\t") for line in open(path, encoding="utf-8")]
    numbers = []
    for k in (0, 1):
        number = {value: n for n, value in enumerate(sorted({row[k] for row in rows}))}
        numbers.append(torch.tensor([number[row[k]] for row in rows]))
    users, items = numbers
    tables = [torch.nn.Embedding(int(n.max()) + 1, DIM, sparse=True) for n in numbers]
    for table in tables:
        torch.nn.init.uniform_(table.weight, -0.05, 0.05)
    optimizer = torch.optim.Adagrad([t.weight for t in tables], lr=0.1, initial_accumulator_value=0.1, eps=1e-7)
    for _ in range(epochs + 1):
        began = time.process_time()
        order = torch.randperm(len(users))
        for start in range(0, len(order), BATCH):
            batch = order[start:start + BATCH]
            logits = tables[0](users[batch]) @ tables[1](items[batch]).T
            loss = torch.nn.functional.cross_entropy(logits, torch.arange(len(batch)), reduction="sum")
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        if _ > 0:                                 # the first one warms up
            print("%.3f" % (time.process_time() - began), flush=True)


main(sys.argv[1], int(sys.argv[2]))
