"""Longhorn's images on this machine: NERV's storage does their work, the console serves the dashboard's port."""

from __future__ import annotations

from nerv.components.site import Program

PROGRAMS = (
    Program("longhornio/longhorn-manager", "embedded", "storage", (9500, 9501, 9502)),
    Program("longhornio/longhorn-ui", "embedded", "console", (8000,)),
    Program("longhornio/longhorn-instance-manager", "embedded", "storage"),
    Program("longhornio/longhorn-engine", "embedded", "storage"),
    Program("longhornio/csi-attacher", "embedded", "storage"),
    Program("longhornio/csi-provisioner", "embedded", "storage"),
    Program("longhornio/csi-resizer", "embedded", "storage"),
    Program("longhornio/csi-snapshotter", "embedded", "storage"),
    Program("longhornio/csi-node-driver-registrar", "embedded", "storage"),
    Program("longhornio/livenessprobe", "embedded", "storage"),
)
