//! What an agent is told of a failure where that depends on the tool.

use std::borrow::Cow;

use super::ToolError;
use crate::zoho::{Code, ZohoError};

impl ToolError {
    /// The text for the agent that called `tool`: what happened, and what to do next.
    pub fn advice_to(&self, tool: &str) -> Cow<'static, str> {
        match self {
            Self::Zoho(ZohoError::NotFound) => format!(
                "No such record, or this client may not see it. Do not guess ids: {}.",
                source_of_ids(tool)
            )
            .into(),
            Self::Zoho(ZohoError::Hidden { field }) if let Some(others) = other_ways(tool) => format!(
                "The CRM does not show the field `{}` to the CRM user behind this server, so nothing \
                 was looked for by `name`; the same call will fail again. Search by {others} instead, \
                 or have an operator let that user see the field.",
                field.as_str()
            )
            .into(),
            Self::Zoho(ZohoError::Input {
                field: Some(field), ..
            }) if let Some(argument) = argument_of(tool, field) => format!(
                "Zoho CRM refused the value of `{argument}`. Correct it, or leave it out, and call \
                 again; the same arguments will fail again."
            )
            .into(),
            _ => self.advice(),
        }
    }
}

/// Where ids come from that the tool takes.
fn source_of_ids(tool: &str) -> &'static str {
    match tool {
        "get_contact" | "get_contact_history" | "update_contact" => {
            "search first (search_contacts) and use an id from the result"
        }
        "get_account_360" => "search first (search_accounts) and use an id from the result",
        "get_deal_summary" | "update_deal_stage" => {
            "look for the deal first (list_deals, or get_deal_summary without arguments) and use an \
             id from the result"
        }
        "complete_task" => {
            "look for the task first (list_activities) and use an id from the result"
        }
        "create_note" | "create_task" | "log_call" => {
            "search first (search_contacts, search_accounts, search_leads or list_deals), use an id \
             from the result, and say in `module` which of them it is of. Where both are right, the \
             CRM user behind this server may not write the field that `record_id` goes into: nothing \
             was written, and an operator can ask for the permission"
        }
        _ => "search first and use an id from the result",
    }
}

/// How else a tool searches than by name. `query` looks into all fields that are shown.
fn other_ways(tool: &str) -> Option<&'static str> {
    match tool {
        "search_contacts" | "search_leads" => Some("`query` or `email`"),
        "search_accounts" => Some("`query`"),
        _ => None,
    }
}

/// The argument by the field of Zoho's that it is compared with. Nothing that Zoho wrote is told.
fn argument_of(tool: &str, field: &Code) -> Option<&'static str> {
    Some(match field.as_str() {
        "First_Name" | "Last_Name" | "Account_Name" if other_ways(tool).is_some() => "name",
        "Owner" => "owner_id",
        "Account_Name" => "account_id",
        "Closing_Date" => "closing_from or closing_to",
        "Due_Date" | "Start_DateTime" | "Call_Start_Time" => "from or to",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tools::{find, table};

    #[test]
    fn what_is_not_found_is_looked_for_with_a_tool_that_finds_it() {
        let missing = ToolError::from(ZohoError::NotFound);
        for row in table() {
            let told = missing.advice_to(row.name);
            assert!(told.contains("Do not guess ids"), "{told}");
            let words = told.split(|c: char| !c.is_ascii_lowercase() && c != '_');
            for word in words.filter(|word| word.contains('_') && *word != "record_id") {
                assert!(find(word).is_some(), "{}: {word}", row.name);
            }
        }
        let told = missing.advice_to("complete_task");
        assert!(told.contains("list_activities") && !told.contains("search_contacts"));
    }

    #[test]
    fn an_argument_that_zoho_refuses_is_named_as_the_tool_names_it() {
        let refused_of = |tool, field: &str| {
            let (code, field) = (Code::new("INVALID_QUERY"), Some(Code::new(field)));
            let error = ToolError::from(ZohoError::Input { code, field });
            error.advice_to(tool).into_owned()
        };
        let refused = |field| refused_of("list_activities", field);
        assert!(refused_of("search_accounts", "Account_Name").contains("the value of `name`"));
        assert!(refused("Owner").contains("the value of `owner_id`"));
        assert!(refused("Account_Name").contains("the value of `account_id`"));
        assert!(refused("Their_Secret").contains("refused a value"));
    }
}
