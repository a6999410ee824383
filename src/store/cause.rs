//! Why Redis cannot be asked, in few words that may stand in a log.

use redis::{ErrorKind, RedisError, ServerErrorKind};

use super::tls;

/// Redis could not be asked. The caller decides what to do without it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("Redis cannot be asked: {0}")]
pub struct Unavailable(pub Cause);

impl Unavailable {
    /// Why, and what to look at.
    pub fn advice(self) -> String {
        format!("{}: {}", self.0, self.0.remedy())
    }
}

/// Why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the texts say it")]
pub enum Cause {
    NotYetAsked,
    Timeout,
    Refused,
    Lost,
    UnknownAuthority,
    WrongName,
    OutOfDate,
    CertificateDemanded,
    Tls,
    Password,
    Permission,
    ReadOnly,
    OutOfMemory,
    Loading,
    Busy,
    CannotPersist,
    NoReplicas,
    ClusterDown,
    NoPrimary,
    Restarted,
    OtherKey,
    ForeignKey,
    Other,
}

impl Cause {
    /// The name in the log.
    pub const fn name(self) -> &'static str {
        match self {
            Self::NotYetAsked => "starting",
            Self::Timeout => "timeout",
            Self::Refused => "connection_refused",
            Self::Lost => "connection_lost",
            Self::UnknownAuthority => "tls_unknown_authority",
            Self::WrongName => "tls_wrong_name",
            Self::OutOfDate => "tls_out_of_date",
            Self::CertificateDemanded => "tls_client_certificate_demanded",
            Self::Tls => "tls_failed",
            Self::Password => "wrong_password",
            Self::Permission => "no_permission",
            Self::ReadOnly => "read_only",
            Self::OutOfMemory => "out_of_memory",
            Self::Loading => "loading",
            Self::Busy => "busy_script",
            Self::CannotPersist => "cannot_persist",
            Self::NoReplicas => "no_replicas",
            Self::ClusterDown => "cluster_down",
            Self::NoPrimary => "no_primary",
            Self::Restarted => "data_lost",
            Self::OtherKey => "other_pseudonym_key",
            Self::ForeignKey => "foreign_key",
            Self::Other => "error",
        }
    }

    /// Whether asking again would be answered in the same way until somebody mends it, although
    /// Redis can be reached.
    pub const fn is_lasting(self) -> bool {
        matches!(
            self,
            Self::Password
                | Self::Permission
                | Self::OutOfMemory
                | Self::CannotPersist
                | Self::NoReplicas
                | Self::ForeignKey
                | Self::Other
        )
    }

    /// What an operator should look at.
    pub const fn remedy(self) -> &'static str {
        match self {
            Self::NotYetAsked => "wait for the first connection",
            Self::Timeout => {
                "Redis or the way to it is slower than redis.timeout; look at its slow log and at the network"
            }
            Self::Refused => "nothing listens at redis.url; start Redis or mend the address",
            Self::Lost => "the connection was cut or could not be built up; look at Redis's log",
            Self::UnknownAuthority => {
                "the certificate of Redis is of an authority that is not trusted; name its file as redis.ca"
            }
            Self::WrongName => {
                "the certificate of Redis is for another name; write a name that it has into redis.url, or give Redis another certificate"
            }
            Self::OutOfDate => {
                "the certificate of Redis is expired or not valid yet; renew it, and check the clocks"
            }
            Self::CertificateDemanded => {
                "Redis demands a client certificate, which is not supported; set its tls-auth-clients to no, and use redis.username and redis.password"
            }
            Self::Tls => {
                "the TLS handshake failed; check that redis.url leads to the TLS port of Redis and that it speaks TLS 1.2 or 1.3"
            }
            Self::Password => "check redis.username and redis.password",
            Self::Permission => {
                "the user lacks a right; it needs ~zm:* and the commands that docs/limits.md names"
            }
            Self::ReadOnly => "redis.url leads to a replica; name the primary, or use sentinels",
            Self::OutOfMemory => "Redis has reached maxmemory; give it more",
            Self::Loading => "Redis is loading its data; wait",
            Self::Busy => {
                "a script of somebody's keeps Redis from answering; SCRIPT KILL ends it, and its slow log names it"
            }
            Self::NoReplicas => {
                "Redis has fewer replicas in time than its min-replicas-to-write; mend them, or lower it"
            }
            Self::CannotPersist => "Redis cannot write its snapshot to disk; see its log",
            Self::ClusterDown => "the cluster has lost nodes; see CLUSTER INFO",
            Self::NoPrimary => "the sentinels know no primary by the name in redis.master",
            Self::Restarted => "Redis has lost data, or may have; what is known here is put back",
            Self::OtherKey => {
                "instances with another audit.pseudonym_key use this Redis, so limits are not shared with them; give all the same key"
            }
            Self::ForeignKey => {
                "somebody else has written over a key that begins with zm:; find it with SCAN and TYPE, delete it, and let nobody else write to ~zm:*"
            }
            Self::Other => "see the log of Redis",
        }
    }
}

impl std::fmt::Display for Cause {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

impl From<&RedisError> for Cause {
    fn from(error: &RedisError) -> Self {
        if error.is_connection_refusal() {
            return Self::Refused;
        }
        if error.is_timeout() {
            return Self::Timeout;
        }
        if let Some(cause) = tls::cause(error) {
            return cause;
        }
        match (error.kind(), error.code()) {
            (ErrorKind::AuthenticationFailed, _) | (_, Some("WRONGPASS" | "NOAUTH")) => {
                Self::Password
            }
            (ErrorKind::Server(ServerErrorKind::NoPerm), _) => Self::Permission,
            _ if is_denied_to_script(error) => Self::Permission,
            (ErrorKind::Server(ServerErrorKind::ReadOnly), _) => Self::ReadOnly,
            (ErrorKind::Server(ServerErrorKind::BusyLoading), _) => Self::Loading,
            (
                ErrorKind::Server(
                    ServerErrorKind::ClusterDown
                    | ServerErrorKind::MasterDown
                    | ServerErrorKind::TryAgain,
                )
                | ErrorKind::ClusterConnectionNotFound,
                _,
            ) => Self::ClusterDown,
            (
                ErrorKind::MasterNameNotFoundBySentinel | ErrorKind::NoValidReplicasFoundBySentinel,
                _,
            ) => Self::NoPrimary,
            _ if is_of_wrong_type(error) => Self::ForeignKey,
            (_, Some("BUSY")) => Self::Busy,
            (_, Some("OOM")) => Self::OutOfMemory,
            (_, Some("MISCONF")) => Self::CannotPersist,
            (_, Some("NOREPLICAS")) => Self::NoReplicas,
            (ErrorKind::Io, _) => Self::Lost,
            _ => Self::Other,
        }
    }
}

/// Out of a script Redis 6 tells the code within the sentence.
fn is_of_wrong_type(error: &RedisError) -> bool {
    let detail = error.detail().unwrap_or_default();
    error.code() == Some("WRONGTYPE") || detail.contains("WRONGTYPE Operation")
}

/// A command that a script may not run for its user has no code of its own.
fn is_denied_to_script(error: &RedisError) -> bool {
    let detail = error.detail().unwrap_or_default();
    detail.contains("The user executing the script can't")
}
