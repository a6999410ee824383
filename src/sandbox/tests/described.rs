//! What the CRM tells about itself and its past: views, lists, activities, timelines, deleted records.

use super::{
    documented::{bad_param, error, hold, read},
    *,
};

#[tokio::test]
async fn the_crm_describes_itself() {
    let client = Client::new().await;
    let contact = client.first("Contacts").await;
    let missing = error(
        "REQUIRED_PARAM_MISSING",
        json!({"param_name": "module"}),
        "required param is missing",
    );
    let lists = json!({"related_lists": [{"api_name": "Notes", "module": {"api_name": "Notes"}}]});
    let module = json!({"modules": [{"api_name": "Deals", "generated_type": "default"}]});
    let me = json!({"users": [{"email": "ingrid@tallowmere.example"}]});
    let one = json!({"count": 1});
    let asked = json!({"get_related_records_count": [{"related_list": {"api_name": "Notes"}}]});
    let counts = format!("Contacts/{contact}/actions/get_related_records_count");
    let attachments = format!("Contacts/{contact}/Attachments?fields=id");
    let cases = vec![
        read("settings/related_lists?module=Contacts", 200, lists),
        read("settings/modules/Deals", 200, module),
        read("settings/custom_views", 400, missing.clone()),
        read("settings/fields", 400, missing),
        read(
            "settings/fields?module=Deals&type=all",
            200,
            json!({"fields": [{"api_name": "Deal_Name"}]}),
        ),
        read("settings/fields?module=Deals&type=unused", 204, Value::Null),
        read(
            "settings/fields?module=Deals&type=some",
            400,
            bad_param("type"),
        ),
        read("users/actions/count?type=AdminUsers", 200, one),
        read("users?type=CurrentUser", 200, me),
        read("users?type=Nobody", 400, bad_param("type")),
        ("POST", counts, asked.clone(), 200, asked),
        read(attachments, 204, Value::Null),
    ];
    hold(&client, cases).await;
}

#[tokio::test]
async fn a_view_goes_with_no_other_choice_and_costs_more() {
    let client = Client::new().await;
    let settings = "/crm/v8/settings/custom_views?module=Deals";
    let (_, views) = client.get(settings).await;
    let view = views["custom_views"][0]["id"].as_str().unwrap().to_owned();
    let ambiguous = |other: &str, message: &str| {
        let params = json!([{"param_name": "cvid"}, {"param_name": other}]);
        let details = json!({"ambiguity_due_to": params});
        error("AMBIGUITY_DURING_PROCESSING", details, message)
    };
    let sorted = ambiguous("sort_by", "ambiguity while processing the request");
    let searched = ambiguous(
        "word",
        "Please use either Cvid or Search Params. Combination of both the params is not allowed",
    );
    let list = format!("Deals?fields=id&cvid={view}");
    let count = format!("Deals/actions/count?cvid={view}");
    let cases = vec![
        read(format!("{list}&sort_by=id"), 400, sorted),
        read(format!("{count}&word=ab"), 400, searched),
        read(count, 200, json!({})),
    ];
    hold(&client, cases).await;
    let query = format!("select id from Deals#{view} where id is not null limit 0, 1");
    assert_eq!(client.coql(&query).await.0, 200);
    let used = async || client.get("/__sim/state").await.1["credits"]["used"].clone();
    let before = used().await.as_u64().unwrap();
    hold(&client, vec![read(list, 200, json!({"data": [{}]}))]).await;
    assert_eq!(used().await.as_u64().unwrap() - before, 3);
}

#[tokio::test]
async fn activities_of_every_kind_are_open_or_closed() {
    let client = Client::new().await;
    let (mut open, mut closed) = (0, 0);
    let (_, contacts) = client.get("/crm/v8/Contacts?fields=id&per_page=40").await;
    for contact in contacts["data"].as_array().unwrap() {
        let id = contact["id"].as_str().unwrap();
        for (list, count) in [("View", &mut open), ("View_History", &mut closed)] {
            let path = format!(
                "/crm/v8/Contacts/{id}/Activities_Chronological_{list}?fields=Subject,Status"
            );
            let (status, found) = client.get(&path).await;
            let rows = found["data"].as_array().cloned().unwrap_or_default();
            assert_eq!(status == 204, rows.is_empty(), "{found}");
            for row in rows {
                let module = row["$module"].as_str().unwrap();
                assert!(["Tasks", "Events", "Calls"].contains(&module), "{row}");
                let done = row["Status"] == "Completed";
                assert!(
                    module != "Tasks" || done == (list == "View_History"),
                    "{row}"
                );
                *count += 1;
            }
        }
    }
    assert!(open > 0 && closed > 0, "{open} {closed}");
}

#[tokio::test]
async fn a_timeline_is_filtered_and_its_tokens_keep_the_size_of_its_pages() {
    let client = Client::new().await;
    let deal = client.first("Deals").await;
    for stage in ["Needs Analysis", "Qualification", "Value Proposition"] {
        let row = json!({"data": [{"Stage": stage}]});
        let (status, _) = client
            .send("PUT", &format!("/crm/v8/Deals/{deal}"), &row)
            .await;
        assert_eq!(status, 200);
    }
    let path = format!("/crm/v8/Deals/{deal}/__timeline");
    let (_, first) = client.get(&format!("{path}?per_page=2")).await;
    let line = &first["__timeline"][0];
    assert_eq!(
        line["field_history"][0]["_value"]["new"],
        "Value Proposition"
    );
    assert!(line["record"]["module"]["id"].is_string(), "{line}");
    let token = first["info"]["next_page_token"].as_str().unwrap();
    let (status, next) = client.get(&format!("{path}?page_token={token}")).await;
    assert_eq!((status, &next["info"]["per_page"]), (200, &json!(2)));
    let filtered = async |filter: Value| {
        let filter = percent_encoding::utf8_percent_encode(
            &filter.to_string(),
            percent_encoding::NON_ALPHANUMERIC,
        )
        .to_string();
        client.get(&format!("{path}?filters={filter}")).await
    };
    let is = |field: &str, value: &str| json!({"field": {"api_name": field}, "comparator": "equal", "value": value});
    let (status, _) = filtered(is("source", "crm_api")).await;
    assert_eq!(status, 200);
    assert_eq!(filtered(is("source", "import")).await.0, 204);
    let both = json!({"group_operator": "and", "group": [is("source", "crm_api"), is("record.module.api_name", "Leads")]});
    assert_eq!(filtered(both).await.0, 204);
    let span = json!({"field": {"api_name": "audited_time"}, "comparator": "between",
        "value": ["2000-01-01T00:00:00+00:00", "2001-01-01T00:00:00+00:00"]});
    assert_eq!(filtered(span).await.0, 204);
    let bad = bad_param("filters");
    assert_eq!(filtered(is("nonsense", "x")).await, (400, bad));
}

#[tokio::test]
async fn what_was_deleted_is_listed() {
    let client = Client::new().await;
    let deal = client.first("Deals").await;
    assert_eq!(client.get("/crm/v8/Deals/deleted").await.0, 204);
    let done = client.request("DELETE", &format!("/crm/v8/Deals?ids={deal}"));
    assert_eq!(done.send().await.unwrap().status(), 200);
    let (_, gone) = client.get("/crm/v8/Deals/deleted?type=recycle").await;
    let row = &gone["data"][0];
    assert_eq!(
        (&row["id"], &row["type"]),
        (&json!(deal), &json!("recycle"))
    );
    assert_eq!(row["deleted_by"]["name"], "Ingrid Halvorsen");
    assert_eq!(gone["info"]["more_records"], false);
    assert_eq!(
        client.get("/crm/v8/Deals/deleted?type=permanent").await.0,
        204
    );
    assert_eq!(client.get("/crm/v8/Deals/deleted?type=x").await.0, 400);
}

#[tokio::test]
async fn a_record_read_whole_is_shown_as_zoho_shows_it() {
    let client = Client::new().await;
    for (module, shown) in [
        (
            "Contacts",
            json!({"Vendor_Name": null, "Mailing_Latitude": null, "Tag": [], "Locked__s": false,
                "$approved": true, "$approval_state": "approved", "$in_merge": false, "$review": null,
                "$layout_id": {"name": "Standard"}, "$process_flow": false}),
        ),
        (
            "Deals",
            json!({"Campaign_Source": null, "Pipeline": "Standard (Standard)", "$currency_symbol": "$"}),
        ),
        (
            "Leads",
            json!({"$converted": false, "$converted_detail": {}}),
        ),
        ("Tasks", json!({"$se_module": "Deals", "Remind_At": null})),
        (
            "Events",
            json!({"Check_In_Status": "PLANNED", "Participants": [{"type": "contact", "invited": false}]}),
        ),
        ("Calls", json!({"$se_module": "Deals"})),
        (
            "Notes",
            json!({"$voice_note": false, "$size": null, "$is_shared_to_client": false}),
        ),
    ] {
        let id = client.first(module).await;
        let everywhere =
            json!({"id": id, "$state": "save", "$editable": true, "$field_states": null});
        let path = format!("{module}/{id}");
        let cases = vec![
            read(path.as_str(), 200, json!({"data": [everywhere]})),
            read(path.as_str(), 200, json!({"data": [shown]})),
        ];
        hold(&client, cases).await;
        let (_, found) = client.get(&format!("/crm/v8/{path}")).await;
        assert!(found.get("info").is_none(), "one record has no pages");
        let record = &found["data"][0];
        for user in ["Owner", "Created_By", "Modified_By"] {
            let keys: Vec<_> = record[user].as_object().unwrap().keys().collect();
            assert_eq!(keys, ["email", "id", "name"], "{module} {user}");
        }
        let time = record["Modified_Time"].as_str().unwrap();
        assert!(time.len() == 25 && !time.contains('.'), "{time}");
    }
    let event = client.first("Events").await;
    let (_, event) = client.get(&format!("/crm/v8/Events/{event}")).await;
    let guest = &event["data"][0]["Participants"][0];
    assert!(
        guest["name"].is_string() && guest["Email"].is_string(),
        "{guest}"
    );
}

#[tokio::test]
async fn letters_go_on_after_an_index_that_is_no_number() {
    let client = Client::new().await;
    let query = "select id from Contacts where Email is not null limit 200";
    let (_, contacts) = client.coql(query).await;
    let mut long = None;
    for contact in contacts["data"].as_array().unwrap() {
        let path = format!("Contacts/{}/Emails", contact["id"].as_str().unwrap());
        let (status, told) = client.get(&format!("/crm/v8/{path}")).await;
        if status == 200 && told["info"]["more_records"] == true {
            long = Some((path, told));
            break;
        }
    }
    let (path, first) = long.unwrap();
    let letter = first["Emails"][0].as_object().unwrap();
    assert_eq!(letter["message_id"].as_str().unwrap().len(), 96);
    let keys: Vec<&str> = letter.keys().map(String::as_str).collect();
    let documented = "activity_info cc emotion from has_attachment has_thread_attachment intent \
                      linked_record message_id owner read related_to_record sent sentiment_info \
                      source status subject summary time to";
    assert_eq!(keys.join(" "), documented);
    let info = &first["info"];
    assert_eq!(
        (&info["prev_index"], &info["count"]),
        (&json!("0"), &json!(10))
    );
    let next = info["next_index"].as_str().unwrap();
    assert!(next.parse::<u64>().is_err(), "{next}");
    let (_, second) = client.get(&format!("/crm/v8/{path}?index={next}")).await;
    assert_eq!(second["Emails"][0]["message_id"], next);
    assert_eq!(second["info"]["prev_index"], "0");
    assert_eq!(second["info"]["next_index"], Value::Null);
    assert_eq!(
        client.get(&format!("/crm/v8/{path}?index=0")).await.1,
        first
    );
    let cases = vec![
        read(format!("{path}?index=10"), 400, bad_param("index")),
        read(format!("{path}?type=all"), 400, bad_param("type")),
        read(format!("{path}?type=drafts"), 204, Value::Null),
    ];
    hold(&client, cases).await;
    let (_, sent) = client
        .get(&format!("/crm/v8/{path}?type=sent_from_crm"))
        .await;
    let sent = sent["Emails"].as_array().unwrap();
    assert!(sent.iter().all(|letter| letter["sent"] == true), "{sent:?}");
}

#[tokio::test]
async fn a_letter_that_came_back_says_when_and_why() {
    let client = Client::new().await;
    let query = "select id from Contacts where Email is not null limit 100";
    let (_, contacts) = client.coql(query).await;
    let mut kinds = std::collections::BTreeSet::new();
    for contact in contacts["data"].as_array().unwrap() {
        let path = format!(
            "/crm/v8/Contacts/{}/Emails",
            contact["id"].as_str().unwrap()
        );
        let (_, told) = client.get(&path).await;
        for letter in told["Emails"].as_array().into_iter().flatten() {
            let status = &letter["status"][0];
            let kind = status["type"].as_str().unwrap();
            let reasons = ["bounced_time", "bounced_reason", "category", "sub_category"];
            let told = reasons.iter().all(|name| status[name].is_string());
            assert_eq!(told, kind == "bounced", "{status}");
            assert_eq!(letter["sent"] == true, kind != "received", "{letter}");
            kinds.insert(kind.to_owned());
        }
    }
    assert!(
        kinds.iter().eq(["bounced", "received", "sent"]),
        "{kinds:?}"
    );
}
