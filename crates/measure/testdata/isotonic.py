"""Writes isotonic_*.csv: IsotonicRegression(out_of_bounds="clip") of scikit-learn on 300 rows.

    pip install numpy==1.26.4 scikit-learn==1.9.1
    python isotonic.py
"""
import pathlib

import numpy as np
from sklearn.isotonic import IsotonicRegression

HERE = pathlib.Path(__file__).parent
rng = np.random.default_rng(11)
# Some scores repeat, some do not, some rates fall.
score = np.r_[rng.integers(10, 90, 150) / 100, np.round(rng.uniform(0.05, 0.95, 150), 6)]
label = (rng.random(300) < 0.5 + 0.4 * np.sin(5 * (score - 0.4))).astype(int)
probe = np.sort(np.r_[score[:60], np.linspace(-0.5, 1.5, 81)])
fitted = IsotonicRegression(out_of_bounds="clip").fit(score, label).predict(probe)
np.savetxt(HERE / "isotonic_rows.csv", np.c_[score, label], fmt=["%.6f", "%d"], delimiter=",")
np.savetxt(HERE / "isotonic_expected.csv", np.c_[probe, fitted], fmt="%.17g", delimiter=",")
