"""Which rank: what an adapter's spectra say, and searches that try candidates out.

A search is three parts that know nothing of one another. A *strategy* (`sweep`,
`successive_halving`, `genetic`) asks for trials and gets results; an *objective*, any picklable
function of a `Trial`, scores one; `run_search` brings them together on any
`concurrent.futures.Executor`, writes each result down as it comes, and counts the epochs spent, by
which the strategies compare.
"""

from minilora.analysis.select.allocation import Allocation as Allocation
from minilora.analysis.select.allocation import allocate as allocate
from minilora.analysis.select.allocation import energy as energy
from minilora.analysis.select.allocation import sensitivity as sensitivity
from minilora.analysis.select.folds import k_folds as k_folds
from minilora.analysis.select.genetic import Space as Space
from minilora.analysis.select.genetic import genetic as genetic
from minilora.analysis.select.halving import halving_rounds as halving_rounds
from minilora.analysis.select.halving import successive_halving as successive_halving
from minilora.analysis.select.log import TrialLog as TrialLog
from minilora.analysis.select.search import Search as Search
from minilora.analysis.select.search import begun as begun
from minilora.analysis.select.search import run_search as run_search
from minilora.analysis.select.sparsity import sparsify as sparsify
from minilora.analysis.select.spectra import Pick as Pick
from minilora.analysis.select.spectra import UpdateSpectrum as UpdateSpectrum
from minilora.analysis.select.spectra import pick_ranks as pick_ranks
from minilora.analysis.select.summary import Recommendation as Recommendation
from minilora.analysis.select.summary import Summary as Summary
from minilora.analysis.select.summary import pareto_front as pareto_front
from minilora.analysis.select.summary import recommend as recommend
from minilora.analysis.select.summary import summarise as summarise
from minilora.analysis.select.sweep import sweep as sweep
from minilora.analysis.select.trial import Candidate as Candidate
from minilora.analysis.select.trial import Result as Result
from minilora.analysis.select.trial import Trial as Trial
from minilora.analysis.select.workers import local_workers as local_workers
