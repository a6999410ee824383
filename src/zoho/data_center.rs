//! Where Zoho's data centres answer, and which hosts an access token may be sent to.

use std::net::IpAddr;

use reqwest::Url;

use super::config::{BadConfig, Config, DataCenter};

/// The two servers of one organisation.
#[derive(Clone, Debug)]
pub(super) struct Servers {
    /// Mints access tokens.
    pub(super) accounts: Url,
    /// Answers for the CRM until a token says otherwise.
    pub(super) api: Url,
    /// An operator gave the address of the API, so that no token can say otherwise.
    fixed: bool,
}

impl Servers {
    /// Reads the addresses of a configuration; what it does not give is the data centre's own.
    pub(super) fn new(config: &Config) -> Result<Self, BadConfig> {
        let (accounts, api) = hosts(config.data_center);
        Ok(Self {
            accounts: server("accounts_url", config.accounts_url.as_deref(), accounts)?,
            api: server("api_url", config.api_url.as_deref(), api)?,
            fixed: config.api_url.is_some(),
        })
    }

    /// Whether both are reached without TLS, so that no certificates are needed.
    pub(super) fn plain(&self) -> bool {
        self.accounts.scheme() == "http" && self.api.scheme() == "http"
    }

    /// Whether any is reached without TLS.
    pub(super) fn any_plain(&self) -> bool {
        self.accounts.scheme() == "http" || self.api.scheme() == "http"
    }

    /// The server that a token is meant for: the one it names if that is Zoho's, otherwise our own.
    pub(super) fn api_for(&self, api_domain: Option<&str>) -> Url {
        let named = api_domain.and_then(zohos).filter(|_| !self.fixed);
        named.map_or_else(|| self.api.clone(), |url| origin(&url))
    }

    /// Whether a token names a server that it is not sent to because it is not Zoho's.
    pub(super) fn passes_over(&self, api_domain: &str) -> bool {
        !self.fixed && zohos(api_domain).is_none()
    }
}

fn server(key: &'static str, given: Option<&str>, own: &str) -> Result<Url, BadConfig> {
    let refused = BadConfig::Url { key };
    let text = match given {
        Some(text) => text.to_owned(),
        None => format!("https://{own}"),
    };
    let Ok(url) = Url::parse(&text) else {
        return Err(refused);
    };
    let safe = url.scheme() == "https" || (url.scheme() == "http" && is_this_machine(&url));
    let bare = safe
        && url.has_host()
        && url.path() == "/"
        && url.query().is_none()
        && url.fragment().is_none()
        && url.username().is_empty()
        && url.password().is_none();
    bare.then_some(url).ok_or(refused)
}

/// Only there does nobody listen to credentials that travel without TLS.
fn is_this_machine(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let address = host.trim_matches(['[', ']']).parse::<IpAddr>();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}

fn zohos(text: &str) -> Option<Url> {
    Url::parse(text).ok().filter(is_zoho)
}

fn is_zoho(url: &Url) -> bool {
    let plain_origin = url.scheme() == "https"
        && url.port().is_none()
        && url.username().is_empty()
        && url.password().is_none();
    let Some(host) = url.host_str() else {
        return false;
    };
    plain_origin
        && ALL.iter().any(|&center| {
            let (_, own) = hosts(center);
            let editions = ["www.", "sandbox.", "developer."];
            own.strip_prefix("www.").is_some_and(|domain| {
                editions
                    .iter()
                    .any(|edition| host.strip_prefix(edition) == Some(domain))
            })
        })
}

fn origin(url: &Url) -> Url {
    let mut url = url.clone();
    url.set_path("/");
    url.set_query(None);
    url.set_fragment(None);
    url
}

/// The hosts for accounts and for the API.
const fn hosts(center: DataCenter) -> (&'static str, &'static str) {
    match center {
        DataCenter::Us => ("accounts.zoho.com", "www.zohoapis.com"),
        DataCenter::Eu => ("accounts.zoho.eu", "www.zohoapis.eu"),
        DataCenter::In => ("accounts.zoho.in", "www.zohoapis.in"),
        DataCenter::Au => ("accounts.zoho.com.au", "www.zohoapis.com.au"),
        DataCenter::Jp => ("accounts.zoho.jp", "www.zohoapis.jp"),
        DataCenter::Ca => ("accounts.zohocloud.ca", "www.zohoapis.ca"),
        DataCenter::Cn => ("accounts.zoho.com.cn", "www.zohoapis.com.cn"),
        DataCenter::Sa => ("accounts.zoho.sa", "www.zohoapis.sa"),
        DataCenter::Uk => ("accounts.zoho.uk", "www.zohoapis.uk"),
    }
}

const ALL: [DataCenter; 9] = [
    DataCenter::Us,
    DataCenter::Eu,
    DataCenter::In,
    DataCenter::Au,
    DataCenter::Jp,
    DataCenter::Ca,
    DataCenter::Cn,
    DataCenter::Sa,
    DataCenter::Uk,
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::setting::Span;

    fn config(accounts: Option<&str>, api: Option<&str>) -> Config {
        Config {
            data_center: DataCenter::Eu,
            credentials: None,
            user_credentials: None,
            token_key: None,
            coalesce: false,
            concurrency: std::num::NonZeroU32::MIN,
            daily_credits: std::num::NonZeroU32::new(50_000).unwrap(),
            write_reserve: "0.1".parse().unwrap(),
            client_share: "0.5".parse().unwrap(),
            client_shares: std::collections::BTreeMap::new(),
            accounts_url: accounts.map(str::to_owned),
            api_url: api.map(str::to_owned),
            max_wait: Span::millis(100),
            connect_timeout: Span::millis(100),
            request_timeout: Span::millis(100),
        }
    }

    #[test]
    fn a_token_goes_to_zoho_and_nowhere_else() {
        let servers = Servers::new(&config(None, None)).unwrap();
        let api = |domain| servers.api_for(domain).to_string();
        for own in [
            "https://www.zohoapis.com",
            "https://sandbox.zohoapis.in/",
            "https://developer.zohoapis.com.au",
        ] {
            assert_eq!(api(Some(own)), format!("{}/", own.trim_end_matches('/')));
            assert!(!servers.passes_over(own), "{own}");
        }
        for foreign in [
            "http://www.zohoapis.com",
            "https://evil.example",
            "https://www.zohoapis.com.evil.example",
            "https://wwwxzohoapis.com",
            "https://zohoapis.com",
            "https://a.www.zohoapis.com",
            "https://www.zohoapis.com:8443",
            "https://u:p@www.zohoapis.com",
            "https://www.zohoapis.com@evil.example",
            "not a url",
            "",
        ] {
            assert_eq!(api(Some(foreign)), "https://www.zohoapis.eu/", "{foreign}");
            assert!(servers.passes_over(foreign), "{foreign}");
        }
        assert_eq!(api(None), "https://www.zohoapis.eu/");
    }

    #[test]
    fn a_configured_api_is_the_only_one() {
        let servers = Servers::new(&config(None, Some("http://127.0.0.1:4000"))).unwrap();
        for domain in [
            None,
            Some("https://www.zohoapis.com"),
            Some("http://127.0.0.1:4000"),
        ] {
            assert_eq!(servers.api_for(domain).as_str(), "http://127.0.0.1:4000/");
        }
        assert!(!servers.passes_over("https://evil.example"));
        assert!(servers.any_plain() && !servers.plain());
    }

    #[test]
    fn addresses_with_more_than_an_origin_or_without_tls_are_refused() {
        for good in [
            "https://evil.example",
            "http://localhost:4000",
            "http://127.0.0.1:4000",
            "http://[::1]:4000",
        ] {
            assert!(Servers::new(&config(Some(good), None)).is_ok(), "{good}");
        }
        for bad in [
            "",
            "example.com",
            "ftp://x",
            "https://x/path",
            "https://x/?q",
            "https://u@x",
            "https://x/#f",
            "http://evil.example",
            "http://10.0.0.1:4000",
            "http://localhost.evil.example",
        ] {
            let result = Servers::new(&config(Some(bad), None));
            assert!(
                matches!(
                    result,
                    Err(BadConfig::Url {
                        key: "accounts_url"
                    })
                ),
                "{bad}"
            );
        }
    }
}
