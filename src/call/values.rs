//! Whether every value of a message can be read. A text can be well-formed JSON and still hold what
//! has no value: half of a surrogate pair, a number beyond all bounds, or an object with a key twice.

use std::{borrow::Cow, collections::HashSet, fmt};

use serde::{
    Deserialize, Deserializer,
    de::{Error, MapAccess, SeqAccess, Visitor},
};

/// A value that was read to its end and not kept.
pub(super) struct Readable;

/// Decoded: two spellings of one key are one key.
#[derive(Deserialize)]
struct Key<'a>(#[serde(borrow)] Cow<'a, str>);

/// The keys of one object. Most objects have so few that looking at each is faster than hashing.
#[derive(Default)]
struct Keys<'a> {
    few: Vec<Cow<'a, str>>,
    many: HashSet<Cow<'a, str>>,
}

impl<'a> Keys<'a> {
    /// False for one that is there already.
    fn add(&mut self, key: Cow<'a, str>) -> bool {
        if self.few.contains(&key) {
            return false;
        }
        if self.few.len() < FEW {
            self.few.push(key);
            return true;
        }
        self.many.insert(key)
    }
}

const FEW: usize = 8;

impl<'de> Deserialize<'de> for Readable {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Self)
    }
}

impl<'de> Visitor<'de> for Readable {
    type Value = Self;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E: Error>(self) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_str<E: Error>(self, _: &str) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self, A::Error> {
        while items.next_element::<Self>()?.is_some() {}
        Ok(self)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Self, A::Error> {
        let mut keys = Keys::default();
        while let Some(Key(key)) = entries.next_key()? {
            if !keys.add(key) {
                // Which of the two counts is anybody's guess, and guards must not guess.
                return Err(A::Error::custom("a key appears twice"));
            }
            entries.next_value::<Self>()?;
        }
        Ok(self)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn is_readable(text: &str) -> bool {
        serde_json::from_str::<Readable>(text).is_ok()
    }

    #[test]
    fn what_has_no_value_is_not_readable() {
        for text in [
            r#"{"a":"\ud83d"}"#,
            r#"{"\udc00":1}"#,
            "[1e999]",
            "[-1e999]",
        ] {
            assert!(!is_readable(text), "{text}");
        }
        assert!(is_readable(
            r#"{"a":["\ud83d\ude00",1e-999,null,true,-1,{}]}"#
        ));
    }

    #[test]
    fn a_key_that_appears_twice_in_one_object_has_no_value() {
        for text in [r#"{"a":1,"a":1}"#, r#"[{"b":{"a":1,"\u0061":2}}]"#] {
            let error = serde_json::from_str::<Readable>(text).err().unwrap();
            assert!(error.is_data(), "{text}: {error}");
        }
        assert!(is_readable(r#"{"a":{"a":1},"b":[{"a":1},{"a":2}]}"#));
        let keys = |count: usize| {
            (0..count)
                .map(|n| format!("\"k{n}\":{n}"))
                .collect::<Vec<_>>()
        };
        for twice in ["\"k0\":7", "\"k7\":7", "\"k8\":7", "\"k98\":7"] {
            let all = keys(99).join(",");
            assert!(is_readable(&format!("{{{all}}}")));
            assert!(!is_readable(&format!("{{{all},{twice}}}")), "{twice}");
        }
    }

    proptest! {
        #[test]
        fn it_reads_what_the_protocol_library_can_read(text in r#"[\[{"a\\ud80-9e:,.\]}]{1,40}"#) {
            let theirs = serde_json::from_str::<serde_json::Value>(&text).is_ok();
            let ours = serde_json::from_str::<Readable>(&text);
            let is_readable = ours.as_ref().map_or_else(serde_json::Error::is_data, |_| true);
            prop_assert_eq!(is_readable, theirs);
        }
    }
}
