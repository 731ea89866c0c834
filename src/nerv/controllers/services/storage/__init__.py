"""What Longhorn 1.9.1 does on the API: settings, nodes, engine image, instance managers, the CSI driver, volumes.

Belongs here: the work of longhorn-manager, driver deployer and CSI controllers, its webhooks and Jobs. A volume is one
folder on this machine, whatever its number of replicas says. Not done: snapshots, backups, recurring jobs, encryption.
"""

from __future__ import annotations

from nerv.controllers.runtime import Controller
from nerv.controllers.services.context import Context
from nerv.controllers.services.storage.attachment import attachments
from nerv.controllers.services.storage.driver import csi_driver
from nerv.controllers.services.storage.manager import run_time_objects
from nerv.controllers.services.storage.provisioning import provisioner
from nerv.controllers.services.storage.webhook import webhook_server


def controllers(context: Context) -> tuple[Controller, ...]:
    """All of Longhorn."""
    return (
        webhook_server(context),
        run_time_objects(context),
        csi_driver(context),
        provisioner(context),
        attachments(context),
    )
