//! `whoami`: who the caller is to this server, and what it may do.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Answer, Context, Tool, ToolError, permitted};
use crate::{audit::Classes, permit::Effect, zoho::Scope};

pub(super) struct Whoami;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Input {}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Output {
    client: String,
    role: String,
    /// The person that the client works for.
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    issuer: Option<String>,
    proven_by: &'static str,
    /// All, those of an owner and their team, or what the person sees in Zoho.
    sees: &'static str,
    max_records: u32,
    may_write: bool,
    tools: Vec<&'static str>,
}

impl Tool for Whoami {
    const NAME: &'static str = "whoami";
    const TITLE: &'static str = "Who am I";
    const DESCRIPTION: &'static str = "Who you are to this server: client, role, whose records you \
        see, how many an answer may have, and the tools you may use. Costs nothing.";
    const EFFECT: Effect = Effect::Read;
    const CLASSES: Classes = &[];
    type Input = Input;
    type Output = Output;

    async fn run(call: &Context<'_>, _: Input) -> Result<Answer<Output>, ToolError> {
        let (caller, policy) = (call.caller, call.policy);
        let client = policy.clients.get(&caller.client);
        let role = client.and_then(|client| policy.roles.get(&client.role));
        let user = caller.user.as_ref();
        let output = Output {
            client: caller.client.to_string(),
            role: client
                .map_or(&caller.role, |client| &client.role)
                .to_string(),
            user: user.map(|user| user.subject.to_string()),
            issuer: user.map(|user| user.issuer.to_string()),
            proven_by: caller.proven_by.name(),
            sees: match call.grant.scope() {
                Scope::Org => "org",
                Scope::Owner(_) => "owner",
                Scope::User(_) => "user_token",
            },
            max_records: call.grant.max_records().min(super::MOST_RECORDS),
            may_write: role.is_some_and(|role| role.allow_write),
            tools: permitted(policy, caller).map(|row| row.name).collect(),
        };
        Ok(Answer {
            text: tell(&output),
            output,
            records: 0,
        })
    }
}

fn tell(output: &Output) -> String {
    let writes = if output.may_write {
        "may write"
    } else {
        "may only read"
    };
    format!(
        "You are {} with the role {}, which {writes} and has at most {} rows an answer. Tools: {}.",
        output.client,
        output.role,
        output.max_records,
        output.tools.join(", "),
    )
}
