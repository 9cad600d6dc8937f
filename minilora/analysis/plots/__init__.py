"""Figures. matplotlib is used here and nowhere else.

Colours are Okabe and Ito's (2008, "Color Universal Design"), which stay apart for colour-blind
readers; nothing is told by colour alone. Figures are drawn without pyplot, so nothing global
changes, and come back as the bytes of files that carry their own description.
"""

from minilora.analysis.plots.adapter import adapter_chart as adapter_chart
from minilora.analysis.plots.adapter import describe_adapter as describe_adapter
from minilora.analysis.plots.pareto import describe_pareto as describe_pareto
from minilora.analysis.plots.pareto import pareto_chart as pareto_chart
from minilora.analysis.plots.training import TrainingRun as TrainingRun
from minilora.analysis.plots.training import describe as describe
from minilora.analysis.plots.training import training_report as training_report
