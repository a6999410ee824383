//! A caller written out whole, for `#[serde(with)]`: also what has to stay true of the proof, so that
//! every instance can look after what the caller opened. Tokens are left out: what may outlive them
//! goes on with their successors.

use std::sync::Arc;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use rustls_pki_types::CertificateDer;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

use super::{Caller, evidence::Standing};
use crate::listen::ClientCertificate;

#[derive(Serialize, Deserialize)]
struct Whole {
    #[serde(flatten)]
    caller: Caller,
    user_in_log: Option<Arc<str>>,
    standing: Vec<Written>,
}

/// A [`Standing`]; of a certificate the chain, the leaf first.
#[derive(Serialize, Deserialize)]
enum Written {
    Key(Arc<str>),
    Certificate(Vec<String>),
    Holder(Vec<String>),
}

impl Caller {
    /// The caller without tokens, as it is read by whoever it is written for.
    #[must_use]
    pub fn without_tokens(&self) -> Self {
        let standing = self.standing.iter();
        let standing = standing.filter(|standing| !matches!(standing, Standing::Token(_)));
        Self {
            standing: standing.cloned().collect(),
            ..self.clone()
        }
    }
}

/// Writes it.
///
/// # Errors
/// Those of the writer.
pub fn serialize<S: Serializer>(caller: &Arc<Caller>, to: S) -> Result<S::Ok, S::Error> {
    let written = |standing: &Standing| match standing {
        Standing::Key(id) => Some(Written::Key(id.clone())),
        Standing::Token(_) => None,
        Standing::Certificate(certificate) => Some(Written::Certificate(chain(certificate))),
        Standing::Holder(certificate) => Some(Written::Holder(chain(certificate))),
    };
    let whole = Whole {
        caller: Caller::clone(caller),
        user_in_log: caller.user_in_log.clone(),
        standing: caller.standing.iter().filter_map(written).collect(),
    };
    whole.serialize(to)
}

/// Reads it.
///
/// # Errors
/// It is something else.
pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Arc<Caller>, D::Error> {
    let whole = Whole::deserialize(from)?;
    let read = |written| {
        Some(match written {
            Written::Key(id) => Standing::Key(id),
            Written::Certificate(chain) => Standing::Certificate(certificate(&chain)?),
            Written::Holder(chain) => Standing::Holder(certificate(&chain)?),
        })
    };
    let standing = whole.standing.into_iter().map(read).collect::<Option<_>>();
    let standing = standing.ok_or_else(|| D::Error::custom("a certificate is not one"))?;
    Ok(Arc::new(Caller {
        user_in_log: whole.user_in_log,
        standing,
        ..whole.caller
    }))
}

fn chain(certificate: &ClientCertificate) -> Vec<String> {
    let leaf = std::iter::once(&certificate.leaf);
    let chain = leaf.chain(&certificate.intermediates);
    chain.map(|der| STANDARD.encode(der)).collect()
}

fn certificate(chain: &[String]) -> Option<Arc<ClientCertificate>> {
    let der = |text: &String| STANDARD.decode(text).ok().map(CertificateDer::from);
    let chain = chain.iter().map(der).collect::<Option<Vec<_>>>()?;
    ClientCertificate::new(chain).map(Arc::new)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::{User, Way};

    #[derive(Serialize, Deserialize)]
    struct Page(#[serde(with = "super")] Arc<Caller>);

    #[test]
    fn all_that_has_to_hold_of_a_caller_is_read_as_it_was_written() {
        let chain = [vec![1, 2, 3], vec![4]].map(CertificateDer::from);
        let certificate = Arc::new(ClientCertificate::new(chain.into()).unwrap());
        let mut caller = Caller::sample("agent");
        caller.proven_by = caller.proven_by.and(Way::Mtls);
        caller.user = Some(User {
            issuer: "issuer".into(),
            subject: "ada".into(),
        });
        caller.user_in_log = Some("a person".into());
        caller.standing = [
            Standing::Key("key".into()),
            Standing::Certificate(certificate.clone()),
            Standing::Holder(certificate),
        ]
        .into();
        let caller = Page(caller.into());
        let written = serde_json::to_vec(&caller).unwrap();
        let read = serde_json::from_slice::<Page>(&written).unwrap();
        assert_eq!(read.0, caller.0);
        let spoilt = String::from_utf8(written).unwrap().replace("AQID", "!");
        assert!(serde_json::from_str::<Page>(&spoilt).is_err());
    }
}
