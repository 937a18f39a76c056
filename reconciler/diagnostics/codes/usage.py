"""E13xx: what can be wrong with a file that says what was used, and with asking for an impact."""

from reconciler.diagnostics.codes.model import prose

CODES = {
    "E1301": prose(
        "usage file that cannot be read",
        "A usage file is CSV with a header, a JSON list of objects, or one JSON object a line, in UTF-8.",
        "tenant,meter,quantity\nacme,calls,1,2",
        "tenant,meter,quantity\nacme,calls,12",
    ),
    "E1302": prose(
        "column that nobody reads",
        "A misspelt column would be left out, and what was used with it.",
        "tenant,meter,quantitiy\nacme,calls,12",
        "tenant,meter,quantity\nacme,calls,12",
    ),
    "E1303": prose(
        "row about nothing known",
        "A row names a tenant, and a tool or a meter; a meter stands in the files of either side.",
        "tenant,meter,quantity\nacme,cals,12",
        "tenant,meter,quantity\nacme,calls,12",
    ),
    "E1304": prose(
        "no whole number",
        "Units, quantities and calls are whole numbers from zero on, without separators or a currency.",
        "tenant,meter,quantity\nacme,calls,1.5",
        "tenant,meter,quantity\nacme,calls,15",
    ),
    "E1305": prose(
        "no instant",
        "A time is a date or an instant as ISO 8601 writes it.",
        "tenant,tool,time\nacme,search,yesterday",
        "tenant,tool,time\nacme,search,2027-01-31T12:00:00Z",
    ),
    "E1306": prose(
        "impact of no change",
        "A plan's impact compares the files with those of --base, and is told as text, JSON or Markdown.",
        "reconciler plan --impact",
        "reconciler plan --impact --base main",
    ),
}
