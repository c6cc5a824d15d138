//! Several of the classic detectors on the same values.

use super::{
    Adwin, AdwinOptions, Ddm, DdmOptions, Detector, HddmA, HddmAOptions, HddmW, HddmWOptions, PageHinkley,
    PageHinkleyOptions,
};
use serde::{Deserialize, Serialize};

/// Which detectors look, and what each is set to; those that are not named do not.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PanelOptions {
    /// See [`Adwin`].
    pub adwin: Option<AdwinOptions>,
    /// See [`PageHinkley`].
    pub page_hinkley: Option<PageHinkleyOptions>,
    /// See [`Ddm`].
    pub ddm: Option<DdmOptions>,
    /// See [`HddmA`].
    pub hddm_a: Option<HddmAOptions>,
    /// See [`HddmW`].
    pub hddm_w: Option<HddmWOptions>,
}

impl PanelOptions {
    /// All of them as River sets them.
    #[must_use]
    pub fn all() -> Self {
        Self {
            adwin: Some(AdwinOptions::default()),
            page_hinkley: Some(PageHinkleyOptions::default()),
            ddm: Some(DdmOptions::default()),
            hddm_a: Some(HddmAOptions::default()),
            hddm_w: Some(HddmWOptions::default()),
        }
    }

    /// Whether none looks.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// What is out of range, by key, with what was expected.
    #[must_use]
    pub fn faults(&self) -> Vec<(String, String)> {
        let (adwin, page_hinkley) = (self.adwin.unwrap_or_default(), self.page_hinkley.unwrap_or_default());
        let (ddm, hddm_a, hddm_w) =
            (self.ddm.unwrap_or_default(), self.hddm_a.unwrap_or_default(), self.hddm_w.unwrap_or_default());
        let (least, most) = (f64::MIN_POSITIVE, 1e12);
        #[allow(clippy::cast_precision_loss)] // to be compared with small numbers
        let ranges = [
            ("adwin.delta", adwin.delta, least, 1.0),
            ("adwin.clock", adwin.clock as f64, 1.0, 1e9),
            ("adwin.entries_max", adwin.entries_max as f64, 2.0, 64.0),
            ("adwin.side_min", adwin.side_min, 1.0, most),
            ("adwin.grace", adwin.grace, 1.0, most),
            ("page_hinkley.min_values", page_hinkley.min_values, 0.0, most),
            ("page_hinkley.delta", page_hinkley.delta, 0.0, most),
            ("page_hinkley.threshold", page_hinkley.threshold, least, most),
            ("page_hinkley.alpha", page_hinkley.alpha, least, 1.0),
            ("ddm.warm_start", ddm.warm_start, 0.0, most),
            ("ddm.warning", ddm.warning, least, most),
            ("ddm.drift", ddm.drift, least, most),
            ("hddm_a.drift", hddm_a.drift, least, 1.0),
            ("hddm_a.warning", hddm_a.warning, least, 1.0),
            ("hddm_w.drift", hddm_w.drift, least, 1.0),
            ("hddm_w.warning", hddm_w.warning, least, 1.0),
            ("hddm_w.lambda", hddm_w.lambda, least, 1.0),
        ];
        let is_out = |(_, value, low, high): &(&str, f64, f64, f64)| !(*low..=*high).contains(value);
        let fault = |(key, value, low, high): (&str, f64, f64, f64)| {
            let low = if low == least { "more than 0".to_owned() } else { low.to_string() };
            (key.to_owned(), format!("{value} is out of range; expected {low} to {high}"))
        };
        ranges.into_iter().filter(is_out).map(fault).collect()
    }
}

/// The detectors and what they have seen.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Panel {
    options: PanelOptions,
    adwin: Option<Adwin>,
    page_hinkley: Option<PageHinkley>,
    ddm: Option<Ddm>,
    hddm_a: Option<HddmA>,
    hddm_w: Option<HddmW>,
}

impl Panel {
    /// Detectors that have seen nothing.
    #[must_use]
    pub fn new(options: PanelOptions) -> Self {
        Self {
            options,
            adwin: options.adwin.map(Adwin::new),
            page_hinkley: options.page_hinkley.map(PageHinkley::new),
            ddm: options.ddm.map(Ddm::new),
            hddm_a: options.hddm_a.map(HddmA::new),
            hddm_w: options.hddm_w.map(HddmW::new),
        }
    }

    /// What they are set to.
    #[must_use]
    pub fn options(&self) -> &PanelOptions {
        &self.options
    }

    /// Feeds one value to all; the keys of those that say the stream has drifted.
    pub fn update(&mut self, x: f64) -> Vec<&'static str> {
        fn found<D: Detector>(name: &'static str, detector: &mut Option<D>, x: f64) -> Option<&'static str> {
            detector.as_mut().is_some_and(|detector| detector.update(x)).then_some(name)
        }
        let said = [
            found("adwin", &mut self.adwin, x),
            found("page_hinkley", &mut self.page_hinkley, x),
            found("ddm", &mut self.ddm, x),
            found("hddm_a", &mut self.hddm_a, x),
            found("hddm_w", &mut self.hddm_w, x),
        ];
        said.into_iter().flatten().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Adwin, AdwinOptions, Ddm, DdmOptions, Detector, PageHinkleyOptions};
    use super::{Panel, PanelOptions};

    /// A rate of 0.1, then of 0.6.
    fn values() -> impl Iterator<Item = f64> {
        (0..400_u32).map(|n| f64::from(u8::from(n * 37 % 100 < if n < 200 { 10 } else { 60 })))
    }

    #[test]
    fn each_says_what_it_says_alone() {
        let mut panel = Panel::new(PanelOptions::all());
        let said: Vec<(usize, Vec<&str>)> = values().map(|x| panel.update(x)).enumerate().collect();
        let of = |name: &str| -> Vec<usize> {
            said.iter().filter(|(_, names)| names.contains(&name)).map(|(index, _)| *index).collect()
        };
        let alone = |mut detector: Box<dyn Detector>| -> Vec<usize> {
            values().enumerate().filter_map(|(index, x)| detector.update(x).then_some(index)).collect()
        };
        assert_eq!(of("adwin"), alone(Box::new(Adwin::new(AdwinOptions::default()))));
        assert_eq!(of("ddm"), alone(Box::new(Ddm::new(DdmOptions::default()))));
        assert!(["adwin", "ddm", "hddm_a", "hddm_w"].iter().all(|name| of(name).iter().any(|index| *index > 200)));
        let ddm = PanelOptions { ddm: Some(DdmOptions::default()), ..PanelOptions::default() };
        let mut panel = Panel::new(ddm);
        let alone: Vec<usize> =
            values().enumerate().filter(|(_, x)| !panel.update(*x).is_empty()).map(|x| x.0).collect();
        assert_eq!(alone, of("ddm"));
        assert!(PanelOptions::default().is_empty() && !ddm.is_empty());
    }

    #[test]
    fn options_out_of_range_are_named() {
        assert_eq!(PanelOptions::all().faults(), []);
        let adwin = Some(AdwinOptions { delta: f64::NAN, ..AdwinOptions::default() });
        let page_hinkley = Some(PageHinkleyOptions { threshold: 0.0, ..PageHinkleyOptions::default() });
        let faults = PanelOptions { adwin, page_hinkley, ..PanelOptions::default() }.faults();
        let expected = [
            ("adwin.delta", "NaN is out of range; expected more than 0 to 1"),
            ("page_hinkley.threshold", "0 is out of range; expected more than 0 to 1000000000000"),
        ];
        assert_eq!(faults, expected.map(|(key, fault)| (key.to_owned(), fault.to_owned())));
    }
}
