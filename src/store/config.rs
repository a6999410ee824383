//! What `[redis]` says.

use std::{borrow::Cow, fmt, num::NonZeroU32, path::PathBuf, str::FromStr, time::Duration};

use redis::{ConnectionAddr, IntoConnectionInfo as _};
use secrecy::SecretString;
use serde::{Deserialize, Deserializer, de::Error as _};

use crate::setting::{SecretRef, Span};

/// `[redis]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Where Redis is; several addresses for a cluster or for sentinels. Without one there is no
    /// Redis.
    #[serde(default, deserialize_with = "one_or_several")]
    pub url: Vec<Url>,
    /// What is at these addresses.
    pub kind: Kind,
    /// The name that the sentinels know the primary by.
    pub master: Option<String>,
    /// The user of an access control list.
    pub username: Option<String>,
    /// By reference.
    pub password: Option<SecretRef>,
    /// The sentinels' own, by reference.
    pub sentinel_password: Option<SecretRef>,
    /// The certificate authority behind `rediss://`, instead of the system's: a PEM file.
    pub ca: Option<PathBuf>,
    /// For one question, whatever becomes of it.
    pub timeout: Span,
    /// How many daemons share the limits; counted while Redis is there when it is left out.
    pub expected_replicas: Option<NonZeroU32>,
    /// What to do at start while Redis is not there.
    pub at_start: AtStart,
}

/// What is at the addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// One Redis, or a name that always leads to the primary.
    Single,
    /// Nodes of a Redis Cluster.
    Cluster,
    /// Sentinels that know where the primary is.
    Sentinel,
}

/// What to do at start while Redis is not there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AtStart {
    /// Do not start.
    Refuse,
    /// Start, as if Redis had just gone.
    Degraded,
}

/// The passwords that the configuration refers to.
#[derive(Clone, Debug, Default)]
#[expect(missing_docs, reason = "the section's keys say it")]
pub struct Passwords {
    pub redis: Option<SecretString>,
    pub sentinel: Option<SecretString>,
}

impl Config {
    /// Whether there is a Redis at all.
    pub fn is_configured(&self) -> bool {
        !self.url.is_empty()
    }

    /// Takes an address as `REDIS_URL` has it in many places, with the password in it.
    ///
    /// # Errors
    /// It is no address.
    pub fn use_url(&mut self, text: &str) -> Result<Passwords, BadStore> {
        let mut parsed = redis::parse_redis_url(text).ok_or(BadStore::Url)?;
        let decoded = |text: &str| {
            let decoded = percent_encoding::percent_decode_str(text).decode_utf8();
            decoded.map(Cow::into_owned).map_err(|_| BadStore::Url)
        };
        let password = parsed.password().map(decoded).transpose()?;
        let username = Some(parsed.username()).filter(|name| !name.is_empty());
        self.username = username.map(decoded).transpose()?;
        let bare = parsed
            .set_username("")
            .and_then(|()| parsed.set_password(None));
        bare.map_err(|()| BadStore::Url)?;
        self.url = vec![parsed.as_str().parse()?];
        Ok(Passwords {
            redis: password.map(SecretString::from),
            sentinel: None,
        })
    }

    /// What is wrong with the section.
    ///
    /// # Errors
    /// The first thing that keeps it from being used.
    pub fn check(&self) -> Result<(), BadStore> {
        let Some(first) = self.url.first() else {
            return self
                .written()
                .map_or(Ok(()), |key| Err(BadStore::NoUrl(key)));
        };
        if self.url.iter().any(|url| url.tls != first.tls) {
            return Err(BadStore::Mixed);
        }
        if self.timeout.duration() > MOST_TIMEOUT {
            return Err(BadStore::Timeout);
        }
        if self
            .expected_replicas
            .is_some_and(|it| it.get() > MOST_REPLICAS)
        {
            return Err(BadStore::Replicas);
        }
        if self.kind != Kind::Sentinel {
            if self.master.is_some() {
                return Err(BadStore::NoSentinels("master"));
            }
            if self.sentinel_password.is_some() {
                return Err(BadStore::NoSentinels("sentinel_password"));
            }
        }
        match self.kind {
            Kind::Single if self.url.len() > 1 => Err(BadStore::Several),
            Kind::Cluster if self.url.iter().any(|url| url.database != 0) => {
                Err(BadStore::ClusterDatabase)
            }
            Kind::Sentinel if self.master.is_none() => Err(BadStore::NoMaster),
            _ if self.ca.is_some() && !first.tls => Err(BadStore::CaWithoutTls),
            _ => Ok(()),
        }
    }

    /// A key that somebody has written who wants a Redis.
    fn written(&self) -> Option<&'static str> {
        let keys = [
            ("kind", self.kind != Kind::Single),
            ("master", self.master.is_some()),
            ("username", self.username.is_some()),
            ("password", self.password.is_some()),
            ("sentinel_password", self.sentinel_password.is_some()),
            ("ca", self.ca.is_some()),
            ("expected_replicas", self.expected_replicas.is_some()),
            ("at_start", self.at_start == AtStart::Refuse),
        ];
        let mut written = keys.into_iter().filter(|(_, is_written)| *is_written);
        written.next().map(|(key, _)| key)
    }
}

/// An address such as `rediss://redis.internal:6379/0`. It cannot hold a password.
#[derive(Clone, PartialEq, Eq)]
pub struct Url {
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) database: i64,
    pub(super) tls: bool,
}

impl FromStr for Url {
    type Err = BadStore;

    fn from_str(text: &str) -> Result<Self, BadStore> {
        let parsed = redis::parse_redis_url(text).ok_or(BadStore::Url)?;
        if parsed.password().is_some() || !parsed.username().is_empty() {
            return Err(BadStore::PasswordInUrl);
        }
        if parsed.query().is_some() || parsed.fragment().is_some() {
            return Err(BadStore::Url);
        }
        let info = parsed.into_connection_info().map_err(|_| BadStore::Url)?;
        let database = info.redis_settings().db();
        match info.addr() {
            ConnectionAddr::Tcp(host, port) => Ok(Self::new(host, *port, database, false)),
            ConnectionAddr::TcpTls { host, port, .. } => Ok(Self::new(host, *port, database, true)),
            _ => Err(BadStore::Url),
        }
    }
}

impl Url {
    fn new(host: &str, port: u16, database: i64, tls: bool) -> Self {
        Self {
            host: host.to_owned(),
            port,
            database,
            tls,
        }
    }
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.tls { "rediss" } else { "redis" };
        write!(f, "{scheme}://{}:{}", self.host, self.port)?;
        match self.database {
            0 => Ok(()),
            database => write!(f, "/{database}"),
        }
    }
}

impl fmt::Debug for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Why `[redis]` cannot be used.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum BadStore {
    #[error(
        "url: expected an address such as \"redis://HOST:6379\" or, with TLS, \"rediss://HOST:6379\""
    )]
    Url,
    #[error(
        "url: holds a user or a password; write them as username = \"NAME\" and password = \"env:NAME\" or \"file:PATH\" instead"
    )]
    PasswordInUrl,
    #[error("url: is missing, so {0} has no effect and each instance counts limits for itself")]
    NoUrl(&'static str),
    #[error("url: either all addresses begin with rediss:// or none does")]
    Mixed,
    #[error("url: several addresses need kind = \"cluster\" or kind = \"sentinel\"")]
    Several,
    #[error("url: a cluster has database 0 only")]
    ClusterDatabase,
    #[error("master: is missing; it is the name that the sentinels know the primary by")]
    NoMaster,
    #[error("{0}: has no effect without kind = \"sentinel\"")]
    NoSentinels(&'static str),
    #[error("timeout: is longer than 5s, for which every call would wait while Redis is frozen")]
    Timeout,
    #[error("expected_replicas: is more than 1000, so that hardly anything is left for each")]
    Replicas,
    #[error("ca: has no effect, since url does not begin with rediss://")]
    CaWithoutTls,
    #[error("ca: cannot read {}", path.display())]
    Ca {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("cannot prepare the connection")]
    Client(#[source] redis::RedisError),
}

impl BadStore {
    /// What mends it.
    pub fn remedy(&self) -> &'static str {
        match self {
            Self::PasswordInUrl => {
                "keep the password in the environment or in a file of its own, and refer to it"
            }
            Self::NoUrl(_) => {
                "write url = \"rediss://HOST:6379\" under [redis], or leave out all of its keys"
            }
            Self::Ca { .. } => "name a readable file with the certificate in PEM",
            Self::NoSentinels(_) => "set kind = \"sentinel\", or leave it out",
            Self::Timeout => "write 50ms, or up to 5s where the way to Redis is long",
            Self::Replicas => "write how many instances share the limits",
            _ => "config/default.toml shows how [redis] is written",
        }
    }
}

const MOST_TIMEOUT: Duration = Duration::from_secs(5);
const MOST_REPLICAS: u32 = 1_000;

fn one_or_several<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Url>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Written {
        One(String),
        Several(Vec<String>),
    }
    let texts = match Written::deserialize(deserializer)? {
        Written::One(text) => vec![text],
        Written::Several(texts) => texts,
    };
    if texts.is_empty() {
        return Err(D::Error::custom(
            "names no address; leave url out where there is no Redis",
        ));
    }
    let urls = texts.iter().map(|text| text.parse());
    urls.collect::<Result<_, BadStore>>()
        .map_err(|bad| D::Error::custom(bad.to_string().trim_start_matches("url: ")))
}

#[cfg(test)]
mod tests;
