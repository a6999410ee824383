//! The ways to prove who is calling, and which of them a client has to go.

use serde::{Deserialize, Deserializer, Serialize, de::Error as _};

/// One way to prove who is calling.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the name says it")]
pub enum Way {
    Mtls,
    ApiKey,
    Jwt,
}

impl Way {
    const ALL: [Self; 3] = [Self::Mtls, Self::ApiKey, Self::Jwt];

    /// As the configuration has it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Mtls => "mtls",
            Self::ApiKey => "api_key",
            Self::Jwt => "jwt",
        }
    }

    const fn bit(self) -> u8 {
        match self {
            Self::Mtls => 1,
            Self::ApiKey => 2,
            Self::Jwt => 4,
        }
    }
}

/// All the ways in which one caller was proven.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Proof(u8);

impl Proof {
    /// In one way.
    pub const fn by(way: Way) -> Self {
        Self(way.bit())
    }

    /// In one more way.
    #[must_use]
    pub const fn and(self, way: Way) -> Self {
        Self(self.0 | way.bit())
    }

    /// Whether it was proven in that way.
    pub const fn has(self, way: Way) -> bool {
        self.0 & way.bit() != 0
    }

    /// Whether it was proven in every way in which the other was.
    pub const fn covers(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// As the audit log has it.
    pub const fn name(self) -> &'static str {
        match (
            self.has(Way::Mtls),
            self.has(Way::ApiKey),
            self.has(Way::Jwt),
        ) {
            (false, false, false) => "none",
            (true, false, false) => "mtls",
            (false, true, false) => "api_key",
            (false, false, true) => "jwt",
            (true, true, false) => "mtls+api_key",
            (true, false, true) => "mtls+jwt",
            (false, true, true) => "api_key+jwt",
            (true, true, true) => "mtls+api_key+jwt",
        }
    }
}

/// Which credentials a client has to prove itself by: `"any"`, or a list of which each is needed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Credentials(Proof);

impl Credentials {
    /// Whatever one credential names the client.
    pub const ANY: Self = Self(Proof(0));

    /// A way that is asked for and was not gone.
    pub fn missing(self, proven_by: Proof) -> Option<Way> {
        self.ways().find(|way| !proven_by.has(*way))
    }

    /// The ways that are asked for.
    pub fn ways(self) -> impl Iterator<Item = Way> {
        Way::ALL.into_iter().filter(move |way| self.0.has(*way))
    }
}

impl<'de> Deserialize<'de> for Credentials {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Written {
            Word(String),
            Ways(Vec<Way>),
        }
        const EXPECTED: &str = "expected \"any\", or a list of \"mtls\", \"api_key\" and \"jwt\", each of which is needed";
        match Written::deserialize(deserializer) {
            Ok(Written::Word(word)) if word == "any" => Ok(Self::ANY),
            Ok(Written::Ways(ways)) if !ways.is_empty() => {
                Ok(Self(ways.into_iter().fold(Proof::default(), Proof::and)))
            }
            _ => Err(D::Error::custom(EXPECTED)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn credentials(text: &str) -> Result<Credentials, String> {
        #[derive(Deserialize)]
        struct Client {
            credentials: Credentials,
        }
        toml::from_str::<Client>(&format!("credentials = {text}"))
            .map(|client| client.credentials)
            .map_err(|error| error.message().to_owned())
    }

    #[test]
    fn a_client_is_proven_in_every_way_that_is_asked_for() {
        let both = credentials(r#"["mtls", "api_key"]"#).unwrap();
        assert_eq!(both.missing(Proof::by(Way::ApiKey)), Some(Way::Mtls));
        assert_eq!(both.missing(Proof::by(Way::Mtls)), Some(Way::ApiKey));
        assert_eq!(both.missing(Proof::by(Way::Mtls).and(Way::ApiKey)), None);
        let any = credentials("\"any\"").unwrap();
        assert_eq!(any.missing(Proof::by(Way::Jwt)), None);
    }

    #[test]
    fn what_is_neither_any_nor_a_list_of_ways_is_refused() {
        for text in ["[]", "\"all\"", "[\"password\"]", "true"] {
            assert!(credentials(text).unwrap_err().contains("\"any\""), "{text}");
        }
    }

    #[test]
    fn a_proof_covers_a_weaker_one_only() {
        let both = Proof::by(Way::Mtls).and(Way::ApiKey);
        assert!(both.covers(Proof::by(Way::ApiKey)) && both.covers(both));
        assert!(!Proof::by(Way::ApiKey).covers(both));
        assert_eq!(both.name(), "mtls+api_key");
    }
}
