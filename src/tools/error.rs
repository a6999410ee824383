//! Why a call failed, in terms an agent can act on.

use std::{borrow::Cow, time::Duration};

use super::text::{UNTRUSTED, brief};
use crate::{
    limit::{Scarce, seconds_to_wait},
    zoho::{Code, CrmText, Purse, UserProblem, ZohoError},
};

/// Why a call failed. Its texts are ours: but for names of stages, which an agent needs to go on,
/// they hold no value that a caller or Zoho sent.
#[derive(Debug, thiserror::Error)]
pub enum ToolError {
    /// An argument is wrong: which one, and what would be right.
    #[error("argument `{argument}`: {problem}")]
    Argument {
        argument: &'static str,
        problem: &'static str,
    },
    /// The arguments do not fit the schema; the text is ours, without values.
    #[error("{0}")]
    Arguments(String),
    /// The idempotency key was used before with other arguments.
    #[error("this idempotency_key was used before with other arguments")]
    KeyReused,
    /// A call with this idempotency key is still running.
    #[error("a call with this idempotency_key is still running")]
    KeyInUse { retry_after: Duration },
    /// An earlier call with this idempotency_key may still be written.
    #[error("it is not known yet whether an earlier call with this idempotency_key was written")]
    KeyUnsettled { retry_after: Duration },
    /// Whether an earlier call with this idempotency_key was written cannot be looked up.
    #[error("it cannot be known whether an earlier call with this idempotency_key was written")]
    KeyUndecided,
    /// The client has used as many keys as are remembered.
    #[error("this client has used too many idempotency keys")]
    KeysExhausted,
    /// Redis, which may know of the key, cannot be asked.
    #[error("it is not known whether this idempotency_key was used")]
    KeysUnavailable,
    /// Zoho does not take the value of an argument.
    #[error("zoho does not take the value of `{argument}`")]
    Refused { argument: &'static str },
    /// Zoho wants a value that it was not given, or that it passed over.
    #[error("zoho has no value of `{argument}`, and wants one")]
    Required { argument: &'static str },
    /// The CRM user behind the call may not use a field.
    #[error("zoho's user may not use the field of `{argument}`")]
    Hidden { argument: &'static str },
    /// Another record has a value that has to be unique: which one, only Zoho's answer said.
    #[error("another record has this value of `{argument}`")]
    Duplicate { argument: &'static str },
    /// The stage of a deal is another than the call was made for.
    #[error("the deal is in another stage")]
    StageChanged { now: CrmText },
    /// The organisation has no such stage.
    #[error("there is no such stage")]
    UnknownStage { stages: Vec<CrmText> },
    /// The answer has no form in JSON.
    #[error("the answer could not be written as json")]
    Unwritable,
    /// The CRM could not be asked, or said no.
    #[error(transparent)]
    Zoho(#[from] ZohoError),
}

impl ToolError {
    /// The text for the agent, whichever tool it called; [`Self::advice_to`] says more.
    pub fn advice(&self) -> Cow<'static, str> {
        match self {
            Self::Argument { argument, problem } => {
                format!("Argument `{argument}`: {problem}. Correct it and call again.").into()
            }
            Self::Arguments(problem) => format!("{problem}. Correct it and call again.").into(),
            Self::KeyReused => {
                "This idempotency_key was already used with other arguments. For the \
                same write repeat the arguments exactly; for another write use a new key."
                    .into()
            }
            Self::KeyInUse { retry_after } => in_use(*retry_after).into(),
            Self::KeyUnsettled { retry_after } => {
                let seconds = seconds(*retry_after);
                format!(
                    "It is not known yet whether the first call with this idempotency_key was \
                     written. This call wrote nothing. Repeat it with the same key and arguments \
                     in {seconds}."
                )
                .into()
            }
            Self::KeyUndecided => UNDECIDED.into(),
            Self::KeysExhausted => {
                "This client has used all the idempotency keys that are remembered for 24 hours. \
                Nothing was written now. Do not retry with a new key; tell the user, or write \
                without a key where a second copy does no harm."
                    .into()
            }
            Self::KeysUnavailable => {
                "It cannot be looked up at the moment whether this idempotency_key was used. \
                Nothing was written now. Try again in 30 seconds with the same key and arguments."
                    .into()
            }
            Self::Refused { argument } => refused(argument).into(),
            Self::Required { argument } => required(argument).into(),
            Self::Hidden { argument } => hidden(argument).into(),
            Self::Duplicate { argument } => format!(
                "The CRM has a record with this value already{}, so nothing was written. Search \
                 for it; if it is not found, tell the user. The same arguments will fail again.",
                match *argument {
                    "" => String::new(),
                    argument => format!(" (`{argument}`)"),
                }
            )
            .into(),
            Self::StageChanged { now } => stage_changed(now).into(),
            Self::UnknownStage { stages } => unknown_stage(stages).into(),
            Self::Unwritable => "The answer could not be written. This is a fault of the server: \
                do not repeat the call; tell an operator."
                .into(),
            Self::Zoho(error) => zoho_advice(error),
        }
    }

    /// What Zoho has too little of, where that is why, and after how many seconds there may be some.
    pub fn shortage(&self) -> Option<(Scarce, u64)> {
        let of = match self {
            Self::Zoho(ZohoError::CreditsSpent { .. }) => Scarce::Credits,
            Self::Zoho(ZohoError::Overloaded { .. }) => Scarce::Places,
            _ => return None,
        };
        Some((of, self.retry_after_seconds()?))
    }

    /// After how many seconds another try may go well, where the advice says so.
    pub fn retry_after_seconds(&self) -> Option<u64> {
        let wait = match self {
            Self::KeyInUse { retry_after } | Self::KeyUnsettled { retry_after } => *retry_after,
            Self::KeysUnavailable => A_WHILE,
            Self::Zoho(error) => match error {
                ZohoError::Busy { retry_after, .. }
                | ZohoError::Overloaded { retry_after }
                | ZohoError::CreditsSpent { retry_after, .. }
                | ZohoError::TokenRefused { retry_after }
                | ZohoError::TokenThrottled { retry_after } => *retry_after,
                ZohoError::Unavailable { .. } | ZohoError::NoToken { .. } => A_WHILE,
                _ => return None,
            },
            _ => return None,
        };
        Some(seconds_to_wait(wait))
    }

    /// What the kind leaves open, where Zoho is why: a stable word for the audit log.
    pub fn reason(&self) -> Option<&'static str> {
        match self {
            Self::Zoho(error) => error.reason(),
            _ => None,
        }
    }

    /// A stable word for the audit log.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Argument { .. } | Self::Arguments(_) => "invalid_arguments",
            Self::KeyReused => "idempotency_key_reused",
            Self::KeyInUse { .. } => "idempotency_key_in_use",
            Self::KeyUnsettled { .. } => "idempotency_key_unsettled",
            Self::KeysExhausted => "idempotency_keys_exhausted",
            Self::KeysUnavailable => "idempotency_keys_unavailable",
            Self::Refused { .. } | Self::Required { .. } => "zoho_refused_input",
            Self::Hidden { .. } | Self::KeyUndecided => "zoho_forbidden",
            Self::Duplicate { .. } => "duplicate",
            Self::StageChanged { .. } => "stage_changed",
            Self::UnknownStage { .. } => "unknown_stage",
            Self::Unwritable => "internal",
            Self::Zoho(error) => match error {
                ZohoError::NotFound => "not_found",
                ZohoError::Input { .. } => "zoho_refused_input",
                ZohoError::Unasked { .. } => "invalid_arguments",
                ZohoError::Forbidden { .. } | ZohoError::Hidden { .. } => "zoho_forbidden",
                ZohoError::Conflict { .. } => "zoho_conflict",
                ZohoError::Busy { .. } => "zoho_busy",
                ZohoError::Overloaded { .. } => "overloaded",
                ZohoError::CreditsSpent { .. } => "zoho_credits_spent",
                ZohoError::Credentials { .. } => "zoho_credentials",
                ZohoError::TokenRefused { .. } => "zoho_token_refused",
                ZohoError::TokenThrottled { .. } => "zoho_token_throttled",
                ZohoError::Unavailable { .. } | ZohoError::NoToken { .. } => "zoho_unavailable",
                ZohoError::Ambiguous { .. } => "ambiguous_write",
                ZohoError::User(_) => "zoho_user",
                ZohoError::TooManyMatches => "too_many_matches",
                ZohoError::DeadlineExceeded => "deadline_exceeded",
            },
        }
    }
}

fn in_use(retry_after: Duration) -> String {
    let seconds = seconds(retry_after);
    format!(
        "A call with this idempotency_key is still running; it ends within {seconds}. Then repeat \
         this call with the same key to get its result."
    )
}

fn required(argument: &str) -> String {
    format!(
        "Zoho CRM has no value of `{argument}` and wants one, so nothing was written. Give it; where \
         this call did, the CRM user behind this server may not write that field: have an operator \
         ask for the permission, as the same arguments will fail again."
    )
}

fn refused(argument: &str) -> String {
    format!(
        "Zoho CRM does not take this value of `{argument}`; nothing was written, and the same arguments \
         will fail again. Where the field is a list of choices it has to be one of them, spelled alike; \
         or the CRM user behind this server may not write it."
    )
}

fn hidden(argument: &str) -> String {
    format!(
        "The CRM user behind this server may not use the field of `{argument}`, so nothing was \
         written; the same arguments will fail again."
    )
}

/// `so` is what came of it, and `instead` what else may be asked.
pub(super) fn not_shown(field: &Code, so: &str, instead: &str) -> String {
    format!(
        "The CRM does not show the field `{}` to the CRM user behind this server, or lets nobody ask for \
         it, so {so}. The same call will fail again: {instead}have an operator let that user see it.",
        field.as_str()
    )
}

fn stage_changed(now: &CrmText) -> String {
    let now = brief(now);
    format!(
        "The deal is not in the stage that was expected, or was changed meanwhile: its stage is now \
         \"{now}\". This call wrote nothing. Look at the deal again (get_deal_summary) and decide \
         anew; for another try use a new idempotency_key. {UNTRUSTED}"
    )
}

fn unknown_stage(stages: &[CrmText]) -> String {
    let names: Vec<String> = stages.iter().take(MOST_STAGES).map(brief).collect();
    let names = names.join(", ");
    format!(
        "Argument `stage` is no stage of a deal, so nothing was done. The stages are: {names}. \
         {UNTRUSTED}"
    )
}

fn zoho_advice(error: &ZohoError) -> Cow<'static, str> {
    match error {
        ZohoError::NotFound => "No such record, or this client may not see it.".into(),
        ZohoError::Input { .. } => {
            "Zoho CRM refused a value. Check ids, dates and lengths, change \
            the arguments and call again; the same arguments will fail again."
                .into()
        }
        ZohoError::Unasked { .. } => "This server did not ask Zoho CRM, which does not take such a \
            value: check dates and lengths, change the arguments and call again; the same arguments \
            will fail again."
            .into(),
        ZohoError::Hidden { field } => not_shown(field, "this was not answered", "").into(),
        ZohoError::Forbidden { .. } => "The CRM user behind this server may not do this. Do not \
            repeat the call; ask an operator for the permission."
            .into(),
        ZohoError::Conflict { .. } => "The record is locked, was changed meanwhile, or its state \
            does not allow this. Read it again before another try."
            .into(),
        ZohoError::Busy { retry_after, .. } | ZohoError::Overloaded { retry_after } => {
            let seconds = seconds(*retry_after);
            format!("Zoho CRM is busy. Try again in {seconds}.").into()
        }
        ZohoError::CreditsSpent { retry_after, whose } => {
            let (spent, passed) = (spent(*whose), passed(*retry_after));
            format!("{spent}. Do not retry before {passed} passed; tell the user.").into()
        }
        ZohoError::Credentials { .. } => "Zoho CRM refuses this server's credentials. An operator \
            has to act; retrying does not help."
            .into(),
        ZohoError::TokenRefused { retry_after } => token_refused(*retry_after).into(),
        ZohoError::TokenThrottled { retry_after } => token_throttled(*retry_after).into(),
        ZohoError::Unavailable { .. } | ZohoError::NoToken { .. } => {
            "Zoho CRM does not answer. This call changed nothing. Try again \
            in 30 seconds; if it fails again, tell the user."
                .into()
        }
        ZohoError::Ambiguous { .. } => "The write was sent, but no answer came: it may or may not \
            have happened."
            .into(),
        ZohoError::User(problem) => user_advice(*problem).into(),
        ZohoError::TooManyMatches => "More records match than can be looked through. Search for \
            something more precise: an e-mail address, or more words."
            .into(),
        ZohoError::DeadlineExceeded => "The call took too long and was stopped. Ask for less \
            (a smaller limit, fewer types, a shorter period) or try again in 30 seconds."
            .into(),
    }
}

fn token_refused(retry_after: Duration) -> String {
    let seconds = seconds(retry_after);
    format!(
        "Zoho CRM does not accept its access token at the moment. This call changed nothing. Try again in \
         {seconds}; if it stays, tell an operator."
    )
}

fn token_throttled(retry_after: Duration) -> String {
    let passed = passed(retry_after);
    format!(
        "This server has asked Zoho CRM for too many access tokens and gets no other yet. Nothing \
         was changed. Do not retry before {passed} passed; tell the user."
    )
}

/// In minutes from a minute and a half on, and in hours from two.
fn passed(span: Duration) -> String {
    let seconds = seconds_to_wait(span);
    match (seconds, seconds.div_ceil(60)) {
        (1, _) => "1 second has".to_owned(),
        (..90, _) => format!("{seconds} seconds have"),
        (_, minutes @ ..120) => format!("{minutes} minutes have"),
        (_, minutes) => format!("{} hours have", minutes.div_ceil(60)),
    }
}

fn spent(whose: Purse) -> &'static str {
    match whose {
        Purse::Zoho | Purse::Organisation => {
            "The organisation's Zoho API credits of 24 hours are spent"
        }
        Purse::Reserve => {
            "What is left of the organisation's Zoho API credits of 24 hours is kept for writes"
        }
        Purse::Client => "This client's share of the Zoho API credits of 24 hours is spent",
    }
}

/// Who has to do what before a call for this user can succeed; retrying does not help.
fn user_advice(problem: UserProblem) -> &'static str {
    match problem {
        UserProblem::NoCredentials => {
            "This user has not connected their Zoho CRM account to this server, so nothing can be \
             read or written for them. Tell the user to have an operator store their Zoho \
             refresh token; do not retry before."
        }
        UserProblem::CredentialsRefused => {
            "Zoho CRM no longer accepts this user's consent. Tell the user to grant it again and \
             to have an operator store the new refresh token; do not retry before."
        }
        UserProblem::NotTheirs => {
            "The Zoho credential stored for this user belongs to somebody else, so it is not \
             used. Tell the user to have an operator store the right one; do not retry before."
        }
        UserProblem::Unknown => {
            "The CRM user that this client works for does not exist or is not active. Tell the \
             user to ask an operator; do not retry before."
        }
        UserProblem::TooManyReports => {
            "More than 100 people report to the CRM user that this client works for, which is \
             more than one query can name. Tell the user to ask an operator for another \
             visibility; do not retry before."
        }
    }
}

fn seconds(time: Duration) -> String {
    match seconds_to_wait(time) {
        1 => "1 second".into(),
        seconds => format!("{seconds} seconds"),
    }
}

const UNDECIDED: &str = "It cannot be looked up whether an earlier call with this idempotency_key was \
    written: what would tell is hidden from the CRM user behind this server, or Zoho CRM may not have kept \
    it. This call wrote nothing. If you sent this key before, do not call again, with this key or another, for it \
    may be there already: tell the user, who can look in the CRM. Only if you never did, or the user says that it \
    is not there, call without an idempotency_key.";
/// What the advice calls 30 seconds: nobody knows how long it takes.
const A_WHILE: Duration = Duration::from_secs(30);
/// Of a pipeline; there are hardly more than ten.
const MOST_STAGES: usize = 50;

#[cfg(test)]
mod tests;
