"""What a query must be: one sentence that asks for an item without naming it."""

import re
import unicodedata

LEAST_WORDS = 4
CJK = "\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff"  # written without blanks: each character counts as a word
WORD = re.compile(rf"[{CJK}]|(?:(?![{CJK}])[^\W_])+")
QUOTES = ('""', "''", "“”", "‘’", "„“", "«»", "「」", "``")
MARKUP = re.compile(r'["“”„«»「」*`<>\[\]{}|]|^[#-]')
PREFACE = re.compile(r"(?i)(sure|certainly|of course|okay|ok|here|query|request|answer|sentence|user)\b[^.?!]{0,60}:")
LETTERS_A_WORD = 20  # at most, on an average
# Words and runs of signs are looked at from their beginnings alone: a long one is gone through once.
SENTENCE_END = re.compile(r"(?<![^\W_])([^\W_]*)(?:(?<![.!?])[.!?]+['’)]*\s+(?=\S)|[。！？](?=\S))")
IN_BRACKETS = re.compile(r"(?<!\s)\s*[(\[][^)\]]*[)\]]")
ABBREVIATIONS = {"mr", "mrs", "ms", "dr", "st", "jr", "sr", "prof", "vs", "no", "vol", "approx", "etc"}
ARTICLES = "the|a|an|le|la|les|l'|un|une|der|die|das|ein|eine|el|los|las|il|lo|gli|i|o|os|as|de|het|den|det"
# A title of one of these words, or of one letter, stands in many sentences that do not mean it: "It", "Her", "M".
COMMON = set("""a about after all am an and any are as at be been before big but by can come do down for from get go good had
    has have he her here him his how i if in into is it its just like me more my new no not now of off on one only or our out
    over she so some that the their them then there they this to too two up us was we well were what when where which who why
    will with you your""".split())


def query_of(answer):
    """The sentence in a model's answer: without what it thought before, and without quotation marks around all of it."""
    query = answer.rpartition("</think>")[2].strip()
    if len(query) > 1 and query[0] + query[-1] in QUOTES:
        query = query[1:-1].strip()
    return query


def names_of(original_id, title):
    """What may not stand in a query: the title whole, without year and the like in brackets, without subtitle, without
    article, its other title in brackets, and the original id unless it is short."""
    closed = max(title.rfind(")"), title.rfind("]")) + 1  # no bracket closes after it, and none is looked for
    short = (IN_BRACKETS.sub("", title[:closed]) + title[closed:]).strip()
    others = [other for other in re.findall(r"[(\[]([^()\[\]\d]*)[)\]]", title) if len(WORD.findall(other)) > 1]
    names = [title]
    for name in [short, *(re.sub(r"(?i)^a\.?k\.?a\.?\s+", "", other) for other in others)]:
        for part in (name, re.split(r":\s|\s[-–—]\s", name)[0]):
            part = re.sub(rf"(?i),\s+(?:{ARTICLES})$", "", part.strip())
            names.append(re.sub(r"(?i)^(?:the|a|an)\s+", "", part))
    if len(original_id) >= (5 if original_id.isdecimal() else 3):
        names.append(original_id)
    return [name for name in dict.fromkeys(names) if WORD.search(name)]


def _words(text):
    """Without accents, as they are written else."""
    plain = "".join(letter for letter in unicodedata.normalize("NFKD", text) if unicodedata.category(letter) != "Mn")
    return WORD.findall(plain.replace("&", " and "))


def _stands_in(query, name):
    """Whether words of the query make the name, however both are spaced: 'spiderman' is Spider-Man. A common word counts
    where it has a capital and is not the first one."""
    words, wanted = _words(query), "".join(_words(name)).casefold()
    is_common = wanted in COMMON or len(wanted) == 1 and wanted.isascii()
    for start in range(len(words)):
        joined = ""
        for end in range(start, len(words)):
            joined += words[end].casefold()
            if not wanted.startswith(joined):
                break
            if joined == wanted:
                if not is_common or start > 0 and words[start][0].isupper():
                    return True
                break
    return False


def _has_more_sentences(query):
    ends = (match[1].casefold() for match in SENTENCE_END.finditer(query))
    return any(word not in ABBREVIATIONS and (len(word) != 1 or word in COMMON or not word.isalpha()) for word in ends)


def complaint(query, names, most_words):
    """What is wrong with a query, to follow 'the answer'; None where nothing is."""
    if not query:
        return "is empty"
    if len(query) > LETTERS_A_WORD * most_words:
        return f"has {len(query)} characters, more than {LETTERS_A_WORD * most_words}"
    words = len(WORD.findall(query))
    if any(unicodedata.category(letter) in ("Cc", "Cs", "Zl", "Zp") for letter in query):
        return "stands on several lines, or holds a tab or broken characters"
    named = next((name for name in names if _stands_in(query, name)), None)
    if named is not None:
        return f"names the item ({named})"
    if MARKUP.search(query):
        return "holds quotation marks or markup"
    if PREFACE.match(query):
        return "begins with words that do not belong to the request"
    if words > most_words:
        return f"has {words} words, more than {most_words}"
    if words < LEAST_WORDS:
        return f"has {words} words, fewer than {LEAST_WORDS}"
    if _has_more_sentences(query):
        return "has more than one sentence"
    return None
