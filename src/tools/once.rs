//! Writes that are made once, whatever happens on the way: the key is recorded before Zoho hears
//! of the write, and after a lost answer it is looked at what is true before anything is sent again.

mod receipt;

use std::future::Future;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

pub(super) use self::receipt::{Looked, Outcome, Receipt};
use super::{
    Context, ToolError,
    idempotency::{Begun, Claim, Key},
};
use crate::zoho::{RecordId, ZohoError};

/// A write as its tool knows it.
pub(super) trait Once: Sync {
    /// The name of the tool: keys are its own.
    const TOOL: &'static str;
    /// Which argument each of Zoho's fields comes from, to say which of them Zoho refuses.
    const FIELDS: &'static [(&'static str, &'static str)];
    /// Whether it makes a record, which then is that of one call and no other's.
    const CREATES: bool;

    /// A digest of the arguments as they came.
    fn arguments(&self) -> [u8; 32];

    /// Sends it, once. Where an earlier attempt may have come through, `since` says when it began;
    /// a change finds out by itself whether it did.
    fn write(
        &self,
        call: &Context<'_>,
        since: Option<Timestamp>,
    ) -> impl Future<Output = Result<Receipt, ToolError>> + Send;

    /// Looks for the record that an attempt which began at `since` may have made.
    fn look(
        &self,
        _call: &Context<'_>,
        _since: Timestamp,
    ) -> impl Future<Output = Result<Looked, ToolError>> + Send {
        async { Ok(Looked::default()) }
    }

    /// Zoho's names of the fields that a record which was made does not hold, where that can be looked up.
    fn not_kept(
        &self,
        _call: &Context<'_>,
        _made: &RecordId,
    ) -> impl Future<Output = Option<Vec<&'static str>>> + Send {
        async { Some(Vec::new()) }
    }
}

/// Makes a write, once for each key.
pub(super) async fn once<W: Once>(
    call: &Context<'_>,
    key: Option<&Key>,
    write: &W,
) -> Result<Receipt, ToolError> {
    let Some(key) = key else {
        let receipt = send(call, write, None).await?;
        receipt.note(call);
        if W::CREATES {
            let id = receipt.id.as_str();
            call.idempotency.wrote(id, call.now).await;
        }
        return Ok(receipt.compared(call, write).await);
    };
    let whose = (call.client, call.crm.scope());
    let begun = call
        .idempotency
        .begin(whose, W::TOOL, key, write.arguments(), call.now);
    match begun.await? {
        Begun::New(claim) => attempt(call, claim, write, None).await,
        Begun::Done(result) => {
            let kept: Kept = serde_json::from_value(result).map_err(|_| ToolError::Unwritable)?;
            let receipt = kept.replayed::<W>();
            receipt.note(call);
            Ok(receipt)
        }
        // What is changed again to what it is stays as it is, and what is made is looked for.
        Begun::Forgotten(claim, since) => {
            let begun = by_zohos_clock(since, call.crm.clock_ahead());
            match find(call, &claim, write, begun.earliest).await? {
                Some(found) => conclude(call, claim, write, found).await,
                None => attempt(call, claim, write, None).await,
            }
        }
        // A failed look-up drops the claim, and the fate of the write stays unknown.
        Begun::Unknown(mut claim, since) => {
            // What is not there yet at this look may come after it.
            let doubtful = claim.doubtful();
            let begun = by_zohos_clock(since, call.crm.clock_ahead());
            if let Some(found) = find(call, &claim, write, begun.earliest).await? {
                return conclude(call, claim, write, found).await;
            }
            if let Some(retry_after) = doubtful {
                return Err(ToolError::KeyUnsettled { retry_after });
            }
            claim.resend().await?;
            attempt(call, claim, write, Some(begun.at)).await
        }
    }
}

/// A record that an earlier attempt made, and that from now on is this claim's.
async fn find<W: Once>(
    call: &Context<'_>,
    claim: &Claim,
    write: &W,
    earliest: Timestamp,
) -> Result<Option<Receipt>, ToolError> {
    let looked = write.look(call, earliest).await;
    let looked = looked.map_err(|error| match error {
        // It may be there, and nothing that is asked would show it.
        ToolError::Zoho(ZohoError::Hidden { .. }) => ToolError::KeyUndecided,
        other => other,
    });
    let looked = looked?;
    for found in looked.these {
        if claim.take(found.id.as_str()).await? {
            return Ok(Some(found));
        }
    }
    match looked.or_another {
        true => Err(ToolError::KeyUndecided),
        false => Ok(None),
    }
}

/// Writes under a claim. A clean failure frees the key, unless an earlier attempt may have come
/// through: that stays unknown.
async fn attempt<W: Once>(
    call: &Context<'_>,
    claim: Claim,
    write: &W,
    since: Option<Timestamp>,
) -> Result<Receipt, ToolError> {
    match send(call, write, since).await {
        Ok(mut receipt) => {
            if since.is_some() && receipt.outcome == Outcome::Unchanged {
                receipt.outcome = Outcome::Found;
            }
            conclude(call, claim, write, receipt).await
        }
        Err(error) => {
            if since.is_none() && is_clean(&error) {
                claim.forget().await;
            }
            Err(error)
        }
    }
}

/// Says of a refusal which argument it is about.
async fn send<W: Once>(
    call: &Context<'_>,
    write: &W,
    since: Option<Timestamp>,
) -> Result<Receipt, ToolError> {
    let sent = write.write(call, since).await;
    sent.map_err(|error| {
        let argument = |field: &str| W::FIELDS.iter().find(|(theirs, _)| *theirs == field);
        let (code, field) = match &error {
            ToolError::Zoho(ZohoError::Hidden { field }) => {
                return match argument(field.as_str()) {
                    Some((_, argument)) => ToolError::Hidden { argument },
                    None => error,
                };
            }
            ToolError::Zoho(ZohoError::Input { code, field }) => (code, field),
            _ => return error,
        };
        let field = field.as_ref().map_or("", |field| field.as_str());
        match (argument(field), code.as_str()) {
            (argument, "DUPLICATE_DATA") => ToolError::Duplicate {
                argument: argument.map_or("", |(_, ours)| ours),
            },
            // It goes along wherever the schema wants it.
            (Some((_, argument)), "MANDATORY_NOT_FOUND") => ToolError::Required { argument },
            (Some((_, argument)), _) => ToolError::Refused { argument },
            (None, _) => error,
        }
    })
}

/// Keeps what came of a write under its key.
async fn conclude<W: Once>(
    call: &Context<'_>,
    mut claim: Claim,
    write: &W,
    receipt: Receipt,
) -> Result<Receipt, ToolError> {
    receipt.note(call);
    finish::<W>(&mut claim, &receipt).await?;
    let receipt = receipt.compared(call, write).await;
    if !receipt.not_kept.is_empty() || receipt.is_unchecked {
        finish::<W>(&mut claim, &receipt).await?;
    }
    Ok(receipt)
}

/// What is remembered of a write: no word of it.
#[derive(Serialize, Deserialize)]
struct Kept {
    id: RecordId,
    created_time: Option<String>,
    /// Names of arguments.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    not_kept: Vec<Box<str>>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    is_unchecked: bool,
}

impl Kept {
    fn replayed<W: Once>(self) -> Receipt {
        let arguments = W::FIELDS.iter().map(|(_, ours)| *ours);
        let lost = |argument: &&str| self.not_kept.iter().any(|lost| **lost == **argument);
        let mut not_kept: Vec<_> = arguments.filter(lost).collect();
        // One argument may go into several fields.
        not_kept.dedup();
        Receipt {
            not_kept,
            is_unchecked: self.is_unchecked,
            id: self.id,
            time: self.created_time,
            outcome: Outcome::Replayed,
        }
    }
}

async fn finish<W: Once>(claim: &mut Claim, receipt: &Receipt) -> Result<(), ToolError> {
    let kept = Kept {
        id: receipt.id.clone(),
        created_time: receipt.time.clone(),
        not_kept: receipt.not_kept.iter().map(|it| (*it).into()).collect(),
        is_unchecked: receipt.is_unchecked,
    };
    let result = serde_json::to_value(kept).map_err(|_| ToolError::Unwritable)?;
    let made = W::CREATES.then(|| receipt.id.as_str());
    claim.finish(made, result).await;
    Ok(())
}

/// When an attempt began, by Zoho's clock.
struct Began {
    at: Timestamp,
    /// What it made was made no earlier.
    earliest: Timestamp,
}

fn by_zohos_clock(begun: Timestamp, ahead: Option<SignedDuration>) -> Began {
    let (ahead, margin) = match ahead {
        Some(ahead) => (ahead, SECOND_HANDS),
        None => (SignedDuration::ZERO, CLOCK_SKEW),
    };
    let at = begun.checked_add(ahead).unwrap_or(begun);
    // Zoho's clock may have been put right between the attempt and its last answer. What a record
    // holds and whose it is says more than its time.
    let earliest = at.min(begun);
    Began {
        at,
        earliest: earliest.checked_sub(margin).unwrap_or(earliest),
    }
}

/// Whether a failed write surely wrote nothing.
fn is_clean(error: &ToolError) -> bool {
    !matches!(
        error,
        ToolError::Zoho(ZohoError::Ambiguous { .. } | ZohoError::DeadlineExceeded)
    )
}

/// Zoho's times are cut to the second, both that of the record and that of its clock.
const SECOND_HANDS: SignedDuration = SignedDuration::from_secs(2);
/// While Zoho has not said what time it is.
const CLOCK_SKEW: SignedDuration = SignedDuration::from_mins(2);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::zoho::error::Problem;

    #[test]
    fn a_record_is_as_old_as_zohos_clock_says() {
        let begun: Timestamp = "2026-01-01T12:00:00Z".parse().unwrap();
        let at = |ahead| by_zohos_clock(begun, ahead).earliest.to_string();
        assert_eq!(at(None), "2026-01-01T11:58:00Z");
        let ahead = SignedDuration::from_secs;
        assert_eq!(at(Some(ahead(0))), "2026-01-01T11:59:58Z");
        assert_eq!(at(Some(ahead(-60))), "2026-01-01T11:58:58Z");
        assert_eq!(at(Some(ahead(300))), "2026-01-01T11:59:58Z");
    }

    #[test]
    fn only_a_failure_that_surely_wrote_nothing_frees_the_key() {
        let clean = |error: ZohoError| is_clean(&error.into());
        assert!(clean(ZohoError::NotFound));
        assert!(clean(ZohoError::Unavailable {
            problem: Problem::Connect
        }));
        assert!(!clean(ZohoError::Ambiguous {
            problem: Problem::Broken
        }));
        assert!(!clean(ZohoError::DeadlineExceeded));
    }
}
