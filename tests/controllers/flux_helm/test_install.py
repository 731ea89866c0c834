"""Installing: objects, ownership, release Secrets, status, events; and what goes wrong before anything is installed."""

from __future__ import annotations

from pathlib import Path

from tests.support.helm import chart, flux, message, statuses

from nerv.builders.helm import releases
from nerv.kube import objects
from nerv.kube.resources import CONFIG_MAPS, DEPLOYMENTS, SECRETS

CONFIG_MAP = """
apiVersion: v1
kind: ConfigMap
metadata:
  name: {{ .Release.Name }}-config
data:
  greeting: {{ .Values.greeting | quote }}
  revision: {{ .Release.Revision | quote }}
  upgrade: {{ .Release.IsUpgrade | quote }}
  kube: {{ .Capabilities.KubeVersion.Version }}
"""
DEPLOYMENT = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: {{ .Release.Name }}, labels: {app: {{ .Release.Name }}}}
spec:
  replicas: 2
  selector: {matchLabels: {app: {{ .Release.Name }}}}
  template:
    metadata: {labels: {app: {{ .Release.Name }}}}
    spec: {containers: [{name: app, image: "app:{{ .Values.tag }}"}]}
"""


async def test_a_release_is_installed_and_ready(tmp_path: Path) -> None:
    async with flux(tmp_path) as world:
        world.shelf.put(
            chart(
                tmp_path,
                templates={"cm.yaml": CONFIG_MAP, "deployment.yaml": DEPLOYMENT},
                values={"greeting": "hello", "tag": "1"},
                metadata={"appVersion": "7"},
            )
        )
        await world.release("app", values={"greeting": "hi"})
        ready = await world.ready("app")
        installed = "Helm install succeeded for release default/app.v1 with chart demo@1.0.0"
        assert message(ready, "Ready") == installed
        assert message(ready, "Released") == installed
        assert statuses(ready) == {"Ready": "True", "Released": "True"}
        config = await world.client.get(CONFIG_MAPS, "app-config", "default")
        assert config["data"]["greeting"] == "hi"
        assert config["data"]["upgrade"] == "false"
        assert objects.labels(config) == {
            "app.kubernetes.io/managed-by": "Helm",
            "helm.toolkit.fluxcd.io/name": "app",
            "helm.toolkit.fluxcd.io/namespace": "default",
        }
        assert objects.annotations(config)["meta.helm.sh/release-name"] == "app"
        assert config["metadata"]["managedFields"][0]["manager"] == "helm-controller"
        deployment = await world.client.get(DEPLOYMENTS, "app", "default")
        assert deployment["status"]["readyReplicas"] == 2
        (snapshot,) = ready["status"]["history"]
        assert snapshot["status"] == "deployed"
        assert snapshot["appVersion"] == "7"
        secret = await world.client.get(SECRETS, "sh.helm.release.v1.app.v1", "default")
        assert snapshot["digest"] == releases.digest(releases.from_secret(secret))
        assert ready["status"]["helmChart"] == "default/default-app"
        assert ready["status"]["storageNamespace"] == "default"
        assert ready["status"]["lastAttemptedRevision"] == "1.0.0"
        assert ready["status"]["lastAttemptedReleaseAction"] == "install"
        assert ("Normal", "InstallSucceeded", installed) in await world.events("app")
