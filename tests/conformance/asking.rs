//! Tools and prompts that ask the client before they answer, in one round or several.

use hmac::{Hmac, KeyInit as _, Mac as _};
use rmcp::{
    ErrorData,
    model::{InputRequests, InputRequiredResult, InputResponses},
};
use serde_json::Value;
use sha2::Sha256;

/// What stands under `rounds` of a fixture.
pub(crate) struct Asking<'a> {
    rounds: &'a [Value],
    /// Whether the client carries what is known from round to round.
    keeps_state: bool,
}

/// What comes next.
pub(crate) enum Next {
    Ask(InputRequiredResult),
    /// Everything was answered: these are the answers.
    Answer(String),
}

impl<'a> Asking<'a> {
    pub(crate) fn of(fixture: &'a Value) -> Option<Self> {
        Some(Self {
            rounds: fixture["rounds"].as_array()?,
            keeps_state: fixture["state"] == true,
        })
    }

    /// Goes on where the client's answers leave it.
    pub(crate) fn go_on(
        &self,
        client: &Value,
        state: Option<&str>,
        responses: Option<InputResponses>,
    ) -> Result<Next, ErrorData> {
        let round = match state {
            None => 0,
            Some(state) => unseal(state)
                .ok_or_else(|| ErrorData::invalid_params("The request state is not ours", None))?,
        };
        let asked = self.rounds.get(round).ok_or_else(unknown_round)?;
        let Some(responses) = responses else {
            return self.ask(round, client);
        };
        let is_answered = |key: &String| responses.get(key).is_some_and(Value::is_object);
        let everything = possible(asked, client).keys().all(is_answered);
        if !everything {
            return self.ask(round, client);
        }
        if round + 1 < self.rounds.len() {
            return self.ask(round + 1, client);
        }
        let told = serde_json::to_string(&responses).map_err(broken)?;
        Ok(Next::Answer(format!("state-ok: {told}")))
    }

    fn ask(&self, round: usize, client: &Value) -> Result<Next, ErrorData> {
        let asked = self.rounds.get(round).ok_or_else(unknown_round)?;
        let requests = Value::Object(possible(asked, client));
        let requests: InputRequests = serde_json::from_value(requests).map_err(broken)?;
        let state = self.keeps_state.then(|| seal(round));
        Ok(Next::Ask(InputRequiredResult::new(Some(requests), state)))
    }
}

/// The requests that this client can answer.
fn possible(asked: &Value, client: &Value) -> serde_json::Map<String, Value> {
    let declared = |request: &Value| {
        let capability = match request["method"].as_str() {
            Some("elicitation/create") => "elicitation",
            Some("sampling/createMessage") => "sampling",
            _ => "roots",
        };
        !client[capability].is_null()
    };
    let all = asked.as_object().cloned().unwrap_or_default();
    all.into_iter()
        .filter(|(_, request)| declared(request))
        .collect()
}

/// The number of a round that nobody else can make.
fn seal(round: usize) -> String {
    format!("{round}.{}", mark(round))
}

fn unseal(state: &str) -> Option<usize> {
    let (round, given) = state.split_once('.')?;
    let round = round.parse().ok()?;
    (mark(round) == given).then_some(round)
}

fn mark(round: usize) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(b"known to this server only")
        .unwrap_or_else(|_| unreachable!("a key of any length will do"));
    mac.update(&round.to_be_bytes());
    let mark = mac.finalize().into_bytes();
    mark.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unknown_round() -> ErrorData {
    ErrorData::invalid_params("There is no such round", None)
}

fn broken(error: serde_json::Error) -> ErrorData {
    ErrorData::internal_error(error.to_string(), None)
}
