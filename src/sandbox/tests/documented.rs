//! Requests and what the documentation has Zoho answer to them, word for word.

use super::*;

/// Method, path below `/crm/v8/`, body, status, and the answer: an error as code, details and message,
/// or what has to be in the body.
pub(super) type Case = (&'static str, String, Value, u16, Value);

pub(super) fn read(path: impl Into<String>, status: u16, answer: Value) -> Case {
    ("GET", path.into(), Value::Null, status, answer)
}

pub(super) fn error(code: &str, details: Value, message: &str) -> Value {
    json!({"code": code, "details": details, "message": message, "status": "error"})
}

/// Everything in `wanted` is in `found`; lists are compared by their first elements.
fn holds(found: &Value, wanted: &Value) -> bool {
    match (found, wanted) {
        (Value::Object(found), Value::Object(wanted)) => wanted
            .iter()
            .all(|(name, wanted)| found.get(name).is_some_and(|found| holds(found, wanted))),
        (Value::Array(found), Value::Array(wanted)) => {
            let pairs = found.iter().zip(wanted);
            found.len() >= wanted.len() && pairs.into_iter().all(|(a, b)| holds(a, b))
        }
        (found, wanted) => found == wanted,
    }
}

pub(super) async fn hold(client: &Client, cases: Vec<Case>) {
    for (method, path, body, status, wanted) in cases {
        let request = client.request(method, &format!("/crm/v8/{path}"));
        let request = match &body {
            Value::Null => request,
            Value::String(text) => request.body(text.clone()),
            body => request.json(body),
        };
        let response = request.send().await.unwrap();
        let kind = response.headers().get("content-type").cloned();
        let (got, found) = seen(response).await;
        assert_eq!(got, status, "{method} {path}: {found}");
        match status {
            204 | 304 => assert_eq!((kind, &found), (None, &json!("")), "{method} {path}"),
            200..=299 => assert!(holds(&found, &wanted), "{method} {path}: {found}"),
            _ => assert_eq!(found, wanted, "{method} {path}"),
        }
    }
}

/// A parameter holds what it cannot hold.
pub(super) fn bad_param(name: &str) -> Value {
    error("INVALID_DATA", json!({"param_name": name}), "invalid data")
}

const ACTIVITIES: &str = "Activities_Chronological_View";
const NOWHERE: &str = "6840217000009999999";

#[tokio::test]
async fn what_is_asked_of_the_wrong_place_is_refused() {
    let client = Client::new().await;
    let id = client.first("Contacts").await;
    let unknown = error(
        "INVALID_URL_PATTERN",
        json!({}),
        "Please check if the URL trying to access is a correct one",
    );
    let method = error(
        "INVALID_REQUEST_METHOD",
        json!({}),
        "The http request method type is not a valid one",
    );
    let rows = error(
        "INVALID_REQUEST_METHOD",
        json!({"resource_path_index": 0}),
        "The HTTP request method type is not a valid one.",
    );
    let in_data = json!({"data": [rows]});
    let counts = format!("Contacts/{id}/actions/get_related_records_count");
    let none = || Value::Null;
    let cases = vec![
        read("", 404, unknown.clone()),
        read("settings/nonsense", 404, unknown.clone()),
        read(format!("Contacts/{id}/a/b/c"), 404, unknown.clone()),
        read(
            format!("Contacts/{id}/actions/nonsense"),
            404,
            unknown.clone(),
        ),
        ("PATCH", "Contacts".into(), none(), 400, method.clone()),
        ("GET", "coql".into(), none(), 400, method.clone()),
        ("PUT", "coql".into(), none(), 400, method.clone()),
        ("POST", "org".into(), none(), 400, method.clone()),
        (
            "POST",
            "settings/fields".into(),
            none(),
            400,
            method.clone(),
        ),
        (
            "POST",
            format!("Contacts/{id}"),
            none(),
            400,
            in_data.clone(),
        ),
        ("POST", "Contacts/search".into(), none(), 400, in_data),
        ("PUT", counts, none(), 400, method),
        ("POST", format!("Contacts/{id}/a/b"), none(), 404, unknown),
    ];
    hold(&client, cases).await;
}

#[tokio::test]
async fn modules_and_ids_that_do_not_exist_are_told() {
    let client = Client::new().await;
    let id = client.first("Contacts").await;
    let module = error(
        "INVALID_MODULE",
        json!({"resource_path_index": 0}),
        "the module name given seems to be invalid",
    );
    let second = |message: &str| error("INVALID_DATA", json!({"resource_path_index": 2}), message);
    let bad_id = second("the id given seems to be invalid");
    let relation = second("the relation name given seems to be invalid");
    let in_data = json!({"data": [module]});
    let row = json!({"data": [{}]});
    let none = Value::Null;
    let cases = vec![
        read("Unicorns?fields=id", 400, module.clone()),
        read("Unicorns/search?word=ab", 400, module),
        ("POST", "Unicorns".into(), row, 400, in_data),
        read("Contacts/12", 400, bad_id),
        read(format!("Contacts/{id}/Nonsense?fields=id"), 400, relation),
        read(format!("Contacts/{NOWHERE}"), 204, none.clone()),
        read(format!("Contacts/{NOWHERE}/__timeline"), 204, none),
    ];
    hold(&client, cases).await;
}

#[tokio::test]
async fn what_this_crm_does_not_have_is_refused() {
    let client = Client::new().await;
    let lead = client.first("Leads").await;
    for (method, path, code) in [
        ("POST", "v8/Leads/ID/actions/convert", "INVALID_URL_PATTERN"),
        ("POST", "v8/Leads/actions/add_tags", "INVALID_URL_PATTERN"),
        (
            "POST",
            "v8/Leads/ID/actions/change_owner",
            "INVALID_URL_PATTERN",
        ),
        (
            "POST",
            "v8/Leads/ID/actions/send_mail",
            "INVALID_URL_PATTERN",
        ),
        ("GET", "v8/Leads/ID/Emails/1", "INVALID_URL_PATTERN"),
        (
            "GET",
            "v8/Leads/ID/actions/blueprint",
            "INVALID_URL_PATTERN",
        ),
        ("POST", "v8/__composite_requests", "INVALID_MODULE"),
        ("POST", "v8/actions/watch", "INVALID_MODULE"),
        ("POST", "bulk/v8/read", "INVALID_URL_PATTERN"),
        ("GET", "v8/users/search", "INVALID_DATA"),
    ] {
        let path = format!("/crm/{}", path.replace("ID", &lead));
        let told = client.send(method, &path, &json!({})).await.1;
        let told = if told["data"].is_array() {
            &told["data"][0]
        } else {
            &told
        };
        assert_eq!(told["code"], code, "{method} {path}: {told}");
    }
    let joined = "select Contacts.id from Contacts join Accounts on Contacts.Account_Name = \
                  Accounts.id where Contacts.id is not null";
    assert_eq!(client.coql(joined).await.1["code"], "SYNTAX_ERROR");
}

#[tokio::test]
async fn lists_ask_for_their_fields() {
    let client = Client::new().await;
    let id = client.first("Contacts").await;
    let missing = error(
        "REQUIRED_PARAM_MISSING",
        json!({"param_name": "fields"}),
        "required param is missing",
    );
    let mut below = missing.clone();
    below["message"] = json!("One of the expected parameter is missing");
    let many = vec!["Email"; 51].join(",");
    let crowded = error(
        "LIMIT_EXCEEDED",
        json!({"limit": 50, "param_name": "fields"}),
        "limit exceeded",
    );
    let search = format!("Contacts/search?word=ab&fields={many}");
    let cases = vec![
        read("Contacts", 400, missing.clone()),
        read("Contacts?fields=", 400, missing),
        read(format!("Contacts/{id}/Deals"), 400, below.clone()),
        read(format!("Contacts/{id}/{ACTIVITIES}"), 400, below),
        read(format!("Contacts?fields={many}"), 400, crowded.clone()),
        read(format!("Contacts/{id}?fields={many}"), 400, crowded.clone()),
        read(search, 400, crowded),
    ];
    hold(&client, cases).await;
}

#[tokio::test]
async fn lists_say_where_they_end_and_what_they_cannot_do() {
    let client = Client::new().await;
    let far = error(
        "DISCRETE_PAGINATION_LIMIT_EXCEEDED",
        json!({"limit": 2000}),
        "You can only get the first 2000 records without using page_token param",
    );
    let altered = error(
        "TOKEN_BOUND_DATA_MISMATCH",
        json!({"param_name": "page_token"}),
        "The page_token given seems to be invalid or input param is added or altered or deleted",
    );
    let info = json!({"data": [{}], "info": {"call": false, "per_page": 1, "count": 1, "page": 1,
        "email": false, "sort_by": "id", "sort_order": "desc", "more_records": true,
        "previous_page_token": null}});
    let some = json!({"data": [{}]});
    let list = |rest: &str| format!("Contacts?fields=id&{rest}");
    let cases = vec![
        read(list("page=11"), 400, far),
        read(list("page_token=abc"), 400, altered),
        read(list("per_page=201"), 400, bad_param("per_page")),
        read(list("page=0"), 400, bad_param("page")),
        read(list("sort_order=up"), 400, bad_param("sort_order")),
        read(list("ids=12"), 400, bad_param("ids")),
        read(list("cvid=12"), 400, bad_param("cvid")),
        read(list("per_page=1"), 200, info),
        read(list("converted=maybe"), 400, bad_param("converted")),
        read("Leads?fields=id&converted=true", 204, Value::Null),
        read("Leads?fields=id&converted=both", 200, some),
    ];
    hold(&client, cases).await;
}

#[tokio::test]
async fn a_page_by_number_leads_to_pages_by_token() {
    let client = Client::new().await;
    let path = "/crm/v8/Deals?fields=id&per_page=50";
    let (_, second) = client.get(&format!("{path}&page=2")).await;
    let token = second["info"]["next_page_token"].as_str().unwrap();
    let (_, third) = client.get(&format!("{path}&page=3")).await;
    let (status, by_token) = client.get(&format!("{path}&page_token={token}")).await;
    assert_eq!((status, &by_token["data"]), (200, &third["data"]));
    let with = |page| format!("{path}&page={page}&page_token={token}");
    assert_eq!(client.get(&with(2)).await.0, 200, "as the token had it");
    let (status, altered) = client.get(&with(3)).await;
    let code = &altered["code"];
    assert_eq!((status, code), (400, &json!("TOKEN_BOUND_DATA_MISMATCH")));
    client
        .send("POST", "/__sim/clock", &json!({"advance": "25h"}))
        .await;
    let mut client = client;
    let admin = client.sandbox.credentials().refresh_tokens.admin.clone();
    client.become_user(&admin).await;
    let expired = error(
        "EXPIRED_VALUE",
        json!({"api_name": "page_token", "json_path": "$.query.page_token"}),
        "Page token expired",
    );
    let late = client.get(&format!("{path}&page_token={token}")).await;
    assert_eq!(late, (400, expired));
}

#[tokio::test]
async fn searches_are_refused_in_zohos_words() {
    let client = Client::new().await;
    let expected = error(
        "EXPECTED_PARAM_MISSING",
        json!({"param_names": ["criteria", "email", "phone", "word"]}),
        "one of the expected parameter is missing",
    );
    let short = error(
        "INVALID_DATA",
        json!({"param_name": "word"}),
        "provide atleast 2 letters for search",
    );
    let far = error(
        "LIMIT_REACHED",
        json!({"limit": "2000"}),
        "maximum response iteration limit reached",
    );
    let cases = vec![
        read("Contacts/search", 400, expected.clone()),
        read("Contacts/search?email=", 400, expected.clone()),
        read("Contacts/search?sort_by=Email", 400, expected),
        read("Contacts/search?word=a", 400, short),
        read("Contacts/search?word=ab&page=11", 400, far),
        read("Contacts/search?phone=12", 400, bad_param("phone")),
        read("Contacts/search?phone=12%2B34", 400, bad_param("phone")),
        read(
            "Contacts/search?email=nobody@nowhere.example",
            204,
            Value::Null,
        ),
        read("Contacts/search?word=**", 204, Value::Null),
        // If several are given, the criteria win.
        read(
            "Contacts/search?word=a&criteria=(Last_Name:equals:Zzyzx)",
            204,
            Value::Null,
        ),
        read(
            "Leads/search?criteria=(id:greater_than:100000000000000)&converted=true",
            204,
            Value::Null,
        ),
        read(
            "Leads/search?criteria=(id:greater_than:100000000000000)&per_page=1",
            200,
            json!({"data": [{}], "info": {"per_page": 1, "count": 1, "page": 1, "more_records": true}}),
        ),
    ];
    hold(&client, cases).await;
}

#[tokio::test]
async fn every_operator_goes_with_its_types_and_with_no_others() {
    let client = Client::new().await;
    let id = client.first("Accounts").await;
    let text = "equals not_equal starts_with in";
    let ordered = "equals not_equal in between greater_than greater_equal less_than less_equal";
    let all =
        "equals not_equal in starts_with between greater_than greater_equal less_than less_equal";
    for (module, field, value, allowed) in [
        ("Contacts", "Last_Name", "ab", text),
        ("Contacts", "Email", "ab", text),
        ("Contacts", "Phone", "123", text),
        ("Accounts", "Website", "ab", text),
        (
            "Contacts",
            "Description",
            "ab",
            "equals not_equal starts_with",
        ),
        ("Contacts", "Lead_Source", "Partner", "equals not_equal in"),
        ("Contacts", "Account_Name", &id, "equals not_equal in"),
        ("Contacts", "Owner", &id, "equals not_equal in"),
        ("Contacts", "Email_Opt_Out", "true", "equals not_equal"),
        ("Accounts", "Employees", "5", ordered),
        ("Deals", "Amount", "5.5", ordered),
        ("Deals", "Closing_Date", "2026-01-01", ordered),
        (
            "Deals",
            "Created_Time",
            "2026-01-01T00:00:00%2B05:30",
            ordered,
        ),
        ("Deals", "id", &id, ordered),
    ] {
        for operator in all.split(' ') {
            let values = match operator {
                "between" => format!("{value},{value}"),
                _ => value.to_owned(),
            };
            let path = format!("/crm/v8/{module}/search?criteria=({field}:{operator}:{values})");
            let (status, found) = client.get(&path).await;
            let fits = allowed.split(' ').any(|known| known == operator);
            assert_eq!(status == 200 || status == 204, fits, "{path}: {found}");
            if !fits {
                assert_eq!(found["code"], "INVALID_QUERY", "{path}");
                assert_eq!(found["details"]["operator"], operator, "{found}");
            }
        }
    }
}
