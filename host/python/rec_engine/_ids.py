"""The callers' own ids of users and items, and the numbers they go by inside."""

import numpy as np


class Ids:
    """Ids in the order of their numbers; any hashable values."""

    def __init__(self, values, what):
        self.values, self.what = list(values), what
        self.number = {value: n for n, value in enumerate(self.values)}
        if len(self.number) < len(self.values):
            twice = next(value for n, value in enumerate(self.values) if self.number[value] != n)
            raise ValueError(f"{what}s: expected every id once, given {twice!r} twice")
        if all(type(value) is int for value in self.values) and self.values:
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
        try:
            return np.fromiter((self.number[value] for value in as_values(wanted)), np.int32)
        except KeyError as error:
            raise KeyError(f"{argument}: expected {self.what}s that fit() was given, given {error.args[0]!r}") from None

    def names(self, numbers):
        """The ids of numbers, int64 where all ids are whole numbers, else objects. For number -1 that is -1 or None."""
        names = self._array[numbers] if len(self.values) else np.full(np.shape(numbers), None)
        names[numbers < 0] = -1 if names.dtype == np.int64 else None
        return names

    def texts(self):
        """As files have them; none where they are the numbers themselves."""
        return [] if self.are_numbers() else [str(value) for value in self.values]

    def are_numbers(self):
        return self._array.dtype == np.int64 and np.array_equal(self._array, np.arange(len(self.values)))


def as_values(wanted):
    """A sequence's values as plain Python ones: numpy.int64(3) and 3 are one id."""
    return wanted.tolist() if hasattr(wanted, "tolist") else [v.item() if isinstance(v, np.generic) else v for v in wanted]


def is_one(wanted):
    """Whether it is one id, not several."""
    return isinstance(wanted, (str, bytes, tuple)) or not hasattr(wanted, "__iter__")
