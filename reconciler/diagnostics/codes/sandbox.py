"""E12xx: what can be wrong about starting or configuring the sandbox."""

from reconciler.diagnostics.codes.model import prose

CODES = {
    "E1201": prose(
        "unknown sandbox setting",
        "Every setting stands for one behaviour of Stripe that nobody has verified; there is none of this name.",
        "reconciler sandbox --set replay=true",
        "reconciler sandbox --set replay_header=true",
    ),
    "E1202": prose(
        "sandbox setting is not a truth value",
        "A setting is on or off.",
        "reconciler sandbox --set replay_header=maybe",
        "reconciler sandbox --set replay_header=false",
    ),
    "E1203": prose(
        "not a sandbox's file",
        "The file exists and was not written by a sandbox of this version, so it is left alone.",
        "reconciler plan --sandbox=billing.d/plans.yaml",
        "name a file that does not exist yet, or one that a sandbox has written",
    ),
    "E1204": prose(
        "fault that cannot be",
        "A fault has a kind, a moment, and at most one of nth, every and probability.",
        "reconciler sandbox --fault kind=error,nth=1,every=2",
        "reconciler sandbox --fault kind=error,nth=1",
    ),
    "E1205": prose(
        "server extra is not installed",
        "The sandbox over HTTP needs uvicorn; the embedded one needs nothing.",
        "reconciler sandbox, after pip install without the extra [server]",
        'pip install "uvicorn>=0.40,<1"',
    ),
    "E1206": prose(
        "sandbox listens on the loopback only",
        "The sandbox accepts any test key, so it is never offered to a network.",
        "a sandbox on 0.0.0.0",
        "127.0.0.1, ::1 or localhost",
    ),
    "E1207": prose(
        "port is not free",
        "Another program listens there already.",
        "reconciler sandbox --port 80",
        "choose another port, or leave it out to get a free one",
    ),
    "E1208": prose(
        "unknown rate profile",
        "Requests are limited like a sandbox account's, like a live account's, or not at all.",
        "a sandbox with rate fast",
        "off, sandbox or live",
    ),
    "E1209": prose(
        "file of faults or fixtures cannot be read",
        "Such a file is JSON, or YAML whose name does not end in .json.",
        "reconciler sandbox --seed photo.json",
        "a file as `stripe fixtures` takes it, or as /_sandbox/export writes it",
    ),
    "E1210": prose(
        "unknown webhook profile",
        "Webhooks that are not acknowledged are tried again as for a sandbox account or as in live mode.",
        "Webhooks(profile='fast')",
        "sandbox or live",
    ),
    "E1211": prose(
        "clock cannot do that",
        "The sandbox's clock moves forward by seconds and stops at a Unix time; it does not run backwards.",
        'POST /_sandbox/clock {"advance": -60}',
        'POST /_sandbox/clock {"advance": 60}',
    ),
    "E1212": prose(
        "not a state of this version's sandbox",
        "A snapshot or an export is put back whole or not at all, and only by the version that made it.",
        "a snapshot of another version, or a file that was edited by hand",
        "take the snapshot again, or seed the sandbox with fixtures",
    ),
    "E1213": prose(
        "sandbox cannot be seeded with this file",
        "The file is not what `stripe fixtures` takes, or one of its requests was refused.",
        '{"fixtures": [{"name": "p", "path": "/v1/products", "method": "post", "params": {}}]}',
        '{"fixtures": [{"name": "p", "path": "/v1/products", "method": "post", "params": {"name": "Pro"}}]}',
    ),
}
