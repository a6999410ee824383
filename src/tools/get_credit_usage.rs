//! `get_credit_usage`: what is left of Zoho's credits.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Answer, Context, Tool, ToolError};
use crate::{audit::Classes, permit::Effect, zoho::Usage};

pub(super) struct GetCreditUsage;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Input {}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Output {
    daily_credits: u32,
    spent: u32,
    remaining: u32,
    reserved_for_writes: u32,
    /// Of this client.
    client_share: u32,
    client_spent: u32,
    client_remaining: u32,
    /// Zoho's last word.
    #[serde(skip_serializing_if = "Option::is_none")]
    zoho_remaining: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    credits_return_after_seconds: Option<u64>,
    /// False: of this instance only.
    complete: bool,
    as_of: String,
    source: &'static str,
}

impl Tool for GetCreditUsage {
    const NAME: &'static str = "get_credit_usage";
    const TITLE: &'static str = "API credit usage";
    const DESCRIPTION: &'static str = "Zoho's API credits of 24 hours: spent and \
        left, for the organisation and this client. Costs nothing.";
    const EFFECT: Effect = Effect::Read;
    const CLASSES: Classes = &[];
    type Input = Input;
    type Output = Output;

    async fn run(call: &Context<'_>, _: Input) -> Result<Answer<Output>, ToolError> {
        let output = output(&call.crm.credit_usage().await, call.now);
        Ok(Answer {
            text: tell(&output),
            output,
            records: 0,
        })
    }
}

fn output(usage: &Usage, now: jiff::Timestamp) -> Output {
    let left = usage.daily.saturating_sub(usage.spent);
    let said = if usage.paused {
        Some(0)
    } else {
        usage.zoho_remaining
    };
    let remaining = said.map_or(left, |said| said.min(left));
    let share = usage.client_share.saturating_sub(usage.client_spent);
    Output {
        daily_credits: usage.daily,
        spent: usage.spent,
        remaining,
        reserved_for_writes: usage.reserve.min(remaining),
        client_share: usage.client_share,
        client_spent: usage.client_spent,
        client_remaining: share.min(remaining),
        zoho_remaining: said,
        credits_return_after_seconds: usage.back_after.map(|wait| wait.as_secs()),
        complete: usage.is_complete,
        as_of: now.to_string(),
        source: "daemon_ledger",
    }
}

fn tell(output: &Output) -> String {
    let wait = output.credits_return_after_seconds;
    let back = match (output.remaining, wait) {
        (0, Some(wait)) => format!(" Some should be back in {wait} seconds."),
        _ => String::new(),
    };
    format!(
        "{} of the organisation's {} credits remain, {} of them for writes only. This client has \
         spent {} of its {}.{back}",
        output.remaining,
        output.daily_credits,
        output.reserved_for_writes,
        output.client_spent,
        output.client_share,
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tools::record::tests::assert_fits;

    #[test]
    fn zoho_knows_better_what_is_left() {
        let usage = Usage {
            daily: 1000,
            reserve: 100,
            spent: 300,
            client_share: 600,
            client_spent: 200,
            zoho_remaining: Some(50),
            back_after: None,
            paused: false,
            is_complete: true,
        };
        let shown = output(&usage, jiff::Timestamp::UNIX_EPOCH);
        assert_fits("get_credit_usage", &shown);
        assert_eq!((shown.remaining, shown.client_remaining), (50, 50));
        assert_eq!(shown.reserved_for_writes, 50);
        let refused = Usage {
            paused: true,
            back_after: Some(std::time::Duration::from_secs(90)),
            ..usage
        };
        let shown = output(&refused, jiff::Timestamp::UNIX_EPOCH);
        assert_eq!((shown.remaining, shown.client_remaining), (0, 0));
        assert_eq!(shown.credits_return_after_seconds, Some(90));
        assert!(tell(&shown).contains("in 90 seconds"), "{}", tell(&shown));
        let unsaid = Usage {
            zoho_remaining: None,
            ..usage
        };
        let shown = output(&unsaid, jiff::Timestamp::UNIX_EPOCH);
        assert_eq!((shown.remaining, shown.client_remaining), (700, 400));
        assert_eq!(shown.reserved_for_writes, 100);
    }
}
