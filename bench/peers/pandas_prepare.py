"""What `rec_engine prepare` does, in pandas: interactions to a dataset folder. Run by preparing.py in a process of its own.

usage: pandas_prepare.py FILE.csv OUT

Ratings from 4 on, the first of repeated interactions, the 5-core, each user's interactions drawn 4:3:3 by largest
remainder, items of valid and test that nobody has in train left out, numbers in the order of the file. Prints what the
core leaves.
"""

import json
import pathlib
import sys

import numpy
import pandas

PARTS = numpy.array([4, 3, 3])


def core(data, least):
    """Leaves out until every user and every item has that many."""
    while True:
        kept = data[data["user"].map(data["user"].value_counts()) >= least]
        kept = kept[kept["item"].map(kept["item"].value_counts()) >= least]
        if len(kept) == len(data):
            return data
        data = kept


def split_of(user, seed=101):
    """The part of each interaction, 0, 1 or 2."""
    order = numpy.random.default_rng(seed).permutation(len(user))
    order = order[numpy.argsort(user[order], kind="stable")]  # each user's together, in a drawn order
    sizes = numpy.bincount(user)
    exact = sizes[:, None] * PARTS / PARTS.sum()
    share = exact.astype(numpy.int64)
    rank = numpy.argsort(numpy.argsort(share - exact, axis=1, kind="stable"), axis=1)  # by remainder, the first of equals
    share += rank < (sizes - share.sum(axis=1))[:, None]
    part = numpy.empty(len(user), numpy.int8)
    part[order] = numpy.repeat(numpy.tile(numpy.arange(3, dtype=numpy.int8), len(sizes)), share.ravel())
    return part


def write_lines(path, user, item, users):
    order = numpy.lexsort((item, user))
    words = item[order].astype(str)
    ends = numpy.cumsum(numpy.bincount(user, minlength=users))
    with open(path, "w", encoding="utf-8") as file:
        begin = 0
        for u, end in enumerate(ends):
            file.write(f"{u} {' '.join(words[begin:end])}\n" if end > begin else f"{u}\n")
            begin = end


def write_table(path, what, ids):
    with open(path, "w", encoding="utf-8") as file:
        file.write(f"{what}\toriginal_id\ttitle\n")
        file.writelines(f"{n}\t{name}\t{name}\n" for n, name in enumerate(ids))


def main():
    source, out = sys.argv[1], pathlib.Path(sys.argv[2])
    data = pandas.read_csv(source, usecols=["user", "item", "rating"])
    data = data.loc[data["rating"] >= 4, ["user", "item"]].drop_duplicates()
    data = core(data, 5)
    user, users = pandas.factorize(data["user"])
    item, items = pandas.factorize(data["item"])
    print(json.dumps({"interactions": len(data), "users": len(users), "items": len(items)}))
    part = split_of(user)
    trained = numpy.zeros(len(items), bool)
    trained[item[part == 0]] = True
    kept = trained[item]
    number = numpy.cumsum(trained) - 1
    out.mkdir()
    for n, name in enumerate(("train", "valid", "test")):
        here = kept & (part == n)
        write_lines(out / f"{name}.txt", user[here], number[item[here]], len(users))
    write_table(out / "users.tsv", "user", users)
    write_table(out / "items.tsv", "item", items[trained])


if __name__ == "__main__":
    main()
