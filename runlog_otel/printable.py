"""Text from elsewhere (logs, tags, file names, answers of a backend) in a form that a terminal or a log line can show.

Control characters move the cursor and forge lines, ANSI sequences hide text, bidirectional controls reorder it, and
zero-width characters make two names look alike.
"""

import unicodedata


def printable(text: str, *, keeps_lines: bool = False) -> str:
    r"""The text with every character escaped that has no width or shape of its own.

    These are the Unicode categories of control, format, surrogate, private and unassigned characters, and of line and
    paragraph separators: `\n`, `\x1b`, `\u202e`, `\ufeff`, `\udcff`. A text that was escaped stays as it is.

    Args:
        text: any text.
        keeps_lines: keep newlines, where a text of several lines is printed on purpose.
    """
    if text.isprintable():
        return text
    if keeps_lines:
        return "\n".join(map(printable, text.split("\n")))
    return "".join(character if _is_visible(character) else _escaped(character) for character in text)


def _is_visible(character: str) -> bool:
    return character.isprintable() or unicodedata.category(character) == "Zs"  # spaces that are not ASCII


def _escaped(character: str) -> str:
    return character.encode("unicode_escape").decode()
