"""What leaves is bounded, encodable and free of credentials."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runlog_otel.redaction import MASK, bounded, bounded_names, mask_in_place, masked, redacted, url_without_credentials

_ANY_TEXT = st.text(st.characters(codec=None), max_size=3000)


@given(_ANY_TEXT, st.integers(10, 2047))
def test_bounded_text_fits_and_encodes(text: str, limit: int) -> None:
    """Whatever the text, lone surrogates included, at most `limit` bytes of UTF-8 are left."""
    assert len(bounded(text, limit).encode()) <= limit


@given(st.text(max_size=100))
def test_short_text_is_left_alone(text: str) -> None:
    """Only what is too long is cut."""
    assert bounded(text) == text


@given(st.lists(st.text(max_size=500), max_size=30))
def test_bounded_names_fit_together(names: list[str]) -> None:
    """A list is cut as a whole, and says so."""
    kept = bounded_names(names)
    assert sum(len(name.encode()) for name in kept) <= 2047
    assert kept == tuple(names) or kept[-1] == "…"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("postgresql://me:s3cr3t@db/runs", f"postgresql://{MASK}@db/runs"),
        ("https://ghp_0123456789@git.example/x.git", f"https://{MASK}@git.example/x.git"),
        ("Authorization: Bearer abcdef0123456789", f"Authorization: Bearer {MASK}"),
        ("password=hunter2 user=me", f"password={MASK} user=me"),
        ("{'api_key': 'sk-12345', 'rate': 3}", f"{{'api_key': '{MASK}', 'rate': 3}}"),
        ("AWS_SECRET_ACCESS_KEY=abc/def+1", f"AWS_SECRET_ACCESS_KEY={MASK}"),
        ("the token of the day is fine", "the token of the day is fine"),
        ("mail me@example.org about http://host/path", "mail me@example.org about http://host/path"),
    ],
)
def test_credentials_in_text_are_masked(text: str, expected: str) -> None:
    """URLs, bearer tokens and assignments lose their secrets, and nothing else."""
    assert redacted(text) == expected


def test_a_url_loses_user_password_and_query() -> None:
    """What may stand in a span."""
    assert url_without_credentials("https://me:pw@host:1/p?sig=abc") == "https://host:1/p"


def test_a_config_is_masked_by_name_and_by_url() -> None:
    """Secrets by their keys, at every depth, and credentials inside values."""
    config = {
        "type": "sql",
        "config": {"connection_string": "sqlite://", "endpoint": "http://u:p@h/", "pool": 3, "on": True},
        "headers": {"x": "y"},
        "list": [{"password": "p"}],
    }
    assert masked(config) == {
        "type": "sql",
        "config": {"connection_string": MASK, "endpoint": f"http://{MASK}@h/", "pool": 3, "on": True},
        "headers": {"x": MASK},
        "list": [{"password": MASK}],
    }


def test_a_config_can_be_masked_where_it_stands() -> None:
    """The host prints the very dict that it gave us."""
    config = {"telemetry": {"headers": {"authorization": "Bearer x"}}}
    mask_in_place(config)
    assert config == {"telemetry": {"headers": {"authorization": MASK}}}
