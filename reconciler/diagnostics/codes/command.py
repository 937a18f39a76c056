"""E10xx: what can be wrong with a command line, its environment, or the files it reads and writes for itself."""

from reconciler.diagnostics.codes.model import prose

_USAGE = {
    "E1000": prose(
        "command line not understood",
        "The command, an option or a value is unknown or missing. Such an error ends with exit code 64, never with 2, "
        "which means that there are changes.",
        "reconciler plan --otu plan.json",
        "reconciler plan --out plan.json",
    ),
    "E1001": prose(
        "argument cannot be used",
        "A value on the command line is well formed but of no use here.",
        "a file name that cannot be opened",
        "reconciler COMMAND --help says what each argument is",
    ),
    "E1002": prose(
        "operating system refused",
        "A file or stream could not be used; the message is the operating system's.",
        "a full disk under stdout",
        "make room, or write elsewhere",
    ),
    "E1003": prose(
        "nobody can be asked",
        "The command needs an answer, and stdin is not a terminal or --no-input is set. It never goes on by itself.",
        "reconciler apply in a CI job",
        "reconciler plan --out plan.json, then reconciler apply plan.json; or reconciler apply --auto-approve",
    ),
    "E1004": prose(
        "cannot write a file",
        "A plan file is written whole, readable by its owner only, or not at all.",
        "reconciler plan --out /no/such/directory/plan.json",
        "reconciler plan --out plan.json",
    ),
    "E1005": prose(
        "cannot read a file",
        "The file is missing, not readable, or not a regular file.",
        "reconciler apply plna.json",
        "reconciler apply plan.json",
    ),
    "E1006": prose(
        "schemas differ",
        "The committed schemas are not those this version writes, so editors would check against another language.",
        "a schema edited by hand, or left behind by an upgrade",
        "reconciler schema --dir schemas",
    ),
    "E1007": prose(
        "file is there already",
        "init writes into an empty place and overwrites nothing.",
        "reconciler init in a directory with a billing.d",
        "reconciler init another-directory",
    ),
}

_PIPELINE = {
    "E1036": prose(
        "job not told",
        "A GitHub job branches on the outputs of a step, and people read its summary. The command did its work, but a "
        "file it was given for them could not be written, so it does not end with 0.",
        "GITHUB_OUTPUT naming a file on a full disk",
        "make room, and run the step again",
    ),
    "E1037": prose(
        "snapshot beside an account",
        "A plan is made from one thing: the account, or what was recorded of it.",
        "reconciler plan --snapshot stripe.snapshot.json --sandbox",
        "reconciler plan --snapshot stripe.snapshot.json",
    ),
    "E1038": prose(
        "offline plan cannot be saved",
        "A snapshot says what the account held, not what it holds. What is applied is planned from the account itself, "
        "so a plan from a snapshot is for reading only.",
        "reconciler plan --snapshot stripe.snapshot.json --out plan.json",
        "reconciler plan --snapshot stripe.snapshot.json --format markdown",
    ),
}

_BINDING = {
    "E1010": prose(
        "live key without environment",
        "A live key moves real money. It is used only where the command names an environment and the files say that "
        "this environment is live.",
        "STRIPE_API_KEY set to a live key, and reconciler plan",
        "environments: {production: {mode: live}} in the files, and reconciler plan --env production",
    ),
    "E1011": prose(
        "environment of another mode",
        "Test and live never mix: the mode of the key and of the environment must be the same.",
        "reconciler plan --env production with a test key, where production says mode: live",
        "the key of that environment, or the environment of that key",
    ),
    "E1012": prose(
        "environment of another account",
        "The environment names a Stripe account, and the key belongs to another. Nothing but the account was read.",
        "the staging account's key with --env production",
        "the key of the account the environment names",
    ),
}

_ACCOUNT = {
    "E1020": prose(
        "sandbox and server at once",
        "--sandbox works inside the process, --api-base on a server; only one can be meant.",
        "reconciler plan --sandbox --api-base http://127.0.0.1:4242",
        "reconciler plan --sandbox",
    ),
    "E1021": prose(
        "no Stripe key",
        "Without a key there is no account, and the sandbox is never used unless it is asked for.",
        "reconciler plan in a shell without STRIPE_API_KEY",
        "export STRIPE_API_KEY, or reconciler plan --sandbox",
    ),
    "E1022": prose(
        "two keys that differ",
        "STRIPE_API_KEY, STRIPE_SECRET_KEY and their _FILE variants may all be set, but to one key.",
        "STRIPE_API_KEY and STRIPE_SECRET_KEY of two accounts",
        "unset one of them",
    ),
    "E1023": prose(
        "not an API base",
        "The base is a URL with http or https and a host, without user name.",
        "--api-base localhost:4242",
        "--api-base http://localhost:4242",
    ),
    "E1024": prose(
        "server beyond this machine",
        "The secret key is sent to the API base, so another machine than this one must be meant.",
        "--api-base https://stripe.internal.example",
        "--api-base https://stripe.internal.example --allow-custom-endpoint",
    ),
    "E1025": prose(
        "not a sandbox database",
        "--sandbox takes an optional FILE, so a word right after it is taken for that file.",
        "reconciler apply --sandbox plan.json",
        "reconciler apply plan.json --sandbox",
    ),
    "E1026": prose(
        "--no-config without a plan",
        "A plan made now is made from the files; only a saved one can be applied without them.",
        "reconciler apply --no-config",
        "reconciler apply plan.json --no-config",
    ),
    "E1027": prose(
        "--out beside a saved plan",
        "--out says where a plan made now is kept.",
        "reconciler apply plan.json --out other.json",
        "reconciler apply plan.json",
    ),
    "E1028": prose(
        "schema name beside --dir or --check",
        "A name prints one schema; --dir and --check are about all of them.",
        "reconciler schema plan --check",
        "reconciler schema --check",
    ),
    "E1029": prose(
        "unknown schema",
        "There is one schema for a file, one for an overlay, and one for each kind.",
        "reconciler schema pack",
        "reconciler schema credit-pack",
    ),
    "E1032": prose(
        "unknown code",
        "Codes are E and four digits.",
        "reconciler explain E9999",
        "reconciler explain E0121",
    ),
    "E1033": prose(
        "not a setting",
        "Settings are NAME=VALUE, faults KEY=VALUE with commas between them, numbers where numbers belong.",
        "reconciler sandbox --fault nth=third",
        "reconciler sandbox --fault kind=error,nth=3",
    ),
}

_BOOKS = {
    "E1034": prose(
        "request cannot be taken",
        "A name, number, key or instant is not one the runtime can take; nothing was decided or booked.",
        "reconciler grant acme 1e9x --key k",
        "reconciler grant acme 100 --key k",
    ),
    "E1035": prose(
        "no map of customers",
        "--customers takes a JSON file that maps each tenant to its Stripe customer.",
        '["cus_123"]',
        '{"acme": "cus_123"}',
    ),
}

_ADOPT = {
    "E1043": prose(
        "import of what",
        "import takes one object over for one address, or with --match everything that the files find.",
        "reconciler import plans.pro",
        "reconciler import plans.pro prod_1EXAMPLE",
    ),
    "E1044": prose(
        "no namespace",
        "A namespace owns every object made from the files, and its letters go into lookup keys and event names.",
        "reconciler pull --out billing.d --namespace Acme",
        "reconciler pull --out billing.d --namespace acme",
    ),
    "E1045": prose(
        "not JSON",
        "import --from reads JSON, also with comments and trailing commas: UTF-8, each key once, finite numbers.",
        '{"acme": {"vex_reserved": NaN}}',
        '{"acme": {"vex_reserved": 10000}}',
    ),
    "E1046": prose(
        "of no format",
        "The file looks like none of the formats that are read: reserved (tenants with reserved units), tier (plans "
        "with features), fixtures (requests of the Stripe CLI).",
        "reconciler import --from package.json --out billing.d",
        "reconciler import --from pricing.json --format tier --out billing.d",
    ),
    "E1047": prose(
        "value cannot be carried over",
        "A value is not what its format says; the message begins with its JSON path. Nothing was written.",
        '{"acme": {"vex_reserved": -1}}',
        '{"acme": {"vex_reserved": 10000}}',
    ),
}

_APPLY = {
    "E1030": prose(
        "refused by a guard",
        "A guard of the files says that a change of this size or kind needs a second look. Nothing was written.",
        "a plan that retires half of the catalogue",
        "read the plan, then add the --allow that the message names",
    ),
    "E1031": prose(
        "another number of changes",
        "--expect-changes says how many changes were reviewed, and the plan has another number.",
        "reconciler apply plan.json --expect-changes 3, where the plan has 30",
        "read the plan again",
    ),
    "E1053": prose(
        "charges people unread",
        "In live mode a plan that changes what people are charged is confirmed by a person, or was reviewed as a file.",
        "reconciler apply --auto-approve with a live key and a new subscription in the files",
        "type the account's id when asked, or apply a reviewed plan file",
    ),
    "E1040": prose(
        "demo not as promised",
        "A step of the demo ended otherwise than it must; its own message stands above.",
        "a billing.d that is invalid",
        "reconciler validate, then reconciler demo",
    ),
    "E1041": prose(
        "demo without a price",
        "The demo changes a flat price, and the files have none.",
        "a billing.d with prices per call only",
        "reconciler demo in an empty directory",
    ),
    "E1042": prose(
        "apply broken off",
        "Something unexpected ended the apply after it had begun: no memory, a full disk under stdout, a bug. What was "
        "done is told, and nothing else was begun.",
        "reconciler apply --format jsonl, where the disk that takes the events is full",
        "remove the cause, then run the command the message ends with",
    ),
}

_HANDED = {
    "E1048": prose(
        "nowhere to put signing secrets",
        "Stripe shows the secret that signs a webhook endpoint's events once, in the answer to its creation. It goes "
        "to a file of yours, and stands in no plan, log or output.",
        "reconciler apply plan.json, where the plan makes a webhook endpoint",
        "reconciler apply plan.json --webhook-secrets=webhooks.json",
    ),
    "E1049": prose(
        "no file of signing secrets",
        "--webhook-secrets takes a file that is not there yet, or a JSON object from address to secret; others stay.",
        "reconciler apply --webhook-secrets=plan.json",
        "reconciler apply --webhook-secrets=webhooks.json",
    ),
}

_REVISIONS = {
    "E1050": prose(
        "no such revision",
        "Files as they were are read from git: the clone has to have the revision, and git has to be there. A branch "
        "of the server is there under its remote's name, and only where it was fetched.",
        "reconciler plan --base main, in a clone of one commit",
        "git fetch origin main, then reconciler plan --base origin/main",
    ),
    "E1051": prose(
        "no files at the revision",
        "The revision is there, and the configuration directory is not in it, or is larger than any that can be read.",
        "reconciler plan --base v0.1, a tag from before billing.d",
        "a revision that has the directory",
    ),
    "E1052": prose(
        "a name of two things",
        "What files are compared with has to be one thing. A path beside a revision of its name, or a tag beside a "
        "branch, could have been added by the very change that is looked at, and would hide it.",
        "reconciler plan --base origin/main, where there is a directory origin/main too",
        "reconciler plan --base refs/remotes/origin/main",
    ),
}

CODES = {**_USAGE, **_PIPELINE, **_BINDING, **_ACCOUNT, **_BOOKS, **_ADOPT, **_APPLY, **_HANDED, **_REVISIONS}
