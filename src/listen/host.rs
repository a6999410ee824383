//! Guard: the host and the origin, on every route. A page that rebinds its name to our address
//! still sends its own name as `Host`, and a page of another site sends its `Origin`.

use std::{net::IpAddr, sync::Arc};

use axum::{
    extract::{Request, State},
    http::{HeaderMap, Uri, header, uri::Authority},
    middleware::Next,
    response::Response,
};

use super::{BadAddress, Config, ForwardedCert, cors};
use crate::refusal::Refusal;

/// The hosts and origins that are served.
#[derive(Clone, Debug)]
pub struct Allowed(Arc<Lists>);

#[derive(Debug)]
struct Lists {
    hosts: Vec<HostRule>,
    origins: Vec<Box<str>>,
}

#[derive(Debug)]
struct HostRule {
    name: Box<str>,
    /// Any, when absent.
    port: Option<u16>,
}

/// Refuses a request whose `Host` or `Origin` is not served, and tells a browser so much that an
/// origin which is served can call.
///
/// # Errors
/// [`Refusal::Host`], [`Refusal::Origin`]
pub async fn guard(
    State(allowed): State<Allowed>,
    request: Request,
    next: Next,
) -> Result<Response, Refusal> {
    let probe = PROBES.contains(&request.uri().path());
    if !allowed.host(request.uri(), request.headers(), probe) {
        return Err(Refusal::Host);
    }
    if !allowed.origin(request.headers()) {
        return Err(Refusal::Origin);
    }
    Ok(match request.headers().get(header::ORIGIN).cloned() {
        Some(origin) => cors::serve(origin, request, next).await,
        None => next.run(request).await,
    })
}

impl Allowed {
    pub(super) fn new(config: &Config) -> Result<Self, BadAddress> {
        let mut hosts: Vec<HostRule> = LOOPBACK
            .iter()
            .map(|name| HostRule {
                name: (*name).into(),
                port: None,
            })
            .collect();
        let mut origins = Vec::new();
        if let Some(url) = &config.public_url {
            let uri = web_address(url).ok_or(BadAddress::PublicUrl)?;
            let authority = uri.authority().ok_or(BadAddress::PublicUrl)?;
            if url.contains(['?', '#']) {
                return Err(BadAddress::PublicUrlQuery);
            }
            hosts.push(HostRule {
                name: name_of(authority),
                port: None,
            });
            let scheme = uri.scheme_str().unwrap_or_default();
            origins.push(format!("{scheme}://{authority}").to_lowercase().into());
        }
        for host in &config.hosts {
            let authority: Authority = host.parse().map_err(|_| BadAddress::Host)?;
            if authority.as_str().contains('@') {
                return Err(BadAddress::Host);
            }
            hosts.push(HostRule {
                name: name_of(&authority),
                port: authority.port_u16(),
            });
        }
        for origin in &config.origins {
            let uri = web_address(origin).ok_or(BadAddress::Origin)?;
            if uri.path() != "/" || origin.ends_with('/') || uri.query().is_some() {
                return Err(BadAddress::Origin);
            }
            origins.push(origin.to_lowercase().into());
        }
        if config.trusted_proxies.is_empty() && config.proxy_protocol {
            return Err(BadAddress::ProxyProtocol);
        }
        if config.trusted_proxies.is_empty()
            && config.tls.forwarded_client_cert != ForwardedCert::Off
        {
            return Err(BadAddress::ForwardedCertificate);
        }
        if config.proxy_protocol && config.tls.forwarded_client_cert != ForwardedCert::Off {
            return Err(BadAddress::TwoProxies);
        }
        Ok(Self(Arc::new(Lists { hosts, origins })))
    }

    fn host(&self, uri: &Uri, headers: &HeaderMap, probe: bool) -> bool {
        let mut values = headers.get_all(header::HOST).iter();
        let header = match (values.next(), values.next()) {
            (None, _) => None,
            (Some(value), None) => match value.to_str().ok().and_then(|text| text.parse().ok()) {
                Some(authority) => Some(authority),
                None => return false,
            },
            (Some(_), Some(_)) => return false,
        };
        match (uri.authority(), header) {
            (Some(target), Some(host)) => *target == host && self.serves(&host, probe),
            (Some(host), None) => self.serves(host, probe),
            (None, Some(host)) => self.serves(&host, probe),
            (None, None) => false,
        }
    }

    fn serves(&self, authority: &Authority, probe: bool) -> bool {
        if authority.as_str().contains('@') {
            return false;
        }
        let name = name_of(authority);
        // A load balancer probes by address; a rebound name never looks like one.
        let address = || name.trim_matches(['[', ']']).parse::<IpAddr>().is_ok();
        let port = authority.port_u16();
        (probe && address())
            || self.0.hosts.iter().any(|rule| {
                rule.name == name && rule.port.is_none_or(|wanted| port == Some(wanted))
            })
    }

    fn origin(&self, headers: &HeaderMap) -> bool {
        let mut values = headers.get_all(header::ORIGIN).iter();
        match (values.next(), values.next()) {
            (None, _) => true,
            (Some(origin), None) => origin.to_str().is_ok_and(|origin| {
                self.0
                    .origins
                    .iter()
                    .any(|allowed| origin.eq_ignore_ascii_case(allowed))
            }),
            (Some(_), Some(_)) => false,
        }
    }
}

const LOOPBACK: [&str; 3] = ["localhost", "127.0.0.1", "[::1]"];
const PROBES: [&str; 3] = ["/health", "/livez", "/readyz"];

fn name_of(authority: &Authority) -> Box<str> {
    authority.host().to_ascii_lowercase().into()
}

fn web_address(text: &str) -> Option<Uri> {
    let uri: Uri = text.parse().ok()?;
    let authority = uri.authority()?;
    let web = matches!(uri.scheme_str(), Some("http" | "https"));
    (web && !authority.as_str().contains('@')).then_some(uri)
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn allowed() -> Allowed {
        Allowed(Arc::new(Lists {
            hosts: vec![
                HostRule {
                    name: "localhost".into(),
                    port: None,
                },
                HostRule {
                    name: "mcp.example.com".into(),
                    port: Some(443),
                },
            ],
            origins: vec!["https://app.example.com".into()],
        }))
    }

    fn host(text: &str, probe: bool) -> bool {
        let mut headers = HeaderMap::new();
        headers.insert(header::HOST, HeaderValue::from_str(text).unwrap());
        allowed().host(&Uri::from_static("/mcp"), &headers, probe)
    }

    #[test]
    fn only_listed_hosts_are_served() {
        for good in ["localhost", "LOCALHOST:3000", "mcp.example.com:443"] {
            assert!(host(good, false), "{good}");
        }
        for bad in [
            "evil.example",
            "mcp.example.com:444",
            "localhost@evil",
            "localhost.evil",
            "10.0.0.1",
            "",
            "a b",
        ] {
            assert!(!host(bad, false), "{bad}");
        }
        assert!(!allowed().host(&Uri::from_static("/mcp"), &HeaderMap::new(), false));
    }

    #[test]
    fn a_probe_may_come_by_address_but_not_by_a_foreign_name() {
        assert!(host("10.0.0.1:3000", true));
        assert!(host("[fd00::1]:3000", true));
        assert!(!host("evil.example", true));
    }

    #[test]
    fn a_page_of_another_site_is_refused() {
        let origins = |list: &[&str]| {
            let mut headers = HeaderMap::new();
            for origin in list {
                headers.append(header::ORIGIN, HeaderValue::from_str(origin).unwrap());
            }
            allowed().origin(&headers)
        };
        assert!(origins(&[]));
        assert!(origins(&["https://app.example.com"]));
        for bad in [
            "null",
            "https://evil.example",
            "http://app.example.com",
            "https://app.example.com.evil",
        ] {
            assert!(!origins(&[bad]), "{bad}");
        }
        assert!(!origins(&[
            "https://app.example.com",
            "https://app.example.com"
        ]));
    }
}
