"""What leaves is bounded, encodable and free of credentials."""

import subprocess
import sys
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runlog_otel.core.redaction import (
    _RULES,
    MASK,
    Redaction,
    RedactionPolicy,
    _may_hold_secret,
    bounded,
    bounded_names,
    fingerprint_of,
    mask_in_place,
    masked,
    redacted,
    url_without_credentials,
)

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
        ("Authorization: Bearer \nabcdef0123456789", f"Authorization: Bearer \n{MASK}"),
        ("Authorization: Token abcdef0123456789", f"Authorization: Token {MASK}"),
        ('{"authorization": "ApiKey VnVhQ2ZHY0JDZGJr", "a": 1}', f'{{"authorization": "ApiKey {MASK}", "a": 1}}'),
        ("< Set-Cookie: sid=0123; Path=/\n< Age: 3", f"< Set-Cookie: {MASK}\n< Age: 3"),
        ("NoCredentialsError: Unable to locate credentials", "NoCredentialsError: Unable to locate credentials"),
        ("InvalidTokenException: Expired, tokenizer: bert", "InvalidTokenException: Expired, tokenizer: bert"),
        ("['tool', '--db-password', 'hunter2', '-x'] failed", f"['tool', '--db-password', '{MASK}', '-x'] failed"),
        (r'{"password": "a\"b", "n": 1}', f'{{"password": "{MASK}", "n": 1}}'),
        ("postgresql://me:s3/cr3t@db/runs", f"postgresql://{MASK}@db/runs"),
        ("http://host:8080/packages/@scope/name", "http://host:8080/packages/@scope/name"),
        ("password=hunter2 user=me", f"password={MASK} user=me"),
        ("{'api_key': 'sk-12345', 'rate': 3}", f"{{'api_key': '{MASK}', 'rate': 3}}"),
        ("AWS_SECRET_ACCESS_KEY=abc/def+1", f"AWS_SECRET_ACCESS_KEY={MASK}"),
        ("the token of the day is fine", "the token of the day is fine"),
        ("max_tokens=512, Basic training", f"max_tokens=512, Basic {MASK}"),
        ('password="correct horse" and so on', f'password="{MASK}" and so on'),
        (r"{\"db_password\": \"x y\", \"n\": 1}", rf'{{\"db_password\": \"{MASK}", \"n\": 1}}'),
        ("tool --api-key 'a b' --rate 3", f"tool --api-key '{MASK}' --rate 3"),
        ("Server=db;AccountKey=abc==;Pooling=1", f"Server=db;AccountKey={MASK};Pooling=1"),
        ("-----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY----- end", f"{MASK} end"),
        ("-----BEGIN PRIVATE KEY-----\nMIIE that was cut", MASK),
        ("https://hooks.slack.com/services/T0/B0/abc", f"https://hooks.slack.com/{MASK}"),
        ("mail me@example.org about http://host/path", "mail me@example.org about http://host/path"),
    ],
)
def test_credentials_in_text_are_masked(text: str, expected: str) -> None:
    """URLs, bearer tokens and assignments lose their secrets, and nothing else."""
    assert redacted(text) == expected


_WORD = st.characters(codec="ascii", categories=["L", "N"])
_TOKENS = st.one_of(
    *(
        st.builds(f"{prefix}{{}}".format, st.text(_WORD, min_size=size, max_size=size))
        for prefix, size in {
            "ghp_": 36,
            "github_pat_": 40,
            "glpat-": 20,
            "xoxb-1234-": 24,
            "sk_live_": 24,
            "sk-proj-": 40,
            "AIza": 35,
            "hf_": 34,
            "npm_": 36,
            "dckr_pat_": 27,
        }.items()
    ),
    st.builds("AKIA{}".format, st.text("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", min_size=16, max_size=16)),
    st.builds("eyJ{}.eyJ{}.{}".format, *[st.text(_WORD, min_size=12, max_size=80)] * 3),
)
_AROUND = st.text(st.characters(codec="utf-8", exclude_categories=["L", "N", "Cs"]), max_size=20)


@given(_AROUND, _TOKENS, _AROUND)
def test_a_token_is_masked_wherever_it_stands(before: str, token: str, after: str) -> None:
    """Tokens of known shapes, between whatever is no letter and no digit, are not in the text any more."""
    assert token not in redacted(before + token + after)


@given(_AROUND, st.text(_WORD, min_size=1), st.text(_WORD, min_size=1), _AROUND)
def test_a_url_loses_its_credentials_wherever_it_stands(before: str, user: str, password: str, after: str) -> None:
    """User and password go, the host stays."""
    text = redacted(f"{before} postgresql://{user}:{password}@host/x {after}")
    assert f"{password}@" not in text
    assert "@host/x" in text


@given(_ANY_TEXT)
def test_what_is_masked_stays_masked(text: str) -> None:
    """A text that was redacted when it was written is not changed when it leaves."""
    assert redacted(redacted(text)) == redacted(text)


@pytest.mark.parametrize(
    "piece",
    [
        *(
            "a",
            "a.",
            " ",
            "a://",
            "http://:",
            "--",
            "--password ",
            "--password',",
            "--aaaa ",
            "=e",
            "sk-",
            "SG.",
            "Bearer ",
        ),
        *(
            "eyJaaaaaaaaaa-",
            "eyJaaaaaaaaaa.",
            "password",
            'password="',
            "password\\",
            'password="\\',
            "cookie:",
            "authorization: ",
            "://hooks.slack.com/",
        ),
        "-----BEGIN PRIVATE KEY-----",
    ],
)
def test_a_long_text_of_any_kind_is_done_in_time(piece: str) -> None:
    """What nearly matches, a megabyte of it, takes no more than other text: with quadratic time this would not end."""
    assert redacted(piece * (1_000_000 // len(piece))) is not None


def test_patterns_of_the_settings_are_masked_and_named() -> None:
    """Each by its number, beside what is masked anyhow; one that matches nothing at all masks nothing."""
    redaction = Redaction((r"cust-\d+", "x*"))
    assert redaction.explained("cust-17 has password=p") == (
        f"{MASK} has password={MASK}",
        ("pattern 1 of telemetry.redact", "assignment"),
    )
    assert "cust" not in repr(redaction)


@given(_ANY_TEXT, st.text(min_size=6, max_size=40), _ANY_TEXT)
def test_a_marked_secret_is_found_without_knowing_it(before: str, secret: str, after: str) -> None:
    """By its mark, which does not hold it, and in the run that it was marked in only."""
    mark = fingerprint_of(secret, "r")
    assert secret not in Redaction(run_id="r", marks=(mark,))(before + secret + after).replace(MASK, "\0")
    assert secret not in mark.digest
    assert fingerprint_of(secret, "s") != mark


def test_of_two_marked_secrets_the_longer_goes_first() -> None:
    """One may be part of the other, whose rest would be left."""
    marks = (fingerprint_of("abcdef", "r"), fingerprint_of("abcdef-ghijkl", "r"))
    assert Redaction(run_id="r", marks=marks)("abcdef abcdef-ghijkl") == f"{MASK} {MASK}"


@given(_ANY_TEXT, st.text(min_size=1, max_size=40), _ANY_TEXT)
def test_a_mark_without_outline_masks_as_one_with_it(before: str, secret: str, after: str) -> None:
    """Older logs have such marks: what they find is the same, only later."""
    mark = fingerprint_of(secret, "r")
    old = Redaction(run_id="r", marks=(replace(mark, outline=""),))
    assert old(before + secret + after) == Redaction(run_id="r", marks=(mark,))(before + secret + after)


@pytest.mark.parametrize("secret", ["aaaaaa", "a" * 40, "a" * 40 + "b", "-" * 17])
@pytest.mark.parametrize("text", ["a", "-", "ab", "a-"])
def test_a_secret_that_repeats_itself_is_found_in_text_that_does(text: str, secret: str) -> None:
    """Each time that it stands there, as one finds it who knows it."""
    whole = text * 200 + secret + text * 200
    assert Redaction(run_id="r", marks=(fingerprint_of(secret, "r"),))(whole) == whole.replace(secret, MASK)


_SECRETS = ("hunter2-is-secret", "Zq" * 300)
_PIECES = st.sampled_from((*_SECRETS, "some text ", "-----BEGIN PRIVATE KEY-----" + "M" * 3000, "password=hunter2 "))


@given(st.lists(st.tuples(_PIECES, st.integers(1, 40)), max_size=40), st.integers(10, 2047))
def test_what_is_cut_first_reads_like_what_is_masked_first(pieces: list[tuple[str, int]], limit: int) -> None:
    """Only as much of a long text as may leave is looked at, and no secret is shown whose end was cut away."""
    text = "".join(piece * times for piece, times in pieces)
    redaction = Redaction(run_id="r", marks=tuple(fingerprint_of(secret, "r") for secret in _SECRETS))
    assert redaction.bounded(text, limit) == bounded(redaction(text), limit)


def test_a_pattern_of_the_settings_is_given_the_whole_text() -> None:
    """What it takes out may be of any length."""
    text = f"BEGIN {'x' * 100_000} END and more"
    assert Redaction((r"BEGIN .* END",)).bounded(text) == f"{MASK} and more"
    assert Redaction().bounded(text) == bounded(text)


@given(st.data())
def test_a_text_with_a_common_secret_in_it_is_searched_for_it(data: st.DataObject) -> None:
    """Whatever a rule's pattern finds has one of the hints in it, without which the text is not searched."""
    rule = data.draw(st.sampled_from(_RULES))
    text = data.draw(st.from_regex(rule.pattern))
    assert _may_hold_secret(text), rule.name
    assert rule.may_match(text, text.casefold()), rule.name


_NEAR_SECRETS = st.lists(
    st.one_of(
        *(st.from_regex(rule.pattern, fullmatch=True) for rule in _RULES),
        st.sampled_from(("key-", "sk-", "SK", "AKIA", "eyJ", "Bearer ", "basic", "token", "--", "=", "a", "0" * 32)),
        st.text(max_size=3),
    ),
    max_size=4,
).map("".join)


@given(_NEAR_SECRETS)
def test_no_hint_hides_a_secret(text: str) -> None:
    """The rules that are applied because of their hints mask what all rules would."""
    searched = text
    for rule in _RULES:
        searched = rule.pattern.sub(rule.replacement, searched)
    assert redacted(text) == searched


def test_plain_texts_compile_no_rule() -> None:
    """The process of a plain step does not pay for the patterns of secrets that it does not have."""
    plain = ("train model", "train model.execution.log", "calm-otter-0611", "a" * 40, "git@host:x.git", "no\n", "müde")
    code = (
        "import re, runlog_otel.core.spans, runlog_otel.core.redaction as redaction\n"
        "assert not redaction._compiled.cache_info().currsize\n"
        f"assert [redaction.redacted(text) for text in {plain}] == {[*plain]}\n"
        "print(redaction._compiled.cache_info().currsize)"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout == "1\n"


def test_only_listed_parameters_are_disclosed() -> None:
    """By name or glob; one whose name tells of a secret by its whole name only."""
    policy = RedactionPolicy(("train_*", "rate", "api_key"))
    asked = ("train_rows", "rate", "rates", "train_password", "api_key", "train_tokens")
    assert [name for name in asked if policy.allows(name)] == ["train_rows", "rate", "api_key", "train_tokens"]


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
