"""Golden values of Evidently's rules and scipy's tests on samples that need no file.

Run where evidently 0.7.23, scipy 1.17.1, numpy 2.4.6 and pandas 2.2.3 are installed: prints lines of
`source, statistic, value`, which stand in parity/tests.rs. Samples: numpy's RandomState(1).
"""

import warnings

import evidently
import numpy as np
import pandas as pd
import scipy
from evidently.legacy.calculations.stattests import (
    chi_stat_test, hellinger_stat_test, jensenshannon_stat_test, kl_div_stat_test, ks_stat_test, psi_stat_test,
    wasserstein_stat_test, z_stat_test,
)
from evidently.legacy.calculations.stattests.registry import get_stattest
from evidently.legacy.core import ColumnType
from scipy import stats

warnings.simplefilter("ignore")
assert evidently.__version__ == "0.7.23" and scipy.__version__ == "1.17.1" and np.__version__ == "2.4.6"


def show(source, name, value):
    print(f"{source:10} {name:45} {value!r}")


np.random.seed(1)
small, other = np.random.normal(0, 1, 900), np.random.normal(0.1, 1, 300)
large, shifted = np.random.normal(0, 1, 5000), np.random.normal(0.2, 1, 700)
dice, loaded = np.random.choice(np.arange(4), 800), np.random.choice(np.arange(5), 300)
coin, biased = np.random.choice(np.arange(2), 800), np.random.choice(np.array([0, 1, 1]), 200)
wide, narrow = np.random.choice(np.arange(8), 2000), np.random.choice(np.arange(7), 50)

pairs = {"small": (small, other), "large": (large, shifted), "dice": (loaded, dice), "coin": (coin, biased), "wide": (wide, narrow)}
num = [psi_stat_test, jensenshannon_stat_test, hellinger_stat_test, kl_div_stat_test, wasserstein_stat_test]
for name, (reference, current) in pairs.items():
    old, new = pd.Series(reference), pd.Series(current)
    if name in ("small", "large", "wide"):
        for test in num:
            show("evidently", f"{name} {test.name}", float(test(old.copy(), new.copy(), ColumnType.Numerical, None).drift_score))
        show("scipy", f"{name} ks", float(stats.ks_2samp(reference, current).statistic))
        show("scipy", f"{name} ks p", float(stats.ks_2samp(reference, current).pvalue))
        show("scipy", f"{name} wasserstein", float(stats.wasserstein_distance(reference, current)))
    for kind in ("num", "cat"):
        if kind == "cat" and name in ("small", "large"):
            continue
        test = get_stattest(old, new, kind, None)
        found = test(old, new, ColumnType(kind), None)
        show("evidently", f"{name} chosen {kind} {test.name}", (float(found.drift_score), bool(found.drifted)))
table = [[int((coin == v).sum()) for v in (0, 1)], [int((biased == v).sum()) for v in (0, 1)]]
show("scipy", "coin contingency", tuple(map(float, stats.chi2_contingency(table)[:2])))
