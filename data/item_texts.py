"""What is embedded: columns of items.tsv, one text an item, with noise where a control asks for it."""

import random
import string
import zlib

from refused import Refused
from text_lines import is_number, lines

COLUMNS = ["item", "original_id", "title"]  # of a table without a header
NAMED = 5  # items without text that a message names


def _read_rows(file):
    """Names of the columns, and id -> (line, cells)"""
    names, rows = COLUMNS, {}
    for number, line in lines(file, "a line 'id<tab>original_id<tab>title' for every item"):
        first, *others = line.split("\t")
        if number == 1 and not is_number(first):
            names = [first, *others]
            continue
        if not is_number(first):
            raise Refused(f"{file}:{number}: must begin with an id, a number from 0, and a tab")
        if not others:
            raise Refused(f"{file}:{number}: has no tab; a line is 'id<tab>original_id<tab>title'")
        if int(first) in rows:
            raise Refused(f"{file}:{number}: id {first} stands on line {rows[int(first)][0]} too; each must be there once")
        cells = line.split("\t", max(len(names) - 1, 1))  # tabs in the last column become blanks
        rows[int(first)] = number, [cell.replace("\t", " ").strip() for cell in cells]
    if not rows:
        raise Refused(f"{file}: holds no items; a line is 'id<tab>original_id<tab>title'")
    for item, (number, _) in rows.items():
        if item >= len(rows):
            raise Refused(f"{file}:{number}: id {item} leaves a gap: {len(rows)} lines must carry the ids 0 to "
                          f"{len(rows) - 1}, each once")
    return names, rows


def read_texts(file, columns, allow_empty):
    """The items' texts by their ids, and the ids of those that have none."""
    names, rows = _read_rows(file)
    for column in columns:
        if column not in names:
            raise Refused(f"{file}:1: has no column '{column}'; there are {', '.join(names)}")
    chosen = [names.index(column) for column in columns]
    texts = []
    for _, cells in (rows[item] for item in range(len(rows))):
        texts.append(", ".join(cells[place] for place in chosen if place < len(cells) and cells[place]))
    empty = [item for item, text in enumerate(texts) if not text]
    if empty and not allow_empty:
        raise Refused(f"{file}:{min(rows[item][0] for item in empty)}: the item has no text ({without_text(empty)}); fill "
                      "in the column, choose others with --text-cols, or embed the empty text with --allow-empty")
    return texts, empty


def read_names(file):
    """Original id of each item, and its title or ''."""
    names, rows = _read_rows(file)
    title = names.index("title") if "title" in names else COLUMNS.index("title")
    return [(cells[1], cells[title] if title < len(cells) else "")
            for _, cells in (rows[item] for item in range(len(rows)))]


def checksum_of_texts(texts):
    """CRC-32 of the texts, a line each. The program (host/formats/item_texts.h) makes the same and compares it."""
    return f"{zlib.crc32(chr(10).join(texts).encode()):08x}"


def without_text(empty):
    more = ", ..." if len(empty) > NAMED else ""
    return f"{len(empty)} without text: {', '.join(map(str, empty[:NAMED]))}{more}"


def with_noise(texts, least, most, seed):
    """Each text and a word of least to most random letters: a control that says how much wording matters."""
    draw = random.Random(seed)
    return [f"{text} {''.join(draw.choices(string.ascii_lowercase, k=draw.randint(least, most)))}" for text in texts]
