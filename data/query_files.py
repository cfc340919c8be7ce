"""Files of intentions, as docs/data.md has them: queries of items, and which items want a query."""

from refused import Refused
from text_lines import is_number, lines

QUERY_LINE = "a line 'item<tab>query' for every query"
TARGET_LINE = "a line 'user<tab>item' for every user"


def _records(file, holds):
    """(line, fields); a first line that does not begin with a number is a header"""
    for number, line in lines(file, holds):
        fields = line.split("\t")
        if number > 1 or is_number(fields[0]):
            yield number, fields


def _item(file, number, word, items=None):
    """The id of an item. items: how many there are, where that is known"""
    if not is_number(word):
        raise Refused(f"{file}:{number}: '{word}' is no item number")
    if items is not None and int(word) >= items:
        raise Refused(f"{file}:{number}: there is no item {word}; items.tsv has 0 to {items - 1}")
    return int(word)


def read_queries(file):
    """The queries in the order of the file."""
    queries = {}
    for number, (word, *others) in _records(file, QUERY_LINE):
        item = _item(file, number, word)
        if item in queries:
            raise Refused(f"{file}:{number}: item {item} has a query already")
        if not others or not others[0]:
            raise Refused(f"{file}:{number}: has no query; a line is 'item<tab>query'")
        queries[item] = others[0]
    if not queries:
        raise Refused(f"{file}: holds no queries; a line is 'item<tab>query'")
    return list(queries.values())


def queries_text(queries):
    """{item: query} as a file, ordered by item"""
    return "item\tquery\n" + "".join(f"{item}\t{queries[item]}\n" for item in sorted(queries))


def read_targets(file, items):
    """The items that users want."""
    wanted = set()
    for number, fields in _records(file, TARGET_LINE):
        if len(fields) < 2 or not is_number(fields[0]):
            raise Refused(f"{file}:{number}: a line is 'user<tab>item', both numbers")
        wanted.add(_item(file, number, fields[1], items))
    if not wanted:
        raise Refused(f"{file}: holds no targets; a line is 'user<tab>item'")
    return wanted


def read_split_items(file, items):
    """The items of a split, of which each line is 'user item item ...'."""
    wanted = set()
    for number, line in lines(file, "test interactions; name the items with --targets FILE, or take --all"):
        for word in line.split()[1:]:
            wanted.add(_item(file, number, word, items))
    if not wanted:
        raise Refused(f"{file}: has no interactions; name the items with --targets FILE, or take --all")
    return wanted
