use proptest::prelude::*;

use super::*;
use crate::sandbox::{crm::Crm, org::User, seed};

struct Room {
    crm: Crm,
}

impl Room {
    fn new() -> Self {
        Self {
            crm: seed::sow(jiff::civil::date(2026, 5, 14)),
        }
    }

    fn user(&self, at: usize) -> &User {
        &self.crm.users[at]
    }

    fn try_as(&self, user: usize, query: &str) -> Result<Answer, Problem> {
        let user = self.user(user);
        let painter = Painter {
            crm: &self.crm,
            zone: &user.zone,
            sight: None,
        };
        let settings = Settings::default();
        answer(
            &painter,
            &Sight::of(&self.crm, user, &settings),
            &settings,
            &json!({"select_query": query}),
        )
    }

    fn ask(&self, query: &str) -> Value {
        let answer = self
            .try_as(0, query)
            .unwrap_or_else(|problem| panic!("{query}: {problem:?}"));
        answer.body.unwrap_or(Value::Null)
    }

    fn refused(&self, query: &str) -> Value {
        self.try_as(0, query)
            .map(|answer| panic!("{query}: {answer:?}"))
            .unwrap_or_else(|problem| {
                assert_eq!(problem.status, 400, "{query}");
                json!([problem.code, problem.details, problem.message])
            })
    }
}

#[test]
fn a_report_by_stage_adds_up() {
    let room = Room::new();
    let rows = room.ask("select Stage, SUM(Amount) as total, COUNT(id), AVG(Amount) from Deals where id is not null group by Stage order by total desc");
    let rows = rows["data"].as_array().unwrap();
    assert_eq!(rows.len(), 9);
    let all = room.ask("select SUM(Amount), COUNT(id) from Deals where id is not null");
    let sum = |key: &str| {
        rows.iter()
            .map(|row| row[key].as_f64().unwrap())
            .sum::<f64>()
    };
    assert_eq!(
        all["data"][0]["SUM(Amount)"].as_f64().unwrap(),
        sum("total")
    );
    assert_eq!(
        all["data"][0]["COUNT(id)"].as_f64().unwrap(),
        sum("COUNT(id)")
    );
    assert!(
        rows.windows(2)
            .all(|pair| pair[0]["total"].as_f64() >= pair[1]["total"].as_f64())
    );
    assert!(rows[0].get("id").is_none(), "a group has no id");
}

#[test]
fn rows_have_an_id_and_dotted_keys_stay_flat() {
    let room = Room::new();
    let found = room.ask("select Deal_Name, Account_Name.Account_Name, Contact_Name.Owner.last_name, Account_Name from Deals where ((Stage = 'Closed Won' and Amount > 1000) and Closing_Date between '2025-01-01' and '2026-12-31') order by Amount desc limit 0, 3");
    let row = &found["data"][0];
    assert_eq!(found["info"], json!({"count": 3, "more_records": true}));
    assert!(row["id"].is_string() && row["Account_Name.Account_Name"].is_string());
    assert_eq!(
        row["Account_Name"]["name"],
        row["Account_Name.Account_Name"]
    );
    assert!(row["Contact_Name.Owner.last_name"].is_string());
}

#[test]
fn operators_select_what_they_say() {
    let room = Room::new();
    let count = |condition: &str| {
        room.ask(&format!(
            "select COUNT(id) as n from Deals where {condition}"
        ))["data"][0]["n"]
            .as_u64()
            .unwrap()
    };
    let all = count("id is not null");
    assert_eq!(count("Amount is null") + count("Amount is not null"), all);
    assert_eq!(
        count("Stage in ('Closed Won','Closed Lost')")
            + count("Stage not in ('Closed Won','Closed Lost')"),
        all
    );
    assert_eq!(
        count("Deal_Name like '%flow%'") + count("Deal_Name not like '%flow%'"),
        all
    );
    assert_eq!(
        count("Amount between 10000 and 20000"),
        count("Amount >= 10000 and Amount <= 20000")
    );
    assert_eq!(
        count("Stage = 'closed won' OR Stage = 'Closed Lost'"),
        count("Stage in ('Closed Won','Closed Lost')")
    );
    assert!(count("Closing_Date < '2026-05-14'") > 0);
    assert!(count("Created_Time < '2026-01-01T00:00:00+05:30'") > 0);
    let owner = room.user(4).id;
    assert!(count(&format!("Owner = '{owner}'")) > 0);
    assert_eq!(count("Deal_Name = 'nothing has this name'"), 0);
}

#[test]
fn nothing_found_is_204_and_the_limit_has_a_price() {
    let room = Room::new();
    let none = room
        .try_as(0, "select id from Deals where Deal_Name = 'O''Brien'")
        .unwrap();
    assert_eq!((none.status, none.body), (204, None));
    for (limit, credits) in [
        ("", 1),
        ("limit 200", 1),
        ("limit 201", 2),
        ("limit 1000", 2),
        ("limit 5 offset 2", 1),
        ("limit 2000", 3),
    ] {
        let answer = room
            .try_as(
                0,
                &format!("select id from Deals where id is not null {limit}"),
            )
            .unwrap();
        assert_eq!(answer.credits, credits, "{limit}");
    }
    let default = room.ask("select id from Contacts where id is not null");
    assert_eq!(default["info"], json!({"count": 200, "more_records": true}));
}

#[test]
fn a_polymorphic_lookup_is_followed_into_the_module_it_names() {
    let room = Room::new();
    let found = room.ask("select Subject, 'What_Id->Deals.Deal_Name' from Tasks where 'What_Id->Deals.Stage' = 'Closed Won'");
    assert!(found["data"][0]["What_Id->Deals.Deal_Name"].is_string());
}

#[test]
fn a_representative_sees_less_than_their_manager_and_the_manager_less_than_the_admin() {
    let room = Room::new();
    let count = |user| {
        let answer = room
            .try_as(
                user,
                "select COUNT(id) as n from Contacts where id is not null",
            )
            .unwrap();
        answer.body.unwrap()["data"][0]["n"].as_u64().unwrap()
    };
    let (admin, manager, rep) = (count(0), count(2), count(4));
    assert!(
        admin > manager && manager > rep && rep > 0,
        "{admin} {manager} {rep}"
    );
}

#[test]
fn syntax_errors_are_worded_as_zoho_words_them() {
    let room = Room::new();
    for (query, expected) in [
        (
            "select id from Deals",
            json!(["SYNTAX_ERROR", {"clause": "where"}, "missing clause"]),
        ),
        (
            "select FROM Deals where id is not null",
            json!(["SYNTAX_ERROR", {"line": 1, "column": 8, "near": "FROM"}, "unexpected token"]),
        ),
        (
            "select id from Deals where",
            json!(["SYNTAX_ERROR", {"near": "where"}, "error occured while parsing the query"]),
        ),
        (
            "delete from Deals",
            json!(["SYNTAX_ERROR", {}, "given coql query not supported"]),
        ),
        (
            "select id from Deals where Deal_Name not 'x'",
            json!(["SYNTAX_ERROR", {"operator": "not"}, "operator not supported"]),
        ),
    ] {
        assert_eq!(room.refused(query), expected, "{query}");
    }
}

#[test]
fn refused_queries_are_worded_as_zoho_words_them() {
    let room = Room::new();
    for (query, expected) in [
        (
            "select id from Contacts where First_Name > 'x'",
            json!(["INVALID_QUERY", {"reason": "invalid operator found", "column_name": "First_Name", "operator": ">"}, "Invalid query formed"]),
        ),
        (
            "select Foo from Contacts where id is not null",
            json!(["INVALID_QUERY", {"column_name": "Foo"}, "column given seems to be invalid"]),
        ),
        (
            "select SUM(Last_Name) from Contacts where id is not null",
            json!(["INVALID_QUERY", {"column_name": "Last_Name"}, "unsupported column"]),
        ),
        (
            "select id from Contacts where id is not null limit s",
            json!(["INVALID_QUERY", {"limit": "s"}, "limit given seems to be invalid"]),
        ),
        (
            "select id from Contacts where id is not null limit 0",
            json!(["INVALID_DATA", {}, "limit should be greater than 0"]),
        ),
        (
            "select id from Contacts where id is not null limit 2001",
            json!(["LIMIT_EXCEEDED", {"limit": 2000}, "limit exceeded"]),
        ),
        (
            "select id from Contacts where id = 'x'",
            json!(["INVALID_QUERY", {"expected_data_type": "bigint", "column_name": "id"}, "value given seems to be invalid for the column"]),
        ),
        (
            "select id from Events where Participants != '${EMPTY}'",
            json!(["INVALID_QUERY", {"cv_criteria": false, "column_name": "Participants", "value": "${EMPTY}", "operator": "!="}, "unsupported column in criteria"]),
        ),
        (
            "select TestFunction(Last_Name) from Contacts where id is not null",
            json!(["INVALID_DATA", {"reason": "unsupported aggregate function", "column": "TestFunction(Last_Name)"}, "invalid data"]),
        ),
    ] {
        assert_eq!(room.refused(query), expected, "{query}");
    }
}

#[test]
fn a_query_inside_a_condition_stands_for_what_it_finds() {
    let room = Room::new();
    let rows = |query: &str| {
        let found = room.ask(query);
        found["data"].as_array().map_or(0, Vec::len)
    };
    let dotted = rows("select id from Contacts where Account_Name.Industry = 'Consulting'");
    let inner = rows(
        "select id from Contacts where Account_Name in (select id from Accounts where Industry = 'Consulting')",
    );
    assert!(dotted > 0);
    assert_eq!(inner, dotted);
    let most = "select id from Deals where Amount = (select MAX(Amount) from Deals where Amount is not null)";
    assert!(rows(most) >= 1);
    let outside = rows(
        "select id from Contacts where Account_Name not in (select id from Accounts where id is not null limit 0, 100)",
    );
    assert!(outside < rows("select id from Contacts where id is not null"));
    for (query, refused) in [
        (
            "select id from Deals where Amount > (select Amount from Deals where id is not null)",
            json!(["INVALID_QUERY", {"sub_query_sequence": 0, "operator": ">"}, "subquery return more than one values which is incompatible for the operator"]),
        ),
        (
            "select id from Deals where Account_Name in (select id, Phone from Accounts where id is not null)",
            json!(["INVALID_QUERY", {"sub_query_sequence": 0, "column_name": ["id", "Phone"]}, "subquery should contains only one column"]),
        ),
    ] {
        assert_eq!(room.refused(query), refused, "{query}");
    }
}

#[test]
fn clashing_columns_are_worded_as_zoho_words_them() {
    let room = Room::new();
    for (query, expected) in [
        (
            "select First_Name, First_Name from Contacts where id is not null",
            json!(["DUPLICATE_DATA", {"column_name": "First_Name"}, "duplicate select column"]),
        ),
        (
            "select MAX(Amount), MAX(Amount) from Deals where id is not null",
            json!(["DUPLICATE_DATA", {"column_name": "Amount", "aggregate": "MAX"}, "duplicate aggregate function"]),
        ),
        (
            "select First_Name as Name, Last_Name as Name from Contacts where id is not null",
            json!(["DUPLICATE_ALIAS", {"referred_columns": ["First_Name", "Last_Name"], "alias": "Name"}, "same alias cannot refer more than one column"]),
        ),
        (
            "select First_Name as '' from Contacts where id is not null",
            json!(["INVALID_ALIAS", {"column_name": "First_Name", "alias": ""}, "alias name cannot be an empty string"]),
        ),
        (
            "select id from Unicorns where id is not null",
            json!([
                "INVALID_MODULE",
                {},
                "the given module is not supported in api"
            ]),
        ),
        (
            "select sum(Amount) from Deals where id is not null",
            json!(["INVALID_DATA", {"reason": "unsupported aggregate function", "column": "sum(Amount)"}, "invalid data"]),
        ),
    ] {
        assert_eq!(room.refused(query), expected, "{query}");
    }
}

#[test]
fn three_conditions_must_be_nested_pairwise() {
    let room = Room::new();
    let flat = "select id from Deals where Amount > 1 and Amount > 2 and Amount > 3";
    assert_eq!(room.refused(flat)[0], "SYNTAX_ERROR");
    assert!(
        room.try_as(
            0,
            "select id from Deals where ((Amount > 1 and Amount > 2) and Amount > 3)"
        )
        .is_ok()
    );
}

#[test]
fn a_plain_column_beside_an_aggregate_must_be_grouped_by() {
    let room = Room::new();
    assert_eq!(
        room.refused("select Stage, SUM(Amount) from Deals where id is not null")[0],
        "INVALID_QUERY"
    );
}

#[test]
fn the_body_must_hold_a_query() {
    let room = Room::new();
    let painter = Painter {
        crm: &room.crm,
        zone: &room.user(0).zone,
        sight: None,
    };
    let settings = Settings::default();
    let ask = |body: Value| {
        answer(
            &painter,
            &Sight::of(&room.crm, room.user(0), &settings),
            &settings,
            &body,
        )
        .unwrap_err()
    };
    assert_eq!(ask(json!({})).message, "mandatory key not found");
    assert_eq!(ask(json!({"select_query": 5})).code, "INVALID_DATA");
    assert_eq!(
        ask(json!({"select_query": "x", "include_meta": "fields"})).details["expected_data_type"],
        "jsonarray"
    );
}

proptest! {
    #[test]
    fn no_text_makes_the_reader_panic(text in "(select|from|where|and|or|not|in|is|null|like|between|group|order|by|limit|id|Deals|SUM|'|\"|\\(|\\)|,|=|\\*| |\\\\|[0-9]|é){0,40}|\\PC{0,60}") {
        let _ = parse::parse(&text, true).and_then(|written| bind::bind(&written));
        let _ = parse::parse(&format!("select {text}"), true).and_then(|written| bind::bind(&written));
        let _ = parse::parse(&format!("select id from Deals where {text}"), false).and_then(|written| bind::bind(&written));
    }
}

#[test]
fn deep_nesting_is_refused() {
    let room = Room::new();
    let query = format!(
        "select id from Deals where {}id is not null{}",
        "(".repeat(100_000),
        ")".repeat(100_000)
    );
    assert_eq!(room.refused(&query)[0], "SYNTAX_ERROR");
}
