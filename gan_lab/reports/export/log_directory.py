"""A directory for TensorBoard in which runs have names, and means over seeds stand beside them.

TensorBoard names a run by its path. Links give `ring/wgan_gp/seed_0` to what lies in
`0_ring_wasserstein_seed_0/tensorboard`; the runs themselves are read and never written to.
"""

from pathlib import Path

from gan_lab.reports.analysis import build
from gan_lab.reports.export import tensorboard

_LOGS = "events.out.tfevents.*"
_LAYOUT = ".layout"  # as `TensorBoardWriter` names the file


class NamedLogs:
    """The logs of the runs in and below a directory, linked under their names.

    Where a choice has several seeds, its mean and band are runs beside them, `mean/wgan_gp`. The
    charts are those that have curves, laid out here: each run's own layout would add to them.

    Args:
        source: A run, a sweep or what holds some.
        home: An empty directory, which these links and runs fill.
    Attributes:
        has_means: Whether a choice has several seeds.
        headlines: Tags of the numbers that sum the runs up, one for each data set.

    Raises:
        ConfigError: The source holds no run, or a run in it cannot be read.
        OSError: The home cannot be written to, or takes no links.
    """

    def __init__(self, source: Path, home: Path) -> None:
        self.source, self.home, self.has_means = source, home, False
        self.headlines: list[str] = []
        self._sizes: dict[Path, int] | None = None
        self.update()

    def update(self) -> None:
        """Link what is new and, if a run has new rows, write the means again."""
        sizes = {path: path.stat().st_size for path in self.source.rglob("metrics.jsonl")}
        if sizes == self._sizes:
            return
        self._sizes = sizes
        report, problems = build.report([self.source])
        self.headlines = [section.headline for section in report.sections]
        folders = tensorboard.names(report)
        self.has_means = any(len(g.runs) > 1 for problem in problems for g in problem.groups)
        names = {
            run.path.resolve(): Path(*folders[problem.name, group.label], f"seed_{run.seed}")
            for problem in problems
            for group in problem.groups
            for run in group.runs
        }
        for folder in {path.parent for path in self.source.rglob(_LOGS)}:
            self._link(folder, self.home / _name(folder, self.source, names))
        if not all(run.is_done for p in problems for group in p.groups for run in group.runs):
            report = tensorboard.with_all_curves(report)
        if self.has_means:
            tensorboard.append(report, self.home, beside_runs=True)
        else:
            tensorboard.append_real_data(report, self.home)

    def _link(self, folder: Path, name: Path) -> None:
        name.mkdir(parents=True, exist_ok=True)
        for log in folder.glob(_LOGS):
            link = name / log.name
            if not link.is_symlink() and not log.name.endswith(_LAYOUT):
                link.symlink_to(log.resolve())


def _name(folder: Path, source: Path, names: dict[Path, Path]) -> Path:
    """Return a log's name: that of its run and the place below it, else its place."""
    place = folder.resolve()
    for run in (place, *place.parents):
        if run in names:
            below = place.relative_to(run).parts
            return Path(names[run], *(part for part in below if part != "tensorboard"))
    parts = folder.relative_to(source).parts
    return Path("other", *(part for part in parts if part != "tensorboard"))
