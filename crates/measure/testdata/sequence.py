"""Writes sequence.csv: values in [0, 1] and the empirical-Bernstein confidence sequence of their mean.

    pip install numpy==1.26.4
    python sequence.py

Theorem 2 and equations 13 to 15 of I. Waudby-Smith, A. Ramdas, "Estimating means of bounded random
variables by betting", JRSS B 86, 2024, with alpha = 0.05 and c = 1/2, vectorised.
"""
import pathlib

import numpy as np

x = np.round(np.random.default_rng(3).beta(2, 8, 200), 4)
alpha, t = 0.05, np.arange(1, len(x) + 1)
mean = (0.5 + np.cumsum(x)) / (t + 1)
variance = (0.25 + np.cumsum((x - mean) ** 2)) / (t + 1)
before = lambda y, first: np.r_[first, y[:-1]]
bet = np.minimum(np.sqrt(2 * np.log(2 / alpha) / (before(variance, 0.25) * t * np.log(1 + t))), 0.5)
v = 4 * (x - before(mean, 0.5)) ** 2
psi = (-np.log(1 - bet) - bet) / 4
centre = np.cumsum(bet * x) / np.cumsum(bet)
half = (np.log(2 / alpha) + np.cumsum(v * psi)) / np.cumsum(bet)
low, high = np.maximum(centre - half, 0), np.minimum(centre + half, 1)
np.savetxt(pathlib.Path(__file__).parent / "sequence.csv", np.c_[x, low, high], fmt=["%.4f", "%.17g", "%.17g"], delimiter=",")
