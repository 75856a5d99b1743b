"""What only the running process knew, written into the log: of the run at its start, of each attempt at its end."""

from runlog_otel.core.semconv.attributes import (
    EXCEPTION_EVENT,
    EXCEPTION_MESSAGE,
    EXCEPTION_STACKTRACE,
    EXCEPTION_TYPE,
)
from runlog_otel.core.semconv.specs import attribute, event

HOST_NAME = attribute("host.name", "attempt", "string", "The machine, or the pod's name, in which the attempt ran.")
PROCESS_PID = attribute("process.pid", "attempt", "int", "The process that ran it.")
CONTAINER_ID = attribute("container.id", "attempt", "string", "The container, if it ran in one.")
K8S_NAMESPACE = attribute("k8s.namespace.name", "attempt", "string", "The Kubernetes namespace, if it ran in a pod.")
K8S_POD = attribute("k8s.pod.name", "attempt", "string", "The pod.")
K8S_POD_UID = attribute("k8s.pod.uid", "attempt", "string", "The pod's unique id.")
K8S_NODE = attribute("k8s.node.name", "attempt", "string", "The node, if the environment tells (downward API).")
WORKER_ID = attribute("cicd.worker.id", "attempt", "string", "The worker: `host.name` and `process.pid`.")
WORKER_NAME = attribute("cicd.worker.name", "attempt", "string", "The worker's name: the pod, else the host.")

CPU_TIME = attribute(
    "runlog.attempt.cpu.time", "attempt", "double", "CPU time in seconds, user and system, child processes included."
)
MEMORY_PEAK = attribute(
    "runlog.attempt.memory.peak",
    "attempt",
    "int",
    "Highest resident memory in bytes, of the process with the host, and of child processes.",
)
IO_READ = attribute("runlog.attempt.io.read", "attempt", "int", "Bytes read from storage, child processes included.")
IO_WRITE = attribute("runlog.attempt.io.write", "attempt", "int", "Bytes written to storage, child processes included.")
GPU_TIME = attribute(
    "runlog.attempt.gpu.time", "attempt", "double", "Busy time of GPUs in seconds, if `nvidia-ml-py` is there."
)
GPU_MEMORY_PEAK = attribute("runlog.attempt.gpu.memory.peak", "attempt", "int", "Highest GPU memory in bytes.")
CPU_LIMIT = attribute("runlog.attempt.cpu.limit", "attempt", "double", "The control group's limit, in CPUs.")
MEMORY_LIMIT = attribute("runlog.attempt.memory.limit", "attempt", "int", "The control group's limit, in bytes.")

OOM_KILLED = "oom_killed"
"""The `error.type` of a program that the kernel killed for lack of memory."""

STATUS_EVENT = event("runlog.status", "attempt", "When its code sets the status of the current span.")
STATUS_CODE = attribute("runlog.status.code", "event runlog.status", "string", "`OK` or `ERROR`.")
STATUS_DESCRIPTION = attribute("runlog.status.description", "event runlog.status", "string", "Its description.")
CODE_EVENTS = {
    EXCEPTION_EVENT: (EXCEPTION_TYPE, EXCEPTION_MESSAGE, EXCEPTION_STACKTRACE),
    STATUS_EVENT: (STATUS_CODE, STATUS_DESCRIPTION),
}
"""The events with names of ours that code reports through OpenTelemetry, and their attributes."""

TRIGGER_TYPE = attribute(
    "runlog.trigger.type", "run", "string", "What started the run: `ci`, `schedule`, `run`, `user`, if that is known."
)
TRIGGER_NAME = attribute("runlog.trigger.name", "run", "string", "The CI system, or the scheduler, that started it.")
TRIGGER_URL = attribute("runlog.trigger.url.full", "run", "string", "The page of the CI job that started it.")
TRIGGER_USER = attribute("runlog.trigger.user", "run", "string", "Who started it, with the setting `trigger_user`.")
VCS_REF_NAME = attribute("vcs.ref.head.name", "run", "string", "The git branch or tag that was checked out.")
VCS_REF_TYPE = attribute("vcs.ref.type", "run", "string", "`branch` or `tag`.")
VCS_REPOSITORY_NAME = attribute("vcs.repository.name", "run", "string", "The repository's name.")

ATTEMPT_FACTS = frozenset(
    (
        *(HOST_NAME, PROCESS_PID, CONTAINER_ID, K8S_NAMESPACE, K8S_POD, K8S_POD_UID, K8S_NODE, WORKER_ID, WORKER_NAME),
        *(CPU_TIME, MEMORY_PEAK, IO_READ, IO_WRITE, GPU_TIME, GPU_MEMORY_PEAK, CPU_LIMIT, MEMORY_LIMIT),
    )
)
"""The names that an attempt's facts in a log may have; others are ignored."""
RUN_FACTS = frozenset(
    (*(TRIGGER_TYPE, TRIGGER_NAME, TRIGGER_URL, TRIGGER_USER, VCS_REF_NAME, VCS_REF_TYPE, VCS_REPOSITORY_NAME),)
)
"""The names that the header's facts may have."""
_GROUPS = (
    *("runlog", "cicd", "vcs", "error", "exception", "process", "service", "container", "host", "k8s", "oci"),
    *("otel", "telemetry", "log"),
)


def is_free(name: str) -> bool:
    """Whether code may give an attribute this name: it is neither ours nor one of the conventions that we use."""
    return bool(name) and name.partition(".")[0] not in _GROUPS


def is_free_event(name: str) -> bool:
    """Whether code may report an event of this name."""
    return name in CODE_EVENTS or is_free(name)


def is_free_in(event: str, name: str) -> bool:
    """Whether code may give an attribute of its event this name."""
    return name in CODE_EVENTS.get(event, ()) or is_free(name)
