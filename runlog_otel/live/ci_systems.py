"""The CI systems that say in environment variables which job runs, as each of them documents its variables."""

from collections.abc import Mapping
from typing import NamedTuple
from urllib.parse import quote

from runlog_otel.core.redaction import url_without_credentials

_URL_CHARACTERS = "%:/?#[]@!$&'()*+,;="


class CiSystem(NamedTuple):
    """One CI system, and the names of its variables."""

    name: str
    markers: tuple[str, ...]
    """Variables that are all set in its jobs, and together nowhere else."""
    url: str
    """The address of the job's page, made of variables."""
    user: str
    """The variable with the name of the person that started the job."""
    revision: str
    """The variable with the commit that the job checked out."""
    refs: tuple[tuple[str, str], ...]
    """The type that a reference has, and its variable; the first that is set counts."""
    schedule: tuple[str, str] | None = None
    """A variable, and its value in a job that a schedule started."""

    def is_scheduled(self, environ: Mapping[str, str]) -> bool:
        """Whether a schedule started the job."""
        return self.schedule is not None and environ.get(self.schedule[0]) == self.schedule[1]

    def job_url(self, environ: Mapping[str, str]) -> str:
        """The address of the job's page, without credentials; empty if a part of it is missing."""
        parts = {name: url_without_credentials(value) for name, value in environ.items() if f"{{{name}}}" in self.url}
        return quote(self.url.format_map(parts), _URL_CHARACTERS) if self.url.count("{") == len(parts) else ""

    def ref_of(self, revision: str, environ: Mapping[str, str]) -> tuple[str, str] | None:
        """The type and name of the reference that the job checked out; None if it is that of another commit."""
        if environ.get(self.revision) != revision:
            return None
        for kind, variable in self.refs:
            name = environ.get(variable, "")
            is_whole = name.startswith("refs/")
            if reference := ref_from_name(name) if is_whole else (kind, name.removeprefix("origin/")) if name else None:
                return reference
        return None


def ref_from_name(name: str) -> tuple[str, str] | None:
    """Type and short name of a full reference (`refs/heads/main`); None if it is neither a branch nor a tag."""
    for prefix, kind in (("refs/heads/", "branch"), ("refs/tags/", "tag")):
        if name.startswith(prefix):
            return kind, name.removeprefix(prefix)
    return None


CI_SYSTEMS = (
    CiSystem(
        name="GitHub Actions",
        markers=("GITHUB_ACTIONS",),
        url="{GITHUB_SERVER_URL}/{GITHUB_REPOSITORY}/actions/runs/{GITHUB_RUN_ID}/attempts/{GITHUB_RUN_ATTEMPT}",
        user="GITHUB_TRIGGERING_ACTOR",
        revision="GITHUB_SHA",
        refs=(("branch", "GITHUB_HEAD_REF"), ("branch", "GITHUB_REF")),
        schedule=("GITHUB_EVENT_NAME", "schedule"),
    ),
    CiSystem(
        name="GitLab CI",
        markers=("GITLAB_CI",),
        url="{CI_JOB_URL}",
        user="GITLAB_USER_LOGIN",
        revision="CI_COMMIT_SHA",
        refs=(
            ("tag", "CI_COMMIT_TAG"),
            ("branch", "CI_MERGE_REQUEST_SOURCE_BRANCH_NAME"),
            ("branch", "CI_COMMIT_BRANCH"),
        ),
        schedule=("CI_PIPELINE_SOURCE", "schedule"),
    ),
    CiSystem(
        name="Azure Pipelines",
        markers=("TF_BUILD",),
        url="{SYSTEM_COLLECTIONURI}{SYSTEM_TEAMPROJECT}/_build/results?buildId={BUILD_BUILDID}",
        user="BUILD_REQUESTEDFOR",
        revision="BUILD_SOURCEVERSION",
        refs=(("branch", "SYSTEM_PULLREQUEST_SOURCEBRANCH"), ("branch", "BUILD_SOURCEBRANCH")),
        schedule=("BUILD_REASON", "Schedule"),
    ),
    CiSystem(
        name="CircleCI",
        markers=("CIRCLECI",),
        url="{CIRCLE_BUILD_URL}",
        user="CIRCLE_USERNAME",
        revision="CIRCLE_SHA1",
        refs=(("tag", "CIRCLE_TAG"), ("branch", "CIRCLE_BRANCH")),
    ),
    CiSystem(
        name="Buildkite",
        markers=("BUILDKITE",),
        url="{BUILDKITE_BUILD_URL}#{BUILDKITE_JOB_ID}",
        user="BUILDKITE_BUILD_CREATOR",
        revision="BUILDKITE_COMMIT",
        refs=(("tag", "BUILDKITE_TAG"), ("branch", "BUILDKITE_BRANCH")),
        schedule=("BUILDKITE_SOURCE", "schedule"),
    ),
    CiSystem(
        name="Jenkins",
        markers=("JENKINS_URL", "BUILD_NUMBER"),
        url="{BUILD_URL}",
        user="BUILD_USER_ID",
        revision="GIT_COMMIT",
        refs=(("tag", "TAG_NAME"), ("branch", "CHANGE_BRANCH"), ("branch", "BRANCH_NAME"), ("branch", "GIT_BRANCH")),
    ),
)


def ci_system(environ: Mapping[str, str]) -> CiSystem | None:
    """The CI system whose job this process is a part of."""
    return next((one for one in CI_SYSTEMS if all(environ.get(name) for name in one.markers)), None)
