//! River 0.26.1, row by row: alarms, warnings, and the bits of ADWIN's state.
//!
//! Streams and golden values were written by `testdata/streams.py`, whose published part River's
//! own tests state: those indices stand here a second time.

use super::*;
use std::collections::BTreeMap;

const STREAMS: &str = include_str!("../testdata/streams.txt");
const GOLDEN: &str = include_str!("../testdata/alarms.txt");

fn streams() -> BTreeMap<&'static str, Vec<f64>> {
    let parse = |line: &'static str| {
        let (name, values) = line.split_once(' ').unwrap();
        let scale = if name == "thousandths" { 1000.0 } else { 1.0 };
        (name, values.split(' ').map(|x| x.parse::<f64>().unwrap() / scale).collect())
    };
    STREAMS.lines().map(parse).collect()
}

fn detector(name: &str) -> Box<dyn Detector> {
    let page_hinkley = |direction| PageHinkleyOptions { direction, ..PageHinkleyOptions::default() };
    match name {
        "adwin" => Box::new(Adwin::new(AdwinOptions::default())),
        "adwin_eager" => {
            Box::new(Adwin::new(AdwinOptions { delta: 0.2, clock: 1, entries_max: 3, side_min: 2.0, grace: 5.0 }))
        }
        "page_hinkley_up" => Box::new(PageHinkley::new(page_hinkley(Direction::Up))),
        "page_hinkley_down" => Box::new(PageHinkley::new(page_hinkley(Direction::Down))),
        "page_hinkley_both" => Box::new(PageHinkley::new(page_hinkley(Direction::Both))),
        "page_hinkley_eager" => Box::new(PageHinkley::new(PageHinkleyOptions {
            min_values: 10.0,
            delta: 0.01,
            threshold: 5.0,
            alpha: 0.99,
            direction: Direction::Both,
        })),
        "ddm" => Box::new(Ddm::new(DdmOptions::default())),
        "hddm_a" => Box::new(HddmA::new(HddmAOptions::default())),
        "hddm_a_two_sided" => Box::new(HddmA::new(HddmAOptions { two_sided: true, ..HddmAOptions::default() })),
        "hddm_w" => Box::new(HddmW::new(HddmWOptions::default())),
        "hddm_w_two_sided" => Box::new(HddmW::new(HddmWOptions { two_sided: true, ..HddmWOptions::default() })),
        unknown => panic!("{unknown}"),
    }
}

/// Rows at which it alarms, and those at which it warns.
fn feed(name: &str, stream: &[f64]) -> (Vec<usize>, Vec<usize>) {
    let mut detector = detector(name);
    let (mut alarms, mut warnings) = (Vec::new(), Vec::new());
    for (row, x) in stream.iter().enumerate() {
        if detector.update(*x) {
            alarms.push(row);
        }
        if detector.is_warning() {
            warnings.push(row);
        }
    }
    (alarms, warnings)
}

#[test]
fn alarms_are_those_of_rivers_own_tests() {
    let streams = streams();
    let cases: [(&str, &str, &[usize]); 10] = [
        ("adwin", "s1", &[1023]),
        ("adwin", "choices", &[1023, 2015, 3007]),
        ("ddm", "s2", &[1049]),
        ("hddm_a", "s2", &[1047]),
        ("hddm_a_two_sided", "s3", &[531, 1015, 1545]),
        ("hddm_w", "s2", &[1018]),
        ("hddm_w_two_sided", "s3", &[507, 1032, 1508]),
        ("page_hinkley_up", "s3", &[588, 1681]),
        ("page_hinkley_down", "s3", &[1172]),
        ("page_hinkley_both", "s3", &[588, 1097, 1585]),
    ];
    for (name, stream, expected) in cases {
        assert_eq!(feed(name, &streams[stream]).0, expected, "{name} on {stream}");
    }
    assert_eq!(feed("ddm", &[1.0; 1000]).0, Vec::<usize>::new());
}

#[test]
fn every_alarm_and_warning_is_rivers() {
    let streams = streams();
    let mut compared = 0;
    for line in GOLDEN.lines() {
        let mut words = line.split(' ');
        let (name, stream, kind) = (words.next().unwrap(), words.next().unwrap(), words.next().unwrap());
        let (alarms, warnings) = feed(name, &streams[stream]);
        let found = match kind {
            "alarms" => alarms,
            "warnings" => warnings,
            _ => continue,
        };
        let expected: Vec<usize> = words.map(|row| row.parse().unwrap()).collect();
        assert_eq!(found, expected, "{name} on {stream}: {kind}");
        compared += expected.len();
    }
    assert!(compared > 1000, "{compared} rows are no comparison");
}

#[test]
fn the_state_of_adwin_has_rivers_bits() {
    let streams = streams();
    let mut compared = 0;
    for stream in ["choices", "thousandths"] {
        let mut adwin = Adwin::new(AdwinOptions::default());
        let prefix = format!("adwin {stream} state ");
        let mut states = GOLDEN.lines().filter_map(|line| line.strip_prefix(&prefix)).peekable();
        for (row, x) in streams[stream].iter().enumerate() {
            adwin.update(*x);
            let Some(state) = states.next_if(|state| state.split(' ').next() == Some(row.to_string().as_str())) else {
                continue;
            };
            let hex = |x: f64| format!("{:016x}", x.to_bits());
            let found = [adwin.total(), adwin.deviations(), adwin.mean()].map(hex);
            assert_eq!(format!("{row} {} {}", adwin.width(), found.join(" ")), state, "{stream}");
            compared += 1;
        }
        assert_eq!(states.next(), None);
    }
    assert!(compared > 60, "{compared}");
}

/// Half the stream, JSON there and back, the other half: as in one go. What is no number is no row.
#[test]
fn states_survive_json_and_broken_numbers() {
    fn check<D>(fresh: &D, streams: &BTreeMap<&str, Vec<f64>>)
    where
        D: Detector + Clone + PartialEq + std::fmt::Debug + serde::Serialize + serde::de::DeserializeOwned,
    {
        let stream = &streams["bits"];
        let (mut whole, mut cut) = (fresh.clone(), fresh.clone());
        for (row, x) in stream.iter().enumerate() {
            if row % 500 == 0 {
                cut = serde_json::from_str(&serde_json::to_string(&cut).unwrap()).unwrap();
                for broken in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
                    assert!(!cut.update(broken));
                }
            }
            assert_eq!(whole.update(*x), cut.update(*x));
        }
        assert_eq!(whole, cut);
    }
    let streams = streams();
    check(&Adwin::new(AdwinOptions::default()), &streams);
    check(&PageHinkley::new(PageHinkleyOptions::default()), &streams);
    check(&Ddm::new(DdmOptions::default()), &streams);
    check(&HddmA::new(HddmAOptions { two_sided: true, ..HddmAOptions::default() }), &streams);
    check(&HddmW::new(HddmWOptions { two_sided: true, ..HddmWOptions::default() }), &streams);
}
