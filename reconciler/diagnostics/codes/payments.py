"""E14xx: selling to tenants, and the invoice beside Stripe's."""

from reconciler.diagnostics.codes.model import prose

CODES = {
    "E1401": prose(
        "Stripe does not answer",
        "A small read is made before anything is sold, and the sandbox is never used in Stripe's place. Nothing was "
        "begun.",
        "an outage at Stripe, or no network",
        "try again later",
    ),
    "E1402": prose(
        "page not made",
        "Stripe refused to make the checkout session, link or portal session; the message carries its words.",
        "--success-url thanks.html",
        "--success-url https://shop.example/thanks.html",
    ),
    "E1403": prose(
        "page perhaps made",
        "No answer came within 15 seconds, or a broken one, so the page may be there. A second way to pay for the same "
        "thing is never opened: the same key again finds what was made.",
        "the network was lost after the request had been sent",
        "run the same command again, with the key that the message names",
    ),
    "E1404": prose(
        "page has expired",
        "The key stands for a checkout session that can no longer be paid.",
        "the key of a session that was opened a day ago",
        "another --key",
    ),
    "E1405": prose(
        "not for sale",
        "The files do not sell what was asked for: it is not there, a draft, no longer sold, free, or billed in two "
        "intervals, which no page of Stripe sells together.",
        "reconciler checkout acme --plan old, where plans.old has status: legacy",
        "reconciler checkout acme --plan pro",
    ),
    "E1406": prose(
        "not on sale at Stripe",
        "The price, link or portal of the files is not in the account, or somebody else's price holds its key. Only "
        "what carries our owner mark is sold.",
        "reconciler checkout acme --plan pro, where plans.pro was never applied",
        "reconciler plan, then reconciler apply",
    ),
    "E1407": prose(
        "several customers of one tenant",
        "Two customers carry the mark of the tenant, and a purchase has to be of one of them.",
        "a customer that was copied with its metadata",
        "remove the mark from all but one at Stripe",
    ),
    "E1408": prose(
        "subscribed already",
        "The tenant's customer has a subscription to a plan of these files, or the files declare one that an apply "
        "makes. A second one would be billed beside it.",
        "reconciler checkout acme --plan team, while acme pays for plans.pro",
        "reconciler portal acme, where the plan can be changed",
    ),
    "E1409": prose(
        "no customer",
        "The portal is a customer's, and no customer at Stripe carries the mark of this tenant.",
        "reconciler portal acme, before acme has bought anything",
        "reconciler checkout acme --plan pro",
    ),
    "E1410": prose(
        "nothing to wait for",
        "What is waited for is a checkout session, or a payment link that can be paid once, as `reconciler link` makes "
        "them.",
        "reconciler link wait sub_1EXAMPLE",
        "reconciler link wait cs_test_EXAMPLE",
    ),
    "E1411": prose(
        "not paid in time",
        "Nobody paid within 30 seconds, and nothing was changed. Whatever is paid later is fulfilled by its event.",
        "reconciler link wait plink_1EXAMPLE, while the customer looks for the card",
        "run the command again",
    ),
    "E1412": prose(
        "no invoice",
        "A tenant is billed by a plan, its own or settings.default_plan, in one currency, and by intervals that end "
        "with the billing month.",
        "reconciler invoice nobody, in files without default_plan",
        "reconciler invoice acme",
    ),
}
