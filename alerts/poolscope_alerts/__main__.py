"""Write the rule files and the facts of the runbooks: `make rules`."""

import argparse
import sys
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from pathlib import Path

from poolscope_alerts.grafana_rules import alert_file
from poolscope_alerts.model import Alert, Sources
from poolscope_alerts.prometheus_rules import (
    absent_groups,
    all_alerts,
    groups,
    prometheus_rules,
    rule_file,
)
from poolscope_alerts.runbooks import with_facts, with_list
from poolscope_alerts.texts.yaml_text import yaml_text
from poolscope_alerts.tuning import WrongTuningError, load_tuning
from poolscope_exporter.core.checks.thresholds import WrongThresholdsError
from poolscope_exporter.settings.thresholds_file import load_thresholds

FOLDER = Path(__file__).resolve().parent.parent
RULES = "poolscope.rules.yaml"
ABSENT = "poolscope-absent.rules.yaml"
FOR_OPERATOR = "poolscope.prometheusrule.yaml"
FOR_GRAFANA = "grafana/poolscope.alerts.yaml"
ABSENT_FOR_GRAFANA = "grafana/poolscope-absent.alerts.yaml"
_HEAD = "# Written by make rules from thresholds.toml and rules.toml: change those.\n"


def load_sources(folder: Path = FOLDER, pace: float = 1.0) -> Sources:
    """Return what the rules are made from; WrongThresholdsError, WrongTuningError."""
    return Sources(
        load_thresholds(folder / "thresholds.toml"), load_tuning(folder / "rules.toml"), pace
    )


def rule_files(sources: Sources) -> Mapping[str, str]:
    """Return the text of each rule file, by its name."""
    main = rule_file(groups(sources), sources)
    absent = rule_file(absent_groups(sources), sources)
    documents = {
        RULES: main,
        ABSENT: absent,
        FOR_GRAFANA: alert_file(groups(sources), sources),
        ABSENT_FOR_GRAFANA: alert_file(absent_groups(sources), sources),
    }
    texts = {name: yaml_text(document) for name, document in documents.items()}
    texts[FOR_OPERATOR] = "---\n".join(map(yaml_text, prometheus_rules(main)))
    return {name: _HEAD + text for name, text in texts.items()}


def documents(sources: Sources, folder: Path = FOLDER) -> Iterator[tuple[Path, str]]:
    """Yield each runbook, and the document on alerts, with what it should say."""
    for name, alerts in alerts_by_name(sources).items():
        path = folder / "runbooks" / f"{name}.md"
        yield path, with_facts(path.read_text(encoding="utf-8"), alerts, sources)
    path = folder.parent / "docs" / "alerts.md"
    yield path, with_list(path.read_text(encoding="utf-8"), tuple(all_alerts(sources)))


def alerts_by_name(sources: Sources) -> Mapping[str, Sequence[Alert]]:
    """Return the alerts; those of one name differ in severity and share a runbook."""
    return {
        name: tuple(alerts) for name, alerts in groupby(all_alerts(sources), lambda one: one.name)
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the files; return 1 where a source is wrong."""
    parser = argparse.ArgumentParser(prog="poolscope_alerts", description=__doc__)
    parser.add_argument("--out", type=Path, default=FOLDER, help="where the rule files go")
    parser.add_argument(
        "--pace", type=float, default=1.0, help="divide every duration (end-to-end tests); no docs"
    )
    options = parser.parse_args(arguments)
    try:
        sources = load_sources(pace=options.pace)
        (options.out / FOR_GRAFANA).parent.mkdir(exist_ok=True)
        for name, text in rule_files(sources).items():
            (options.out / name).write_text(text, encoding="utf-8")
        if options.out == FOLDER:
            for path, text in documents(sources):
                path.write_text(text, encoding="utf-8")
    except (WrongThresholdsError, WrongTuningError, ValueError, OSError) as exc:
        print(f"make rules: {exc}", file=sys.stderr)  # noqa: T201 - a command's own words
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
