"""What MetalLB 0.15.2 does on the API: addresses for Services, pool usage, layer 2 announcements, its webhook.

Belongs here: the work of metallb-controller and metallb-speaker. Not: where packets go (network/). BGP is not done: its
objects are accepted and converted, nothing speaks to a router.
"""

from __future__ import annotations

from nerv.controllers.runtime import Controller
from nerv.controllers.services.context import Context
from nerv.controllers.services.load_balancer.announcement import announcements
from nerv.controllers.services.load_balancer.services import service_allocation
from nerv.controllers.services.load_balancer.usage import pool_status
from nerv.controllers.services.load_balancer.webhook import webhook_server


def controllers(context: Context) -> tuple[Controller, ...]:
    """All of MetalLB."""
    return (webhook_server(context), service_allocation(context), pool_status(context), announcements(context))
