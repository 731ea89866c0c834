"""What Longhorn asks of every node.

Its manager calls programs of the host through nsenter with the container's PATH (longhorn#2166), hence the link;
volumes are attached over iSCSI, shared ones over NFS, encrypted ones need cryptsetup.
"""

from __future__ import annotations

from nerv.components.site import Host

HOST = Host(
    packages=("openiscsi", "nfs-utils", "cryptsetup", "util-linux"),
    kernel_modules=("iscsi_tcp", "dm_crypt"),
    filesystems=("nfs",),
    services=("openiscsi", "rpcbind"),
    links=(("/usr/local/bin", "/run/current-system/sw/bin"),),
)
