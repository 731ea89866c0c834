"""A HelmRelease's wishes, with Flux's defaults: names, namespaces, timeouts, remediation, options of each action."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from nerv.controllers.flux import durations
from nerv.controllers.flux.helm.engine.options import Options
from nerv.kube import objects
from nerv.kube.objects import Object

GROUP = "helm.toolkit.fluxcd.io"
INSTALL = "install"
UPGRADE = "upgrade"
ROLLBACK = "rollback"
UNINSTALL = "uninstall"

_NAME_LIMIT = 53
_HASH_LENGTH = 12
_DEFAULT_TIMEOUT = 300.0
_DEFAULT_HISTORY = 5


def shortened(name: str) -> str:
    """A release name of at most 53 characters: longer ones end in the first 12 of their hash."""
    if len(name) <= _NAME_LIMIT:
        return name
    return f"{name[: _NAME_LIMIT - _HASH_LENGTH - 1]}-{hashlib.sha256(name.encode()).hexdigest()[:_HASH_LENGTH]}"


@dataclass(frozen=True)
class Remediation:
    """What follows a failed install or upgrade. Negative `retries` are unlimited."""

    counter: str
    """The field of the status that counts this action's failures."""
    retries: int
    ignore_tests: bool
    remediate_last: bool
    strategy: str

    def exhausted(self, status: Mapping[str, Any]) -> bool:
        """Whether no retry is left."""
        return self.retries >= 0 and self.failures(status) > self.retries

    def failures(self, status: Mapping[str, Any]) -> int:
        """Failures counted so far."""
        return int(status.get(self.counter) or 0)


class View:
    """The spec of one HelmRelease, read only."""

    def __init__(self, obj: Object) -> None:
        self._obj = obj
        self.spec: Mapping[str, Any] = obj.get("spec") or {}

    @property
    def namespace(self) -> str:
        return objects.namespace(self._obj)

    @property
    def name(self) -> str:
        return objects.name(self._obj)

    @property
    def release_name(self) -> str:
        """The release's name: as given, else the object's name, after the target namespace if there is one."""
        target = self.spec.get("targetNamespace")
        return shortened(self.spec.get("releaseName") or (f"{target}-{self.name}" if target else self.name))

    @property
    def release_namespace(self) -> str:
        """Where the release's objects go."""
        return self.spec.get("targetNamespace") or self.namespace

    @property
    def storage_namespace(self) -> str:
        """Where the release Secrets are."""
        return self.spec.get("storageNamespace") or self.namespace

    @property
    def chart_name(self) -> str:
        """The name of the HelmChart object made from `spec.chart`."""
        return f"{self.namespace}-{self.name}"

    @property
    def interval(self) -> float:
        """Seconds between reconciliations."""
        return durations.parse(self.spec["interval"])

    @property
    def max_history(self) -> int:
        """Versions kept; 0 for all."""
        found = self.spec.get("maxHistory")
        return _DEFAULT_HISTORY if found is None else int(found)

    @property
    def dependencies(self) -> list[tuple[str, str]]:
        """Namespace and name of each dependency."""
        return [(each.get("namespace") or self.namespace, each["name"]) for each in self.spec.get("dependsOn") or ()]

    def timeout(self, action: str = "") -> float:
        """Seconds that an action (install, upgrade, rollback, uninstall, test) may take for each wait."""
        text = self._part(action).get("timeout") or self.spec.get("timeout")
        return durations.parse(text) if text else _DEFAULT_TIMEOUT

    @property
    def tests(self) -> bool:
        """Whether releases are tested."""
        return bool(self._part("test").get("enable"))

    @property
    def ignores_tests(self) -> bool:
        """Whether failed tests leave the release ready."""
        return bool(self._part("test").get("ignoreFailures"))

    def skipped_tests(self, names: set[str]) -> set[str]:
        """Those of the test hooks that the filters leave out."""
        filters = self._part("test").get("filters") or ()
        excluded = {each["name"] for each in filters if each.get("exclude")}
        included = {each["name"] for each in filters if not each.get("exclude")}
        return {name for name in names if name in excluded or (included and name not in included)}

    def remediation(self, action: str | None) -> Remediation | None:
        """What follows the failure of `action`; None for anything but install and upgrade."""
        if action not in (INSTALL, UPGRADE):
            return None
        found = self._part(action).get("remediation") or {}
        retries = int(found.get("retries") or 0)
        ignore = found.get("ignoreTestFailures")
        last = found.get("remediateLastFailure")
        is_install = action == INSTALL
        return Remediation(
            counter="installFailures" if is_install else "upgradeFailures",
            retries=retries,
            ignore_tests=self.ignores_tests if ignore is None else bool(ignore),
            remediate_last=(not is_install and retries > 0) if last is None else bool(last),
            strategy=UNINSTALL if is_install else found.get("strategy") or ROLLBACK,
        )

    def ignores_test_failures(self, action: str | None) -> bool:
        """What the remediation of `action` says of failed tests, else the test's own setting."""
        remediation = self.remediation(action)
        return self.ignores_tests if remediation is None else remediation.ignore_tests

    @property
    def drift_mode(self) -> str:
        """enabled, warn or disabled."""
        return str(self._part("driftDetection").get("mode") or "disabled")

    @property
    def drift_ignore(self) -> list[Mapping[str, Any]]:
        """What is no drift: rules of JSON pointers and an optional target."""
        return list(self._part("driftDetection").get("ignore") or ())

    @property
    def origin(self) -> dict[str, str]:
        """The labels by which objects say which HelmRelease they are of."""
        return {f"{GROUP}/name": self.name, f"{GROUP}/namespace": self.namespace}

    @property
    def post_renderers_digest(self) -> str:
        """`sha256:...` of the post-renderers, or an empty string without any."""
        found = self.spec.get("postRenderers")
        if found is None:
            return ""
        text = json.dumps(found, separators=(",", ":"), ensure_ascii=False)
        return f"sha256:{hashlib.sha256(f'{text}{chr(10)}'.encode()).hexdigest()}"

    def options(self, action: str, kubeconfig: str = "") -> Options:
        """The options of install, upgrade, rollback or uninstall."""
        part = self._part(action)
        return Options(
            seconds=self.timeout(action),
            wait=not part.get("disableWait"),
            wait_for_jobs=not part.get("disableWaitForJobs"),
            hooks=not part.get("disableHooks"),
            adopt=not part.get("disableTakeOwnership"),
            validate=not part.get("disableSchemaValidation"),
            crds=self._crds(action, part),
            force=bool(part.get("force")),
            cleanup_on_fail=bool(part.get("cleanupOnFail")),
            recreate=bool(part.get("recreate")),
            replace=bool(part.get("replace")),
            create_namespace=bool(part.get("createNamespace") and self.spec.get("targetNamespace")),
            keep_values=bool(part.get("preserveValues")),
            keep_history=bool(part.get("keepHistory")),
            propagation=part.get("deletionPropagation") or "background",
            labels=self.origin,
            kubeconfig=kubeconfig,
        )

    def _crds(self, action: str, part: Mapping[str, Any]) -> str:
        if part.get("crds"):
            return str(part["crds"])
        return "Skip" if action == UPGRADE or part.get("skipCRDs") else "Create"

    def _part(self, name: str) -> Mapping[str, Any]:
        found: Mapping[str, Any] = self.spec.get(name) or {}
        return found
