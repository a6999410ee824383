//! What can go wrong between this daemon and Zoho, by what the caller should do about it.

pub use super::code::Code;

/// A failed exchange with Zoho. Never carries an upstream body.
#[derive(Debug, thiserror::Error)]
pub enum ZohoError {
    /// The record does not exist, or this caller may not see it: one answer for both.
    #[error("no such record")]
    NotFound,
    /// Zoho refused the input; `field` is the API name of the offending field where Zoho named it.
    #[error("zoho refused the input ({code})")]
    Input { code: Code, field: Option<Code> },
    /// Zoho would refuse or misread it, so it was not asked; `parameter` is a name in Zoho's
    /// interface.
    #[error("zoho was not asked, for it would not take this ({parameter})")]
    Unasked { parameter: Code },
    /// The token's user may not do this.
    #[error("zoho refused access ({code})")]
    Forbidden { code: Code },
    /// The token's user may not see or write that field, one of those that were asked for or about to
    /// be sent; nothing was written.
    #[error("a field is hidden from zoho's user ({})", field.as_str())]
    Hidden { field: Code },
    /// The record changed, is locked, or is in a state that does not allow this.
    #[error("the record's state does not allow this ({code})")]
    Conflict { code: Code },
    /// Too many requests at once; worth another try after a moment.
    #[error("zoho is busy")]
    Busy {
        retry_after: std::time::Duration,
        full: Full,
    },
    /// More requests wait for Zoho than can be sent soon, and this one was not sent.
    #[error("too many requests wait for zoho")]
    Overloaded { retry_after: std::time::Duration },
    /// API credits of the last 24 hours are spent, and nothing was sent.
    #[error("zoho's daily credits are spent ({})", whose.name())]
    CreditsSpent {
        retry_after: std::time::Duration,
        whose: Purse,
    },
    /// The refresh token, client id or secret is wrong or revoked: an operator has to act.
    #[error("zoho refused the credentials ({code})")]
    Credentials { code: Code },
    /// Tokens that were just minted are not taken; others are tried after a while.
    #[error("zoho does not take the tokens that it makes")]
    TokenRefused { retry_after: std::time::Duration },
    /// Too many tokens were asked for, so that none is asked for until then; nothing was sent.
    #[error("too many access tokens were asked for")]
    TokenThrottled { retry_after: std::time::Duration },
    /// Zoho did not answer, or answered with nonsense; nothing was written.
    #[error("zoho is not available ({problem})")]
    Unavailable { problem: Problem },
    /// Zoho's accounts server gave no access token, now or when it was last asked; nothing was sent
    /// to the API.
    #[error("no access token ({problem})")]
    NoToken { problem: Problem },
    /// The connection broke after a write was sent: it may or may not have happened.
    #[error("a write may or may not have happened ({problem})")]
    Ambiguous { problem: Problem },
    /// The caller cannot be seen as a CRM user, so it is not known what they may see.
    #[error("no crm user to ask as ({0})")]
    User(UserProblem),
    /// So many records match that those which may be seen cannot all be found.
    #[error("too many records match")]
    TooManyMatches,
    /// The deadline of the call passed.
    #[error("the deadline passed")]
    DeadlineExceeded,
}

impl ZohoError {
    /// Whose credits are spent, who has no room, why no answer came, or what is wrong with the user: a
    /// stable word for the audit log.
    pub const fn reason(&self) -> Option<&'static str> {
        Some(match self {
            Self::CreditsSpent { whose, .. } => whose.name(),
            Self::Busy { full, .. } => full.name(),
            Self::NoToken { .. } => "no_access_token",
            Self::Unavailable { problem } | Self::Ambiguous { problem } => problem.name(),
            Self::User(problem) => problem.name(),
            _ => return None,
        })
    }
}

/// Whose credits are spent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purse {
    /// All that the organisation has, as Zoho says.
    Zoho,
    /// All that `[zoho] daily_credits` allows.
    Organisation,
    /// What is left is kept for writes.
    Reserve,
    /// The client's share.
    Client,
}

impl Purse {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Zoho, Self::Organisation, Self::Reserve, Self::Client];

    /// For the log and the metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Zoho => "zoho",
            Self::Organisation => "organisation",
            Self::Reserve => "reserve",
            Self::Client => "client",
        }
    }
}

/// Who has no room for another request at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Full {
    /// Zoho said so.
    Zoho,
    /// As many as `[zoho] concurrency` allows were under way for as long as the request could wait.
    Ours,
}

impl Full {
    /// For the log.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Zoho => "throttled_by_zoho",
            Self::Ours => "no_place",
        }
    }
}

/// What is wrong with the CRM user behind a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UserProblem {
    #[error("no credentials")]
    NoCredentials,
    #[error("credentials refused")]
    CredentialsRefused,
    #[error("credentials of another user")]
    NotTheirs,
    #[error("unknown or not active")]
    Unknown,
    #[error("more than 100 users report to them")]
    TooManyReports,
}

impl UserProblem {
    /// For the log.
    pub const fn name(self) -> &'static str {
        match self {
            Self::NoCredentials => "no_credentials",
            Self::CredentialsRefused => "credentials_refused",
            Self::NotTheirs => "not_theirs",
            Self::Unknown => "not_active",
            Self::TooManyReports => "too_many_reports",
        }
    }
}

/// How an exchange broke.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    #[error("connection failed")]
    Connect,
    #[error("timed out")]
    Timeout,
    #[error("connection broke")]
    Broken,
    #[error("status {0}")]
    Status(u16),
    #[error("unreadable answer")]
    Unreadable,
    #[error("answer too large")]
    TooLarge,
    #[error("circuit open")]
    CircuitOpen,
}

impl Problem {
    /// For the log, the metrics and the traces.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Connect => "connect",
            Self::Timeout => "timeout",
            Self::Broken => "broken",
            Self::Status(500..) => "server_error",
            Self::Status(408) => "timeout",
            Self::Status(400..) => "refused",
            Self::Status(_) => "unexpected_status",
            Self::Unreadable => "unreadable",
            Self::TooLarge => "too_large",
            Self::CircuitOpen => "breaker_open",
        }
    }
}
