//! What answers look like: which keys they have, and which they have not.

use super::{
    documented::{error, hold, read},
    *,
};

const NOWHERE: &str = "6840217000009999999";

fn keys(object: &Value) -> Vec<&str> {
    object
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect()
}

#[tokio::test]
async fn a_query_describes_its_columns_by_their_names() {
    let client = Client::new().await;
    let select =
        "select Deal_Name, Stage, Account_Name.Industry from Deals where id is not null limit 1";
    let asked = json!({"select_query": select, "include_meta": ["fields"]});
    let (status, told) = client.send("POST", "/crm/v8/coql", &asked).await;
    assert_eq!(status, 200, "{told}");
    let described = &told["fields"];
    assert_eq!(
        keys(described),
        ["Account_Name.Industry", "Deal_Name", "Stage"]
    );
    let of = async |module: &str, name: &str| {
        let path = format!("/crm/v8/settings/fields?module={module}");
        let (_, all) = client.get(&path).await;
        let all = all["fields"].as_array().unwrap().clone();
        all.into_iter()
            .find(|field| field["api_name"] == name)
            .unwrap()
    };
    assert_eq!(described["Stage"], of("Deals", "Stage").await);
    assert_eq!(
        described["Account_Name.Industry"],
        of("Accounts", "Industry").await
    );
}

#[tokio::test]
async fn a_related_list_says_less_of_its_pages_than_a_module_does() {
    let client = Client::new().await;
    let query = "select Account_Name from Deals where Account_Name is not null limit 1";
    let (_, found) = client.coql(query).await;
    let account = found["data"][0]["Account_Name"]["id"].as_str().unwrap();
    let path = format!("/crm/v8/Accounts/{account}/Deals?fields=id");
    let (_, below) = client.get(&path).await;
    let pages = [
        "count",
        "more_records",
        "next_page_token",
        "page",
        "page_token_expiry",
        "per_page",
        "previous_page_token",
    ];
    assert_eq!(keys(&below["info"]), pages);
    let since = |time: &str| {
        client
            .request("GET", &path)
            .header("if-modified-since", time)
    };
    let later = since("2100-01-01T00:00:00+00:00").send().await.unwrap();
    assert_eq!(later.status().as_u16(), 304);
    let earlier = since("2001-01-01T00:00:00+00:00").send().await.unwrap();
    assert_eq!(
        seen(earlier).await.1["info"]["count"],
        below["info"]["count"]
    );
    let place = json!({"resource_path_index": 1});
    let unknown = error(
        "INVALID_DATA",
        place,
        "The related id given seems to be invalid",
    );
    let cases = vec![read(
        format!("Contacts/{NOWHERE}/Deals?fields=id"),
        400,
        unknown,
    )];
    hold(&client, cases).await;
}

fn counts(rows: &[Value]) -> Value {
    json!({"get_related_records_count": rows})
}

fn of_list(list: Value) -> Value {
    json!({"related_list": list})
}

#[tokio::test]
async fn lists_are_counted_one_by_one() {
    let client = Client::new().await;
    let id = client.first("Contacts").await;
    let path = format!("Contacts/{id}/actions/get_related_records_count");
    let lists = "/crm/v8/settings/related_lists?module=Contacts";
    let (_, lists) = client.get(lists).await;
    let notes = &lists["related_lists"][0]["id"];
    let named = of_list(json!({"api_name": "Notes"}));
    let counted = of_list(json!({"api_name": "Notes", "id": notes}));
    let wrong = error(
        "INVALID_DATA",
        json!({"api_name": "api_name", "json_path": "$.get_related_records_count[1].related_list.api_name"}),
        "Given related_list is invalid",
    );
    let unknown = error(
        "INVALID_DATA",
        json!({"resource_path_index": 1}),
        "the related id given seems to be invalid",
    );
    let nowhere = path.replace(&id, NOWHERE);
    let ponies = of_list(json!({"api_name": "Ponies"}));
    let mixed = counts(&[named.clone(), ponies]);
    let (one, told) = (counts(&[named]), counts(std::slice::from_ref(&counted)));
    let by_id = counts(&[of_list(json!({"id": notes}))]);
    let cases = vec![
        ("POST", path.clone(), one.clone(), 200, told.clone()),
        ("POST", path.clone(), by_id, 200, told),
        ("POST", path, mixed, 207, counts(&[counted, wrong])),
        ("POST", nowhere, one, 400, unknown),
    ];
    hold(&client, cases).await;
}

#[tokio::test]
async fn a_list_that_is_to_be_counted_is_named_once_and_rightly() {
    let client = Client::new().await;
    let id = client.first("Contacts").await;
    let path = format!("Contacts/{id}/actions/get_related_records_count");
    let lists = "/crm/v8/settings/related_lists?module=Contacts";
    let (_, lists) = client.get(lists).await;
    let deals = &lists["related_lists"][1]["id"];
    let place = "$.get_related_records_count[0].related_list";
    let part = |name: &str| json!({"api_name": name, "json_path": format!("{place}.{name}")});
    let missing = json!({"api_name": "related_list", "json_path": place});
    let missing = error("MANDATORY_NOT_FOUND", missing, "required field not found");
    let neither = json!({"expected_fields": [part("api_name"), part("id")]});
    let neither = error(
        "EXPECTED_FIELD_MISSING",
        neither,
        "Specify atleast one field",
    );
    let message = "Given related_list is invalid";
    let wrong = error("INVALID_DATA", part("id"), message);
    let two = json!({"ambiguity_due_to": [part("id"), part("api_name")]});
    let message = "Ambiguity while processing the request";
    let two = error("AMBIGUITY_DURING_PROCESSING", two, message);
    let both = of_list(json!({"api_name": "Notes", "id": deals}));
    let cases = [
        (json!({}), missing),
        (of_list(json!({})), neither),
        (of_list(json!({"id": NOWHERE})), wrong),
        (both, two),
    ];
    let cases = cases.map(|(asked, told)| {
        let (asked, told) = (counts(&[asked]), counts(&[told]));
        ("POST", path.clone(), asked, 400, told)
    });
    hold(&client, cases.into()).await;
}

#[tokio::test]
async fn deletions_are_listed_since_a_time_and_of_a_kind() {
    let client = Client::new().await;
    let pattern = error(
        "PATTERN_NOT_MATCHED",
        json!({"param_name": "type"}),
        "Please check whether the input values are correct",
    );
    let cases = vec![read(
        "Deals/deleted?type=x",
        400,
        json!({"data": [pattern]}),
    )];
    hold(&client, cases).await;
    let deal = client.first("Deals").await;
    client
        .send("DELETE", &format!("/crm/v8/Deals/{deal}"), &Value::Null)
        .await;
    for (since, status) in [("2001", 200), ("2100", 304)] {
        let time = format!("{since}-01-01T00:00:00+00:00");
        let asked = client.request("GET", "/crm/v8/Deals/deleted");
        let told = asked
            .header("if-modified-since", time)
            .send()
            .await
            .unwrap();
        assert_eq!(told.status().as_u16(), status, "{since}");
    }
}

#[tokio::test]
async fn a_search_says_which_condition_is_wrong_and_why() {
    let client = Client::new().await;
    let wrong = |criteria: &str, details: Value, message: &str| {
        let path = format!("Deals/search?criteria={criteria}");
        read(path, 400, error("INVALID_QUERY", details, message))
    };
    let reason = "invalid value for search";
    let hundred = vec!["Partner"; 101].join(",");
    let sixteen = vec!["(Stage:equals:Qualification)"; 16].join("or");
    let too_many = error(
        "CRITERIA_LIMIT_EXCEEDED",
        json!({}),
        "no of criterium that can be given exceed the limit 15",
    );
    let cases = vec![
        wrong(
            "(Closing_Date:equals:asadsa)",
            json!({"expected_data_type": "date", "reason": reason, "api_name": "Closing_Date", "value": "asadsa"}),
            "Invalid query formed",
        ),
        wrong(
            "(Deal_Name:greater_than:x)",
            json!({"operator": "greater_than", "reason": "invalid operator found", "api_name": "Deal_Name"}),
            "Invalid query formed",
        ),
        wrong(
            "(Unicorn:equals:x)",
            json!({"reason": "the field is not available for search", "api_name": "Unicorn"}),
            "Invalid query formed",
        ),
        wrong(
            &format!("(Lead_Source:in:{hundred})"),
            json!({"api_name": "Lead_Source"}),
            "Only 100 values are allowed in \"IN\" criteria",
        ),
        wrong(
            "(Deal_Name:equals:*mill*)",
            json!({"reason": "More than one wildcard(*) not allowed in a searchword", "api_name": "Deal_Name"}),
            "Invalid query formed",
        ),
        read(format!("Deals/search?criteria=({sixteen})"), 400, too_many),
    ];
    hold(&client, cases).await;
    let view = error(
        "AMBIGUITY_DURING_PROCESSING",
        json!({"ambiguity_due_to": [{"param_name": "cvid"}, {"param_name": "criteria"}]}),
        "Please use either Cvid or Search Params. Combination of both the params is not allowed",
    );
    let both = "Deals/actions/count?cvid=1&criteria=(Stage:equals:Qualification)";
    let none = json!({"count": 0});
    let cases = vec![
        read(both, 400, view),
        read("Leads/actions/count?converted=true", 200, none),
    ];
    hold(&client, cases).await;
}

#[tokio::test]
async fn a_count_words_its_refusals_by_their_reason() {
    let client = Client::new().await;
    let counted = |criteria: &str, details: Value, message: &str| {
        let path = format!("Deals/actions/count?criteria={criteria}");
        read(path, 400, error("INVALID_QUERY", details, message))
    };
    let (field, operator) = (
        "the field is not available for search",
        "invalid operator found",
    );
    let of_type = "The operator is not valid for the field type";
    let wild = "More than one wildcard(*) not allowed in a searchword";
    let cases = vec![
        counted(
            "(Unicorn:equals:x)",
            json!({"reason": field, "api_name": "Unicorn"}),
            field,
        ),
        counted(
            "(Deal_Name:greater_than:x)",
            json!({"operator": "greater_than", "reason": of_type, "api_name": "Deal_Name"}),
            operator,
        ),
        counted(
            "(Deal_Name:equals:*mill*)",
            json!({"reason": wild, "api_name": "Deal_Name"}),
            wild,
        ),
    ];
    hold(&client, cases).await;
}

#[tokio::test]
async fn searches_begin_with_the_newest_record() {
    let client = Client::new().await;
    let (_, found) = client
        .get("/crm/v8/Contacts/search?word=tallow&fields=id")
        .await;
    let (_, deals) = client
        .get("/crm/v8/Deals/search?criteria=(Stage:equals:Closed Won)&fields=id")
        .await;
    for found in [found, deals]
        .iter()
        .filter(|found| found["data"].is_array())
    {
        let ids: Vec<&str> = found["data"]
            .as_array()
            .unwrap()
            .iter()
            .map(|row| row["id"].as_str().unwrap())
            .collect();
        assert!(ids.is_sorted_by(|a, b| a > b), "{ids:?}");
        assert_eq!(
            keys(&found["info"]),
            ["count", "more_records", "page", "per_page"]
        );
    }
}

#[tokio::test]
async fn the_pipelines_categories_differ_and_its_layout_is_known() {
    let client = Client::new().await;
    let (_, layouts) = client.get("/crm/v8/settings/layouts?module=Deals").await;
    let layout = &layouts["layouts"][0];
    let first = &layout["sections"][0]["fields"][0];
    assert_eq!(first["api_name"], "Deal_Name", "{layout}");
    let path = format!(
        "/crm/v8/settings/pipeline?layout_id={}",
        layout["id"].as_str().unwrap()
    );
    let (_, told) = client.get(&path).await;
    let stages = told["pipeline"][0]["maps"].as_array().unwrap();
    let mut categories: Vec<_> = stages
        .iter()
        .map(|stage| &stage["forecast_category"])
        .collect();
    categories.dedup();
    let ids: std::collections::BTreeSet<_> = categories
        .iter()
        .map(|one| one["id"].as_str().unwrap())
        .collect();
    assert_eq!((categories.len(), ids.len()), (3, 3), "{categories:?}");
    let bad = error(
        "INVALID_DATA",
        json!({"param_name": "layout_id"}),
        "Invalid layoutid",
    );
    hold(
        &client,
        vec![read("settings/pipeline?layout_id=1", 400, bad)],
    )
    .await;
}

#[tokio::test]
async fn descriptions_have_all_that_is_documented() {
    let client = Client::new().await;
    let lists = json!({"related_lists": [{"module": {"api_name": "Notes"}, "status": "visible",
        "customize_sort": true, "customize_fields": true, "customize_display_label": true}]});
    let views = json!({"custom_views": [{"locked": false, "created_by": null, "modified_time": null}],
        "info": {"translation": {"public_views": "Public Views"}}});
    let org = json!({"org": [{"max_per_page": 200, "oauth_presence": true, "photo_id": null,
        "hierarchy_preferences": {"type": "Role_Hierarchy", "strictly_reporting": false},
        "license_details": {"paid_expiry": null, "portal_users_license_purchased": 0}}]});
    let user = json!({"users": [{"alias": null, "phone": null, "sandboxDeveloper": false,
        "status_reason__s": null, "date_format": "MM/dd/yyyy", "$current_shift": null}]});
    let module = json!({"modules": [{"actual_singular_label": "Note", "singular_label": "Note",
        "status": "system_hidden", "parent_module": {}, "show_as_tab": false}]});
    let field = json!({"fields": [{"type": "used", "unique": {}, "required": true, "created_source": "default"}]});
    let missing = error(
        "REQUIRED_PARAM_MISSING",
        json!({"param_name": "module"}),
        "One of the expected parameter is missing",
    );
    let cases = vec![
        read("settings/related_lists?module=Contacts", 200, lists),
        read("settings/related_lists", 400, missing),
        read("settings/custom_views?module=Deals", 200, views),
        read("org", 200, org),
        read("users", 200, user),
        read("settings/modules/Notes", 200, module),
        read("settings/fields?module=Deals", 200, field),
    ];
    hold(&client, cases).await;
    let (_, lists) = client
        .get("/crm/v8/settings/related_lists?module=Contacts")
        .await;
    for list in lists["related_lists"].as_array().unwrap() {
        assert!(
            list["module"].is_null() || list["module"]["id"].is_string(),
            "{list}"
        );
    }
    let deal = client.first("Deals").await;
    let (_, told) = client
        .get(&format!("/crm/v8/Deals/{deal}/__timeline"))
        .await;
    assert_eq!(told["__timeline"][0]["type"], "timeline");
}
