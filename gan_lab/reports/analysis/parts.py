"""The parts of a section below its first screen, in the order of the page."""

from collections.abc import Sequence

from gan_lab.reports.analysis import summary, why
from gan_lab.reports.analysis.aggregate import Problem
from gan_lab.reports.analysis.charts import QUESTIONS
from gan_lab.reports.analysis.model import Chart, EventRow, Part, Table
from gan_lab.reports.analysis.tables import BUDGETS_TITLE

_BETTER, _MODES, _CURVES, _GRADIENTS = (question.title for question in QUESTIONS)


def parts(
    problem: Problem, charts: Sequence[Chart], tables: Sequence[Table], events: Sequence[EventRow]
) -> list[Part]:
    """Return curves, equal budgets, why, and tables with the configuration; empty ones left out.

    Every chart, table and event is in one part.
    """
    groups = problem.groups

    def of(title: str) -> list[Chart]:
        return [chart for chart in charts if chart.question == title]

    budgets = [table for table in tables if table.title == BUDGETS_TITLE]
    others = [table for table in tables if table.title != BUDGETS_TITLE]
    better = [*summary.sample_w1(groups), *summary.more_training(groups)]
    each = [
        Part("curves", _BETTER, better, of(_BETTER)),
        Part("curves", _MODES, summary.modes(groups), of(_MODES)),
        Part("budgets", BUDGETS_TITLE, summary.at_equal_budgets(groups), tables=budgets),
        Part("why", _GRADIENTS, why.gradients(groups), of(_GRADIENTS)),
        Part("why", _CURVES, why.reliability(groups), of(_CURVES)),
        Part("why", "What happened?", why.events(groups, events), events=events),
        Part("details", "Tables and configuration", summary.one_seed(groups), tables=others),
    ]
    return [part for part in each if part.sentences or part.charts or part.tables or part.events]
