//! The e-detector row by row on 0/1 errors, with the variants that the study compares.

use detect::classic::Detector;

/// What a variant of the e-detector bets.
#[derive(Clone, Copy)]
pub(crate) struct Variant {
    pub(crate) name: &'static str,
    /// Bets as multiples of 1 / p0, each with its weight.
    pub(crate) fixed: &'static [(f64, f64)],
    /// Rises as multiples of the learnt mean, each with its weight; the bet is the best one against
    /// it at the variance that slices of 100 rows show.
    pub(crate) rises: &'static [(f64, f64)],
    /// Weight and fading of the bet that follows the mean of the last rows.
    pub(crate) plug_in: (f64, f64),
    pub(crate) baseline: Baseline,
    /// Standard errors of the learnt mean that are tolerated too.
    pub(crate) margin: f64,
}

/// Whether the tolerated mean follows the rows.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Baseline {
    Fixed,
    /// Learns from rows before the last zero of the CUSUM of the smallest bet.
    Learnt,
    /// The same, and never below where it began.
    Raised,
}

/// What the rows before say.
#[derive(Clone, Copy)]
pub(crate) struct Learnt {
    pub(crate) rows: f64,
    pub(crate) errors: f64,
    /// Variance of a row's error as seen by sums of many rows.
    pub(crate) variance: f64,
    pub(crate) is_told: bool,
}

impl Learnt {
    /// The tolerated mean: mean + `margin` standard errors + 5 %.
    fn tolerated(&self, told: f64, margin: f64) -> f64 {
        if self.is_told {
            return told;
        }
        1.05 * self.errors / self.rows + margin * (self.variance / self.rows).sqrt()
    }
}

struct Capital {
    bet: f64,
    weight: f64,
    value: f64,
}

pub(crate) struct Bets {
    baseline: Baseline,
    margin: f64,
    learnt: Learnt,
    first: f64,
    told: f64,
    p0: f64,
    threshold: f64,
    capitals: Vec<Capital>,
    plug_in: Option<(Capital, f64, f64)>,
    cusum: f64,
    least: f64,
    rows: f64,
    errors: f64,
}

impl Bets {
    pub(crate) fn new(variant: &Variant, learnt: Learnt, told: f64, threshold: f64) -> Self {
        let p0 = learnt.tolerated(told, variant.margin);
        let mean = learnt.errors / learnt.rows;
        let most = 0.9 / p0;
        let capital = |bet: f64, weight: f64| Capital { bet: bet.min(most), weight, value: 0.0 };
        let mut capitals: Vec<Capital> = variant.fixed.iter().map(|(bet, w)| capital(bet / p0, *w)).collect();
        capitals.extend(variant.rises.iter().map(|(rise, w)| {
            let rise = rise * mean;
            capital(rise / (learnt.variance + rise * rise), *w)
        }));
        let (weight, fading) = variant.plug_in;
        let plug_in = (weight > 0.0).then(|| (capital(0.0, weight), fading, mean));
        let total = capitals.iter().map(|c| c.weight).sum::<f64>() + weight;
        let least = capitals.iter().map(|c| c.bet).fold(most, f64::min);
        Self {
            baseline: variant.baseline,
            margin: variant.margin,
            learnt,
            first: p0,
            told,
            p0,
            threshold: threshold * total,
            capitals,
            plug_in,
            cusum: 0.0,
            least,
            rows: 0.0,
            errors: 0.0,
        }
    }

    /// The rows since the CUSUM's last zero become part of what is learnt once it is zero again.
    fn learn(&mut self, x: f64) {
        self.rows += 1.0;
        self.errors += x;
        self.cusum = (self.cusum + (self.least * (x - self.p0)).ln_1p()).max(0.0);
        if self.cusum > 0.0 {
            return;
        }
        self.learnt.rows += self.rows;
        self.learnt.errors += self.errors;
        (self.rows, self.errors) = (0.0, 0.0);
        let p0 = self.learnt.tolerated(self.told, self.margin).min(1.1 * self.first);
        self.p0 = if self.baseline == Baseline::Raised { p0.max(self.first) } else { p0 };
    }
}

impl Detector for Bets {
    fn update(&mut self, x: f64) -> bool {
        let excess = x - self.p0;
        let mut sum = 0.0;
        for capital in &mut self.capitals {
            capital.value = (1.0 + capital.bet * excess) * (capital.value + 1.0);
            sum += capital.weight * capital.value;
        }
        if let Some((capital, fading, mean)) = &mut self.plug_in {
            let bet = ((*mean - self.p0) / (self.p0 * (1.0 - self.p0))).clamp(0.05 / self.p0, 0.8 / self.p0);
            capital.value = (1.0 + bet * excess) * (capital.value + 1.0);
            sum += capital.weight * capital.value;
            *mean += *fading * (x - *mean);
        }
        if self.baseline != Baseline::Fixed {
            self.learn(x);
        }
        let alarm = sum >= self.threshold;
        if alarm {
            self.capitals.iter_mut().for_each(|c| c.value = 0.0);
            if let Some((capital, _, _)) = &mut self.plug_in {
                capital.value = 0.0;
            }
            self.cusum = 0.0;
        }
        alarm
    }
}
