"""What ``billing.alert.triggered`` tells (``stripe.billing.AlertTriggered``): only ever seen inside its event."""

from reconciler.sandbox.objects.base import Family

FAMILY = Family(
    kind="billing.alert_triggered",
    noun="triggered alert",
    stem="billing.alert",
    template={
        "object": "billing.alert_triggered",
        "alert": {},
        "created": 0,
        "customer": "",
        "livemode": False,
        "value": 0,
    },
)
