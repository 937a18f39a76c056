"""What a session asks its customer beside card and e-mail: names, phone number, custom fields, consents."""

from collections.abc import Mapping

from reconciler.sandbox.errors import invalid
from reconciler.sandbox.pages.html import Html, choice, field, tick
from reconciler.sandbox.pages.visit import NAME_LENGTH, PHONE_LENGTH, Visit
from reconciler.sandbox.wire import Obj

_NAMES = {"business": ("Business name", "business_name"), "individual": ("Full name", "individual_name")}
_LONGEST = 255


def contact_fields(session: Obj, values: Mapping[str, str]) -> list[Html]:
    """Return the inputs for phone number and names."""
    fields = []
    if session["phone_number_collection"]["enabled"]:
        value = values.get("phone")
        fields.append(field("Phone", "phone", type="tel", autocomplete="tel", required=True, maxlength=20, value=value))
    for which, wanted in session.get("name_collection", {}).items():
        if wanted["enabled"]:
            label, name = _NAMES[which]
            hint = "Optional" if wanted["optional"] else None
            fields.append(field(label, name, hint=hint, required=not wanted["optional"], value=values.get(name)))
    return fields


def buyer(visit: Visit, session: Obj) -> Obj:
    """Return phone number and names as ``customer_details``, or refuse what is missing."""
    found: Obj = {}
    if session["phone_number_collection"]["enabled"]:
        found["phone"] = visit.text("phone", PHONE_LENGTH)
        if found["phone"] is None:
            raise invalid("Enter your phone number.")
    for which, wanted in session.get("name_collection", {}).items():
        label, name = _NAMES[which]
        if wanted["enabled"]:
            found[name] = visit.text(name, NAME_LENGTH)
            if found[name] is None and not wanted["optional"]:
                raise invalid(f"Enter your {label.lower()}.")
    return found


def custom_fields(session: Obj, values: Mapping[str, str]) -> list[Html]:
    """Return the inputs of the session's custom fields."""
    return [_custom_field(each, values) for each in session["custom_fields"]]


def _custom_field(each: Obj, values: Mapping[str, str]) -> Html:
    details, name = each[each["type"]], f"custom_{each['key']}"
    label = each["label"]["custom"] + (" (optional)" if each["optional"] else "")
    value = values.get(name, details["default_value"])
    if each["type"] == "dropdown":
        options = [("", "Choose one"), *((option["value"], option["label"]) for option in details["options"])]
        return choice(label, name, options, chosen=value, required=not each["optional"])
    return field(
        label,
        name,
        required=not each["optional"],
        inputmode="numeric" if each["type"] == "numeric" else None,
        minlength=details["minimum_length"],
        maxlength=details["maximum_length"] or _LONGEST,
        value=value,
    )


def consents(session: Obj) -> list[Html]:
    """Return the boxes of the consents that the session asks for."""
    wanted = session["consent_collection"] or {}
    boxes = []
    if wanted.get("terms_of_service") == "required":
        own = session["custom_text"]["terms_of_service_acceptance"]
        boxes.append(tick(own["message"] if own else "I agree to the terms of service.", "terms", required=True))
    if wanted.get("promotions") == "auto":
        boxes.append(tick("Send me news and offers.", "promotions"))
    return boxes


def answered(visit: Visit, session: Obj) -> Obj:
    """Return the session with the customer's answers and consents, or refuse what is missing or wrong."""
    wanted = session["consent_collection"] or {}
    consent: Obj = {"promotions": None, "terms_of_service": None}
    if wanted.get("terms_of_service") == "required":
        if not visit.sent.get("terms"):
            raise invalid("You must agree to the terms of service.")
        consent["terms_of_service"] = "accepted"
    if wanted.get("promotions") == "auto":
        consent["promotions"] = "opt_in" if visit.sent.get("promotions") else "opt_out"
    names = {name: visit.text(name, NAME_LENGTH) for name in ("business_name", "individual_name")}
    asked_names = session.get("name_collection")
    return {
        **session,
        "collected_information": {**names, "shipping_details": None} if asked_names else None,
        "consent": consent if wanted else None,
        "custom_fields": [_answer(visit, each) for each in session["custom_fields"]],
    }


def _answer(visit: Visit, each: Obj) -> Obj:
    kind, label = each["type"], each["label"]["custom"]
    details = each[kind]
    value = visit.text(f"custom_{each['key']}", _LONGEST)
    if value is None:
        if not each["optional"]:
            raise invalid(f"Fill in \u201c{label}\u201d.")
        return each
    if kind == "dropdown" and value not in [option["value"] for option in details["options"]]:
        raise invalid(f"Choose one of the options of \u201c{label}\u201d.")
    if kind == "numeric" and not (value.isascii() and value.isdecimal()):
        raise invalid(f"\u201c{label}\u201d takes digits only.")
    if kind != "dropdown":
        least, most = details["minimum_length"] or 0, details["maximum_length"] or _LONGEST
        if not least <= len(value) <= most:
            raise invalid(f"\u201c{label}\u201d takes {least} to {most} characters.")
    return {**each, kind: {**details, "value": value}}
