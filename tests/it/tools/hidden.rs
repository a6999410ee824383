//! Fields that are hidden from the CRM user behind the daemon: what Zoho passes over or refuses is
//! told.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::everything_allowed;
use crate::{
    agent::Agent,
    house::{House, REP, REPORTING, SUPPORT, Setup},
    redis::Redis,
    visibility::works_for,
};

pub(super) async fn house(writes: &str) -> (House, Agent) {
    house_with(writes, |_| ()).await
}

async fn house_with(writes: &str, change: impl FnOnce(&mut Setup)) -> (House, Agent) {
    let house = House::with(|setup| {
        change(setup);
        everything_allowed(setup);
        setup.zoho_user("rep-1");
        // An attempt that was lost is in doubt for twice as long.
        setup.set("zoho.request_timeout", "600ms");
    })
    .await;
    let hidden = ["Leads.Email", "Tasks.Priority", "Contacts.Mobile"];
    let settings = json!({ "hidden_fields": hidden, "hidden_writes": writes });
    house.zoho.set(settings).await;
    let agent = house.agent(SUPPORT);
    (house, agent)
}

pub(super) async fn contact(agent: &Agent) -> Value {
    let any = json!({ "query": "example", "limit": 1 });
    let found = agent.call("search_contacts", any).await.content();
    found["items"][0]["id"].clone()
}

fn lead(email: Option<&str>) -> Value {
    json!({ "last_name": "Hiddenfield", "company": "Veil & Co", "phone": "+1 555 0100",
        "email": email })
}

#[tokio::test]
async fn what_zoho_passes_over_is_told_and_looked_at_once_an_hour() {
    let (house, agent) = house("dropped").await;
    let made = agent
        .call("create_lead", lead(Some("h@veil.example")))
        .await;
    assert_eq!(made.content()["notKept"], json!(["email"]));
    assert!(made.told().contains("did not keep"), "{}", made.told());
    let asked = house.zoho.seen("GET", "/crm/v8/Leads/").await;
    assert_eq!(asked, 1);
    let made = agent.call("create_lead", lead(None)).await;
    assert_eq!(made.content().get("notKept"), None);
    assert_eq!(house.zoho.seen("GET", "/crm/v8/Leads/").await, asked);
    let about = contact(&agent).await;
    let task = json!({ "record_id": about, "subject": "Look behind", "priority": "High" });
    let made = agent.call("create_task", task).await.content();
    assert_eq!(made["notKept"], json!(["priority"]));
}

#[tokio::test]
async fn what_zoho_passed_over_is_told_by_the_key_too() {
    let redis = Redis::start();
    let sharing = |setup: &mut Setup| {
        setup.set("redis.url", &redis.url());
        setup.set("redis.timeout", "2s");
    };
    let (house, agent) = house_with("dropped", sharing).await;
    let mut lead = lead(Some("h@veil.example"));
    lead["idempotency_key"] = json!("veiled");
    let made = agent.call("create_lead", lead.clone()).await.content();
    let other = house.replica(|_| ()).await;
    for agent in [agent, other.agent(SUPPORT)] {
        let again = agent.call("create_lead", lead.clone()).await.content();
        assert_eq!(again["outcome"], "replayed");
        assert_eq!(again["recordId"], made["recordId"]);
        assert_eq!(again["notKept"], json!(["email"]));
    }
}

#[tokio::test]
async fn what_zoho_refuses_names_the_argument_and_writes_nothing() {
    let (house, agent) = house("refused").await;
    let told = agent
        .call("create_lead", lead(Some("h@veil.example")))
        .await;
    let told = told.failure();
    assert!(
        told.contains("`email`") && told.contains("may not write"),
        "{told}"
    );
    assert_eq!(house.zoho.written("Leads").await, 0);
    agent.call("create_lead", lead(None)).await.content();
    // Of a record that is there already it is known before anything is sent.
    let change = json!({ "contact_id": contact(&agent).await, "mobile": "+1 555 0101" });
    let told = agent.call("update_contact", change).await.failure();
    assert!(
        told.contains("`mobile`") && told.contains("may not use"),
        "{told}"
    );
    assert_eq!(house.zoho.seen("PUT", "/crm").await, 0);
}

#[tokio::test]
async fn a_lead_that_was_made_without_the_hidden_field_is_found_again() {
    let (house, agent) = house("dropped").await;
    let lost = json!({ "fault": "reset_after_commit", "path": "/crm/v8/Leads", "times": 1 });
    house.zoho.fault(lost).await;
    let mut lead = lead(Some("h@veil.example"));
    lead["idempotency_key"] = json!("behind-a-veil");
    agent.call("create_lead", lead.clone()).await.failure();
    let mut made = json!({ "isError": true });
    while made["isError"] == true {
        made = agent.call("create_lead", lead.clone()).await.result();
        let told = made["content"][0]["text"].as_str().unwrap();
        assert!(!told.contains("refused a value"), "{told}");
    }
    assert_eq!(made["structuredContent"]["outcome"], "found", "{made}");
    assert_eq!(made["structuredContent"]["notKept"], json!(["email"]));
    assert_eq!(house.zoho.written("Leads").await, 1);
}

/// A task and a call about a contact and about a deal, and the field that links them.
pub(super) async fn links(agent: &Agent) -> Vec<(&'static str, Value, String)> {
    let mut links = Vec::new();
    let deals = agent.call("list_deals", json!({ "limit": 1 })).await;
    let deal = deals.content()["items"][0]["id"].clone();
    for (about, id, link) in [
        ("Contacts", contact(agent).await, "Who_Id"),
        ("Deals", deal, "What_Id"),
    ] {
        let task = json!({ "record_id": id, "module": about, "subject": "Link" });
        let mut call = task.clone();
        call["direction"] = json!("Outbound");
        call["start_time"] = json!("2025-01-02T10:00:00Z");
        call["duration_minutes"] = json!(5);
        links.push(("create_task", task, format!("Tasks.{link}")));
        links.push(("log_call", call, format!("Calls.{link}")));
    }
    links
}

pub(super) async fn hide(house: &House, fields: &[&str]) {
    house.zoho.set(json!({ "hidden_fields": fields })).await;
}

#[tokio::test]
async fn what_is_attached_to_no_record_says_so_and_says_it_again() {
    let (house, agent) = house("dropped").await;
    for (tool, mut write, link) in links(&agent).await {
        hide(&house, &[&link]).await;
        write["idempotency_key"] = json!(link);
        for outcome in ["created", "replayed"] {
            let made = agent.call(tool, write.clone()).await;
            assert!(
                made.text.contains("not attached to the record"),
                "{}",
                made.text
            );
            let made = made.content();
            assert_eq!(made["outcome"], outcome);
            assert_eq!(made["notKept"], json!(["record_id"]), "{link}");
        }
    }
    hide(&house, &[]).await;
    for (tool, write, _) in links(&agent).await {
        let made = agent.call(tool, write).await.content();
        assert_eq!(made.get("notKept"), None, "{made}");
    }
    // What is kept is known now.
    let looks = async || {
        house.zoho.seen("GET", "/crm/v8/Tasks/").await
            + house.zoho.seen("GET", "/crm/v8/Calls/").await
    };
    let before = looks().await;
    for (tool, write, _) in links(&agent).await {
        agent.call(tool, write).await.content();
    }
    assert_eq!(looks().await, before);
}

#[tokio::test]
async fn a_link_that_zoho_refuses_is_told_as_the_argument() {
    let (house, agent) = house("refused").await;
    for (tool, write, link) in links(&agent).await {
        hide(&house, &[&link]).await;
        let told = agent.call(tool, write).await.failure();
        let named = told.contains("`record_id`") && told.contains("may not write");
        assert!(named, "{link}: {told}");
    }
    let written = house.zoho.written("Tasks").await + house.zoho.written("Calls").await;
    assert_eq!(written, 0);
    hide(&house, &[]).await;
    for (tool, write, _) in links(&agent).await {
        agent.call(tool, write).await.content();
    }
}

#[tokio::test]
async fn a_note_whose_record_zoho_passes_over_is_not_made_and_the_argument_is_named() {
    let (house, agent) = house("dropped").await;
    let note = json!({ "record_id": contact(&agent).await, "content": "Nowhere" });
    hide(&house, &["Notes.Parent_Id"]).await;
    let told = agent.call("create_note", note.clone()).await.failure();
    let named = told.contains("`record_id`") && told.contains("may not write that field");
    assert!(named && !told.contains("leave it out"), "{told}");
    assert_eq!(house.zoho.notes_written().await, 0);
    hide(&house, &[]).await;
    agent.call("create_note", note).await.content();
}

/// Loses the answer of a write, and repeats it until its fate is told, with those fields hidden.
pub(super) async fn lost(
    house: &House,
    agent: &Agent,
    write: (&str, Value),
    hidden: &[&str],
) -> Value {
    let (tool, mut write) = write;
    write["idempotency_key"] = json!("lost");
    let lost = json!({ "fault": "reset_after_commit", "method": "POST", "path": "/crm/v8/Tasks",
        "times": 1 });
    house.zoho.fault(lost).await;
    agent.call(tool, write.clone()).await.failure();
    hide(house, hidden).await;
    loop {
        let again = agent.call(tool, write.clone()).await.result();
        let told = again["content"][0]["text"].as_str().unwrap();
        if !told.contains("not known yet") {
            return again;
        }
    }
}

#[tokio::test]
async fn a_lost_write_that_cannot_be_found_is_not_sent_again() {
    for at in [0, 2] {
        let (house, agent) = house("dropped").await;
        let (tool, write, link) = links(&agent).await.swap_remove(at);
        hide(&house, &[&link]).await;
        let told = lost(&house, &agent, (tool, write), &[&link]).await;
        let text = told["content"][0]["text"].as_str().unwrap();
        assert!(text.contains("do not call again"), "{told}");
        assert_eq!(house.zoho.written("Tasks").await, 1);
    }
}

#[tokio::test]
async fn a_lost_write_without_its_link_is_found_where_the_link_is_shown_again() {
    for at in [0, 2] {
        let (house, agent) = house("dropped").await;
        let (tool, write, link) = links(&agent).await.swap_remove(at);
        hide(&house, &[&link]).await;
        let told = lost(&house, &agent, (tool, write), &[]).await;
        let made = &told["structuredContent"];
        assert_eq!(made["outcome"], "found", "{told}");
        assert_eq!(made["notKept"], json!(["record_id"]));
        assert_eq!(house.zoho.written("Tasks").await, 1);
    }
}

#[tokio::test]
async fn without_probabilities_what_is_weighed_is_unknown_and_the_rest_is_told() {
    let (house, agent) = house("dropped").await;
    let year = json!({ "period": "this_year" });
    let shown = agent.call("get_pipeline", json!({})).await.content();
    let forecast = agent.call("get_forecast", year.clone()).await.content();
    assert!(shown["weightedAmount"].is_number() && forecast["expectedAmount"].is_number());
    let hidden = json!({ "hidden_fields": ["Deals.Probability"] });
    house.zoho.set(hidden).await;
    let pipeline = agent.call("get_pipeline", json!({})).await;
    assert!(
        pipeline.text.contains("probability unknown"),
        "{}",
        pipeline.text
    );
    let pipeline = pipeline.content();
    assert_eq!(pipeline.get("weightedAmount"), None);
    for same in ["deals", "amount"] {
        assert_eq!(pipeline[same], shown[same]);
    }
    let expected = agent.call("get_forecast", year).await;
    assert!(
        expected.text.contains("expected unknown"),
        "{}",
        expected.text
    );
    let expected = expected.content();
    assert_eq!(expected.get("expectedAmount"), None);
    assert_eq!(expected["bestCaseAmount"], forecast["bestCaseAmount"]);
    let summary = agent.call("get_deal_summary", json!({})).await.content();
    assert_eq!(summary["totals"].get("weightedAmount"), None);
    for (tool, asked) in [("list_deals", json!({})), ("get_stale_deals", json!({}))] {
        let deals = agent.call(tool, asked).await.content();
        let deals = deals["items"].as_array().unwrap();
        assert!(!deals.is_empty(), "{tool}");
        let weighed = |deal: &Value| deal.get("weightedAmount").is_some();
        assert!(!deals.iter().any(weighed), "{tool}");
    }
}

#[tokio::test]
async fn a_hidden_field_that_a_question_needs_is_named() {
    let (house, agent) = house("dropped").await;
    for (hidden, tool, asked) in [
        ("Closing_Date", "get_forecast", json!({})),
        ("Closing_Date", "get_revenue_report", json!({})),
        ("Amount", "get_pipeline", json!({})),
        ("Amount", "get_deal_summary", json!({})),
        (
            "Closing_Date",
            "list_deals",
            json!({ "sort": "closing_date" }),
        ),
        (
            "Amount",
            "list_deals",
            json!({ "filters": { "min_amount": 1 } }),
        ),
        (
            "Next_Step",
            "count_records",
            json!({ "module": "Deals",
            "conditions": [{ "field": "Next_Step", "is": "empty" }] }),
        ),
    ] {
        house
            .zoho
            .set(json!({ "hidden_fields": [format!("Deals.{hidden}")] }))
            .await;
        let told = agent.call(tool, asked).await.failure();
        assert!(
            told.contains(&format!("does not show the field `{hidden}`")),
            "{tool}: {told}"
        );
    }
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
    let house = House::with(|setup| {
        everything_allowed(setup);
        works_for(setup, REP, "owner");
        setup.zoho_user("manager");
    })
    .await;
    let agent = house.agent(SUPPORT);
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
async fn what_is_only_shown_is_left_out_where_it_is_hidden() {
    let (house, agent) = house("dropped").await;
    let deals = ["Next_Step", "Type", "Contact_Name", "Amount"];
    let mut hidden = deals.map(|field| format!("Deals.{field}")).to_vec();
    hidden.extend(["Events.Venue", "Calls.Call_Type"].map(str::to_owned));
    let hidden = json!({ "hidden_fields": hidden });
    house.zoho.set(hidden).await;
    let queries = async || house.zoho.seen("POST", "/crm/v8/coql").await;
    let by_date = json!({ "sort": "closing_date", "limit": 3 });
    let deals = agent.call("list_deals", by_date.clone()).await;
    assert!(deals.text.contains("amount unknown"), "{}", deals.text);
    for deal in deals.content()["items"].as_array().unwrap() {
        assert!(
            deal["name"].is_string() && deal["account"].is_string(),
            "{deal}"
        );
        for left_out in ["nextStep", "type", "contact", "contactId", "amount"] {
            assert_eq!(deal.get(left_out), None, "{deal}");
        }
    }
    // Which they are is known for a while.
    let before = queries().await;
    agent.call("list_deals", by_date).await.content();
    assert_eq!(queries().await - before, 1);
    let week = json!({ "status": "all", "from": "2020-01-01", "to": "2199-12-31" });
    let agenda = agent.call("list_activities", week).await.content();
    assert!(agenda["count"].as_u64() > Some(0), "{agenda}");
}

#[tokio::test]
async fn what_is_hidden_from_a_person_is_so_with_their_own_token() {
    for (way, hides) in [("user_token", true), ("owner", false)] {
        let house = House::with(|setup| {
            everything_allowed(setup);
            works_for(setup, REP, way);
        })
        .await;
        let agent = house.agent(SUPPORT);
        let hidden = json!({ "hidden_fields": ["Deals.Stage", "Contacts.First_Name"] });
        house.zoho.set(hidden).await;
        let all = json!({ "filters": { "status": "all" } });
        let deals = agent.call("list_deals", all).await.content();
        assert_eq!(deals["items"][0].get("stage").is_none(), hides, "{deals}");
        let found = agent.search("Anna").await.result();
        let told = found["content"][0]["text"].as_str().unwrap();
        assert_eq!(told.contains("the field `First_Name`"), hides, "{told}");
    }
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

#[tokio::test]
async fn a_field_that_is_not_listed_may_be_hidden() {
    let (house, agent) = house("dropped").await;
    hide(&house, &["Contacts.Email"]).await;
    let condition = json!([{ "field": "Email", "is": "not_empty" }]);
    for (tool, asked) in [
        (
            "describe_module",
            json!({ "module": "Contacts", "field": "Email" }),
        ),
        (
            "count_records",
            json!({ "module": "Contacts", "conditions": condition }),
        ),
    ] {
        let told = agent.call(tool, asked).await.failure();
        assert!(told.contains("no such field, or hides it"), "{told}");
    }
}
