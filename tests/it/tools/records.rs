//! `search_accounts`, `search_leads`, `get_contact`, `get_account_360`

use serde_json::{Value, json};

use super::{assert_close, ids, open_house};
use crate::house::House;

const NOWHERE: &str = "6840217000009999999";

#[tokio::test]
async fn accounts_and_leads_are_found_by_what_one_knows_of_them() {
    let (house, agent) = open_house().await;
    let query = "select id, Account_Name, Phone, Industry from Accounts \
                 where (Phone is not null and Industry is not null) limit 0, 1";
    let account = house.zoho.coql(query).await.remove(0);
    let query = "select id, Last_Name, Company, Email, Phone, Lead_Status from Leads \
                 where (Phone is not null and Email is not null) limit 0, 1";
    let lead = house.zoho.coql(query).await.remove(0);
    for (tool, argument, value, known) in [
        (
            "search_accounts",
            "name",
            &account["Account_Name"],
            &account,
        ),
        (
            "search_accounts",
            "query",
            &account["Account_Name"],
            &account,
        ),
        ("search_accounts", "phone", &account["Phone"], &account),
        ("search_leads", "name", &lead["Last_Name"], &lead),
        ("search_leads", "email", &lead["Email"], &lead),
        ("search_leads", "phone", &lead["Phone"], &lead),
        ("search_leads", "query", &lead["Company"], &lead),
    ] {
        let arguments = json!({ argument: value, "limit": 200 });
        let found = agent.call(tool, arguments).await.content();
        let items = found["items"].as_array().unwrap();
        let item = items.iter().find(|item| item["id"] == known["id"]);
        let item = item.unwrap_or_else(|| panic!("{tool} {argument} {value}: {found}"));
        for (ours, theirs) in [
            ("name", "Account_Name"),
            ("industry", "Industry"),
            ("company", "Company"),
            ("email", "Email"),
            ("status", "Lead_Status"),
        ] {
            assert_eq!(item[ours], known[theirs], "{tool} {ours}");
        }
    }
}

#[tokio::test]
async fn a_search_without_a_result_or_with_two_questions_says_what_to_do() {
    let (_house, agent) = open_house().await;
    for (tool, nothing) in [
        ("search_accounts", "No account found. Try"),
        ("search_leads", "No lead found."),
    ] {
        let answer = agent.call(tool, json!({ "name": "Zzyzx Qwertz" })).await;
        assert!(answer.text.contains(nothing), "{}", answer.text);
        assert_eq!(answer.content()["count"], 0);
        let both = json!({ "name": "Ada", "query": "Ada" });
        let told = agent.call(tool, both).await.failure();
        assert!(told.contains("exactly one of `"), "{told}");
    }
    let told = agent
        .call("search_accounts", json!({ "email": "a@b.c" }))
        .await;
    assert!(told.failure().contains("unknown argument"));
}

#[tokio::test]
async fn a_contact_is_shown_as_the_crm_has_it() {
    let (house, agent) = open_house().await;
    let query = "select id, Full_Name, Email, Mailing_City, Account_Name, Email_Opt_Out, \
                 Modified_Time from Contacts where (Mailing_City is not null \
                 and Account_Name is not null) limit 0, 1";
    let known = house.zoho.coql(query).await.remove(0);
    let contact = json!({ "contact_id": known["id"] });
    let answer = agent.call("get_contact", contact).await;
    let contact = answer.content();
    let told = answer.told();
    for fact in contact.as_object().unwrap().iter().filter(|(name, _)| {
        // When and where it was read is the structure's.
        !["asOf", "source", "emailOptOut", "description"].contains(&name.as_str())
    }) {
        assert!(told.contains(fact.1.as_str().unwrap()), "{fact:?}: {told}");
    }
    for (ours, theirs) in [
        ("id", "id"),
        ("fullName", "Full_Name"),
        ("email", "Email"),
        ("city", "Mailing_City"),
        ("emailOptOut", "Email_Opt_Out"),
        ("modifiedTime", "Modified_Time"),
    ] {
        assert_eq!(contact[ours], known[theirs], "{ours}: {contact}");
    }
    assert_eq!(contact["accountId"], known["Account_Name"]["id"]);
    for tool in ["get_contact", "get_account_360"] {
        let id = tool.split('_').nth(1).unwrap();
        let missing = json!({ format!("{id}_id"): NOWHERE });
        let told = agent.call(tool, missing).await.failure();
        assert!(told.contains("No such record"), "{told}");
        let told = agent.call(tool, json!({ format!("{id}_id"): "x" })).await;
        assert!(told.failure().contains("text of the form"));
    }
}

#[tokio::test]
async fn an_account_stands_there_with_its_people_and_its_deals() {
    let (house, agent) = open_house().await;
    let account = with_deals_and_cases(&house).await;
    let id = account.as_str().unwrap();
    let asked = json!({ "account_id": id, "limit": 3 });
    let seen = agent.call("get_account_360", asked).await.content();
    let query = format!("select Stage, Amount from Deals where Account_Name = '{id}' limit 0, 200");
    let deals = house.zoho.coql(&query).await;
    let sum = |status: fn(&str) -> bool| {
        let these = deals
            .iter()
            .filter(|deal| status(deal["Stage"].as_str().unwrap()));
        let amounts: Vec<f64> = these
            .map(|deal| deal["Amount"].as_f64().unwrap_or(0.0))
            .collect();
        (amounts.len(), amounts.iter().sum::<f64>())
    };
    for (name, status) in [
        (
            "open",
            (|stage| !stage.starts_with("Closed")) as fn(&str) -> bool,
        ),
        ("won", |stage| stage == "Closed Won"),
        ("lost", |stage| {
            stage.starts_with("Closed") && stage != "Closed Won"
        }),
    ] {
        let (number, amount) = sum(status);
        assert_eq!(seen["totals"][name]["deals"], number, "{name}");
        assert_close(&seen["totals"][name]["amount"], amount, name);
    }
    let people = house
        .zoho
        .ids("Contacts", &format!("Account_Name = '{id}'"))
        .await;
    let shown = ids(&json!({ "items": seen["contacts"] }));
    assert!(!shown.is_empty() && shown.iter().all(|id| people.contains(id)));
    assert_eq!(shown.len(), people.len().min(3));
    assert_eq!(seen["moreContacts"], people.len() > 3);
    let amounts: Vec<f64> = amounts(&seen["openDeals"]);
    assert!(amounts.is_sorted_by(|a, b| a >= b), "{amounts:?}");
    let query = format!(
        "select id, Subject, Status, Priority from Cases where Account_Name = '{id}' \
         order by Created_Time desc limit 0, 200"
    );
    let cases = house.zoho.coql(&query).await;
    let newest = seen["cases"].as_array().unwrap();
    assert_eq!(newest.len(), cases.len().min(3));
    assert_eq!(seen["moreCases"], cases.len() > 3);
    for (shown, case) in newest.iter().zip(&cases) {
        assert_eq!(shown["id"], case["id"], "newest first");
        assert_eq!(shown["subject"], case["Subject"]);
        assert_eq!(shown["status"], case["Status"]);
    }
    assert_eq!(seen["unavailable"], json!([]));
}

#[tokio::test]
async fn an_account_is_told_of_as_far_as_zoho_gives_it() {
    let (house, agent) = open_house().await;
    let account = house.zoho.ids("Accounts", "id is not null").await[0].clone();
    let path = format!("/crm/v8/Accounts/{account}/Contacts");
    house
        .zoho
        .fault(json!({ "fault": "status", "path": path, "times": 9, "status": 500 }))
        .await;
    let asked = json!({ "account_id": account });
    let seen = agent.call("get_account_360", asked).await.content();
    assert_eq!(seen["unavailable"], json!(["contacts"]));
    assert!(
        seen["contacts"].is_null() && seen["totals"].is_object(),
        "{seen}"
    );
}

/// An account that has both.
async fn with_deals_and_cases(house: &House) -> Value {
    let query = "select Account_Name, COUNT(id) as n from Deals where Account_Name is not null \
                 group by Account_Name order by n desc limit 0, 50";
    for row in house.zoho.coql(query).await {
        let id = &row["Account_Name"]["id"];
        let cases = format!("Account_Name = '{}'", id.as_str().unwrap());
        if !house.zoho.ids("Cases", &cases).await.is_empty() {
            return id.clone();
        }
    }
    panic!("no account has deals and cases");
}

#[tokio::test]
async fn an_account_is_told_of_without_the_right_to_cases() {
    let (house, agent) = open_house().await;
    let account = house.zoho.ids("Accounts", "id is not null").await[0].clone();
    let scopes = "ZohoCRM.modules.accounts.READ ZohoCRM.modules.contacts.READ \
                  ZohoCRM.modules.deals.READ ZohoCRM.coql.READ ZohoCRM.org.READ \
                  ZohoCRM.users.READ";
    house.zoho.set(json!({ "scopes": scopes })).await;
    let asked = json!({ "account_id": account });
    let seen = agent.call("get_account_360", asked).await.content();
    assert_eq!(seen["unavailable"], json!(["cases"]));
    assert!(
        seen["cases"].is_null() && seen["totals"].is_object(),
        "{seen}"
    );
}

fn amounts(deals: &Value) -> Vec<f64> {
    let deals = deals.as_array().unwrap();
    deals
        .iter()
        .filter_map(|deal| deal["amount"].as_f64())
        .collect()
}
