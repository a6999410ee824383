//! Zoho misbehaves: what the agent hears, what the log says, and what Zoho sees of it.

mod gone;
mod left;
mod oddities;
mod reads;
mod storm;
mod writes;

use serde_json::Value;

use crate::house::{House, SUPPORT};

/// A house that does not wait long for Zoho.
async fn hasty_house() -> House {
    House::with(|setup| {
        setup.set("zoho.request_timeout", "400ms");
        setup.set("mcp.tool_timeout", "3s");
    })
    .await
}

/// A contact to ask about; asking for it also signs in and learns the organisation.
async fn contact(house: &House) -> String {
    let found = house.agent(SUPPORT).search("Popper").await.content();
    found["items"][0]["id"].as_str().unwrap().to_owned()
}

/// The last failed call in the log.
async fn failure(house: &House, error: &str) -> Value {
    house
        .recorded(error, |line| {
            line["event"] == "tool_call_error" && line["error"] == error
        })
        .await
}

/// What a page or a body of Zoho's could give away.
const SECRET: &str = "UPSTREAM-INTERNALS";
