#!/usr/bin/env python3
"""Makes item_language.npy of a dataset folder from its items.tsv: a language vector for every item. Or, of a file of
queries, intention_query_language.npy, by the same model.

usage: embed_items.sh DATA [--model FOLDER_OR_NAME] [options]
       embed_items.sh DATA --endpoint URL --model NAME [options]
       embed_items.sh DATA --queries FILE [options]

A model of the BERT family is read directly (bert.py); --endpoint asks an OpenAI-compatible server instead, and --backend
sentence-transformers takes any model that package loads. Stopped at any moment, the same command goes on where it was,
and ends in the same bytes. Run embed_items.sh, which installs what this needs.
"""

import argparse
import contextlib
import json
import os
import pathlib
import re
import sys
import time
from concurrent.futures import ThreadPoolExecutor, as_completed

import numpy as np

import bert
from command_line import Arguments, Progress, at_least, run, say
from embeddings import Embeddings
from endpoint import Endpoint, add_options
from item_texts import checksum_of_texts, read_texts, with_noise, without_text
from partial_matrix import PartialMatrix
from query_files import read_queries
from refused import Refused
from sentence_model import SentenceModel

LSA = r"lsa-\d+"  # the models of rec_engine embed
BATCH = 64  # texts in a request, or in a batch of sentence-transformers
PER = 10_000  # items, for which seconds, tokens and cost are told


def letters(word):
    """'5:10' -> (5, 10)"""
    parts = word.split(":")
    if len(parts) != 2 or not all(part.isdecimal() for part in parts) or not 1 <= int(parts[0]) <= int(parts[1]):
        raise argparse.ArgumentTypeError(f"'{word}' must be LEAST:MOST letters, like 5:10")
    return int(parts[0]), int(parts[1])


def parse_arguments():
    parser = Arguments(prog="embed_items.sh", description="Makes item_language.npy of a dataset folder from its items.tsv.",
                       allow_abbrev=False)
    add = parser.add_argument
    add("data", type=pathlib.Path, metavar="DATA", help="dataset folder with items.tsv")
    add("--text-cols", metavar="COLUMN,...", help="columns of items.tsv, joined by ', ' (title)")
    add("--allow-empty", action="store_true", help="embed the empty text for items without text")
    add("--queries", type=pathlib.Path, metavar="FILE", help="make intention_query_language.npy of these, not of items")
    add("--force", action="store_true", help="--queries: by another language model than the items'")
    add("--restart", action="store_true", help="begin anew, in the place of what is there, finished or not")

    model = parser.add_argument_group("the language model")
    model.add_argument("--model", metavar="FOLDER_OR_NAME",
                       help=f"a folder of a model of the BERT family ({bert.MODEL}); a name for the other two")
    model.add_argument("--pooling", choices=bert.POOLINGS, help="(what the model says, or else mean)")
    model.add_argument("--backend", choices=("bert", "sentence-transformers"), help="what applies it (bert)")
    model.add_argument("--batch-size", type=at_least(1, int), metavar="N",
                       help=f"most texts in a batch ({BATCH}; bert: {bert.TOKENS_AT_ONCE} tokens)")

    model.add_argument("--threads", type=at_least(1, int), default=os.cpu_count(), metavar="N",
                       help="bert: that work on batches; results do not depend on it (all processors)")

    server = add_options(parser)
    server.add_argument("--price-per-million-tokens", type=at_least(0, float), metavar="P", help="tell the cost at the end")

    vectors = parser.add_argument_group("the vectors")
    vectors.add_argument("--dtype", choices=("float32", "float16"), default="float32")
    vectors.add_argument("--no-normalise", action="store_true", help="leave the vectors' lengths as the model makes them")
    vectors.add_argument("--shuffle-rows", type=at_least(0, int), metavar="SEED", help="control: every item gets another's")
    vectors.add_argument("--noise", type=letters, metavar="LEAST:MOST", help="control: so many random letters after each text")
    vectors.add_argument("--noise-seed", type=at_least(0, int), default=101, metavar="SEED", help="(101)")

    options = parser.parse_args()
    if options.queries and (options.text_cols or options.allow_empty or options.noise or options.shuffle_rows is not None):
        parser.error("--text-cols, --allow-empty, --noise and --shuffle-rows are for items, not for --queries")
    if options.force and not options.queries:
        parser.error("--force is for --queries")
    if options.endpoint and options.backend:
        parser.error("--endpoint and --backend exclude each other")
    if options.endpoint and not options.model:
        parser.error("--endpoint needs --model NAME")
    if options.backend == "sentence-transformers" and not options.model:
        parser.error("--backend sentence-transformers needs --model NAME")
    if options.pooling and (options.endpoint or options.backend == "sentence-transformers"):
        parser.error("--pooling is for models that are read directly")
    return options


def load_model(options):
    """What makes vectors: name, pooling, basis, batches(texts, most) and vectors(batch)."""
    if options.endpoint:
        return Embeddings(Endpoint(options, "embeddings"), options.model)
    if options.backend == "sentence-transformers":
        return SentenceModel(options.model)
    return bert.Encoder(options.model or bert.MODEL, options.pooling)


def made(model, batches, missing, threads):
    """(batch, vectors, tokens) of each missing batch, in the order in which they are ready. A thread takes whole batches."""
    if threads == 1:
        for batch in missing:
            yield batch, *model.vectors(batches[batch][1])
        return
    pool = ThreadPoolExecutor(threads)
    try:
        batch_of = {pool.submit(model.vectors, batches[batch][1]): batch for batch in missing}
        for ready in as_completed(batch_of):
            yield batch_of[ready], *ready.result()
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def item_texts(options):
    """The texts of items, before any noise, and what item_language.json says of them."""
    table = options.data / "items.tsv"
    columns = (options.text_cols or "title").split(",")
    texts, empty = read_texts(table, columns, options.allow_empty)
    if empty:
        say(f"{table}: {without_text(empty)}; the empty text is embedded for them")
    return texts, {"text": f"{', '.join(columns)} column{'s' if len(columns) > 1 else ''} of items.tsv", "text_columns": columns}


def facts_of_items(options, model):
    """What item_language.json says; refuses a model whose vectors of queries would not lie among the items'."""
    file = options.data / "item_language.json"
    try:
        said = dict(json.loads(file.read_text(encoding="utf-8")))
    except FileNotFoundError:
        say(f"{file}: is not there; whether the items' vectors come from {model.name} is not known")
        return {}
    except (ValueError, TypeError):
        raise Refused(f"{file}: is not the JSON of a language model") from None
    if re.fullmatch(LSA, str(said.get("model"))):
        raise Refused(f"{file}: the items' vectors are of {said['model']} (rec_engine embed), which makes none of queries yet; "
                      "embed the items by a language model first, with --restart")
    now = {"model": model.name, "basis": model.basis, "pooling": model.pooling, "normalised": not options.no_normalise}
    for key, value in now.items():
        if None not in (value, said.get(key)) and value != said[key]:
            if not options.force:
                raise Refused(f"{file}: the items' vectors have {key} {said[key]}, these would have {value}; embed the "
                              "queries as the items were, or go on with --force")
            say(f"{file}: the items' vectors have {key} {said[key]}, these {value}")
    return said


def finished_rows(vectors, width, normalise, dtype):
    """A batch as it is stored; refuses what no model should give."""
    if width is not None and vectors.shape[1] != width:
        raise Refused(f"vectors {vectors.shape[1]} wide came, where others are {width} wide")
    if not np.isfinite(vectors).all():
        raise Refused("a vector with NaN or an infinite value came")
    if not vectors.any(axis=1).all():
        raise Refused("a vector of zeros came, which has no direction")
    with np.errstate(over="ignore"):
        vectors = (bert.unit_rows(vectors) if normalise else vectors).astype(dtype)
    if not (np.isfinite(vectors).all() and vectors.any(axis=1).all()):
        raise Refused(f"a vector does not fit {dtype}; take --dtype float32, or leave out --no-normalise")
    return vectors


def facts_of(options, model, texts, source):
    """What is said of vectors made with these settings. texts: before any noise; source: which they are"""
    noise = f"{options.noise[0]} to {options.noise[1]} random letters, seed {options.noise_seed}" if options.noise else None
    return {"model": model.name, "width": None, "basis": model.basis, **source, "noise": noise,
            "pooling": model.pooling, "normalised": not options.no_normalise, "dtype": options.dtype,
            "shuffled_rows": options.shuffle_rows, "texts": checksum_of_texts(texts)}


def print_totals(options, done, count, what):
    """The paper's Table 16."""
    seconds = sum(seconds for _, seconds in done.values())
    counted = [tokens for tokens, _ in done.values()]
    tokens = None if None in counted else sum(counted)
    told = f"{tokens} tokens" if tokens is not None else "tokens not reported"
    print(f"{count} {what} in {len(done)} batches, {seconds:.1f} s, {told}")
    share = PER / count
    line = [f"{seconds * share:.1f} s"]
    if tokens is not None:
        line.append(f"{tokens * share:.0f} tokens")
        if options.price_per_million_tokens is not None:
            line.append(f"cost {tokens * share / 1e6 * options.price_per_million_tokens:.4g}")
    print(f"for {PER:,} {what}: {', '.join(line)}")


def embed(options):
    if not options.data.is_dir():
        raise Refused(f"{options.data}: is no folder; give a dataset folder with items.tsv")
    if options.queries:
        texts, source = read_queries(options.queries), {"text": f"query column of {options.queries.name}"}
        what, target = "queries", "intention_query_language.npy"
    else:
        texts, source = item_texts(options)
        what, target = "items", "item_language.npy"
    model = load_model(options)
    width_of_items = facts_of_items(options, model).get("width") if options.queries else None
    facts = facts_of(options, model, texts, source)
    if options.noise:
        texts = with_noise(texts, *options.noise, options.noise_seed)
    is_bert = isinstance(model, bert.Encoder)
    batches = model.batches(texts, options.batch_size or (None if is_bert else BATCH))

    row_of = np.arange(len(texts))
    if options.shuffle_rows is not None:
        row_of = np.random.default_rng(options.shuffle_rows).permutation(len(texts))
    settings = {**facts, "rows": len(texts), "backend": options.backend or options.endpoint or "bert",
                "batch_size": options.batch_size, "batches": len(batches)}
    matrix = PartialMatrix(options.data / target, settings, [row_of[rows] for rows, _ in batches], options.dtype)
    if options.restart:
        matrix.discard()
    else:
        matrix.take_up()
    done = sum(len(batches[batch][0]) for batch in matrix.done)
    if done:
        print(f"going on after {done} of {len(texts)} {what}", flush=True)
    progress = Progress(len(texts), what, done)
    missing = [batch for batch in range(len(batches)) if batch not in matrix.done]
    before = time.monotonic()
    try:
        with contextlib.closing(made(model, batches, missing, options.threads if is_bert else 1)) as ready:
            for batch, vectors, tokens in ready:
                vectors = finished_rows(vectors, matrix.width or width_of_items, not options.no_normalise, options.dtype)
                now = time.monotonic()
                matrix.add(batch, vectors, tokens, now - before)
                before = now
                done += len(vectors)
                progress.show(done)
    except Refused as refused:
        raise Refused(f"{refused}; {done} of {len(texts)} {what} are kept, and the same command goes on") from None
    progress.end()
    if not options.queries:  # before the end: stopped between, the same command does it again
        (options.data / "item_language_basis.safetensors").unlink(missing_ok=True)  # of vectors by rec_engine embed
    matrix.finish({key: value for key, value in {**facts, "width": matrix.width, "date": matrix.date}.items()
                   if value is not None})
    print_totals(options, matrix.done, len(texts), what)
    print(f"{matrix.target}: {len(texts)} x {matrix.width}, {options.dtype}, {model.name}")


if __name__ == "__main__":
    sys.exit(run("embed_items", lambda: embed(parse_arguments())))
