"""Lists into a Parquet file, some users at a time."""

import os
import pathlib

import numpy as np


def write(path, blocks, titles):
    """blocks: (user ids, item ids, scores), lists of a block at a time; titles: by item id, or None.

    The columns are those of the program's TSV: user, rank, item, score, title. The file appears whole or not at all.
    """
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError:
        raise RuntimeError("Parquet is written by pyarrow, which is not installed; pip install pyarrow") from None
    target = pathlib.Path(path)
    partial = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    writer = None
    try:
        for users, items, scores in blocks:
            table = pyarrow.table(_columns(users, items, scores, titles))
            writer = writer or pyarrow.parquet.ParquetWriter(partial, table.schema)
            writer.write_table(table.cast(writer.schema))
        if writer is None:
            raise ValueError("users: expected at least one, given none")
        writer.close()
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)


def _columns(users, items, scores, titles):
    """Without the places at the end of a list that hold no item."""
    rank = np.broadcast_to(np.arange(1, items.shape[1] + 1, dtype=np.int32), items.shape)
    shown = np.isfinite(scores)
    lists = np.repeat(np.arange(len(users)), shown.sum(1))
    columns = {"user": [users[n] for n in lists], "rank": rank[shown], "item": items[shown].tolist(), "score": scores[shown]}
    if titles is not None:
        columns["title"] = [titles[item] for item in columns["item"]]
    return columns
