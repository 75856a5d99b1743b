"""A process knows in which host, container and pod it runs."""

import os
from pathlib import Path

import pytest

from runlog_otel.core import semconv
from runlog_otel.live.where import container, where
from tests.live.machine import V2, machine

ID, SANDBOX = "4f" * 32, "a0" * 32
UID = "6a1b2c3d-0000-4e5f-8a9b-0123456789ab"
PRIVATE = "0::/\n"
POD = {"KUBERNETES_SERVICE_HOST": "10.0.0.1", "HOSTNAME": "train-7d9"}


@pytest.mark.parametrize(
    "group",
    [
        f"12:memory:/docker/{ID}",
        f"0::/system.slice/docker-{ID}.scope",
        f"0::/docker/{SANDBOX}/docker/{ID}",
        f"0::/kubepods/burstable/pod{UID}/{ID}",
        f"0::/kubepods.slice/kubepods-pod{UID.replace('-', '_')}.slice/cri-containerd-{ID}.scope",
        f"1:name=systemd:/system.slice/containerd.service/kubepods-pod{UID}.slice:cri-containerd:{ID}",
        f"0::/kubepods.slice/kubepods-besteffort.slice/crio-{ID}.scope",
        f"0::/machine.slice/libpod-{ID}.scope/container",
        f"5:cpu:/ecs/{'b' * 32}/{ID}",
    ],
)
def test_the_control_group_names_the_container(tmp_path: Path, group: str) -> None:
    """In version 1 and 2, as Docker, containerd, CRI-O, Podman and ECS write it."""
    root = machine(tmp_path, f"13:pids:/\n{group}\n", "")
    assert container({}, root) == {semconv.CONTAINER_ID: ID}


@pytest.mark.parametrize(
    "folder",
    [
        f"/var/lib/docker/containers/{ID}",
        f"/home/me/.local/share/docker/containers/{ID}",
        f"/var/lib/nerdctl/1935db59/containers/default/{ID}",
        f"/var/lib/containers/storage/overlay-containers/{ID}/userdata",
    ],
)
def test_mounts_name_a_container_in_a_namespace_of_control_groups(tmp_path: Path, folder: str) -> None:
    """There the group's path is hidden; files such as /etc/hostname are mounted from the container's folder."""
    mounts = f"{V2.format(root='/')}\n700 690 8:1 {folder}/hostname /etc/hostname rw - ext4 /dev/sda1 rw\n"
    assert container({}, machine(tmp_path, PRIVATE, mounts)) == {semconv.CONTAINER_ID: ID}


def test_the_downward_api_names_pod_and_node(tmp_path: Path) -> None:
    """The variables of the pod's specification come first; only the control group names the container."""
    group = f"0::/kubepods.slice/kubepods-burstable-pod{UID.replace('-', '_')}.slice/crio-{ID}.scope\n"
    variables = {"POD_NAME": "train", "NODE_NAME": "node-1", "POD_NAMESPACE": "ml", "POD_UID": "u"}
    assert container(POD | variables, machine(tmp_path, group, "")) == {
        semconv.CONTAINER_ID: ID,
        semconv.K8S_POD: "train",
        semconv.K8S_POD_UID: "u",
        semconv.K8S_NAMESPACE: "ml",
        semconv.K8S_NODE: "node-1",
    }


def test_a_pod_without_variables_is_known_from_its_files(tmp_path: Path) -> None:
    """The host name is the pod's; mounts tell its id, and that of its sandbox, which is not the container."""
    mounts = (
        f"700 690 8:1 /var/lib/kubelet/pods/{UID}/etc-hosts /etc/hosts rw - ext4 /dev/sda1 rw\n"
        f"701 690 8:1 /run/containers/storage/overlay-containers/{SANDBOX}/userdata/hostname /etc/hostname rw - x y z\n"
        f"702 690 8:1 /io.containerd.grpc.v1.cri/sandboxes/{SANDBOX}/resolv.conf /etc/resolv.conf rw - x y rw\n"
    )
    files = {"var/run/secrets/kubernetes.io/serviceaccount/namespace": "ml"}
    assert container(POD, machine(tmp_path, PRIVATE, mounts, files)) == {
        semconv.K8S_POD: "train-7d9",
        semconv.K8S_POD_UID: UID,
        semconv.K8S_NAMESPACE: "ml",
    }


def test_a_machine_without_containers_names_none(tmp_path: Path) -> None:
    """Variables with the same names mean something else there, as NODE_NAME does in Jenkins."""
    root = machine(tmp_path, "0::/user.slice/user-1000.slice/session-2.scope\n", V2.format(root="/"))
    assert container({"NODE_NAME": "agent", "HOSTNAME": "laptop"}, root) == {}
    jenkins = {"JENKINS_URL": "https://ci.example.org/", "NODE_NAME": "agent"}
    assert container(POD | jenkins, tmp_path / "none") == {semconv.K8S_POD: "train-7d9"}


def test_this_process_is_named() -> None:
    """Its host and its id, which together are the worker."""
    host, pid = os.uname().nodename, os.getpid()
    told = where()
    assert [told[name] for name in (semconv.HOST_NAME, semconv.PROCESS_PID, semconv.WORKER_ID)] == [
        host,
        pid,
        f"{host}:{pid}",
    ]
    assert set(told) <= semconv.ATTEMPT_FACTS
