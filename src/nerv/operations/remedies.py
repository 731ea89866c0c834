"""What to do about a cause: explicit tables from the words of Flux, the kubelet and the scheduler to a way out.

The first line that fits counts, so the special ones stand first. `{where}` is the object, as every verb takes it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class Remedy:
    """A way out for messages that a pattern (of any letter case) is found in."""

    pattern: str
    text: str

    def fits(self, message: str) -> bool:
        """Whether the message is of this kind."""
        return re.search(self.pattern, message, re.IGNORECASE | re.DOTALL) is not None


def choose(table: tuple[Remedy, ...], message: str, where: str, otherwise: str) -> str:
    """The way out for a message."""
    found = next((each.text for each in table if each.fits(message)), otherwise)
    return found.replace("{where}", where)


SOURCE = (
    Remedy(r"secrets? .*not found", "make the Secret that spec.secretRef names"),
    Remedy(r"host key|knownhosts|known_hosts", "put the server's key into known_hosts of the source's Secret"),
    Remedy(
        r"authenticat|unauthorized|401|403|permission denied|access denied",
        "the login is refused: renew the token or deploy key in the Secret that spec.secretRef names",
    ),
    Remedy(
        r"couldn't find remote ref|reference not found|repository not found|404",
        "the branch, tag or repository does not exist: correct spec.ref or spec.url, or push it",
    ),
    Remedy(r"no such host|lookup .* on|name resolution", "the host's name does not resolve: look at the node's DNS"),
    Remedy(r"x509|certificate", "the server's certificate is not trusted: put its authority into spec.certSecretRef"),
    Remedy(
        r"refused|timeout|timed out|deadline|unreachable|no route",
        "the server cannot be reached from the cluster: look at the network; Flux tries again by itself",
    ),
    Remedy(r"no '.*' chart with version|no chart version|chart version", "correct spec.chart.spec.version"),
)

KUSTOMIZATION = (
    Remedy(r"path not found", "spec.path names a folder that the commit does not have: correct it, or push the folder"),
    Remedy(
        r"no matches for kind|could not find the requested resource",
        "the kind is not installed: what brings its CustomResourceDefinition has to be applied before, "
        "in a Kustomization that this one depends on",
    ),
    Remedy(
        r"immutable",
        "a field that cannot change did: delete the object once, or let Flux recreate it with spec.force: true",
    ),
    Remedy(r"sops|decrypt|age", "Flux cannot decrypt: look at Secret flux-system/sops-age and `.sops.yaml`"),
    Remedy(r"failed calling webhook", "a webhook does not answer: look at the pods of the Service that it names"),
    Remedy(r"exceeded quota", "the namespace's quota is used up: raise it, or ask for less"),
    Remedy(r"forbidden", "the service account that applies may not: give it the role"),
)
BUILD = "correct the file that the message names and commit it; `nerv check` finds it before it is pushed"

RELEASE = (
    Remedy(
        r"values don't meet the specifications of the schema|unknown value|additional propert|validation failed",
        "correct spec.values: the message names the value that the chart does not know",
    ),
    Remedy(
        r"could not (find|resolve).*values|values reference",
        "make the ConfigMap or Secret that spec.valuesFrom names",
    ),
    Remedy(
        r"cannot be imported|invalid ownership metadata",
        "an object of the chart exists already and is not Helm's: delete it",
    ),
    Remedy(r"another operation .* is in progress", "`nerv reconcile {where} --reset` lets it begin anew"),
    Remedy(r"failed to .* after \d+ attempt", "correct the cause, then `nerv reconcile {where} --reset`"),
    Remedy(r"no matches for kind", "the chart needs a kind that is not installed yet"),
    Remedy(
        r"deadline exceeded|timed out|timeout",
        "everything is ready by now: `nerv reconcile {where} --reset` lets Flux see it; a longer spec.timeout "
        "keeps it from happening again",
    ),
    Remedy(r"failed calling webhook", "a webhook does not answer: look at the pods of the Service that it names"),
)

CONTAINER = (
    Remedy(
        r"NERV has no program for image",
        "no program of this machine stands for the image, so its work is not done here; on real machines it is",
    ),
    Remedy(
        r"ErrImageNeverPull|ImagePullBackOff|ErrImagePull|pulling image|failed to pull|InvalidImageName",
        "the image cannot be pulled: correct its name or tag, give the pod a pull secret, or let the "
        "node reach the registry",
    ),
    Remedy(r"OOMKilled", "it used more memory than its limit: raise resources.limits.memory"),
    Remedy(
        r"configmap .*not found|secret .*not found|couldn't find key",
        "make the ConfigMap or Secret that is missing",
    ),
    Remedy(
        r"CrashLoopBackOff|back-off .*restarting|exit code",
        "it ends again and again: `nerv logs {where} --previous`",
    ),
    Remedy(r"probe failed|unhealthy", "it runs but does not answer its probe: `nerv logs {where}`"),
)

POD = (
    Remedy(
        r"MountVolume|FailedMount|AttachVolume|FailedAttach",
        "the volume cannot be mounted: look at its claim and at Longhorn",
    ),
    Remedy(r"sandbox|network plugin|cni", "the node cannot give it a network: look at k3s on the node"),
    Remedy(r"insufficient (cpu|memory)", "no node has that much left: add a node, or ask for less"),
    Remedy(r"taint", "no node tolerates it: remove the taint, or give the pod a toleration"),
    Remedy(
        r"node affinity|selector|didn't match",
        "no node has the labels that it asks for: label a node, or change the selector",
    ),
    Remedy(r"too many pods", "the node is full: add a node"),
    Remedy(r"free ports", "another pod of that node has the port"),
)

WORKLOAD = (
    Remedy(
        r"violates PodSecurity",
        "the namespace's Pod Security level refuses the pod: lower what it asks for, or raise the level",
    ),
    Remedy(r"exceeded quota", "the namespace's quota is used up: raise it, or ask for less"),
    Remedy(r"serviceaccount .*not found|service account", "make the service account that the pods name"),
    Remedy(r"webhook", "a webhook does not answer: look at the pods of the Service that it names"),
)

CLAIM = (
    Remedy(r"storageclass.* not found|no persistent volumes available", "make the StorageClass, or a volume that fits"),
    Remedy(
        r"provision|insufficient storage|no available disk",
        "look at Longhorn: its disks may be full or not schedulable",
    ),
)

ISSUER = (
    Remedy(
        r"secret .*not found|getting keypair",
        "the authority's Secret is not there yet: its Certificate has to be issued",
    ),
    Remedy(r"acme|account", "the ACME server refused or cannot be reached"),
)

ADDRESS = (
    Remedy(r"no available ip|no available IPs|pool", "the pool of addresses is used up: enlarge it in nerv.yaml"),
)
