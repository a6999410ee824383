//! Searches where fields are hidden from the CRM user behind the daemon: that there is none is not said of what
//! was not looked at.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::{
    everything_allowed,
    hidden::{contact, hide, house, open_to_an_owner},
};
use crate::{
    agent::Agent,
    house::{House, REP, REPORTING, SUPPORT},
    visibility::works_for,
};

#[tokio::test]
async fn where_it_cannot_be_asked_which_fields_are_shown_a_search_in_vain_says_so() {
    let (house, agent) = house("dropped").await;
    let down = json!({ "fault": "status", "status": 500, "path": "/crm/v8/settings/fields" });
    house.zoho.fault(down).await;
    let nobody = json!({ "email": "nobody@example.org" });
    let told = agent.call("search_contacts", nobody).await;
    assert!(told.text.contains("could not be asked"), "{}", told.text);
    assert_eq!(told.content()["items"], json!([]));
}

#[tokio::test]
async fn a_search_by_name_says_which_field_is_hidden_and_how_else_to_search() {
    let (house, agent) = house("dropped").await;
    for (hidden, tool, other) in [
        ("Contacts.First_Name", "search_contacts", "`email`"),
        ("Leads.Last_Name", "search_leads", "`email`"),
        ("Accounts.Account_Name", "search_accounts", "`query`"),
    ] {
        house.zoho.set(json!({ "hidden_fields": [hidden] })).await;
        for name in ["Giulia", "Giulia Rossi"] {
            let told = agent.call(tool, json!({ "name": name })).await.failure();
            let field = hidden.split_once('.').unwrap().1;
            let named = format!("does not show the field `{field}`");
            assert!(told.contains(&named) && told.contains(other), "{told}");
            assert!(!told.contains("account_id"), "{told}");
        }
        // What that field has is found all the same by what looks into those that are shown.
        agent
            .call(tool, json!({ "query": "example" }))
            .await
            .content();
    }
}

/// The fields of a module that have that type, as settings of the sandbox name them.
async fn fields_of(agent: &Agent, module: &str, kind: &str) -> Vec<String> {
    let asked = json!({ "module": module });
    let all = agent.call("describe_module", asked).await.content();
    let fields = all["fields"].as_array().unwrap().iter();
    let of_kind = fields.filter(|field| field["type"] == kind);
    let name = |field: &Value| field["name"].as_str().unwrap().to_owned();
    of_kind
        .map(|field| format!("{module}.{}", name(field)))
        .collect()
}

#[tokio::test]
async fn a_search_by_what_is_hidden_does_not_say_that_there_is_none() {
    let (house, agent) = house("dropped").await;
    house.zoho.set(json!({ "hidden_fields": [] })).await;
    for (tool, module, argument, value, others) in [
        (
            "search_contacts",
            "Contacts",
            "email",
            "@",
            "`query` or `name` or `phone`",
        ),
        (
            "search_leads",
            "Leads",
            "phone",
            "555",
            "`query` or `name` or `email`",
        ),
        (
            "search_accounts",
            "Accounts",
            "phone",
            "555",
            "`query` or `name` instead",
        ),
    ] {
        let search = json!({ argument: value });
        let shown = agent.call(tool, search.clone()).await.content();
        assert!(shown["count"].as_u64() > Some(0), "{tool}: {shown}");
        let kept = house.zoho.seen("GET", "/crm/v8/settings/fields").await;
        let hidden = fields_of(&agent, module, argument).await;
        house.zoho.set(json!({ "hidden_fields": hidden })).await;
        for _ in 0..2 {
            let told = agent.call(tool, search.clone()).await.failure();
            assert!(told.contains("does not show the field"), "{told}");
            let by = format!("search by `{argument}` finds nothing");
            assert!(told.contains(&by) && told.contains(others), "{told}");
        }
        // Once to know which there are, and once for both searches.
        let seen = house.zoho.seen("GET", "/crm/v8/settings/fields").await;
        assert_eq!(seen - kept, 2, "{tool}");
        let word = json!({ "query": "Zzyzx Qwertz" });
        agent.call(tool, word).await.content();
        // What is shown meanwhile is found.
        house.zoho.set(json!({ "hidden_fields": [] })).await;
        let again = agent.call(tool, search).await.content();
        assert_eq!(again["items"], shown["items"]);
    }
}

#[tokio::test]
async fn nothing_is_found_where_another_field_of_that_kind_is_shown_or_none_can_be_known() {
    let nobody = json!({ "email": "nobody@nowhere.example" });
    for (hidden, may_know) in [
        (&["Contacts.Email"][..], true),
        (&["Contacts.Email", "Contacts.Secondary_Email"], false),
    ] {
        let (house, agent) = house("dropped").await;
        house.zoho.set(json!({ "hidden_fields": hidden })).await;
        if !may_know {
            let scopes = "ZohoCRM.modules.ALL ZohoSearch.securesearch.READ ZohoCRM.org.READ";
            house.zoho.set(json!({ "scopes": scopes })).await;
        }
        for _ in 0..3 {
            let found = agent.call("search_contacts", nobody.clone()).await;
            assert_eq!(found.content()["count"], 0, "{}", found.text);
        }
        let asked = house.zoho.seen("GET", "/crm/v8/settings/fields").await;
        assert_eq!(asked, 1, "{hidden:?}");
    }
    let (house, agent) = house("dropped").await;
    let gone = json!({ "fault": "html", "path": "/crm/v8/settings/fields" });
    house.zoho.fault(gone).await;
    let found = agent.call("search_contacts", nobody).await.content();
    assert_eq!(found["count"], 0);
}

#[tokio::test]
async fn a_client_that_sees_some_owners_records_is_told_where_the_owner_is_hidden() {
    let (house, agent) = open_to_an_owner().await;
    let id = contact(&agent).await;
    let hidden = json!({ "hidden_fields": ["Contacts.Owner"] });
    house.zoho.set(hidden).await;
    let mut all_told = BTreeSet::new();
    for search in [
        json!({ "query": "example" }),
        json!({ "query": "Zzyzx Qwertz" }),
        json!({ "email": "example" }),
        json!({ "email": "nobody@nowhere.example" }),
        json!({ "phone": "555" }),
        json!({ "name": "Anna" }),
    ] {
        let told = agent.call("search_contacts", search).await.failure();
        assert!(told.contains("the field `Owner`"), "{told}");
        assert!(told.contains("operator") && !told.contains("Search by"));
        all_told.insert(told);
    }
    assert_eq!(all_told.len(), 1, "whether there is somebody shows nowhere");
    let hidden = json!({ "hidden_fields": ["Deals.Owner", "Contacts.Owner"] });
    house.zoho.set(hidden).await;
    let told = agent.call("list_deals", json!({})).await.failure();
    assert!(told.contains("the field `Owner`"), "{told}");
    // Nor does it by id.
    let one = json!({ "contact_id": id });
    let known = agent.call("get_contact", one).await.failure();
    let none = json!({ "contact_id": "6840217000009999999" });
    assert_eq!(agent.call("get_contact", none).await.failure(), known);
}

#[tokio::test]
async fn what_a_person_cannot_search_by_is_known_of_each_persons_token() {
    let house = House::with(|setup| {
        everything_allowed(setup);
        works_for(setup, REP, "user_token");
        setup.set("clients.reporting-agent.role", "customer-service");
    })
    .await;
    let hidden = ["Leads.Email", "Leads.Secondary_Email"];
    house.zoho.set(json!({ "hidden_fields": hidden })).await;
    let nobody = json!({ "email": "nobody@nowhere.example" });
    for (client, hides) in [(SUPPORT, true), (REPORTING, false)] {
        let agent = house.agent(client);
        for _ in 0..2 {
            let found = agent.call("search_leads", nobody.clone()).await.result();
            let told = found["content"][0]["text"].as_str().unwrap();
            assert_eq!(told.contains("the field `Email`"), hides, "{told}");
        }
    }
    let asked = house.zoho.seen("GET", "/crm/v8/settings/fields").await;
    assert_eq!(asked, 2, "once with each token");
}

#[tokio::test]
async fn none_found_says_which_field_was_not_searched() {
    let (house, agent) = house("dropped").await;
    for (tool, hidden, search) in [
        (
            "search_contacts",
            "Contacts.Email",
            json!({ "email": "nobody@nowhere.example" }),
        ),
        (
            "search_leads",
            "Leads.Email",
            json!({ "email": "nobody@nowhere.example" }),
        ),
        (
            "search_accounts",
            "Accounts.Phone",
            json!({ "phone": "+1 999 99" }),
        ),
    ] {
        let field = hidden.split_once('.').unwrap().1;
        let named = format!("does not show the field `{field}`");
        hide(&house, &[hidden]).await;
        for _ in 0..2 {
            let found = agent.call(tool, search.clone()).await.result();
            let told = found["content"][0]["text"].as_str().unwrap();
            assert!(told.contains(&named), "{tool}: {told}");
        }
    }
    let found = agent
        .call("search_contacts", json!({ "phone": "+1 999 99" }))
        .await;
    assert_eq!(found.content()["count"], 0);
    assert!(!found.text.contains("does not show"), "{}", found.text);
}
