"""Golden values of River's drift detectors, and the streams they were fed.

Run where river 0.26.1 and numpy 2.4.6 are installed: `python streams.py` writes streams.txt and
alarms.txt beside itself. The first three streams and their seeds are those of River's own
tests/drift/test_drift_detectors.py, `choices` that of its ADWIN regression test; the others are ours.
Floats are written as the hexadecimal digits of their 64 bits, so that nothing is lost.
"""

import random
import struct
from pathlib import Path

import numpy as np
import river
from river import drift

assert river.__version__ == "0.26.1" and np.__version__ == "2.4.6"
here = Path(__file__).parent


def published():
    np.random.seed(12345)
    first = np.concatenate((np.random.randint(2, size=1000), np.random.randint(8, size=1000)))
    np.random.seed(12345)
    second = [np.random.binomial(1, 0.2) for _ in range(1000)] + [np.random.binomial(1, 0.8) for _ in range(1000)]
    np.random.seed(12345)
    third = np.concatenate([np.random.normal(mean, 0.1, 500) > 0 for mean in (0.0, 0.25, 0.0, 0.25)])
    streams = {"s1": first, "s2": second, "s3": third}
    assert [int(sum(s)) for s in streams.values()] == [3985, 1000, 1470]
    r = random.Random(42)
    low, high = [0, 1], range(4, 8)
    streams["choices"] = r.choices(low, k=1000) + r.choices(high, k=1000) + r.choices(low, k=1000) + r.choices(high, k=1000)
    return streams


def ours():
    r = random.Random(7)
    bits = []
    for rate in (0.2, 0.3, 0.15, 0.5, 0.45, 0.1, 0.12, 0.4):
        bits += [int(r.random() < rate) for _ in range(1000)]
    # Thousandths of a wandering normal variable.
    level, thousandths = 0.0, []
    for i in range(3000):
        level = 0.999 * level + r.gauss(0, 0.02) + (0.5 if i in (1200, 2100) else 0.0)
        thousandths.append(round(1000 * (0.5 + level + r.gauss(0, 0.3))))
    return {"bits": bits, "thousandths": thousandths}


def bits_of(x):
    return struct.pack(">d", float(x)).hex()


def feed(detector, values):
    alarms, warnings = [], []
    for i, x in enumerate(values):
        detector.update(x)
        if detector.drift_detected:
            alarms.append(i)
        if getattr(detector, "warning_detected", False):
            warnings.append(i)
    return alarms, warnings


def adwin_states(values, every):
    detector = drift.ADWIN()
    for i, x in enumerate(values):
        detector.update(x)
        if i % every == every - 1:
            yield [i, int(detector.width)] + [bits_of(x) for x in (detector.total, detector.variance, detector.estimation)]


streams = {**published(), **ours()}
(here / "streams.txt").write_text("".join(f"{name} {' '.join(str(int(x)) for x in s)}\n" for name, s in streams.items()))
scaled = {name: [int(x) / 1000 if name == "thousandths" else int(x) for x in s] for name, s in streams.items()}

b = drift.binary
detectors = {
    "adwin": lambda: drift.ADWIN(),
    "adwin_eager": lambda: drift.ADWIN(delta=0.2, clock=1, max_buckets=3, min_window_length=2, grace_period=5),
    "page_hinkley_up": lambda: drift.PageHinkley(mode="up"),
    "page_hinkley_down": lambda: drift.PageHinkley(mode="down"),
    "page_hinkley_both": lambda: drift.PageHinkley(mode="both"),
    "page_hinkley_eager": lambda: drift.PageHinkley(min_instances=10, delta=0.01, threshold=5.0, alpha=0.99),
    "ddm": lambda: b.DDM(),
    "hddm_a": lambda: b.HDDMA(),
    "hddm_a_two_sided": lambda: b.HDDMA(two_sided_test=True),
    "hddm_w": lambda: b.HDDMW(),
    "hddm_w_two_sided": lambda: b.HDDMW(two_sided_test=True),
}
lines = []
for name, make in detectors.items():
    for stream, values in scaled.items():
        if name.startswith(("ddm", "hddm")) and stream not in ("s2", "s3", "bits"):
            continue
        alarms, warnings = feed(make(), values)
        lines.append(f"{name} {stream} alarms {' '.join(map(str, alarms))}".rstrip())
        lines.append(f"{name} {stream} warnings {' '.join(map(str, warnings))}".rstrip())
for stream in ("choices", "thousandths"):
    for state in adwin_states(scaled[stream], 97):
        lines.append(f"adwin {stream} state {' '.join(map(str, state))}")
(here / "alarms.txt").write_text("\n".join(lines) + "\n")
