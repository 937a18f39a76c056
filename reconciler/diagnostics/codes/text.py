"""E0101-E0199: what a file may not be before anything is known about plans and prices."""

from reconciler.diagnostics.codes.model import Explanation

_AMBIGUOUS = (
    "YAML 1.1 and YAML 1.2 disagree about this spelling, and programs follow either. A price must not depend on that, "
    "so the plain form is required, or quotes where text is meant."
)

_ENCODING = {
    "E0101": Explanation(
        "file is not UTF-8",
        "Files are read as UTF-8 and nothing else. The position is the first byte that is not UTF-8; in an older "
        "encoding such as Latin-1 it is usually an accented letter.",
        "a file saved as UTF-16 or Latin-1",
        "the same file saved as UTF-8 (a byte order mark at the start is accepted)",
        loadable=False,
    ),
    "E0102": Explanation(
        "forbidden character",
        "Control characters, a byte order mark inside the file and invisible tag characters have no use in a "
        "configuration and can hide text from a reviewer. An escape in a double-quoted text counts too.",
        'settings: {namespace: "ac\\u0007me"}\n',
        "settings: {namespace: acme}\n",
    ),
    "E0111": Explanation(
        "hidden line break",
        "U+0085, U+2028, U+2029 and a lone carriage return end a line for YAML but are drawn on the same line by most "
        "editors and by code review: a key can hide behind one.",
        "plans: {}  # nothing here\u2028coupons: {}\n",
        "plans: {}  # nothing here\ncoupons: {}\n",
    ),
    "E0112": Explanation(
        "text direction override",
        "Bidirectional control characters change the order in which a line is shown, so that a reviewer reads another "
        "text than the program does.",
        "plans: {pro: {name: \u202eorP}}\n",
        "plans: {pro: {name: Pro}}\n",
    ),
    "E0113": Explanation(
        "invisible character in a key",
        "Two keys that look the same would be two keys. In values such characters are allowed, because some scripts "
        "and emoji need them.",
        "plans:\n  pro\u200b: {name: Pro}\n",
        "plans:\n  pro: {name: Pro}\n",
    ),
    "E0114": Explanation(
        "escape of a surrogate",
        "An escape between \\uD800 and \\uDFFF names one half of a character, as JSON writes emoji. YAML takes the "
        "character itself or one \\U escape with eight digits.",
        'plans: {pro: {name: "Pro \\ud83d\\ude80"}}\n',
        'plans: {pro: {name: "Pro \\U0001F680"}}\n',
    ),
}

_STRUCTURE = {
    "E0103": Explanation(
        "YAML syntax",
        "The text is not YAML. The position is where the construct in question begins or where it breaks.",
        "plans:\n  pro:\n    name:Pro\n    trial_days: 14\n",
        "plans:\n  pro:\n    name: Pro\n    trial_days: 14\n",
    ),
    "E0115": Explanation(
        "several documents in one file",
        "A file holds one document; the sections of all files are merged, so a second document is never needed.",
        "plans: {}\n---\nmeters: {}\n",
        "plans: {}\nmeters: {}\n",
    ),
    "E0116": Explanation(
        "file is not a mapping",
        "At the top of a file stand sections such as plans: or settings:. A list or a single value has no place there. "
        "An empty file is allowed.",
        "- pro\n- free\n",
        "plans:\n  pro: {name: Pro}\n  free: {name: Free}\n",
    ),
    "E0117": Explanation(
        "anchor or alias",
        "Anchors (&name) and aliases (*name) let a value stand where nobody reads it, and a few lines of them expand "
        "without bound. Values are written out. A text that begins with * or & needs quotes.",
        "plans:\n  pro: &base {name: Pro}\n  team: *base\n",
        "plans:\n  pro: {name: Pro}\n  team: {name: Pro}\n",
    ),
    "E0118": Explanation(
        "merge key",
        "The key << belongs to YAML 1.1 alone, and its order of precedence surprises.",
        "plans:\n  pro:\n    <<: {name: Pro}\n",
        "plans:\n  pro:\n    name: Pro\n",
    ),
    "E0119": Explanation(
        "tag",
        "Tags such as !!str or !!python/object change what a value is. Types follow from the field instead.",
        "plans: {pro: {name: !!str Pro}}\n",
        "plans: {pro: {name: Pro}}\n",
    ),
    "E0120": Explanation(
        "directive",
        "A line that begins with % changes how the rest is read. None is needed.",
        "%YAML 1.1\n---\nplans: {}\n",
        "plans: {}\n",
    ),
    "E0121": Explanation(
        "duplicate key",
        "The same key twice in one mapping: most programs keep the last one silently. Both places are named.",
        "plans:\n  pro: {name: Pro}\n  pro: {name: Professional}\n",
        "plans:\n  pro: {name: Pro}\n  professional: {name: Professional}\n",
    ),
    "E0122": Explanation(
        "key is not text",
        "Keys are ids and field names. A number, boolean, list or empty key needs quotes if it is meant as text.",
        "plans:\n  2026: {name: Plan of 2026}\n",
        'plans:\n  "2026": {name: Plan of 2026}\n',
    ),
}

_LIMITS = {
    "E0104": Explanation(
        "nested too deep",
        "Values may be nested 64 deep; a valid configuration needs fewer than ten levels.",
        "plans: " + "[" * 64 + "]" * 64 + "\n",
        "plans: {}\n",
    ),
    "E0105": Explanation(
        "file too large",
        "A file may have 1 MiB. Sections can be spread over any number of files.",
        "a file of 2 MiB with all tenants",
        "one file per group of tenants, such as tenants/a.yaml and tenants/b.yaml",
        loadable=False,
    ),
    "E0106": Explanation(
        "too many values",
        "A file may hold 100,000 keys and values. Sections can be spread over any number of files.",
        "a file with 200,000 keys",
        "several files with a part of the keys each",
        loadable=False,
    ),
    "E0109": Explanation(
        "too many problems",
        "The first 100 problems of a file are listed; the rest usually has the same cause.",
        "plans: [" + "yes, " * 101 + "]\n",
        "plans: [" + "true, " * 101 + "]\n",
    ),
}

_SCALARS = {
    "E0130": Explanation(
        "yes, no, on, off",
        _AMBIGUOUS + " The country code NO is the best-known victim.",
        "tenants: {oslo: {country: NO}}\n",
        'tenants: {oslo: {country: "NO"}}\n',
    ),
    "E0131": Explanation(
        "leading zero",
        _AMBIGUOUS + " To YAML 1.1, 010 is eight.",
        "credit_packs: {starter: {credits: 010}}\n",
        "credit_packs: {starter: {credits: 10}}\n",
    ),
    "E0132": Explanation(
        "hexadecimal, octal or binary number",
        _AMBIGUOUS,
        "credit_packs: {starter: {credits: 0x64}}\n",
        "credit_packs: {starter: {credits: 100}}\n",
    ),
    "E0133": Explanation(
        "separators between digits",
        _AMBIGUOUS,
        "credit_packs: {starter: {credits: 1_000}}\n",
        "credit_packs: {starter: {credits: 1000}}\n",
    ),
    "E0134": Explanation(
        "exponent",
        _AMBIGUOUS + " An amount is written with all its digits.",
        "tiers: {calls: {steps: [{up_to: inf, unit_amount: 1e-3}]}}\n",
        "tiers: {calls: {steps: [{up_to: inf, unit_amount: 0.001}]}}\n",
    ),
    "E0135": Explanation(
        "number in base 60",
        _AMBIGUOUS + " To YAML 1.1, 12:30 is 750.",
        "plans: {pro: {metadata: {support_from: 08:30}}}\n",
        'plans: {pro: {metadata: {support_from: "08:30"}}}\n',
    ),
    "E0136": Explanation(
        "date in another form",
        "A date is a day (2027-01-31) or an instant in UTC (2027-01-31T12:00:00Z) that exists in the calendar.",
        "coupons: {launch: {redeem_by: 2027-1-31}}\n",
        "coupons: {launch: {redeem_by: 2027-01-31}}\n",
    ),
    "E0137": Explanation(
        "infinity or not a number",
        "Amounts and counts are finite. The open end of a tier table is the word inf.",
        "tiers: {calls: {steps: [{up_to: .inf, unit_amount: 1}]}}\n",
        "tiers: {calls: {steps: [{up_to: inf, unit_amount: 1}]}}\n",
    ),
    "E0138": Explanation(
        "another spelling of null",
        _AMBIGUOUS,
        "plans: {pro: NULL}\n",
        "plans: {pro: null}\n",
    ),
    "E0139": Explanation(
        "not a plain number",
        _AMBIGUOUS + " A number has digits on both sides of its point and no plus sign; zero has no sign.",
        "plans: {pro: {prices: {monthly: {amount: .99}}}}\n",
        "plans: {pro: {prices: {monthly: {amount: 0.99}}}}\n",
    ),
    "E0140": Explanation(
        "too many digits",
        "A number has at most 18 digits before and 18 after the point: more than any amount or count can need.",
        "credit_packs: {starter: {credits: 1000000000000000000}}\n",
        "credit_packs: {starter: {credits: 1000}}\n",
    ),
    "E0141": Explanation(
        "digits of another script",
        "Full-width and other digits look like a number but are text to YAML, as is the typographic minus sign.",
        "credit_packs: {starter: {credits: \uff11\uff10\uff10}}\n",
        "credit_packs: {starter: {credits: 100}}\n",
    ),
    "E0142": Explanation(
        "special value of YAML 1.1",
        "The plain values = and << are not text to YAML 1.1.",
        "plans: {pro: {description: =}}\n",
        'plans: {pro: {description: "="}}\n',
    ),
}

_SECRETS = {
    "E0150": Explanation(
        "Stripe secret in a file",
        "API keys and webhook secrets never belong into files under version control: whoever reads the repository, "
        "now or later, could use them. Comments are searched too. The value is never shown. Publishable keys are "
        "refused as well, because nothing here needs them.",
        "an API key or a webhook signing secret in a value or comment",
        "no key in the file: the command line reads STRIPE_API_KEY from the environment; roll the key that was shown",
        loadable=False,
    ),
}

_FILES = {
    "E0160": Explanation(
        "file cannot be read",
        "The operating system refuses to open the file or directory.",
        "a file without read permission",
        "chmod u+r on the file",
        loadable=False,
    ),
    "E0161": Explanation(
        "file changed or vanished",
        "The file was there when the directory was listed, and was gone or different a moment later. A link that "
        "leads nowhere looks the same.",
        "a link to a file that was deleted, or a checkout that runs at the same time",
        "remove the link, or run the command again",
        loadable=False,
    ),
    "E0162": Explanation(
        "not a regular file",
        "Pipes, sockets and devices are not read.",
        "a named pipe called plans.yaml",
        "a regular file called plans.yaml",
        loadable=False,
    ),
    "E0163": Explanation(
        "link leads out of the directory",
        "Nothing outside the configuration directory is read, so that a pull request cannot pull in other files of "
        "the machine. A link that leads in a circle is refused too.",
        "plans.yaml as a link to /etc/hosts",
        "the file itself inside the directory",
        loadable=False,
    ),
    "E0164": Explanation(
        "directory where a file is expected",
        "A directory named like a YAML file is probably a mistake, and linked directories are not followed.",
        "a directory called plans.yaml",
        "a directory called plans with files in it",
        loadable=False,
    ),
    "E0165": Explanation(
        "too many files",
        "A configuration directory may hold 10,000 files.",
        "a directory with one file for each of 20,000 tenants",
        "files that hold many tenants each",
        loadable=False,
    ),
    "E0166": Explanation(
        "files too large together",
        "All files together may have 16 MiB.",
        "a data export stored below the configuration directory",
        "configuration alone in the directory",
        loadable=False,
    ),
    "E0167": Explanation(
        "file name that cannot be shown",
        "A name with a line break, a control character or bytes that are not UTF-8 could forge lines of output.",
        "a file whose name holds a line break",
        "a file name of letters, digits, '-', '_' and '.'",
        loadable=False,
    ),
    "E0168": Explanation(
        "no configuration directory",
        "The directory named, or the nearest billing.d upwards, does not exist or is not a directory.",
        "reconciler validate --config biling.d",
        "reconciler validate --config billing.d",
        loadable=False,
    ),
    "E0169": Explanation(
        "overlay outside an environment",
        "Files below env/ belong to the environment whose directory they stand in.",
        "billing.d/env/prices.yaml",
        "billing.d/env/production/prices.yaml",
        loadable=False,
    ),
    "E0170": Explanation(
        "unknown environment",
        "The environment named has neither a directory below env/ nor an entry of `environments`.",
        "reconciler plan --env prod, where there is only billing.d/env/production/",
        "reconciler plan --env production",
        loadable=False,
    ),
}

CODES = {**_ENCODING, **_STRUCTURE, **_LIMITS, **_SCALARS, **_SECRETS, **_FILES}
