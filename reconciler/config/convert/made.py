"""Files in the making: sections, comments, tables of tiers that several lines share."""

from dataclasses import dataclass, field
from typing import Any

from reconciler.config.ids import unique
from reconciler.config.layout import layout
from reconciler.config.source import Path_

_SECTIONS = ("meters", "features", "tiers", "plans", "tenants")


@dataclass
class Made:
    """What a converter writes; ``origin`` is the file it comes from, as it is named in the heading."""

    namespace: str
    origin: str
    sections: dict[str, dict[str, Any]] = field(default_factory=lambda: {name: {} for name in _SECTIONS})
    comments: dict[Path_, list[str]] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=dict)

    def comment(self, path: Path_, text: str) -> None:
        """Put a comment above a node."""
        self.comments.setdefault(path, []).append(text)

    def table(self, content: dict[str, Any], name: str) -> str:
        """Return the id of a table of tiers with this content, a new one unless there is one."""
        tiers = self.sections["tiers"]
        same = next((known for known, other in tiers.items() if other == content), None)
        if same is not None:
            return same
        chosen = unique([name], tiers.keys(), "tiers")
        tiers[chosen] = content
        return chosen

    def settle(self, currency: str, *, tenants: bool = False) -> None:
        """Write the settings; with ``tenants`` the currency is a guess, which a comment says."""
        self.settings = {"namespace": self.namespace, "currency": currency}
        meters = list(self.sections["meters"])
        if len(meters) == 1:
            self.settings["default_meter"] = meters[0]
        if tenants:
            self.comment(("settings", "currency"), "Please check: the source names no currency.")

    def files(self, notes: list[str]) -> dict[str, str]:
        """Return the texts of the files; every note stands in the heading of the settings."""
        heading = [f"Made from {self.origin} by reconciler."]
        heading += ["", "Not carried over, or in another way:", *(f"- {each}" for each in notes)] if notes else []
        sections = {"settings": self.settings, **self.sections}
        return layout(sections, comments=self.comments, headings={"settings.yaml": heading})
