"""The callers' own ids of users and items, and the numbers they go by inside."""

import numpy as np

_INT64 = np.iinfo(np.int64)


class Ids:
    """Ids in the order of their numbers; any hashable values, each once, none of them missing."""

    def __init__(self, values, what):
        self.values, self.what = list(values), what
        self.number = {value: n for n, value in enumerate(self.values)}
        for n, value in enumerate(self.values):
            if _is_missing(value):
                raise ValueError(f"{what}s: expected an id, given a missing value, {value!r}")
            if self.number[value] != n:
                raise ValueError(f"{what}s: expected every id once, given {value!r} twice")
        if self.values and all(type(value) is int and _INT64.min <= value <= _INT64.max for value in self.values):
            self._array = np.array(self.values, np.int64)
        else:
            self._array = np.empty(len(self.values), object)
            self._array[:] = self.values
        self._array.setflags(write=False)

    @classmethod
    def of_rows(cls, count, what):
        """Numbers themselves."""
        return cls(range(count), what)

    def __len__(self):
        return len(self.values)

    def numbers(self, wanted, argument):
        """int32 numbers of ids. KeyError for one that is not known."""
        values = as_values(wanted, argument)
        try:
            return np.fromiter((self.number[value] for value in values), np.int32)
        except KeyError as error:
            raise KeyError(f"{argument}: expected {self.what}s that fit() was given, given {error.args[0]!r}") from None

    def names(self, numbers):
        """The ids of numbers, int64 where all ids are whole numbers, else objects. For number -1 that is -1 or None."""
        names = self._array[numbers] if len(self.values) else np.full(np.shape(numbers), None)
        names[numbers < 0] = -1 if names.dtype == np.int64 else None
        return names

    def are_one(self, wanted):
        """Whether wanted is one id, known or not, and not several."""
        try:
            if wanted in self.number:
                return True
        except TypeError:  # not hashable
            return False
        return isinstance(wanted, (str, bytes)) or not hasattr(wanted, "__iter__")

    def texts(self):
        """As files have them; none where they are the numbers themselves, or where texts cannot tell them apart."""
        texts = [] if self._are_numbers() else [str(value) for value in self.values]
        usable = len(set(texts)) == len(texts) and all(map(_fits_a_table, texts))
        return texts if usable else []

    def kind(self):
        """"int" or "str" where files keep them. ValueError where only pickle does."""
        kinds = {type(value) for value in self.values}
        if kinds > {int} or kinds > {str} or not kinds <= {int, str} or not (self._are_numbers() or self.texts()):
            raise ValueError(f"{self.what}s: expected ids that are all str or all int, without tabs, line ends and empty ones, to be "
                             "saved as text, given others; pickle keeps them")
        return "str" if str in kinds else "int"

    def _are_numbers(self):
        return len(self.values) == 0 or self._array.dtype == np.int64 and np.array_equal(self._array, np.arange(len(self.values)))


def _is_missing(value):
    """None, NaN, and pandas' NaT and NA."""
    try:
        return value is None or bool(value != value)
    except TypeError:  # NA is neither equal nor not
        return True


def _fits_a_table(text):
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return bool(text) and not set(text) & set("\t\n\r\0")


def as_values(wanted, argument):
    """A sequence's values as plain Python ones: numpy.int64(3) and 3 are one id."""
    if hasattr(wanted, "tolist"):
        wanted = wanted.tolist()
    if isinstance(wanted, (str, bytes)) or not hasattr(wanted, "__iter__"):
        raise TypeError(f"{argument}: expected several ids, given {wanted!r}")
    return [value.item() if isinstance(value, np.generic) else value for value in wanted]
