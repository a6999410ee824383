//! What a load balancer says about the client behind it. Believed from trusted proxies only, and
//! removed from every request once it is read, so that nobody further in can believe it.

use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

use http::{HeaderMap, HeaderName};
use ipnet::IpNet;
use percent_encoding::percent_decode;
use rustls_pki_types::{CertificateDer, pem::PemObject as _};
use serde::Deserialize;

use super::ClientCertificate;

/// Whose word is believed, and about what.
#[derive(Clone, Debug)]
pub struct Proxies {
    trusted: Arc<[IpNet]>,
    certificates: ForwardedCert,
}

/// How the load balancer treats certificates of clients. It writes one header or the other, and
/// what a client has put into the one that it does not write is not believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "toml::Value")]
pub enum ForwardedCert {
    /// It forwards none.
    Off,
    /// It passes on the whole chain, unverified.
    Passthrough,
    /// It verifies, and passes on the leaf.
    Verify,
}

impl ForwardedCert {
    const fn header(self) -> Option<&'static str> {
        match self {
            Self::Off => None,
            Self::Passthrough => Some("x-amzn-mtls-clientcert"),
            Self::Verify => Some("x-amzn-mtls-clientcert-leaf"),
        }
    }
}

impl TryFrom<toml::Value> for ForwardedCert {
    type Error = NoMode;

    fn try_from(said: toml::Value) -> Result<Self, NoMode> {
        match &said {
            // A switch that is off is clear.
            toml::Value::Boolean(false) => Ok(Self::Off),
            toml::Value::String(mode) => match mode.as_str() {
                "off" => Ok(Self::Off),
                "passthrough" => Ok(Self::Passthrough),
                "verify" => Ok(Self::Verify),
                _ => Err(NoMode),
            },
            _ => Err(NoMode),
        }
    }
}

/// Whatever else was said says nothing of the header that the load balancer writes.
#[derive(Debug, thiserror::Error)]
#[error(
    "name the mode of the load balancer: \"verify\", \"passthrough\", or \"off\" where it \
     forwards no certificates"
)]
pub struct NoMode;

impl Proxies {
    /// The networks that are trusted, and which certificates are taken from them.
    pub fn new(trusted: Vec<IpNet>, certificates: ForwardedCert) -> Self {
        Self {
            trusted: trusted.into(),
            certificates,
        }
    }

    /// Whether `ip` is one of them.
    pub(super) fn trust(&self, ip: IpAddr) -> bool {
        self.trusted.iter().any(|net| net.contains(&ip))
    }

    /// The right-most address of `X-Forwarded-For` that is not a trusted proxy's own, if the peer
    /// is one.
    pub fn client_ip(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        if !self.trust(peer) {
            return peer;
        }
        let mut outermost = peer;
        // Bytes, since what a client has written further left may be no text.
        let values = headers.get_all(FORWARDED_FOR);
        let values: Vec<&[u8]> = values.iter().map(|value| value.as_bytes()).collect();
        let hops = values.iter().rev();
        let hops = hops.flat_map(|value| value.rsplit(|byte| *byte == b','));
        for hop in hops.take(MAX_HOPS) {
            let Some(ip) = address(hop) else {
                break;
            };
            outermost = ip.to_canonical();
            if !self.trust(outermost) {
                break;
            }
        }
        outermost
    }

    /// The certificate that a trusted proxy has seen. Whether to trust it is decided elsewhere, as
    /// for one that came by our own handshake. What cannot be read, or comes more than once,
    /// becomes a certificate that nobody trusts.
    pub fn certificate(&self, peer: IpAddr, headers: &HeaderMap) -> Option<ClientCertificate> {
        let header = self.certificates.header()?;
        if !self.trust(peer) {
            return None;
        }
        let mut values = headers.get_all(header).iter();
        let value = values.next()?;
        let chain = values.next().is_none().then(|| chain(value.as_bytes()));
        Some(
            chain
                .flatten()
                .and_then(ClientCertificate::new)
                .unwrap_or_else(ClientCertificate::unreadable),
        )
    }
}

/// Removes everything that a proxy, or somebody who poses as one, says about the client.
pub(super) fn strip(headers: &mut HeaderMap) {
    let said: Vec<HeaderName> = headers
        .keys()
        .filter(|name| {
            let name = name.as_str();
            name == "forwarded" || PREFIXES.iter().any(|prefix| name.starts_with(prefix))
        })
        .cloned()
        .collect();
    for name in said {
        headers.remove(name);
    }
}

/// An address as proxies write it: some add the port, and brackets to IPv6.
fn address(hop: &[u8]) -> Option<IpAddr> {
    let hop = std::str::from_utf8(hop).ok()?.trim();
    let bare = hop.strip_prefix('[').and_then(|hop| hop.strip_suffix(']'));
    let ip = bare.unwrap_or(hop).parse().ok();
    ip.or_else(|| Some(hop.parse::<SocketAddr>().ok()?.ip()))
}

/// URL-encoded PEM, the leaf first. A plus sign stands for itself.
fn chain(value: &[u8]) -> Option<Vec<CertificateDer<'static>>> {
    let pem: Vec<u8> = percent_decode(value).collect();
    if !is_nothing_but_certificates(std::str::from_utf8(&pem).ok()?) {
        return None;
    }
    let chain = CertificateDer::pem_slice_iter(&pem)
        .take(MAX_CHAIN + 1)
        .collect::<Result<Vec<_>, _>>()
        .ok()?;
    (1..=MAX_CHAIN).contains(&chain.len()).then_some(chain)
}

/// Readers of PEM pass over what stands between its sections; a comma there joins two headers, of
/// which one may be a client's.
fn is_nothing_but_certificates(pem: &str) -> bool {
    let mut rest = pem.trim_ascii();
    while !rest.is_empty() {
        let section = rest
            .strip_prefix(BEGIN)
            .and_then(|rest| rest.split_once(END));
        let Some((_, after)) = section else {
            return false;
        };
        rest = after.trim_ascii_start();
    }
    true
}

const BEGIN: &str = "-----BEGIN CERTIFICATE-----";
const END: &str = "-----END CERTIFICATE-----";
const FORWARDED_FOR: &str = "x-forwarded-for";
const PREFIXES: [&str; 2] = ["x-forwarded-", "x-amzn-mtls-"];
const MAX_HOPS: usize = 16;
const MAX_CHAIN: usize = 8;

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use proptest::prelude::*;

    use super::*;

    const PROXY: &str = "10.1.1.1";
    const STRANGER: &str = "192.0.2.1";

    fn proxies() -> Proxies {
        behind(ForwardedCert::Passthrough)
    }

    fn behind(mode: ForwardedCert) -> Proxies {
        Proxies::new(vec!["10.0.0.0/8".parse().unwrap()], mode)
    }

    fn ip(peer: &str, forwarded: &str) -> String {
        let headers = with("x-forwarded-for", forwarded.as_bytes());
        proxies()
            .client_ip(peer.parse().unwrap(), &headers)
            .to_string()
    }

    fn certificate(peer: &str, headers: &HeaderMap) -> Option<ClientCertificate> {
        proxies().certificate(peer.parse().unwrap(), headers)
    }

    fn with(name: &'static str, value: &[u8]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(name, HeaderValue::from_bytes(value).unwrap());
        headers
    }

    const PEM: &[u8] =
        b"-----BEGIN%20CERTIFICATE-----%0AMAoCAQE+/w==%0A-----END%20CERTIFICATE-----%0A";

    #[test]
    fn only_a_trusted_proxy_is_believed() {
        assert_eq!(ip(STRANGER, "198.51.100.7"), "192.0.2.1");
        assert_eq!(ip(PROXY, "198.51.100.7"), "198.51.100.7");
        assert_eq!(ip(PROXY, "6.6.6.6, 198.51.100.7, 10.2.2.2"), "198.51.100.7");
        assert_eq!(ip(PROXY, "nonsense"), "10.1.1.1");
        assert_eq!(ip(PROXY, ""), "10.1.1.1");
        for hop in [
            "198.51.100.7:4711",
            "\u{e9}, 198.51.100.7",
            "x y,198.51.100.7:1",
        ] {
            assert_eq!(ip(PROXY, hop), "198.51.100.7", "{hop}");
        }
        for hop in ["2001:db8::1", "[2001:db8::1]", "[2001:db8::1]:443"] {
            assert_eq!(ip(PROXY, hop), "2001:db8::1", "{hop}");
        }
        let headers = with("x-amzn-mtls-clientcert", PEM);
        assert!(certificate(STRANGER, &headers).is_none());
        assert!(!certificate(PROXY, &headers).unwrap().leaf.is_empty());
        let two = with("x-amzn-mtls-clientcert", &PEM.repeat(2));
        assert_eq!(certificate(PROXY, &two).unwrap().intermediates.len(), 1);
    }

    #[test]
    fn only_the_header_that_the_load_balancer_writes_is_believed() {
        let headers =
            ["x-amzn-mtls-clientcert", "x-amzn-mtls-clientcert-leaf"].map(|name| with(name, PEM));
        let modes = [
            (ForwardedCert::Off, [false, false]),
            (ForwardedCert::Passthrough, [true, false]),
            (ForwardedCert::Verify, [false, true]),
        ];
        for (mode, believed) in modes {
            let found = headers.each_ref().map(|headers| {
                behind(mode)
                    .certificate(PROXY.parse().unwrap(), headers)
                    .is_some()
            });
            assert_eq!(found, believed, "{mode:?}");
        }
    }

    #[test]
    fn a_certificate_that_cannot_be_read_or_comes_twice_is_trusted_by_nobody() {
        let mut twice = with("x-amzn-mtls-clientcert", PEM);
        twice.append(
            "x-amzn-mtls-clientcert",
            HeaderValue::from_bytes(PEM).unwrap(),
        );
        let nine = with("x-amzn-mtls-clientcert", &PEM.repeat(9));
        let garbage = with("x-amzn-mtls-clientcert", b"%%%");
        // Two headers that something on the way made one of.
        let joined = with("x-amzn-mtls-clientcert", &[PEM, PEM].join(&b','));
        let prefaced = with("x-amzn-mtls-clientcert", &[b"x", PEM].concat());
        for headers in [twice, nine, garbage, joined, prefaced] {
            assert!(certificate(PROXY, &headers).unwrap().leaf.is_empty());
        }
    }

    #[test]
    fn nothing_of_it_goes_further_in() {
        let mut headers = with("x-amzn-mtls-clientcert-subject", b"CN=x");
        for name in ["x-forwarded-for", "x-forwarded-host", "forwarded", "accept"] {
            headers.insert(name, HeaderValue::from_static("x"));
        }
        strip(&mut headers);
        assert_eq!(headers.keys().collect::<Vec<_>>(), ["accept"]);
    }

    proptest! {
        #[test]
        fn no_header_makes_it_panic(value in "[ -~]{0,200}", pem in "[%+/=A-Za-z0-9]{0,120}") {
            let _ = certificate(PROXY, &with("x-amzn-mtls-clientcert", value.as_bytes()));
            let dressed = format!("-----BEGIN CERTIFICATE-----%0A{pem}%0A-----END CERTIFICATE-----");
            let _ = certificate(PROXY, &with("x-amzn-mtls-clientcert", dressed.as_bytes()));
            let _ = ip(PROXY, &value);
        }
    }
}
