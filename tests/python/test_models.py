"""Models as objects."""

import fcntl
import json
import os
import pathlib
import pickle
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import unittest

import numpy as np
import scipy.sparse

import rec_engine
from rec_engine import AlphaRec, LightGCN, LinearMapping, MF, ops

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUNDLED = ROOT / "data/debian-deps"
SMALL = {"epochs": 2, "eval_every": 1, "hidden": 16, "negatives": 8, "batch": 64, "threads": 2}


def program(*words):
    """Runs the program as python -m rec_engine does."""
    return subprocess.run([sys.executable, "-m", "rec_engine", *map(str, words)], check=True, capture_output=True, text=True).stdout


class Shop:
    """60 users of 40 items in two kinds, whose vectors tell the kinds apart; ids are words and numbers."""

    def __init__(self):
        random = np.random.default_rng(0)
        self.users, self.items = [f"user {u}" for u in range(60)], list(range(100, 140))
        self.vectors = random.normal(size=(40, 12)).astype(np.float32) * 0.3
        self.vectors[::2, 0] += 2
        self.vectors[1::2, 1] += 2
        liked = [random.permutation(np.arange(u % 2, 40, 2))[:12] for u in range(60)]
        splits = [[(self.users[u], self.items[i]) for u in range(60) for i in liked[u][part]]
                  for part in (slice(0, 6), slice(6, 9), slice(9, 12))]
        self.train, self.valid, self.test = ([list(side) for side in zip(*split)] for split in splits)
        self.liked = liked

    def fit(self, model, **more):
        return model.fit(tuple(self.train), self.vectors, valid=tuple(self.valid), test=tuple(self.test),
                         item_ids=self.items, **more)


class Fit(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        self.path = pathlib.Path(self.folder.name)
        self.shop = Shop()

    def test_same_bytes_as_the_program(self):
        small = {**SMALL, "batch": 4096}
        settings = [word for key, value in small.items() for word in ("--set", f"{key}={value}")]
        program("train", BUNDLED, "--out", self.path / "run", "--device", "cpu", "--seed", 7, "--quiet", *settings)
        AlphaRec(seed=7, device="cpu", **small).fit(BUNDLED, run=self.path / "folder")
        data = rec_engine._data.Data.of_folder(BUNDLED)
        splits = [scipy.sparse.csr_matrix((np.ones(len(items), np.float32), items, start), (data.native.users, data.native.items))
                  for start, items in map(data.native.split, ("train", "valid", "test"))]
        AlphaRec(seed=7, device="cpu", **small, **self.of_bundled()).fit(splits[0], data.vectors(), *splits[1:], run=self.path / "arrays",
                                                                     language_model=json.loads((BUNDLED / "item_language.json").read_text()))
        wanted = (self.path / "run/best.safetensors").read_bytes()
        self.assertEqual((self.path / "folder/best.safetensors").read_bytes(), wanted)
        self.assertEqual((self.path / "arrays/best.safetensors").read_bytes(), wanted)

    def of_bundled(self):
        """The settings that the bundled dataset comes with."""
        file = BUNDLED / "config.toml"
        lines = file.read_text().splitlines() if file.exists() else []
        pairs = [line.split(" = ", 1) for line in lines if " = " in line and not line.startswith("#")]
        return {key: json.loads(value) for key, value in pairs if key not in SMALL}

    def test_learns_and_ranks_as_ops_do(self):
        model = self.shop.fit(AlphaRec(**{**SMALL, "epochs": 20}))
        self.assertGreater(model.evaluate(tuple(self.shop.test), k=10)["recall@10"], 0.4)  # 3 of the 11 that are left of her kind
        ids, scores = model.recommend(users=["user 3", "user 8"], k=5)
        self.assertEqual((ids.shape, scores.shape, ids.dtype), ((2, 5), (2, 5), np.int64))
        numbers, plain = ops.topk(model.user_vectors, model.item_vectors, 5, users=np.array([3, 8]),
                                  seen=[self.csr(model, name) for name in ("train", "valid", "test")])
        np.testing.assert_array_equal(ids, np.array(self.shop.items)[numbers])
        np.testing.assert_array_equal(scores, plain)
        self.assertFalse(set(ids[0]) & {self.shop.items[i] for i in self.shop.liked[3]})

    def csr(self, model, name):
        start, items = model._data.native.split(name)
        return scipy.sparse.csr_matrix((np.ones(len(items)), items, start), (60, 40))

    def test_every_model(self):
        for kind in (AlphaRec, LinearMapping, LightGCN, MF):
            model = kind(**SMALL)
            vectors = self.shop.vectors if kind in (AlphaRec, LinearMapping) else None
            model.fit(tuple(self.shop.train), vectors, valid=tuple(self.shop.valid), item_ids=self.shop.items)
            self.assertEqual([line["epoch"] for line in model.history_], [1, 2])
            self.assertEqual(model.recommend("user 0", k=3)[0].shape, (3,))
            again = pickle.loads(pickle.dumps(model))
            np.testing.assert_array_equal(again.user_vectors, model.user_vectors)

    def test_ways_to_give_interactions(self):
        import pandas
        users, items = self.shop.train
        shop_items = {item: n for n, item in enumerate(self.shop.items)}
        rows = [n for n, item in enumerate(items)]
        numbers = np.array([shop_items[item] for item in items])
        of_users = np.array([int(user.split()[1]) for user in users])
        matrix = scipy.sparse.csr_matrix((np.ones(len(rows), np.float32), (of_users, numbers)), (60, 40))
        found = [AlphaRec(**SMALL).fit(given, self.shop.vectors).item_vectors for given in (
            matrix, (of_users, numbers), (of_users.tolist(), numbers.tolist()),
            pandas.DataFrame({"rating": 1, "user_id": of_users, "item_id": numbers}))]
        for other in found[1:]:
            np.testing.assert_array_equal(other, found[0])

    def test_histories_intents_and_items(self):
        model = self.shop.fit(AlphaRec(**{**SMALL, "epochs": 20}))
        odd, even = self.shop.items[1::2], self.shop.items[::2]
        ids, _ = model.recommend(history=odd[:5], k=10)
        self.assertGreater(len(set(ids) & set(odd)), 8)
        self.assertFalse(set(ids) & set(odd[:5]))
        self.assertTrue(set(model.recommend(history=odd[:5], k=20, filter_seen=False)[0]) & set(odd[:5]))
        moved, _ = model.recommend("user 1", k=10, intent=self.shop.vectors[0], alpha=1.0)
        still, _ = model.recommend("user 1", k=10, intent=self.shop.vectors[0], alpha=0.0)
        np.testing.assert_array_equal(still, model.recommend("user 1", k=10)[0])
        self.assertGreater(len(set(moved) & set(even)), len(set(still) & set(even)) + 2)
        only, scores = model.recommend("user 1", items=even[:2], k=4)
        self.assertEqual(set(only), {*even[:2], -1})
        self.assertTrue(np.isneginf(scores[-1]))
        near, _ = model.similar_items(odd[0], k=5)
        self.assertNotIn(odd[0], near)
        self.assertEqual(len(set(near) & set(odd)), 5)

    def test_save_and_load_either_way(self):
        model = self.shop.fit(AlphaRec(**SMALL), titles=[f"thing {i}" for i in self.shop.items])
        model.save(self.path / "kept")
        printed = program("recommend", self.path / "kept", "--users", "user 3", "--topk", 3, "--device", "cpu", "--format", "jsonl")
        ids, scores = model.recommend("user 3", k=3)
        self.assertIn(f"thing {ids[0]}", printed)
        again = rec_engine.load(self.path / "kept")
        self.assertIsInstance(again, AlphaRec)
        for found, wanted in zip(again.recommend("user 3", k=3), (ids, scores)):
            np.testing.assert_array_equal(found, wanted)
        self.assertEqual((self.path / "kept/best.safetensors").read_bytes(), model._checkpoint)
        self.assertEqual(again.history_, model.history_)
        self.assertEqual([line["epoch"] for line in again.history_], [1, 2])
        self.assertGreaterEqual(set(again.history_[0]), {"epoch", "loss", "recall@20", "seconds"})
        self.assertEqual(rec_engine.load(self.path / "kept/best.safetensors", self.path / "kept/data").history_, [])
        with self.assertRaisesRegex(TypeError, "LightGCN.*AlphaRec"):
            LightGCN.load(self.path / "kept")

    def test_lists_as_parquet(self):
        try:
            import pandas
            import pyarrow  # noqa: F401
        except ImportError:
            self.skipTest("lists were not written as Parquet: pyarrow is not there")
        model = self.shop.fit(AlphaRec(**SMALL), titles=[f"thing {i}" for i in self.shop.items])
        model.write_lists(self.path / "lists.parquet", k=4)
        model.save(self.path / "kept")
        program("recommend", self.path / "kept", "--users", "all", "--topk", 4, "--device", "cpu", "--format", "tsv", "--out", self.path / "lists.tsv")
        found, wanted = pandas.read_parquet(self.path / "lists.parquet"), pandas.read_csv(self.path / "lists.tsv", sep="\t")
        self.assertEqual(len(found), 60 * 4)
        for column in ("user", "rank", "item", "title"):
            self.assertEqual(found[column].tolist(), wanted[column].tolist())
        np.testing.assert_allclose(found["score"], wanted["score"], atol=1e-6)
        self.assertEqual([file.name for file in self.path.iterdir() if file.name.startswith(".")], [])

    def test_callbacks_may_stop(self):
        seen = []
        model = self.shop.fit(AlphaRec(**{**SMALL, "epochs": 50}), callbacks=lambda epoch, metrics: seen.append(metrics) or epoch < 3)
        self.assertEqual(len(seen), 3)
        self.assertEqual(set(seen[0]) >= {"loss", "recall@20"}, True)
        self.assertEqual(model.recommend("user 0", k=2)[0].shape, (2,))

    def test_what_a_callback_raises_arrives(self):
        def fails(epoch, metrics):
            raise LookupError("no more")
        model = AlphaRec(**SMALL)
        with self.assertRaisesRegex(LookupError, "no more"):
            self.shop.fit(model, callbacks=fails)
        self.assertEqual(model.recommend("user 0", k=2)[0].shape, (2,))  # the best so far

    def test_ctrl_c_keeps_the_best(self):
        # In the background a shell has programs ignore it.
        before = signal.signal(signal.SIGINT, signal.default_int_handler)
        self.addCleanup(signal.signal, signal.SIGINT, before)
        model = AlphaRec(**{**SMALL, "epochs": 100_000, "patience": 100_000})

        def interrupt(epoch, metrics):
            if epoch == 2:
                threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT)).start()
        began = time.monotonic()
        with self.assertRaises(KeyboardInterrupt):
            self.shop.fit(model, callbacks=interrupt)
        self.assertLess(time.monotonic() - began, 60)
        self.assertEqual(model.recommend("user 0", k=2)[0].shape, (2,))

    def test_other_threads_go_on(self):
        counted, stop = [0], threading.Event()

        def count():
            while not stop.is_set():
                counted[0] += 1
                time.sleep(0.001)
        thread = threading.Thread(target=count, daemon=True)
        thread.start()
        before = counted[0]
        AlphaRec(epochs=3, hidden=64, threads=1, device="cpu").fit(BUNDLED)  # one evaluation, at its end
        counted_in_training = counted[0] - before
        stop.set()
        thread.join()
        self.assertGreater(counted_in_training, 20)

    def test_goes_on_after_a_stop(self):
        whole = self.shop.fit(AlphaRec(**{**SMALL, "epochs": 4}), run=self.path / "whole")

        def stops(epoch, metrics):
            if epoch == 2:
                raise KeyboardInterrupt
        with self.assertRaises(KeyboardInterrupt):
            self.shop.fit(AlphaRec(**{**SMALL, "epochs": 4}), run=self.path / "parts", callbacks=stops)
        model = self.shop.fit(AlphaRec(**{**SMALL, "epochs": 4}), run=self.path / "parts", resume=True)
        self.assertEqual([line["epoch"] for line in model.history_], [1, 2, 3, 4])
        for file in ("best.safetensors", "last.safetensors"):
            self.assertEqual((self.path / "parts" / file).read_bytes(), (self.path / "whole" / file).read_bytes())
        finished = self.shop.fit(AlphaRec(**{**SMALL, "epochs": 4}), run=self.path / "parts", resume=True)  # nothing to do
        for each in (model, finished):
            np.testing.assert_array_equal(each.user_vectors, whole.user_vectors)
            self.assertEqual([line["loss"] for line in each.history_], [line["loss"] for line in whole.history_])
        with self.assertRaisesRegex(ValueError, "resume: expected the run"):
            self.shop.fit(model, resume=True)

    def test_a_refused_fit_changes_nothing(self):
        run = self.path / "run"
        MF(seed=1, **SMALL).fit(tuple(self.shop.train), run=run)
        model = MF(seed=2, **SMALL)
        with self.assertRaisesRegex(ValueError, "holds a run already"):
            model.fit(tuple(self.shop.train), run=run)
        with self.assertRaisesRegex(RuntimeError, "fitted"):
            model.recommend()

    def test_any_hashable_ids(self):
        users = [("a", 1), "a", "", 2**70, -5, frozenset({1})] * 3
        items = [1, "1", "tab\tand\nline", 1.5, (1, 2), 7] + [(1, 2), 1, "1", 7, 1.5, "x"] + ["x", 7, (1, 2), "1", 1, 1.5]
        model = MF(**{**SMALL, "batch": 4}).fit((users, items))
        self.assertEqual(set(model.item_ids), set(items))
        ids, _ = pickle.loads(pickle.dumps(model)).recommend(("a", 1), k=7)
        np.testing.assert_array_equal(ids, model.recommend([("a", 1)], k=7)[0][0])
        self.assertLessEqual(set(ids), {*items, None})
        self.assertEqual(model.similar_items((1, 2), k=2)[0].shape, (2,))
        with self.assertRaisesRegex(ValueError, "pickle"):
            model.save(self.path / "kept")
        with self.assertRaisesRegex(ValueError, "missing value, nan"):
            MF(**SMALL).fit(([1.0, float("nan")], [1, 2]))

    def test_ways_to_give_a_history(self):
        import pandas
        model = self.shop.fit(AlphaRec(**SMALL))
        wanted, _ = model.recommend(history=[100, 102], k=5)
        for history in ((100, 102), np.array([100, 102]), pandas.Series([100, 102], index=[7, 9]), (item for item in (100, 102))):
            np.testing.assert_array_equal(model.recommend(history=history, k=5)[0], wanted)
        for histories in ([(100, 102), [103]], ([100, 102], np.array([103]))):
            np.testing.assert_array_equal(model.recommend(history=histories, k=5)[0][0], wanted)

    def test_one_fit_at_a_time(self):
        model, refused = AlphaRec(**SMALL), []

        def fits_too(epoch, metrics):
            def fit():
                with self.assertRaisesRegex(RuntimeError, r"AlphaRec: expected one fit\(\) at a time"):
                    self.shop.fit(model)
                refused.append(epoch)
            thread = threading.Thread(target=fit)
            thread.start()
            thread.join()
        self.shop.fit(model, callbacks=fits_too)
        self.assertEqual(refused, [1, 2])
        with self.assertRaises(LookupError):
            self.shop.fit(model, callbacks=lambda epoch, metrics: {}["no"])
        self.shop.fit(model)  # the first has ended, however it did

    def test_nobody(self):
        model = self.shop.fit(AlphaRec(tau=np.float32(0.25), seed=np.int64(3), **SMALL))
        self.assertEqual(model.recommend([], k=3)[0].shape, (0, 3))

    def test_params(self):
        model = AlphaRec(tau=0.2, layers=1)
        self.assertEqual(model.get_params(), {"device": "auto", "tau": 0.2, "layers": 1})
        self.assertEqual(model.set_params(tau=0.3).get_params()["tau"], 0.3)
        self.assertEqual(repr(model), "AlphaRec(device='auto', tau=0.3, layers=1)")
        model.set_params(learning_rate=0.1).set_params(lr=0.2)
        self.assertEqual(model.get_params(), {"device": "auto", "tau": 0.3, "layers": 1, "lr": 0.2})
        self.shop.fit(AlphaRec(**SMALL))
        self.assertEqual(self.shop.fit(AlphaRec(**SMALL)).settings_["hidden"], 16)

    def test_refused(self):
        fitted = self.shop.fit(AlphaRec(**SMALL))
        cases = {
            "no setting": (lambda: AlphaRec(taw=1), ValueError, "tau"),
            "out of range": (lambda: AlphaRec(tau=-1.0), ValueError, "tau"),
            "not fitted": (lambda: AlphaRec().recommend("a"), RuntimeError, "fit()"),
            "unknown user": (lambda: fitted.recommend("nobody"), KeyError, "nobody"),
            "unknown item": (lambda: fitted.similar_items(7), KeyError, "7"),
            "unknown in valid": (lambda: AlphaRec(**SMALL).fit(tuple(self.shop.train), self.shop.vectors, item_ids=self.shop.items,
                                                               valid=(["nobody"], [100])), KeyError, "nobody"),
            "users and history": (lambda: fitted.recommend("user 1", history=[100]), ValueError, "one of them"),
            "empty history": (lambda: fitted.recommend(history=[]), ValueError, "history"),
            "intent of another width": (lambda: fitted.recommend("user 1", intent=np.ones(3, np.float32), alpha=0.1), ValueError, "12"),
            "alpha of 2": (lambda: fitted.recommend("user 1", intent=self.shop.vectors[0], alpha=2.0), ValueError, "alpha"),
            "no vectors": (lambda: AlphaRec(**SMALL).fit(tuple(self.shop.train)), ValueError, "language"),
            "too few vectors": (lambda: AlphaRec(**SMALL).fit(tuple(self.shop.train), self.shop.vectors[:3],
                                                              item_ids=self.shop.items), ValueError, "given 3"),
            "vectors of float64": (lambda: AlphaRec(**SMALL).fit(tuple(self.shop.train), self.shop.vectors.astype(float),
                                                                 item_ids=self.shop.items), TypeError, "float32"),
            "vectors with NaN": (lambda: AlphaRec(**SMALL).fit(tuple(self.shop.train), self.shop.vectors * np.nan,
                                                               item_ids=self.shop.items), ValueError, "NaN|finite"),
            "items that are no rows": (lambda: AlphaRec(**SMALL).fit(tuple(self.shop.train), self.shop.vectors), ValueError, "item_ids"),
            "no such folder": (lambda: AlphaRec(**SMALL).fit("/nowhere"), ValueError, "/nowhere"),
            "history of one number": (lambda: fitted.recommend(history=100), TypeError, "history: expected several ids, given 100"),
            "items of one number": (lambda: fitted.recommend("user 1", items=100), TypeError, "items: expected several ids"),
            "alpha without an intent": (lambda: fitted.recommend("user 1", alpha=0.5), ValueError, "alpha: expected 0"),
            "no such run": (lambda: rec_engine.load("/nowhere"), ValueError, "/nowhere"),
            "a GPU": (lambda: self.shop.fit(AlphaRec(**{**SMALL}, device="cuda")), RuntimeError, "cuda"),
            "k of 0": (lambda: fitted.recommend("user 1", k=0), ValueError, "k: expected a whole number from 1 on, given 0"),
            "k beyond 64 bits": (lambda: fitted.recommend("user 1", k=2**70), ValueError, f"k: expected a whole number below .*, given {2**70}"),
            "a seed beyond 64 bits": (lambda: AlphaRec(seed=2**70), ValueError, f"seed: expected .* 64 bits, given {2**70}"),
            "a seed below them": (lambda: AlphaRec().set_params(seed=-2**70), ValueError, f"seed: expected .* given {-2**70}"),
            "a setting by two names": (lambda: AlphaRec(lr=0.1, learning_rate=0.2), ValueError,
                                       "learning_rate: expected each setting once, given also as lr"),
            "another class's model": (lambda: AlphaRec(model="mf"), TypeError, "model"),
            "another class's model later": (lambda: AlphaRec().set_params(model="mf"), TypeError, "model"),
            "valid of another shape": (lambda: MF(**SMALL).fit(tuple(self.shop.train), valid=scipy.sparse.csr_matrix((90, 40))),
                                       ValueError, "given 90"),
        }
        for what, (call, kind, words) in cases.items():
            with self.subTest(what):
                with self.assertRaisesRegex(kind, words):
                    call()


class Advice(unittest.TestCase):
    """A refusal of the libraries says what to do in words of Python: no option of the program's."""

    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        self.path = pathlib.Path(self.folder.name)
        self.shop = Shop()
        self.run = self.path / "run"
        self.model = self.shop.fit(AlphaRec(**SMALL), run=self.run, language_model="one")

    def refused(self, kind, words, call):
        with self.assertRaises(kind) as caught:
            call()
        self.assertRegex(str(caught.exception), words)
        self.assertNotRegex(str(caught.exception), "--[a-z]")

    def copied(self, name):
        folder = self.path / name
        shutil.copytree(BUNDLED, folder)
        return folder

    def test_run_folders(self):
        def fit(run=self.run, **more):
            return lambda: self.shop.fit(AlphaRec(**{**SMALL, **more}), run=run, language_model="one", resume=resume)
        resume = False
        self.refused(ValueError, "holds a run already; go on with resume=True, or give another folder as run$", fit())
        self.refused(ValueError, "holds a dataset .*; choose another folder$", fit(self.copied("data")))
        resume = True
        self.refused(ValueError, "other settings: lr = .*; give the settings it began with, or begin anew with another", fit(lr=0.25))
        held = os.open(self.run, os.O_RDONLY)
        self.addCleanup(os.close, held)
        fcntl.flock(held, fcntl.LOCK_EX)
        self.refused(ValueError, "another training is writing.*; choose another folder$", fit())
        fcntl.flock(held, fcntl.LOCK_UN)
        (self.run / "best.safetensors").unlink()
        self.refused(ValueError, "the best epoch so far .* is lost.*; begin anew with another folder as run$", fit(epochs=9))

    def test_saving(self):
        self.refused(ValueError, "is there already and not empty; choose another folder$", lambda: self.model.save(self.run))
        empty = self.path / "empty"
        empty.mkdir()
        self.addCleanup(os.chdir, os.getcwd())
        os.chdir(empty)
        self.refused(ValueError, "folder that this runs in, .*; choose a folder in it$", lambda: self.model.save("."))

    def test_loading(self):
        self.refused(ValueError, r"names no dataset; give load\(\) the dataset's folder as data$", lambda: rec_engine.load(self.run))
        self.refused(ValueError, r"weights alone .*; give load\(\) the dataset's folder as data$",
                     lambda: rec_engine.load(self.run / "best.safetensors"))
        kept = self.path / "kept"
        self.model.save(kept)
        description = kept / "data/item_language.json"
        description.write_text(json.dumps({**json.loads(description.read_text()), "model": "another"}))
        self.refused(ValueError, "'another', .* trained on 'one'; embed the titles with the same model$",
                     lambda: rec_engine.load(kept, kept / "data"))
        shutil.move(kept / "data", kept / "moved")
        self.refused(ValueError, r"is not there; give load\(\) the dataset's folder as data$", lambda: rec_engine.load(kept))
        (kept / "run.json").write_text("[")
        self.refused(ValueError, r"is damaged; give load\(\) the dataset's folder as data$", lambda: rec_engine.load(kept))

    def test_dataset_folders(self):
        made_of = {"model": "m", "width": 384, "text_columns": ["title"], "texts": "0000000000000000"}
        changed = self.copied("changed")
        (changed / "item_language.json").write_text(json.dumps(made_of))
        self.refused(ValueError, "other texts .*; make the vectors again$", lambda: AlphaRec(**SMALL).fit(changed))
        for tree in (self.path / "tree/cf_data", self.path / "tree/item_info"):
            tree.mkdir(parents=True)
        shutil.copy(BUNDLED / "train.txt", self.path / "tree/cf_data")
        for name in ("v2", "v3"):
            shutil.copy(BUNDLED / "item_language.npy", self.path / f"tree/item_info/item_cf_embeds_{name}_array.npy")
        self.refused(ValueError, r"several language vectors: v2, v3; use a folder with one of them, or give fit\(\) arrays",
                     lambda: AlphaRec(**SMALL).fit(self.path / "tree"))

    def test_settings_and_devices(self):
        self.refused(ValueError, "^tau=-1.0: 'tau' must be .*, not -1", lambda: AlphaRec(tau=-1.0))
        self.refused(ValueError, "^taw=1: unknown key 'taw'; the nearest known one is 'tau'$", lambda: AlphaRec(taw=1))
        self.refused(ValueError, '^colour="red": unknown key .*; the known ones are model, .*, compat$', lambda: AlphaRec(colour="red"))
        self.refused(RuntimeError, "^device cuda:99: .*; use device='cpu' or 'auto'$",
                     lambda: self.shop.fit(AlphaRec(device="cuda:99", **SMALL)))
        self.refused(ValueError, "^device tpu: not a device; use auto, cpu, cuda or cuda:N$",
                     lambda: self.shop.fit(AlphaRec(device="tpu", **SMALL)))
        self.refused(RuntimeError, "^precision bf16 needs .*; use precision='fp32', which every device has$",
                     lambda: self.shop.fit(AlphaRec(device="cpu", precision="bf16", **SMALL)))


class Program(unittest.TestCase):
    def test_python_m(self):
        self.assertIn(rec_engine.__version__, program("--version"))
        failed = subprocess.run([sys.executable, "-m", "rec_engine", "trian"], capture_output=True, text=True)
        self.assertEqual((failed.returncode, "train" in failed.stderr), (1, True))

    def test_importing_imports_no_framework(self):
        code = "import sys, rec_engine, rec_engine.ops; print([m for m in ('torch', 'scipy', 'pandas', 'tqdm') if m in sys.modules])"
        self.assertEqual(subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.strip(), "[]")


if __name__ == "__main__":
    unittest.main()
