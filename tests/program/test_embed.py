"""rec_engine embed: vectors without a language model, bases that datasets share, and what says which texts they are of."""

import fcntl
import json
import math
import os
import random
import re
import shutil
import subprocess
import sys
import unittest

from engine_program import PROGRAM, ROOT, ProgramTest, content_of, make_dataset, read_npy, run, train

sys.path.insert(0, str(ROOT / "data"))
import item_texts  # noqa: E402  of data/, which the program must agree with
import journal  # noqa: E402

SEED = 23
BUNDLED = ROOT / "data/debian-deps"
MADE = {"item_language.npy", "item_language.json", "item_language_basis.safetensors"}
WORDS = ["red", "blue", "green", "kettle", "kettles", "tea", "pot", "cup", "saucer", "spoon", "tray", "six", "big"]
BLANKS = [chr(code) for code in range(0x110000) if chr(code).isspace() and chr(code) != "\n"]
UNIT_BOUND = 2**-22  # of a vector's squared length, where each value is off by 2^-24 of itself


def title(item):
    return " ".join(WORDS[(item * step + item // 5) % len(WORDS)] for step in (1, 3, 7)) + f" {item}"


class EmbedTest(ProgramTest):
    def setUp(self):
        super().setUp()
        self.data = self.make("data", title)

    def make(self, name, title_of):
        """A small dataset with titles and without vectors."""
        folder = make_dataset(self.folder / name)
        (folder / "item_language.npy").unlink()
        (folder / "items.tsv").write_text(
            "item\toriginal_id\ttitle\n" + "".join(f"{i}\tit{i}\t{title_of(i)}\n" for i in range(20)), encoding="utf-8")
        return folder

    def embed(self, data=None, *arguments):
        return run("embed", data or self.data, "--width", 8, *arguments)

    def facts(self, data=None):
        return json.loads(((data or self.data) / "item_language.json").read_text())

    def change_titles(self, change, data=None):
        file = (data or self.data) / "items.tsv"
        file.write_text(change(file.read_text(encoding="utf-8")), encoding="utf-8")

    def check_nothing_made(self, data=None):
        self.assertFalse(MADE & set(content_of(data or self.data)))


class Vectors(EmbedTest):
    def test_what_is_made(self):
        result = self.check_succeeds(self.embed())
        self.assertEqual(result.stderr, "")
        self.assertIn("without a language model", result.stdout)
        shape, values = read_npy(self.data / "item_language.npy")
        self.assertEqual(shape, [20, 8])
        for item in range(20):
            self.assertLessEqual(abs(sum(value * value for value in values[8 * item:8 * item + 8]) - 1), UNIT_BOUND)
        facts = self.facts()
        self.assertRegex(facts.pop("date"), r"^\d{4}-\d\d-\d\d$")
        self.assertRegex(facts["basis"], "^[0-9a-f]{16}$")
        self.assertIn(facts.pop("basis"), result.stdout)
        self.assertEqual(facts, {"model": "lsa-8", "width": 8, "text": "title column of items.tsv",
                                 "text_columns": ["title"], "normalised": True, "dtype": "float32",
                                 "texts": item_texts.checksum_of_texts([title(item) for item in range(20)])})
        self.assertIn("width 8, model lsa-8, basis ", self.check_succeeds(run("info", self.data)).stdout)

    def test_the_same_bytes_each_time_and_for_any_number_of_threads(self):
        made = []
        for number, threads in enumerate((1, 2, 3, 2)):
            data = self.make(f"data{number}", title)
            self.check_succeeds(self.embed(data, "--threads", threads, "--seed", 7))
            made.append({name: content for name, content in content_of(data).items() if name.endswith(("npy", "tensors"))})
        for each in made[1:]:
            self.assertEqual(each, made[0])
        self.check_succeeds(self.embed(None, "--seed", 8))
        self.assertNotEqual(content_of(self.data)["item_language.npy"], made[0]["item_language.npy"])

    def test_threads_without_work_take_no_memory(self):
        """2,500 texts are one block of a factorisation, which one thread works on; its scratch is rows times (width + 10)."""
        data = self.folder / "many"
        data.mkdir()
        draw = random.Random(SEED)
        words = [first + second for first in "abcdef" for second in "klmnopqr"]
        (data / "items.tsv").write_text("".join(f"{i}\tit{i}\t{' '.join(draw.choices(words, k=5))}\n" for i in range(2500)))

        def peak_bytes(threads):
            process = subprocess.Popen([PROGRAM, "embed", data, "--width", "300", "--threads", str(threads), "--restart"],
                                       stdout=subprocess.DEVNULL)
            _, status, used = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
            self.assertEqual(process.returncode, 0)
            return used.ru_maxrss * 1024
        scratch = 2500 * 310 * 8
        self.assertLess(peak_bytes(64) - peak_bytes(1), 63 * scratch / 2)

    def test_texts_are_read_as_by_data_item_texts(self):
        """Blanks of every kind at the ends and within, tabs, columns, a table without a header: one checksum."""
        tables = {
            "blanks": "item\toriginal_id\ttitle\n" + "".join(
                f"{i}\tit{i}\t{blank}tea{blank}pot {i}{blank}{BLANKS[i % 7]}\n" for i, blank in enumerate(BLANKS)),
            "columns": "item\toriginal_id\tbrand\ttitle\r\n" + "".join(
                f"{i}\tit{i}\t{'Acme ' if i % 3 else ' '}\t{title(i)}\tmore\t\r\n" for i in reversed(range(20))),
            "no header": "".join(f"{i}\tit{i}\t {title(i)} é\n\n" for i in range(20)),
        }
        for name, table in tables.items():
            for columns in (["title"], ["original_id", "title"], *([["brand", "title"]] if name == "columns" else [])):
                with self.subTest(name, columns=columns):
                    (self.data / "items.tsv").write_text("\ufeff" + table, encoding="utf-8", newline="")
                    self.check_succeeds(self.embed(None, "--restart", "--text-cols", ",".join(columns)))
                    texts, _ = item_texts.read_texts(self.data / "items.tsv", columns, allow_empty=False)
                    facts = self.facts()
                    self.assertEqual(facts["texts"], item_texts.checksum_of_texts(texts))
                    self.assertEqual(facts["text_columns"], columns)

    def test_vectors_that_are_there(self):
        self.check_succeeds(self.embed())
        before = content_of(self.data)
        self.check_refusal(self.embed(), "item_language.npy", "is there already", "--restart")
        self.assertEqual(content_of(self.data), before)
        self.check_succeeds(run("embed", self.data, "--width", "5", "--restart"))
        self.assertEqual(read_npy(self.data / "item_language.npy")[0], [20, 5])
        self.assertEqual(self.facts()["model"], "lsa-5")

    def test_links_are_followed(self):
        self.check_succeeds(self.embed())
        elsewhere = self.folder / "elsewhere.npy"
        (self.data / "item_language.npy").rename(elsewhere)
        (self.data / "item_language.npy").symlink_to(elsewhere)
        self.check_succeeds(run("embed", self.data, "--width", 5, "--restart"))
        self.assertTrue((self.data / "item_language.npy").is_symlink())
        self.assertEqual(read_npy(elsewhere)[0], [20, 5])

    def test_an_item_outside_the_width(self):
        """Its terms are known, but no other item has them, and the first direction is the others'. There are fewer texts than
        columns of the decomposition, which is exact then."""
        data = self.make("few", lambda item: "qqq" if item == 6 else f"red kettle {item % 5}")
        arguments = ("embed", data, "--width", 1)
        self.check_refusal(run(*arguments), "items.tsv:8", "shares too little", "--width 1 (1 item: 6)", "a larger --width",
                           "--allow-empty")
        self.check_nothing_made(data)
        self.assertIn("drawn at random    1 item: 6", self.check_succeeds(run(*arguments, "--allow-empty")).stdout)

    def test_items_without_text(self):
        self.change_titles(lambda text: text.replace(f"\t{title(3)}\n", "\t\n").replace(f"\t{title(12)}\n", "\t- !\n"))
        self.check_refusal(self.embed(), "items.tsv:5", "2 items: 3, 12", "--text-cols", "--allow-empty")
        self.check_nothing_made()
        result = self.check_succeeds(self.embed(None, "--allow-empty"))
        self.assertIn("drawn at random    2 items: 3, 12", result.stdout)
        _, values = read_npy(self.data / "item_language.npy")
        rows = [values[8 * item:8 * item + 8] for item in range(20)]
        for item in (3, 12):
            self.assertLessEqual(abs(math.hypot(*rows[item]) ** 2 - 1), UNIT_BOUND)
        self.assertNotEqual(rows[3], rows[12])
        self.check_succeeds(run("info", self.data))

    def test_the_bundled_dataset(self):
        """As good as words can be: better than popularity, which is better than chance."""
        data = self.folder / "debian-deps"
        shutil.copytree(BUNDLED, data, ignore=shutil.ignore_patterns("item_language*"))
        self.check_succeeds(run("embed", data))
        self.assertIn("width 384, model lsa-384", self.check_succeeds(run("info", data)).stdout)
        by_model = {}
        for model in ("emb-knn", "popularity", "random"):
            result = self.check_succeeds(run("evaluate", "--model", model, data, "--device", "cpu"))
            by_model[model] = float(re.search(rf"^{model} +([\d.]+)", result.stdout, re.M)[1])
        # Packages want packages of their own kind, whose synopses share words.
        self.assertGreater(by_model["emb-knn"], by_model["popularity"])
        self.assertGreater(by_model["popularity"], by_model["random"])


class Bases(EmbedTest):
    def setUp(self):
        super().setUp()
        self.other = self.make("other", lambda item: title(item + 9))
        self.run_folder = self.folder / "run"
        self.check_succeeds(self.embed())
        self.basis = self.data / "item_language_basis.safetensors"

    def test_two_datasets_share_a_model(self):
        self.check_succeeds(run("embed", self.other, "--basis", self.basis))
        self.assertEqual(self.facts(self.other)["basis"], self.facts()["basis"])
        self.assertEqual((self.other / self.basis.name).read_bytes(), self.basis.read_bytes())
        self.check_succeeds(train(self.data, self.run_folder))
        result = self.check_succeeds(run("evaluate", self.run_folder, "--data", self.other, "--device", "cpu"))
        self.assertNotIn("forced", result.stdout)
        self.check_succeeds(run("train", self.data, self.other, "--out", self.folder / "both", "--device", "cpu"))

    def test_two_bases_are_two_models(self):
        self.check_succeeds(self.embed(self.other))
        self.assertNotEqual(self.facts(self.other)["basis"], self.facts()["basis"])
        self.check_succeeds(train(self.data, self.run_folder))
        evaluate = ("evaluate", self.run_folder, "--data", self.other, "--device", "cpu")
        self.check_refusal(run(*evaluate), "lsa-8", "--force")
        self.assertIn("forced", self.check_succeeds(run(*evaluate, "--force")).stdout)

    def test_the_same_texts_get_the_same_vectors(self):
        again = self.make("again", title)
        self.check_succeeds(run("embed", again, "--basis", self.basis))
        self.assertEqual((again / "item_language.npy").read_bytes(), (self.data / "item_language.npy").read_bytes())
        before = content_of(self.data)["item_language.npy"]
        self.check_succeeds(run("embed", self.data, "--basis", self.basis, "--restart"))  # its own
        self.assertEqual(content_of(self.data)["item_language.npy"], before)

    def test_texts_that_the_basis_does_not_know(self):
        self.change_titles(lambda text: text.replace(title(9), "Ωμέγα"), self.other)
        self.check_refusal(run("embed", self.other, "--basis", self.basis), "items.tsv:2", "the basis knows", "1 item: 0")
        self.check_nothing_made(self.other)
        self.check_succeeds(run("embed", self.other, "--basis", self.basis, "--allow-empty"))

    def test_files_that_are_no_basis(self):
        content = self.basis.read_bytes()
        bad = self.folder / "bad.safetensors"
        self.check_succeeds(train(self.data, self.run_folder))
        for name, what, words in (
                ("cut short", content[:-100], ["damaged"]),
                ("a byte changed", content[:-9] + bytes([content[-9] ^ 1]) + content[-8:], ["damaged"]),
                ("a checkpoint", (self.run_folder / "best.safetensors").read_bytes(), ["is not an LSA basis"]),
                ("text", b"0\t1\n", ["too short"]),
                ("empty", b"", ["bad.safetensors"])):
            with self.subTest(name):
                bad.write_bytes(what)
                self.check_refusal(run("embed", self.other, "--basis", bad), bad, *words)
                self.check_nothing_made(self.other)
        self.check_refusal(run("embed", self.other, "--basis", self.folder / "none"), "none")
        self.check_refusal(run("embed", self.other, "--basis", self.basis, "--width", 7), self.basis, "8 wide, not 7")


class Texts(EmbedTest):
    """train compares items.tsv with what the vectors were made of."""

    def setUp(self):
        super().setUp()
        self.check_succeeds(self.embed())
        self.run_folder = self.folder / "run"

    def test_a_title_that_changed(self):
        self.change_titles(lambda text: text.replace(title(4), "another"))
        self.check_refusal(train(self.data, self.run_folder), self.data / "items.tsv", "other texts", "--force")
        self.assertFalse((self.run_folder / "config.toml").exists())
        result = self.check_succeeds(train(self.data, self.run_folder, "--force"))
        self.assertIn("forced: ", result.stdout)
        self.check_succeeds(self.embed(None, "--restart"))
        self.assertNotIn("forced", self.check_succeeds(train(self.data, self.folder / "again")).stdout)

    def test_what_does_not_matter(self):
        """Other columns, the order of lines and their ends; a model that reads no vectors; tables and hashes not there."""
        def reorder(text):
            head, *lines = text.splitlines()
            return "\r\n".join([head, *(line.replace("\tit", "\titem") for line in reversed(lines))])
        self.change_titles(reorder)
        self.check_succeeds(train(self.data, self.run_folder))
        self.change_titles(lambda text: text.replace(title(4), "another"))
        self.check_succeeds(train(self.data, self.folder / "mf", "--set", "model=mf"))
        facts = self.facts()
        for left_out in ("texts", "text_columns"):
            (self.data / "item_language.json").write_text(
                json.dumps({key: value for key, value in facts.items() if key != left_out}))
            self.check_succeeds(train(self.data, self.folder / left_out))
        (self.data / "item_language.json").write_text(json.dumps(facts))
        self.check_refusal(train(self.data, self.folder / "refused"), "other texts")
        (self.data / "items.tsv").unlink()
        self.check_succeeds(train(self.data, self.folder / "no_table"))

    def test_several_datasets_and_sweeps(self):
        other = self.make("other", title)
        self.check_succeeds(run("embed", other, "--basis", self.data / "item_language_basis.safetensors"))
        self.change_titles(lambda text: text.replace(title(4), "another"), other)
        self.check_refusal(run("train", self.data, other, "--out", self.run_folder, "--device", "cpu"),
                           other / "items.tsv", "other texts")
        sweep = self.folder / "sweep.toml"
        sweep.write_text(f'data = "{other}"\nout = "{self.folder / "runs"}"\nseeds = [1]\n')
        self.check_refusal(run("sweep", sweep, "--device", "cpu", "--quiet"), other / "items.tsv", "other texts",
                           "a sweep cannot")

    def test_damaged_descriptions(self):
        facts = self.facts()
        for columns in ("title", [], [3]):
            (self.data / "item_language.json").write_text(json.dumps({**facts, "text_columns": columns}))
            self.check_refusal(train(self.data, self.run_folder), "item_language.json", "list of names")
        (self.data / "item_language.json").write_text(json.dumps({**facts, "texts": 5}))
        self.check_refusal(train(self.data, self.run_folder), "item_language.json", "'texts'", "string")
        (self.data / "item_language.json").write_text(json.dumps({**facts, "text_columns": ["brand"]}))
        self.check_refusal(train(self.data, self.run_folder), "items.tsv: lacks columns", "brand", "--force")
        self.assertIn("forced: ", self.check_succeeds(train(self.data, self.run_folder, "--force")).stdout)


class Refusals(EmbedTest):
    def test_what_is_no_dataset(self):
        self.check_refusal(run("embed", self.folder / "none"), "none", "is no folder")
        self.check_refusal(run("embed", self.data / "train.txt"), "train.txt", "is no folder")
        (self.data / "cf_data").mkdir()
        self.check_refusal(self.embed(), "release tree")
        (self.data / "cf_data").rmdir()
        (self.data / "items.tsv").unlink()
        self.check_refusal(self.embed(), "items.tsv")
        self.check_nothing_made()

    def test_tables(self):
        good = (self.data / "items.tsv").read_bytes()
        for name, content, words in (
                ("not UTF-8", good.replace(b"red", b"r\xe9d", 1), ["items.tsv:", "UTF-8"]),
                ("NUL", good.replace(b"red", b"r\0d", 1), ["items.tsv:", "NUL"]),
                ("a gap", good.replace(b"\n19\t", b"\n20\t"), ["items.tsv:21", "gap"]),
                ("empty", b"", ["items.tsv"]),
                ("a header alone", b"item\toriginal_id\ttitle\n", ["items.tsv", "holds no ids"])):
            with self.subTest(name):
                (self.data / "items.tsv").write_bytes(content)
                self.check_refusal(self.embed(), *words)
                self.check_nothing_made()
        (self.data / "items.tsv").write_bytes(good)
        self.check_refusal(self.embed(None, "--text-cols", "brand"), "items.tsv:1", "'brand'", "original_id")
        for columns in ("title,", ",title", "title,,original_id", ","):
            self.check_refusal(self.embed(None, "--text-cols", columns), f"--text-cols {columns}", "is missing")

    def test_a_text_that_is_too_long(self):
        for letters in (2**20, 2**20 + 1):
            self.change_titles(lambda text: re.sub(r"(?m)^3\t.*$", "3\tit3\t" + "ab " * (letters // 3) + "c" * (letters % 3), text))
            result = self.embed(None, "--restart")
            if letters == 2**20:
                self.check_succeeds(result)
        self.check_refusal(result, "items.tsv:5", "1048577 bytes, more than 1048576")

    def test_widths(self):
        self.check_refusal(run("embed", self.data), "--width 384", "20 directions", "--width 20 or less")
        self.check_nothing_made()
        self.check_succeeds(run("embed", self.data, "--width", 20))
        for width in ("0", "-1", "4097", "many"):
            self.assertNotEqual(run("embed", self.data, "--width", width).returncode, 0)

    def test_files_that_may_not_be_written(self):
        """What is there stays, also where it was to be replaced."""
        self.check_succeeds(self.embed())
        before = content_of(self.data)
        for name in MADE:
            with self.subTest(name):
                (self.data / name).unlink()
                (self.data / name).mkdir()
                self.check_refusal(self.embed(None, "--restart"), name, "folder")
                (self.data / name).rmdir()
                (self.data / name).write_bytes(before[name])
                self.assertEqual(content_of(self.data), before)

    def test_one_at_a_time(self):
        """Whoever holds the folder: another embed, or data/embed_items.py."""
        folder = os.open(self.data, os.O_RDONLY)
        fcntl.flock(folder, fcntl.LOCK_EX)
        self.check_refusal(self.embed(), self.data, "another process")
        os.close(folder)
        held = journal.Journal(self.data / "item_language.npy.journal", {}, self.data)
        self.check_refusal(self.embed(), self.data, "another process")
        self.check_nothing_made()
        os.close(held.folder)
        self.check_succeeds(self.embed())

    def test_an_unfinished_run_of_embed_items(self):
        for name in ("item_language.npy.journal", "item_language.npy.part"):
            file = self.data / name
            file.write_text("begun")
            self.check_refusal(self.embed(), file, "embed_items", "--restart")
            self.assertEqual(file.read_text(), "begun")
            self.check_nothing_made()
            self.check_succeeds(self.embed(None, "--restart"))
            self.assertFalse(file.exists())
            for made in MADE:
                (self.data / made).unlink()

    def test_a_basis_without_vectors(self):
        self.check_succeeds(self.embed())
        (self.data / "item_language.npy").unlink()
        basis = self.data / "item_language_basis.safetensors"
        before = basis.read_bytes()
        self.check_refusal(self.embed(None, "--seed", 7), basis, "--basis", "--restart")
        self.assertEqual(basis.read_bytes(), before)
        self.check_succeeds(self.embed(None, "--basis", basis))
        self.assertEqual(basis.read_bytes(), before)
        (self.data / "item_language.npy").unlink()
        self.check_succeeds(self.embed(None, "--seed", 7, "--restart"))
        self.assertNotEqual(basis.read_bytes(), before)


if __name__ == "__main__":
    unittest.main(verbosity=2)
