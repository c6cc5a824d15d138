//! The command on two files, and its rules on the samples of `detect`'s golden values.
//!
//! Values of other tools are those that Evidently 0.7.23 (its `DataDriftPreset` and its `get_stattest`)
//! and NannyML 0.13.1 (its `MethodFactory` with `DefaultChunker`) print for the same rows, with numpy
//! 2.4.6 and scipy 1.17.1; those of Vigie's own rule were computed with scipy's `ncx2`. All by `golden.py`.

use super::columns::{Pair, Values};
use super::outcome::Outcome;
use super::{Comparison, compare, dataset_verdict, evidently, nannyml, text};
use crate::cli::{Compare, Rules};
use arrow::array::{Float64Array, StringArray};
use numpy::NumpyRandom;
use serde_json::Value;
use std::fmt::Write;
use std::path::Path;

/// numpy's generator, as `detect` has it for the same samples.
#[path = "../../../../detect/src/parity/tests_numpy.rs"]
mod numpy;

/// Of a reference of 405 rows and 200 current ones: a number with gaps, a small integer, a category, a
/// boolean, a time, and ids that no two rows share.
fn write_files(folder: &Path) {
    let mut reference = "id,at,amount,visits,store,paid\n".to_owned();
    let mut current = reference.clone();
    for i in 0..405 {
        let amount = if i % 10 == 0 { String::new() } else { (f64::from((i * 37) % 101) / 4.0).to_string() };
        let store = ["a", "b", "c"][i as usize % 3];
        writeln!(reference, "r{i},2024-01-01T00:00:00Z,{amount},{},{store},{}", i % 7, i % 2 == 0).unwrap();
    }
    for i in 0..200 {
        let amount = if i % 5 == 4 { String::new() } else { (f64::from((i * 53) % 97) / 4.0 + 1.0).to_string() };
        let store = ["a", "a", "b", "c", "a"][i as usize % 5];
        writeln!(current, "c{i},2024-01-01T00:00:00Z,{amount},{},{store},{}", (i * i) % 7, i % 4 == 0).unwrap();
    }
    std::fs::write(folder.join("old.csv"), reference).unwrap();
    std::fs::write(folder.join("new.csv"), current).unwrap();
}

fn compared(folder: &Path, current: &str, columns: &[&str], rules: Rules) -> anyhow::Result<Comparison> {
    compare(&Compare {
        reference: folder.join("old.csv"),
        current: folder.join(current),
        columns: columns.iter().map(|name| (*name).to_owned()).collect(),
        rules,
        json: true,
    })
}

/// Within 1e-9, and a millionth of what is small.
fn check_number(what: &str, found: Option<f64>, expected: Option<f64>) {
    let is_near = match (found, expected) {
        (Some(found), Some(expected)) => (found - expected).abs() <= (expected.abs() * 1e-6).min(1e-9),
        (found, expected) => found == expected,
    };
    assert!(is_near, "{what}: {found:?}, expected {expected:?}");
}

/// Column, rule, value, p value, threshold, drifted.
type Golden = (&'static str, &'static str, Option<f64>, Option<f64>, Option<f64>, Option<bool>);

fn check(comparison: &Comparison, expected: &[Golden]) {
    let found =
        comparison.columns.iter().flat_map(|c| c.results.iter().map(move |outcome| (c.column.as_str(), outcome)));
    let found: Vec<(&str, &Outcome)> = found.collect();
    let names = |pairs: Vec<(&str, &str)>| pairs.iter().map(|(a, b)| format!("{a} {b}")).collect::<Vec<_>>();
    assert_eq!(
        names(found.iter().map(|(column, outcome)| (*column, outcome.rule)).collect()),
        names(expected.iter().map(|(column, rule, ..)| (*column, *rule)).collect())
    );
    for ((column, outcome), (_, rule, value, p_value, threshold, drifted)) in found.into_iter().zip(expected) {
        check_number(&format!("{column} {rule}"), outcome.value, *value);
        check_number(&format!("p of {column} {rule}"), outcome.p_value, *p_value);
        check_number(&format!("threshold of {column} {rule}"), outcome.threshold, *threshold);
        assert_eq!(outcome.drifted, *drifted, "{column} {rule}");
    }
    let skipped: Vec<String> = comparison.skipped.iter().map(|s| format!("{}: {}", s.column, s.reason)).collect();
    assert_eq!(skipped, ["at: it is Timestamp(s); numbers, booleans and texts are compared"]);
}

#[test]
fn two_files_are_compared_as_a_window_would_be() {
    let folder = tempfile::tempdir().unwrap();
    write_files(folder.path());
    let found = compared(folder.path(), "new.csv", &[], Rules::Vigie).unwrap();
    let row =
        |column, value, p, threshold, drifted| (column, "psi", Some(value), Some(p), Some(threshold), Some(drifted));
    check(
        &found,
        &[
            row("id", 0.631_639_061_734_332_5, 1.538_596_284_859_865_2e-8, 0.210_114_848_704_578_5, true),
            row("amount", 0.075_718_134_628_324_43, 0.857_504_432_222_431_1, 0.246_021_186_079_631_6, false),
            row("visits", 0.115_875_734_204_501_37, 0.441_760_052_614_486_25, 0.219_123_636_127_920_16, false),
            row("store", 0.292_963_276_978_162_5, 0.006_211_262_243_539_29, 0.219_123_636_127_920_16, true),
            row("paid", 0.277_250_050_688_665_26, 0.007_475_759_562_814_505, 0.210_114_848_704_578_5, true),
        ],
    );
    assert_eq!((found.drifted_columns, found.dataset_drifted), (3, None));
}

#[test]
fn two_files_are_compared_as_evidently_does() {
    let folder = tempfile::tempdir().unwrap();
    write_files(folder.path());
    let found = compared(folder.path(), "new.csv", &[], Rules::Evidently).unwrap();
    let row = |column, rule, value, drifted| (column, rule, Some(value), None, Some(0.05), Some(drifted));
    check(
        &found,
        &[
            ("id", "text_content", None, None, None, None),
            row("amount", "kolmogorov_smirnov", 0.855_691_126_498_285_7, false),
            row("visits", "chi_square", 5.291_398_479_648_862e-34, true),
            row("store", "chi_square", 1.266_416_554_909_415_8e-14, true),
            row("paid", "proportions", 3.782_644_419_914_05e-9, true),
        ],
    );
    assert_eq!((found.drifted_columns, found.dataset_drifted), (3, Some(true)));
}

#[test]
fn two_files_are_compared_as_nannyml_does() {
    let folder = tempfile::tempdir().unwrap();
    write_files(folder.path());
    let found = compared(folder.path(), "new.csv", &[], Rules::Nannyml).unwrap();
    let row = |column, rule, value: f64, threshold: f64, drifted| {
        (column, rule, Some(value), None, Some(threshold), Some(drifted))
    };
    let chi_square =
        |column, value: f64, p: f64| (column, "chi_square", Some(value), Some(p), Some(0.05), Some(p < 0.05));
    check(
        &found,
        &[
            row("id", "jensen_shannon", 0.999_999_999_999_999_9, 0.970_821_281_187_943_9, true),
            row("id", "hellinger", 1.0, 0.937_457_143_935_388_8, true),
            row("id", "l_infinity", 0.005, 0.189_366_843_432_839_9, false),
            chi_square("id", 604.999_999_999_999_9, 0.480_883_638_509_051_97),
            row("amount", "jensen_shannon", 0.087_564_759_656_639_69, 0.623_857_395_513_284_1, false),
            row("amount", "hellinger", 0.073_061_670_567_503_2, 0.599_145_110_749_150_8, false),
            row("amount", "kolmogorov_smirnov", 0.055_769_230_769_230_77, 0.230_774_561_088_400_86, false),
            row("amount", "wasserstein", 0.738_461_538_461_538_3, 2.140_480_504_348_150_5, false),
            row("visits", "jensen_shannon", 0.515_127_869_703_704, 0.381_760_890_886_691_65, true),
            row("visits", "hellinger", 0.499_817_505_435_509_9, 0.375_224_678_208_280_04, true),
            row("visits", "kolmogorov_smirnov", 0.285_370_370_370_370_4, 0.139_347_098_796_068_05, true),
            row("visits", "wasserstein", 0.997_592_592_592_592_6, 0.497_652_424_987_907_07, true),
            row("store", "jensen_shannon", 0.228_404_066_791_853_52, 0.123_262_793_973_475_17, true),
            row("store", "hellinger", 0.190_758_027_369_020_1, 0.102_834_296_293_080_25, true),
            row("store", "l_infinity", 0.266_666_666_666_666_66, 0.127_890_652_823_539_34, true),
            chi_square("store", 39.045_378_151_260_51, 3.322_032_390_073_332e-9),
            row("paid", "jensen_shannon", 0.221_925_402_194_253_86, 0.080_501_230_391_612_99, true),
            row("paid", "hellinger", 0.185_457_379_882_533_08, 0.067_050_475_275_522_49, true),
            row("paid", "l_infinity", 0.251_234_567_901_234_55, 0.094_215_466_381_583_14, true),
            chi_square("paid", 33.707_583_220_108_695, 6.405_051_542_519_083e-9),
        ],
    );
    assert_eq!((found.drifted_columns, found.dataset_drifted), (4, None));
}

#[test]
fn the_keys_of_the_object_are_a_public_interface() {
    let folder = tempfile::tempdir().unwrap();
    write_files(folder.path());
    let found = compared(folder.path(), "new.csv", &["amount", "at"], Rules::Evidently).unwrap();
    let mut told = Vec::new();
    text::write(&found, &mut told).unwrap();
    let told = String::from_utf8(told).unwrap();
    assert!(told.contains("amount  number  kolmogorov_smirnov  0.855691"), "{told}");
    let object: Value = serde_json::from_str(&serde_json::to_string(&found).unwrap()).unwrap();
    let file = |name: &str, rows: u32| serde_json::json!({ "file": folder.path().join(name), "rows": rows });
    let [column] = found.columns.as_slice() else { panic!("{found:?}") };
    let expected = serde_json::json!({
        "rules": "evidently",
        "reference": file("old.csv", 405),
        "current": file("new.csv", 200),
        "columns": [{
            "column": "amount",
            "kind": "number",
            "missing_reference": 41.0 / 405.0,
            "missing_current": 0.2,
            "results": column.results,
        }],
        "skipped": [{
            "column": "at",
            "reason": "it is Timestamp(s); numbers, booleans and texts are compared",
        }],
        "drifted_columns": 0,
        "dataset_drifted": false,
    });
    assert_eq!(object, expected);
}

#[test]
fn a_data_set_has_drifted_if_half_of_all_columns_have_whatever_is_known_of_the_others() {
    let cases = [
        ((0, 1, 1), Some(false)),
        ((1, 2, 2), Some(true)),
        ((1, 1, 3), None),
        ((3, 4, 5), Some(true)),
        ((1, 4, 5), Some(false)),
        ((0, 0, 2), None),
    ];
    for ((drifted, told, all), expected) in cases {
        assert_eq!(dataset_verdict(drifted, told, all), expected, "{drifted} of {told} of {all}");
    }
}

#[test]
fn faults_name_the_column_and_the_file_and_empty_files_are_none() {
    let folder = tempfile::tempdir().unwrap();
    write_files(folder.path());
    std::fs::write(folder.path().join("texts.csv"), "amount,store\nmuch,a\n").unwrap();
    std::fs::write(folder.path().join("header.csv"), "amount,store\n").unwrap();
    let refused = |current, columns: &[&str], says: &[&str]| {
        let error = compared(folder.path(), current, columns, Rules::Vigie).unwrap_err().to_string();
        assert!(says.iter().all(|word| error.contains(word)), "{error}");
    };
    refused("new.csv", &["amount", "amuont"], &["column `amuont` is not in", "old.csv, which has id, at, amount"]);
    refused("texts.csv", &["visits"], &["column `visits` is not in", "texts.csv, which has amount, store"]);
    let found = compared(folder.path(), "texts.csv", &[], Rules::Vigie).unwrap();
    let reason = &found.skipped.iter().find(|skipped| skipped.column == "amount").unwrap().reason;
    for words in ["column `amount` is Float64 in", "old.csv and Utf8 in", "texts.csv, expected"] {
        assert!(reason.contains(words), "{reason}");
    }
    refused("nowhere.csv", &[], &["nowhere.csv"]);
    for rules in [Rules::Vigie, Rules::Evidently, Rules::Nannyml] {
        let found = compared(folder.path(), "header.csv", &["amount", "store"], rules).unwrap();
        assert_eq!((found.current.rows, found.drifted_columns, found.dataset_drifted), (0, 0, None));
        let outcomes: Vec<&Outcome> = found.columns.iter().flat_map(|column| &column.results).collect();
        assert!(outcomes.len() >= 2 && outcomes.iter().all(|o| o.value.is_none() && o.drifted.is_none()), "{found:?}");
    }
}

fn numbers(reference: &[f64], current: &[f64], are_integers: bool) -> Values {
    let samples =
        Pair { reference: Float64Array::from(reference.to_vec()), current: Float64Array::from(current.to_vec()) };
    Values::Numbers { samples, are_integers }
}

fn letters(reference: &[u8], current: &[u8]) -> Values {
    let texts = |bytes: &[u8]| StringArray::from_iter_values(bytes.iter().map(|b| char::from(*b).to_string()));
    Values::Texts(Pair { reference: texts(reference), current: texts(current) })
}

/// The samples of `detect/src/testdata/samples.py`, in its order, and what Evidently chose and said.
#[test]
fn evidently_says_the_same_of_its_golden_samples() {
    let mut random = NumpyRandom::new(1);
    let (small, other) = (random.normal(0.0, 900), random.normal(0.1, 300));
    let (large, shifted) = (random.normal(0.0, 5000), random.normal(0.2, 700));
    let (dice, loaded) = (random.choice(&[0.0, 1.0, 2.0, 3.0], 800), random.choice(&[0.0, 1.0, 2.0, 3.0, 4.0], 300));
    let (coin, biased) = (random.choice(&[0.0, 1.0], 800), random.choice(&[0.0, 1.0, 1.0], 200));
    let range = |to: i32| (0..to).map(f64::from).collect::<Vec<f64>>();
    let (wide, narrow) = (random.choice(&range(8), 2000), random.choice(&range(7), 50));
    let cases = [
        (numbers(&small, &other, false), "kolmogorov_smirnov", 0.457_318_911_668_152_64, false),
        (numbers(&large, &shifted, false), "wasserstein", 0.191_929_612_461_078_8, true),
        (numbers(&wide, &narrow, false), "wasserstein", 0.186_725_242_934_259_1, true),
        (numbers(&wide, &narrow, true), "jensen_shannon", 0.237_093_395_252_370_14, true),
        (numbers(&loaded, &dice, true), "chi_square", 3.623_627_944_851_805e-44, true),
        (numbers(&coin, &biased, true), "proportions", 2.223_334_111_928_210_2e-5, true),
    ];
    for (values, rule, score, drifted) in cases {
        let outcome = evidently::compare(&values);
        assert_eq!((outcome.rule, outcome.drifted), (rule, Some(drifted)), "{outcome:?}");
        check_number(rule, outcome.value, Some(score));
    }
}

/// The samples of NannyML's own tests (seed 1, the reference first), to the digits printed there.
#[test]
fn nannyml_says_the_same_of_its_golden_samples() {
    let draw = |mean: f64, rows: usize, reference_rows: usize| {
        let mut random = NumpyRandom::new(1);
        let reference = random.normal(0.0, reference_rows);
        numbers(&reference, &random.normal(mean, rows), false)
    };
    let mut random = NumpyRandom::new(1);
    let abcd = random.choice(b"abcd", 10_000);
    let letter = letters(&abcd, &random.choice(b"abce", 1000));
    let cases = [
        (draw(0.0, 1000, 10_000), "jensen_shannon", 0.047_236_4),
        (draw(-2.0, 10_000, 10_000), "hellinger", 0.625_020_7),
        (draw(1.0, 1000, 10_000), "wasserstein", 1.011_450_3),
        (letters(b"aabbcc", b"aabbccd"), "l_infinity", 0.142_857_14),
        (letter, "jensen_shannon", 0.503_817_1),
    ];
    for (values, rule, expected) in cases {
        let outcomes = nannyml::compare(&values);
        let value = outcomes.iter().find(|outcome| outcome.rule == rule).and_then(|outcome| outcome.value);
        assert!(value.is_some_and(|value| (value - expected).abs() < 5e-8), "{rule}: {value:?}, expected {expected}");
    }
}
