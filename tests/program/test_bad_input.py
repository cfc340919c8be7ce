"""Every way of hurting the input that we thought of: one clear sentence that names the place, or a documented acceptance.

Each case hurts a small valid dataset, a trained run or a command line, and runs the program on it. A refusal exits
with 1, says one line that holds the wanted words, and leaves nothing behind. No two refusals of the tables say the same
(test_every_refusal_has_its_own_sentence).
"""

import shutil
import struct
import unittest

from engine_program import (ProgramTest, checkpoint_parts, content_of, make_dataset, npy_bytes, run, train,
                            train_arguments, unchecked_checkpoint, vector)

ITEMS, WIDTH = 20, 8
USER_0_TEST = (17, 19)  # her test items in make_dataset
GOOD = [value for row in range(ITEMS) for value in vector(row, WIDTH)]


def write(name, content):
    def hurt(folder):
        file = folder / name
        if file.is_dir():
            file.rmdir()
        file.write_bytes(content if isinstance(content, bytes) else content.encode())
    return hurt


def change(name, function):
    def hurt(folder):
        file = folder / name
        file.write_bytes(function(file.read_bytes()))
    return hurt


def append(name, text):
    return change(name, lambda old: old + text.encode())


def language(values=GOOD, shape=(ITEMS, WIDTH), **options):
    return write("item_language.npy", npy_bytes(shape, values, **options))


def with_value(value, row=3):
    values = list(GOOD)
    values[row * WIDTH + 2] = value
    return values


def remove(name):
    return lambda folder: (folder / name).unlink()


def folder_for(name):
    def hurt(folder):
        (folder / name).unlink()
        (folder / name).mkdir()
    return hurt


def half(value):
    return struct.unpack("<H", struct.pack("<e", value))[0]


# name, how the dataset is hurt, words of the one line
REFUSED = [
    ("train.txt missing", remove("train.txt"), ["train.txt", "no such file"]),
    ("train.txt empty", write("train.txt", ""), ["train.txt", "holds no interactions"]),
    ("train.txt a folder", folder_for("train.txt"), ["train.txt", "folder"]),
    ("negative id", append("train.txt", "3 -4\n"), ["train.txt:31", "-4", "negative"]),
    ("negative user", append("train.txt", "-3 4\n"), ["train.txt:31", "negative"]),
    ("not a number", append("train.txt", "3 4 x5\n"), ["train.txt:31", "x5", "not a number"]),
    ("a fraction", append("train.txt", "3 4.5\n"), ["train.txt:31", "4.5", "not a number"]),
    ("commas", write("train.txt", "0,1,2\n"), ["train.txt:1", "0,1,2", "not a number"]),
    ("id above the limit", append("train.txt", "3 2147483647\n"), ["train.txt:31", "too large"]),
    ("id with 30 digits", append("train.txt", "3 " + "9" * 30 + "\n"), ["train.txt:31", "too large"]),
    ("a far user", append("train.txt", "2000000000 1\n"), ["train.txt", "2000000000", "numbered"]),
    ("gap in users", append("train.txt", "33 1\n"), ["user 30", "no gap"]),
    ("item beyond the vectors", append("train.txt", "3 20\n"), ["item_language.npy", "20 rows", "item 20"]),
    ("NUL bytes", append("train.txt", "3 \0 4\n"), ["train.txt:31", "not a number"]),
    ("user who owns everything", append("train.txt", "0 " + " ".join(map(str, range(ITEMS))) + "\n"),
     ["train.txt", "user 0", "owns all 20 items"]),
    ("user who owns every popular item",
     lambda folder: (write("train.txt", "0 0 1 2\n" + "".join(f"{u} {u % 3}\n" for u in range(1, 30)))(folder),
                     remove("valid.txt")(folder), remove("test.txt")(folder),
                     write("config.toml", 'negative_distribution = "popularity"\n')(folder)),
     ["user 0 owns every item that anybody has", "draw them uniformly"]),
    ("interaction in train and test", append("test.txt", "0 0\n"), ["user 0", "item 0", "train.txt", "test.txt"]),
    ("interaction in valid and test",
     lambda folder: append("test.txt", (folder / "valid.txt").read_text().split("\n")[0] + "\n")(folder),
     ["user 0", "valid.txt", "test.txt"]),
    ("vectors missing", remove("item_language.npy"), ["item_language.npy", "missing", "alpharec"]),
    ("vectors a folder", folder_for("item_language.npy"), ["item_language.npy", "folder"]),
    ("vectors empty", write("item_language.npy", b""), ["item_language.npy", "empty"]),
    ("vectors not npy", write("item_language.npy", "hello, this is text"), ["item_language.npy", "not a .npy file"]),
    ("npy version 9", change("item_language.npy", lambda b: b[:6] + b"\x09" + b[7:]), ["version 9"]),
    ("npy cut in its header", change("item_language.npy", lambda b: b[:40]), ["cut short inside its header"]),
    ("npy cut in its values", change("item_language.npy", lambda b: b[:-5]), ["cut short", "635"]),
    ("npy with more bytes", change("item_language.npy", lambda b: b + b"123"), ["3 bytes after its values"]),
    ("npy big-endian", language(descr=">f4"), ["big-endian"]),
    ("npy of strings", language(descr="<U1"), ["<U1", "float16, float32 or float64"]),
    ("npy of integers", language([1] * 160, descr="<i4", code="i"), ["whole numbers"]),
    ("npy Fortran order", language(fortran=True), ["Fortran order"]),
    ("npy one dimension", language(shape=(160,)), ["1 dimensions"]),
    ("npy three dimensions", language(shape=(20, 4, 2)), ["3 dimensions"]),
    ("npy huge shape", language(shape=(2**40, 2**40)), ["too large"]),
    ("npy shape beyond the file", language(shape=(2**40, 8)), ["cut short"]),
    ("npy damaged header", change("item_language.npy", lambda b: b.replace(b"'shape'", b"'shade'")), ["shade"]),
    ("npy negative shape", change("item_language.npy", lambda b: b.replace(b"(20, 8)", b"(-2, 8)")), ["numbers from 0"]),
    ("fewer rows than items", language(GOOD[:19 * WIDTH], (19, WIDTH)), ["19 rows", "item 19"]),
    ("NaN in a vector", language(with_value(float("nan"))), ["row 3", "not finite", "nan"]),
    ("Inf in a vector", language(with_value(float("inf"))), ["row 3", "not finite", "inf"]),
    ("all-zero vector", language(GOOD[:16] + [0.0] * 8 + GOOD[24:]), ["row 2", "all zero"]),
    ("float16 overflow", language([half(v) for v in with_value(float("inf"), row=4)], descr="<f2", code="H"),
     ["row 4", "not finite", "inf"]),
    ("titles not UTF-8", append("items.tsv", "20\tx\t\xff".encode("latin-1").decode("latin-1")), ["items.tsv"]),
    ("titles Latin-1", change("items.tsv", lambda b: b.replace(b"Title of 4", b"Caf\xe9")), ["items.tsv:6", "not UTF-8"]),
    ("items.tsv without tabs", write("items.tsv", "0 it0 title\n1 it1 title\n"), ["items.tsv:2", "tab"]),
    ("items.tsv with an id twice", change("items.tsv", lambda b: b.replace(b"\n5\t", b"\n4\t")), ["items.tsv:7", "twice"]),
    ("items.tsv with an original id twice", change("items.tsv", lambda b: b.replace(b"\tit7\t", b"\tit4\t")),
     ["items.tsv:9", "'it4'", "line 6"]),
    ("items.tsv with an empty original id", change("items.tsv", lambda b: b.replace(b"\tit7\t", b"\t\t")),
     ["items.tsv:9", "no original id"]),
    ("items.tsv with a gap", change("items.tsv", lambda b: b.replace(b"\n19\t", b"\n25\t")), ["items.tsv:21", "gap"]),
    ("items.tsv too short", change("items.tsv", lambda b: b[:b.index(b"\n15\t") + 1]), ["items.tsv", "15 items"]),
    ("items.tsv with NUL", change("items.tsv", lambda b: b.replace(b"Title of 3", b"Ti\0le")), ["items.tsv:5", "NUL"]),
    ("users.tsv of another size", write("users.tsv", "0\ta\tb\n"), ["users.tsv", "1 users"]),
    ("item_language.json not JSON", write("item_language.json", "{"), ["item_language.json", "not a JSON"]),
    ("item_language.json of numbers", write("item_language.json", '{"model": 3}'), ["'model'", "string"]),
    ("config.toml not TOML", write("config.toml", "batch = \n"), ["config.toml:1", "TOML"]),
    ("unknown key", write("config.toml", "epochs = 2\nbatchsize = 4\n"), ["config.toml:2", "'batchsize'", "'batch_size', which is 'batch'"]),
    ("tau of zero", write("config.toml", "tau = 0\n"), ["config.toml:1", "tau", "at least 1e-06"]),
    ("tau that is nothing in float32", write("config.toml", "tau = 1e-30\n"), ["config.toml:1", "tau", "not 1e-30"]),
    ("lr not a number", write("config.toml", 'lr = "fast"\n'), ["config.toml:1", "lr", "number"]),
    ("lr NaN", write("config.toml", "lr = nan\n"), ["config.toml:1", "lr"]),
    ("an exponent of nothing", write("config.toml", "negative_exponent = 0\n"),
     ["config.toml:1", "negative_exponent", "greater than 0"]),
    ("negative layers", write("config.toml", "layers = -1\n"), ["config.toml:1", "layers", "0 to 64"]),
    ("unknown model", write("config.toml", 'model = "alpha"\n'), ["config.toml:1", "alpha", "alpharec, linear"]),
    ("unknown metric", write("config.toml", 'monitor = "auc@20"\n'), ["config.toml:1", "auc@20"]),
    ("one setting by two names", write("config.toml", "batch = 8\nbatch_size = 9\n"), ["config.toml:2", "same setting"]),
]

# name, how the dataset is changed, words the output must hold
ACCEPTED = [
    ("CRLF", change("train.txt", lambda b: b.replace(b"\n", b"\r\n")), []),
    ("byte order mark", change("train.txt", lambda b: b"\xef\xbb\xbf" + b), []),
    ("byte order mark in titles", change("items.tsv", lambda b: b"\xef\xbb\xbf" + b), []),
    ("tabs for spaces", change("train.txt", lambda b: b.replace(b" ", b"\t")), []),
    ("no newline at the end", change("train.txt", lambda b: b.rstrip()), []),
    ("empty lines", change("train.txt", lambda b: b"\n\n" + b), []),
    ("an interaction twice", lambda folder: append("train.txt", (folder / "train.txt").read_text().split("\n")[0] + "\n")(folder),
     ["120 train"]),
    ("user without train items", change("train.txt", lambda b: b.replace(b.split(b"\n")[0], b"0", 1)), ["116 train"]),
    ("item in test only", lambda folder: (language(GOOD + vector(20), (21, WIDTH))(folder), append("test.txt", "0 20\n")(folder),
                                          append("items.tsv", "20\tit20\tcold\n")(folder)), ["21 items"]),
    ("title with tabs", change("items.tsv", lambda b: b.replace(b"Title of 4", b"Title\tof\t4")), []),
    ("no titles", remove("items.tsv"), []),
    ("no validation", remove("valid.txt"), ["no validation split"]),
    ("no test", remove("test.txt"), ["valid split"]),
    ("float64 vectors", language(descr="<f8", code="d"), []),
    ("float16 vectors", language([half(v) for v in GOOD], descr="<f2", code="H"), []),
    ("npy version 2", language(version=2), []),
    ("npy version 3", language(version=3), []),
    ("batch larger than the data", write("config.toml", "batch = 4096\nepochs = 1\nhidden = 4\ntopk = 5\n"), ["using 120"]),
    ("peers' names of keys", write("config.toml", "batch_size = 32\nlearning_rate = 1e-3\nn_layers = 1\ntemperature = 0.2\n"
                                   "embedding_size = 4\nmax_epoch = 1\ntopks = [5]\n"), ["width 4, K 1", "tau 0.2"]),
]


# What the parser of the command line refuses in its own words: exit status above 100, two lines, the second about --help.
# arguments, words
SYNTAX = [
    ([], ["subcommand is required"]),
    (["train", "DATA"], ["--out is required"]),
    (["train", "--out", "RUN"], ["DATA is required"]),
    (["train", "DATA", "--out", "RUN", "--frobnicate"], ["--frobnicate"]),
    (["evaluate", "RUN", "--split", "tset"], ["--split", "tset"]),
    (["evaluate", "RUN", "--topk", "5,0"], ["--topk", "0", "1 to"]),
    (["evaluate", "DATA", "--model", "als"], ["--model", "als", "popularity"]),
    (["recommend", "RUN", "--users", "1", "--format", "xml"], ["--format", "xml", "jsonl"]),
    (["recommend", "RUN", "--users", "1", "--topk", "many"], ["--topk", "many"]),
    (["similar", "RUN"], ["--item is required"]),
    (["evaluate", "RUN", "--beside", "RUN"], ["--beside", "--data"]),
    (["intention", "RUN", "--queries", "RUN"], ["--queries", "--vectors"]),
    (["recommend", "RUN", "--users", "1", "--intent-item", "a", "--intent-vector", "b"], ["--intent-item", "--intent-vector"]),
    (["recommend", "RUN", "--users", "1", "--new-items", "F"], ["--new-items", "--new-vectors"]),
    (["recommend", "RUN", "--users", "1", "--new-vectors", "F"], ["--new-vectors", "--new-items"]),
    (["split", "DATA", "--out", "RUN"], ["--cold is required"]),
    (["split", "DATA", "--cold", "items"], ["--out is required"]),
    (["split", "DATA", "--out", "RUN", "--cold", "both"], ["--cold", "both"]),
    (["split", "DATA", "--out", "RUN", "--cold", "items", "--share", "most"], ["--share", "most"]),
    (["evaluate", "RUN", "--cold", "all"], ["--cold", "all"]),
    (["evaluate", "RUN", "--cold", "users", "--groups"], ["--cold", "--groups"]),
    (["evaluate", "DATA", "--model", "emb-knn", "--cold", "items"], ["--model", "--cold"]),
    (["evaluate", "RUN", "--cold", "items", "--candidates", "F"], ["--candidates", "--cold"]),
    (["compare"], ["RUN is required"]),
    (["compare", "RUN", "RUN", "--split", "train"], ["--split", "train"]),
    (["sweep"], ["FILE is required"]),
    (["evaluate", "RUN", "--sampled-negatives", "0"], ["--sampled-negatives", "1 to"]),
    (["evaluate", "RUN", "--sampled-negatives", "9", "--candidates", "F"], ["--candidates", "--sampled-negatives"]),
    (["evaluate", "RUN", "--candidates", "F", "--groups"], ["--candidates", "--groups"]),
    (["evaluate", "RUN", "--data", "D", "--beside", "RUN", "--candidates", "F"], ["--candidates", "--beside"]),
    (["evaluate", "RUN", "--data", "D", "--beside", "RUN", "--sampled-negatives", "9"], ["--sampled-negatives", "--beside"]),
]


def change_metadata(name="best.safetensors", **values):
    """A checkpoint as another program, or another version of this one, would have left it."""
    def hurt(run_folder):
        file = run_folder / name
        header, data = checkpoint_parts(file.read_bytes())
        for key, value in values.items():
            if value is None:
                del header["__metadata__"][key]
            else:
                header["__metadata__"][key] = value
        file.write_bytes(unchecked_checkpoint(header, data))
    return hurt


def change_tensor(name, function):
    def hurt(run_folder):
        file = run_folder / "best.safetensors"
        header, data = checkpoint_parts(file.read_bytes())
        function(header, name)
        file.write_bytes(unchecked_checkpoint(header, data))
    return hurt


def rename(header, name):
    header["other"] = header.pop(name)


def transpose(header, name):
    header[name]["shape"].reverse()


def set_type(header, name):
    header[name]["dtype"] = "F16"


def set_offset(header, name):
    header[name]["data_offsets"][1] += 2**40


def queries(text, rows=2, width=WIDTH, values=None):
    """A file of queries and one of their vectors, beside the run's own files."""
    def hurt(run_folder):
        write("queries.tsv", text)(run_folder)
        vectors = [value for row in range(rows) for value in vector(row + 100, width)] if values is None else values
        write("vectors.npy", npy_bytes((rows, width), vectors))(run_folder)
    return hurt


def targets(text):
    def hurt(run_folder):
        queries(GOOD_QUERIES)(run_folder)
        write("targets.tsv", text)(run_folder)
    return hurt


def new_items(text, rows=1, width=WIDTH, values=None):
    """A table of new items and their vectors, beside the run's own files."""
    def hurt(run_folder):
        write("new.tsv", text)(run_folder)
        vectors = [value for row in range(rows) for value in vector(row + 50, width)] if values is None else values
        write("new.npy", npy_bytes((rows, width), vectors))(run_folder)
    return hurt


def intent(shape, values):
    return write("intent.npy", npy_bytes(shape, values))


GOOD_QUERIES = "item\tquery\n{0}\tsomething red\n{1}\tsomething blue\n".format(*USER_0_TEST)
SWEEP = ["intention", "RUN", "--queries", "RUN/queries.tsv", "--vectors", "RUN/vectors.npy"]
TOWARDS = ["recommend", "RUN", "--users", "1", "--intent-vector", "RUN/intent.npy", "--alpha", "0.5"]

NEW = ["recommend", "RUN", "--users", "1", "--new-items", "RUN/new.tsv", "--new-vectors", "RUN/new.npy"]

# name, how the run is hurt, arguments (RUN, DATA, WIDER, LIKE, LONE, UNTESTED and TREE stand for folders), words
REFUSED_RUNS = [
    ("best checkpoint missing", remove("best.safetensors"), ["evaluate", "RUN"], ["holds no best.safetensors"]),
    ("best checkpoint a folder", folder_for("best.safetensors"), ["evaluate", "RUN"], ["best.safetensors", "folder"]),
    ("best checkpoint empty", write("best.safetensors", ""), ["evaluate", "RUN"], ["best.safetensors", "too short"]),
    ("best checkpoint is text", write("best.safetensors", "hello, this is text"), ["evaluate", "RUN"],
     ["best.safetensors", "not a safetensors file"]),
    ("best checkpoint cut", change("best.safetensors", lambda b: b[:-9]), ["evaluate", "RUN"],
     ["best.safetensors", "checksum"]),
    ("checkpoint of another version", change_metadata(format="rec_engine 99"), ["recommend", "RUN", "--users", "1"],
     ["best.safetensors", "another version", "rec_engine 99"]),
    ("checkpoint of another program", change_metadata(format=None), ["evaluate", "RUN"],
     ["best.safetensors", "not a checkpoint of this program", "'format'"]),
    ("checkpoint without a count", change_metadata(epoch="many"), ["evaluate", "RUN"], ["damaged value", "'epoch'"]),
    ("checkpoint with an unknown setting", change_metadata(config="sigma = 1\n"), ["evaluate", "RUN"],
     ["best.safetensors:1", "sigma"]),
    ("checkpoint without a tensor", change_tensor("w1", rename), ["evaluate", "RUN"], ["no tensor 'w1'"]),
    ("checkpoint tensor of another shape", change_tensor("w1", transpose), ["evaluate", "RUN"],
     ["'w1'", "[8, 16]", "[16, 8]"]),
    ("checkpoint tensor of another type", change_tensor("w2", set_type), ["evaluate", "RUN"], ["'w2'", "F16", "float32"]),
    ("checkpoint tensor outside the file", change_tensor("w2", set_offset), ["evaluate", "RUN"], ["'w2'", "outside the file"]),
    ("checkpoint of another language width", lambda run_folder: None, ["evaluate", "RUN", "--data", "WIDER"],
     ["12 wide", "8 wide"]),
    ("checkpoint of another language model", change_metadata(language_model="other-model"), ["evaluate", "RUN"],
     ["other-model", "small-model", "same model"]),
    ("resumed with another language model", change_metadata("last.safetensors", language_model="third-model"),
     ["train", "DATA", "--out", "RUN", "--resume"], ["third-model", "small-model", "same model"]),
    ("vectors into a dataset", lambda run_folder: None, ["export", "RUN", "--out", "TREE"],
     ["TREE", "holds a dataset (cf_data)", "--out"]),
    ("resumed with another setting", lambda run_folder: None,
     ["train", "DATA", "--out", "RUN", "--resume", "--set", "lr=0.25"], ["lr = 0.0005, not 0.25", "--overwrite"]),
    ("a dataset that was moved", change("run.json", lambda b: b.replace(b'/data"', b'/moved"')), ["evaluate", "RUN"],
     ["/moved", "is not there", "--data"]),
    ("a run that names no dataset", change("run.json", lambda b: b.replace(b'"dataset"', b'"place"')), ["evaluate", "RUN"],
     ["run.json", "names no dataset", "--data"]),
    ("run.json missing", remove("run.json"), ["evaluate", "RUN"], ["run.json", "no such file"]),
    ("run.json not JSON", write("run.json", "[1, 2"), ["evaluate", "RUN"], ["run.json", "--data"]),
    ("last checkpoint cut", change("last.safetensors", lambda b: b[:1000]), ["train", "DATA", "--out", "RUN", "--resume"],
     ["last.safetensors", "damaged"]),
    ("last checkpoint without moments",
     lambda run_folder: shutil.copy(run_folder / "best.safetensors", run_folder / "last.safetensors"),
     ["train", "DATA", "--out", "RUN", "--resume"], ["last.safetensors", "first_moment."]),
    ("best checkpoint missing, and resumed", remove("best.safetensors"), ["train", "DATA", "--out", "RUN", "--resume", "--epochs", "6"],
     ["best.safetensors", "is missing", "--overwrite"]),
    ("metrics.jsonl cut", change("metrics.jsonl", lambda b: b[:-20]), ["train", "DATA", "--out", "RUN", "--resume"],
     ["metrics.jsonl:2", "damaged"]),
    ("another language model for recommend", change_metadata(language_model="fourth-model"),
     ["recommend", "RUN", "--users", "1"], ["fourth-model", "small-model", "--force"]),
    ("a run beside that was trained elsewhere", lambda run_folder: shutil.copytree(run_folder, run_folder / "there"),
     ["evaluate", "RUN", "--data", "LIKE", "--beside", "RUN/there"], ["RUN/there", "not trained on", "--beside"]),
    ("a run beside that is not there", lambda run_folder: None,
     ["evaluate", "RUN", "--data", "DATA", "--beside", "RUN/none"], ["RUN/none", "no such run"]),
    ("queries that are not there", lambda run_folder: None, SWEEP, ["queries.tsv", "no such file"]),
    ("queries of a header alone", queries("item\tquery\n"), SWEEP, ["queries.tsv", "holds no queries"]),
    ("a query for no number", queries("item\tquery\nit3\tred\n"), SWEEP, ["queries.tsv:2", "'it3'", "no item number"]),
    ("a query for a negative item", queries("-3\tred\n4\tblue\n-1\tgrey\n"), SWEEP, ["queries.tsv:3", "'-1'"]),
    ("a query for an item beyond the last", queries("20\tred\n"), SWEEP, ["queries.tsv:1", "no item 20", "0 to 19"]),
    ("a query for an item with 30 digits", queries("1\tred\n" + "9" * 30 + "\tblue\n"), SWEEP, ["queries.tsv:2", "999"]),
    ("two queries for an item", queries("3\tred\n3\tblue\n"), SWEEP, ["queries.tsv:2", "item 3", "already"]),
    ("an item without its query", queries("3\tred\n4\n"), SWEEP, ["queries.tsv:2", "no query"]),
    ("queries not UTF-8", queries(b"3\tcaf\xe9\n"), SWEEP, ["queries.tsv:1", "not UTF-8"]),
    ("queries with NUL", queries("3\tr\0d\n"), SWEEP, ["queries.tsv:1", "NUL"]),
    ("fewer vectors than queries", queries(GOOD_QUERIES, rows=1), SWEEP, ["vectors.npy", "1 rows", "2 queries"]),
    ("queries of another width", queries(GOOD_QUERIES, width=12), SWEEP, ["vectors.npy", "12 wide", "8 wide"]),
    ("a query's vector with NaN", queries(GOOD_QUERIES, values=with_value(float("nan"), row=1)[:2 * WIDTH]), SWEEP,
     ["vectors.npy", "row 1", "not finite"]),
    ("queries for no test item", queries("0\tred\n", rows=1), [*SWEEP, "--data", "LONE"],
     ["queries.tsv", "none of the items in test.txt"]),
    ("targets empty", targets("user\titem\n"), [*SWEEP, "--targets", "RUN/targets.tsv"], ["targets.tsv", "holds no targets"]),
    ("a target of no user", targets("ann\t3\nbob\t3\n"), [*SWEEP, "--targets", "RUN/targets.tsv"],
     ["targets.tsv:2", "'bob' is no user number"]),
    ("a target of a user beyond the last", targets("30\t3\n"), [*SWEEP, "--targets", "RUN/targets.tsv"],
     ["targets.tsv:1", "no user 30", "0 to 29"]),
    ("a target without an item", targets("3\n"), [*SWEEP, "--targets", "RUN/targets.tsv"],
     ["targets.tsv:1", "''", "no item number"]),
    ("a target that is no test item", targets("0\t0\n"), [*SWEEP, "--targets", "RUN/targets.tsv"],
     ["targets.tsv:1", "item 0", "test items of user 0"]),
    ("two targets of a user", targets(f"0\t{USER_0_TEST[0]}\n0\t{USER_0_TEST[1]}\n"),
     [*SWEEP, "--targets", "RUN/targets.tsv"], ["targets.tsv:2", "user 0 has a target"]),
    ("a target without a query", lambda run_folder: (queries(f"{USER_0_TEST[0]}\tred\n", rows=1)(run_folder),
                                                     write("targets.tsv", f"0\t{USER_0_TEST[1]}\n")(run_folder)),
     [*SWEEP, "--targets", "RUN/targets.tsv"], ["targets.tsv:1", f"item {USER_0_TEST[1]} has no query"]),
    ("a list of a user without a target", targets(f"0\t{USER_0_TEST[0]}\n"),
     [*SWEEP, "--targets", "RUN/targets.tsv", "--lists", "5"], ["--lists", "user '5'", "no target"]),
    ("a sweep without test", lambda run_folder: None, ["intention", "RUN", "--data", "UNTESTED"], ["no test interactions"]),
    ("an intention of another width", intent((12,), vector(7, 12)), TOWARDS, ["intent.npy", "12 wide", "8 wide"]),
    ("an intention of two rows", intent((2, 8), vector(7) * 2), TOWARDS, ["intent.npy", "[2, 8]", "one language vector"]),
    ("an intention that is infinite", intent((8,), [float("inf")] * 8), TOWARDS, ["intent.npy", "not finite"]),
    ("an intention of zeros", intent((1, 8), [0.0] * 8), TOWARDS, ["intent.npy", "all zero"]),
    ("an intention that is text", write("intent.npy", "something red"), TOWARDS, ["intent.npy", "not a .npy file"]),
    ("an intention without its strength", intent((8,), vector(7)), TOWARDS[:-2], ["--intent-vector", "--alpha A"]),
    ("an intention for a history", lambda run_folder: None,
     ["recommend", "RUN", "--history", "it1", "--intent-item", "it3", "--alpha", "0.5"], ["--users", "not of --history"]),
    ("exact without an intention", lambda run_folder: None, ["recommend", "RUN", "--users", "1", "--exact"],
     ["--exact", "an intention or a history"]),
    ("histories beside users", lambda run_folder: None,
     ["recommend", "RUN", "--users", "1", "--histories", "RUN/none"], ["one of", "--histories FILE"]),
    ("histories that are not there", lambda run_folder: None, ["recommend", "RUN", "--histories", "RUN/none"],
     ["RUN/none", "no such file"]),
    ("histories of blank lines", write("histories.tsv", "\n\t\n"), ["recommend", "RUN", "--histories", "RUN/histories.tsv"],
     ["histories.tsv", "holds no history", "tabs"]),
    ("a history of an item that is not there", write("histories.tsv", "it3\nit4\tit88\n"),
     ["recommend", "RUN", "--histories", "RUN/histories.tsv"], ["no item 'it88'"]),
    ("an intention for no item", lambda run_folder: None,
     ["recommend", "RUN", "--users", "1", "--intent-item", "it77", "--alpha", "0.5"], ["no item 'it77'"]),
    ("several strengths for recommend", lambda run_folder: None,
     ["recommend", "RUN", "--users", "1", "--intent-item", "it3", "--alpha", "0:1:0.5"], ["0:1:0.5", "one value"]),
    ("new items that go on elsewhere", new_items("21\tnew\tNew\n"), NEW, ["new.tsv:1", "id 21 leaves a gap", "must carry the id 20"]),
    ("new items numbered as the dataset's", new_items("item\toriginal_id\ttitle\n19\tnew\tNew\n"), NEW,
     ["new.tsv:2", "id 19 is taken", "20"]),
    ("a new item with an old id", new_items("20\tit7\tNew\n"), NEW, ["new.tsv", "'it7'", "already"]),
    ("new items twice", new_items("20\tnew\tNew\n20\tnewer\tNewer\n", rows=2), NEW, ["new.tsv:2", "twice"]),
    ("new items of a header alone", new_items("item\toriginal_id\ttitle\n"), NEW, ["new.tsv", "holds no ids"]),
    ("new items that are not there", lambda run_folder: None, NEW, ["new.tsv", "no such file"]),
    ("fewer vectors than new items", new_items("20\tnew\tNew\n21\tnewer\tNewer\n"), NEW,
     ["new.npy", "1 rows", "new.tsv names 2 items"]),
    ("new vectors of another width", new_items("20\tnew\tNew\n", width=12), NEW, ["new.npy", "12 wide", "8 wide"]),
    ("a new vector with NaN", new_items("20\tnew\tNew\n", values=[float("nan")] * WIDTH), NEW,
     ["new.npy", "row 0", "not finite"]),
    ("a new vector of zeros", new_items("20\tnew\tNew\n", values=[0.0] * WIDTH), NEW, ["new.npy", "row 0", "all zero"]),
    ("cold users of valid", lambda run_folder: None, ["evaluate", "RUN", "--cold", "users", "--split", "valid"],
     ["--cold users", "test split", "history"]),
    ("cold users with train alone masked", lambda run_folder: None,
     ["evaluate", "RUN", "--cold", "users", "--mask", "train"], ["--cold users", "--mask train would not"]),
    ("cold users where there are none", lambda run_folder: None, ["evaluate", "RUN", "--cold", "users"],
     ["no user with valid and test items and no training items", "split --cold users"]),
    ("cold items where there are none", lambda run_folder: None, ["evaluate", "RUN", "--cold", "items"],
     ["no item without training interactions", "split --cold items"]),
    ("a run's settings not TOML", write("config.toml", "batch ="), ["train", "DATA", "--out", "RUN", "--resume"],
     ["config.toml:1", "not TOML"]),
]

# name, arguments (DATA stands for a valid dataset, ROUND for a link to itself), words
COMMAND_LINE = [
    ("a dataset that is not there", ["train", "/nowhere", "--out", "RUN"], ["/nowhere", "no such"]),
    ("a run into a dataset", ["train", "DATA", "--out", "DATA", "--overwrite"], ["DATA", "holds a dataset", "--out"]),
    ("a file for a dataset", ["train", "DATA/train.txt", "--out", "RUN"], ["train.txt", "dataset folder"]),
    ("a setting without a value", ["train", "DATA", "--out", "RUN", "--set", "batch"], ["batch", "key=value"]),
    ("an unknown setting", ["train", "DATA", "--out", "RUN", "--set", "taau=1"], ["taau", "'tau'"]),
    ("a value out of range", ["train", "DATA", "--out", "RUN", "--set", "batch=0"], ["batch", "1 to"]),
    ("epochs not a number", ["train", "DATA", "--out", "RUN", "--epochs", "many"], ["epochs", "whole number"]),
    ("more memory than there is", ["train", "DATA", "--out", "RUN", "--set", "hidden=1048576", "--set", "width=65536"],
     ["training needs", "GiB is available", "smaller batch"]),
    ("cuda where there is none", ["train", "DATA", "--out", "RUN", "--device", "cuda"], ["cuda", "--device cpu"]),
    ("an unknown device", ["train", "DATA", "--out", "RUN", "--device", "tpu"], ["tpu", "auto, cpu, cuda"]),
    ("a run that is not there", ["evaluate", "RUN"], ["RUN", "no such run"]),
    ("a command misspelt", ["trian", "DATA", "--out", "RUN"], ["'trian'", "'train'"]),
    ("a command that is none", ["frobnicate"], ["'frobnicate'", "there are: train, evaluate"]),
    ("a setting as an option", ["train", "DATA", "--lr", "0.1"], ["--lr", "--set lr=0.1"]),
    ("a setting as an option by another name", ["train", "DATA", "--out", "RUN", "--batch_size=9"], ["--set batch_size=9"]),
    ("the size of an evaluation", ["train", "DATA", "--out", "RUN", "--set", "testbatch=100"],
     ["testbatch", "sizes evaluation itself"]),
    ("a setting like no other", ["train", "DATA", "--out", "RUN", "--set", "colour=red"], ["--set colour=red", "the known ones are model, "]),
    ("a run that is a link to itself", ["evaluate", "ROUND"], ["ROUND", "cannot be examined"]),
    ("epochs empty", ["train", "DATA", "--out", "RUN", "--epochs", ""], ["--epochs", "empty"]),
    ("seed empty", ["train", "DATA", "--out", "RUN", "--seed", ""], ["--seed", "empty"]),
    ("a metrics file without a name", ["evaluate", "--model", "popularity", "DATA", "--json", ""], ["--json", "empty"]),
    ("a dataset without a name", ["info", ""], ["its value is empty"]),
    ("one file for two outputs", ["evaluate", "--model", "random", "DATA", "--json", "RUN", "--per-user", "RUN/../run"],
     ["RUN", "--json", "--per-user", "same file"]),
    ("a folder that is no run", ["evaluate", "DATA"], ["best.safetensors"]),
    ("alpha of words", ["intention", "RUN", "--alpha", "half"], ["--alpha half", "not a number"]),
    ("alpha above 1", ["intention", "RUN", "--alpha", "0.5,1.5"], ["--alpha", "1.5 is not from 0 to 1"]),
    ("alpha NaN", ["intention", "RUN", "--alpha", "nan"], ["--alpha nan", "'nan'"]),
    ("alpha a range without a step", ["intention", "RUN", "--alpha", "0:1"], ["FROM:TO:STEP"]),
    ("alpha a range that stands still", ["intention", "RUN", "--alpha", "0:1:0"], ["step", "greater than 0"]),
    ("alpha a range backwards", ["intention", "RUN", "--alpha", "1:0:0.1"], ["ends before it begins"]),
    ("alpha a range without end", ["intention", "RUN", "--alpha", "0:1:1e-9"], ["more than 1001"]),
    ("alpha with nothing between commas", ["intention", "RUN", "--alpha", "0,,1"], ["--alpha 0,,1", "between the commas"]),
    ("one file for table and curves", ["intention", "RUN", "--jsonl", "RUN", "--html", "RUN/../run"],
     ["--jsonl", "--html", "same file"]),
    ("candidates that are not there", ["evaluate", "--model", "random", "DATA", "--candidates", "DATA/none"],
     ["DATA/none", "no such file"]),
    ("candidates of another kind", ["evaluate", "--model", "random", "DATA", "--candidates", "DATA/items.tsv"],
     ["items.tsv:1", "'item' is not a number", "user item item"]),
    ("candidates of training items", ["evaluate", "--model", "random", "DATA", "--candidates", "DATA/train.txt"],
     ["train.txt:1", "user 0's train split"]),
    ("candidates without negatives", ["evaluate", "--model", "random", "DATA", "--candidates", "DATA/test.txt"],
     ["test.txt:1", "holds no negative"]),
    ("more negatives than items", ["evaluate", "--model", "random", "DATA", "--sampled-negatives", "13"],
     ["user 0", "all but 12 items", "draw fewer"]),
    ("pooled what", ["evaluate", "--model", "random", "DATA", "--pooled"], ["--pooled", "--candidates"]),
    ("saved what", ["evaluate", "--model", "random", "DATA", "--save-candidates", "RUN"],
     ["--save-candidates", "--sampled-negatives"]),
    ("candidates saved over the metrics", ["evaluate", "--model", "random", "DATA", "--sampled-negatives", "3", "--json", "RUN",
                                           "--save-candidates", "RUN"], ["RUN", "--json and --save-candidates", "same file"]),
    ("one file for a comparison's two outputs", ["compare", "DATA", "DATA", "--json", "RUN", "--html", "RUN"],
     ["RUN", "--json and --html", "same file"]),
    ("a sweep that is not there", ["sweep", "DATA/sweep.toml"], ["DATA/sweep.toml", "no such file"]),
    ("a dataset for a sweep", ["sweep", "DATA/config.toml"], ["config.toml:1", "'batch'", "[settings]"]),
    ("a split into a dataset", ["split", "DATA", "--out", "DATA", "--cold", "items"], ["DATA", "already and not empty"]),
    ("a split into a file", ["split", "DATA", "--out", "DATA/train.txt", "--cold", "items"],
     ["train.txt", "already and not empty"]),
    ("a split where no folder can be", ["split", "DATA", "--out", "DATA/train.txt/cold", "--cold", "items"],
     ["train.txt/cold", "cannot be"]),
    ("a share of nothing", ["split", "DATA", "--out", "RUN", "--cold", "items", "--share", "0"], ["--share 0", "above 0"]),
    ("a share of all", ["split", "DATA", "--out", "RUN", "--cold", "users", "--share", "1"], ["--share 1", "below 1"]),
    ("a share that is NaN", ["split", "DATA", "--out", "RUN", "--cold", "items", "--share", "nan"], ["--share nan"]),
    ("a share that chooses no item", ["split", "DATA", "--out", "RUN", "--cold", "items", "--share", "0.001"],
     ["--share 0.001", "chooses none"]),
    ("a share that chooses every user", ["split", "DATA", "--out", "RUN", "--cold", "users", "--share", "0.999"],
     ["--share 0.999 of 30 users", "leaves nothing"]),
    ("a split of no dataset", ["split", "/elsewhere", "--out", "RUN", "--cold", "items"], ["/elsewhere", "no such"]),
    ("a language that is not there", ["info", "DATA", "--language", "v3"], ["--language"]),
]


class BadInput(ProgramTest):
    def make_data(self, name):
        folder = make_dataset(self.folder / name / "data")
        (folder / "item_language.json").write_text('{"model": "small-model", "width": 8}')
        return folder

    def fill(self, words, **folders):
        for name, folder in folders.items():
            words = [word.replace(name, str(folder)) for word in words]
        return words

    def refusals(self):
        """name, arguments, wanted words and run folder of every refused case, its input hurt."""
        for name, hurt, words in REFUSED:
            data = self.make_data(name)
            hurt(data)
            yield name, train_arguments(data, data.parent / "run"), words, data.parent / "run"
        data, run_folder = self.make_data("good"), self.folder / "run"
        round_link = self.folder / "round"
        round_link.symlink_to("round")
        for name, arguments, words in COMMAND_LINE:
            folders = {"DATA": data, "RUN": run_folder, "ROUND": round_link}
            yield name, self.fill(arguments, **folders), self.fill(words, **folders), run_folder
        trained, wider = self.folder / "trained", make_dataset(self.folder / "wider", width=12)
        self.check_succeeds(train(data, trained))
        like, lone, untested = (make_dataset(self.folder / kind) for kind in ("like", "lone", "untested"))
        append("train.txt", "0 5\n")(like)
        write("test.txt", "3 19\n")(lone)
        remove("test.txt")(untested)
        tree = self.folder / "tree"
        (tree / "cf_data").mkdir(parents=True)
        for name, hurt, arguments, words in REFUSED_RUNS:
            run_folder = shutil.copytree(trained, self.folder / name)
            hurt(run_folder)
            folders = {"DATA": data, "RUN": run_folder, "WIDER": wider, "LIKE": like, "LONE": lone,
                       "UNTESTED": untested, "TREE": tree}
            yield name, self.fill(arguments, **folders), self.fill(words, **folders), run_folder

    def test_every_refusal_has_its_own_sentence(self):
        sentences = {}
        for name, arguments, words, run_folder in self.refusals():
            with self.subTest(name):
                before = content_of(run_folder)
                result = run(*arguments)
                self.check_refusal(result, *words)
                self.assertEqual(content_of(run_folder), before, "a refusal leaves everything as it was")
                # Without the folders, which differ anyway.
                sentence = result.stderr.replace(str(self.folder / name), "").replace(str(self.folder), "")
                self.assertIsNone(sentences.get(sentence), "that case is told the same: " + sentence)
                sentences[sentence] = name

    def test_command_line_syntax(self):
        folders = {"DATA": self.make_data("good"), "RUN": self.folder / "run"}
        for arguments, words in SYNTAX:
            with self.subTest(arguments):
                result = run(*self.fill(arguments, **folders))
                self.assertGreater(result.returncode, 100)
                sentence, advice = result.stderr.splitlines()
                for word in words:
                    self.assertIn(word, sentence)
                self.assertIn("--help", advice)

    def test_accepted_datasets(self):
        for name, change_it, words in ACCEPTED:
            with self.subTest(name):
                data = self.make_data(name)
                change_it(data)
                result = self.check_succeeds(train(data, data.parent / "run"))
                for word in words:
                    self.assertIn(word, result.stdout)

    def test_there_are_enough_cases(self):
        self.assertGreaterEqual(len(REFUSED) + len(ACCEPTED) + len(COMMAND_LINE) + len(REFUSED_RUNS), 40)


if __name__ == "__main__":
    unittest.main(verbosity=2)
