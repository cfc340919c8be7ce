"""Lines of text files as the program reads them: UTF-8, LF or CRLF, with or without a byte order mark."""

from refused import Refused


def lines(file, holds):
    """(number, text) of the lines that are not empty. holds: what the file is for, where it is missing"""
    try:
        content = file.read_bytes()
    except FileNotFoundError:
        raise Refused(f"{file}: is not there; it holds {holds}") from None
    for number, line in enumerate(content.removeprefix(b"\xef\xbb\xbf").split(b"\n"), start=1):
        try:
            text = line.removesuffix(b"\r").decode("utf-8")
        except UnicodeDecodeError:
            raise Refused(f"{file}:{number}: is not UTF-8; convert the file, for instance with iconv") from None
        if "\0" in text:
            raise Refused(f"{file}:{number}: holds a NUL byte; the file is damaged or not text")
        if text:
            yield number, text


MOST_DIGITS = 18  # which 64 bits hold


def is_number(word):
    return word.isascii() and word.isdigit() and len(word) <= MOST_DIGITS
