"""Volumes of a pod: folders of this machine that hold what the API says, kept current while the pod lives.

For a pod without processes only the question is asked whether everything it needs is there: a required Secret that is
missing keeps a simulated pod from starting as it would a real one. Content is projected as the kubelet does: a folder
`..data` is exchanged at once, so a program never sees half of a change.
"""

from __future__ import annotations

import datetime
import hashlib
import json
import shutil
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from nerv.errors import NervError
from nerv.kube.objects import Object, parse_time
from nerv.kube.resources import (
    CONFIG_MAPS,
    PERSISTENT_VOLUME_CLAIMS,
    PERSISTENT_VOLUMES,
    SECRETS,
    SERVICE_ACCOUNTS,
)
from nerv.node import environment
from nerv.node.context import NodeContext
from nerv.node.rootfs import Mount

_FILE_MODE = 0o644
_TOKEN_SECONDS = 3607
_RENEW_AT = 0.8
_ROOT_CA = "kube-root-ca.crt"


class VolumeError(NervError):
    """A volume cannot be set up yet; the text is that of the kubelet's FailedMount event."""


class Content(NamedTuple):
    """One projected file."""

    data: bytes
    mode: int


@dataclass
class Token:
    """A ServiceAccount token and the moment from which it is to be renewed."""

    text: str
    renew_after: datetime.datetime


@dataclass
class PodVolumes:
    """The volumes of one pod, below `folder`."""

    context: NodeContext
    folder: Path
    _tokens: dict[tuple[str, int], Token] = field(default_factory=dict)

    def check(self, pod: Object) -> None:
        """Raise VolumeError for the first required object that is missing, without setting anything up."""
        for volume in _used_volumes(pod):
            _Reader(self.context, pod).check(volume)

    async def prepare(self, pod: Object) -> dict[str, Path | None]:
        """Set up every volume; None is memory. Again it brings them up to date. Raises VolumeError."""
        return {volume["name"]: await self._prepare(pod, volume) for volume in _used_volumes(pod)}

    async def _prepare(self, pod: Object, volume: Object) -> Path | None:
        place = self.folder / str(volume["name"])
        reader = _Reader(self.context, pod)
        reader.check(volume)
        if "emptyDir" in volume:
            if volume["emptyDir"].get("medium") == "Memory":
                return None
            place.mkdir(mode=0o777, parents=True, exist_ok=True)
            place.chmod(0o777)
            return place
        if "hostPath" in volume:
            return _host_path(pod, volume["name"], Path(volume["hostPath"]["path"]))
        if "persistentVolumeClaim" in volume:
            return self._claimed(pod, volume["persistentVolumeClaim"]["claimName"])
        files = reader.files(volume)
        if files is None:
            raise VolumeError(f'MountVolume.SetUp failed for volume "{volume["name"]}" : NERV cannot set up its kind')
        for source in volume.get("projected", {}).get("sources", []):
            if wanted := source.get("serviceAccountToken"):
                token = await self._token(pod, wanted.get("audience", ""), wanted.get("expirationSeconds"))
                files[wanted["path"]] = Content(token.encode(), 0o600)
        project(place, files)
        return place

    async def _token(self, pod: Object, audience: str, seconds: int | None) -> str:
        key = (audience, seconds or _TOKEN_SECONDS)
        known = self._tokens.get(key)
        now = self.context.clock.now()
        if known and now < known.renew_after:
            return known.text
        metadata = pod["metadata"]
        reference = {"apiVersion": "v1", "kind": "Pod", "name": metadata["name"], "uid": metadata["uid"]}
        request = {
            "apiVersion": "authentication.k8s.io/v1",
            "kind": "TokenRequest",
            "spec": {
                "audiences": [audience] if audience else [],
                "expirationSeconds": key[1],
                "boundObjectRef": reference,
            },
        }
        answer = await self.context.client.create(
            SERVICE_ACCOUNTS,
            request,
            namespace=metadata["namespace"],
            name=pod["spec"].get("serviceAccountName") or "default",
            subresource="token",
        )
        status = answer["status"]
        lifetime = parse_time(status["expirationTimestamp"]) - now
        self._tokens[key] = Token(status["token"], now + _RENEW_AT * lifetime)
        return self._tokens[key].text

    def _claimed(self, pod: Object, name: str) -> Path:
        claim = self.context.informers.of(PERSISTENT_VOLUME_CLAIMS).get(pod["metadata"]["namespace"], name)
        volume_name = claim["spec"].get("volumeName", "") if claim else ""
        volume = self.context.informers.of(PERSISTENT_VOLUMES).get(None, volume_name)
        if volume is None:
            raise VolumeError(f'persistentvolumeclaim "{name}" not bound')
        place = self.context.config.claims / str(volume_name)
        place.mkdir(mode=0o777, parents=True, exist_ok=True)
        return place


class _Reader:
    """Reads what the volumes of one pod refer to."""

    def __init__(self, context: NodeContext, pod: Object) -> None:
        self._context = context
        self._pod = pod
        self._namespace = pod["metadata"]["namespace"]

    def check(self, volume: Object) -> None:
        """Raise VolumeError when something required is missing."""
        name = volume["name"]
        for source in (volume, *volume.get("projected", {}).get("sources", [])):
            if secret := source.get("secret"):
                self._object(name, "secret", secret.get("secretName") or secret.get("name", ""), secret)
            if config_map := source.get("configMap"):
                self._object(name, "configmap", config_map["name"], config_map)
        if claim := volume.get("persistentVolumeClaim"):
            self._check_claim(claim["claimName"])

    def files(self, volume: Object) -> dict[str, Content] | None:
        """The files of a volume by path, None for a kind of volume that has none."""
        name = volume["name"]
        if secret := volume.get("secret"):
            return self._keys(name, "secret", secret["secretName"], secret, _mode(secret))
        if config_map := volume.get("configMap"):
            return self._keys(name, "configmap", config_map["name"], config_map, _mode(config_map))
        if downward := volume.get("downwardAPI"):
            return self._downward(downward, _mode(downward))
        if (projected := volume.get("projected")) is None:
            return None
        files: dict[str, Content] = {}
        for source in projected.get("sources", []):
            if secret := source.get("secret"):
                files |= self._keys(name, "secret", secret["name"], secret, _mode(projected))
            if config_map := source.get("configMap"):
                files |= self._keys(name, "configmap", config_map["name"], config_map, _mode(projected))
            if downward := source.get("downwardAPI"):
                files |= self._downward(downward, _mode(projected))
        return files

    def _object(self, volume: str, kind: str, name: str, source: Object) -> Object | None:
        resource = SECRETS if kind == "secret" else CONFIG_MAPS
        found = self._context.informers.of(resource).get(self._namespace, name)
        if found is None and not source.get("optional"):
            if name == _ROOT_CA and self._context.config.ca_certificate:
                return {"kind": "ConfigMap", "data": {"ca.crt": self._context.config.ca_certificate}}
            raise VolumeError(f'MountVolume.SetUp failed for volume "{volume}" : {kind} "{name}" not found')
        return found

    def _keys(self, volume: str, kind: str, name: str, source: Object, mode: int) -> dict[str, Content]:
        found = self._object(volume, kind, name, source)
        data = environment.data_of(found) if found else {}
        if "items" not in source:
            return {key: Content(value, mode) for key, value in data.items()}
        files = {}
        for item in source["items"]:
            if item["key"] in data:
                files[item["path"]] = Content(data[item["key"]], item.get("mode", mode))
            elif not source.get("optional"):
                missing = f"references non-existent {kind} key: {item['key']}"
                raise VolumeError(f'MountVolume.SetUp failed for volume "{volume}" : {missing}')
        return files

    def _downward(self, source: Object, mode: int) -> dict[str, Content]:
        files = {}
        containers = {each["name"]: each for each in self._pod["spec"]["containers"]}
        config = self._context.config
        capacity = {"cpu": config.cpus * 1000, "memory": config.memory}
        for item in source.get("items", []):
            if reference := item.get("fieldRef"):
                text = environment.field_of(self._pod, reference["fieldPath"])
            else:
                reference = item["resourceFieldRef"]
                text = environment.resource_of(containers[reference["containerName"]], reference, capacity)
            files[item["path"]] = Content(text.encode(), item.get("mode", mode))
        return files

    def _check_claim(self, name: str) -> None:
        claim = self._context.informers.of(PERSISTENT_VOLUME_CLAIMS).get(self._namespace, name)
        if claim is None:
            raise VolumeError(f'persistentvolumeclaim "{name}" not found')
        if claim.get("status", {}).get("phase") != "Bound":
            raise VolumeError(f'persistentvolumeclaim "{name}" not bound')


def _mode(source: Object) -> int:
    return int(source.get("defaultMode", _FILE_MODE))


def _used_volumes(pod: Object) -> list[Object]:
    return list(pod["spec"].get("volumes", []))


def _host_path(pod: Object, name: str, path: Path) -> Path:
    """Folders of this machine are shown read-only, or not at all: a cluster here never writes to the machine."""
    containers = [*pod["spec"].get("initContainers", []), *pod["spec"]["containers"]]
    mounts = [mount for each in containers for mount in each.get("volumeMounts", []) if mount["name"] == name]
    if not all(mount.get("readOnly") for mount in mounts):
        raise VolumeError(
            f'MountVolume.SetUp failed for volume "{name}" : hostPath {path} is this machine\'s own, set readOnly: true'
        )
    if not path.exists():
        raise VolumeError(f'MountVolume.SetUp failed for volume "{name}" : hostPath {path} does not exist')
    return path


def project(place: Path, files: Mapping[str, Content]) -> None:
    """Make a folder hold exactly these files, all at once."""
    place.mkdir(mode=0o755, parents=True, exist_ok=True)
    current = place / "..data"
    whole = json.dumps({path: [content.data.hex(), content.mode] for path, content in sorted(files.items())})
    digest = hashlib.sha256(whole.encode()).hexdigest()
    marker = place.parent / f".{place.name}.content"
    if current.exists() and marker.exists() and marker.read_text() == digest:
        return
    old = current.resolve() if current.exists() else None
    fresh = place / f"..{time.time_ns()}"
    for path, content in files.items():
        target = fresh / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.touch(mode=0o600)
        target.write_bytes(content.data)
        target.chmod(content.mode)
    fresh.mkdir(exist_ok=True)
    link = place / "..data_new"
    link.unlink(missing_ok=True)
    link.symlink_to(fresh.name)
    link.replace(current)
    wanted = {path.split("/", 1)[0] for path in files}
    for entry in place.iterdir():
        if not entry.name.startswith("..") and entry.name not in wanted:
            entry.unlink()
    for top in wanted:
        if not (place / top).is_symlink():
            (place / top).symlink_to(f"..data/{top}")
    if old and old != fresh:
        shutil.rmtree(old, ignore_errors=True)
    marker.write_text(digest)


def mounts(container: Object, prepared: Mapping[str, Path | None], variables: Mapping[str, str]) -> list[Mount]:
    """The mounts of one container. Raises VolumeError for a subPath that leads out of its volume."""
    found = []
    for mount in container.get("volumeMounts", []):
        source = prepared[mount["name"]]
        inner = mount.get("subPath") or environment.expand(mount.get("subPathExpr", ""), variables)
        if source is not None and inner:
            place = source / inner
            if ".." in Path(inner).parts or Path(inner).is_absolute():
                raise VolumeError(f'subPath "{inner}" must not leave its volume')
            if not place.exists():
                place.mkdir(parents=True)
            source = place.resolve()
        target = mount["mountPath"]
        found.append(Mount(str(source) if source else "tmpfs", target, bool(mount.get("readOnly"))))
    return found
