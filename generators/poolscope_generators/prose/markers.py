"""The words and turns of phrase that make a text hard to read, each with what to write instead."""

import re
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Marker:
    """A turn of phrase that readers stumble over; `instead` is the advice to a writer."""

    pattern: re.Pattern[str]
    instead: str


def _marker(words: str, instead: str) -> Marker:
    return Marker(re.compile(rf"\b(?:{words})\b", re.IGNORECASE), instead)


MARKERS: Final = (
    _marker("tells?|told|telling", "reports, returns, shows; distinguishes"),
    _marker("says?|said|saying", "reports, shows, logs, states"),
    _marker("hears?|heard|hearing", "receives"),
    _marker("knows|knew|knowing", "has, stores, is configured with"),
    _marker("wants?|wanted|wishes", "needs, requests"),
    _marker("speaks?|spoke|speaking", "uses, supports"),
    _marker("learns?|learnt|learned", "reads, receives, detects"),
    _marker("forgets|forgot|forgetting", "drops, expires; does not return"),
    _marker("believes?|believed", "accepts, uses"),
    _marker("whose|whom|whoever|whatever|whichever", "with …, of the …; any"),
    _marker(r"of (?:its|their|our|your|his|her|one's) own", "separate, own + noun"),
    _marker("of (?:ours|theirs|yours|mine)", "the noun: poolscope's, the application's"),
    _marker("in vain|anew|hence|lest|thereof|therein|therefrom|whence|wherein|hitherto|henceforth",
            "a common word"),
    _marker("to no avail|at a stretch|for good|be it|as it were|let alone", "a common phrase"),
    _marker("(?:that|those|one|ones|all|everybody|anybody|nobody|somebody|each) (?:who|whom)",
            "the noun"),
    _marker("(?:those|one|ones) (?:that|which)", "the noun: the pools that …"),
    _marker("(?:of|to|by|from|for|with|beside) (?:what|who) (?!to\\b)", "the noun"),
    _marker("good-?bye|alike|strangers?|newcomers?|witness(?:es)?", "a technical word"),
    Marker(re.compile(r"(?:^|(?<=[.;:] ))(?:What|Who)\b(?=[^?]*[.;:,])(?![^.;:]*\?)"),
           "begin with the noun: the setting that …"),
)  # fmt: skip

YOU: Final = re.compile(r"\b(?:you|your|yours|yourself)\b", re.IGNORECASE)
WORD: Final = re.compile(r"[A-Za-z0-9][\w'.%/+-]*")

MAX_WORDS: Final = 25
"""A longer sentence is read twice."""

MAX_TITLE: Final = 45
"""Characters of a panel's title; Grafana cuts longer ones in a narrow panel."""
