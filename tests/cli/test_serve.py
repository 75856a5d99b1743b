"""A wrong call of `serve` is one line, and it does not start."""

import pytest

from tests.calls import Command


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--interval", "0s"], "--interval: must be at least 1s, not 0s"),
        (["--interval", "5"], "--interval: '5' is not an age; write it as 30m, 24h, 7d"),
        (["--abandoned-after", "0m"], "--abandoned-after: must be at least 1s, not 0m"),
        (["--tls-cert", "a.pem"], "--tls-cert, --tls-key: give both or neither"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_wrong_call_is_one_line(command: Command, arguments: list[str], message: str) -> None:
    """Which option, and what it should be."""
    done = command("serve", *arguments)
    assert (done.status, done.err) == (2, f"error: {message}\n")
