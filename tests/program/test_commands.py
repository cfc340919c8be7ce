"""Every command on a small dataset: what it prints, what it writes, and that the commands agree with one another.

Rankings and metrics are worked out again here from the exported vectors, in double precision, with plain loops.
"""

import ast
import json
import math
import re
import shutil
import struct
import tomllib
import unittest

from engine_program import (RUN_FILES, ProgramTest, content_of, make_dataset, metrics, npy_bytes, read_npy, run, train,
                            vector, without_seconds)

USERS, ITEMS, WIDTH, COLD = 30, 20, 8, 2  # COLD more items have a language vector and a title, and no interaction
SCORE_BOUND = 2e-6  # of a float32 sum of 8 products of unit vectors' components: 8 terms x 2 x float epsilon
METRICS = ["recall", "ndcg", "hr", "precision", "map", "mrr"]
CONFIG_KEYS = {"model", "projector", "hidden", "width", "layers", "objective", "score", "tau", "batch", "negatives",
               "negative_distribution", "negative_exponent", "sampling", "init_std", "projector_layers", "lr", "weight_decay", "reg",
               "epochs", "eval_every", "patience", "monitor", "monitor_domain", "domain_shares", "mask", "topk", "seed",
               "threads", "precision", "compat"}


def read_split(data, name):
    return {int(words[0]): {int(word) for word in words[1:]}
            for words in map(str.split, (data / f"{name}.txt").read_text().splitlines())}


def read_table(file):
    """A TSV file with a header, as dictionaries."""
    header, *rows = [line.split("\t") for line in file.read_text().splitlines()]
    return [dict(zip(header, row)) for row in rows]


def user_metrics(ranked, relevant, k):
    hits = [rank for rank, item in enumerate(ranked[:k], 1) if item in relevant]
    ideal = sum(1 / math.log2(rank + 1) for rank in range(1, min(k, len(relevant)) + 1))
    return {"recall": len(hits) / len(relevant), "hr": float(bool(hits)), "precision": len(hits) / k,
            "ndcg": sum(1 / math.log2(rank + 1) for rank in hits) / ideal,
            "mrr": 1 / hits[0] if hits else 0.0,
            "map": sum(n / rank for n, rank in enumerate(hits, 1)) / len(hits) if hits else 0.0}


def make_cold_dataset(folder):
    data = make_dataset(folder, USERS, ITEMS, WIDTH)
    values = [value for row in range(ITEMS + COLD) for value in vector(row, WIDTH)]
    (data / "item_language.npy").write_bytes(npy_bytes([ITEMS + COLD, WIDTH], values))
    with open(data / "items.tsv", "a") as titles:
        titles.writelines(f"{i}\tit{i}\tTitle of {i}\n" for i in range(ITEMS, ITEMS + COLD))
    return data


class TrainCommand(ProgramTest):
    def setUp(self):
        super().setUp()
        self.data = make_dataset(self.folder / "data", USERS, ITEMS, WIDTH)
        self.run_folder = self.folder / "run"

    def train(self, *more):
        return train(self.data, self.run_folder, *more)

    def test_the_run_folder(self):
        self.check_succeeds(self.train("--seed", "5", "--set", "tau=0.2"))
        self.assertEqual({file.name for file in self.run_folder.iterdir()}, RUN_FILES)
        config = tomllib.loads((self.run_folder / "config.toml").read_text())
        self.assertEqual(set(config), CONFIG_KEYS)
        self.assertEqual((config["seed"], config["tau"], config["batch"], config["topk"], config["layers"]),
                         (5, 0.2, 32, [5], 2))
        facts = json.loads((self.run_folder / "run.json").read_text())
        self.assertEqual(facts["dataset"], str(self.data))
        report = (self.run_folder / "report.html").read_text()
        self.assertIn("<svg", report)
        for outside in ("<link", "<script src", "<img", "@import", "url("):
            self.assertNotIn(outside, report, "the report must stand alone")

    def test_a_run_that_carries_its_dataset(self):
        self.check_succeeds(self.train())
        commands = [["evaluate"], ["recommend", "--users", "3"], ["similar", "--item", "it2"]]
        before = [self.check_succeeds(run(name, self.run_folder, *more)).stdout for name, *more in commands]
        shutil.move(self.data, self.run_folder / "data")
        facts = json.loads((self.run_folder / "run.json").read_text())
        (self.run_folder / "run.json").write_text(json.dumps({**facts, "dataset": "data"}))
        moved = self.folder / "elsewhere" / "moved"
        moved.parent.mkdir()
        shutil.move(self.run_folder, moved)
        for place, cwd in ((moved, "/"), ("moved", moved.parent), (".", moved), ("../moved/", moved)):
            for (name, *more), output in zip(commands, before, strict=True):
                result = self.check_succeeds(run(name, place, *more, cwd=cwd))
                self.assertEqual((result.stdout, result.stderr), (output, ""))

    def make_exploding_dataset(self):
        """Its vectors are finite, but their products are not: with score=dot the first loss is no number."""
        data = make_dataset(self.folder / "exploding", USERS, ITEMS, WIDTH)
        values = [1e30 * value for row in range(ITEMS) for value in vector(row, WIDTH)]
        (data / "item_language.npy").write_bytes(npy_bytes([ITEMS, WIDTH], values))
        return data

    def test_overwriting_waits_for_a_checkpoint(self):
        self.check_succeeds(self.train())
        before = content_of(self.run_folder)
        exploding = ["--set", "score=dot", "--overwrite"]
        self.check_refusal(train(self.make_exploding_dataset(), self.run_folder, *exploding), "no longer finite",
                           f"The earlier run in {self.run_folder} is as it was")
        self.assertEqual(content_of(self.run_folder), before)
        self.check_succeeds(self.train("--overwrite", "--epochs", "2"))
        after = content_of(self.run_folder)
        self.assertEqual(set(after), RUN_FILES)
        self.assertEqual(len(metrics(self.run_folder)), 1)
        self.assertEqual(tomllib.loads(after["config.toml"].decode())["epochs"], 2)

    def test_a_loss_that_is_no_number_in_a_new_folder(self):
        self.check_refusal(train(self.make_exploding_dataset(), self.run_folder, "--set", "score=dot"),
                           "no longer finite", "No checkpoint was saved yet")

    def test_a_dataset_goes_by_its_folders_name(self):
        result = self.check_succeeds(train(".", self.run_folder, cwd=self.data))
        self.assertTrue(result.stdout.startswith("data: "), result.stdout)

    def test_only_training_speaks_of_the_device(self):
        result = self.check_succeeds(run("train", self.data, "--out", self.run_folder))
        self.assertIn("device auto", result.stdout)
        for command in (["evaluate", self.run_folder], ["evaluate", "--model", "random", self.data],
                        ["recommend", self.run_folder, "--users", "all"], ["similar", self.run_folder, "--item", "it1"],
                        ["export", self.run_folder, "--out", self.folder / "vectors"]):
            self.assertEqual(self.check_succeeds(run(*command)).stderr, "")

    def test_lines_of_metrics(self):
        self.check_succeeds(self.train("--set", "topk=[2, 5]"))
        lines = metrics(self.run_folder)
        self.assertEqual([line["epoch"] for line in lines], [2, 4])
        for line in lines:
            self.assertEqual(list(line), ["epoch", "loss", "valid", "seconds"])
            self.assertEqual(set(line["valid"]), {f"{metric}@{k}" for metric in METRICS for k in (2, 5)})
            self.assertGreater(line["loss"], 0)
            self.assertGreaterEqual(line["seconds"], 0)

    def test_tracking_test_selects_nothing(self):
        self.check_succeeds(self.train())
        tracked = self.folder / "tracked"
        self.check_succeeds(train(self.data, tracked, "--track", "test"))
        for plain, line in zip(metrics(self.run_folder), metrics(tracked), strict=True):
            self.assertEqual(list(line), ["epoch", "loss", "valid", "test", "seconds"])
            self.assertEqual(set(line["test"]), {f"{metric}@5" for metric in METRICS})
            self.assertEqual(line["valid"], plain["valid"])
        for name in ("best.safetensors", "last.safetensors"):
            self.assertEqual((tracked / name).read_bytes(), (self.run_folder / name).read_bytes())

    def test_early_stopping(self):
        self.check_succeeds(self.train("--epochs", "400", "--set", "eval_every=1", "--set", "patience=3"))
        values = [line["valid"]["recall@5"] for line in metrics(self.run_folder)]
        best = values.index(max(values))
        self.assertEqual(len(values), best + 1 + 3)

    def test_the_best_epoch_is_kept(self):
        self.check_succeeds(self.train("--epochs", "12", "--set", "eval_every=1"))
        values = [line["valid"]["recall@5"] for line in metrics(self.run_folder)]
        file = self.folder / "valid.json"
        self.check_succeeds(run("evaluate", self.run_folder, "--split", "valid", "--threads", "1", "--json", file))
        self.assertEqual(json.loads(file.read_text())["metrics"]["recall@5"], max(values))

    def test_resume_where_nothing_is(self):
        result = self.check_succeeds(self.train("--resume"))
        self.assertIn("nothing to resume yet, starting anew", result.stdout)
        self.assertEqual({file.name for file in self.run_folder.iterdir()}, RUN_FILES)

    def test_a_folder_that_holds_a_run(self):
        self.check_succeeds(self.train())
        before = content_of(self.run_folder)
        self.check_refusal(self.train("--seed", "9"), self.run_folder, "--resume", "--overwrite")
        self.check_refusal(self.train("--resume", "--seed", "9"), "last.safetensors", "other settings")
        other = make_dataset(self.folder / "other", USERS + 1, ITEMS, WIDTH)
        self.check_refusal(train(other, self.run_folder, "--resume"), "last.safetensors", "other data")
        self.assertEqual(content_of(self.run_folder), before)
        self.check_succeeds(self.train("--overwrite", "--seed", "9"))
        anew = self.folder / "anew"
        self.check_succeeds(train(self.data, anew, "--seed", "9"))
        for name in ("best.safetensors", "last.safetensors"):
            self.assertEqual((self.run_folder / name).read_bytes(), (anew / name).read_bytes())

    def test_a_run_resumes_with_its_own_settings(self):
        self.check_succeeds(self.train("--set", "lr=0.01", "--epochs", "4"))
        self.check_succeeds(self.train("--resume", "--epochs", "8"))
        whole = self.folder / "whole"
        self.check_succeeds(train(self.data, whole, "--set", "lr=0.01", "--epochs", "8"))
        self.assertEqual((self.run_folder / "last.safetensors").read_bytes(), (whole / "last.safetensors").read_bytes())
        self.assertEqual(without_seconds(metrics(self.run_folder)), without_seconds(metrics(whole)))

    def test_what_a_pipe_gets(self):
        result = self.check_succeeds(self.train())
        self.assertEqual(result.stderr, "")
        self.assertRegex(result.stdout, r"\A[\x20-\x7e\n]+\Z", "plain lines only")
        self.assertEqual(len(re.findall(r"^epoch +\d+  loss \d+\.\d{4}  valid recall@5 \d\.\d{4}", result.stdout, re.M)), 2)
        self.assertIn("popularity", result.stdout)

    def test_quiet(self):
        result = self.check_succeeds(self.train("--quiet"))
        self.assertEqual((result.stdout, result.stderr), ("", ""))
        result = train(self.data, self.run_folder, "--quiet")
        self.check_refusal(result, "--resume")

    def test_other_models_and_objectives(self):
        for settings in (["model=linear"], ["model=linear", "layers=2"], ["layers=0"], ["objective=bpr"],
                         ["objective=bpr", "score=dot"], ["sampling=interaction"], ["objective=softmax"],
                         ["objective=softmax", "model=linear", "negatives=9"], ["objective=inbatch"],
                         ["sampling=random_user"],
                         ["negative_distribution=popularity"],
                         ["negative_distribution=popularity", "negative_exponent=1.5", "objective=bpr"]):
            with self.subTest(settings):
                arguments = [word for setting in settings for word in ("--set", setting)]
                self.check_succeeds(self.train("--overwrite", *arguments))
                self.check_succeeds(run("evaluate", self.run_folder))


class CommandsOnARun(ProgramTest):
    """One training, of a dataset with cold items, for all of these tests."""

    def setUp(self):
        super().setUp()
        self.data = make_cold_dataset(self.folder / "data")
        self.run_folder = self.folder / "run"
        self.check_succeeds(train(self.data, self.run_folder, "--epochs", "6"))
        self.splits = {name: read_split(self.data, name) for name in ("train", "valid", "test")}

    def run_json_lines(self, *arguments):
        result = self.check_succeeds(run(*arguments, "--format", "jsonl"))
        return [json.loads(line) for line in result.stdout.splitlines()]

    def exported(self):
        out = self.folder / "vectors"
        self.check_succeeds(run("export", self.run_folder, "--out", out))
        self.assertEqual({file.name for file in out.iterdir()},
                         {"user_vectors.npy", "item_vectors.npy", "users.tsv", "items.tsv"})
        (rows, width), users = read_npy(out / "user_vectors.npy")
        (item_rows, item_width), items = read_npy(out / "item_vectors.npy")
        self.assertEqual((rows, item_rows, width, item_width), (USERS, ITEMS + COLD, WIDTH, WIDTH))
        cut = lambda values: [values[at:at + width] for at in range(0, len(values), width)]
        return cut(users), cut(items)

    def scores(self, vector_, items):
        return [sum(a * b for a, b in zip(vector_, item)) for item in items]

    def seen(self, user, splits):
        return set().union(*(self.splits[split].get(user, set()) for split in splits))

    def check_list(self, entries, scores, left_out, k):
        """The k best of the scores but for those left out: places may differ only where scores hardly do."""
        want = sorted((item for item in range(len(scores)) if item not in left_out), key=lambda item: -scores[item])[:k]
        self.assertEqual([entry["rank"] for entry in entries], list(range(1, len(want) + 1)))
        ids = [int(entry["item"].removeprefix("it")) for entry in entries]
        self.assertEqual(len(set(ids)), len(ids))
        self.assertFalse(left_out & set(ids))
        for entry, item, wanted in zip(entries, ids, want, strict=True):
            self.assertEqual(entry["title"], f"Title of {item}")
            self.assertAlmostEqual(entry["score"], scores[item], delta=SCORE_BOUND)
            self.assertAlmostEqual(scores[item], scores[wanted], delta=SCORE_BOUND)

    def test_export(self):
        users, items = self.exported()
        for row in users + items:
            self.assertAlmostEqual(math.hypot(*row), 1, delta=SCORE_BOUND)
        tables = self.folder / "vectors"
        self.assertEqual([row["item"] for row in read_table(tables / "items.tsv")], [f"it{i}" for i in range(ITEMS + COLD)])
        self.assertEqual(read_table(tables / "items.tsv")[3], {"row": "3", "item": "it3", "title": "Title of 3"})
        self.assertEqual([row["user"] for row in read_table(tables / "users.tsv")], [str(u) for u in range(USERS)])

    def test_export_for_vector_search(self):
        users, items = self.exported()
        out = self.folder / "vectors"  # that of the other export: no file of it stays beside other tables
        self.check_succeeds(run("export", self.run_folder, "--out", out, "--format", "fvecs"))
        self.assertEqual({file.name for file in out.iterdir()},
                         {"user_vectors.fvecs", "item_vectors.fvecs", "users.tsv", "items.tsv"})
        for name, rows in (("user", users), ("item", items)):
            content = (out / f"{name}_vectors.fvecs").read_bytes()
            self.assertEqual(content, b"".join(struct.pack(f"<i{WIDTH}f", WIDTH, *row) for row in rows))

    def test_recommend_into_files(self):
        command = ["recommend", self.run_folder, "--users", "all", "--topk", str(ITEMS + COLD)]
        for form in ("table", "tsv", "jsonl"):
            printed = self.check_succeeds(run(*command, "--format", form)).stdout
            file = self.folder / f"lists.{form}"
            self.assertEqual(self.check_succeeds(run(*command, "--format", form, "--out", file)).stdout, "")
            self.assertEqual(file.read_text(), printed)
        lists = self.run_json_lines(*command)
        file = self.folder / "lists.npy"
        self.check_refusal(run(*command, "--format", "npy"), "--out FILE.npy")
        self.check_succeeds(run(*command, "--format", "npy", "--out", file))
        shape, entries = self.read_lists(file)
        self.assertEqual(shape, [USERS, ITEMS + COLD])
        for user, entry in enumerate(lists):
            row = entries[user * (ITEMS + COLD):(user + 1) * (ITEMS + COLD)]
            there = row[:len(entry["items"])]
            self.assertEqual([f"it{item}" for item, _ in there], [each["item"] for each in entry["items"]])
            self.assertEqual([score for _, score in there],  # as float32 both
                             [struct.unpack("f", struct.pack("f", each["score"]))[0] for each in entry["items"]])
            self.assertEqual({item for item, _ in row[len(entry["items"]):]}, {-1})  # what she has is left out
        self.check_succeeds(run("recommend", self.run_folder, "--history", "it1,it2", "--topk", "3", "--format", "npy",
                                "--out", file))
        self.assertEqual(self.read_lists(file)[0], [1, 3])

    @staticmethod
    def read_lists(file):
        """Shape, and (item, score) of each place."""
        content = file.read_bytes()
        length, = struct.unpack_from("<H", content, 8)
        header = ast.literal_eval(content[10:10 + length].decode())
        assert header["descr"] == [("item", "<i4"), ("score", "<f4")], header
        return list(header["shape"]), list(struct.iter_unpack("<if", content[10 + length:]))

    def test_recommend_all(self):
        users, items = self.exported()
        lists = self.run_json_lines("recommend", self.run_folder, "--users", "all", "--topk", "6")
        self.assertEqual([entry["user"] for entry in lists], [str(u) for u in range(USERS)])
        for user, entry in enumerate(lists):
            self.check_list(entry["items"], self.scores(users[user], items),
                            self.seen(user, ("train", "valid", "test")), 6)

    def test_users_in_a_file(self):
        names = [f"user {u}" for u in range(USERS)]
        names[3], names[4] = "all", "a,b"
        (self.data / "users.tsv").write_text("".join(f"{u}\t{name}\n" for u, name in enumerate(names)))
        file = self.folder / "users.txt"
        file.write_text("a,b\r\nall\n")
        lists = self.run_json_lines("recommend", self.run_folder, "--users-file", file)
        self.assertEqual([entry["user"] for entry in lists], ["a,b", "all"])
        file.write_text("\n")
        self.check_refusal(run("recommend", self.run_folder, "--users-file", file), file, "names no user")
        self.check_refusal(run("recommend", self.run_folder, "--users-file", file, "--users", "all"), "give one of")

    def test_recommend_seen_items_too(self):
        users, items = self.exported()
        entry, = self.run_json_lines("recommend", self.run_folder, "--users", "4", "--include-seen", "--topk", "1000")
        self.check_list(entry["items"], self.scores(users[4], items), set(), 1000)
        self.assertEqual(len(entry["items"]), ITEMS + COLD)

    def test_recommend_some_items_only(self):
        users, items = self.exported()
        only, never = self.folder / "only.txt", self.folder / "never.txt"
        only.write_text("it1\nit20\r\n\nit7\nit21\n")
        never.write_text("it21\n")
        entry, = self.run_json_lines("recommend", self.run_folder, "--users", "2", "--include-seen",
                                     "--only-items", only, "--exclude-items", never)
        self.check_list(entry["items"], self.scores(users[2], items), set(range(len(items))) - {1, 7, 20}, 10)
        entry, = self.run_json_lines("recommend", self.run_folder, "--users", "2", "--exclude-items", never, "--topk", "99")
        self.check_list(entry["items"], self.scores(users[2], items),
                        self.seen(2, ("train", "valid", "test")) | {21}, 99)
        never.write_text("it1\nnowhere\n")
        self.check_refusal(run("recommend", self.run_folder, "--users", "2", "--exclude-items", never), "no item 'nowhere'")

    def test_recommend_for_a_history(self):
        history = self.splits["train"][5]
        entry, = self.run_json_lines("recommend", self.run_folder, "--history", ",".join(f"it{i}" for i in history))
        self.assertIsNone(entry["user"])
        self.assertEqual(entry["history"], [f"it{i}" for i in sorted(history)])
        recommended = {int(item["item"].removeprefix("it")) for item in entry["items"]}
        self.assertEqual(len(recommended), 10)
        self.assertFalse(history & recommended)
        shuffled, = self.run_json_lines("recommend", self.run_folder, "--history",
                                        ",".join(f"it{i}" for i in [*reversed(sorted(history)), *history]))
        self.assertEqual(shuffled, entry, "a history is a set")

    def test_recommend_for_histories(self):
        """Each as if it were alone; exactly: as a user of a dataset that has her."""
        histories = [sorted(self.splits["train"][user]) for user in (5, 7)]
        file = self.folder / "histories.tsv"
        file.write_text("".join("\t".join(f"it{item}" for item in own) + "\n\n" for own in histories))
        rebuilt = shutil.copytree(self.data, self.folder / "rebuilt")
        for more in ([], ["--exact"]):
            entries = self.run_json_lines("recommend", self.run_folder, "--histories", file, *more)
            for own, entry in zip(histories, entries, strict=True):
                alone, = self.run_json_lines("recommend", self.run_folder, "--history",
                                             ",".join(f"it{item}" for item in own), *more)
                self.assertEqual(entry, alone)
                if not more:
                    continue
                (rebuilt / "train.txt").write_text((self.data / "train.txt").read_text()
                                                   + " ".join(map(str, [USERS, *own])) + "\n")
                user, = self.run_json_lines("recommend", self.run_folder, "--data", rebuilt, "--users", USERS)
                self.assertEqual([item["item"] for item in user["items"]], [item["item"] for item in entry["items"]])
                for ours, theirs in zip(entry["items"], user["items"]):
                    self.assertAlmostEqual(ours["score"], theirs["score"], delta=SCORE_BOUND)
        rows = self.check_succeeds(run("recommend", self.run_folder, "--histories", file, "--format", "tsv")).stdout
        self.assertEqual({row.split("\t")[0] for row in rows.splitlines()[1:]}, {"history 1", "history 2"})

    def language(self, item):
        return vector(item, WIDTH)

    def intended(self, user, query, alpha, *more):
        entry, = self.run_json_lines("recommend", self.run_folder, "--users", str(user), "--alpha", str(alpha), *query,
                                     "--include-seen", "--topk", "1000", *more)
        return {item["item"]: item["score"] for item in entry["items"]}

    def check_scores(self, got, want):
        self.assertEqual(set(got), set(want))
        for item, score in want.items():
            self.assertAlmostEqual(got[item], score, delta=10 * SCORE_BOUND, msg=item)

    def test_new_items(self):
        """As items that the dataset had from the start, without interactions; nobody else moves."""
        first, added = ITEMS + COLD, 3
        names = [f"{first + n}\tnew{n}\tNewly made, number {n}\n" for n in range(added)]
        # The first is near an item with users, the second is as a cold one, the third like none.
        vectors = [[1.01 * value for value in self.language(4)], self.language(ITEMS), vector(500, WIDTH)]
        table, matrix = self.folder / "new.tsv", self.folder / "new.npy"
        table.write_text("item\toriginal_id\ttitle\n" + "".join(reversed(names)))
        matrix.write_bytes(npy_bytes((added, WIDTH), sum(vectors, [])))
        new = ["--new-items", table, "--new-vectors", matrix]
        grown = shutil.copytree(self.data, self.folder / "grown")
        with open(grown / "items.tsv", "a") as items:
            items.write("".join(names))
        rows = [self.language(item) for item in range(first)] + vectors
        (grown / "item_language.npy").write_bytes(npy_bytes((first + added, WIDTH), sum(rows, [])))
        only = self.folder / "only.txt"
        only.write_text("new0\nnew2\nit3\n")
        for arguments in (["recommend", "--users", "all", "--topk", first + added],
                          ["recommend", "--users", "3", "--only-items", only],
                          ["recommend", "--users", "3", "--exclude-items", only],
                          ["recommend", "--users", "3", "--intent-item", "new2", "--alpha", "0.5"],
                          ["recommend", "--history", "it1,new1,it7"], ["recommend", "--history", "it1,new1", "--exact"],
                          ["similar", "--item", "new0"]):
            with self.subTest(arguments):
                command, *rest = arguments
                lists = self.run_json_lines(command, self.run_folder, *rest, *new)
                wanted = self.run_json_lines(command, self.run_folder, "--data", grown, *rest)
                titles = {item["item"]: item["title"] for entry in lists for item in entry["items"]}
                if arguments[1:3] == ["--users", "all"]:
                    self.assertEqual(titles["new0"], "Newly made, number 0")
                for entry, want in zip(lists, wanted, strict=True):
                    for ours, theirs in zip(entry.pop("items"), want.pop("items"), strict=True):
                        self.assertAlmostEqual(ours.pop("score"), theirs.pop("score"), delta=SCORE_BOUND)
                        self.assertEqual(ours, theirs)
                    self.assertEqual(entry, want)
        alike, = self.run_json_lines("similar", self.run_folder, "--item", "new1", *new)
        self.assertEqual(alike["items"][0]["item"], f"it{ITEMS}")
        self.assertAlmostEqual(alike["items"][0]["score"], 1, delta=SCORE_BOUND)

    def test_recommend_towards_an_item(self):
        query = ["--intent-item", "it7"]
        plain, = self.run_json_lines("recommend", self.run_folder, "--users", "4", "--include-seen", "--topk", "1000")
        self.check_scores(self.intended(4, query, 0), {item["item"]: item["score"] for item in plain["items"]})
        for alpha in (0.3, 1):
            self.check_scores(self.intended(4, query, alpha), self.intended(4, query, alpha, "--exact"))
        file = self.folder / "intent.npy"
        for shape in ([WIDTH], [1, WIDTH]):
            file.write_bytes(npy_bytes(shape, self.language(7)))
            self.assertEqual(self.intended(4, ["--intent-vector", file], 0.3), self.intended(4, query, 0.3))
        self.assertNotEqual(self.intended(4, query, 0.3), self.intended(4, query, 0.6))
        lists = self.run_json_lines("recommend", self.run_folder, "--users", "all", "--alpha", "0.5", *query, "--topk", "30")
        for user, entry in enumerate(lists):
            items = {int(item["item"].removeprefix("it")) for item in entry["items"]}
            self.assertEqual(items, set(range(ITEMS + COLD)) - self.seen(user, ("train", "valid", "test")))
        text = self.check_succeeds(run("recommend", self.run_folder, "--users", "4", "--alpha", "0.5", *query)).stdout
        self.assertIn("for 4 (4 items in train), alpha 0.5 towards it7:", text)

    def write_queries(self, items):
        (self.folder / "queries.tsv").write_text("item\tquery\n" + "".join(f"{i}\tsomething like {i}\tknown\n" for i in items))
        values = [value for i in items for value in vector(i + 50, WIDTH)]
        (self.folder / "queries.npy").write_bytes(npy_bytes([len(items), WIDTH], values))
        return ["--queries", self.folder / "queries.tsv", "--vectors", self.folder / "queries.npy"]

    def test_intention(self):
        test = self.splits["test"]
        targets = {user: min(items) for user, items in test.items()}
        (self.folder / "targets.tsv").write_text("".join(f"{u}\t{i}\n" for u, i in targets.items()))
        jsonl, html = self.folder / "sweep.jsonl", self.folder / "sweep.html"
        items = list(reversed(range(ITEMS)))  # a query's row is its line, not its item
        command = ["intention", self.run_folder, *self.write_queries(items), "--targets", self.folder / "targets.tsv"]
        text = self.check_succeeds(run(*command, "--alpha", "0:0.9:0.3", "--jsonl", jsonl, "--html", html,
                                       "--lists", "3,8", "--topk", "4")).stdout
        lines = [json.loads(line) for line in jsonl.read_text().splitlines()]
        self.assertEqual([line["alpha"] for line in lines], [0, 0.3, 0.6, 0.9])
        for line in lines:
            self.assertEqual(line["users"], USERS)
            hits, gain, recall = 0, 0.0, 0.0
            for user, target in targets.items():
                (self.folder / "intent.npy").write_bytes(npy_bytes([WIDTH], vector(target + 50, WIDTH)))
                scores = self.intended(user, ["--intent-vector", self.folder / "intent.npy"], line["alpha"])
                left = {int(name.removeprefix("it")): score for name, score in scores.items()}
                ranked = sorted(left.keys() - self.seen(user, ("train", "valid")), key=lambda item: -left[item])
                place = ranked.index(target)
                hits += place < 5
                gain += 1 / math.log2(place + 2) if place < 5 else 0
                others = test[user] - {target}
                recall += len(others & set(ranked[:20])) / len(others)
            self.assertAlmostEqual(line["target"]["hr@5"], hits / USERS, places=9)
            self.assertAlmostEqual(line["target"]["ndcg@5"], gain / USERS, places=9)
            self.assertAlmostEqual(line["others"]["recall@20"], recall / USERS, places=9)
        best = max(lines, key=lambda line: line["target"]["hr@5"])["alpha"]
        self.assertIn(f"best hr@5 at alpha {best:g}", text)
        for user in (3, 8):
            self.assertIn(f"{user} wants Title of {targets[user]}: something like {targets[user]}\nalpha 0:\n", text)
        self.assertEqual(text.count("Title of"), 2 + 2 * 2 * 4)
        page = html.read_text()
        self.assertEqual(page.count("<polyline"), 3)
        for outside in ("<link", "<script src", "<img", "@import", "url("):
            self.assertNotIn(outside, page, "the page must stand alone")
        alone = self.check_succeeds(run(*command, "--alpha", "0:0.9:0.3", "--jsonl", "-")).stdout
        self.assertEqual(alone, jsonl.read_text())

    def test_intention_without_queries(self):
        command = ["intention", self.run_folder, "--alpha", "0,0.5", "--jsonl", "-"]
        first = self.check_succeeds(run(*command)).stdout
        self.assertIn("synthetic", json.loads(first.splitlines()[0])["queries"])
        self.assertEqual(self.check_succeeds(run(*command, "--seed", "101")).stdout, first)
        seeds = {self.check_succeeds(run(*command, "--seed", str(seed))).stdout for seed in range(4)}
        self.assertGreater(len(seeds), 1)
        # Queries for some items alone: the targets are drawn among them.
        some = sorted(self.splits["test"][5])
        line = json.loads(self.check_succeeds(run(*command, *self.write_queries(some))).stdout.splitlines()[0])
        self.assertEqual(line["users"], sum(bool(own & set(some)) for own in self.splits["test"].values()))

    def test_formats(self):
        command = ["recommend", self.run_folder, "--users", "3,8", "--topk", "4"]
        lists = self.run_json_lines(*command)
        tsv = self.check_succeeds(run(*command, "--format", "tsv")).stdout.splitlines()
        self.assertEqual(tsv[0].split("\t"), ["user", "rank", "item", "score", "title"])
        rows = [line.split("\t") for line in tsv[1:]]
        flat = [(entry["user"], item) for entry in lists for item in entry["items"]]
        self.assertEqual([row[:3] + row[4:] for row in rows],
                         [[user, str(item["rank"]), item["item"], item["title"]] for user, item in flat])
        table = self.check_succeeds(run(*command)).stdout
        self.assertIn("for 3 (4 items in train):", table)
        for user, item in flat:
            self.assertIn(f"{item['title']}  [{item['item']}]", table)

    def test_similar(self):
        _, items = self.exported()
        for item in (0, 11, ITEMS):  # the last is cold
            entry, = self.run_json_lines("similar", self.run_folder, "--item", f"it{item}", "--topk", "5")
            self.assertEqual(entry["item"], f"it{item}")
            self.check_list(entry["items"], self.scores(items[item], items), {item}, 5)

    def check_evaluation(self, split, masked):
        users, items = self.exported()
        json_file, per_user = self.folder / "metrics.json", self.folder / "per_user.tsv"
        self.check_succeeds(run("evaluate", self.run_folder, "--split", split, "--topk", "3,7", "--json", json_file,
                                "--per-user", per_user, "--groups"))
        written = json.loads(json_file.read_text())
        truth = self.splits[split]
        self.assertEqual((written["split"], written["users"], written["masked"]), (split, USERS, "+".join(masked)))
        rows = read_table(per_user)
        self.assertEqual([row["user"] for row in rows], [str(user) for user in sorted(truth)])
        total = dict.fromkeys(written["metrics"], 0.0)
        self.assertEqual(set(total), {f"{metric}@{k}" for metric in METRICS for k in (3, 7)})
        for user, row in zip(sorted(truth), rows):
            scores = self.scores(users[user], items)
            left = [item for item in range(len(items)) if item not in self.seen(user, masked)]
            ranked = sorted(left, key=lambda item: -scores[item])
            for k in (3, 7):
                for metric, value in user_metrics(ranked, truth[user], k).items():
                    self.assertAlmostEqual(float(row[f"{metric}@{k}"]), value, places=9, msg=f"{metric}@{k} of {user}")
                    total[f"{metric}@{k}"] += value / len(truth)
        for key, value in total.items():
            self.assertAlmostEqual(written["metrics"][key], value, places=9, msg=key)
        groups = [group for group in written["groups"] if group["group"].startswith("history ")]
        self.assertEqual(sum(group["users"] for group in groups), USERS)
        for key, value in written["metrics"].items():
            mean = sum(group["metrics"][key] * group["users"] for group in groups) / USERS
            self.assertAlmostEqual(mean, value, places=9, msg=f"{key} by history")
        self.check_item_groups(written["groups"][len(groups):], users, items, truth, masked)

    def check_item_groups(self, groups, users, items, truth, masked):
        """Each group against plain loops over the items that its name speaks of."""
        count = [sum(item in own for own in self.splits["train"].values()) for item in range(len(items))]
        covered = set()
        for group in groups:
            bounds = list(map(int, re.findall(r"\d+", group["group"])))  # none: the cold ones
            low, high = (*bounds, 10**9)[:2] if bounds else (0, 1)
            own = {item for item, c in enumerate(count) if low <= c < high}
            self.assertFalse(covered & own)
            covered |= own
            asking = [user for user in sorted(truth) if truth[user] & own]
            self.assertEqual(group["users"], len(asking), group["group"])
            total = dict.fromkeys(group["metrics"], 0.0)
            for user in asking:
                scores = self.scores(users[user], items)
                left = [item for item in range(len(items)) if item not in self.seen(user, masked)]
                ranked = sorted(left, key=lambda item: -scores[item])
                for k in (3, 7):
                    for metric, value in user_metrics(ranked, truth[user] & own, k).items():
                        total[f"{metric}@{k}"] += value / len(asking)
            for key, value in total.items():
                self.assertAlmostEqual(group["metrics"][key], value, places=9, msg=f"{key} of {group['group']}")
        self.assertLessEqual(set().union(*truth.values()), covered)

    def test_metrics_on_standard_output_and_devices(self):
        command = ["evaluate", self.run_folder, "--device", "cpu"]
        file = self.folder / "metrics.json"
        self.check_succeeds(run(*command, "--json", file))
        self.assertEqual(self.check_succeeds(run(*command, "--json", "-")).stdout, file.read_text())
        table = self.check_succeeds(run(*command, "--per-user", "-")).stdout.splitlines()
        self.assertEqual(len(table), 1 + USERS)
        with open(self.folder / "all.txt", "w") as output:
            self.check_succeeds(run(*command, "--json", "/dev/stdout", stdout=output))
        both = (self.folder / "all.txt").read_text()
        self.assertIn("test split", both.splitlines()[0])
        self.assertTrue(both.endswith(file.read_text()))
        link = self.folder / "link.json"
        link.symlink_to("metrics.json")
        file.write_text("earlier")
        self.check_succeeds(run(*command, "--json", link))
        self.assertTrue(link.is_symlink())
        self.assertEqual(json.loads(file.read_text())["users"], USERS)

    def test_evaluate_test(self):
        self.check_evaluation("test", ("train", "valid"))

    def test_evaluate_valid(self):
        self.check_evaluation("valid", ("train", "test"))

    def test_evaluate_masks_train_alone(self):
        file = self.folder / "metrics.json"
        self.check_succeeds(run("evaluate", self.run_folder, "--mask", "train", "--json", file))
        self.assertEqual(json.loads(file.read_text())["masked"], "train")

    def test_evaluate_cold_items(self):
        """Items that only the test split asks for are ranked by their language alone."""
        with open(self.data / "test.txt", "a") as test:
            test.write(f"0 {ITEMS}\n7 {ITEMS + 1}\n")
        file = self.folder / "metrics.json"
        self.check_succeeds(run("evaluate", self.run_folder, "--data", self.data, "--topk", str(ITEMS + COLD),
                                "--json", file))
        self.assertEqual(json.loads(file.read_text())["metrics"][f"recall@{ITEMS + COLD}"], 1.0)

    def check_groups(self, written, relevant_of, ranked):
        """The metrics in evaluate --cold's JSON, worked out again from full rankings by model and user."""
        for group in written["groups"]:
            relevant = relevant_of[group["group"]]
            self.assertEqual(group["users"], len(relevant))
            for entry in group["models"]:
                rank = ranked.get(entry["model"])
                if rank is None:
                    continue
                for key, value in entry["metrics"].items():
                    metric, k = key.split("@")
                    want = [user_metrics(rank(user), items, int(k))[metric] for user, items in relevant.items()]
                    self.assertAlmostEqual(value, sum(want) / len(want), places=12, msg=f"{group['group']}: {key}")

    def test_evaluate_cold_items_apart(self):
        self.check_refusal(run("evaluate", self.run_folder, "--cold", "items"), "no item without training", "split")
        with open(self.data / "test.txt", "a") as test:
            test.write(f"0 {ITEMS}\n7 {ITEMS + 1}\n")
        file = self.folder / "cold.json"
        self.check_succeeds(run("evaluate", self.run_folder, "--data", self.data, "--topk", "5,9", "--cold", "items",
                                "--json", file))
        written = json.loads(file.read_text())
        self.assertEqual((written["split"], written["cold"], written["masked"]), ("test", "items", "train+valid"))
        self.assertNotIn("overlap@20", written)
        test = {**self.splits["test"], 0: self.splits["test"][0] | {ITEMS}, 7: self.splits["test"][7] | {ITEMS + 1}}
        train_items = set().union(*self.splits["train"].values())
        relevant = {"cold items, no training interaction": {0: {ITEMS}, 7: {ITEMS + 1}}, "all items": test,
                    "items with training interactions": {user: own & train_items for user, own in test.items()
                                                         if own & train_items}}
        users, items = self.exported()

        def ranked(user):
            scores, seen = self.scores(users[user], items), self.seen(user, ("train", "valid"))
            return sorted((item for item in range(len(items)) if item not in seen), key=lambda item: -scores[item])
        self.assertEqual([group["group"] for group in written["groups"]],
                         ["cold items, no training interaction", "items with training interactions", "all items"])
        self.assertEqual([entry["model"] for entry in written["groups"][0]["models"]],
                         ["alpharec, zero-shot", "emb-knn", "popularity"])
        self.check_groups(written, relevant, {"alpharec, zero-shot": ranked})

    def test_a_split_with_cold_users(self):
        """Made, trained on, evaluated: their lists are those of recommend for their histories."""
        cold, run_folder, file = self.folder / "cold", self.folder / "cold_run", self.folder / "cold.json"
        self.check_refusal(run("evaluate", self.run_folder, "--cold", "users"), "no user with valid and test items", "split")
        said = self.check_succeeds(run("split", self.data, "--out", cold, "--cold", "users", "--share", "0.2")).stdout
        self.assertIn("6 of 30 users", said)
        self.assertIn("moved          24 interactions to valid", said)
        splits = {name: read_split(cold, name) for name in ("train", "valid", "test")}
        people = {user for user, own in splits["train"].items() if not own}
        self.assertEqual(len(people), 6)
        self.assertEqual(splits["test"], self.splits["test"])
        for user in range(USERS):
            self.assertEqual(splits["train"][user] | splits["valid"][user], self.seen(user, ("train", "valid")))
        self.assertEqual((cold / "config.toml").read_text(), (self.data / "config.toml").read_text())
        self.check_succeeds(train(cold, run_folder, "--epochs", "2"))
        self.check_succeeds(run("evaluate", run_folder, "--topk", "3,16", "--cold", "users", "--json", file))
        written = json.loads(file.read_text())
        lists = {}
        for kind, more in (("frozen", []), ("rebuilt", ["--exact"])):
            histories = self.folder / "histories.tsv"
            histories.write_text("".join("\t".join(f"it{item}" for item in sorted(splits["valid"][user])) + "\n"
                                         for user in sorted(people)))
            entries = self.run_json_lines("recommend", run_folder, "--histories", histories, "--topk", "20", *more)
            lists[kind] = {user: [int(item["item"].removeprefix("it")) for item in entry["items"]]
                           for user, entry in zip(sorted(people), entries, strict=True)}
        self.assertNotEqual(lists["frozen"], lists["rebuilt"])
        name = "users without training items, served from their valid items"
        relevant = {name: {user: splits["test"][user] for user in people},
                    "users with training items": {user: own for user, own in splits["test"].items() if user not in people}}
        self.check_groups(written, relevant,
                          {f"alpharec, {kind} graph": lists[kind].__getitem__ for kind in lists})
        self.assertEqual([entry["model"] for entry in written["groups"][0]["models"]],
                         ["alpharec, frozen graph", "alpharec, rebuilt graph", "emb-knn", "popularity"])
        frozen, rebuilt = (entry["metrics"] for entry in written["groups"][0]["models"][:2])
        self.assertNotEqual(frozen, rebuilt, "the lists differ too little to show whose metrics these are")
        # All that is not hers is among her first 20 of 22 items, whichever graph.
        self.assertEqual(written["overlap@20"], 1.0)
        plain = self.folder / "plain.json"
        self.check_succeeds(run("evaluate", run_folder, "--topk", "3,16", "--per-user", plain))
        rows = [row for row in read_table(plain) if int(row["user"]) not in people]
        warm = written["groups"][1]["models"][0]["metrics"]
        for key, value in warm.items():
            self.assertAlmostEqual(value, sum(float(row[key]) for row in rows) / len(rows), places=9, msg=key)
        tables = self.check_succeeds(run("evaluate", run_folder, "--cold", "users")).stdout
        self.assertIn("frozen and rebuilt graph: 100.0% of the first 20 items the same", tables)

    def test_models_without_language_vectors(self):
        """They know no item by its title and nobody by her history, and say so; cold items they do rank."""
        cold, run_folder = self.folder / "cold", self.folder / "mf"
        self.check_succeeds(run("split", self.data, "--out", cold, "--cold", "items", "--share", "0.2"))
        self.check_succeeds(train(cold, run_folder, "--epochs", "2", "--set", "model=mf"))
        self.check_succeeds(run("evaluate", run_folder, "--cold", "items"))
        new = ["--new-items", self.data / "items.tsv", "--new-vectors", self.data / "item_language.npy"]
        for option, arguments in (("--new-items", ["recommend", run_folder, "--users", "1", *new]),
                                  ("--histories", ["recommend", run_folder, "--histories", self.data / "items.tsv"]),
                                  ("--history", ["recommend", run_folder, "--history", "it1", "--exact"]),
                                  ("--cold users", ["evaluate", run_folder, "--cold", "users"])):
            with self.subTest(option):
                self.check_refusal(run(*arguments), f"{option}: ", "is of model mf, which reads no language vectors")

    def test_a_split_with_cold_items(self):
        cold = self.folder / "cold"
        cold.mkdir()
        made = ["split", self.data, "--out", cold, "--cold", "items", "--share", "0.25", "--seed", "7"]
        self.check_succeeds(run(*made))
        splits = {name: read_split(cold, name) for name in ("train", "valid", "test")}
        before, after = (set().union(*each["train"].values()) for each in (self.splits, splits))
        gone = before - after
        self.assertEqual(len(gone), round(len(before) / 4))
        for user in range(USERS):
            own = {name: self.splits[name][user] for name in self.splits}
            moved = (own["train"] | own["valid"]) & gone
            self.assertEqual(splits["train"][user], own["train"] - gone)
            self.assertEqual(splits["valid"].get(user, set()), own["valid"] - gone)
            self.assertEqual(splits["test"][user], own["test"] | moved)
        self.assertEqual((cold / "items.tsv").read_text(), (self.data / "items.tsv").read_text())
        self.assertEqual(read_npy(cold / "item_language.npy"), read_npy(self.data / "item_language.npy"))
        self.assertEqual([file.name for file in self.folder.glob("cold.unfinished*")], [])
        content = content_of(cold)
        self.check_refusal(run(*made), "is there already", "--out")
        self.assertEqual(content_of(cold), content)
        self.check_succeeds(run("evaluate", self.run_folder, "--data", cold, "--cold", "items"))

    def check_candidates(self, *more):
        """Lists drawn and saved, worked out again, and given back as a file."""
        saved, drawn, given = (self.folder / name for name in ("lists.txt", "drawn.json", "given.json"))
        evaluate = ["evaluate", self.run_folder, "--device", "cpu", *more]
        self.check_succeeds(run(*evaluate, "--sampled-negatives", "5", "--save-candidates", saved, "--json", drawn))
        self.check_succeeds(run(*evaluate, "--candidates", saved, "--json", given))
        first, second = json.loads(drawn.read_text()), json.loads(given.read_text())
        self.assertEqual((first.pop("candidates"), second.pop("candidates")), ("5 uniform negatives, seed 101", str(saved)))
        self.assertEqual(first, second)
        users, items = self.exported()
        lists = []
        for user, *candidates in (map(int, line.split()) for line in saved.read_text().splitlines()):
            scores = self.scores(users[user], items)
            positives = {item for item in candidates if item in self.splits["test"][user]}
            self.assertFalse(self.seen(user, self.splits) & (set(candidates) - positives))
            lists.append((user, positives, sorted(candidates, key=lambda item: (-scores[item], item))))
        self.assertEqual((first["lists"], first["users"]), (len(lists), USERS))
        for name, value in first["metrics"].items():
            metric, cutoff = re.match(r"(ndcg|hr)@(\d+) ", name).groups()
            want = [user_metrics(ranked, positives, int(cutoff))[metric] for _, positives, ranked in lists]
            self.assertAlmostEqual(value, sum(want) / len(want), places=12, msg=name)
        return lists, first["metrics"]

    def test_candidates(self):
        lists, values = self.check_candidates()
        self.assertEqual(sorted((user, *positives) for user, positives, _ in lists),
                         [(user, item) for user in range(USERS) for item in sorted(self.splits["test"][user])])
        self.assertEqual({len(ranked) for _, _, ranked in lists}, {6})
        self.assertEqual(list(values), [f"{metric}@{k} (6 candidates)" for k in (1, 5, 10, 20) for metric in ("ndcg", "hr")])
        self.assertEqual(values["hr@10 (6 candidates)"], 1.0)

    def test_pooled_candidates(self):
        lists, values = self.check_candidates("--pooled", "--topk", "3")
        self.assertEqual([(user, positives) for user, positives, _ in lists], sorted(self.splits["test"].items()))
        lengths = [len(ranked) for _, _, ranked in lists]
        self.assertLess(min(lengths), max(lengths))
        text = f"3 ({min(lengths)} to {max(lengths)} pooled candidates)"
        self.assertEqual(list(values), [f"ndcg@{text}", f"hr@{text}"])

    def test_candidates_of_baselines(self):
        for model in ("popularity", "pop-random", "random", "emb-knn"):
            result = self.check_succeeds(run("evaluate", "--model", model, self.data, "--sampled-negatives", "5"))
            title, header, *values = result.stdout.splitlines()
            self.assertIn(f"{2 * USERS} lists of {USERS} users, not all-ranking", title)
            self.assertRegex(header, rf"^metric +{model}$")
            for line in values:
                self.assertRegex(line, r"^(ndcg|hr)@\d+ \(6 candidates\) +\d\.\d{5}$")

    def test_evaluate_on_another_dataset(self):
        other = make_dataset(self.folder / "other", users=12, items=15, width=WIDTH)
        file = self.folder / "metrics.json"
        self.check_succeeds(run("evaluate", self.run_folder, "--data", other, "--json", file))
        self.assertEqual(json.loads(file.read_text())["users"], 12)
        wider = make_dataset(self.folder / "wider", width=WIDTH + 4)
        self.check_refusal(run("evaluate", self.run_folder, "--data", wider), wider, "12 wide", "8 wide")

    def test_zero_shot_beside_others(self):
        other = make_dataset(self.folder / "other", users=12, items=15, width=WIDTH)
        there = self.folder / "there"
        self.check_succeeds(train(other, there, "--epochs", "2"))
        file = self.folder / "metrics.json"
        of = lambda *arguments: (self.check_succeeds(run("evaluate", *arguments, "--json", file)).stdout,
                                 json.loads(file.read_text()))
        text, written = of(self.run_folder, "--data", other, "--beside", there)
        self.assertEqual(written["model"], "alpharec, zero-shot")
        self.assertNotIn("forced", written)
        beside = {row["model"]: row["metrics"] for row in written["beside"]}
        self.assertEqual(list(beside), ["popularity", "random", "emb-knn", "alpharec, trained here"])
        self.assertEqual(beside.pop("alpharec, trained here"), of(there)[1]["metrics"])
        for model, metrics_ in beside.items():
            self.assertEqual(metrics_, of("--model", model, other)[1]["metrics"])
        rows = [re.split("  +", line)[0] for line in text.splitlines()[2:]]
        self.assertEqual(rows, ["alpharec, zero-shot", *beside, "alpharec, trained here"])
        self.assertEqual(of(self.run_folder, "--data", self.data)[1]["model"], "alpharec")
        self.assertNotIn("beside", of(self.run_folder)[1])

    def test_another_language_model(self):
        """Refused, both named; with --force it goes on and says so wherever the result stands."""
        (self.data / "item_language.json").write_text('{"model": "lsa", "basis": "0101"}')
        trained = self.folder / "lsa"
        self.check_succeeds(train(self.data, trained))
        other = make_dataset(self.folder / "other", width=WIDTH)
        (other / "item_language.json").write_text('{"model": "lsa", "basis": "0202"}')
        command = ["evaluate", trained, "--data", other]
        self.check_refusal(run(*command), "0101", "0202", "--force")
        file = self.folder / "metrics.json"
        result = self.check_succeeds(run(*command, "--force", "--json", file))
        self.assertIn("\nalpharec, zero-shot, forced ", result.stdout)
        self.assertIn("forced: ", result.stderr)
        self.assertIn("0202", json.loads(file.read_text())["forced"])
        result = self.check_succeeds(run(*command, "--force", "--sampled-negatives", "3", "--json", file))
        self.assertIn("alpharec, zero-shot, forced", result.stdout)
        self.assertIn("0202", json.loads(file.read_text())["forced"])
        result = self.check_succeeds(run("recommend", trained, "--data", other, "--users", "1", "--force"))
        self.assertIn("forced: ", result.stderr)
        wider = make_dataset(self.folder / "wider", width=WIDTH + 4)  # which no force can make fit
        self.check_refusal(run("evaluate", trained, "--data", wider, "--force"), "12 wide", "8 wide")

    def test_baselines_on_the_authors_tree(self):
        tree = self.folder / "tree"
        (tree / "item_info").mkdir(parents=True)
        (tree / "cf_data").mkdir()
        for split in ("train", "valid", "test"):
            (tree / f"cf_data/{split}.txt").write_bytes((self.data / f"{split}.txt").read_bytes())
        for name in ("large3", "Norm_GritLM-7B"):
            (tree / f"item_info/item_cf_embeds_{name}_array.npy").write_bytes((self.data / "item_language.npy").read_bytes())
        for model in ("popularity", "pop-random", "random"):
            self.check_succeeds(run("evaluate", "--model", model, tree))
        self.check_refusal(run("evaluate", "--model", "emb-knn", tree), "--language", "large3")
        self.check_succeeds(run("evaluate", "--model", "emb-knn", tree, "--language", "large3"))

    def test_baselines(self):
        file = self.folder / "metrics.json"
        for model in ("popularity", "pop-random", "random", "emb-knn"):
            with self.subTest(model):
                self.check_succeeds(run("evaluate", "--model", model, self.data, "--json", file, "--seed", "3"))
                first = file.read_text()
                self.assertEqual(sorted(json.loads(first)), ["masked", "metrics", "split", "users"])
                self.check_succeeds(run("evaluate", "--model", model, self.data, "--json", file, "--seed", "3"))
                self.assertEqual(file.read_text(), first)

    def test_ids_that_are_not_there(self):
        for arguments in (["recommend", self.run_folder, "--users", "30"], ["recommend", self.run_folder, "--users", "it3"]):
            self.check_refusal(run(*arguments), "no user", "0 to 29")
        for arguments in (["recommend", self.run_folder, "--history", "it3,it99"], ["similar", self.run_folder, "--item", "it99"]):
            self.check_refusal(run(*arguments), "no item 'it99'", "items.tsv")
        self.check_refusal(run("recommend", self.run_folder, "--users", "1,,2"), "--users", "between the commas")
        self.check_refusal(run("recommend", self.run_folder), "--users", "--history")

    def test_info(self):
        text = self.check_succeeds(run("info", self.data)).stdout
        for words in (f"{USERS}, 0 of them without training items", f"{ITEMS + COLD}, {COLD} of them cold",
                      "120 train, 60 valid, 60 test", "width 8", "memory"):
            self.assertIn(words, text)

    def test_doctor(self):
        text = self.check_succeeds(run("doctor")).stdout
        for topic in ("version", "compiler", "cpu", "threads", "blas", "cuda", "memory"):
            self.assertRegex(text, rf"(?m)^{topic} +\S")

    def test_a_run_that_was_moved(self):
        moved = self.run_folder.rename(self.folder / "moved")
        self.check_succeeds(run("evaluate", moved))
        self.data.rename(self.folder / "elsewhere")
        self.check_refusal(run("evaluate", moved), self.data, "name the dataset with --data")
        self.check_succeeds(run("evaluate", moved, "--data", self.folder / "elsewhere"))


if __name__ == "__main__":
    unittest.main(verbosity=2)
