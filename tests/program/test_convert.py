"""rec_engine convert: a dataset in the files of other programs, read here as those programs read them, and back by prepare."""

import csv
import os
import shutil
import subprocess
import unittest

from engine_program import PROGRAM, ROOT, ProgramTest, content_of, make_dataset, run
from test_prepare import PARTS, parts_of, prepare, table_of, write_files

FORMATS = ("recbole", "lightgcn", "csv")
USERS = ["007", "7", "Ünal", "a,b", 'o"o', "'", "😀"]
TITLES = {"10": "Toy Story (1995)", "0010": 'The "best" of it', "x/y": "Crème, brûlée; 1|2::3", "4": "it's", "-5": "", "é": "e\u0301",
          "i,1": " blanks ", "שלום": "سلام עולם", "q": '"all"', 'q"': "#x"}
SPLITS = {"train": [[0, 1, 2], [3, 4, 5], [6, 7], [8], [9, 0], [1, 2], [3]], "valid": [[3], [], [0], [9, 1], [], [], [2]],
          "test": [[4], [0, 9], [], [2], [1], [], []]}


def rows_of(lists):
    return "".join(" ".join(map(str, [user, *items])) + "\n" for user, items in enumerate(lists) if items)


def table(header, rows):
    return "".join("\t".join(map(str, row)) + "\n" for row in [[header, "original_id", "title"], *rows])


def odd_files(users=USERS, titles=TITLES, below=""):
    """A dataset of odd ids, each item of which is in train."""
    return {**{f"{below}{part}.txt": rows_of(lists) for part, lists in SPLITS.items()},
            "users.tsv": table("user", ([n, user, f"user {n}"] for n, user in enumerate(users))),
            "items.tsv": table("item", ([n, item, title] for n, (item, title) in enumerate(titles.items())))}


def fields_of(file, **options):
    with open(file, encoding="utf-8", newline="") as lines:
        return list(csv.reader(lines, **options))


def pairs_of(part, users=USERS, items=tuple(TITLES)):
    return {(users[user], items[item]) for user, own in enumerate(SPLITS[part]) for item in own}


class ConvertTest(ProgramTest):
    def converted(self, data, to, *more):
        out = self.folder / f"{to}{len(list(self.folder.iterdir()))}"
        result = self.check_succeeds(run("convert", data, "--to", to, "--out", out, *more))
        self.assertEqual(result.stderr, "")
        self.assertEqual(result.stdout.splitlines()[1], f"files: {', '.join(self.in_order(out, to))}")
        return out

    def in_order(self, out, to):
        endings = {"recbole": ["train.inter", "valid.inter", "test.inter", "item"], "csv": ["interactions.csv", "items.csv"],
                   "lightgcn": ["train.txt", "valid.txt", "test.txt", "user_list.txt", "item_list.txt", "items.csv"]}[to]
        return sorted(content_of(out), key=lambda name: [name.endswith(ending) for ending in endings].index(True))

    def prepared(self, source, *more):
        out = self.folder / f"back{len(list(self.folder.iterdir()))}"
        return out, self.check_succeeds(prepare(source, out, *more))


class OtherPrograms(ConvertTest):
    """Each file as the program that it is for would read it."""

    def setUp(self):
        super().setUp()
        self.data = write_files(self.folder / "odd", odd_files())

    def test_recbole(self):
        """With Python's csv, as pandas' Python engine reads the files for RecBole: a quote at a field's beginning is one."""
        out = self.converted(self.data, "recbole")
        self.assertEqual(set(content_of(out)), {f"odd.{end}" for end in ("train.inter", "valid.inter", "test.inter", "item")})
        for part in PARTS:
            header, *rows = fields_of(out / f"odd.{part}.inter", delimiter="\t")
            self.assertEqual(header, ["user_id:token", "item_id:token"])
            self.assertEqual(len(rows), len(pairs_of(part)))
            self.assertEqual({tuple(row) for row in rows}, pairs_of(part))
        header, *rows = fields_of(out / "odd.item", delimiter="\t")
        self.assertEqual(header, ["item_id:token", "title:token_seq"])
        # A quote at the beginning of a title has a blank before it.
        self.assertEqual(rows, [[item, title.replace('"all"', ' "all"')] for item, title in TITLES.items()])

    def test_the_name(self):
        out = self.converted(self.data, "recbole", "--name", "a shop.1")
        self.assertEqual(set(content_of(out)), {f"a shop.1.{end}" for end in ("train.inter", "valid.inter", "test.inter", "item")})
        shutil.copy(out / "a shop.1.train.inter", self.folder / "beside.train.inter")
        data, _ = self.prepared(out)
        self.assertEqual(set(parts_of(data)["train"]), pairs_of("train"))

    def test_lightgcn(self):
        """As its loader reads them: words between single blanks, no line without items; the lists by any split()."""
        out = self.converted(self.data, "lightgcn")
        for part, lists in SPLITS.items():
            lines = (out / f"{part}.txt").read_text().splitlines()
            read = {int(line.split(" ")[0]): [int(word) for word in line.split(" ")[1:]] for line in lines}
            self.assertEqual(read, {user: sorted(items) for user, items in enumerate(lists) if items})
        for name, ids in (("user_list.txt", USERS), ("item_list.txt", TITLES)):
            rows = [line.split() for line in (out / name).read_text(encoding="utf-8").splitlines()]
            self.assertEqual(rows, [["org_id", "remap_id"], *([id, str(n)] for n, id in enumerate(ids))])
        self.assertEqual(fields_of(out / "items.csv", strict=True)[1:], [list(row) for row in TITLES.items()])

    def test_csv(self):
        out = self.converted(self.data, "csv")
        header, *rows = fields_of(out / "interactions.csv", strict=True)
        self.assertEqual(header, ["user_id", "item_id", "split"])
        self.assertEqual([row[2] for row in rows], [part for part in PARTS for _ in pairs_of(part)])
        for part in PARTS:
            self.assertEqual({tuple(row[:2]) for row in rows if row[2] == part}, pairs_of(part))
        self.assertEqual(fields_of(out / "items.csv", strict=True), [["item_id", "title"], *map(list, TITLES.items())])

    def test_without_tables_and_valid(self):
        data = write_files(self.folder / "bare", {"train.txt": "0 0 1\n1 1 2\n", "test.txt": "0 2\n"})
        for to, names in (("recbole", {"bare.train.inter", "bare.valid.inter", "bare.test.inter"}), ("csv", {"interactions.csv"}),
                          ("lightgcn", {"train.txt", "test.txt", "user_list.txt", "item_list.txt"})):
            with self.subTest(to):
                out = self.folder / to
                result = self.check_succeeds(run("convert", data, "--to", to, "--out", out))
                self.assertEqual(set(content_of(out)), names)
                self.assertIn("no users.tsv: users go by their numbers\nno items.tsv: items go by their numbers", result.stdout)
                back, _ = self.prepared(out)
                self.assertEqual(parts_of(back), {"train": [("0", "0"), ("0", "1"), ("1", "1"), ("1", "2")], "valid": [],
                                                  "test": [("0", "2")]})

    def test_carriage_returns_in_titles(self):
        data = write_files(self.folder / "returns", odd_files(titles={**TITLES, "q": "a\rb"}))
        self.assertIn("q\ta b\n", (self.converted(data, "recbole") / "returns.item").read_text(encoding="utf-8"))
        self.assertIn('q,"a\rb"\n', (self.converted(data, "csv") / "items.csv").read_bytes().decode())


class RoundTrips(ConvertTest):
    def check_back(self, back, titles, users_lose_titles=True):
        for part, pairs in parts_of(back).items():
            self.assertEqual(len(pairs), len(pairs_of(part)))
            self.assertEqual(set(pairs), pairs_of(part), part)
        items, named = table_of(back, "items.tsv")
        self.assertEqual(dict(zip(items, named)), titles)
        users, named = table_of(back, "users.tsv")
        self.assertEqual(set(users), set(USERS))
        self.assertEqual(named, users if users_lose_titles else [f"user {USERS.index(user)}" for user in users])

    def test_users_of_untrained_items_alone_leave(self):
        data = write_files(self.folder / "few", {"train.txt": "0 0 1\n1 1\n", "valid.txt": "2 2\n", "users.tsv": "0\ta\n1\tb\n2\tc\n"})
        for to in FORMATS:
            with self.subTest(to):
                back, _ = self.prepared(self.converted(data, to))
                self.assertEqual(table_of(back, "users.tsv")[0], ["a", "b"])

    def test_every_format(self):
        data = write_files(self.folder / "odd", odd_files())
        expected = {item: title or item for item, title in TITLES.items()}  # what has no title goes by its id
        for to in FORMATS:
            with self.subTest(to):
                back, result = self.prepared(self.converted(data, to))
                self.assertTrue(result.stdout.startswith(to), result.stdout)
                self.assertIn("--split given", result.stdout)
                self.check_back(back, {**expected, "q": ' "all"'} if to == "recbole" else expected)

    def test_through_all_of_them(self):
        titles = {**TITLES, "q": "all", "-5": "five"}
        data = write_files(self.folder / "first", odd_files(titles=titles))
        for to in (*FORMATS, *FORMATS):
            data, _ = self.prepared(self.converted(data, to))
        self.check_back(data, titles)

    def test_numbers_stay_in_lists(self):
        data = make_dataset(self.folder / "data")
        back, _ = self.prepared(self.converted(data, "lightgcn"))
        # Its ids are what make_dataset calls them; all of its items are in train.
        self.assertEqual(table_of(back, "items.tsv"), table_of(data, "items.tsv"))
        for part in PARTS:
            rows = [[user, *sorted(items)] for user, *items in
                    (map(int, line.split()) for line in (data / f"{part}.txt").read_text().splitlines())]
            self.assertEqual([[int(word) for word in line.split()] for line in (back / f"{part}.txt").read_text().splitlines()], rows)

    def test_the_authors_tree(self):
        data = write_files(self.folder / "tree", odd_files(below="cf_data/"))
        titles = {item: title or item for item, title in TITLES.items()}
        for to in ("csv", "lightgcn"):
            back, _ = self.prepared(self.converted(data, to))
            self.check_back(back, titles)
        back, result = self.prepared(data)
        self.assertTrue(result.stdout.startswith("dataset"), result.stdout)
        self.check_back(back, {**titles, "-5": "-5"}, users_lose_titles=False)

    def test_the_bundled_dataset(self):
        """Interactions of items that nobody has in train leave when it comes back, as prepare says."""
        data = ROOT / "data/debian-deps"
        parts = {part: set(pairs) for part, pairs in parts_of(data).items()}
        trained = {item for _, item in parts["train"]}
        titles = dict(zip(*table_of(data, "items.tsv")))
        for to in FORMATS:
            with self.subTest(to):
                out = self.converted(data, to)
                self.assertEqual(content_of(out), content_of(self.converted(data, to)), "the same bytes again")
                back, _ = self.prepared(out)
                self.assertEqual({part: set(pairs) for part, pairs in parts_of(back).items()},
                                 {part: {pair for pair in pairs if pair[1] in trained} for part, pairs in parts.items()})
                self.assertEqual(dict(zip(*table_of(back, "items.tsv"))), {item: titles[item] for item in trained})


# What pandas.read_csv takes for a missing value by default; an empty id is no id here.
MISSING = ["#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND", "1.#QNAN", "<NA>", "N/A", "NA", "NULL", "NaN",
           "None", "n/a", "nan", "null"]
# Some that str.split() splits at, and that end no line of a refusal.
BLANKS = [" ", "\x1f", "\xa0", "\u1680", "\u2003", "\u202f", "\u205f", "\u3000"]


def with_id(where, id):
    """The odd dataset with this id in the place of the fourth user or item."""
    if where == "users":
        return odd_files(users=[*USERS[:3], id, *USERS[4:]])
    return odd_files(titles={id if item == "4" else item: title for item, title in TITLES.items()})


# name, the dataset's files, format, more arguments, words of the one line
REFUSED = [
    ("a blank in a user's id", with_id("users", "u 3"), "lightgcn", [], ["users.tsv", "'u 3'", "blank", "--to csv"]),
    ("a blank in an item's id", with_id("items", "x y"), "lightgcn", [], ["items.tsv", "'x y'", "blank"]),
    ("a quote before a user's id", with_id("users", '"u"'), "recbole", [], ["users.tsv", "'\"u\"'", "quote", "--to csv"]),
    ("a quote before an item's id", with_id("items", '"x'), "recbole", [], ["items.tsv", "'\"x'", "quote"]),
    *[(f"{word} for a user's id", with_id("users", word), "recbole", [], ["users.tsv", f"'{word}'", "missing value", "--to csv"])
      for word in MISSING],
    ("NA for an item's id", with_id("items", "NA"), "recbole", [], ["items.tsv", "'NA'", "missing value"]),
    *[(f"a blank {blank!r} in an id", with_id("users", f"u{blank}3"), "lightgcn", [], ["users.tsv", "blank"]) for blank in BLANKS],
    ("a carriage return in an id, CSV", with_id("items", "x\ry"), "csv", [], ["items.tsv", "carriage return"]),
    ("a carriage return in an id, RecBole", with_id("users", "x\ry"), "recbole", [], ["users.tsv", "carriage return"]),
    ("a name where none is", odd_files(), "csv", ["--name", "odd"], ["--name", "--to recbole alone"]),
    ("a name in another folder", odd_files(), "recbole", ["--name", "../odd"], ["--name ../odd", "'/'"]),
    ("an empty name", odd_files(), "recbole", ["--name", ""], ["--name", "empty"]),
    ("a dataset that is hurt", {**odd_files(), "valid.txt": "0 3\n1 x\n"}, "csv", [], ["valid.txt:2", "'x' is not a number"]),
    ("a table of others", {**odd_files(), "users.tsv": "0\ta\n1\tb\n"}, "csv", [], ["users.tsv", "names 2 users"]),
    ("no dataset", {"log.csv": "a,b\n"}, "csv", [], ["train.txt"]),
]
SYNTAX = [(["--to", "parquet"], ["--to", "parquet", "recbole"]), ([], ["--to is required"])]


class BadInput(ConvertTest):
    def check_refused(self, data, out, arguments, words):
        before = set(self.folder.iterdir())
        self.check_refusal(run("convert", data, "--out", out, *arguments), *words)
        self.assertEqual(set(self.folder.iterdir()), before)

    def test_refused(self):
        for number, (name, files, to, arguments, words) in enumerate(REFUSED):
            with self.subTest(name):
                data = write_files(self.folder / f"case{number}", files)
                self.check_refused(data, self.folder / "out", ["--to", to, *arguments], words)

    def test_syntax(self):
        data = write_files(self.folder / "odd", odd_files())
        for arguments, words in SYNTAX:
            with self.subTest(arguments):
                result = run("convert", data, "--out", self.folder / "out", *arguments)
                self.assertGreater(result.returncode, 100)
                for word in words:
                    self.assertIn(word, result.stderr.splitlines()[0])
                self.assertFalse((self.folder / "out").exists())

    def test_where_the_output_goes(self):
        data = write_files(self.folder / "odd", odd_files())
        before = content_of(data)
        for out, words in ((data, ["odd", "already and not empty"]), (data / "train.txt", ["train.txt", "not empty"]),
                           (data / "train.txt/out", ["train.txt/out"])):
            self.check_refused(data, out, ["--to", "csv"], words)
        self.assertEqual(content_of(data), before)
        for name in ("empty/", "to_empty", "dangling", "not/there/../yet"):
            empty = self.folder / "empty"
            shutil.rmtree(empty, ignore_errors=True)
            empty.mkdir()
            for link, target in (("to_empty", empty), ("dangling", "later")):
                (self.folder / link).unlink(missing_ok=True)
                (self.folder / link).symlink_to(target)
            with self.subTest(name):
                self.check_succeeds(run("convert", data, "--to", "csv", "--out", f"{self.folder}/{name}"))
                self.assertEqual(set(content_of((self.folder / name).resolve())), {"interactions.csv", "items.csv"})
        self.assertTrue((self.folder / "dangling").is_symlink())
        self.assertEqual([file.name for file in self.folder.iterdir() if "unfinished" in file.name], [])

    def test_an_output_that_cannot_give_way(self):
        """Said before anything is read: the dataset is not there."""
        empty, ring = self.folder / "here", self.folder / "ring"
        empty.mkdir()
        ring.symlink_to(ring)
        for name, out, words in (("the current folder", ".", ["runs in", "--out"]), ("by its path", empty, ["runs in", "--out"]),
                                 ("a link that leads to itself", ring, ["ring", "link"])):
            with self.subTest(name):
                self.check_refusal(run("convert", self.folder / "no", "--to", "csv", "--out", out, cwd=empty), *words)
                self.assertEqual(list(empty.iterdir()), [])

    def test_leftovers_of_dead_processes(self):
        data = write_files(self.folder / "odd", odd_files())
        with subprocess.Popen(["true"]) as dead:
            pass
        left = write_files(self.folder / f"out.unfinished.part{dead.pid}", {"items.csv": "half"})
        kept = [write_files(self.folder / f"out{name}", {"kept": ""}) for name in (f".unfinished.part{os.getpid()}", f".part{dead.pid}")]
        self.check_succeeds(run("convert", data, "--to", "csv", "--out", self.folder / "out"))
        self.assertFalse(left.exists())
        self.assertTrue(all(folder.is_dir() for folder in kept))

    def test_a_leftover_of_the_same_number(self):
        """The shell's number is the program's after exec."""
        data = write_files(self.folder / "odd", odd_files())
        out = self.folder / "out"
        self.check_succeeds(subprocess.run(
            ["sh", "-c", 'mkdir "$0.unfinished.part$$" && touch "$0.unfinished.part$$/stale" && exec "$@"', out, PROGRAM, "convert", data,
             "--to", "csv", "--out", out], capture_output=True, text=True))
        self.assertEqual(set(content_of(out)), {"interactions.csv", "items.csv"})

    def test_a_dataset_that_is_not_there(self):
        self.check_refused(self.folder / "elsewhere", self.folder / "out", ["--to", "csv"], ["elsewhere", "no such dataset"])

    def test_who_owns_every_item_goes_along(self):
        data = write_files(self.folder / "all", {"train.txt": "0 0 1\n1 1\n"})
        self.check_succeeds(run("convert", data, "--to", "csv", "--out", self.folder / "csv"))
        self.assertEqual((self.folder / "csv/interactions.csv").read_text().splitlines()[1:], ["0,0,train", "0,1,train", "1,1,train"])

    def test_what_stands_in_two_splits_goes_along(self):
        data = write_files(self.folder / "twice", {"train.txt": "0 0 1\n1 1 2\n", "test.txt": "0 1\n"})
        out = self.folder / "csv"
        self.check_succeeds(run("convert", data, "--to", "csv", "--out", out))
        self.assertEqual((out / "interactions.csv").read_text().splitlines()[1:],
                         ["0,0,train", "0,1,train", "1,1,train", "1,2,train", "0,1,test"])


if __name__ == "__main__":
    unittest.main(verbosity=2)
