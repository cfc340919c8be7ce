#!/usr/bin/env python3
"""Draws a dataset's items in up to three spaces by t-SNE: their language vectors, a linear map of these, and AlphaRec.

usage: plot_embeddings.sh DATA --out FILE.png|FILE.svg [--linear RUN] [--alpharec RUN] [--colour-by COLUMN]
           [--match WORD,WORD] [--name ITEM,ITEM] [--lines ITEM,ITEM] [--query FILE.npy] [--items N] [--perplexity P]

Vectors of runs are those of `rec_engine export`, so that a cosine is what the models rank by, and each panel is t-SNE of
unit vectors with one seed. Positions say who is near whom within a panel; between panels they say nothing.
"""

import argparse
import collections
import csv
import pathlib
import sys
import tempfile

import matplotlib
import numpy
from sklearn.manifold import TSNE

import runs

matplotlib.use("Agg")
import matplotlib.pyplot as plt  # noqa: E402  (after the choice of a backend without a screen)
from matplotlib.patches import ConnectionPatch  # noqa: E402

SEED = 101
MOST_COLOURS = 10  # of a column's values, the most frequent ones
OTHERS = "other"


def words(text):
    return [word for word in text.split(",") if word]


def read_items(data):
    """The rows of items.tsv by item, each a dict of its columns."""
    with open(data / "items.tsv", encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))
    return sorted(rows, key=lambda row: int(row["item"]))


def unit(vectors):
    vectors = numpy.asarray(vectors, numpy.float32)
    return vectors / numpy.linalg.norm(vectors, axis=-1, keepdims=True)


def exported(run, data):
    """Item vectors of a run on that dataset."""
    with tempfile.TemporaryDirectory() as folder:
        runs.run_program("export", run, "--data", data, "--out", folder)
        return unit(numpy.load(pathlib.Path(folder) / "item_vectors.npy"))


def labels_of(items, column, matched):
    """Of each item its value in the column, or the first of the matched words that stands in the value."""
    if column not in items[0]:
        raise SystemExit(f"items.tsv has no column '{column}'; there are {', '.join(items[0])}")
    values = [item[column] for item in items]
    if matched:
        values = [next((word for word in matched if word.lower() in value.lower()), OTHERS) for value in values]
    counts = collections.Counter(value for value in values if value != OTHERS)
    shown = [value for value, _ in counts.most_common(MOST_COLOURS)]
    return [value if value in shown else OTHERS for value in values], shown


def places(vectors, perplexity):
    """[items, 2] by t-SNE."""
    return TSNE(2, perplexity=min(perplexity, (len(vectors) - 1) / 3), metric="cosine", init="pca",
                random_state=SEED).fit_transform(vectors)


def rows_named(items, names):
    rows = {item["original_id"]: row for row, item in enumerate(items)}
    for name in names:
        if name not in rows:
            raise SystemExit(f"items.tsv has no item '{name}' (by its original id)")
    return {name: rows[name] for name in names}


def draw(panels, labels, shown, named, joined, query, out):
    """panels: (title, [items, 2]); the first holds the query's point behind the items', where there is one."""
    figure, axes = plt.subplots(1, len(panels), figsize=(6 * len(panels), 6), squeeze=False, layout="constrained")
    labels = numpy.array(labels)
    for n, (axis, (title, xy)) in enumerate(zip(axes[0], panels, strict=True)):
        for label in [OTHERS, *shown]:
            members = numpy.flatnonzero(labels == label)
            colour = "#c8c8c8" if label == OTHERS else f"C{shown.index(label)}"
            axis.scatter(xy[members, 0], xy[members, 1], s=5, color=colour, linewidths=0, label=label)
        for name, row in named.items():
            axis.scatter(*xy[row], s=28, facecolors="none", edgecolors="black")
            axis.annotate(name, xy[row], xytext=(4, 4), textcoords="offset points", fontsize=8)
        if n == 0 and query:
            axis.scatter(*xy[-1], s=90, marker="*", color="black")
            axis.annotate("query", xy[-1], xytext=(4, 4), textcoords="offset points", fontsize=8)
        axis.set(title=title, xticks=[], yticks=[])
    for left, right in zip(range(len(panels)), range(1, len(panels))):
        for row in joined.values():
            figure.add_artist(ConnectionPatch(
                panels[left][1][row], panels[right][1][row], "data", "data", axesA=axes[0][left], axesB=axes[0][right],
                color="black", linewidth=0.6, alpha=0.6))
    if shown:
        handles, texts = axes[0][0].get_legend_handles_labels()
        figure.legend(handles, texts, loc="outside lower center", ncols=6, markerscale=3, fontsize=8)
    figure.savefig(out, dpi=150)


def main():
    parser = argparse.ArgumentParser(description="Draws a dataset's items in up to three spaces by t-SNE.")
    parser.add_argument("data", type=pathlib.Path, help="a dataset folder with item_language.npy and items.tsv")
    parser.add_argument("--linear", help="a run of the linear mapping")
    parser.add_argument("--alpharec", help="a run of AlphaRec")
    parser.add_argument("--colour-by", help="a column of items.tsv")
    parser.add_argument("--match", type=words, default=[], help="words of that column, in the place of whole values")
    parser.add_argument("--name", type=words, default=[], help="items to name, by their original ids")
    parser.add_argument("--lines", type=words, default=[], help="items to join from panel to panel")
    parser.add_argument("--query", type=pathlib.Path, help="a query's language vector (.npy), for the first panel")
    parser.add_argument("--items", type=int, default=0, help="so many items drawn at random; 0: all")
    parser.add_argument("--perplexity", type=float, default=30)
    parser.add_argument("--out", type=pathlib.Path, required=True, help="the picture, .png or .svg")
    options = parser.parse_args()
    options.data = options.data.resolve()

    items = read_items(options.data)
    language = unit(numpy.load(options.data / "item_language.npy")[:len(items)])
    spaces = [("language vectors", language)]
    for title, run in (("linear map", options.linear), ("AlphaRec", options.alpharec)):
        if run:
            spaces.append((title, exported(pathlib.Path(run).resolve(), options.data)[:len(items)]))
    wanted = rows_named(items, [*options.name, *options.lines])
    kept = numpy.arange(len(items))
    if 0 < options.items < len(items):
        drawn = numpy.random.default_rng(SEED).choice(len(items), options.items, replace=False)
        kept = numpy.unique([*drawn, *wanted.values()])
    row_of = {item: row for row, item in enumerate(kept)}
    wanted = {name: row_of[item] for name, item in wanted.items()}
    labels, shown = [OTHERS] * len(kept), []
    if options.colour_by:
        labels, shown = labels_of([items[item] for item in kept], options.colour_by, options.match)
    panels = []
    for title, vectors in spaces:
        vectors = vectors[kept]
        if options.query and not panels:
            vectors = numpy.vstack([vectors, unit(numpy.load(options.query).reshape(1, -1))])
        print(f"t-SNE of {len(vectors)} {title}, {vectors.shape[1]} wide", flush=True)
        panels.append((title, places(vectors, options.perplexity)))
    draw(panels, labels, shown, {name: wanted[name] for name in options.name},
         {name: wanted[name] for name in options.lines}, options.query is not None, options.out)
    print(options.out)


if __name__ == "__main__":
    try:
        main()
    except runs.Failed as failure:
        sys.exit(f"plot_embeddings: {failure}")
