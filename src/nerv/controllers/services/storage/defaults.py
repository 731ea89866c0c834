"""Longhorn's settings of 1.9.1: name, default and type, in the order of the manager's own list."""

from __future__ import annotations

from typing import NamedTuple


class Setting(NamedTuple):
    """One setting. `kind` is what its value must be: bool, int, string or deprecated."""

    name: str
    default: str
    kind: str


SETTINGS = tuple(
    Setting(*line.split("|"))
    for line in """\
allow-recurring-job-while-volume-detached|false|bool
create-default-disk-labeled-nodes|false|bool
default-data-path|/var/lib/longhorn/|string
default-engine-image||string
default-instance-manager-image||deprecated
default-backing-image-manager-image||deprecated
support-bundle-manager-image||string
replica-soft-anti-affinity|false|bool
replica-auto-balance|disabled|string
replica-auto-balance-disk-pressure-percentage|90|int
storage-over-provisioning-percentage|100|int
storage-minimal-available-percentage|25|int
storage-reserved-percentage-for-default-disk|30|int
upgrade-checker|true|bool
upgrade-responder-url|https://longhorn-upgrade-responder.rancher.io/v1/checkupgrade|string
allow-collecting-longhorn-usage-metrics|true|bool
current-longhorn-version|v1.9.1|string
latest-longhorn-version||string
stable-longhorn-versions||string
default-replica-count|3|int
default-data-locality|disabled|string
default-longhorn-static-storage-class|longhorn-static|string
taint-toleration||string
system-managed-components-node-selector||string
crd-api-version||string
auto-salvage|true|bool
auto-delete-pod-when-volume-detached-unexpectedly|true|bool
registry-secret||string
disable-scheduling-on-cordoned-node|true|bool
replica-zone-soft-anti-affinity|true|bool
node-down-pod-deletion-policy|do-nothing|string
node-drain-policy|block-if-contains-last-replica|string
detach-manually-attached-volumes-when-cordoned|false|bool
priority-class||?
disable-revision-counter|true|bool
replica-replenishment-wait-interval|600|int
concurrent-replica-rebuild-per-node-limit|5|int
concurrent-backing-image-replenish-per-node-limit|5|int
concurrent-volume-backup-restore-per-node-limit|5|int
system-managed-pods-image-pull-policy|if-not-present|string
allow-volume-creation-with-degraded-availability|true|bool
auto-cleanup-system-generated-snapshot|true|bool
auto-cleanup-recurring-job-backup-snapshot|true|bool
concurrent-automatic-engine-upgrade-per-node-limit|0|int
backing-image-cleanup-wait-interval|60|int
backing-image-recovery-wait-interval|300|int
guaranteed-instance-manager-cpu|12|int
kubernetes-cluster-autoscaler-enabled|false|bool
orphan-resource-auto-deletion||string
orphan-resource-auto-deletion-grace-period|300|int
storage-network||string
storage-network-for-rwx-volume-enabled|false|bool
failed-backup-ttl|1440|int
recurring-successful-jobs-history-limit|1|int
recurring-failed-jobs-history-limit|1|int
recurring-job-max-retention|100|int
support-bundle-failed-history-limit|1|int
support-bundle-node-collection-timeout|30|int
deleting-confirmation-flag|false|bool
engine-replica-timeout|8|int
snapshot-data-integrity|fast-check|string
snapshot-data-integrity-cronjob|0 0 */7 * *|string
snapshot-data-integrity-immediate-check-after-snapshot-creation|false|bool
snapshot-max-count|250|int
restore-volume-recurring-jobs|false|bool
remove-snapshots-during-filesystem-trim|false|bool
fast-replica-rebuild-enabled|true|bool
replica-file-sync-http-client-timeout|30|int
long-grpc-timeout|86400|int
backup-compression-method|lz4|string
backup-concurrent-limit|2|int
restore-concurrent-limit|2|int
log-level|Info|string
v1-data-engine|true|bool
v2-data-engine|false|bool
v2-data-engine-hugepage-limit|2048|int
v2-data-engine-guaranteed-instance-manager-cpu|1250|int
v2-data-engine-cpu-mask|0x1|string
v2-data-engine-log-level|Notice|string
v2-data-engine-log-flags||string
v2-data-engine-fast-replica-rebuilding|false|bool
v2-data-engine-snapshot-data-integrity|fast-check|string
replica-disk-soft-anti-affinity|true|bool
allow-empty-node-selector-volume|true|bool
allow-empty-disk-selector-volume|true|bool
disable-snapshot-purge|false|bool
freeze-filesystem-for-snapshot|false|bool
auto-cleanup-when-delete-backup|false|bool
auto-cleanup-snapshot-after-on-demand-backup-completed|false|bool
default-min-number-of-backing-image-copies|1|int
backup-execution-timeout|1|int
rwx-volume-fast-failover|false|bool
offline-replica-rebuilding|false|bool
""".splitlines()
)
