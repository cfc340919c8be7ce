"""data/make_queries: queries of items by a chat model, which is a server of this machine: misled, interrupted, in parallel.

What the server answers depends on the title and on the sampling seed alone, so that files are compared byte for byte.
"""

import hashlib
import json
import os
import resource
import signal
import subprocess
import sys
import threading
import time
import unittest

from data_scripts import ENVIRONMENT, LocalServer, ScriptTest
from engine_program import ROOT, make_dataset, npy_bytes, run, train, vector

sys.path.insert(0, str(ROOT / "data"))
from query_rules import SENTENCE_END, complaint, names_of, query_of  # noqa: E402

HEADER = "item\toriginal_id\ttitle\n"
INTERRUPTIONS = 9
ANSWER_S = 0.03  # what the server takes for an answer, where it is interrupted
MADE = {"items.tsv", "test.txt", "intention_queries.tsv", "intention_queries.json"}


def command(*arguments):
    return [sys.executable, "-B", ROOT / "data/make_queries.py", *map(str, arguments)]


def make_queries(*arguments, **options):
    options = {"env": ENVIRONMENT, **options}
    return subprocess.run(command(*arguments), stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120, **options)


def title_in(body):
    return body["messages"][0]["content"].split("\nItem: ")[1].split("\n")[0]


def query_for(title, seed):
    return f"I want what {hashlib.sha256(title.encode()).hexdigest()[:6]} and {seed} stand for."


def answer_with(content, **choice):
    return json.dumps({"choices": [{"index": 0, "message": {"role": "assistant", "content": content}, "finish_reason": "stop",
                                    **choice}], "usage": {"prompt_tokens": 100, "completion_tokens": 10}})


class Server(LocalServer):
    """A chat model, which is asked the JSON of requests."""

    def asked(self, path, body):
        assert path == "/v1/chat/completions", path
        return body

    def right_answer(self, asked):
        return answer_with(query_for(title_in(asked), asked["seed"]))

    def titles(self):
        return [title_in(body) for body in self.requests]


def instead(content, **choice):
    return 200, {}, answer_with(content, **choice)


class QueryTest(ScriptTest):
    NAME = "make_queries"
    command, run_script = staticmethod(command), staticmethod(make_queries)

    def setUp(self):
        super().setUp()
        self.data = self.folder / "data"
        self.data.mkdir()
        self.target = self.data / "intention_queries.tsv"
        self.journal = self.data / "intention_queries.tsv.journal"

    def write_items(self, count):
        """Titles that are in test.txt, all of them."""
        titles = [f"Kettle {'abcdefgh'[item % 8]}{item}" for item in range(count)]
        lines = [f"{item}\tit{item}\t{title}\n" for item, title in enumerate(titles)]
        (self.data / "items.tsv").write_text(HEADER + "".join(lines))
        (self.data / "test.txt").write_text("".join(f"{item % 3} {item}\n" for item in range(count)))
        return titles

    def facts(self):
        return json.loads(self.target.with_suffix(".json").read_text())

    def rows(self):
        header, *lines = self.target.read_text(encoding="utf-8").splitlines()
        self.assertEqual(header, "item\tquery")
        return {int(item): query for item, query in (line.split("\t") for line in lines)}

    def check_finished(self, content=None):
        self.assertEqual({file.name for file in self.data.iterdir()}, MADE, "leftovers")
        if content is not None:
            self.assertEqual(self.target.read_bytes(), content)


class Rules(unittest.TestCase):
    def test_names(self):
        """What counts as naming an item, in which other writings, and what does not."""
        named = [
            ("Toy Story (1995)", "I want a TOY story for my kids"), ("Toy Story (1995)", "I want that toy-story film again"),
            ("Matrix, The (1999)", "I want to see The Matrix again"), ("The Matrix", "I want matrix's sequel"),
            ("Red kettle", "I need a kettle in red, a Red Kettle"),
            ("Spider-Man (2002)", "Show me spiderman at school, please"),
            ("Star Wars: Episode IV - A New Hope (1977)", "I want star wars in its first part"),
            ("Lost Children, The (Cité des enfants perdus, La) (1995)", "I want the cite des enfants perdus"),
            ("Seven (a.k.a. Deadly Sins) (1995)", "I want one of deadly sins"),
            ("Beauty & the Beast", "I want beauty and the beast"), ("It (2017)", "I want the one that is called It"),
            ("1984", "I look for a book about 1984"),
            ("acl: access control list", "I want what acl does for files"), ("千と千尋の神隠し", "千と千尋の神隠しが見たい"),
            ("Only You (1994)", "I want only you in it"), ("Straße", "I want to walk in a STRASSE"), ("Kettle", "I want the thing b0042x of the shop")]
        for title, query in named:
            with self.subTest(title, query=query):
                self.assertRegex(complaint(query, names_of("B0042X", title), 40) or "", "^names the item")
        free = [
            ("Toy Story (1995)", "I want toys that come alive and a story"), ("It (2017)", "I like it when it rains on clowns"),
            ("Red kettle", "I want a redkettles thing for tea"), ("The Matrix", "I want a hacker who learns the truth"),
            ("Up", "Up in the air I want to be"), ("Star Wars: A New Hope", "I want war among the stars"),
            ("Ré", "I want a résumé that works for me"), ("千と千尋の神隠し", "銭湯で働く女の子の映画が見たい"), ("Kettle", "I want 12 of these for my tea")]
        for title, query in free:
            with self.subTest(title, query=query):
                self.assertIsNone(complaint(query, names_of("12", title), 40))

    def test_forms(self):
        for answer, wanted in (
                ("", "empty"), (" \n ", "empty"), ("<think>a kettle?</think>", "empty"),
                ("I want\nsomething to boil", "several lines"), ("I want a\tthing to boil", "several lines"),
                ("I want a thing \ud800 to boil", "broken"),
                ('I want a "hot" thing to boil', "quotation"), ("I want a **hot** thing to boil", "markup"),
                ("- I want a hot thing", "markup"), ("Query: I want a hot thing", "do not belong"),
                ("Here is what they say: I want a hot thing", "do not belong"), ("I want it", "3 words, fewer than 4"),
                ("I want " + "very " * 9 + "hot", "12 words, more than 11"),
                ("I want tea. Make it hot.", "more than one sentence"),
                ("Is there tea? I like it hot", "more than one sentence"), ("お茶を。熱いの", "more than one")):
            with self.subTest(answer):
                self.assertIn(wanted, complaint(query_of(answer), [], 11) or "nothing wrong")
        for answer, query in (
                ('"I want tea from a pot."', "I want tea from a pot."), ("“I want tea from a pot”", "I want tea from a pot"),
                ("<think>\nhm. A pot\n</think>\n\nI want tea, hot!", "I want tea, hot!"),
                ("I want Mr. Bean in St. Louis with J. Smith.", "I want Mr. Bean in St. Louis with J. Smith."),
                ("I want " + "very " * 8 + "hot", "I want " + "very " * 8 + "hot")):
            with self.subTest(answer):
                self.assertEqual(query_of(answer), query)
                self.assertIsNone(complaint(query, [], 11))

    def test_long_ones(self):
        """Each takes milliseconds; by a pattern that looks again from every letter it would take hours."""
        many = 200_000
        self.assertIn("characters, more than 800", complaint("I want a " + "x" * many, [], 40))
        for text in ("x" * many, "." * many, "." + "'" * many, " " * many, "x." * many):
            self.assertEqual(SENTENCE_END.findall(f"I want it{text}"), [])
        self.assertEqual(SENTENCE_END.findall("It costs 1.5. And?! more.) Yes"), ["5", "And", "more"])
        for title in ("(" * many, "a (" * many, "a" + " " * many + "b", "(1 " * many):
            self.assertEqual(names_of("", f"Red kettle{title}")[0], f"Red kettle{title}")
        self.assertIn("Red kettle", names_of("", "Red kettle (tea [pot)"))


class Queries(QueryTest):
    def test_what_is_asked_and_written(self):
        titles = self.write_items(6)
        (self.data / "test.txt").write_text("0 4 1\n1 4\r\n\n2 5\n")
        with Server() as server:
            result = self.check_succeeds(make_queries(self.data, *server.arguments, "--price-in", 2, "--price-out", 50))
        self.check_finished()
        self.assertEqual(result.stderr, "")
        self.assertEqual(sorted(server.titles()), [titles[item] for item in (1, 4, 5)])
        seeds = {title_in(body): body["seed"] for body in server.requests}
        self.assertEqual(len(set(seeds.values())), 3, "one seed for all")
        self.assertEqual(self.rows(), {item: query_for(titles[item], seeds[titles[item]]) for item in (1, 4, 5)})
        for body in server.requests:
            self.assertEqual(set(body), {"model", "messages", "seed"})
            self.assertEqual(body["model"], "fake")
            self.assertIn("at most 40 words", body["messages"][0]["content"])
        self.assertIn("3 queries in 3 requests, 0 of them retries", result.stdout)
        self.assertIn("300 tokens in, 30 out\n", result.stdout)
        self.assertIn("1000000 tokens in, 100000 out, cost 7\n", result.stdout)  # 10,000 items: 1 million at 2, 0.1 at 50
        facts = self.facts()
        self.assertEqual((facts["model"], facts["items"], facts["items_without_query"]), ("fake", "3 of test.txt", []))
        self.assertIn("{item}", facts["prompt"])
        self.assertNotIn(server.url, self.target.with_suffix(".json").read_text())

    def test_which_items(self):
        titles = self.write_items(5)
        targets = self.folder / "wanted.tsv"
        targets.write_text("user\titem\n0\t3\n1\t0\n2\t3\n")
        with Server() as server:
            for arguments, items in ((["--targets", targets], [0, 3]), (["--all"], [0, 1, 2, 3, 4])):
                server.requests.clear()
                self.check_succeeds(make_queries(self.data, *server.arguments, *arguments, "--restart"))
                self.assertEqual(sorted(server.titles()), [titles[item] for item in items])
                self.assertEqual(list(self.rows()), items)

    def test_options_of_the_request(self):
        (self.data / "items.tsv").write_text("item\toriginal_id\ttitle\tbrand\n0\tx1\tRed kettle\tAcme\n1\tx2\t\t\n")
        (self.data / "test.txt").write_text("0 0 1\n")
        prompt = self.folder / "prompt.txt"
        prompt.write_text("Ask.\nItem: {item}\nIn {words} words.")
        with Server(lambda number, asked: instead("I want hot water soon.")) as server:
            result = self.check_succeeds(make_queries(
                self.data, *server.arguments, "--text-cols", "title,brand", "--prompt", prompt, "--most-words", 7,
                "--temperature", 0.5, "--max-tokens", 99, "--no-seed"))
        self.assertEqual(server.requests, [{
            "model": "fake", "temperature": 0.5, "max_tokens": 99,
            "messages": [{"role": "user", "content": "Ask.\nItem: Red kettle, Acme\nIn 7 words."}]}])
        self.assertIn("1 without text: 1; they get no query", result.stderr)
        self.assertEqual(self.rows(), {0: "I want hot water soon."})
        self.assertEqual(self.facts()["prompt"], prompt.read_text())

    def test_broken_rules_are_told(self):
        titles = self.write_items(5)
        wrong = dict(zip(titles, [instead(f"I want {titles[0].upper()} for tea"), instead(None), instead("Too short"),
                                  instead("I want to boil water wh", finish_reason="length"), instead("I want\nhot water")],
                         strict=True))
        words = ["names the item (Kettle a0)", "is empty", "2 words", "cut off", "several lines"]
        with Server(lambda number, asked: wrong[title_in(asked)] if len(asked["messages"]) == 1 else None) as server:
            result = self.check_succeeds(make_queries(self.data, *server.arguments))
        self.assertIn("5 queries in 10 requests, 5 of them retries", result.stdout)
        for title, word in zip(titles, words, strict=True):
            first, second = (body for body in server.requests if title_in(body) == title)
            self.assertNotEqual(first["seed"], second["seed"])
            roles = [message["role"] for message in second["messages"]]
            self.assertEqual(roles, ["user", "user"] if word == "is empty" else ["user", "assistant", "user"])
            self.assertEqual(second["messages"][0], first["messages"][0])
            self.assertIn(word, second["messages"][-1]["content"])
            self.assertEqual(self.rows()[titles.index(title)], query_for(title, second["seed"]))

    def test_items_that_never_pass(self):
        titles = self.write_items(8)
        hard = {titles[2]: 4, titles[5]: 3}  # the requests of these that fail
        heard = dict.fromkeys(hard, 0)

        def answer(number, asked):
            title = title_in(asked)
            if title in hard:
                heard[title] += 1
                return instead("Never") if heard[title] <= hard[title] else None
            return None

        with Server(answer) as server:
            arguments = [self.data, *server.arguments, "--attempts", 2]
            result = self.check_succeeds(make_queries(*arguments))
            for item in (2, 5):
                self.assertIn(f"no query for item {item}: the last answer has 1 words, fewer than 4\n", result.stdout)
            self.assertRegex(result.stderr, "^2 of 8 items have no query and are left out; .*--attempts.*\n$")
            self.assertEqual(list(self.rows()), [0, 1, 3, 4, 6, 7])
            self.assertEqual(self.facts()["items_without_query"], [2, 5])
            self.assertTrue(self.journal.exists())
            kept = self.rows()
            server.requests.clear()
            self.check_refusal(make_queries(*arguments, "--strict"), "1 of 8 items have no query")
            self.assertEqual(sorted(server.titles()), [titles[2]] * 2 + [titles[5]] * 2, "others were asked again")
            self.assertEqual({item: query for item, query in self.rows().items() if item != 5}, kept)
            result = self.check_succeeds(make_queries(*arguments, "--seed", 5, "--strict"))
            self.assertIn("8 queries in 15 requests, 4 of them retries", result.stdout)  # 8 items, 2 and 1 again
        self.check_finished()
        self.assertEqual(list(self.rows()), list(range(8)))

    def test_no_item_passes(self):
        self.write_items(3)
        with Server(lambda number, asked: instead("No.")) as server:
            result = make_queries(self.data, *server.arguments, "--attempts", 3)
            self.check_refusal(result, "no item has a query after 3 answers each")
            self.assertEqual(len(server.requests), 9)
        self.assertFalse(self.target.exists())

    def test_parallel_is_serial(self):
        self.write_items(24)
        busy, most, lock = [0], [0], threading.Lock()

        def answer(number, asked):
            with lock:
                busy[0] += 1
                most[0] = max(most[0], busy[0])
            time.sleep(ANSWER_S)
            with lock:
                busy[0] -= 1
            return instead("Too short") if len(asked["messages"]) == 1 and asked["seed"] % 3 == 0 else None

        made = []
        for parallel in (1, 5):
            most[0] = 0
            with Server(answer) as server:
                arguments = [self.data, *server.arguments, "--parallel", parallel, "--restart"]
                self.assertIn(" of them retries", self.check_succeeds(make_queries(*arguments)).stdout)
            self.assertLessEqual(most[0], parallel)
            self.assertEqual(most[0] > 1, parallel > 1)
            self.check_finished()
            made.append(self.target.read_bytes())
        self.assertEqual(*made)

    def test_the_program_reads_them(self):
        make_dataset(self.data)
        with Server() as server:
            self.check_succeeds(make_queries(self.data, *server.arguments))
        queries = self.rows()
        vectors = self.data / "queries.npy"
        vectors.write_bytes(npy_bytes([len(queries), 8], [value for item in queries for value in vector(item)]))
        self.check_succeeds(train(self.data, self.folder / "run", "--epochs", "1"))
        result = self.check_succeeds(run("intention", self.folder / "run", "--queries", self.target, "--vectors", vectors,
                                         "--alpha", "0,1"))
        self.assertIn("intention_queries.tsv", result.stdout)


class Interruption(QueryTest):
    def test_at_any_moment(self):
        self.write_items(80)

        def answer(number, asked):
            return instead("Too short") if len(asked["messages"]) == 1 and asked["seed"] % 4 == 0 else None

        with Server(answer, delay_s=ANSWER_S) as server:
            arguments = [self.data, *server.arguments, "--parallel", 3]
            result = self.check_any_moment(arguments, 40, INTERRUPTIONS, ANSWER_S)
            self.check_finished()
            content, asked = self.target.read_bytes(), len(server.requests)
            server.requests.clear()
            self.check_succeeds(make_queries(*arguments, "--restart"))
            # Up to three items were under way at each end, of two requests at most.
            self.assertLessEqual(asked, len(server.requests) + 6 * INTERRUPTIONS, "finished items were asked for again")
            self.assertIn(f"80 queries in {len(server.requests)} requests", result.stdout)
        self.check_finished(content)

    def test_it_does_not_wait_for_answers(self):
        """Nor for the time that a server asks for."""
        self.write_items(12)
        for late in (60.0, (429, {"Retry-After": "60"}, "")):
            with self.subTest(late), Server(lambda number, asked, late=late: late if number > 3 else None) as server:
                process = subprocess.Popen(command(self.data, *server.arguments), stdout=subprocess.PIPE,
                                           stderr=subprocess.PIPE, text=True, env=ENVIRONMENT)
                while len(server.requests) < 8 and (late == 60.0 or len(server.requests) < 5) or \
                        not self.journal.exists() or self.journal.read_bytes().count(b"\n") < 5:
                    self.assertIsNone(process.poll())
                    time.sleep(0.01)
                process.send_signal(signal.SIGINT)
                errors = process.communicate(timeout=30)[1]
                self.assertEqual(process.returncode, 130, errors)
                self.assertEqual(errors.splitlines()[-1], "stopped; the same command goes on")
                self.journal.unlink()

    def interrupted(self, server):
        """20 items, of which some have queries."""
        self.write_items(20)
        arguments = [self.data, *server.arguments, "--parallel", 2]
        self.interrupt(arguments, 5, 0.0, signal.SIGKILL)
        server.requests.clear()
        return arguments

    def check_nothing_asked(self, server):
        """But for what was on its way when the run was killed."""
        self.assertLessEqual(len(server.requests), 2)

    def test_other_settings(self):
        prompt = self.folder / "prompt.txt"
        prompt.write_text("Ask.\nItem: {item}\n")
        with Server(delay_s=ANSWER_S) as server:
            arguments = self.interrupted(server)
            for other, word in ((["--model", "other"], "model: fake, now other"), (["--prompt", prompt], "prompt: "),
                                (["--most-words", 30], "most_words: 40, now 30"), (["--temperature", 0.1], "temperature: None"),
                                (["--text-cols", "title,original_id"], "text: "),
                                (["--max-tokens", 9], "max_tokens: None"),
                                (["--all"], "items: 20 of test.txt, now 20 of items.tsv")):
                with self.subTest(other):
                    self.check_refusal(make_queries(*arguments, *other), self.journal, word, "--restart")
            items = (self.data / "items.tsv").read_text()
            (self.data / "items.tsv").write_text(items.replace("Kettle", "Teapot"))
            self.check_refusal(make_queries(*arguments), self.journal, "texts: ", "--restart")
            (self.data / "items.tsv").write_text(items)
            self.check_nothing_asked(server)
            address = server.url.replace("127.0.0.1", "localhost")  # the same server's
            self.check_succeeds(make_queries(*arguments, "--parallel", 4, "--endpoint", address))
            self.check_finished()
            self.check_refusal(make_queries(*arguments), self.target, "is there already", "--restart")

    def test_damaged_journals(self):
        with Server(delay_s=ANSWER_S) as server:
            arguments = self.interrupted(server)
            whole = self.journal.read_bytes().splitlines(keepends=True)
            self.assertGreaterEqual(len(whole), 6)
            for line in (b"nonsense\n", b"[1]\n", b"\n", b'{"item": 0}\n', whole[2].replace(b'"item": ', b'"item": 9'),
                         whole[2].replace(b'"requests": 1', b'"requests": "one"'),
                         whole[2].replace(b'"query": "', b'"query": 7, "q": "')):
                with self.subTest(line):
                    self.journal.write_bytes(b"".join([*whole[:2], line, *whole[3:]]))
                    self.check_refusal(make_queries(*arguments), f"{self.journal}:3", "damaged", "--restart")
            for head in (b"nonsense\n", b"[]\n", b"{}\n", b'{"settings": 3}\n'):
                with self.subTest(head):
                    self.journal.write_bytes(b"".join([head, *whole[1:]]))
                    self.check_refusal(make_queries(*arguments), self.journal, "damaged", "--restart")
            self.check_nothing_asked(server)
            self.journal.write_bytes(b"".join(whole)[:-7])  # the last line was cut off
            self.interrupt(arguments, len(whole) - 1, 0.0, signal.SIGKILL)
            result = self.check_succeeds(make_queries(*arguments))
            self.assertRegex(result.stdout, "^going on after")
            self.assertEqual(len(set(server.titles())), 20 - (len(whole) - 2))
        self.check_finished()

    def test_two_at_once(self):
        self.write_items(4)
        with Server(lambda number, asked: 60.0) as server:
            self.check_two_at_once(server)


class Endpoint(QueryTest):
    def test_what_passes_is_tried_again(self):
        titles = self.write_items(8)
        failures = {0: (500, {}, ""), 2: (429, {"Retry-After": "2"}, ""), 4: 60.0, 6: 0.0}
        said = [["HTTP 500", "in 1 s"], ["HTTP 429", "in 2 s"], ["within 1 s", "in 1 s"], ["no answer", "in 1 s"]]
        with Server(lambda number, asked: failures.get(number)) as server:
            result = self.check_succeeds(make_queries(self.data, *server.arguments, "--timeout", 1, "--parallel", 1))
        self.assertEqual(len(server.requests), 8 + len(failures))
        for line, words in zip(result.stderr.splitlines(), said, strict=True):
            for word in words:
                self.assertIn(word, line)
        self.check_finished()
        self.assertEqual(self.rows(), {item: query_for(title, body["seed"]) for item, title in enumerate(titles)
                                       for body in server.requests if title_in(body) == title})

    def test_what_a_server_asks_for_holds_for_all(self):
        """The second request is on its way when the first is told to wait; the third one waits too."""
        self.write_items(6)
        moments = {}

        def answer(number, asked):
            moments[number] = time.monotonic()
            if number == 1:
                time.sleep(0.7)
            return (429, {"Retry-After": "1"}, "") if number == 0 else None

        with Server(answer) as server:
            self.check_succeeds(make_queries(self.data, *server.arguments, "--parallel", 2))
        self.assertGreater(moments[2] - moments[0], 1, "it did not wait")

    def test_what_stays_ends_it(self):
        self.write_items(6)
        wrong = {
            "HTML": (200, {}, "<html>"), "list": (200, {}, "[1]"), "no choice": (200, {}, '{"choices": []}'),
            "no message": (200, {}, '{"choices": [{}]}'), "message": (200, {}, '{"choices": [{"message": "hello"}]}'),
            "content": instead(["parts"]), "deep": (200, {}, "[" * 100_000), "null": (200, {}, "null")}
        answers = iter(wrong.values())
        with Server(lambda number, asked: next(answers) if number == 2 else None) as server:
            arguments = [self.data, *server.arguments, "--parallel", 1]
            for name in wrong:
                with self.subTest(name):
                    server.requests.clear()
                    result = make_queries(*arguments, "--restart")
                    self.check_refusal(result, server.url, "not the JSON of chat/completions", "2 of 6 queries are kept")
                    self.assertEqual(len(server.requests), 3)
                    self.assertFalse(self.target.exists())
            self.check_succeeds(make_queries(*arguments))
            self.assertEqual(len(server.requests), 3 + 4, "what was there was asked again")
            self.check_finished()
        self.target.unlink()
        for answer, *words in (((401, {}, '{"error":\n "no such key"}'), "HTTP 401", "no such key"),
                               ((302, {"Location": "http://127.0.0.1:1/"}, ""), "HTTP 302"),
                               ((500, {}, ""), "HTTP 500", "1 times")):
            with self.subTest(words), Server(lambda number, asked, answer=answer: answer) as server:
                self.check_refusal(make_queries(self.data, *server.arguments, "--retries", 0), *words, "0 of 6 queries")
                self.assertFalse(self.journal.exists())

    def test_key_rate_and_counts(self):
        self.write_items(4)
        uncounted = json.dumps({"choices": [{"message": {"content": "I want hot water soon."}}], "usage": None})
        with Server(lambda number, asked: (200, {}, uncounted) if number == 7 else None) as server:
            environment = {**ENVIRONMENT, "OPENAI_API_KEY": "secret"}
            began = time.monotonic()
            self.check_succeeds(make_queries(self.data, *server.arguments, "--requests-per-minute", 240, env=environment))
            self.assertGreater(time.monotonic() - began, 3 * 60 / 240)
            self.assertEqual(server.keys, ["Bearer secret"] * 4)
            for file in self.data.iterdir():
                self.assertNotIn(b"secret", file.read_bytes(), file)
            result = self.check_succeeds(make_queries(self.data, *server.arguments, "--restart"))
            self.assertEqual(server.keys[4:], [None] * 4)
            self.assertIn("tokens not reported", result.stdout)


class Refusals(QueryTest):
    def test_command_lines(self):
        self.write_items(2)
        prompt = self.folder / "prompt.txt"
        prompt.write_text("Ask for it.")
        end = ["--endpoint", "http://127.0.0.1:1", "--model", "x"]
        for arguments, *words in (
                [[], "DATA"], [[self.data], "--endpoint URL and --model NAME"], [[self.data, *end[:2]], "--model NAME"],
                [[self.folder / "nowhere", *end], "nowhere", "is no folder"], [[self.folder, *end], "items.tsv", "not there"],
                [[self.data, "--endpoint", "localhost:80", "--model", "x"], "localhost:80", "/chat/completions"],
                [[self.data, *end, "--attempts", 0], "'0'", "1 or more"], [[self.data, *end, "--most-words", 3], "4 or more"],
                [[self.data, *end, "--parallel", "two"], "'two' must be a whole number"],
                [[self.data, *end, "--price-in", 1], "--price-out"],
                [[self.data, *end, "--all", "--targets", "x"], "not allowed"],
                [[self.data, *end, "--text-cols", "brand"], "brand", "original_id, title"],
                [[self.data, *end, "--promp", "x"], "--promp"],
                [[self.data, *end, "--prompt", prompt], prompt, "{item}"],
                [[self.data, *end, "--prompt", self.folder / "none"], "none", "No such file"],
                [[self.data, *end, "--targets", self.folder / "none"], "none", "is not there", "user<tab>item"]):
            with self.subTest(arguments):
                self.check_refusal(make_queries(*arguments), *words)
        self.assertEqual({file.name for file in self.data.iterdir()}, {"items.tsv", "test.txt"})

    def test_files(self):
        self.write_items(2)
        end = ["--endpoint", "http://127.0.0.1:1", "--model", "x"]
        targets = self.folder / "targets.tsv"
        for content, *words in (["0\t2\n", ":1", "no item 2", "0 to 1"], ["user\titem\n0\tx\n", ":2", "'x'"],
                                ["0\n", ":1", "user<tab>item"],
                                ["0\t1\nx\t1\n", ":2", "user<tab>item"], ["", "no targets"], ["0\t\0\n", ":1", "NUL"]):
            with self.subTest(content):
                targets.write_text(content)
                self.check_refusal(make_queries(self.data, *end, "--targets", targets), targets, *words)
        for content, *words in ([b"0 1 2\n", ":1", "no item 2"], [b"0 1\n1 1.5\n", ":2", "'1.5'"],
                                [b"", "no interactions", "--all"],
                                [b"0 \xff\n", ":1", "UTF-8"]):
            with self.subTest(content):
                (self.data / "test.txt").write_bytes(content)
                self.check_refusal(make_queries(self.data, *end), "test.txt", *words)
        (self.data / "test.txt").unlink()
        self.check_refusal(make_queries(self.data, *end), "test.txt", "is not there", "--targets", "--all")
        (self.data / "items.tsv").write_text("0\n")
        self.check_refusal(make_queries(self.data, *end, "--all"), "items.tsv:1", "no tab")

    def test_no_space(self):
        self.write_items(40)
        with Server() as server:
            result = make_queries(self.data, *server.arguments,
                                  preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (2048, 2048)))
            self.check_refusal(result, self.journal, "File too large", "queries are kept")
            kept = int(result.stderr.split("; ")[1].split(" of 40")[0])
            self.assertGreater(kept, 2)
            server.requests.clear()
            self.check_succeeds(make_queries(self.data, *server.arguments))
            self.assertEqual(len(set(server.titles())), 40 - kept)
        self.check_finished()

    def test_a_folder_that_may_not_be_written_to(self):
        self.write_items(2)
        self.make_unwritable(self.data)
        with Server() as server:
            self.check_refusal(make_queries(self.data, *server.arguments), self.data, "may not be written to")
            self.assertEqual(server.requests, [])


class Page(QueryTest):
    def test_its_options(self):
        self.check_page("Intention queries")


if __name__ == "__main__":
    unittest.main(verbosity=2)
