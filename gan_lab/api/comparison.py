"""Compare runs: a table of groups, and the whole report as one page."""

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from gan_lab.api.arguments import path_of, short
from gan_lab.api.trained_run import TrainedRun
from gan_lab.cli.arguments import check_directories
from gan_lab.errors import ConfigError
from gan_lab.reports.analysis import build
from gan_lab.reports.analysis.aggregate import Problem
from gan_lab.reports.analysis.model import Report
from gan_lab.reports.export import csv
from gan_lab.reports.html import page
from gan_lab.validation import output_path

if TYPE_CHECKING:
    import pandas


class Comparison:
    """Groups of runs that differ in nothing but their seed.

    Attributes:
        report: All tables, charts and sentences.
    """

    def __init__(self, report: Report, problems: Sequence[Problem]) -> None:
        self.report, self._problems = report, problems

    @property
    def table(self) -> "pandas.DataFrame":
        """A row a group and final number: mean over seeds, its 95 % interval, floor and unit."""
        return self._frame("finals")

    @property
    def differences(self) -> "pandas.DataFrame":
        """A row a pair of groups: the difference, paired by seed, and whether it is supported."""
        return self._frame("differences")

    def _frame(self, name: str) -> "pandas.DataFrame":
        import pandas

        header, rows = csv.tables(self.report, self._problems)[name]
        return pandas.DataFrame([list(row) for row in rows], columns=list(header))

    @property
    def verdict(self) -> list[str]:
        """Which is better, by how much and how sure that is: a headline a data set, and details."""
        verdicts = [section.verdict for section in self.report.sections]
        return [text for each in verdicts for text in (each.headline, *each.details)]

    def save(self, path: str | Path) -> Path:
        """Write the page, one HTML file that opens without a network; return its path.

        Raises:
            ConfigError: No file can be made there.
        """
        file, text = path_of("path", path), os.fspath(path)
        output_path("path", text)
        if file.is_dir():
            raise ConfigError(f"path={text} is a directory; name the file, such as compare.html")
        page.write(self.report, file)
        return file

    def __repr__(self) -> str:
        return "\n".join([self.report.title, *self.verdict])

    def _repr_html_(self) -> str:
        return str(self.table._repr_html_())


def compare(
    runs: TrainedRun | str | Path | Sequence[TrainedRun | str | Path], title: str = ""
) -> Comparison:
    """Compare runs, or all runs below directories; a run of several seeds is a group.

    Args:
        runs: Runs of `train` or `load`, or paths.
        title: Of the page; empty for the groups and the data.

    Raises:
        ConfigError: One holds no run, or a run cannot be read; or an argument is of another type.

    Example:
        >>> import gan_lab
        >>> runs = [
        ...     gan_lab.train(data="ring", loss=loss, steps=100, seed=0)
        ...     for loss in ("non_saturating", "wasserstein")
        ... ]
        >>> comparison = gan_lab.compare(runs)
        >>> print(comparison)
        >>> comparison.save("outputs/compare.html")
    """
    if isinstance(runs, str | Path | TrainedRun):
        runs = [runs]
    if not isinstance(runs, Iterable):
        raise ConfigError(f"runs={short(runs)} is no run, path or list of them")
    if not isinstance(title, str):
        raise ConfigError(f"title={short(title)} is no text")
    paths = [run.path if isinstance(run, TrainedRun) else path_of("runs", run) for run in runs]
    if not paths:
        raise ConfigError("compare needs one run at least, got none")
    check_directories(paths)
    report, problems = build.report(paths, title)
    return Comparison(report, problems)
