//! What an agent is told of a failure where that depends on the tool.

use std::borrow::Cow;

use super::{Row, ToolError, error::not_shown, find, made::RECORD};
use crate::{
    permit::Effect,
    zoho::{Code, ZohoError},
};

impl ToolError {
    /// The text for the agent that called `tool`: what happened, and what to do next.
    pub fn advice_to(&self, tool: &str) -> Cow<'static, str> {
        match self {
            Self::Zoho(ZohoError::NotFound) => format!(
                "No such record, or this client may not see it. Do not guess ids: {}.",
                source_of_ids(tool)
            )
            .into(),
            Self::Refused { argument: RECORD } => NOT_LINKED.into(),
            Self::Refused { argument } => {
                let remedy = remedy(tool, argument);
                format!("{} Correct it, or {remedy}", self.advice()).into()
            }
            Self::Hidden { argument } => {
                let remedy = remedy(tool, argument);
                format!("{} Instead {remedy}", self.advice()).into()
            }
            Self::Zoho(ZohoError::Input {
                field: Some(field), ..
            }) if tool == "complete_task" && field.as_str() == "Status" => NOT_COMPLETED.into(),
            Self::Zoho(ZohoError::Ambiguous { .. }) => unsure(NO_ANSWER, tool).into(),
            Self::Zoho(ZohoError::DeadlineExceeded) if writes(tool) => unsure(STOPPED, tool).into(),
            Self::Zoho(ZohoError::Hidden { field }) if is_search(tool) => {
                search_in_vain(tool, field).into()
            }
            Self::Zoho(ZohoError::Hidden { field }) => ask_instead(tool, field).into(),
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

/// What helps where the field of an argument may not be written: not all may be left out.
fn remedy(tool: &str, argument: &str) -> &'static str {
    match tool {
        _ if requires(tool, argument) => {
            "have an operator ask for the permission: this tool needs it."
        }
        "update_contact" => {
            "change only the other fields, and call again; where it is the only one, have an operator \
             ask for the permission."
        }
        _ => "leave it out, and call again; an operator can ask for the permission.",
    }
}

fn requires(tool: &str, argument: &str) -> bool {
    let required = |row: &'static Row| row.definition.input_schema.get("required")?.as_array();
    let required = find(tool).and_then(required);
    required.is_some_and(|names| names.iter().any(|name| name == argument))
}

fn writes(tool: &str) -> bool {
    find(tool).is_some_and(|row| row.effect == Effect::Write)
}

/// What to do where a write may have happened, and only a key could say whether it did. That nothing is
/// found proves nothing: it may be hidden, or attached to no record.
fn unsure(happened: &str, tool: &str) -> String {
    let keyed = "If the call had an idempotency_key, repeat it with the same key and arguments.";
    let place = match tool {
        "create_task" => {
            "get_contact_history of a contact, list_activities with `from` and `to` around its due date"
        }
        "log_call" => {
            "get_contact_history of a contact, list_activities with status all and `from` before it began"
        }
        "create_note" => "get_contact_history of a contact, get_deal_summary of a deal",
        "create_lead" => "search_leads by the name, e-mail or phone",
        _ => {
            return format!(
                "{happened} {keyed} Otherwise read the record again, and repeat the call only if it is not \
                 so yet."
            );
        }
    };
    format!(
        "{happened} {keyed} Otherwise do not call again, for it may be there already: look for it \
         ({place}). If you do not find it, it may still be there and not be shown: tell the user, who can \
         look in the CRM. With an idempotency_key the next write can be repeated."
    )
}

fn is_search(tool: &str) -> bool {
    matches!(tool, "search_contacts" | "search_leads" | "search_accounts")
}

/// A search that finds nothing, whatever there is, since the field that it looks at is hidden. `query`
/// looks into all fields that are shown.
fn search_in_vain(tool: &str, field: &Code) -> String {
    let hidden = format!(
        "The CRM does not show the field `{}` to the CRM user behind this server, so",
        field.as_str()
    );
    let Some(argument) = argument_of(tool, field) else {
        // It says whose a record is, however it is looked for.
        return format!(
            "{hidden} it is not known which records this client may see, and no search finds any, \
             whatever there is. Do not search again; have an operator let that user see the field."
        );
    };
    let is_other = |way: &&str| *way != argument && (tool != "search_accounts" || *way != "email");
    let others = ["query", "name", "email", "phone"].into_iter();
    let others: Vec<_> = others
        .filter(is_other)
        .map(|way| format!("`{way}`"))
        .collect();
    format!(
        "{hidden} a search by `{argument}` finds nothing, whatever there is; the same call will fail \
         again. Search by {} instead, or have an operator let that user see the field.",
        others.join(" or ")
    )
}

/// What else to ask where a field is hidden that the question needs, and no other can be named.
fn ask_instead(tool: &str, field: &Code) -> String {
    let instead = match (tool, field.as_str()) {
        ("list_activities", "Status" | "Call_Status") => {
            "ask with `status` all, or for other `types`, or "
        }
        ("list_activities" | "get_contact_history", _) => "ask for other `types`, or ",
        ("count_records", _) => "name another field where the call names one, or ",
        _ => "",
    };
    let so = match tool {
        "complete_task" => "nothing was written",
        _ => "this was not answered",
    };
    not_shown(field, so, instead)
}

/// The argument by the field of Zoho's that it is compared with. Nothing that Zoho wrote is told.
fn argument_of(tool: &str, field: &Code) -> Option<&'static str> {
    Some(match field.as_str() {
        "First_Name" | "Last_Name" | "Account_Name" if is_search(tool) => "name",
        "Email" if is_search(tool) => "email",
        "Phone" if is_search(tool) => "phone",
        "Owner" if is_search(tool) => return None,
        "Owner" => "owner_id",
        "Account_Name" => "account_id",
        "Closing_Date" => "closing_from or closing_to",
        "Due_Date" | "Start_DateTime" | "Call_Start_Time" => "from or to",
        _ => return None,
    })
}

const NO_ANSWER: &str = "The write was sent, but no answer came: it may or may not have happened.";
const STOPPED: &str =
    "The call took too long and was stopped: what it writes may or may not be written.";
const NOT_LINKED: &str = "Zoho CRM does not take the record of `record_id` for what is written, so nothing \
    was written, and the same arguments will fail again. It may be of another module than `module` says: \
    correct that and call again; or the CRM user behind this server may not write the field that it goes \
    into: have an operator ask for the permission.";
/// The tool sets it, and no argument does.
const NOT_COMPLETED: &str = "Zoho CRM refused the status Completed of the task, so nothing was written. The CRM \
    user behind this server may not write it, or the organisation has other choices. The same call will fail \
    again: tell the user; an operator can look into it.";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tools::table;

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
    fn a_write_that_was_stopped_is_in_doubt_and_a_question_is_not() {
        let stopped = ToolError::from(ZohoError::DeadlineExceeded);
        for row in table() {
            let told = stopped.advice_to(row.name);
            let is_write = row.effect == Effect::Write;
            assert_eq!(told.contains("may not be written"), is_write, "{told}");
            assert_eq!(told.contains("Ask for less"), !is_write, "{told}");
        }
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
