//! Text to bin: a sorted table, searched by the first eight bytes.

/// Sorted table of a category's values. Empty for numeric columns.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Lookup {
    /// First eight bytes of each value, big-endian, zero-padded, ascending. Most categories are
    /// short, so that one comparison of integers decides.
    heads: Vec<u64>,
    /// Value and bin, in the order of `heads`.
    values: Vec<(Box<str>, usize)>,
    /// Bin of everything else.
    other: usize,
}

fn head(value: &str) -> u64 {
    let bytes = value.as_bytes();
    let mut first = [0_u8; 8];
    let length = bytes.len().min(8);
    first[..length].copy_from_slice(&bytes[..length]);
    u64::from_be_bytes(first)
}

impl Lookup {
    pub(crate) fn new(values: &[String]) -> Self {
        let mut sorted: Vec<(u64, Box<str>, usize)> =
            values.iter().enumerate().map(|(bin, v)| (head(v), v.as_str().into(), bin)).collect();
        sorted.sort();
        let heads = sorted.iter().map(|(head, _, _)| *head).collect();
        let table = sorted.into_iter().map(|(_, value, bin)| (value, bin)).collect();
        Self { heads, values: table, other: values.len() }
    }

    /// Bin of a value.
    pub(crate) fn bin(&self, value: &str) -> usize {
        let wanted = head(value);
        let first = self.heads.partition_point(|h| *h < wanted);
        for (known, (text, bin)) in self.heads[first..].iter().zip(&self.values[first..]) {
            if *known != wanted {
                break;
            }
            if **text == *value {
                return *bin;
            }
        }
        self.other
    }
}

#[cfg(test)]
mod tests {
    use super::Lookup;

    #[test]
    fn every_value_finds_its_bin_and_strangers_are_other() {
        let values: Vec<String> =
            ["", "AA", "AA\0", "carrier-one", "carrier-two", "carrier-", "é", "ZZ"].map(String::from).to_vec();
        let lookup = Lookup::new(&values);
        for (bin, value) in values.iter().enumerate() {
            assert_eq!(lookup.bin(value), bin, "{value:?}");
        }
        for stranger in ["A", "carrier-three", "carrier", "ZZZ", "\u{10FFFF}", "\0"] {
            assert_eq!(lookup.bin(stranger), values.len(), "{stranger:?}");
        }
    }
}
