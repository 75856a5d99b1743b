"""The branch or tag of a work tree, and its repository, as git's own files have them."""

import subprocess
from pathlib import Path
from typing import Any

import pytest

from runlog_otel.live.work_tree import vcs_facts

REMOTE = "https://user:hunter2-canary@git.example.org/group/tools.git?token=hunter2-canary"
NAME, TYPE, REPOSITORY = "vcs.ref.head.name", "vcs.ref.type", "vcs.repository.name"


class Repository:
    """A repository with two commits on the branch `main`; the first has tags."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()
        self("init", "--quiet", "--initial-branch", "main")
        self("remote", "add", "upstream", "https://example.org/other/upstream.git")
        self("remote", "add", "origin", REMOTE)
        self("commit", "--quiet", "--allow-empty", "--message", "one")
        self.first = self("rev-parse", "HEAD")
        self("commit", "--quiet", "--allow-empty", "--message", "two")

    def __call__(self, *arguments: str) -> str:
        """Run git."""
        identity = ("-c", "user.name=somebody", "-c", "user.email=somebody@example.org")
        command = ["git", *identity, *arguments]
        return subprocess.run(command, cwd=self.folder, check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture
def git(tmp_path: Path) -> Repository:
    return Repository(tmp_path / "checkout")


def write(folder: Path, head: str, remote: str = REMOTE) -> None:
    """Write git's files as far as they are read."""
    (folder / ".git").mkdir(exist_ok=True)
    (folder / ".git" / "HEAD").write_text(head, encoding="utf-8")
    config = f'[core]\n\tbare = false\n[remote "origin"]\n\tfetch = +refs/*\n\turl = {remote}\n[branch "main"]\n'
    (folder / ".git" / "config").write_text(config, encoding="utf-8")


def ref(kind: str = "", name: str = "") -> dict[str, str]:
    return ({NAME: name, TYPE: kind} if name else {}) | {REPOSITORY: "tools"}


def test_a_branch_is_read_from_any_folder_of_the_work_tree(git: Repository) -> None:
    """Slashes belong to its name; nothing of the remote's credentials is read."""
    git("checkout", "--quiet", "-b", "feature/new-things")
    inner = git.folder / "a" / "b"
    inner.mkdir(parents=True)
    assert vcs_facts(inner, {}) == ref("branch", "feature/new-things")


def test_a_linked_work_tree_has_its_own_branch(git: Repository, tmp_path: Path) -> None:
    """Its `.git` is a file, and the remote is in the folder that it shares."""
    git("worktree", "add", "--quiet", "-b", "aside", str(tmp_path / "linked"))
    assert vcs_facts(tmp_path / "linked", {}) == ref("branch", "aside")
    assert vcs_facts(git.folder, {}) == ref("branch", "main")


@pytest.mark.parametrize("is_packed", [False, True], ids=["loose", "packed"])
@pytest.mark.parametrize("options", [(), ("--annotate", "--message", "released")], ids=["light", "annotated"])
def test_a_detached_head_at_a_tag_is_that_tag(git: Repository, options: tuple[str, ...], is_packed: bool) -> None:
    """Of several tags, the first by its name."""
    for tag in ("v2/final", "v1"):
        git("tag", *options, tag, git.first)
    git("tag", "other")
    git("checkout", "--quiet", "--detach", "v1")
    if is_packed:
        git("pack-refs", "--all", "--prune")
    assert vcs_facts(git.folder, {}) == ref("tag", "v1")


def test_a_detached_head_without_a_tag_has_no_reference(git: Repository) -> None:
    """Its repository is known."""
    git("checkout", "--quiet", "--detach", "main")
    assert vcs_facts(git.folder, {}) == ref()


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({"GITHUB_ACTIONS": "true", "GITHUB_REF": "refs/heads/a/b"}, ("branch", "a/b")),
        ({"GITHUB_ACTIONS": "true", "GITHUB_REF": "refs/tags/v9"}, ("tag", "v9")),
        (
            {"GITHUB_ACTIONS": "true", "GITHUB_HEAD_REF": "fix", "GITHUB_REF": "refs/pull/7/merge"},
            ("branch", "fix"),
        ),
        ({"GITHUB_ACTIONS": "true", "GITHUB_REF": "refs/pull/7/merge"}, ("", "")),
        ({"GITLAB_CI": "true", "CI_COMMIT_BRANCH": "main"}, ("branch", "main")),
        ({"GITLAB_CI": "true", "CI_COMMIT_TAG": "v9"}, ("tag", "v9")),
        ({"GITLAB_CI": "true", "CI_MERGE_REQUEST_SOURCE_BRANCH_NAME": "fix"}, ("branch", "fix")),
        ({"TF_BUILD": "True", "BUILD_SOURCEBRANCH": "refs/tags/v9"}, ("tag", "v9")),
        (
            {
                "TF_BUILD": "True",
                "BUILD_SOURCEBRANCH": "refs/pull/7/merge",
                "SYSTEM_PULLREQUEST_SOURCEBRANCH": "refs/heads/fix",
            },
            ("branch", "fix"),
        ),
        ({"CIRCLECI": "true", "CIRCLE_TAG": "v9"}, ("tag", "v9")),
        ({"BUILDKITE": "true", "BUILDKITE_TAG": "", "BUILDKITE_BRANCH": "main"}, ("branch", "main")),
        ({"JENKINS_URL": "x", "BUILD_NUMBER": "1", "GIT_BRANCH": "origin/main"}, ("branch", "main")),
        ({"JENKINS_URL": "x", "BUILD_NUMBER": "1", "BRANCH_NAME": "PR-1", "CHANGE_BRANCH": "fix"}, ("branch", "fix")),
        ({"JENKINS_URL": "x"}, ("", "")),
    ],
    ids=str,
)
def test_a_ci_job_says_what_it_checked_out(
    tmp_path: Path, variables: dict[str, str], expected: tuple[str, str]
) -> None:
    """A job checks out a commit and no branch; variables about another commit say nothing about this one."""
    revisions = ("GITHUB_SHA", "CI_COMMIT_SHA", "BUILD_SOURCEVERSION", "CIRCLE_SHA1", "BUILDKITE_COMMIT", "GIT_COMMIT")
    names = [variables | dict.fromkeys(revisions, revision * 40) for revision in ("a", "b")]
    write(tmp_path, "a" * 40)
    assert [vcs_facts(tmp_path, each) for each in names] == [ref(*expected), ref()]
    write(tmp_path, "ref: refs/heads/own\n")
    assert [vcs_facts(tmp_path, each) for each in names] == [ref("branch", "own")] * 2


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("git@git.example.org:group/tools.git", "tools"),
        ("ssh://git@git.example.org:22/group/tools/", "tools"),
        ("git.example.org:tools", "tools"),
        ("/srv/git/tools.git/", "tools"),
        (r"C:\repositories\tools.git", "tools"),
        ("https://git.example.org/group/to.ols#readme", "to.ols"),
        ("https://hunter2-canary@git.example.org", ""),
        ("hunter2-canary@git.example.org", ""),
        ("", ""),
    ],
)
def test_a_repository_is_named_by_the_end_of_its_address(tmp_path: Path, url: str, name: str) -> None:
    """A user, a password or a token in the address is no part of it."""
    write(tmp_path, "ref: refs/heads/main\n", url)
    assert vcs_facts(tmp_path, {}).get(REPOSITORY, "") == name


@pytest.mark.parametrize(
    "files",
    [
        {},
        {".git": "gitdir: nowhere"},
        {".git": ""},
        {".git/HEAD": ""},
        {".git/HEAD": "ref: refs/heads/.invalid"},
        {".git/HEAD": "ref: refs/remotes/origin/main"},
        {".git/HEAD": b"\xff\xfe"},
        {".git/HEAD": "0" * 40, ".git/refs/tags/v1": "f" * 40, ".git/objects/ff/" + "f" * 38: b"no zlib"},
        {".git/HEAD": "0" * 40, ".git/packed-refs": "# " + "0" * 40},
        {".git/HEAD": "0" * 40, ".git/commondir": "/nowhere", ".git/config": "[remote]\nurl = x"},
    ],
    ids=str,
)
def test_odd_files_say_nothing(tmp_path: Path, files: dict[str, Any]) -> None:
    """Not a repository, a damaged one, or one in a format that is not read."""
    for name, content in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    assert vcs_facts(tmp_path, {}) == {}
