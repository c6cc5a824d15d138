//! What a rule says of a column.

use serde::Serialize;

/// What stands beside a column of which one file holds no value.
pub(super) const NOTHING: &str = "nothing to compare";

/// What stands beside a value that left the range of numbers.
pub(super) const NOT_FINITE: &str = "the value is too large to be computed";

/// The keys of a result in `--json`, a public interface.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Outcome {
    /// Which statistic.
    pub(super) rule: &'static str,
    /// A distance, a statistic or a p value; null where there is nothing to compare.
    pub(super) value: Option<f64>,
    /// P(at least this value by chance), of rules that alarm by it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) p_value: Option<f64>,
    /// Null where the rule has none.
    pub(super) threshold: Option<f64>,
    /// How the threshold is to be read.
    pub(super) alarm_when: Option<AlarmWhen>,
    /// Null where the rule cannot tell.
    pub(super) drifted: Option<bool>,
    /// Why something is null.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) note: Option<&'static str>,
}

/// On which side of its threshold a rule alarms.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum AlarmWhen {
    /// The value is less.
    Below,
    /// The value is less or equal.
    AtOrBelow,
    /// The value is greater.
    Above,
    /// The value is greater or equal.
    AtOrAbove,
    /// The p value, not the value, is less.
    PValueBelow,
    /// The p value is rejected among those of all columns. The threshold is the value that a column
    /// alone would have to exceed, and does not decide.
    PValueCorrected,
}

impl AlarmWhen {
    /// What stands before a threshold in the table.
    pub(super) fn symbol(self) -> &'static str {
        match self {
            Self::Below => "< ",
            Self::AtOrBelow => "<= ",
            Self::Above => "> ",
            Self::AtOrAbove => ">= ",
            Self::PValueBelow => "p < ",
            Self::PValueCorrected => "about ",
        }
    }
}

impl Outcome {
    /// What a rule found. A value that is no finite number is none.
    pub(super) fn new(rule: &'static str, value: f64, threshold: Option<f64>, alarm_when: AlarmWhen) -> Self {
        let finite = |x: f64| x.is_finite().then_some(x);
        Self {
            rule,
            value: finite(value),
            p_value: None,
            threshold: threshold.and_then(finite),
            alarm_when: Some(alarm_when),
            drifted: None,
            note: None,
        }
    }

    /// A rule that can say nothing, and why.
    pub(super) fn silent(rule: &'static str, why: &'static str) -> Self {
        Self { rule, value: None, p_value: None, threshold: None, alarm_when: None, drifted: None, note: Some(why) }
    }
}

#[cfg(test)]
mod tests {
    use super::{AlarmWhen, NOTHING, Outcome};

    #[test]
    fn the_keys_of_a_result_are_a_public_interface_and_no_number_is_infinite() {
        let check = |outcome: Outcome, expected: &str| assert_eq!(serde_json::to_string(&outcome).unwrap(), expected);
        let mut found = Outcome::new("psi", 0.5, Some(0.25), AlarmWhen::PValueCorrected);
        (found.p_value, found.drifted) = (Some(0.125), Some(true));
        check(
            found,
            "{\"rule\":\"psi\",\"value\":0.5,\"p_value\":0.125,\"threshold\":0.25,\
             \"alarm_when\":\"p_value_corrected\",\"drifted\":true}",
        );
        check(
            Outcome::new("wasserstein", f64::NAN, Some(f64::INFINITY), AlarmWhen::AtOrAbove),
            "{\"rule\":\"wasserstein\",\"value\":null,\"threshold\":null,\"alarm_when\":\"at_or_above\",\
             \"drifted\":null}",
        );
        check(
            Outcome::silent("none", NOTHING),
            "{\"rule\":\"none\",\"value\":null,\"threshold\":null,\"alarm_when\":null,\"drifted\":null,\
             \"note\":\"nothing to compare\"}",
        );
    }
}
