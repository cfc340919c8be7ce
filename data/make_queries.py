#!/usr/bin/env python3
"""Makes intention_queries.tsv of a dataset folder: for every item, a sentence that asks for it without naming it.

usage: make_queries.sh DATA --endpoint URL --model NAME [--targets FILE | --all] [options]

A chat model behind an OpenAI-compatible server writes them from items.tsv. An answer that breaks a rule (query_rules.py)
is told to the model, which is asked again. Stopped at any moment, the same command goes on, and asks for no query again
that it has.
"""

import argparse
import contextlib
import datetime
import hashlib
import json
import pathlib
import queue
import sys
import threading
import time
import typing

from chat import Chat
from command_line import Arguments, Progress, at_least, run, say
from endpoint import Endpoint, add_options
from item_texts import read_names, read_texts, without_text
from journal import Journal, write_whole
from query_files import queries_text, read_split_items, read_targets
from query_rules import LEAST_WORDS, complaint, names_of, query_of
from refused import Refused

PER = 10_000  # items, for which seconds, tokens and cost are told
PROMPT = """Somebody looks for the item below and does not know what it is called. Write what this person says.

Item: {item}

Write one sentence of at most {words} words, in the first person, that asks for the item by what it is, what it is about or \
what it is for, so that it can be told from similar items. Use what you know of it. Do not name it: neither its title nor a \
part of the title. Answer with the sentence alone, without quotation marks and without markup."""
AGAIN = "This answer {complaint}. Write another sentence that keeps to all that was asked, and answer with it alone."


class Outcome(typing.NamedTuple):
    """What came of one item."""

    query: str | None
    complaint: str | None  # of the last answer, where there is no query
    requests: int
    tokens_in: int | None  # None: the server did not count
    tokens_out: int | None

    def is_sound(self):
        """Of one that was read back."""
        counts = (self.requests, self.tokens_in, self.tokens_out)
        return isinstance(self.query, str | None) and self.requests and all(isinstance(count, int | None) for count in counts)


def parse_arguments():
    parser = Arguments(prog="make_queries.sh", description="Makes intention_queries.tsv of a dataset folder by a chat model.",
                       allow_abbrev=False)
    add = parser.add_argument
    add("data", type=pathlib.Path, metavar="DATA", help="dataset folder with items.tsv")
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--targets", type=pathlib.Path, metavar="FILE",
                       help="queries for the items of this file's lines user<tab>item (all that are in test.txt)")
    which.add_argument("--all", action="store_true", help="queries for all items of items.tsv")
    add("--text-cols", default="title", metavar="COLUMN,...", help="columns of items.tsv that the model is told (title)")
    add("--restart", action="store_true", help="begin anew, in the place of what is there, finished or not")
    add("--strict", action="store_true", help="exit status 1 where an item has no query at the end")

    rules = parser.add_argument_group("how it is asked")
    rules.add_argument("--model", metavar="NAME", help="the chat model")
    rules.add_argument("--prompt", type=pathlib.Path, metavar="FILE", help="another text, with {item} and perhaps {words}")
    rules.add_argument("--most-words", type=at_least(LEAST_WORDS, int), default=40, metavar="N", help="of a query (40)")
    rules.add_argument("--attempts", type=at_least(1, int), default=4, metavar="N", help="answers an item, at most (4)")
    rules.add_argument("--temperature", type=at_least(0, float), metavar="T", help="(the server's)")
    rules.add_argument("--max-tokens", type=at_least(1, int), metavar="N", help="of an answer (the server's)")
    rules.add_argument("--seed", type=at_least(0, int), default=101, metavar="SEED", help="of the sampling (101)")
    rules.add_argument("--no-seed", action="store_true", help="send none, for a server that takes none")

    server = add_options(parser)
    server.add_argument("--parallel", type=at_least(1, int), default=4, metavar="N", help="requests at a time (4)")
    server.add_argument("--price-in", type=at_least(0, float), metavar="P", help="of a million tokens sent: tell the cost")
    server.add_argument("--price-out", type=at_least(0, float), metavar="P", help="of a million tokens that come")

    options = parser.parse_args()
    if not (options.endpoint and options.model):
        parser.error("--endpoint URL and --model NAME are needed")
    if (options.price_in is None) != (options.price_out is None):
        parser.error("--price-in and --price-out need each other")
    return options


def read_prompt(file):
    if file is None:
        return PROMPT
    try:
        prompt = file.read_text(encoding="utf-8").strip()
    except UnicodeDecodeError:
        raise Refused(f"{file}: is not UTF-8; convert the file, for instance with iconv") from None
    if "{item}" not in prompt:
        raise Refused(f"{file}: has no {{item}}, where the item's text is to stand")
    return prompt


def wanted_items(options, count):
    """The items that are to have a query, and where that is said."""
    if options.all:
        return set(range(count)), "items.tsv"
    if options.targets:
        return read_targets(options.targets, count), options.targets.name
    return read_split_items(options.data / "test.txt", count), "test.txt"


class Writer:
    """Asks for an item's query until one keeps to the rules. Several threads may ask."""

    def __init__(self, chat, prompt, options):
        self.chat, self.prompt = chat, prompt
        self.most_words, self.attempts = options.most_words, options.attempts
        self.seed = None if options.no_seed else options.seed

    def outcome(self, item, text, names):
        filled = self.prompt.replace("{words}", str(self.most_words)).replace("{item}", text)
        asked = {"role": "user", "content": filled}
        messages, answers = [asked], []
        for attempt in range(self.attempts):
            answer = self.chat.answer(messages, self._seed_of(item, attempt))
            answers.append(answer)
            query = query_of(answer.text)
            wrong = "was cut off before its end" if answer.cut_off else complaint(query, names, self.most_words)
            if wrong is None:
                break
            said = [{"role": "assistant", "content": query}] if query else []
            messages = [asked, *said, {"role": "user", "content": AGAIN.format(complaint=wrong)}]
        counts = ([answer.tokens_in for answer in answers], [answer.tokens_out for answer in answers])
        return Outcome(query if wrong is None else None, wrong, len(answers),
                       *(None if None in count else sum(count) for count in counts))

    def _seed_of(self, item, attempt):
        """Another for each request, whatever the order in which they are made."""
        if self.seed is None:
            return None
        digest = hashlib.sha256(f"{self.seed} {item} {attempt}".encode()).digest()
        return int.from_bytes(digest[:4], "little") >> 1  # servers take 31 bits


def in_parallel(work, items, threads):
    """(item, work(item)) in the order in which they are ready. The threads are not waited for when the program ends: an
    answer may take minutes."""
    waiting, ready = queue.SimpleQueue(), queue.SimpleQueue()
    for item in items:
        waiting.put(item)

    def take():
        with contextlib.suppress(queue.Empty):
            while True:
                item = waiting.get_nowait()
                try:
                    ready.put((item, work(item), None))
                except BaseException as error:
                    ready.put((item, None, error))
                    return

    for _ in range(min(threads, len(items))):
        threading.Thread(target=take, daemon=True).start()
    for _ in items:
        item, result, error = ready.get()
        if error is not None:
            raise error
        yield item, result


class Ledger:
    """The journal of queries: a line of JSON an item, with what it took. An item without a query has lines too."""

    def __init__(self, file, settings):
        self.journal = Journal(file, settings, file)
        self.queries = {}
        self.spent = []  # (outcome, seconds) of every line

    def take_up(self, wanted):
        for number, line in enumerate(self.journal.take_up(), start=2):
            try:
                said = dict(json.loads(line))
                item, seconds = said.pop("item"), said.pop("seconds")
                outcome = Outcome(**said)
                if item not in wanted or not isinstance(seconds, float) or not outcome.is_sound():
                    raise ValueError
            except (ValueError, TypeError, LookupError):
                raise Refused(f"{self.journal.file}:{number}: is damaged; take the line away to have the item asked again, or "
                              "begin anew with --restart") from None
            self._count(item, outcome, seconds)

    def add(self, item, outcome, seconds):
        if self.journal.head is None:
            self.journal.begin()
        self.journal.add(json.dumps({"item": item, **outcome._asdict(), "seconds": round(seconds, 6)}), to_disk=True)
        self._count(item, outcome, seconds)

    def _count(self, item, outcome, seconds):
        self.spent.append((outcome, seconds))
        if outcome.query is not None:
            self.queries[item] = outcome.query


def print_totals(options, ledger):
    """What the queries took, and what PER of them would."""
    def total(values):
        return None if None in values else sum(values)
    requests = sum(outcome.requests for outcome, _ in ledger.spent)
    seconds = sum(seconds for _, seconds in ledger.spent)
    tokens_in = total([outcome.tokens_in for outcome, _ in ledger.spent])
    tokens_out = total([outcome.tokens_out for outcome, _ in ledger.spent])
    counted = tokens_in is not None and tokens_out is not None
    told = f"{tokens_in} tokens in, {tokens_out} out" if counted else "tokens not reported"
    count = len(ledger.queries)
    print(f"{count} queries in {requests} requests, {requests - len(ledger.spent)} of them retries, {seconds:.1f} s, {told}")
    share = PER / count
    line = [f"{seconds * share:.1f} s"]
    if counted:
        line.append(f"{tokens_in * share:.0f} tokens in, {tokens_out * share:.0f} out")
        if options.price_in is not None:
            line.append(f"cost {(tokens_in * options.price_in + tokens_out * options.price_out) * share / 1e6:.4g}")
    print(f"for {PER:,} queries: {', '.join(line)}")


def settings_of(options, prompt, items, source, texts, names):
    """What makes the queries: a journal of others is not gone on with. A server may have another address by then."""
    def digest(value):
        return hashlib.sha256(json.dumps(value).encode()).hexdigest()[:16]
    columns = options.text_cols.split(",")
    return {"model": options.model, "prompt": digest(prompt),
            "text": f"{', '.join(columns)} column{'s' if len(columns) > 1 else ''} of items.tsv",
            "temperature": options.temperature, "max_tokens": options.max_tokens, "most_words": options.most_words,
            "items": f"{len(items)} of {source}", "texts": digest([(item, texts[item], *names[item]) for item in items])}


def collect(ledger, items, outcome_of, parallel):
    """Asks for the queries that are not there. Returns what is wrong with the last answer of each item without a query."""
    failed, done = {}, len(ledger.queries)
    if done:
        print(f"going on after {done} of {len(items)} items", flush=True)
    progress = Progress(len(items), "items", done)
    before = time.monotonic()
    try:
        for item, outcome in in_parallel(outcome_of, [item for item in items if item not in ledger.queries], parallel):
            now = time.monotonic()
            ledger.add(item, outcome, now - before)
            before = now
            if outcome.query is None:
                failed[item] = outcome.complaint
            done += 1
            progress.show(done)
    except Refused as refused:
        raise Refused(f"{refused}; {len(ledger.queries)} of {len(items)} queries are kept, and the same command goes on"
                      ) from None
    progress.end()
    return failed


def make(options):
    if not options.data.is_dir():
        raise Refused(f"{options.data}: is no folder; give a dataset folder with items.tsv")
    table = options.data / "items.tsv"
    names = read_names(table)
    texts, empty = read_texts(table, options.text_cols.split(","), allow_empty=True)
    wanted, source = wanted_items(options, len(texts))
    if without := sorted(wanted & set(empty)):
        say(f"{table}: {without_text(without)}; they get no query")
    items = sorted(wanted - set(without))
    if not items:
        raise Refused(f"{table}: none of the items of {source} has a text in {options.text_cols}")
    prompt = read_prompt(options.prompt)
    endpoint = Endpoint(options, "chat/completions")
    writer = Writer(Chat(endpoint, options.model, options.temperature, options.max_tokens), prompt, options)
    settings = settings_of(options, prompt, items, source, texts, names)

    target = options.data / "intention_queries.tsv"
    ledger = Ledger(target.with_name(target.name + ".journal"), settings)
    if options.restart:
        ledger.journal.discard()
    else:
        ledger.take_up(set(items))
        if ledger.journal.head is None and target.exists():
            raise Refused(f"{target}: is there already; --restart makes it anew")
    failed = collect(ledger, items, lambda item: writer.outcome(item, texts[item], names_of(*names[item])), options.parallel)
    finish(options, target, ledger, failed, {**settings, "prompt": prompt, "seed": writer.seed})


def finish(options, target, ledger, failed, facts):
    """failed: item -> complaint. facts: what intention_queries.json says"""
    for item in sorted(failed):
        print(f"no query for item {item}: the last answer {failed[item]}")
    if not ledger.queries:
        raise Refused(f"no item has a query after {options.attempts} answers each; another --prompt or --model may help")
    facts |= {"items_without_query": sorted(failed), "date": datetime.datetime.now(datetime.timezone.utc).date().isoformat()}
    said = {key: value for key, value in facts.items() if value is not None}
    write_whole(target.with_suffix(".json"), json.dumps(said, indent=2, ensure_ascii=False) + "\n")
    write_whole(target, queries_text(ledger.queries))
    if not failed:
        ledger.journal.discard()
    print_totals(options, ledger)
    print(f"{target}: {len(ledger.queries)} queries, {options.model}")
    if failed:
        sentence = (f"{len(failed)} of {len(failed) + len(ledger.queries)} items have no query and are left out; the same "
                    "command with another --seed or more --attempts asks for these again")
        if options.strict:
            raise Refused(sentence)
        say(sentence)


if __name__ == "__main__":
    sys.exit(run("make_queries", lambda: make(parse_arguments())))
