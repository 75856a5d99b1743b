"""Redaction: text without secrets, bounded and encodable; configs with masked secrets.

The patterns are our own: libraries with more of them (such as detect-secrets) scan files and replace nothing, and each
step's process would pay for their imports. Each takes linear time, and is compiled once a text may match it.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from functools import lru_cache
from hashlib import blake2b
from typing import Any, NamedTuple

from runlog_otel.core.model import SecretFingerprint
from runlog_otel.core.semconv import MAX_ATTRIBUTE_BYTES

MASK = "********"
_CUT = "…"
_NAMES = (
    r"passw(?:or)?d|passphrase|pwd|secret|token(?!s|i[sz])|credential|api[_-]?key|access[_-]?key|account[_-]?key|"
    r"private[_-]?key|shared[_-]?access[_-]?(?:key|signature)|connection[_-]?string|\bsig(?==)"
)
_VALUE = (
    r"(?:(?P<open>(?P<escape>\\{1,2})?(?P<quote>[\"']))"
    r"(?(escape)(?:(?!(?P=quote))[^\n])+|(?:(?!(?P=quote))[^\\\n]|\\.)+)|[^\s'\",;&]+)"
)
_URL_CREDENTIALS = (
    r"(?P<scheme>(?<![a-zA-Z0-9])[a-zA-Z][a-zA-Z0-9+.-]{0,30}://)"
    r"(?:[^/\s'\"<>]*|[^/\s:@'\"<>]{0,100}:(?!\d{0,5}/)[^\s'\"<>]{0,100})@"  # the second allows a slash
)
_NOT_IN_A_WORD = r"(?<![A-Za-z0-9])"
_TOKENS = (  # https://docs.github.com/code-security/secret-scanning lists the formats of providers: prefix, rest
    (r"A3T[A-Z0-9]|A(?:KIA|SIA|BIA|CCA|GPA|IDA|IPA|NPA|NVA|ROA)", r"[A-Z0-9]{16}(?![A-Za-z0-9])"),  # AWS
    (r"LTAI", r"[A-Za-z0-9]{17,21}"),  # Alibaba
    (r"AIza", r"[\w-]{35}"),  # Google
    (r"ya29\.|GOCSPX-", r"[\w-]{20,}"),  # Google
    (r"gh[opsur]_", r"[A-Za-z0-9]{30,255}"),
    (r"github_pat_", r"\w{22,255}"),
    (r"gl(?:pat|dt|rt|ptt|oas|cbt|ft|soat|agent|imt|rtr|ffct)-", r"[\w-]{20,}"),  # GitLab
    (r"xox[abeoprs]", r"(?:\.xox[bp])?-[A-Za-z0-9-]{10,}"),  # Slack
    (r"xapp-", r"[A-Za-z0-9-]{10,}"),  # Slack
    (r"[prs]k_(?:live|test)_", r"[A-Za-z0-9]{10,}"),  # Stripe
    (r"whsec_", r"[A-Za-z0-9+/=]{20,}"),  # Stripe
    (r"sk-", r"[A-Za-z0-9_-]{20,}"),  # OpenAI, Anthropic
    (r"hf_", r"[A-Za-z0-9]{30,}"),
    (r"npm_", r"[A-Za-z0-9]{36}"),
    (r"pypi-", r"[\w-]{50,}"),
    (r"dckr_pat_|hv[bsr]\.", r"[\w-]{20,}"),
    (r"SG\.", r"[\w-]{16,}\.[\w-]{16,}"),  # SendGrid
    (r"key-|SK|dapi", r"[0-9a-f]{32}"),  # Mailgun, Twilio, Databricks
    (r"do[opr]_v1_", r"[0-9a-f]{64}"),
    (r"ATATT3", r"[\w=-]{20,}"),
    (r"glsa_", r"\w{32,}"),
)
_PREFIXES = "|".join(prefix for prefix, _ in _TOKENS)
_SIGN = rf"{_NOT_IN_A_WORD}(?:{_PREFIXES}|eyJ|(?i:bearer|basic)\s)"
"""What a rule needs that needs neither `:` nor `=` nor `--`."""


class _Rule(NamedTuple):
    """A kind of secret. A text without any of `hints`, in any case, is not searched: that is cheaper.

    Hints contain no `i`: `re.IGNORECASE` matches letters with it that casefolding does not change. Without hints, the
    text needs a `_SIGN`.
    """

    name: str
    hints: tuple[str, ...]
    regex: str
    replacement: str = MASK
    flags: int = 0

    @property
    def pattern(self) -> re.Pattern[str]:
        """Compiled at first use: all of them cost 6 ms of each step's process."""
        return _compiled(self.regex, self.flags)

    def may_match(self, text: str, folded: str) -> bool:
        """Whether the pattern can match in a text, which is also given with its cases folded."""
        return any(hint in folded for hint in self.hints) if self.hints else bool(_compiled(_SIGN).search(text))


_RULES = (
    _Rule(
        "private key",
        ("-----begin ",),
        r"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----.*?"
        r"(?:-----END [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----|\Z)",
        flags=re.DOTALL,
    ),
    _Rule("credentials of a URL", ("://",), _URL_CREDENTIALS, rf"\g<scheme>{MASK}@"),
    _Rule(
        "authorization",
        ("bearer", "bas"),
        r"\b(?P<kind>(?:Bearer|Basic)\s{1,9})[A-Za-z0-9._~+/=-]{8,}",
        rf"\g<kind>{MASK}",
        re.IGNORECASE,
    ),
    _Rule(
        "authorization header",
        ("author",),
        r"(?P<key>authorization\\{0,2}['\"]?\s{0,9}[:=]\s{0,9}\\{0,2}['\"]?(?:[\w-]{1,30}[ \t]{1,9})?)[^\s'\",;&]{8,}",
        rf"\g<key>{MASK}",
        re.IGNORECASE,
    ),
    _Rule(
        "cookie",
        ("cook",),
        r"(?P<key>cookie\\{0,2}['\"]?\s{0,9}:\s{0,9}\\{0,2}['\"]?)[^\s'\"][^\r\n'\"]*",
        rf"\g<key>{MASK}",
        re.IGNORECASE,
    ),
    _Rule("JSON Web Token", ("eyj",), r"(?<![\w.-])eyJ[\w-]{8,}\.[\w-]{4,}(?:\.[\w-]*)?"),
    _Rule("token", (), f"{_NOT_IN_A_WORD}(?:{'|'.join(f'(?:{prefix}){rest}' for prefix, rest in _TOKENS)})"),
    _Rule("webhook", ("hooks.slack.com",), r"(?P<host>://hooks\.slack\.com/)[\w/+-]+", rf"\g<host>{MASK}"),
    _Rule(
        "assignment",
        ("passw", "passphrase", "pwd", "secret", "token", "credent", "key", "shared", "connect", "g="),
        rf"(?P<key>(?:{_NAMES})[\w-]{{0,40}}(?<!error)(?<!exception)"  # InvalidTokenError: Signature has expired
        rf"\\{{0,2}}['\"]?\s{{0,9}}(?:=>|:=|[=:])\s{{0,9}}){_VALUE}",
        rf"\g<key>\g<open>{MASK}",
        re.IGNORECASE,
    ),
    _Rule(
        "option",
        ("--",),
        rf"(?P<key>(?<![\w-])--[\w-]{{0,40}}?(?:{_NAMES})[\w-]{{0,40}}"
        rf"(?:\s{{1,9}}|['\"],\s{{0,9}})){_VALUE}",  # the second as in the repr of a list of arguments
        rf"\g<key>\g<open>{MASK}",
        re.IGNORECASE,
    ),
)
_MASKED_KEY = r"pass|secret|token|key|credential|auth|connection|headers|dsn|redact"


@dataclass(frozen=True, slots=True)
class RedactionPolicy:
    """What the settings allow to be exported.

    `parameters` are names or globs (`fnmatch`) of parameters whose values are exported; `patterns` are masked in every
    text. `is_unlimited` masks and cuts nothing: an audit compares with it.
    """

    parameters: tuple[str, ...] = ()
    has_digests: bool = False
    patterns: tuple[str, ...] = field(default=(), repr=False)
    is_unlimited: bool = False

    @property
    def exports_parameters(self) -> bool:
        """Whether values or digests of any parameters are exported."""
        return bool(self.parameters) or self.has_digests or self.is_unlimited

    def allows(self, parameter: str) -> bool:
        """Whether a parameter's value is exported; one named like a secret must be listed by its full name."""
        if self.is_unlimited or parameter in self.parameters:
            return True
        is_listed = any(fnmatchcase(parameter, listed) for listed in self.parameters)
        return is_listed and not is_secret_name(parameter)

    def limit(self, count: int) -> int | None:
        """How many of a kind are exported; None for all."""
        return None if self.is_unlimited else count


def is_secret_name(name: str) -> bool:
    """Whether a name (`db_password`, `api-key`) is that of a secret, whatever the value looks like."""
    return _compiled(_NAMES, re.IGNORECASE).search(name) is not None


def fingerprint_of(value: str, run_id: str) -> SecretFingerprint:
    """The fingerprint of a secret in the log of a run."""
    keyed = _keyed(run_id)
    return SecretFingerprint(len(value), keyed.digest(value), value[:_OUTLINED].translate(keyed))


@dataclass(frozen=True, slots=True)
class Redaction:
    """Masks common secrets, matches of the settings' patterns, and secrets with a fingerprint in the run's log.

    It depends on settings and log only, so every process and every replay masks the same.
    """

    patterns: tuple[str, ...] = field(default=(), repr=False)
    run_id: str = ""
    marks: tuple[SecretFingerprint, ...] = ()

    def __call__(self, text: str) -> str:
        """The redacted text."""
        return self.explained(text)[0]

    def of_value(self, value: Any) -> Any:
        """A redacted JSON value; names in it are redacted as well."""
        if isinstance(value, Mapping):
            return {self(str(name)): self.of_value(part) for name, part in value.items()}
        if isinstance(value, list | tuple):
            return [self.of_value(part) for part in value]
        return self(value) if isinstance(value, str) else value

    def bounded(self, text: str, limit: int = MAX_ATTRIBUTE_BYTES) -> str:
        """The redacted text in at most `limit` bytes; no more of a long text is searched than needed.

        The searched part may end within a secret, so a margin at its end is dropped. Patterns of the settings may
        match any length, so with them the whole text is searched. A plain text takes 0.6 instead of 3 µs.
        """
        if not (self.marks or self.patterns or len(text) > limit or _may_hold_secret(text)):
            return bounded(text, limit)
        margin = max([_MARGIN, *(mark.characters for mark in self.marks)])
        size = len(text) if self.patterns else limit + 2 * margin
        while size < len(text):
            start = self(text[:size])[:-margin]
            if len(start) > limit:
                return bounded(start, limit)
            size *= 2
        return bounded(self(text), limit)

    def explained(self, text: str) -> tuple[str, tuple[str, ...]]:
        """The redacted text, and the names of the rules that matched."""
        rules: list[str] = []
        if self.marks:
            before, text = text, _without_marked(text, self.marks, self.run_id)
            rules += ["secret of the host"] if text != before else []
        for number, pattern in enumerate(self.patterns, 1):
            before, text = text, _compiled(pattern).sub(_mask_unless_empty, text)
            rules += [f"pattern {number} of telemetry.redact"] if text != before else []
        text, common = _without_common(text)
        return text, (*rules, *common)


_COMMON = Redaction()
_MARGIN = 16 * 1024
"""Enough characters to recognise any common secret."""
_OUTLINED = 8


def _without_common(text: str) -> tuple[str, tuple[str, ...]]:
    """The text without common secrets, and the names of the rules that matched."""
    if not _may_hold_secret(text):
        return text, ()
    rules: list[str] = []
    folded = text.casefold()
    for rule in _RULES:
        if rule.may_match(text, folded):
            before, text = text, rule.pattern.sub(rule.replacement, text)
            rules += [rule.name] if text != before else []
    return text, tuple(rules)


def _may_hold_secret(text: str) -> bool:
    """Whether any rule may match: 0.4 µs for a name, where the hints of all rules take 3 µs."""
    return ":" in text or "=" in text or "--" in text or _compiled(_SIGN).search(text) is not None


def redacted(text: str) -> str:
    """The text with common secrets masked: credentials of URLs, tokens, keys, assigned passwords."""
    return _COMMON(text)


class _Keyed(dict[int, int]):
    """Digests of texts and classes of characters (one of four), keyed by a run id."""

    def __init__(self, run_id: str) -> None:
        self._key = blake2b(run_id.encode("utf-8", "surrogatepass"), digest_size=32).digest()
        self._hash = blake2b(digest_size=16, key=self._key)

    def digest(self, value: str) -> str:
        own = self._hash.copy()
        own.update(value.encode("utf-8", "surrogatepass"))
        return own.hexdigest()

    def __missing__(self, character: int) -> int:
        """The class of a character as a digit, for `str.translate`."""
        data = chr(character).encode("utf-8", "surrogatepass")
        self[character] = digit = ord("0") + blake2b(data, digest_size=1, key=self._key).digest()[0] % 4
        return digit


_keyed = lru_cache(maxsize=16)(_Keyed)


def _without_marked(text: str, marks: Iterable[SecretFingerprint], run_id: str) -> str:
    """The text with every piece masked that matches a fingerprint."""
    keyed = _keyed(run_id)
    outline, mask = text.translate(keyed), MASK.translate(keyed)
    for mark in sorted(set(marks), reverse=True):  # a longer secret may contain a shorter one
        if places := list(_places(text, outline, mark, keyed)):
            text = _replaced(text, places, mark.characters, MASK)
            outline = _replaced(outline, places, mark.characters, mask)
    return text


def _places(text: str, outline: str, mark: SecretFingerprint, keyed: _Keyed) -> Iterator[int]:
    """Where pieces begin that match a fingerprint. Only pieces with its outline are hashed: a hash at every place takes
    a second for each fingerprint and megabyte.
    """
    at, last = 0, len(text) - mark.characters
    refused = ""  # text repeats itself
    while 0 <= (at := outline.find(mark.outline, at)) <= last:
        piece = text[at : at + mark.characters]
        if piece != refused and keyed.digest(piece) == mark.digest:
            yield at
            at += mark.characters
        else:
            refused = piece
            at += 1


def _replaced(text: str, places: list[int], size: int, replacement: str) -> str:
    ends = [0, *(at + size for at in places)]
    return replacement.join(text[start:end] for start, end in zip(ends, [*places, len(text)], strict=True))


def _mask_unless_empty(match: re.Match[str]) -> str:
    return MASK if match[0] else ""


@lru_cache(maxsize=128)
def _compiled(pattern: str, flags: int = 0) -> re.Pattern[str]:
    return re.compile(pattern, flags)


def bounded(text: str, limit: int = MAX_ATTRIBUTE_BYTES) -> str:
    """The text in at most `limit` bytes of UTF-8; lone surrogates are replaced."""
    if len(text) <= limit and text.isascii():
        return text
    data = text.encode("utf-8", "replace")
    if len(data) <= limit:
        return data.decode()
    return data[: limit - len(_CUT.encode())].decode("utf-8", "ignore") + _CUT


def bounded_names(names: Iterable[str], limit: int = MAX_ATTRIBUTE_BYTES) -> tuple[str, ...]:
    """As many names as fit into `limit` bytes together, then `…` if there are more."""
    kept: list[str] = []
    room = limit - len(_CUT.encode())
    for name in map(bounded, names):
        room -= len(name.encode())
        if room < 0:
            return (*kept, _CUT)
        kept.append(name)
    return tuple(kept)


def url_without_credentials(url: str) -> str:
    """The URL without user, password and query, for spans, log lines and screens."""
    if "://" in url:
        url = _compiled(_URL_CREDENTIALS).sub(r"\g<scheme>", url)
    return url.split("?", 1)[0]


def masked(config: Any, key: str = "") -> Any:
    """A copy of a config value in which secrets are masked, by name and by content."""
    is_secret = bool(key) and _compiled(_MASKED_KEY, re.IGNORECASE).search(key) is not None
    if isinstance(config, Mapping):
        return {name: masked(value, key if is_secret else str(name)) for name, value in config.items()}
    if isinstance(config, list | tuple):
        return [masked(value, key) for value in config]
    if config is None or isinstance(config, bool):
        return config
    if is_secret:
        return MASK
    return redacted(config) if isinstance(config, str) else config


def mask_in_place(config: Any) -> None:
    """Mask a config in place: the host is about to print it (`runnable.context.get_service_by_name`)."""
    if isinstance(config, dict):
        config.update(masked(config))


def origin(url: str) -> str:
    """Scheme, host and port of a URL, for messages."""
    from urllib.parse import urlsplit

    parts = urlsplit(url)
    host = parts.hostname or ""
    host = f"[{host}]" if ":" in host else host
    return f"{parts.scheme}://{host}:{parts.port}" if parts.port else f"{parts.scheme}://{host}"
