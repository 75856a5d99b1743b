"""What marks of secrets cost a long text: `python -m benchmarks.secrets`."""

import random
import string
from dataclasses import replace
from functools import partial

from benchmarks.tables import head, median, row
from runlog_otel.core.redaction import Redaction, fingerprint_of

_CHARACTERS = 1 << 20
_MARKS = 20
_WORDS = string.ascii_letters + string.digits
_REPEATS = 5


def main() -> None:
    """Print what one text costs, by what is in it and what is asked for."""
    draw = random.Random(1)
    texts = {
        "random words": "".join(draw.choices(_WORDS + " ", k=_CHARACTERS)),
        "records as JSON": ('{"id": 123, "name": "orders", "value": 0.125}, ' * _CHARACTERS)[:_CHARACTERS],
        "punctuation": "".join(draw.choices(string.punctuation, k=_CHARACTERS)),
        "one character": "a" * _CHARACTERS,
        "not ASCII": "".join(draw.choices("абвгдежзийклмн ", k=_CHARACTERS)),
    }
    marks = tuple(fingerprint_of("".join(draw.choices(_WORDS, k=6 + 2 * n)), "r") for n in range(_MARKS))
    older = Redaction(run_id="r", marks=(replace(marks[-1], outline=""),))
    marked, unmarked = Redaction(run_id="r", marks=marks), Redaction()
    print(f"1 MiB of text, {_MARKS} marks, median of {_REPEATS}\n")
    head(
        "text",
        "masked without marks, s",
        "with marks : without",
        "value that leaves : without",
        "one older mark : without",
    )
    for name, text in texts.items():
        base = median(partial(unmarked, text), _REPEATS)
        calls = (partial(marked, text), partial(marked.bounded, text), partial(older, text))
        row(name, f"{base:.3f}", *(f"{median(call, _REPEATS) / base:.2f}" for call in calls))


if __name__ == "__main__":
    main()
