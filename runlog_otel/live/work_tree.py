"""Which branch or tag of which repository is checked out, read from the files of git without starting a program."""

import re
import zlib
from collections.abc import Iterator, Mapping
from contextlib import suppress
from itertools import islice
from pathlib import Path

from runlog_otel.core import semconv
from runlog_otel.live.ci_systems import ci_system, ref_from_name

_MAX_BYTES = 64 * 1024
_MAX_PACKED_BYTES = 16 * 1024 * 1024
_MAX_TAGS = 1000
"""How many files of tags are read at most."""
_REMOTE = re.compile(r'^\s*\[remote "origin"\]\s*$(?P<body>(?:\n(?!\s*\[).*)*)', re.MULTILINE)
_URL = re.compile(r"^\s*url\s*=\s*(?P<url>.*?)\s*$", re.MULTILINE)
_REPOSITORY = re.compile(r"(?:^|[/:\\])(?P<name>[^/:\\@]+?)(?:\.git)?[/\\]*(?:[?#].*)?$")
_REVISION = re.compile(r"[0-9a-f]{40,64}")


def vcs_facts(folder: Path, environ: Mapping[str, str]) -> dict[str, str]:
    """The reference and the repository of the work tree around a folder, by the names in `semconv`.

    A CI job checks out a commit: the branch or tag is then in its variables, if they are about the same commit.
    """
    git = _git_folder(folder)
    if git is None:
        return {}
    shared = git / _text(git / "commondir")  # a linked work tree has only its HEAD for itself
    kind, name = _reference(git, shared, environ) or ("", "")
    repository = _repository(_text(shared / "config"))
    facts = {
        semconv.VCS_REF_NAME: name,
        semconv.VCS_REF_TYPE: kind,
        semconv.VCS_REPOSITORY_NAME: repository,
    }
    return {key: value for key, value in facts.items() if value}


def _git_folder(folder: Path) -> Path | None:
    """The folder with HEAD: `.git` in this folder or above it, or where the file `.git` points to."""
    for above in (folder, *folder.parents):
        git = above / ".git"
        if (git / "HEAD").is_file():
            return git
        if git.is_file():
            return above / _text(git).removeprefix("gitdir:").strip()
    return None


def _reference(git: Path, shared: Path, environ: Mapping[str, str]) -> tuple[str, str] | None:
    head = _text(git / "HEAD")
    if head.startswith("ref:"):
        name = head.removeprefix("ref:").strip()
        return ref_from_name(name) if name != "refs/heads/.invalid" else None  # the references are in a table
    if not _REVISION.fullmatch(head):
        return None
    system = ci_system(environ)
    if system and (reference := system.ref_of(head, environ)):
        return reference
    return next((("tag", tag) for tag in sorted(_tags_at(shared, head))), None)


def _tags_at(shared: Path, revision: str) -> Iterator[str]:
    """The names of the tags of a commit, packed or not, annotated or not."""
    packed = _text(shared / "packed-refs", _MAX_PACKED_BYTES)
    if revision in packed:
        line = rf"^(?:{revision} refs/tags/(.+)|[0-9a-f]+ refs/tags/(.+)\n\^{revision})$"
        yield from (one or other for one, other in re.findall(line, packed, re.MULTILINE))
    tags = shared / "refs" / "tags"
    for path in islice(tags.rglob("*"), _MAX_TAGS):
        target = _text(path)
        if revision in (target, _tagged(shared, target)):
            yield path.relative_to(tags).as_posix()


def _tagged(shared: Path, target: str) -> str:
    """The commit of an annotated tag; empty if it is none, or in a pack."""
    with suppress(OSError, zlib.error):
        if _REVISION.fullmatch(target):
            with (shared / "objects" / target[:2] / target[2:]).open("rb") as file:
                content = zlib.decompressobj().decompress(file.read(_MAX_BYTES), 256)
            header, _, body = content.partition(b"\0object ")
            return body.partition(b"\n")[0].decode("ascii", "replace") if header.startswith(b"tag ") else ""
    return ""


def _repository(config: str) -> str:
    """The last part of the address of `origin`, where the host reads its address too."""
    remote = _REMOTE.search(config)
    url = _URL.search(remote["body"]) if remote else None
    name = _REPOSITORY.search(url["url"]) if url else None
    return name["name"] if name else ""


def _text(path: Path, limit: int = _MAX_BYTES) -> str:
    """The text of a file; empty if there is none, or if it is no regular file."""
    with suppress(OSError):
        if path.is_file():
            with path.open("rb") as file:
                return file.read(limit).decode("utf-8", "replace").strip()
    return ""
