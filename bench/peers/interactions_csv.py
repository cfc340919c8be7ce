"""Writes a CSV of interactions (user, item, rating, timestamp) with the skew of ratings sites.

usage: interactions_csv.py FILE LINES number|text
"""

import sys

import numpy
import pandas

USERS_A_LINE, ITEMS_A_LINE = 1 / 144, 1 / 740  # MovieLens-20M's: 138,493 and 27,278 of 20 million
SEED = 101
ROWS_AT_ONCE = 1_000_000


def names_of(kind, count, draws):
    """The ids of `count` users or items."""
    if kind == "number":
        return numpy.arange(1, count + 1)
    letters = numpy.array(list("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"))
    return numpy.array(["".join(word) for word in letters[draws.integers(0, 36, (count, 10))]], dtype=object)


def generate(path, lines, ids):
    draws = numpy.random.default_rng(SEED)
    users, items = max(1, int(lines * USERS_A_LINE)), max(1, int(lines * ITEMS_A_LINE))
    user_names, item_names = names_of(ids, users, draws), names_of(ids, items, draws)
    user_weight = draws.lognormal(0, 1, users).cumsum()
    item_weight = (1 / (numpy.arange(items) + 0.01 * items)).cumsum()
    with open(path, "w", encoding="utf-8") as file:
        file.write("user,item,rating,timestamp\n")
        for first in range(0, lines, ROWS_AT_ONCE):
            rows = min(ROWS_AT_ONCE, lines - first)
            user = numpy.searchsorted(user_weight, draws.random(rows) * user_weight[-1])
            item = numpy.searchsorted(item_weight, draws.random(rows) * item_weight[-1])
            pandas.DataFrame({"user": user_names[user], "item": item_names[item],
                              "rating": draws.choice([1, 2, 3, 4, 5], rows, p=[0.06, 0.1, 0.26, 0.34, 0.24]),
                              "timestamp": draws.integers(789_652_009, 1_427_784_002, rows)}
                             ).to_csv(file, header=False, index=False)


if __name__ == "__main__":
    generate(sys.argv[1], int(sys.argv[2]), sys.argv[3])
