"""The committed tables are what the tests declare, and leave nothing out."""

from poolscope_exporter.core.judging.diagnosis import Diagnosis
from poolscope_exporter.core.judging.verdicts import Verdict
from poolscope_exporter.core.linking.link import LinkLevel, Unlinked
from poolscope_generators.scenarios.document import DOCUMENT, declared_lines
from poolscope_generators.scenarios.scenario import unlinked
from poolscope_generators.scenarios.timed_tables import case_cells, hold_cells, row
from scenarios.table import BY_INCIDENTS, DECLARED, ON_THE_WAY, SCENARIOS
from scenarios.timed.bouncer_cases import STATEMENTS
from scenarios.timed.cases import CASES
from scenarios.timed.holds import DIRECTLY, THROUGH_A_BOUNCER
from scenarios.timed.misplaced_cases import CASES as MISPLACED
from scenarios.timed.outside_cases import CASES as OUTSIDE
from scenarios.timed.owners_cases import CASES as OWNERS
from scenarios.timed.saturated_cases import SATURATED
from scenarios.timed.session_cases import ENDED


def test_the_committed_tables_are_what_the_tests_declare() -> None:
    committed = DOCUMENT.read_text().splitlines()
    missing = [line for line in declared_lines(DECLARED) if line not in committed]
    assert not missing, "run `make scenarios`"


def test_every_hold_and_every_incident_has_its_row() -> None:
    committed = DOCUMENT.read_text().splitlines()
    rows = [
        *(row(hold_cells(each)) for each in (*DIRECTLY, *THROUGH_A_BOUNCER)),
        *(
            row(case_cells(each))
            for each in (*CASES, *MISPLACED, *OUTSIDE, *OWNERS, SATURATED, STATEMENTS, ENDED)
        ),
    ]
    beginnings = [each.removesuffix("|") for each in rows]
    missing = [each for each in beginnings if not any(line.startswith(each) for line in committed)]
    assert not missing, "run `make scenarios`"


def test_every_verdict_link_reason_and_diagnosis_has_a_scenario() -> None:
    expected = [each.expected for each in SCENARIOS]
    shown = {
        *(each.verdict for each in expected),
        *(each.link for each in expected),
        *(each.diagnosis for each in expected),
        *(link for each in expected for link in each.on_the_way),
        *ON_THE_WAY,
        *BY_INCIDENTS,
    }
    wanted = {*Verdict, *LinkLevel, *Diagnosis, *(unlinked(reason) for reason in Unlinked)}
    assert wanted <= shown


def test_every_scenario_has_a_name_of_its_own() -> None:
    names = [each.name for each in SCENARIOS]
    assert len(set(names)) == len(names)
