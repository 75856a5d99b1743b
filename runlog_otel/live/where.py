"""Where this process runs: host, container, pod. Read once in a process; a forked one runs in the same place."""

import functools
import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from runlog_otel.core import semconv
from runlog_otel.live.control_group import CGROUP, MOUNTS, ROOT, limits, lines

_NAMESPACE = "var/run/secrets/kubernetes.io/serviceaccount/namespace"
_VARIABLES = {
    semconv.K8S_POD: ("K8S_POD_NAME", "KUBERNETES_POD_NAME", "POD_NAME", "MY_POD_NAME", "ARGO_POD_NAME"),
    semconv.K8S_POD_UID: ("K8S_POD_UID", "KUBERNETES_POD_UID", "POD_UID", "MY_POD_UID", "ARGO_POD_UID"),
    semconv.K8S_NAMESPACE: ("K8S_NAMESPACE_NAME", "KUBERNETES_NAMESPACE", "POD_NAMESPACE", "MY_POD_NAMESPACE"),
    semconv.K8S_NODE: ("K8S_NODE_NAME", "KUBERNETES_NODE_NAME", "NODE_NAME", "MY_NODE_NAME"),
}
"""What people, Argo, and OpenTelemetry's operator (with a prefix) call the variables of the downward API."""
_OPERATOR = "OTEL_RESOURCE_ATTRIBUTES_"
_MIN_LINE = 64
"""A container's group is longer: without one no pattern is compiled, which takes longer than all else."""
_HEX = "[0-9a-f]{64}"
_IN_CGROUP = rf"(?:^|[-/:])({_HEX}|[0-9a-f]{{32}}-[0-9]{{10}})(?:\.scope(?:/container)?)?$"
"""The end of a group's path: an id (`docker/…`), or as `docker-…`, `crio-…`, `cri-containerd:…`; or Fargate's."""
_IN_MOUNTS = rf"/(?:containers/(?:[^/ ]+/)?|overlay-containers/)({_HEX})/"
"""Where Docker, nerdctl and Podman keep the files `hostname` and `resolv.conf` of a container."""
_UID = "[0-9a-f]{8}[-_][0-9a-f]{4}[-_][0-9a-f]{4}[-_][0-9a-f]{4}[-_][0-9a-f]{12}"
_POD_UID = rf"(?:kubepods.*?[-/]pod|/kubelet/pods/)({_UID})"


def where() -> dict[str, str | int | float]:
    """Where this process runs, and its limits of CPU and memory, by the names in `semconv`."""
    host, pid = os.uname().nodename, os.getpid()
    place = _place()
    return {
        semconv.HOST_NAME: host,
        semconv.PROCESS_PID: pid,
        semconv.WORKER_ID: f"{host}:{pid}",
        semconv.WORKER_NAME: place.get(semconv.K8S_POD, host),
        **place,
    }


@functools.cache
def _place() -> Mapping[str, str | int | float]:
    return container(os.environ) | limits()


def container(environ: Mapping[str, str], root: Path = ROOT) -> dict[str, str]:
    """The container and the pod of this process, as far as they can be told, by the names in `semconv`."""
    groups = [line for line in lines(CGROUP, root) if len(line) > _MIN_LINE]
    mounts = [line for line in lines(MOUNTS, root) if "containers/" in line or "/pods/" in line]
    is_pod = "KUBERNETES_SERVICE_HOST" in environ
    # the files of a pod are those of its sandbox, which is a container of its own
    found = {semconv.CONTAINER_ID: _first(_IN_CGROUP, groups) or ("" if is_pod else _first(_IN_MOUNTS, mounts))}
    if is_pod:
        if "JENKINS_URL" in environ:  # its NODE_NAME is the agent
            environ = {name: value for name, value in environ.items() if name != "NODE_NAME"}
        found |= {
            name: next(filter(None, (environ.get(prefix + each) for each in names for prefix in ("", _OPERATOR))), "")
            for name, names in _VARIABLES.items()
        }
        found[semconv.K8S_POD] = found[semconv.K8S_POD] or environ.get("HOSTNAME", "")
        found[semconv.K8S_NAMESPACE] = found[semconv.K8S_NAMESPACE] or "".join(lines(_NAMESPACE, root)).strip()
        uid = found[semconv.K8S_POD_UID] or _first(_POD_UID, [*groups, *mounts])
        found[semconv.K8S_POD_UID] = uid.replace("_", "-")
    return {name: value for name, value in found.items() if value}


def _first(pattern: str, texts: Iterable[str]) -> str:
    return next((match[1] for text in texts if (match := re.search(pattern, text))), "")
