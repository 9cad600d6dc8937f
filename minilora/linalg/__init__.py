"""Matrices: singular values, ranks, subspaces. Arrays in, arrays out; computed in float64."""

from minilora.linalg.noise import hard_threshold as hard_threshold
from minilora.linalg.noise import marchenko_pastur_edge as marchenko_pastur_edge
from minilora.linalg.noise import marchenko_pastur_median as marchenko_pastur_median
from minilora.linalg.noise import noise_level as noise_level
from minilora.linalg.powerlaw import PowerLaw as PowerLaw
from minilora.linalg.powerlaw import fit_power_law as fit_power_law
from minilora.linalg.rank import condition_number as condition_number
from minilora.linalg.rank import effective_rank as effective_rank
from minilora.linalg.rank import energy_rank as energy_rank
from minilora.linalg.rank import nuclear_ratio as nuclear_ratio
from minilora.linalg.rank import numerical_rank as numerical_rank
from minilora.linalg.rank import participation_ratio as participation_ratio
from minilora.linalg.rank import stable_rank as stable_rank
from minilora.linalg.robust import LowRankPlusSparse as LowRankPlusSparse
from minilora.linalg.robust import robust_pca as robust_pca
from minilora.linalg.subspace import grassmann_distance as grassmann_distance
from minilora.linalg.subspace import phi as phi
from minilora.linalg.subspace import phi_of_random_subspaces as phi_of_random_subspaces
from minilora.linalg.subspace import principal_angles as principal_angles
from minilora.linalg.svd import SVD as SVD
from minilora.linalg.svd import Multiplier as Multiplier
from minilora.linalg.svd import Weighting as Weighting
from minilora.linalg.svd import product_svd as product_svd
from minilora.linalg.svd import randomized_svd as randomized_svd
from minilora.linalg.svd import svd as svd
from minilora.linalg.svd import truncation_error as truncation_error
