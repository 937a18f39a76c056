"""E07xx-E09xx: what can stand between a plan and an account."""

from reconciler.diagnostics.codes.model import prose

_PLANNING = {
    "E0701": prose(
        "key held by another object",
        "A lookup key, id or event name is unique in a Stripe account. The one the files ask for belongs to an object "
        "made from another address or by another owner, and nothing is ever taken from its owner silently.",
        "plans.gold asks for lookup key acme.plans.gold.prices.monthly, which a price of another namespace holds",
        "choose another key in the file (lookup_key, stripe_id, event_name), add a moved entry after a rename, or free "
        "the key at Stripe",
    ),
    "E0702": prose(
        "meter cannot be changed",
        "Everything of a billing meter but its display name is fixed when it is created, its event name stays taken "
        "even after it is deactivated, and it can be neither replaced nor deleted.",
        "meters.tokens had aggregation sum at Stripe and has count in the file",
        "put the value back, or add a meter under a new id and move plans to it",
    ),
    "E0703": prose(
        "object cannot be taken over as it is",
        "The file names the key of an existing object, but says something else about it that can only be set when an "
        "object is created. Taking it over would have to archive it, which is not what naming it means. "
        "What a coupon takes off is fixed in the same way under its id, so one with a stripe_id cannot change either.",
        "lookup_key: gold-monthly with amount: 20, while that price is 19 at Stripe",
        "write what the object is (amount: 19), apply to take it over, then change the amount; for a coupon of yours "
        "drop stripe_id, or change it too",
    ),
    "E0705": prose(
        "one object for one address",
        "An entry of imports, or a key, names an existing object for an address that another object stands for "
        "already, or names one object for two addresses.",
        "imports: [{to: plans.pro, id: prod_1}], where prod_2 carries the owner mark of plans.pro",
        "remove the entry; it is needed only until the object carries its owner mark",
    ),
    "E0706": prose(
        "no such address",
        "import takes an object over for an address that the files have: of a plan, a price, a pack and so on.",
        "reconciler import plans.prro prod_1",
        "reconciler import plans.pro prod_1; reconciler plan shows every address",
    ),
    "E0707": prose(
        "object has an owner",
        "The object carries the owner mark of another address or namespace. What somebody manages is never taken.",
        "reconciler import plans.pro prod_1, where prod_1 was made from plans.team",
        "after a rename add a moved entry; otherwise take another object",
    ),
    "E0708": prose(
        "no room for an owner mark",
        "The mark lives in metadata: managed_by, address, config_digest and reconciler_keys. The object uses one of "
        "these keys for something else, or has all of the 50 keys that Stripe allows.",
        "a product with a metadata key address that holds a street",
        "rename or remove metadata of the object at Stripe",
    ),
    "E0709": prose(
        "no such object",
        "The account has no object of that kind with that id, or one of another kind.",
        "reconciler import plans.pro price_1",
        "reconciler import plans.pro prod_1",
    ),
    "E0710": prose(
        "namespace in use",
        "The account holds objects of the namespace. Files that do not have them would retire them.",
        "reconciler pull --out other.d --namespace acme, in an account that acme manages",
        "reconciler pull --out other.d --namespace other",
    ),
    "E0711": prose(
        "subscription or credit stays as it is",
        "What the files ask cannot be done to what somebody pays: a credit that was given is given, another's schedule "
        "plans other items, a first invoice waits to be paid, or usage of the running period would never be billed.",
        "a money credit whose amount is edited under its id",
        "give another credit under a new id; release the schedule; say on_change: at_renewal",
    ),
    "E0712": prose(
        "subscription cannot change so",
        "Customer and currency of a subscription are fixed at Stripe, and a second subscription beside it would charge "
        "twice.",
        "a tenant billed in usd whose currency becomes eur",
        "take the subscription out of the files, apply, and add it anew when its period is over",
    ),
    "E0713": prose(
        "two customers of one tenant",
        "Several customers carry the owner mark of one tenant, so nobody can tell which one is to be billed.",
        "a customer copied together with its metadata",
        "remove the metadata key managed_by from all but one",
    ),
    "E0714": prose(
        "price that subscribers are on their way to",
        "An earlier change of the price moves subscribers to it, some of them at renewals that are still to come, and "
        "a price that is archived by then cannot take them in. Keeping them where they are, or removing the price, "
        "would leave them between two prices.",
        "a yearly price that changed with on_change: at_renewal, and changes again with on_change: grandfather while "
        "renewals are awaited",
        "let on_change: at_renewal or now move them to the new price; or wait for the renewals",
    ),
    "E0704": prose(
        "refers to what was never sold",
        "A legacy plan that was never at Stripe is not made there, so nothing at Stripe can refer to it.",
        "a coupon that applies to a plan with status: legacy in an account that never had the plan",
        "remove the plan from applies_to, or make it active",
    ),
}

_PLAN_FILE = {
    "E0801": prose(
        "not a plan file",
        "The file is not a plan, is cut off, or is far larger than a plan can be.",
        "reconciler apply billing.d/plans.yaml",
        "reconciler plan --out plan.json, then reconciler apply plan.json",
    ),
    "E0802": prose(
        "plan of another format",
        "Plans are read by the version of the format they were written in.",
        "a plan written by another version of reconciler",
        "make a new plan with the version at hand",
    ),
    "E0803": prose(
        "not the form of a plan",
        "A value in the file is missing, of the wrong kind, or contradicts another one.",
        "a plan whose count of changes differs from its list of changes",
        "make a new plan; plans are never edited",
    ),
    "E0804": prose(
        "plan was changed",
        "A plan is bound by a digest and a seal to every byte it was written with, because what was reviewed is what "
        "must happen.",
        "a plan in which an amount was edited",
        "change the files and make a new plan",
    ),
    "E0805": prose(
        "plan is sealed with a key",
        "The plan was sealed with RECONCILER_PLAN_KEY, which is not set here, so nobody can tell whether the plan "
        "is genuine.",
        "applying in a job that lacks the secret",
        "set RECONCILER_PLAN_KEY to the same value where plans are made and applied",
    ),
    "E0806": prose(
        "plan for another target",
        "A plan is made for one account, mode, namespace, environment, API version and version of reconciler.",
        "applying a plan made in test mode with a live key",
        "make a plan with the key and version it will be applied with",
    ),
    "E0807": prose(
        "plan expired",
        "An old plan describes an account as nobody has seen it for days.",
        "applying last month's plan",
        "make a new plan",
    ),
    "E0808": prose(
        "plan from other files",
        "The files at hand are not those the plan was made from.",
        "the branch moved on after the plan was made",
        "make a new plan from the files at hand",
    ),
    "E0809": prose(
        "plan differs from the files",
        "The plan was made from these files but asks for something they do not say: it was rewritten and sealed again.",
        "a plan whose after shows another amount than the file",
        "make a new plan",
    ),
    "E0810": prose(
        "account has moved",
        "An object the plan relies on was created, changed, archived or deleted after the plan was made. Nothing was "
        "written.",
        "a price was archived in the dashboard between plan and apply",
        "make a new plan and look at it",
    ),
    "E0811": prose(
        "plan tells of other calls",
        "The second half of a plan says what becomes of calls. It is not what comparing the files with the base gives: "
        "the base is another by now, or the plan was rewritten and sealed again.",
        "reconciler apply plan.json --base origin/main, where main moved on",
        "make a new plan with the same --base",
    ),
}

_SNAPSHOT = {
    "E0831": prose(
        "not a snapshot",
        "The file is not a snapshot, or one that another version wrote.",
        "reconciler plan --snapshot plan.json",
        "reconciler snapshot --out stripe.snapshot.json, then reconciler plan --snapshot stripe.snapshot.json",
    ),
    "E0832": prose(
        "snapshot was changed",
        "A snapshot is bound by a digest to what was read.",
        "a snapshot in which a price was edited, or which an editor has formatted",
        "take a new one",
    ),
    "E0833": prose(
        "snapshot of another target",
        "A snapshot is of one account, mode, namespace and environment, and is read by the version that wrote it.",
        "reconciler plan --env production with a snapshot that was taken with --env staging",
        "one snapshot for each environment",
    ),
    "E0834": prose(
        "snapshot lacks an object",
        "Of everybody else's objects a snapshot holds the key alone: what taking one over would change is not in it.",
        "a pull request that adds stripe_id: prod_123 for a product that was made by hand",
        "plan with a key, or take a snapshot with these files",
    ),
}

_PROVIDER = {
    "E0901": prose(
        "read-only command tried to write",
        "validate, plan and drift are given a transport that sends nothing but GET. This message is a bug in "
        "reconciler, and nothing was written.",
        "a plan that would create a product",
        "report it",
    ),
    "E0902": prose(
        "not a secret key",
        "A secret key begins with sk_test_, sk_live_, rk_test_ or rk_live_. Publishable keys manage no catalogue.",
        "STRIPE_API_KEY set to a publishable key",
        "use a restricted key with the permissions that doctor lists",
    ),
    "E0903": prose(
        "key not accepted",
        "Stripe answered 401: the key is wrong, revoked or expired.",
        "a key that was rolled in the dashboard",
        "set STRIPE_API_KEY to a current key",
    ),
    "E0904": prose(
        "key may not read",
        "A restricted key lacks the permission to read one of the managed kinds.",
        "a restricted key without access to billing meters",
        "grant read access; doctor lists every permission that is missing",
    ),
    "E0905": prose(
        "Stripe could not be reached",
        "No answer came after several tries.",
        "no network, or --api-base points to a server that is not running",
        "check the network and the address, then run the same command again",
    ),
    "E0906": prose(
        "reading failed",
        "Stripe refused a request that only reads.",
        "an outage at Stripe",
        "run the command again; the message carries Stripe's request id",
    ),
    "E0907": prose(
        "another API version",
        "Every request names the API version this tool was written for, and the answer came in another one.",
        "--api-base pointing to a server that ignores Stripe-Version",
        "point to Stripe, or to a server that speaks the version named",
    ),
    "E0908": prose(
        "key may not send usage",
        "Stripe refuses meter events from this key altogether. What was to be sent waits in the ledger until it may.",
        "a restricted key that may only read",
        "write access to billing meter events for that key",
    ),
    "E0909": prose(
        "no such meter in the account",
        "Usage is looked up by the event name of its meter, and the account has no meter of that name.",
        "a meter of the files that was never applied",
        "reconciler plan, then reconciler apply",
    ),
}

_LOCK = {
    "E0821": prose(
        "another apply holds the lock",
        "One apply at once writes to an account and namespace. The lock is an inactive product in the account, and "
        "its holder renews it; the lock of an apply that was killed ends ten minutes after its last renewal.",
        "two jobs of a pipeline that apply at the same time",
        "wait for the other apply; if it is dead, wait for the end of its term or run reconciler unlock",
    ),
    "E0822": prose(
        "lock lost while applying",
        "The lock could not be renewed in time, was freed with reconciler unlock, or its product was changed. Requests "
        "under way were finished and nothing more was begun, because somebody else may apply by now.",
        "Stripe could not be reached for ten minutes",
        "apply the same plan again: what is done is found done",
    ),
    "E0823": prose(
        "lock could not be taken",
        "The product that is the lock could not be created, so nothing was written.",
        "a restricted key without write access to products",
        "give the key write access to products, or run again when Stripe answers",
    ),
    "E0824": prose(
        "lock could not be released",
        "The last request of an apply, which releases the lock and writes down what was applied, was not carried out. "
        "Nobody can apply until the lock ends by itself.",
        "the network was lost after the last write",
        "apply the same plan again after the instant named",
    ),
    "E0825": prose(
        "nothing to unlock",
        "The lock is free or its term is over, so the next apply takes it by itself.",
        "reconciler unlock in an account where nobody applies",
        "reconciler apply",
    ),
    "E0826": prose(
        "another generation holds the lock",
        "The number belongs to an apply that no longer holds the lock. Freeing whatever is held now would hit an apply "
        "that nobody has looked at.",
        "reconciler unlock --generation=6 while generation 7 is held",
        "look at the holder that is shown, and name that number if it is dead",
    ),
    "E0827": prose(
        "lock could not be freed",
        "Stripe refused the request that frees the lock, or did not answer.",
        "a restricted key without write access to products",
        "use a key that may write products, or wait for the end of the term",
    ),
}

CODES = {**_PLANNING, **_PLAN_FILE, **_SNAPSHOT, **_LOCK, **_PROVIDER}
