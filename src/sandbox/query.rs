//! The parameters of a URL or a form.

use percent_encoding::percent_decode_str;

/// Names and values, decoded, in order.
#[derive(Debug, Default)]
pub(super) struct Query(Vec<(String, String)>);

impl Query {
    /// Reads `a=1&b=x+y`; `None` when an escape is not UTF-8.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let decode = |part: &str| {
            let spaced = part.replace('+', " ");
            percent_decode_str(&spaced)
                .decode_utf8()
                .ok()
                .map(|text| text.into_owned())
        };
        let pairs = text.split('&').filter(|pair| !pair.is_empty()).map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            Some((decode(name)?, decode(value)?))
        });
        pairs.collect::<Option<Vec<_>>>().map(Self)
    }

    /// The first value of that name.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0
            .iter()
            .find(|(other, _)| other == name)
            .map(|(_, value)| value.as_str())
    }

    /// Everything but those parameters, in a form that two equal requests share.
    pub(super) fn without(&self, names: &[&str]) -> String {
        let kept = |(name, _): &&(String, String)| !names.contains(&name.as_str());
        let mut pairs: Vec<_> = self.0.iter().filter(kept).collect();
        pairs.sort();
        format!("{pairs:?}")
    }

    /// These parameters first, then others.
    pub(super) fn followed_by(mut self, other: Self) -> Self {
        self.0.extend(other.0);
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_and_pluses_are_decoded_once() {
        let query =
            Query::parse("criteria=(Last_Name%3Aequals%3ABurns%5C%2CB)&a=1+2%2B3&a=4&&x").unwrap();
        assert_eq!(query.get("criteria"), Some(r"(Last_Name:equals:Burns\,B)"));
        assert_eq!(query.get("a"), Some("1 2+3"));
        assert_eq!(query.get("x"), Some(""));
        assert!(Query::parse("a=%ff%fe").is_none());
    }
}
