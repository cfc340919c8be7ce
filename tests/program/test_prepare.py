"""rec_engine prepare: datasets from raw files, against the same worked out here with plain Python.

Logs are rows of user, item, rating and time, made here from a seed. --split 1:0:0 puts every interaction into train,
so that all of a dataset can be told beforehand.
"""

import csv
import gzip
import io
import json
import math
import os
import pathlib
import pwd
import random
import resource
import shutil
import subprocess
import time
import unittest
from collections import Counter, defaultdict
from fractions import Fraction

from engine_program import PROGRAM, ROOT, ProgramTest, content_of, run
from python_packages import python_with

SEED = 7
EIGHT_HOURS = 8 * 60 * 60  # between the times of random logs
ALL_IN_TRAIN = ["--split", "1:0:0"]
PARTS = ("train", "valid", "test")
RAW = pathlib.Path(os.environ.get("REC_SHARED_DATA", ROOT.parent / "shared/data")) / "raw"
ORDINARY_USER = "nobody"
NUMBERS_WIDTH = 48  # of a row of the table of steps


def prepare(source, out, *more, **options):
    return run("prepare", source, "--out", out, *more, **options)


def write_files(folder, files):
    folder.mkdir(exist_ok=True)
    for name, content in files.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    return folder


def joined(rows, delimiter):
    return "".join(delimiter.join(map(str, row)) + "\n" for row in rows)


def quoted(rows, delimiter=",", **options):
    text = io.StringIO()
    csv.writer(text, delimiter=delimiter, lineterminator="\n", **options).writerows(rows)
    return text.getvalue()


def table_of(folder, name):
    """Original ids and titles of items.tsv or users.tsv."""
    rows = [line.split("\t") for line in (folder / name).read_bytes().decode().split("\n")[1:-1]]
    assert [int(number) for number, _, _ in rows] == list(range(len(rows)))
    return [id for _, id, _ in rows], [title for _, _, title in rows]


def part_of(folder, part):
    """Pairs of original ids."""
    users, _ = table_of(folder, "users.tsv")
    items, _ = table_of(folder, "items.tsv")
    lines = [[int(word) for word in line.split()] for line in (folder / f"{part}.txt").read_text().splitlines()]
    return [(users[line[0]], items[item]) for line in lines for item in line[1:]]


def parts_of(folder):
    return {part: part_of(folder, part) for part in PARTS}


def manifest_of(folder):
    return json.loads((folder / "manifest.json").read_text())


def first_come(values):
    return list(dict.fromkeys(values))


def steps_printed(stdout):
    """step -> the numbers of its row, of the table's rows below its header."""
    rows = {}
    for line in stdout.splitlines()[1:]:
        if ": " in line:
            break
        rows[line[:-NUMBERS_WIDTH].rstrip()] = [int(word) for word in line[-NUMBERS_WIDTH:].split()]
    return rows


# ---- what a dataset must be ----

def random_log(rng, users, items, interactions):
    """Repeats and ties of time are wanted; ids are text, and numbers would not keep their zeros."""
    people = [f"{n:03}" for n in range(users)]
    things = [f"i/{n}" for n in range(items)]
    return [(people[int(users * rng.random() ** 2)], things[int(items * rng.random() ** 2)], rng.randrange(1, 11) / 2,
             EIGHT_HOURS * rng.randrange(52_500, 53_900)) for _ in range(interactions)]


def without_repeats(log, which, by_time=False):
    groups = defaultdict(list)
    for n, (user, item, _, when) in enumerate(log):
        groups[user, item].append((when if by_time else 0, n))
    chosen = sorted((max if which == "last" else min)(group)[1] for group in groups.values())
    if which != "sum":
        return [log[n] for n in chosen]
    return [(*log[n][:2], sum(log[m][2] for _, m in groups[log[n][:2]]), log[n][3]) for n in chosen]


def without_rare(log, place, least):
    count = Counter(row[place] for row in log)
    return [row for row in log if count[row[place]] >= least]


def core_of(log, of_user, of_item):
    while True:
        smaller = without_rare(without_rare(log, 0, of_user), 1, of_item)
        if smaller == log:
            return log
        log = smaller


def shares_of(n, parts):
    """By largest remainder, the first of equal ones; one at least to train, from the larger of the others."""
    exact = [Fraction(n * part, sum(parts)) for part in parts]
    shares = [math.floor(share) for share in exact]
    for part in sorted(range(3), key=lambda part: shares[part] - exact[part])[:n - sum(shares)]:
        shares[part] += 1
    if shares[0] == 0:
        shares = [1, shares[1] - 1, shares[2]] if shares[1] > shares[2] else [1, shares[1], shares[2] - 1]
    return shares


def split_by_time(log, shares):
    """Parts as pairs of ids, without the items of valid and test that nobody has in train, and how many those are."""
    hers = defaultdict(list)
    for user, item, _, when in log:
        hers[user].append((when, item))
    parts = {part: [] for part in PARTS}
    for user, rows in hers.items():
        rows.sort(key=lambda row: row[0])
        train, valid, _ = shares(len(rows))
        for n, (_, item) in enumerate(rows):
            parts["train" if n < train else "valid" if n < train + valid else "test"].append((user, item))
    trained = {item for _, item in parts["train"]}
    kept = {part: {pair for pair in pairs if pair[1] in trained} for part, pairs in parts.items()}
    return kept, len(log) - sum(map(len, kept.values()))


# ---- formats ----

LATIN = {"10": "Toy Story (1995)", "0010": 'The "best" of it', "x y": "Crème brûlée", "4": "it's", "-5": "Ünder, the"}
UNICODE = {**LATIN, "😀": "🎬 fin", "שלום": "سلام עולם", "é": "e\u0301 and é"}
QUOTED = {**UNICODE, "q1": "a, b; c|d::e", "q2": "two\nlines", "q3": "a\ttab", "q4": '"all"', "q5": "CR\r\nLF"}
USERS = ["007", "7", "u 3", "Ünal", "9"]
HEADER = ["user_id", "item_id", "rating", "timestamp"]


def small_log(titles, users=USERS):
    """Every user with most of the items but not all, in no order, and no pair twice."""
    rng = random.Random(SEED)
    pairs = [(user, item) for user in users for item in rng.sample(list(titles), len(titles) * 4 // 5)]
    assert {item for _, item in pairs} == set(titles)
    rng.shuffle(pairs)
    return [(user, item, rng.randrange(1, 6), 880_000_000 + rng.randrange(10**6)) for user, item in pairs]


def recbole(log, titles):
    return {"shop.inter": joined([[f"{name}:token" for name in HEADER], *log], "\t"),
            "shop.item": joined([["item_id:token", "class:token_seq", "title:token_seq"],
                                 *([item, "toys", title] for item, title in titles.items())], "\t")}


def custom(name, delimiter, header=True):
    def files(log, titles):
        return {name: quoted([HEADER] * header + log, delimiter),
                "things.csv": quoted([["kind", "item_id", "title"], *(["x", *row] for row in titles.items())])}
    return files


def movielens_csv(log, titles):
    return {"ratings.csv": quoted([["userId", "movieId", "rating", "timestamp"], *log]),
            "movies.csv": quoted([["movieId", "title", "genres"], *([*row, "Drama|War"] for row in titles.items())])}


def movielens_dat(log, titles):
    return {"ratings.dat": joined(log, "::").encode("latin-1"),
            "movies.dat": joined(([*row, "Drama|War"] for row in titles.items()), "::").encode("latin-1")}


def movielens_100k(log, titles):
    return {"u.data": joined(log, "\t"),
            "u.item": joined(([*row, "01-Jan-1995", "", 0, 1] for row in titles.items()), "|").encode("latin-1")}


def books(name):
    def files(log, titles):
        # Titles with \" for a quote; users and ratings as the original has them.
        escaped = [[item, title.replace('"', '\\"'), "somebody"] for item, title in titles.items()]
        lines = [["ISBN", "Book-Title", "Book-Author"], *escaped]
        ratings = quoted([["User-ID", "ISBN", "Book-Rating"], *(row[:3] for row in log)], ";", quoting=csv.QUOTE_ALL)
        return {"BX-Book-Ratings.csv": ratings.encode("latin-1"),
                name: "".join(";".join(f'"{field}"' for field in line) + "\n" for line in lines).encode("latin-1")}
    return files


def json_lines(objects):
    return "".join(json.dumps(each, ensure_ascii=False) + "\n" for each in objects)


def python_lines(objects, prefix=""):
    """As Python 3 prints dicts, or with "u" before their strings as Python 2 did."""
    def printed(value):
        return prefix * isinstance(value, str) + (ascii if prefix else repr)(value)

    return "".join("{" + ", ".join(f"{printed(key)}: {printed(value)}" for key, value in each.items()) + "}\n" for each in objects)


def amazon_2014(log, titles):
    return {"reviews.json": json_lines({"reviewerID": user, "asin": item, "overall": float(rating), "unixReviewTime": when,
                                        "helpful": [1, 2], "summary": "asin"} for user, item, rating, when in log),
            "meta.json": python_lines({"asin": item, "price": 1.5, "related": {"asin": [item]}, "title": title, "brand": None}
                                      for item, title in titles.items())}


def amazon_2023(log, titles):
    return {"reviews.jsonl": json_lines({"rating": rating, "title": "a review's", "asin": "a colour of it", "parent_asin": item,
                                         "user_id": user, "timestamp": 1000 * when} for user, item, rating, when in log),
            "meta.jsonl": json_lines({"main_category": "x", "title": title, "parent_asin": item, "images": [{"thumb": "x"}]}
                                     for item, title in titles.items())}


def steam(log, titles):
    return {"reviews.json": python_lines(({"username": user, "hours": rating, "product_id": item, "date": "2017-11-01"}
                                          for user, item, rating, _ in log), "u"),
            "games.json": python_lines(({"app_name": title, "id": item, "tags": ["a", "b"]} for item, title in titles.items()), "u")}


def rows_of(log, users, items):
    """A line a user: her number, and those of her items in the log's order."""
    hers = defaultdict(list)
    for user, item, *_ in log:
        hers[users.index(user)].append(items.index(item))
    return joined(([user, *hers[user]] for user in sorted(hers)), " ")


def numbered(log, titles):
    """Users and items in the order in which the log names them, which is then the dataset's."""
    users, items = (first_come(row[place] for row in log) for place in (0, 1))
    return users, items, {"train.txt": rows_of(log, users, items)}


def lightgcn(log, titles):
    users, items, files = numbered(log, titles)
    listed = lambda ids: joined([["org_id", "remap_id"], *([id, n] for n, id in enumerate(ids))], " ")
    return {**files, "user_list.txt": listed(users), "item_list.txt": listed(items),
            "items.csv": quoted([["item_id", "title"], *titles.items()])}


def dataset(log, titles, below=""):
    users, items, files = numbered(log, titles)
    table = lambda rows: joined([["number", "original_id", "title"], *([n, *row] for n, row in enumerate(rows))], "\t")
    return {below + "train.txt": files["train.txt"], "users.tsv": table([user, user] for user in users),
            "items.tsv": table([item, titles[item]] for item in items)}


def release(log, titles):
    return dataset(log, titles, below="cf_data/")


# name, titles, the files, where the interactions lie, more arguments, the format told
FORMATS = [
    ("RecBole", UNICODE, recbole, "", [], "recbole"),
    ("RecBole by its file", UNICODE, recbole, "shop.inter", [], "recbole"),
    ("CSV", QUOTED, custom("log.csv", ","), "log.csv", ["--items", "things.csv"], "csv"),
    ("CSV without header", QUOTED, custom("log.csv", ",", header=False), "log.csv", ["--items", "things.csv"], "csv"),
    ("TSV", QUOTED, custom("log.tsv", "\t"), "log.tsv", ["--items", "things.csv"], "csv"),
    ("semicolons", QUOTED, custom("log.txt", ";"), "log.txt", ["--items", "things.csv"], "csv"),
    ("bars, said", QUOTED, custom("log.txt", "|"), "log.txt", ["--items", "things.csv", "--delimiter", "|"], "csv"),
    ("MovieLens, CSV", QUOTED, movielens_csv, "", [], "movielens"),
    ("MovieLens, ::", LATIN, movielens_dat, "", [], "movielens"),
    ("MovieLens 100K", LATIN, movielens_100k, "", [], "movielens"),
    ("Book-Crossing", LATIN, books("BX-Books.csv"), "", [], "book-crossing"),
    ("Amazon 2014", QUOTED, amazon_2014, "reviews.json", ["--items", "meta.json"], "jsonl"),
    ("Amazon 2023", QUOTED, amazon_2023, "reviews.jsonl", ["--items", "meta.jsonl", "--since", "1990-01-01"], "jsonl"),
    ("Steam", UNICODE, steam, "reviews.json", ["--items", "games.json"], "jsonl"),
    ("a dataset", UNICODE, dataset, "", [], "dataset"),
    ("the authors' tree", UNICODE, release, "", [], "dataset"),
    ("Book-Crossing, underscore", LATIN, books("BX_Books.csv"), "", [], "book-crossing"),
]
COMPRESSIONS = {".gz": lambda content: gzip.compress(content[:99]) + gzip.compress(content[99:])}
if shutil.which("zstd"):
    COMPRESSIONS[".zst"] = lambda content: subprocess.run(["zstd", "-c"], input=content, check=True, capture_output=True).stdout


class PrepareTest(ProgramTest):
    def setUp(self):
        super().setUp()
        self.outputs = 0

    def prepared(self, source, *more, **options):
        """A dataset made of the source, and what the program said."""
        self.outputs += 1
        out = self.folder / f"out{self.outputs}"
        result = self.check_succeeds(prepare(source, out, *more, **options))
        self.assertTrue(all(line.startswith("skipped ") for line in result.stderr.splitlines()), result.stderr)
        return out, result

    def write_log(self, log):
        return write_files(self.folder / "log", {"log.csv": quoted([HEADER, *log])}) / "log.csv"

    def check_numbering(self, data, log):
        """Users and items of the dataset, in the order in which the log, repeats and all, first names those kept."""
        for place, name in ((0, "users.tsv"), (1, "items.tsv")):
            ids, _ = table_of(data, name)
            kept = set(ids)
            self.assertEqual(ids, first_come(row[place] for row in log if row[place] in kept))

    def check_all_in_train(self, data, log):
        train = part_of(data, "train")
        self.assertEqual(len(train), len(log))
        self.assertEqual(set(train), {row[:2] for row in log})
        for part in ("valid", "test"):
            self.assertEqual(part_of(data, part), [])
        self.assertEqual([len(table_of(data, name)[0]) for name in ("users.tsv", "items.tsv")],
                         [len({row[place] for row in log}) for place in (0, 1)])


class Formats(PrepareTest):
    def check_dataset(self, data, log, titles):
        self.check_all_in_train(data, log)
        self.check_numbering(data, log)
        items, named = table_of(data, "items.tsv")
        expected = [titles[item].replace("\r\n", " ").replace("\n", " ").replace("\t", " ") for item in items]
        self.assertEqual([name.encode() for name in named], [title.encode() for title in expected])
        users, named = table_of(data, "users.tsv")
        self.assertEqual(named, users, "users go by their ids")

    def test_every_format(self):
        for name, titles, files, place, more, known in FORMATS:
            with self.subTest(name):
                log = small_log(titles)
                folder = write_files(self.folder / name, files(log, titles))
                data, result = self.prepared(folder / place, *more, *ALL_IN_TRAIN, cwd=folder)
                self.check_dataset(data, log, titles)
                self.assertEqual(result.stdout.split()[0], known)
                self.assertEqual(manifest_of(data)["format"], known)
                self.check_succeeds(run("info", data))

    def test_lightgcn(self):
        words = {item: title for item, title in UNICODE.items() if " " not in item}  # its lists hold no blanks in ids
        log = small_log(words, [user.replace(" ", "-") for user in USERS])
        data, result = self.prepared(write_files(self.folder / "lists", lightgcn(log, words)))
        self.check_dataset(data, log, words)
        self.assertEqual(result.stdout.split()[0], "lightgcn")

    def test_compressed_files(self):
        plain, _ = self.prepared(write_files(self.folder / "plain", movielens_csv(small_log(QUOTED), QUOTED)))
        for suffix, compress in COMPRESSIONS.items():
            with self.subTest(suffix):
                files = movielens_csv(small_log(QUOTED), QUOTED)
                folder = write_files(self.folder / suffix,
                                     {name + suffix: compress(text.encode()) for name, text in files.items()})
                data, _ = self.prepared(folder)
                for file, content in content_of(plain).items():
                    if file != "manifest.json":  # names the files
                        self.assertEqual((data / file).read_bytes(), content, file)
        if ".zst" not in COMPRESSIONS:
            self.skipTest("zstd was not tried: there is no program of that name")

    def test_compressed_numbers(self):
        plain, _ = self.prepared(write_files(self.folder / "plain", LIST))
        for suffix, compress in COMPRESSIONS.items():
            for chosen in ({"test.txt"}, set(LIST)):
                with self.subTest((suffix, chosen)):
                    files = {name + suffix * (name in chosen): compress(text.encode()) if name in chosen else text
                             for name, text in LIST.items()}
                    data, _ = self.prepared(write_files(self.folder / f"{len(chosen)}{suffix}", files))
                    self.assertEqual(parts_of(data), parts_of(plain))

    def test_items_beside_that_name_no_titles_are_left(self):
        for name, items in (("no known columns", "sku,price\ni,3\n"), ("no titles", "item_id,price\ni,3\n"),
                            ("no ids", "sku,title\ni,I\n"), ("objects", '{"sku": "i"}\n')):
            for files in ({"interactions.csv": SPLIT}, LIST):
                with self.subTest((name, list(files))):
                    folder = write_files(self.folder / f"{name}{len(files)}", {**files, "items.csv": items})
                    data, result = self.prepared(folder)
                    self.assertIn("no titles: items go by their ids", result.stdout)
                    ids, named = table_of(data, "items.tsv")
                    self.assertEqual(named, ids)

    def test_a_link_beside_that_leads_to_itself(self):
        folder = write_files(self.folder / "ring", {"interactions.csv": SPLIT})
        (folder / "items.csv").symlink_to("items.csv")
        for source in (folder, folder / "interactions.csv"):
            data, _ = self.prepared(source)
            self.assertEqual(part_of(data, "train"), [("u", "i")])

    def test_a_given_split(self):
        log = small_log(UNICODE)
        given = {"train": log[:20], "valid": log[20:26], "test": log[26:]}
        header = [f"{name}:token" for name in HEADER]
        folder = write_files(self.folder / "given", {
            **{f"shop.{part}.inter": joined([header, *rows], "\t") for part, rows in given.items()},
            "shop.item": recbole(log, UNICODE)["shop.item"]})
        data, result = self.prepared(folder)
        trained = {row[1] for row in given["train"]}
        for part, pairs in parts_of(data).items():
            self.assertEqual(set(pairs), {row[:2] for row in given[part] if row[1] in trained}, part)
        items, named = table_of(data, "items.tsv")
        self.assertEqual(set(items), trained)
        self.assertEqual(named, [UNICODE[item] for item in items])
        self.assertIn("--split given", steps_printed(result.stdout))
        again, result = self.prepared(folder, *ALL_IN_TRAIN)
        self.assertEqual(set(part_of(again, "train")), {row[:2] for row in log}, "another split when asked for")

    def test_a_split_in_a_column(self):
        log = small_log(UNICODE)
        rows = [[*row, PARTS[n % 4 % 3]] for n, row in enumerate(log)]
        trained = {row[1] for row in rows if row[-1] == "train"}
        for name, more in (("split", []), ("Split", []), ("part", ["--split-col", "part"]), ("part", ["--split-col", "5"])):
            with self.subTest((name, more)):
                file = write_files(self.folder / name, {"log.csv": quoted([[*HEADER, name], *rows])}) / "log.csv"
                data, result = self.prepared(file, *more)
                for part, pairs in parts_of(data).items():
                    self.assertEqual(set(pairs), {tuple(row[:2]) for row in rows if row[-1] == part and row[1] in trained})
                self.assertIn("--split given", steps_printed(result.stdout))
                self.assertIn(f"split is {name}", result.stdout)
        self.assertEqual(manifest_of(data)["read_as"][0]["columns"]["split"], "part")
        data, _ = self.prepared(file, *ALL_IN_TRAIN)
        self.check_all_in_train(data, log)

    def test_columns_by_name_and_by_number(self):
        log = small_log(QUOTED)
        rows = [["when", "what", "buyer", "stars"], *([when, item, user, rating] for user, item, rating, when in log)]
        file = write_files(self.folder / "shop", {"shop.csv": quoted(rows)}) / "shop.csv"
        expected = without_repeats([row for row in log if row[2] >= 3], "first")
        for columns in (["buyer", "what", "when"], ["3", "what", "1"]):
            with self.subTest(columns):
                data, result = self.prepared(file, "--user-col", columns[0], "--item-col", columns[1], "--time-col",
                                             columns[2], "--min-rating", "3", *ALL_IN_TRAIN)
                self.check_all_in_train(data, expected)
                self.check_numbering(data, expected)
                self.assertIn("items go by their ids", result.stdout)
                items, named = table_of(data, "items.tsv")
                self.assertEqual(named, items)

    def test_titles_of_several_columns(self):
        rows = [["id", "brand", "name"], ["a", "Acme", "Anvil"], ["b", "", "Bolt"], ["a", "later", "line"]]
        folder = write_files(self.folder / "shop", {"things.csv": quoted(rows), "log.csv": "u,a\nu,b\nv,c\n"})
        data, result = self.prepared(folder / "log.csv", "--items", folder / "things.csv", "--title-cols", "brand,3",
                                     "--title-separator", " - ", *ALL_IN_TRAIN)
        self.assertEqual(table_of(data, "items.tsv"), (["a", "b", "c"], ["Acme - Anvil", "Bolt", "c"]))
        self.assertIn("1 items have no title and go by their ids: c", result.stdout)
        self.assertEqual(manifest_of(data)["without_title"], ["c"])


# ---- lines of numbers ----

class Numbered(PrepareTest):
    """Datasets and LightGCN's files as sources."""

    def test_the_split_stays_and_so_do_the_numbers(self):
        files = {**LIST, "valid.txt": "1 0\n", "test.txt": "0 2\n"}
        for name, more in (("lists", {}), ("tables", {"users.tsv": "0\tu\tU\n1\tv\tV\n", "items.tsv": "0\tx\tX\n1\ty\tY\n2\tz\tZ\n"})):
            with self.subTest(name):
                folder = write_files(self.folder / name, {**files, **more})
                data, result = self.prepared(folder, *(["--format", "dataset"] if more else []))
                for part in PARTS:
                    self.assertEqual((data / f"{part}.txt").read_text(), files[f"{part}.txt"])
                self.assertEqual(table_of(data, "users.tsv"), (["u", "v"], ["U", "V"]) if more else (["a", "b"], ["a", "b"]))
                self.assertEqual(table_of(data, "items.tsv")[1], ["X", "Y", "Z"] if more else ["x", "y", "z"])
                self.assertEqual("no titles" in result.stdout, not more)
                self.assertIn(f"item is each further number as {'items.tsv' if more else 'item_list.txt'} has it", result.stdout)
                read = {each["file"] for each in manifest_of(data)["sources"]}
                self.assertEqual(read, {"train.txt", "valid.txt", "test.txt", *(more or ("user_list.txt", "item_list.txt"))})

    def test_what_lightgcn_files_look_like(self):
        folder = write_files(self.folder / "list", {
            "train.txt": "\ufeff0 0 1 \r\n1\t1  2\r\n\r\n2 \r\n0 2", "test.txt": "1 0\n",
            "user_list.txt": "remap_id org_id\n1 b\n0 a\n2 c\n",
            "item_list.txt": "org_id remap_id freebase_id\nx 0 m.1\ny 1 m.2\nz 2 m.3\n"})
        data, result = self.prepared(folder)
        self.assertEqual(parts_of(data), {"train": [("a", "x"), ("a", "y"), ("a", "z"), ("b", "y"), ("b", "z")], "valid": [],
                                          "test": [("b", "x")]})
        self.assertEqual(steps_printed(result.stdout)["5 lines read"], [0, 6])

    def test_titles_by_original_ids(self):
        tables = {"ours.tsv": "item\toriginal_id\ttitle\n0\ty\tY!\n1\tx\tX!\n", "theirs.csv": "item_id,title\ny,Y!\nx,X!\n"}
        folder = write_files(self.folder / "list", {**LIST, **tables})
        for name in tables:
            with self.subTest(name):
                data, result = self.prepared(folder, "--items", folder / name)
                self.assertEqual(table_of(data, "items.tsv"), (["x", "y", "z"], ["X!", "Y!", "z"]))
                self.assertIn("1 items have no title and go by their ids: z", result.stdout)

    def test_filters_and_another_split(self):
        log = without_repeats(random_log(random.Random(SEED), users=60, items=50, interactions=1500), "first")
        users, items = (first_come(row[place] for row in log) for place in (0, 1))
        parts = {part: [row for n, row in enumerate(log) if n % 4 % 3 == place] for place, part in enumerate(PARTS)}
        folder = write_files(self.folder / "data", {f"{part}.txt": rows_of(rows, users, items) for part, rows in parts.items()})
        table = joined(([n, user, user] for n, user in enumerate(users)), "\t")
        (folder / "users.tsv").write_text(table)
        (folder / "items.tsv").write_text(joined(([n, item, item] for n, item in enumerate(items)), "\t"))
        core = core_of(log, 12, 8)
        self.assertLess(100, len(core))
        self.assertLess(len(core), len(log))
        given, _ = self.prepared(folder, "--k-core", "12,8")
        trained = {row[1] for row in parts["train"] if row in core}
        for part, pairs in parts_of(given).items():
            self.assertEqual(set(pairs), {row[:2] for row in core if row in parts[part] and row[1] in trained}, part)
        anew, _ = self.prepared(folder, "--k-core", "12,8", *ALL_IN_TRAIN)
        self.check_all_in_train(anew, core)
        split, _ = self.prepared(folder, "--split", "8:1:1")
        sizes = Counter(user for user, _ in part_of(split, "train"))
        for user, n in Counter(row[0] for row in log).items():
            self.assertEqual(sizes[user], shares_of(n, (8, 1, 1))[0], user)

    def test_an_interaction_of_two_splits_is_the_first_ones(self):
        folder = write_files(self.folder / "twice", {"train.txt": "0 0 1\n1 1 0\n", "test.txt": "0 1\n"})
        data, result = self.prepared(folder)
        self.assertEqual(steps_printed(result.stdout)["--dedup first"], [1, 4, 2, 2])
        self.assertEqual(part_of(data, "test"), [])

    def test_a_bad_line_leaves_nothing(self):
        folder = write_files(self.folder / "bad", {**LIST, "train.txt": "0 0 1 2\n1 0 1 7\n1 2\n", "test.txt": "0 x\n"})
        data, result = self.prepared(folder, "--skip-bad-lines", "2")
        self.assertEqual(part_of(data, "train"), [("a", "x"), ("a", "y"), ("a", "z"), ("b", "z")])
        self.assertEqual(steps_printed(result.stdout)["4 lines read"], [2, 4])
        self.assertEqual([sentence.split(": ")[0].split("/")[-1] for sentence in manifest_of(data)["skipped"]],
                         ["train.txt:2", "test.txt:1"])

    def test_shared_datasets(self):
        """Real ones, as the program itself reads them."""
        tried = 0
        for name in ("amazon-scientific", "ml-1m"):
            source = RAW.parent / name
            if not source.is_dir():
                continue
            tried += 1
            with self.subTest(name):
                data, result = self.prepared(source)
                lines = {part: (source / f"{part}.txt").read_text().splitlines() for part in PARTS}
                pairs = {part: {(int(user), int(item)) for user, *items in map(str.split, lines[part]) for item in items} for part in PARTS}
                self.assertEqual(steps_printed(result.stdout)["--dedup first"][1], sum(map(len, pairs.values())))
                original, _ = table_of(source, "items.tsv")
                trained = {item for _, item in pairs["train"]}
                for part in PARTS:
                    self.assertEqual(set(part_of(data, part)),
                                     {(str(user), original[item]) for user, item in pairs[part] if item in trained})
        if not tried:
            self.skipTest(f"datasets of {RAW.parent} were not tried: none is there")


# ---- filters ----

MIDDLE, LATE = 1_530_000_000, 1_546_300_800  # 2018-06-26T08:00:00, 2019-01-01; times that random logs have


def rated(least):
    return lambda log: [row for row in log if row[2] >= least]


def timed(since=0, until=2**62):
    return lambda log: [row for row in log if since <= row[3] < until]


def distinct(which="first"):
    return lambda log: without_repeats(log, which)


def rare(place, least):
    return lambda log: without_rare(log, place, least)


def core(of_user, of_item):
    return lambda log: core_of(log, of_user, of_item)


# arguments, then step -> what it leaves, in the order in which they are done
FILTERS = [
    ([], {"--dedup first": distinct()}),
    (["--dedup", "last"], {"--dedup last": distinct("last")}),
    (["--dedup", "sum"], {"--dedup sum": distinct("sum")}),
    (["--min-rating", "3.5"], {"--min-rating 3.5": rated(3.5), "--dedup first": distinct()}),
    (["--min-rating", "6", "--dedup", "sum"], {"--dedup sum": distinct("sum"), "--min-rating 6": rated(6)}),
    (["--since", MIDDLE], {f"--since {MIDDLE}": timed(MIDDLE), "--dedup first": distinct()}),
    (["--since", "2019-01-01"], {"--since 2019-01-01": timed(LATE), "--dedup first": distinct()}),
    (["--until", "2019-01-01"], {"--until 2019-01-01": timed(0, LATE), "--dedup first": distinct()}),
    (["--until", "2018-06-26T08:00:00Z"], {"--until 2018-06-26T08:00:00Z": timed(0, MIDDLE), "--dedup first": distinct()}),
    (["--since", MIDDLE, "--until", LATE],
     {f"--since {MIDDLE} --until {LATE}": timed(MIDDLE, LATE), "--dedup first": distinct()}),
    (["--min-item-once", 9], {"--dedup first": distinct(), "--min-item-once 9": rare(1, 9)}),
    (["--min-user-once", 20], {"--dedup first": distinct(), "--min-user-once 20": rare(0, 20)}),
    (["--min-item-once", 9, "--min-user-once", 20],
     {"--dedup first": distinct(), "--min-item-once 9": rare(1, 9), "--min-user-once 20": rare(0, 20)}),
    (["--k-core", "10"], {"--dedup first": distinct(), "--k-core 10": core(10, 10)}),
    (["--k-core", "11,8"], {"--dedup first": distinct(), "--k-core 11,8": core(11, 8)}),
    (["--min-rating", "2", "--since", MIDDLE, "--dedup", "last", "--min-item-once", 4, "--min-user-once", 6,
      "--k-core", "5,6"],
     {"--min-rating 2": rated(2), f"--since {MIDDLE}": timed(MIDDLE), "--dedup last": distinct("last"),
      "--min-item-once 4": rare(1, 4), "--min-user-once 6": rare(0, 6), "--k-core 5,6": core(5, 6)}),
]


class Columns(PrepareTest):
    def test_what_was_found_is_told(self):
        file = write_files(self.folder / "shop", {"shop.csv": "ID:x,id:y,item,date\na,b,c,2020-01-01\n"}) / "shop.csv"
        data, result = self.prepared(file, "--user-col", "id:y")
        self.assertIn("shop.csv: user is id:y, item is item, time is date", result.stdout)
        self.assertEqual(table_of(data, "users.tsv")[0], ["b"])
        self.assertEqual(manifest_of(data)["read_as"], [{"file": "shop.csv", "columns": {"user": "id:y", "item": "item", "time": "date"},
                                                         "delimiter": ",", "header": True, "encoding": "utf-8"}])

    def test_a_known_file_without_its_header(self):
        file = write_files(self.folder / "ml", {"ratings.csv": "1,2,3,4\n5,6,7,8\n"}) / "ratings.csv"
        self.check_refusal(prepare(file, self.folder / "out"), "ratings.csv:1", "--no-header")
        data, _ = self.prepared(file, "--no-header", *ALL_IN_TRAIN)
        self.assertEqual(len(part_of(data, "train")), 2)

    def test_keys_that_every_object_has_go_first(self):
        file = write_files(self.folder / "steam", {"r.json": '{"user_id": "x", "username": "a", "item": 1}\n'
                                                             '{"username": "b", "item": 1}\n'}) / "r.json"
        data, _ = self.prepared(file)
        self.assertEqual(table_of(data, "users.tsv")[0], ["a", "b"])

    def test_a_title_may_hold_the_id(self):
        folder = write_files(self.folder / "own", {"r.json": '{"user": "a", "item": "x"}\n', "m.json": '{"item": "x", "title": "An X"}\n'})
        data, _ = self.prepared(folder / "r.json", "--items", folder / "m.json", "--title-cols", "item,title")
        self.assertEqual(table_of(data, "items.tsv")[1], ["x An X"])

    def test_titles_in_utf_8_where_latin_1_is_usual(self):
        folder = write_files(self.folder / "ml-10m", {"ratings.dat": "1::7::5::0\n", "movies.dat": "7::Les Misérables::Drama\n"})
        data, _ = self.prepared(folder)
        self.assertEqual(table_of(data, "items.tsv")[1], ["Les Misérables"])


class Filters(PrepareTest):
    def setUp(self):
        super().setUp()
        self.log = random_log(random.Random(SEED), users=120, items=150, interactions=3000)
        self.file = self.write_log(self.log)

    def test_every_filter(self):
        for arguments, steps in FILTERS:
            with self.subTest(arguments):
                data, result = self.prepared(self.file, *arguments, *ALL_IN_TRAIN)
                kept, expected = self.log, {f"{len(self.log)} lines read": [0, len(self.log)]}
                is_read = False
                for step, filtered in steps.items():
                    if step.startswith("--dedup"):  # what is left out before never gets a number, nor is it counted
                        is_read, numbered = True, kept
                    before, kept = kept, filtered(kept)
                    expected[step] = [len(before) - len(kept), len(kept)]
                    if is_read:
                        expected[step] += [len({row[place] for row in kept}) for place in (0, 1)]
                self.assertGreater(len(kept), 100, "the test should leave something")
                self.assertLess(len(kept), len(self.log))
                self.check_all_in_train(data, kept)
                self.check_numbering(data, numbered)
                users, items = (len({row[place] for row in kept}) for place in (0, 1))
                expected["--split 1:0:0"] = [0, len(kept), users, items]
                self.assertEqual(steps_printed(result.stdout), expected)
                manifest = manifest_of(data)
                self.assertEqual({step["step"]: list(step.values())[1:] for step in manifest["steps"]}, expected)
                self.assertEqual([manifest[key] for key in ("lines", "users", "items", *PARTS)],
                                 [len(self.log), users, items, len(kept), 0, 0])

    def test_ratings_that_are_no_whole_halves(self):
        log = [("a", "x", 4.1, 1), ("a", "y", 3.3, 1), ("b", "x", 2, 1), ("b", "x", 2.1, 2), ("b", "y", 4.0, 1)]
        file = self.write_log(log)
        for dedup, kept in (("first", {("a", "x")}), ("sum", {("a", "x"), ("b", "x")})):
            with self.subTest(dedup):
                data, _ = self.prepared(file, "--min-rating", "4.1", "--dedup", dedup, *ALL_IN_TRAIN)
                self.assertEqual(set(part_of(data, "train")), kept)

    def test_the_filters_are_tried_where_they_matter(self):
        once = without_repeats(self.log, "first")
        self.assertLess(len(core_of(once, 11, 8)), len(without_rare(without_rare(once, 0, 11), 1, 8)))
        self.assertLess({MIDDLE, LATE}, {row[3] for row in self.log})
        self.assertLess(len(once), len(self.log) - 300)

    def test_the_options_in_the_manifest(self):
        data, _ = self.prepared(self.file, "--min-rating", "2", "--k-core", "5,6", "--dedup", "last", "--seed", "3")
        manifest = manifest_of(data)
        self.assertEqual(manifest["options"], {"min-rating": 2, "dedup": "last", "k-core": "5,6", "split": "4:3:3", "seed": 3})
        self.assertEqual([(each["file"], each["bytes"]) for each in manifest["sources"]],
                         [("log.csv", self.file.stat().st_size)])


# ---- splits ----

COUNTS_BY_PANDAS = """
import json, sys
import pandas
log = pandas.read_csv(sys.argv[1], dtype=str)
counts = []

def keep(kept):
    counts.append([len(log) - len(kept), len(kept), kept["user_id"].nunique(), kept["item_id"].nunique()])
    return kept

log = log[log["rating"].astype(float) >= 2]
log = keep(log.drop_duplicates(["user_id", "item_id"]))
log = keep(log[log.groupby("item_id")["item_id"].transform("size") >= 12])
log = keep(log[log.groupby("user_id")["user_id"].transform("size") >= 8])
core = log
while True:
    left = core[(core.groupby("user_id")["user_id"].transform("size") >= 10)
                & (core.groupby("item_id")["item_id"].transform("size") >= 13)]
    if len(left) == len(core):
        break
    core = left
keep(core)
json.dump(counts, sys.stdout)
"""


class CountsByPandas(PrepareTest):
    def test_the_steps_leave_what_pandas_leaves(self):
        python = python_with("pandas", "the counts of prepare were not held against those of pandas")
        file = self.write_log(random_log(random.Random(SEED + 1), users=150, items=200, interactions=7000))
        _, result = self.prepared(file, "--min-rating", "2", "--min-item-once", "12", "--min-user-once", "8", "--k-core", "10,13")
        counted = subprocess.run([python, "-c", COUNTS_BY_PANDAS, file], capture_output=True, text=True)
        self.assertEqual(counted.returncode, 0, counted.stderr)
        steps = steps_printed(result.stdout)
        ours = [steps[name] for name in ("--dedup first", "--min-item-once 12", "--min-user-once 8", "--k-core 10,13")]
        self.assertEqual(ours, json.loads(counted.stdout))
        self.assertTrue(all(removed > 0 and left > 500 for removed, left, *_ in ours), ours)


class Splits(PrepareTest):
    def setUp(self):
        super().setUp()
        self.log = without_repeats(random_log(random.Random(SEED), users=60, items=300, interactions=900), "first")
        self.file = self.write_log(self.log)

    def removed(self, result, split):
        return steps_printed(result.stdout)[f"--split {split}"][0]

    def check_parts(self, data, log, removed):
        """No pair in two parts; what is missing are items that nobody has in train; every user has one there."""
        parts = parts_of(data)
        pairs = [pair for part in parts.values() for pair in part]
        self.assertEqual(len(pairs), len(set(pairs)))
        missing = {row[:2] for row in log} - set(pairs)
        self.assertEqual(len(log) - len(pairs), removed)
        self.assertEqual(len(missing), removed)
        trained = {item for _, item in parts["train"]}
        self.assertTrue(trained.isdisjoint(item for _, item in missing))
        self.assertEqual(set(table_of(data, "items.tsv")[0]), trained)
        self.assertEqual({user for user, _ in parts["train"]}, {row[0] for row in log})
        self.check_numbering(data, log)
        manifest = manifest_of(data)
        self.assertEqual([manifest[part] for part in PARTS], [len(parts[part]) for part in PARTS])
        return parts

    def test_shares_of_every_user(self):
        rng = random.Random(SEED)
        log = [(f"{n}-{copy}", item, 1, 1) for n in range(1, 26) for copy in range(6)
               for item in rng.sample([f"i{item}" for item in range(25)], n)]
        file = self.write_log(log)
        for parts in ((4, 3, 3), (8, 1, 1), (1, 4, 5), (1, 5, 4), (1, 1, 0)):
            with self.subTest(parts):
                data, _ = self.prepared(file, "--split", ":".join(map(str, parts)))
                found = self.check_parts(data, log, removed=0)
                sizes = {part: Counter(user for user, _ in pairs) for part, pairs in found.items()}
                for user, n in Counter(row[0] for row in log).items():
                    self.assertEqual([sizes[part][user] for part in PARTS], shares_of(n, parts), user)

    def test_items_without_training_leave(self):
        for parts in ((4, 3, 3), (8, 1, 1)):
            with self.subTest(parts):
                split = ":".join(map(str, parts))
                data, result = self.prepared(self.file, "--split", split)
                removed = self.removed(result, split)
                self.assertGreater(removed, 10)
                found = self.check_parts(data, self.log, removed)
                sizes = {part: Counter(user for user, _ in pairs) for part, pairs in found.items()}
                for user, n in Counter(row[0] for row in self.log).items():
                    train, valid, test = shares_of(n, parts)
                    self.assertEqual(sizes["train"][user], train)
                    self.assertLessEqual(sizes["valid"][user], valid)
                    self.assertLessEqual(sizes["test"][user], test)

    def test_seeds(self):
        for split in ([], ["--split", "temporal"], ["--split", "cold-items"]):
            with self.subTest(split):
                one, result = self.prepared(self.file, *split)
                same, again = self.prepared(self.file, *split)
                self.assertEqual(content_of(one), content_of(same))
                self.assertEqual(result.stdout.replace(str(one), ""), again.stdout.replace(str(same), ""))
        one, other = (self.prepared(self.file, "--seed", seed)[0] for seed in (101, 102))
        self.assertEqual(content_of(one), content_of(self.prepared(self.file)[0]), "101 is what it is without --seed")
        self.assertNotEqual(set(part_of(one, "train")), set(part_of(other, "train")))

    def test_by_time(self):
        for split, shares in (("temporal", lambda n: shares_of(n, (8, 1, 1))),
                              ("temporal:4:3:3", lambda n: shares_of(n, (4, 3, 3))),
                              ("leave-one-out", lambda n: [n - (n > 1) - (n > 2), int(n > 2), int(n > 1)])):
            with self.subTest(split):
                expected, removed = split_by_time(self.log, shares)
                data, result = self.prepared(self.file, "--split", split)
                self.assertEqual(self.removed(result, split), removed)
                found = self.check_parts(data, self.log, removed)
                self.assertEqual({part: set(pairs) for part, pairs in found.items()}, expected)

    def test_a_folder_beside_it_stays(self):
        beside = self.folder / "data.part999983"
        (beside / "deep").mkdir(parents=True)
        self.check_succeeds(prepare(self.file, self.folder / "data"))
        self.assertTrue((beside / "deep").is_dir())

    def test_which_repeat_stays(self):
        log = random_log(random.Random(SEED), users=40, items=60, interactions=900)
        file = self.write_log(log)
        for which, by_time in (("first", True), ("last", True), ("sum", False)):
            kept = without_repeats(log, which, by_time)
            for split, parts in (("temporal", (8, 1, 1)), ("temporal:1:1:1", (1, 1, 1))):
                with self.subTest((which, split)):
                    expected, removed = split_by_time(kept, lambda n: shares_of(n, parts))
                    data, result = self.prepared(file, "--dedup", which, "--split", split)
                    self.assertEqual(self.removed(result, split), removed)
                    self.assertEqual({part: set(pairs) for part, pairs in parts_of(data).items()}, expected)

    def test_leave_one_out_of_short_users(self):
        log = [("a", "x", 1, 3), ("a", "y", 1, 2), ("a", "z", 1, 1), ("b", "z", 1, 2), ("b", "x", 1, 1), ("c", "y", 1, 1)]
        data, _ = self.prepared(self.write_log(log), "--split", "leave-one-out")
        self.assertEqual(parts_of(data), {"train": [("a", "z"), ("b", "x"), ("c", "y")], "valid": [("a", "y")],
                                          "test": [("a", "x"), ("b", "z")]})

    def test_cold_items(self):
        warm, _ = self.prepared(self.file)
        data, _ = self.prepared(self.file, "--split", "cold-items", "--share", "0.2")
        before = {part: set(pairs) for part, pairs in parts_of(warm).items()}
        after = {part: set(pairs) for part, pairs in parts_of(data).items()}
        trained = {item for _, item in before["train"]}
        cold = trained - {item for _, item in after["train"]}
        self.assertEqual(len(cold), round(0.2 * len(trained)))
        self.assertEqual(table_of(data, "items.tsv"), table_of(warm, "items.tsv"))
        moved = {pair for part in ("train", "valid") for pair in before[part] if pair[1] in cold}
        self.assertEqual(after["test"], before["test"] | moved)
        self.assertEqual([after[part] for part in ("train", "valid")], [before[part] - moved for part in ("train", "valid")])

    def test_cold_users(self):
        warm, _ = self.prepared(self.file)
        data, _ = self.prepared(self.file, "--split", "cold-users", "--share", "0.2")
        before = {part: set(pairs) for part, pairs in parts_of(warm).items()}
        after = {part: set(pairs) for part, pairs in parts_of(data).items()}
        users = {user for user, _ in before["train"]}
        cold = users - {user for user, _ in after["train"]}
        self.assertEqual(len(cold), round(0.2 * len(users)))
        moved = {pair for pair in before["train"] if pair[0] in cold}
        self.assertEqual(after, {"train": before["train"] - moved, "valid": before["valid"] | moved, "test": before["test"]})


# ---- the raw folders ----

class RawFolders(PrepareTest):
    def raw(self, name):
        if not (RAW / name).is_dir():
            self.skipTest(f"{name} was not tried: {RAW / name} is not there")
        return RAW / name

    def test_ml_latest_small(self):
        folder = self.raw("ml-latest-small")
        with open(folder / "ratings.csv", newline="", encoding="utf-8") as file:
            log = [(row["userId"], row["movieId"]) for row in csv.DictReader(file)]
        with open(folder / "movies.csv", newline="", encoding="utf-8") as file:
            titles = {row["movieId"]: row["title"] for row in csv.DictReader(file)}
        data, result = self.prepared(folder, *ALL_IN_TRAIN)
        self.assertEqual(steps_printed(result.stdout)["--dedup first"], [0, 100836, 610, 9724])
        self.check_all_in_train(data, log)
        self.check_numbering(data, log)
        items, named = table_of(data, "items.tsv")
        self.assertEqual(named, [titles[item] for item in items])

    def test_a_damaged_time(self):
        folder, out = self.raw("ml-latest-small"), self.folder / "out"
        self.check_refusal(prepare(folder, out, "--split", "temporal"), "ratings.csv:522", "84743496 https:")
        self.assertFalse(out.exists())
        _, result = self.prepared(folder, "--split", "temporal", "--skip-bad-lines", "1")
        self.assertEqual(steps_printed(result.stdout)["100836 lines read"], [1, 100835])
        self.assertIn("ratings.csv:522", result.stderr)

    def test_ml_100k_as_two_formats(self):
        folder = self.raw("ml-100k")
        header, body = (folder / "ml-100k.inter").read_bytes().split(b"\n", 1)
        other = write_files(self.folder / "ml", {"u.data": body, "u.item": (folder / "u.item").read_bytes()})
        atomic, result = self.prepared(folder / "ml-100k.inter")
        plain, _ = self.prepared(other)
        for part in PARTS:
            self.assertEqual((atomic / f"{part}.txt").read_bytes(), (plain / f"{part}.txt").read_bytes())
        for name in ("users.tsv", "items.tsv"):
            self.assertEqual(table_of(atomic, name)[0], table_of(plain, name)[0])
        dated, _ = self.prepared(folder / "ml-100k.inter", "--title-cols", "movie_title,release_year", "--title-separator", " (")
        for title, other in zip(table_of(dated, "items.tsv")[1], table_of(plain, "items.tsv")[1], strict=True):
            if other != "unknown":  # the atomic file has a slip of the pen there
                self.assertEqual(f"{title})", other.strip())
        rows = [line.split("\t") for line in body.decode().splitlines()]
        self.assertEqual(steps_printed(result.stdout)["--dedup first"],
                         [0, len(rows), len({row[0] for row in rows}), len({row[1] for row in rows})])


# ---- hurt files and bad options ----

LINES = [f"u{n % 5},i{n % 7},{n % 5 + 1},{1000 + n}\n" for n in range(60)]
GOOD = "user_id,item_id,rating,timestamp\n" + "".join(LINES)
PLACE = 31  # the hurt line's number


def line(text):
    """The good file with another line 31."""
    lines = GOOD.splitlines(keepends=True)
    lines[PLACE - 1] = text + "\n"
    return "".join(lines)


def raw_line(content):
    return line("HERE").encode().replace(b"HERE", content)


def damaged_gzip():
    content = bytearray(gzip.compress(GOOD.encode()))
    content[len(content) // 2] ^= 0xFF
    return bytes(content)


ITEMS = "item_id,title\n" + "".join(f"i{n},Title {n}\n" for n in range(7))
SPLIT = "user_id,item_id,split\nu,i,train\nu,j,valid\nv,i,test\n"
RATED, TIMED = ["--min-rating", "1"], ["--split", "temporal"]
# name, the file or the files, arguments, words of the one line
REFUSED = [
    ("a quote not closed", line('u1,"i2,3,1030'), [], ["log.csv:31", "not closed"]),
    ("text behind a closing quote", line('u1,"i2"x,3,1030'), [], ["log.csv:31", "behind the closing quote"]),
    ("too few columns", line("u1,i2,3"), [], ["log.csv:31", "3 columns", "4"]),
    ("too many columns", line("u1,i2,3,4,5"), [], ["log.csv:31", "5 columns", "4"]),
    ("one column", line("u1"), [], ["log.csv:31", "1 columns"]),
    ("too few columns, no header", "u,a,1,2\nu,b\n", [], ["log.csv:2", "2 columns", "4"]),
    ("a rating of 1e400", line("u1,i2,1e400,1030"), RATED, ["log.csv:31", "1e400", "too large"]),
    ("a rating that is no number", line("u1,i2,NaN,1030"), RATED, ["log.csv:31", "NaN", "not a number"]),
    ("an infinite rating", line("u1,i2,inf,1030"), RATED, ["log.csv:31", "inf", "not a number"]),
    ("a rating in words", line("u1,i2,good,1030"), ["--dedup", "sum"], ["log.csv:31", "good", "not a number"]),
    ("an empty rating", line("u1,i2,,1030"), RATED, ["log.csv:31", "rating ''"]),
    ("a time in words", line("u1,i2,3,yesterday"), TIMED, ["log.csv:31", "yesterday", "neither a number nor a date"]),
    ("a date that is none", line("u1,i2,3,2018-02-30"), TIMED, ["log.csv:31", "2018-02-30"]),
    ("a time of 1e300", line("u1,i2,3,1e300"), TIMED, ["log.csv:31", "1e300"]),
    ("no user", line(",i2,3,1030"), [], ["log.csv:31", "no user id"]),
    ("no item", line("u1,,3,1030"), [], ["log.csv:31", "no item id"]),
    ("a NUL byte", raw_line(b"u1,i\x002,3,1030"), [], ["log.csv:31", "NUL"]),
    ("a NUL byte behind a line end in quotes", raw_line(b'u1,"i\n\x002",3,1030'), [], ["log.csv:32", "NUL"]),
    ("Latin-1", raw_line("u1,café,3,1030".encode("latin-1")), [], ["log.csv:31", "not UTF-8", "--encoding latin1"]),
    ("UTF-16", GOOD.encode("utf-16"), [], ["log.csv:1", "UTF-16"]),
    ("UTF-16 the other way", GOOD.encode("utf-16-be"), [], ["log.csv:1", "NUL"]),
    ("gzip cut short", {"log.csv.gz": gzip.compress(GOOD.encode())[:-20]}, [], ["log.csv.gz", "fetch it again"]),
    ("gzip damaged", {"log.csv.gz": damaged_gzip()}, [], ["log.csv.gz", "damaged"]),
    ("gzip with a wrong sum", {"log.csv.gz": gzip.compress(GOOD.encode())[:-8] + bytes(8)}, [], ["log.csv.gz", "damaged"]),
    ("zstd's first bytes alone", {"log.csv.zst": b"\x28\xb5\x2f\xfd"}, [], ["log.csv.zst"]),
    ("gzip's first bytes alone", {"log.csv.gz": b"\x1f\x8b"}, [], ["log.csv.gz"]),
    ("empty", "", [], ["log.csv", "is empty"]),
    ("empty lines", "\n\n\n", [], ["log.csv", "is empty"]),
    ("header only", GOOD.splitlines()[0] + "\n", [], ["log.csv", "no interaction"]),
    ("a tab in an id", line('u1,"i\t2",3,1030'), [], ["log.csv:31", "tab"]),
    ("a line end in an id", line('"u\n1",i2,3,1030'), [], ["log.csv:31", "line end"]),
    ("the header again", line(GOOD.splitlines()[0]), RATED, ["log.csv:31", "header once more"]),
    ("a user column that is not there", GOOD, ["--user-col", "user_it"], ["log.csv:1", "user_it", "nearest is 'user_id'"]),
    ("an item column that is not there", GOOD, ["--item-col", "9"], ["log.csv:1", "'9'", "--item-col"]),
    ("a column of no header", "u,a\nu,b\n", ["--no-header", "--user-col", "user"], ["log.csv:1", "--user-col", "1 to 2"]),
    ("users and items in one column", GOOD, ["--user-col", "item_id"], ["log.csv:1", "one column"]),
    ("columns that nobody knows", "buyer,what,price\na,b,1\n", [], ["log.csv:1", "header", "'price' stands above"]),
    ("no column of items", "user_id,what\na,b\n", [], ["log.csv:1", "--item-col", "'what'"]),
    ("ratings that are not there", "user_id,item_id\na,b\n", RATED, ["log.csv", "--rating-col"]),
    ("times that are not there", "user_id,item_id\na,b\n", TIMED, ["log.csv", "--time-col"]),
    ("another delimiter", GOOD, ["--delimiter", ";"], ["log.csv:1", "';'", "--delimiter"]),
    ("--k-core 0", GOOD, ["--k-core", "0"], ["--k-core '0'"]),
    ("--k-core 5,0", GOOD, ["--k-core", "5,0"], ["--k-core '5,0'"]),
    ("--k-core in words", GOOD, ["--k-core", "many"], ["--k-core 'many'"]),
    ("--k-core of three", GOOD, ["--k-core", "1,2,3"], ["--k-core '1,2,3'"]),
    ("--k-core that leaves nothing", GOOD, ["--k-core", "50"], ["--k-core 50", "no interaction is left"]),
    ("--split of two parts", GOOD, ["--split", "1:2"], ["--split '1:2'", "4:3:3"]),
    ("--split of four parts", GOOD, ["--split", "1:2:3:4"], ["--split '1:2:3:4'"]),
    ("--split without train", GOOD, ["--split", "0:1:1"], ["--split '0:1:1'"]),
    ("--split of negative parts", GOOD, ["--split", "4:-1:3"], ["--split '4:-1:3'"]),
    ("--split of parts that are no number", GOOD, ["--split", "1:nan:1"], ["--split '1:nan:1'"]),
    ("--split of huge parts", GOOD, ["--split", "1e308:1e308:1e308"], ["--split '1e308:1e308:1e308'"]),
    ("--split by a word", GOOD, ["--split", "nonsense"], ["--split 'nonsense'", "leave-one-out"]),
    ("--split temporal by a word", GOOD, ["--split", "temporal:late"], ["--split 'temporal:late'"]),
    ("a header that nobody knows", "buyer,thing\n1,2\n", [], ["log.csv:1", "header", "'buyer' stands above the number '1'"]),
    ("objects with a header", '{"user": 1, "item": 2}\n', ["--header"], ["log.csv", "an object a line", "--header"]),
    ("objects said to be CSV", '{"user": 1, "item": 2}\n', ["--format", "csv"], ["log.csv", "--format jsonl"]),
    ("CSV said to be objects", GOOD, ["--format", "jsonl"], ["log.csv", "no object"]),
    ("a NUL byte in an object", '{"user": "a\\u0000b", "item": 2}\n', [], ["log.csv:1", "user id", "NUL byte"]),
    ("two columns of nearly one name", "ID:x,id:y,item\na,b,c\n", ["--user-col", "id"], ["log.csv:1", "'id'", "'ID:x'"]),
    ("times in nanoseconds", "user,item,time\na,b,1588687728923000000\n", ["--time-col", "time"], ["log.csv:2", "the time"]),
    ("an object cut short", '{"user": 1, "item": 2}\n{"user": 1, "item"\n', [], ["log.csv:2", "neither a JSON object"]),
    ("a list for an object", '{"user": 1, "item": 2}\n["user", 1, "item", 2]\n', [], ["log.csv:2", "neither a JSON object"]),
    ("a dict that is not closed", "{'user': 1, 'item': 2}\n{'user': 1, 'item': 'a}\n", [], ["log.csv:2", "neither a JSON object"]),
    ("an object without an item", '{"user": 1, "item": 2}\n{"user": 1}\n', [], ["log.csv:2", "no item id"]),
    ("a split of no known name", SPLIT.replace("test", "later"), [], ["log.csv:4", "split 'later'", "train, valid and test"]),
    ("a split in capital letters", SPLIT.replace("valid", "VALID"), [], ["log.csv:3", "split 'VALID'"]),
    ("--split-col and --split", SPLIT, ["--split-col", "split", "--split", "8:1:1"], ["--split-col", "--split", "leave one out"]),
    ("--split-col that is not there", GOOD, ["--split-col", "part"], ["log.csv:1", "'part'", "--split-col"]),
    ("train.txt by its own name", {"train.txt": "0 1 2\n1 2 3\n"}, [], ["train.txt:1", "name the folder", "--format csv"]),
    ("a file said to be a dataset", {"train.txt": "0 1 2\n"}, ["--format", "dataset"], ["train.txt", "is a file", "folder"]),
    ("--share 0", GOOD, ["--split", "cold-items", "--share", "0"], ["--share 0", "above 0 and below 1"]),
    ("--share 1", GOOD, ["--split", "cold-users", "--share", "1"], ["--share 1", "above 0 and below 1"]),
    ("--since a word", GOOD, ["--since", "spring"], ["--since 'spring'", "2018-01-31"]),
    ("--until a date that is none", GOOD, ["--until", "2018-13-01"], ["--until '2018-13-01'"]),
    ("--since that leaves nothing", GOOD, ["--since", "2018-01-01"], ["log.csv", "no interaction"]),
    ("--min-rating that leaves nothing", GOOD, ["--min-rating", "6"], ["log.csv", "no interaction"]),
    ("--min-rating that is no number", GOOD, ["--min-rating", "nan"], ["--min-rating"]),
    ("--min-item-once that leaves nothing", GOOD, ["--min-item-once", "99"], ["--min-item-once 99", "no interaction is left"]),
    ("--title-cols without items", GOOD, ["--title-cols", "title"], ["--title-cols", "--items"]),
    ("--title-cols with a name missing", {"log.csv": GOOD, "items.csv": ITEMS},
     ["--items", "items.csv", "--title-cols", "title,"], ["--title-cols title,", "missing"]),
    ("--title-cols that are not there", {"log.csv": GOOD, "items.csv": ITEMS},
     ["--items", "items.csv", "--title-cols", "titel"], ["items.csv:1", "titel", "nearest is 'title'"]),
    ("items that are not there", GOOD, ["--items", "items.csv"], ["items.csv", "cannot be opened"]),
    ("items without ids", {"log.csv": GOOD, "items.csv": "name,title\na,b\n"}, ["--items", "items.csv"],
     ["items.csv:1", "item ids"]),
    ("items without titles", {"log.csv": GOOD, "items.csv": "item_id,price\na,b\n"}, ["--items", "items.csv"],
     ["items.csv:1", "--title-cols"]),
    ("items with too few columns", {"log.csv": GOOD, "items.csv": ITEMS + "i9\n"}, ["--items", "items.csv"],
     ["items.csv:9", "1 columns"]),
    ("items with too many columns", {"log.csv": GOOD, "items.csv": ITEMS + "i1,Matrix, The\n"}, ["--items", "items.csv"],
     ["items.csv:9", "3 columns"]),
    ("items in Latin-1", {"log.csv": GOOD, "items.csv": ITEMS.encode() + b"i1,caf\xe9\n"}, ["--items", "items.csv"],
     ["items.csv:9", "not UTF-8"]),
    ("a separator of no columns", {"log.csv": GOOD, "items.csv": ITEMS}, ["--items", "items.csv", "--title-separator", "-"],
     ["--title-separator", "--title-cols"]),
    ("items empty", {"log.csv": GOOD, "items.csv": ""}, ["--items", "items.csv"], ["items.csv", "is empty"]),
]

ATOMIC = "user_id:token\titem_id:token\n1\t2\n"
LIST = {"train.txt": "0 0 1\n1 1 2\n", "test.txt": "0 2\n1 0\n", "user_list.txt": "org_id remap_id\na 0\nb 1\n",
        "item_list.txt": "org_id remap_id\nx 0\ny 1\nz 2\n"}


def hurt_lightgcn(name, content):
    return {**LIST, name: content}


# name, the folder's files, arguments, words
REFUSED_FOLDERS = [
    ("nothing that is known", {"log.csv": GOOD}, [], ["no file of interactions", "ratings.csv"]),
    ("empty", {}, [], ["no file of interactions"]),
    ("several .inter files", {"a.inter": ATOMIC, "b.inter": ATOMIC}, [],
     ["several", "a.inter", "b.inter"]),
    ("two datasets that are split", {"a.train.inter": ATOMIC, "b.train.inter": ATOMIC}, [], ["a.train.inter", "b.train.inter"]),
    ("a part of a split twice", {"a.train.inter": ATOMIC, "a.train.inter.gz": gzip.compress(ATOMIC.encode())}, [],
     ["a.train.inter", "a.train.inter.gz"]),
    ("MovieLens twice", {"ratings.csv": GOOD, "u.data": GOOD}, [], ["several", "ratings.csv", "u.data"]),
    ("MovieLens and what convert writes", {"ratings.csv": GOOD, "interactions.csv": GOOD}, [], ["several", "interactions.csv"]),
    ("a user beyond her list", hurt_lightgcn("train.txt", "0 0 1\n2 1\n"), [],
     ["train.txt:2", "2 is a number beyond the 2 rows of user_list.txt"]),
    ("an item beyond its list", hurt_lightgcn("test.txt", "0 0\n\n1 3\n"), [],
     ["test.txt:3", "3 is a number beyond the 3 rows of item_list.txt"]),
    ("an item beyond its table", {"train.txt": "0 0 2\n", "items.tsv": "0\ta\n1\tb\n"}, [], ["train.txt:1", "2 rows of items.tsv"]),
    ("a list without its header", hurt_lightgcn("user_list.txt", "a 0\nb 1\n"), [], ["user_list.txt:1", "header", "org_id"]),
    ("a list with a gap", hurt_lightgcn("user_list.txt", "org_id remap_id\na 0\nb 2\n"), [], ["user_list.txt:3", "id 2 leaves a gap"]),
    ("a number twice in a list", hurt_lightgcn("item_list.txt", "org_id remap_id\nx 0\ny 1\nz 1\n"), [],
     ["item_list.txt:4", "id 1 stands twice"]),
    ("an id twice in a list", hurt_lightgcn("item_list.txt", "org_id remap_id\nx 0\ny 1\nx 2\n"), [],
     ["item_list.txt:4", "'x' stands on line 2 too"]),
    ("a blank in an id of a list", hurt_lightgcn("item_list.txt", "org_id remap_id\nx x 0\n"), [],
     ["item_list.txt:2", "3 words", "2 of the header"]),
    ("a list's number that is none", hurt_lightgcn("item_list.txt", "org_id remap_id\nx one\n"), [], ["item_list.txt:2", "remap_id 'one'"]),
    ("a list's number below 0", hurt_lightgcn("item_list.txt", "org_id remap_id\nx -1\n"), [], ["item_list.txt:2", "remap_id '-1'"]),
    ("a list of nobody", hurt_lightgcn("user_list.txt", "org_id remap_id\n"), [], ["user_list.txt", "holds no ids"]),
    ("a list in Latin-1", hurt_lightgcn("user_list.txt", b"org_id remap_id\n\xe9 0\n"), [], ["user_list.txt:2", "not UTF-8"]),
    ("a word among numbers", hurt_lightgcn("train.txt", "0 0\n1 x 2\n"), [], ["train.txt:2", "'x' is not a number"]),
    ("a number below 0", {"train.txt": "0 0 -1\n"}, [], ["train.txt:1", "id -1 is negative"]),
    ("a NUL byte among numbers", {"train.txt": b"0 0\n1 \0 2\n"}, [], ["train.txt:2", "NUL"]),
    ("numbers of nobody", {"train.txt": "", "test.txt": "\n"}, [], ["train.txt", "no interaction"]),
    ("a table that is none", {"train.txt": "0 0\n", "users.tsv": "user\toriginal_id\n0 a\n"}, [], ["users.tsv:2", "must begin with an id"]),
    ("the authors' tree without train.txt", {"cf_data/test.txt": "0 0\n"}, [], ["cf_data/train.txt", "cannot be opened"]),
    ("no lists where they are asked for", {"train.txt": "0 0\n"}, ["--format", "lightgcn"], ["neither user_list.txt nor item_list.txt"]),
    ("a dataset said to be CSV", {"train.txt": "0 0\n"}, ["--format", "csv"], ["holds a dataset", "--format csv"]),
    ("no dataset where one is asked for", {"log.csv": GOOD}, ["--format", "dataset"], ["train.txt", "cannot be opened"]),
    ("a column of numbers", {"train.txt": "0 0\n"}, ["--user-col", "1"], ["--user-col", "leave it out"]),
    ("a split's column of numbers", {"train.txt": "0 0\n"}, ["--split-col", "1"], ["--split-col", "leave it out"]),
    ("a delimiter of numbers", {"train.txt": "0 0\n"}, ["--delimiter", ","], ["--delimiter", "leave it out"]),
    ("a header of numbers", {"train.txt": "0 0\n"}, ["--header"], ["--header", "leave it out"]),
    ("an encoding of numbers", {"train.txt": "0 0\n"}, ["--encoding", "latin1"], ["--encoding", "leave it out"]),
    ("a file plain and compressed", {**LIST, "test.txt.gz": gzip.compress(b"0 2\n")}, [], ["twice", "test.txt", "test.txt.gz"]),
    ("a split without train", {"train.txt": "", "test.txt": "0 0\n"}, [], ["part train", "--split 4:3:3"]),
    ("a column of splits without train", {"interactions.csv": SPLIT.replace("train", "test")}, [], ["part train", "--split 4:3:3"]),
    ("--title-cols of items.csv beside", {"interactions.csv": SPLIT, "items.csv": "sku,price\ni,3\n"}, ["--title-cols", "title"],
     ["items.csv:1", "'title'"]),
    ("ratings of a dataset", {"train.txt": "0 0\n"}, RATED, ["train.txt", "has no ratings; leave out --min-rating"]),
    ("times of a dataset", {"train.txt": "0 0\n"}, TIMED, ["train.txt", "has no times; leave out", "temporal"]),
    ("titles of a dataset's columns", {"train.txt": "0 0\n"}, ["--title-cols", "title"], ["--title-cols", "--items"]),
    ("a split's column of files that are split", {"a.train.inter": ATOMIC}, ["--split-col", "split"], ["a.train.inter", "--split-col"]),
]

# name, the file, arguments, the interactions read
ACCEPTED = [
    ("as it is", GOOD, [], 60),
    ("a negative time", line("u1,i2,3,-1030"), TIMED, 60),
    ("a time with a fraction", line("u1,i2,3,1030.5"), TIMED, 60),
    ("a date", line("u1,i2,3,2018-01-31"), TIMED, 60),
    ("CRLF", GOOD.replace("\n", "\r\n"), RATED, 60),
    ("a byte order mark", b"\xef\xbb\xbf" + GOOD.encode(), [], 60),
    ("a byte order mark before a quote", b"\xef\xbb\xbf" + GOOD.replace("user_id", '"user_id"').encode(), [], 60),
    ("empty lines", GOOD.replace("\n", "\n\n"), [], 60),
    ("no line end at the end", GOOD.rstrip(), TIMED, 60),
    ("Latin-1, said", raw_line("u1,café,3,1030".encode("latin-1")), ["--encoding", "latin1"], 60),
    ("ratings that nobody asks for", line("u1,i2,1e400,1030"), [], 60),
    ("times that nobody asks for", line("u1,i2,3,yesterday"), [], 60),
    ("a split that nobody asks for", SPLIT.replace("test", "later"), ["--split", "4:3:3"], 3),
    ("five columns without a header", "1,2,3,4,5\n6,7,8,9,10\n", [], 2),
    ("no header, said", "user_id,item_id\na,b\n", ["--no-header"], 2),
    ("quotes around everything", quoted(csv.reader(GOOD.splitlines()), quoting=csv.QUOTE_ALL), RATED, 60),
    ("names in capital letters", GOOD.replace("user_id", "User_ID"), RATED, 60),
    ("a space between columns", GOOD.replace(",", " "), RATED, 60),
    ("blanks in the names of columns", "User ID,Item ID\n" + "a,b\n" * 3, ["--user-col", "User ID", "--item-col", "Item ID"], 3),
    ("blanks beside ::", "User ID::Item ID\na::b\nc::d\n", ["--user-col", "User ID", "--item-col", "Item ID"], 2),
    ("gzip by its bytes", gzip.compress(GOOD.encode()), RATED, 60),
]

# What the parser of the command line refuses in its own words.
SYNTAX = [
    (["--format", "parquet"], ["--format", "parquet", "recbole"]),
    (["--encoding", "utf-16"], ["--encoding", "utf-16", "latin1"]),
    (["--dedup", "none"], ["--dedup", "none", "first"]),
    (["--min-rating", "high"], ["--min-rating", "high"]),
    (["--min-item-once", "0"], ["--min-item-once", "0"]),
    (["--min-user-once", "-3"], ["--min-user-once", "-3"]),
    (["--skip-bad-lines", "-1"], ["--skip-bad-lines", "-1"]),
    (["--seed", "x"], ["--seed", "x"]),
]


class HurtFiles(PrepareTest):
    def source(self, name, files):
        return write_files(self.folder / name, files if isinstance(files, dict) else {"log.csv": files})

    def check_refused(self, folder, source, out, arguments, words, **options):
        """Nothing comes to be where the source lies or the output would."""
        before = {file for each in (folder, self.folder) for file in each.iterdir()}
        self.check_refusal(prepare(source, out, *arguments, **options), *words)
        self.assertEqual({file for each in (folder, self.folder) for file in each.iterdir()}, before)

    def as_ordinary_user(self):
        """For run(), where root may do everything; nothing where this is an ordinary user already."""
        if os.geteuid() != 0:
            return {}
        self.folder.chmod(0o755)
        user = pwd.getpwnam(ORDINARY_USER)
        # The program may lie where an ordinary user cannot reach it.
        return {"program": shutil.copy2(PROGRAM, self.folder / "rec_engine"), "user": user.pw_uid, "group": user.pw_gid,
                "extra_groups": []}

    def test_refused_files_and_options(self):
        self.assertGreaterEqual(len(REFUSED), 40)
        for number, (name, files, arguments, words) in enumerate(REFUSED):
            with self.subTest(name):
                folder = self.source(f"case{number}", files)
                file = folder / (next(iter(files)) if isinstance(files, dict) else "log.csv")
                self.check_refused(folder, file, self.folder / f"out{number}", arguments, words, cwd=folder)

    def test_refused_folders(self):
        for number, (name, files, arguments, words) in enumerate(REFUSED_FOLDERS):
            with self.subTest(name):
                folder = self.source(f"case{number}", files)
                self.check_refused(folder, folder, self.folder / f"out{number}", arguments, [folder, *words])

    def test_accepted(self):
        for number, (name, files, arguments, interactions) in enumerate(ACCEPTED):
            with self.subTest(name):
                _, result = self.prepared(self.source(f"case{number}", files) / "log.csv", *arguments)
                self.assertEqual(steps_printed(result.stdout)[f"{interactions} lines read"], [0, interactions])

    def test_command_line_syntax(self):
        file = self.source("good", GOOD) / "log.csv"
        for arguments, words in SYNTAX:
            with self.subTest(arguments):
                result = prepare(file, self.folder / "out", *arguments)
                self.assertGreater(result.returncode, 100)
                sentence, advice = result.stderr.splitlines()
                for word in words:
                    self.assertIn(word, sentence)
                self.assertIn("--help", advice)
                self.assertFalse((self.folder / "out").exists())

    def test_a_line_of_five_gigabytes(self):
        folder = self.source("huge", GOOD)
        os.truncate(folder / "log.csv", 5 << 30)
        begin = time.monotonic()
        result = prepare(folder / "log.csv", self.folder / "out", "--skip-bad-lines", "9")
        self.assertLess(time.monotonic() - begin, 5)
        self.assertLess(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss, 1 << 20, "kilobytes, of all runs")
        self.check_refusal(result, "log.csv:62", "longer than 16 MB")
        self.assertFalse((self.folder / "out").exists())

    def test_where_the_output_goes(self):
        folder = self.source("good", GOOD)
        for name, out, words in (("a folder that is not empty", folder, [folder, "not empty"]),
                                 ("a file", folder / "log.csv", ["log.csv", "not empty"]),
                                 ("under a file", folder / "log.csv/out", ["log.csv/out"])):
            with self.subTest(name):
                self.check_refused(folder, folder / "log.csv", out, [], words)
        empty = self.folder / "empty"
        empty.mkdir()
        self.check_succeeds(prepare(folder / "log.csv", empty))
        self.assertEqual(set(content_of(empty)),
                         {"train.txt", "valid.txt", "test.txt", "items.tsv", "users.tsv", "manifest.json"})

    def test_a_source_that_is_not_there(self):
        folder = self.source("good", GOOD)
        self.check_refused(folder, folder / "lgo.csv", self.folder / "out", [], ["lgo.csv", "not there"])

    def test_a_pipe_is_read_whole_or_refused(self):
        lines = 200_000  # more than a buffer holds
        folder = self.source("long", "user_id,item_id\n" + "".join(f"u{n % 1000},i{n // 1000}\n" for n in range(lines)))
        with subprocess.Popen(["cat", folder / "log.csv"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as cat:
            pipe = cat.stdout.fileno()
            result = prepare(f"/dev/fd/{pipe}", self.folder / "out", pass_fds=[pipe])
        if result.returncode == 0:
            self.assertEqual(steps_printed(result.stdout)[f"{lines} lines read"], [0, lines])
        else:
            self.check_refusal(result, f"/dev/fd/{pipe}", "pipe")

    def test_a_source_that_may_not_be_read(self):
        folder = self.source("good", GOOD)
        (folder / "log.csv").chmod(0)
        as_user = self.as_ordinary_user()
        self.check_refused(folder, folder / "log.csv", self.folder / "out", [], ["log.csv", "Permission denied"], **as_user)

    def test_a_folder_that_may_not_be_listed(self):
        folder = self.source("good", GOOD)
        as_user = self.as_ordinary_user()
        folder.chmod(0o711)
        if not as_user:
            folder.chmod(0o311)
        place = self.folder / "place"
        place.mkdir()
        place.chmod(0o777)
        try:
            self.check_succeeds(prepare(folder / "log.csv", place / "out", **as_user))
        finally:
            folder.chmod(0o755)


class BadLines(PrepareTest):
    def setUp(self):
        super().setUp()
        lines = GOOD.splitlines(keepends=True)
        lines[9] = "u1,i2,many,1030\n"
        lines[19] = "u1,i2\n"
        lines[29] = ',i2,3,1030\n'
        lines[39] = 'u1,"i2"x,3,1030\n'
        lines[49] = "u1,i\0,3,1030\n"
        self.places = [10, 20, 30, 40, 50]
        items = ITEMS.splitlines(keepends=True)
        items[4] = "i3\n"
        self.log = write_files(self.folder / "log", {"log.csv": "".join(lines), "items.csv": "".join(items)}) / "log.csv"

    def test_they_are_counted_and_listed(self):
        data, result = self.prepared(self.log, *RATED, "--skip-bad-lines", "5")
        self.assertEqual(steps_printed(result.stdout)["60 lines read"], [5, 55])
        manifest = manifest_of(data)
        self.assertEqual(manifest["lines"], 60)
        for told in (result.stderr.splitlines(), manifest["skipped"]):
            self.assertEqual(len(told), 5)
            for place, sentence in zip(self.places, told):
                self.assertIn(f"log.csv:{place}: ", sentence)

    def test_while_columns_are_found(self):
        objects = '{"user": 1, "item": 2}\n'
        for name, text, bad in (("a cut object", objects + '{"user": 1, "item"\n' + objects, 2), ("no header", "u,a\nu,b\0\nv,c\n", 2),
                                ("no header, an open quote", 'u,a\nu,"b"x\nv,c\n', 2)):
            with self.subTest(name):
                file = write_files(self.folder / name, {"log": text}) / "log"
                self.check_refusal(prepare(file, self.folder / "out"), f"log:{bad}:")
                data, result = self.prepared(file, "--skip-bad-lines", "1")
                self.assertEqual(steps_printed(result.stdout)["3 lines read"], [1, 2])
                self.assertIn(f"log:{bad}: ", manifest_of(data)["skipped"][0])
        file = write_files(self.folder / "header", {"log": b"\xe9,item\nu,a\nv,b\n"}) / "log"
        self.check_refusal(prepare(file, self.folder / "out", "--skip-bad-lines", "1"), "log:1:", "not UTF-8")

    def test_one_more_is_refused(self):
        result = prepare(self.log, self.folder / "out", *RATED, "--skip-bad-lines", "4")
        self.check_refusal(result, "log.csv:50", "NUL")
        self.assertFalse((self.folder / "out").exists())

    def test_lines_of_items_count_too(self):
        items = ["--items", self.log.parent / "items.csv"]
        result = prepare(self.log, self.folder / "out", *RATED, *items, "--skip-bad-lines", "5")
        self.check_refusal(result, "items.csv:5")
        data, result = self.prepared(self.log, *RATED, *items, "--skip-bad-lines", "6")
        self.assertEqual(len(manifest_of(data)["skipped"]), 6)
        self.assertIn("1 items have no title and go by their ids: i3", result.stdout)

    def test_text_that_is_cut_within_a_letter(self):
        file = write_files(self.folder / "long", {"log.csv": line("u1,i2,x" + "é" * 40 + ",1030")}) / "log.csv"
        data, _ = self.prepared(file, *RATED, "--skip-bad-lines", "1")
        self.assertIn("log.csv:31", manifest_of(data)["skipped"][0])

    def test_many_are_not_all_printed(self):
        file = write_files(self.folder / "many", {"log.csv": GOOD + "u1\n" * 30}) / "log.csv"
        data, result = self.prepared(file, "--skip-bad-lines", "30")
        self.assertEqual(result.stderr.splitlines()[-1], "skipped 10 more lines, which manifest.json names")
        self.assertEqual(len(result.stderr.splitlines()), 21)
        self.assertEqual(len(manifest_of(data)["skipped"]), 30)


if __name__ == "__main__":
    unittest.main(verbosity=2)
