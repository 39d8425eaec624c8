"""Every estimator and the probe against closed forms: bias, acceptance bands and coverage."""

from gan_lab.selfcheck.cases import cases
from gan_lab.selfcheck.checks import Case, Row, check

__all__ = ["Case", "Row", "cases", "check"]
