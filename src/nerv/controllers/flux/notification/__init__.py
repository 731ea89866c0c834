"""notification-controller's work: Receiver, and the HTTP server that takes webhooks for it.

Belongs here: who may ask for a reconciliation from outside, and how. Not: Alert and Provider (nothing here sends
events to the world).
"""

from nerv.controllers.flux.notification.controllers import controllers

__all__ = ["controllers"]
