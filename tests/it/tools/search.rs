//! `search_contacts`

use std::collections::BTreeSet;

use serde_json::json;

use super::{all_pages, ids, open_house};

#[tokio::test]
async fn a_contact_is_found_by_word_name_email_and_phone() {
    let (house, agent) = open_house().await;
    let query = "select id, First_Name, Last_Name, Email, Phone from Contacts \
                 where (First_Name is not null and Phone is not null) limit 0, 1";
    let known = house.zoho.coql(query).await.remove(0);
    let text = |field: &str| known[field].as_str().unwrap();
    let (first, last) = (text("First_Name"), text("Last_Name"));
    for (argument, value) in [
        ("query", last.to_owned()),
        ("name", last.to_owned()),
        ("name", format!("{first} {last}")),
        ("name", format!("  {first} {last} ")),
        ("email", text("Email").to_owned()),
        ("email", text("Email").to_uppercase()),
        ("phone", text("Phone").to_owned()),
    ] {
        let found = agent
            .call("search_contacts", json!({ argument: value, "limit": 200 }))
            .await
            .content();
        assert!(
            ids(&found).iter().any(|id| id == text("id")),
            "{argument} {value}: {found}"
        );
        assert_eq!(found["count"], found["items"].as_array().unwrap().len());
        assert_eq!(found["source"], "zoho_crm");
    }
}

#[tokio::test]
async fn pages_come_to_an_end_without_repeats() {
    let (house, agent) = open_house().await;
    let arguments = json!({ "email": "example", "limit": 150 });
    let found = all_pages(&agent, "search_contacts", &arguments).await;
    let different: BTreeSet<&str> = found.iter().map(|c| c["id"].as_str().unwrap()).collect();
    assert_eq!(different.len(), found.len(), "a contact came twice");
    let known = house
        .zoho
        .number("select COUNT(id) from Contacts where Email like '%example%'")
        .await;
    assert!((found.len() as f64 - known).abs() < 0.5, "{known}");
}

#[tokio::test]
async fn nothing_found_is_an_answer_that_says_what_to_try() {
    let (_house, agent) = open_house().await;
    let answer = agent.search("Zzyzx Qwertz").await;
    let found = answer.content();
    assert_eq!(
        (&found["count"], &found["more"]),
        (&json!(0), &json!(false))
    );
    assert!(found["items"].as_array().unwrap().is_empty());
    assert!(
        answer.text.contains("No contact found. Try"),
        "{}",
        answer.text
    );
}

#[tokio::test]
async fn one_way_to_search_at_a_time() {
    let (house, agent) = open_house().await;
    for arguments in [
        json!({}),
        json!({ "limit": 5 }),
        json!({ "name": "Ada", "email": "ada" }),
        json!({ "query": "ada", "phone": "5551234", "name": "Ada", "email": "ada" }),
    ] {
        let told = agent.call("search_contacts", arguments).await.failure();
        assert!(told.contains("exactly one of `query`, `email`"), "{told}");
    }
    assert!(!searched(&house.zoho.asked().await));
}

#[tokio::test]
async fn a_cursor_belongs_to_its_search() {
    let (_house, agent) = open_house().await;
    let first = json!({ "email": "example", "limit": 2 });
    let cursor = agent.call("search_contacts", first).await.content()["cursor"].clone();
    for (arguments, told) in [
        (json!({ "email": "example", "limit": 3 }), "other arguments"),
        (json!({ "email": "other", "limit": 2 }), "other arguments"),
        (json!({ "query": "example", "limit": 2 }), "other arguments"),
    ] {
        let mut arguments = arguments;
        arguments["cursor"] = cursor.clone();
        let failure = agent.call("search_contacts", arguments).await.failure();
        assert!(failure.contains(told), "{failure}");
    }
    for cursor in ["c1", "nonsense", "c1zz", "c1%2e%2e", "../../etc/passwd"] {
        let arguments = json!({ "email": "example", "limit": 2, "cursor": cursor });
        let failure = agent.call("search_contacts", arguments).await.failure();
        assert!(failure.contains("not a cursor of this tool"), "{failure}");
    }
}

#[tokio::test]
async fn odd_names_are_found_as_they_are_spelled() {
    let (_house, agent) = open_house().await;
    for name in [
        "O'Shaughnessy",
        "Fionnuala O'Shaughnessy",
        "Rutherford Pell, Jr. (retired)",
        "欧阳",
        "العطار",
        "Weißenböck-Äppli",
        "Percent%20Plus+Sign",
        "Popper 🎉",
        "Tables'; select id from Users --",
    ] {
        let found = agent.search(name).await.content();
        assert_eq!(found["count"], 1, "{name}: {found}");
    }
}

#[tokio::test]
async fn a_full_name_is_found_however_its_words_are_parted() {
    let (house, agent) = open_house().await;
    for (first, last) in [
        ("Anna Maria", "van der Berg"),
        ("José María", "García-López"),
        ("J. R.", "Tolk, Jr."),
        ("Karl", "von und zu Guttenbrunn"),
        ("Ana Sol de los Milagros", "Quirogas"),
        ("Ludwig Maria Ernst", "Graf von Traunbach"),
        ("Frau Edda Maria Luise Anna", "Sandtner"),
    ] {
        let new = json!({ "data": [{ "First_Name": first, "Last_Name": last }] });
        house.zoho.crm("Contacts", &new).await.unwrap();
        for name in [
            format!("{first} {last}"),
            format!("Dr. {first} {last}"),
            first.to_owned(),
        ] {
            let found = agent.search(&name).await.content();
            let whole = format!("{first} {last}");
            let items = found["items"].as_array().unwrap();
            assert!(
                items.iter().any(|item| item["fullName"] == whole),
                "{name}: {found}"
            );
        }
        let found = agent.search(&format!("{first} {last}")).await.content();
        assert_eq!(found["count"], 1, "{found}");
    }
}

#[tokio::test]
async fn a_person_is_found_by_the_last_name_in_front_of_a_comma() {
    let (house, agent) = open_house().await;
    let new = json!({ "First_Name": "Wilhelmina", "Last_Name": "van Dam Quarterstaff" });
    let new = json!({ "data": [new] });
    house.zoho.crm("Contacts", &new).await.unwrap();
    for name in [
        "Quarterstaff, Wilhelmina",
        "Quarterstaff,Wilhelmina",
        "Quarterstaff, Dr. Wilhelmina",
        "Dr. van Dam Quarterstaff, Wil",
    ] {
        let found = agent.search(name).await.content();
        assert_eq!(found["count"], 1, "{name}: {found}");
    }
}

#[tokio::test]
async fn a_name_is_found_in_quotes_with_a_degree_and_with_another_apostrophe() {
    let (house, agent) = open_house().await;
    let new = json!({ "First_Name": "Wolfrida", "Last_Name": "Quarterstaff" });
    let new = json!({ "data": [new] });
    house.zoho.crm("Contacts", &new).await.unwrap();
    for name in [
        "Wolfrida Quarterstaff, PhD",
        "Quarterstaff,",
        ", Wolfrida",
        "\"Wolfrida Quarterstaff\"",
        "“Quarterstaff, Wolfrida”",
        "Fionnuala O’Shaughnessy",
        "O’Shaughnessy, Fionnuala",
    ] {
        let found = agent.search(name).await.content();
        assert_eq!(found["count"], 1, "{name}: {found}");
    }
    for tool in ["search_contacts", "search_leads", "search_accounts"] {
        let wild = json!({ "name": "*Anna*" });
        let told = agent.call(tool, wild).await.failure();
        assert!(told.contains("`name`") && told.contains("`*`"), "{told}");
    }
}

#[tokio::test]
async fn a_lead_is_found_by_the_name_that_the_crm_shows() {
    let (house, agent) = open_house().await;
    let query = "select id, Full_Name from Leads where (Salutation is not null and \
                 First_Name is not null) limit 0, 8";
    for lead in house.zoho.coql(query).await {
        let arguments = json!({ "name": lead["Full_Name"], "limit": 200 });
        let found = agent.call("search_leads", arguments).await.content();
        let id = lead["id"].as_str().unwrap();
        assert!(
            ids(&found).iter().any(|found| found == id),
            "{lead}: {found}"
        );
    }
}

fn searched(asked: &[serde_json::Value]) -> bool {
    asked
        .iter()
        .any(|entry| entry["path"].as_str().unwrap().ends_with("/search"))
}

#[tokio::test]
async fn a_word_in_quotes_is_the_word_and_quotes_alone_are_no_name() {
    let (house, agent) = open_house().await;
    let query = "select id, Last_Name from Contacts where Last_Name is not null limit 0, 1";
    let known = house.zoho.coql(query).await.remove(0);
    let word = json!({ "query": format!("“{}”", known["Last_Name"].as_str().unwrap()) });
    let found = agent.call("search_contacts", word).await.content();
    assert!(found["count"].as_u64() > Some(0), "{found}");
    let asked = house.zoho.seen("GET", "/crm/v8/Contacts/search").await;
    for name in [",", "\"\""] {
        let told = agent.call("search_contacts", json!({ "name": name }));
        let told = told.await.failure();
        assert!(told.contains("Argument `name`"), "{told}");
    }
    assert_eq!(
        house.zoho.seen("GET", "/crm/v8/Contacts/search").await,
        asked
    );
}
