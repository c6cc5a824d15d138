//! `p.predictions`: one JSON object per event, keys in a fixed order, written without allocation.

use crate::time::write_rfc3339;

/// What a prediction says.
#[derive(Debug, Clone, Copy)]
pub enum Outcome<'a> {
    /// Binary classification: the predicted class and P(positive class).
    Binary {
        /// The predicted class's label.
        class: &'a str,
        /// P(positive class).
        probability: f64,
    },
    /// Multiclass classification: the predicted class and the probability of each, in class order.
    Multiclass {
        /// The predicted class's label.
        class: &'a str,
        /// Labels in class order.
        classes: &'a [String],
        /// Probabilities in class order.
        probabilities: &'a [f64],
    },
    /// Regression.
    Number {
        /// The number.
        value: f64,
        /// Half of the width of the interval around it, where the version has one.
        half_width: Option<f64>,
    },
    /// Anomaly detection.
    Anomaly {
        /// Whether it is one, in words.
        class: &'a str,
        /// How strange the row is, in [0, 1]: one from 0.5 on.
        score: f64,
    },
    /// Clustering.
    Cluster {
        /// The cluster's number.
        cluster: usize,
        /// From its centroid, in units of the prepared features.
        distance: f64,
        /// From the next centroid.
        next_distance: f64,
    },
}

/// A published prediction.
#[derive(Debug, Clone, Copy)]
pub struct Prediction<'a> {
    /// Event id.
    pub id: &'a str,
    /// Event time, epoch milliseconds.
    pub time_ms: i64,
    /// The prediction.
    pub outcome: Outcome<'a>,
    /// Version that made it.
    pub version: &'a str,
    /// Topic of the event.
    pub topic: &'a str,
    /// Partition of the event.
    pub partition: i32,
    /// Offset of the event.
    pub offset: i64,
}

/// Appends the JSON object of a prediction.
pub fn write(out: &mut Vec<u8>, prediction: &Prediction<'_>) {
    out.extend_from_slice(b"{\"id\":");
    write_string(out, prediction.id);
    out.extend_from_slice(b",\"time\":\"");
    write_rfc3339(out, prediction.time_ms);
    out.extend_from_slice(b"\",\"prediction\":");
    match prediction.outcome {
        Outcome::Binary { class, probability } => {
            write_string(out, class);
            out.extend_from_slice(b",\"probability\":");
            write_number(out, probability);
        }
        Outcome::Multiclass { class, classes, probabilities } => {
            write_string(out, class);
            out.extend_from_slice(b",\"probabilities\":{");
            for (place, (label, probability)) in classes.iter().zip(probabilities).enumerate() {
                if place > 0 {
                    out.push(b',');
                }
                write_string(out, label);
                out.push(b':');
                write_number(out, *probability);
            }
            out.push(b'}');
        }
        Outcome::Number { value, half_width } => {
            write_number(out, value);
            if let Some(half_width) = half_width {
                out.extend_from_slice(b",\"low\":");
                write_number(out, value - half_width);
                out.extend_from_slice(b",\"high\":");
                write_number(out, value + half_width);
            }
        }
        Outcome::Anomaly { class, score } => {
            write_string(out, class);
            out.extend_from_slice(b",\"score\":");
            write_number(out, score);
        }
        Outcome::Cluster { cluster, distance, next_distance } => {
            write_string(out, itoa::Buffer::new().format(cluster));
            out.extend_from_slice(b",\"distance\":");
            write_number(out, distance);
            out.extend_from_slice(b",\"next_distance\":");
            write_number(out, next_distance);
        }
    }
    out.extend_from_slice(b",\"version\":");
    write_string(out, prediction.version);
    out.extend_from_slice(b",\"topic\":");
    write_string(out, prediction.topic);
    out.extend_from_slice(b",\"partition\":");
    out.extend_from_slice(itoa::Buffer::new().format(prediction.partition).as_bytes());
    out.extend_from_slice(b",\"offset\":");
    out.extend_from_slice(itoa::Buffer::new().format(prediction.offset).as_bytes());
    out.push(b'}');
}

/// Appends a number in its shortest form that reads back the same; JSON has no NaN or infinity:
/// those become `null`.
pub fn write_number(out: &mut Vec<u8>, value: f64) {
    if value.is_finite() {
        out.extend_from_slice(ryu::Buffer::new().format_finite(value).as_bytes());
    } else {
        out.extend_from_slice(b"null");
    }
}

/// Appends a JSON string.
pub fn write_string(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    let bytes = text.as_bytes();
    let mut clean_from = 0;
    for (place, byte) in bytes.iter().enumerate() {
        if *byte >= 0x20 && *byte != b'"' && *byte != b'\\' {
            continue;
        }
        out.extend_from_slice(bytes.get(clean_from..place).unwrap_or_default());
        clean_from = place + 1;
        match byte {
            b'"' => out.extend_from_slice(b"\\\""),
            b'\\' => out.extend_from_slice(b"\\\\"),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            other => {
                const HEX: &[u8; 16] = b"0123456789abcdef";
                out.extend_from_slice(b"\\u00");
                out.push(*HEX.get(usize::from(other >> 4)).unwrap_or(&b'0'));
                out.push(*HEX.get(usize::from(other & 15)).unwrap_or(&b'0'));
            }
        }
    }
    out.extend_from_slice(bytes.get(clean_from..).unwrap_or_default());
    out.push(b'"');
}

#[cfg(test)]
mod tests {
    use super::{Outcome, Prediction, write};

    fn check(outcome: Outcome<'_>, id: &str, expected: &str) {
        let mut out = Vec::new();
        let prediction = Prediction {
            id,
            time_ms: 1_357_035_300_000,
            outcome,
            version: "0123456789ab",
            topic: "flights",
            partition: 2,
            offset: 41,
        };
        write(&mut out, &prediction);
        assert_eq!(String::from_utf8(out.clone()).unwrap(), expected);
        let read: serde_json::Value = serde_json::from_slice(&out).unwrap();
        assert_eq!(read["id"], id, "any JSON reader sees the same id");
    }

    #[test]
    fn each_task_has_its_form() {
        let tail = r#","version":"0123456789ab","topic":"flights","partition":2,"offset":41}"#;
        let head = |id: &str| format!(r#"{{"id":{id},"time":"2013-01-01T10:15:00.000Z","prediction":"#);
        check(
            Outcome::Binary { class: "1", probability: 0.1 },
            "a",
            &format!(r#"{}"1","probability":0.1{tail}"#, head(r#""a""#)),
        );
        let classes = ["x".to_owned(), "y".to_owned()];
        check(
            Outcome::Multiclass { class: "y", classes: &classes, probabilities: &[0.25, 0.75] },
            "b",
            &format!(r#"{}"y","probabilities":{{"x":0.25,"y":0.75}}{tail}"#, head(r#""b""#)),
        );
        check(
            Outcome::Number { value: 12.5, half_width: Some(2.0) },
            "n",
            &format!(r#"{}12.5,"low":10.5,"high":14.5{tail}"#, head(r#""n""#)),
        );
        let strange = Outcome::Anomaly { class: "anomaly", score: 0.75 };
        check(strange, "s", &format!(r#"{}"anomaly","score":0.75{tail}"#, head(r#""s""#)));
        let cluster = Outcome::Cluster { cluster: 12, distance: 0.5, next_distance: f64::INFINITY };
        let expected = format!(r#"{}"12","distance":0.5,"next_distance":null{tail}"#, head(r#""c""#));
        check(cluster, "c", &expected);
        let number = Outcome::Number { value: f64::NAN, half_width: None };
        check(number, "q\"\\\n\u{1}é", &format!(r#"{}null{tail}"#, head(r#""q\"\\\n\u0001é""#)));
    }
}
