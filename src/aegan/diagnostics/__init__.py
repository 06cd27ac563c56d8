"""Why a training fails, and what to do: statistics, verdicts with evidence, remedies.

:class:`Doctor` watches anybody's loop on plain modules; ``aegan diagnose RUN`` judges a run of aegan's own. The
statistics are pure functions in :mod:`~aegan.diagnostics.gradients`, :mod:`~aegan.diagnostics.balance`,
:mod:`~aegan.diagnostics.jacobian`, :mod:`~aegan.diagnostics.collapse` and :mod:`~aegan.diagnostics.data`.
"""

from aegan.diagnostics.doctor import Doctor
from aegan.diagnostics.health import diagnose
from aegan.diagnostics.history import History, Look
from aegan.diagnostics.verdicts import Evidence, Remedy, Verdict, report_text

__all__ = ["Doctor", "Evidence", "History", "Look", "Remedy", "Verdict", "diagnose", "report_text"]
