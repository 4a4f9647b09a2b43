"""Each query of a runbook answers for the labels of its alert, and for no others."""

from pathlib import Path

from support.prometheus.promtool import Question, RuleTest, needs_promtool, run_rule_tests
from support.runbooks.commands import fill, runbooks
from support.runbooks.filters import subject
from support.runbooks.synthetic import LABELS, LASTS_S, OTHERS, STEP_S, series_for

BOOKS = [book for book in runbooks() if book.queries]
QUERIES = [(book, query) for book in BOOKS for query in book.queries]


def question(query: str, labels: dict[str, str], count: int) -> Question:
    return Question(LASTS_S, f"count({fill(query, labels)})", count)


@needs_promtool
def test_each_query_answers_for_the_labels_of_its_alert(tmp_path: Path) -> None:
    questions = [question(query, LABELS, 1) for _, query in QUERIES]
    series = series_for(query for _, query in QUERIES)
    run_rule_tests([RuleTest("answers", STEP_S, series, questions)], tmp_path, [])


@needs_promtool
def test_no_query_answers_for_other_labels(tmp_path: Path) -> None:
    """Only where the alert has no label for it may a query answer for everything."""
    filtered = [
        query for book, query in QUERIES if "$" in query and "!=" not in query and book.about
    ]
    questions = [question(query, OTHERS, 0) for query in filtered]
    series = series_for(query for _, query in QUERIES)
    run_rule_tests([RuleTest("of others", STEP_S, series, questions)], tmp_path, [])
    assert len(filtered) >= len([q for book, q in QUERIES if subject(book.about)]) - 4
