//! The names in a certificate, and which of them counts.

use x509_parser::{certificate::X509Certificate, extensions::GeneralName, prelude::FromDer as _};

use super::{BadCertificate, CertificateNames, Identity};
use crate::listen::Untrusted;

/// The names that can stand for a client.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Names {
    uris: Vec<Box<str>>,
    common: Vec<Box<str>>,
}

impl Names {
    /// Reads a leaf that is trusted already, and refuses one whose key may not sign handshakes.
    pub(super) fn of(leaf: &[u8]) -> Result<Self, BadCertificate> {
        let malformed = |_| BadCertificate::Untrusted(Untrusted::Malformed);
        let (_, leaf) = X509Certificate::from_der(leaf).map_err(|_| malformed(()))?;
        let usage = leaf.key_usage().map_err(|_| malformed(()))?;
        if usage.is_some_and(|usage| !usage.value.digital_signature()) {
            return Err(BadCertificate::KeyUsage);
        }
        let alternative = leaf.subject_alternative_name().map_err(|_| malformed(()))?;
        let uri = |name: &GeneralName<'_>| match name {
            GeneralName::URI(uri) => Some(Box::from(*uri)),
            _ => None,
        };
        let uris =
            alternative.map(|names| names.value.general_names.iter().filter_map(uri).collect());
        let common = leaf
            .subject()
            .iter_common_name()
            .map(|name| name.as_str().map(Box::from))
            .collect::<Result<_, _>>()
            .map_err(|_| malformed(()))?;
        Ok(Self {
            uris: uris.unwrap_or_default(),
            common,
        })
    }

    /// The one that counts.
    pub(super) fn one(&self, identity: Identity) -> Result<&str, BadCertificate> {
        let names = match identity {
            Identity::UriSan => &self.uris,
            Identity::Cn if !self.uris.is_empty() => return Err(BadCertificate::NamesDisagree),
            Identity::Cn => &self.common,
        };
        match names.as_slice() {
            [] => Err(BadCertificate::NoName),
            [name] => Ok(name),
            _ => Err(BadCertificate::SeveralNames),
        }
    }

    /// Whether a name beside the one that counts stands for another client.
    pub(super) fn contradict(&self, client: &str, clients: &CertificateNames) -> bool {
        let mut common = self.common.iter();
        common.any(|name| clients.is_anothers(name, client))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rcgen::{CertificateParams, DnType, KeyPair, SanType};

    use super::*;

    fn leaf(common: &[&str], uris: &[&str]) -> Vec<u8> {
        let mut params = CertificateParams::default();
        params.distinguished_name = rcgen::DistinguishedName::new();
        for name in common {
            params.distinguished_name.push(DnType::CommonName, *name);
        }
        params.subject_alt_names = uris
            .iter()
            .map(|uri| SanType::URI((*uri).try_into().unwrap()))
            .chain([SanType::DnsName("agent.example.com".try_into().unwrap())])
            .collect();
        let key = KeyPair::generate().unwrap();
        params.self_signed(&key).unwrap().der().to_vec()
    }

    fn name(identity: Identity, common: &[&str], uris: &[&str]) -> Result<String, BadCertificate> {
        let names = Names::of(&leaf(common, uris))?;
        names.one(identity).map(str::to_owned)
    }

    #[test]
    fn exactly_one_uri_names_a_client() {
        let by_uri = |uris| name(Identity::UriSan, &["agent"], uris);
        assert_eq!(by_uri(&["spiffe://x/a"]).as_deref(), Ok("spiffe://x/a"));
        assert_eq!(by_uri(&[]), Err(BadCertificate::NoName));
        assert_eq!(
            by_uri(&["spiffe://x/a", "spiffe://x/b"]),
            Err(BadCertificate::SeveralNames)
        );
    }

    #[test]
    fn a_common_name_counts_only_where_there_is_no_better_one() {
        assert_eq!(name(Identity::Cn, &["agent"], &[]).as_deref(), Ok("agent"));
        assert_eq!(name(Identity::Cn, &[], &[]), Err(BadCertificate::NoName));
        assert_eq!(
            name(Identity::Cn, &["agent"], &["spiffe://x/a"]),
            Err(BadCertificate::NamesDisagree)
        );
    }

    #[test]
    fn the_common_name_of_another_client_contradicts() {
        let clients = CertificateNames::of([
            (&"agent".into(), Some("spiffe://x/a")),
            (&"other".into(), Some("spiffe://x/b")),
            (&"keyed".into(), None),
        ])
        .unwrap();
        let contradicts = |common: &str| {
            let names = Names::of(&leaf(&[common], &["spiffe://x/a"])).unwrap();
            names.contradict("agent", &clients)
        };
        assert!(
            ["other", "spiffe://x/b", "keyed"]
                .iter()
                .all(|name| contradicts(name))
        );
        assert!(!contradicts("spiffe://x/a"));
        assert!(!contradicts("agent") && !contradicts("Some Agent Ltd"));
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300), at in 0_usize..300, to: u8) {
            let _ = Names::of(&bytes);
            let mut bent = leaf(&["agent"], &["spiffe://x/a"]);
            if let Some(byte) = bent.get_mut(at) {
                *byte = to;
            }
            let _ = Names::of(&bent);
        }
    }
}
