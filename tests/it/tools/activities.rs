//! `list_activities`

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::{all_pages, open_house};

fn ids(items: &[Value]) -> BTreeSet<String> {
    let id = |item: &Value| item["id"].as_str().unwrap().to_owned();
    items.iter().map(id).collect()
}

#[tokio::test]
async fn an_agenda_has_everything_between_two_days_once_and_in_order() {
    let (house, agent) = open_house().await;
    let days = json!({ "from": "2026-01-01", "to": "2027-12-31", "status": "all", "limit": 90 });
    let listed = all_pages(&agent, "list_activities", &days).await;
    let times: Vec<&str> = listed
        .iter()
        .filter_map(|item| item["time"].as_str())
        .collect();
    let dates: Vec<&str> = times.iter().map(|time| &time[..10]).collect();
    assert!(dates.is_sorted(), "{dates:?}");
    let mut known = BTreeSet::new();
    for (module, field, kind) in [
        ("Tasks", "Due_Date", "tasks"),
        ("Events", "Start_DateTime", "events"),
        ("Calls", "Call_Start_Time", "calls"),
    ] {
        let (from, to) = match module {
            "Tasks" => ("2026-01-01", "2027-12-31"),
            _ => ("2026-01-01T00:00:00+00:00", "2027-12-31T23:59:59+00:00"),
        };
        let condition = format!("{field} between '{from}' and '{to}'");
        let mut all = house.zoho.ids(module, &condition).await;
        assert!(!all.is_empty());
        let ours = listed.iter().filter(|item| item["type"] == kind);
        let ours: Vec<Value> = ours.cloned().collect();
        // The CRM answered 200 of them at most.
        assert!(ours.len() >= all.len().saturating_sub(3), "{module}");
        known.extend(all.drain(..));
    }
    assert_eq!(ids(&listed).len(), listed.len(), "an activity came twice");
    assert!(known.difference(&ids(&listed)).count() <= 3);
}

#[tokio::test]
async fn overdue_tasks_are_those_that_should_be_done_by_now() {
    let (house, agent) = open_house().await;
    let asked = json!({ "status": "overdue", "limit": 100 });
    let listed = all_pages(&agent, "list_activities", &asked).await;
    let page = agent.call("list_activities", asked).await.content();
    let today = page["asOf"].as_str().unwrap().get(..10).unwrap();
    let condition = format!("(Status != 'Completed' and Due_Date < '{today}')");
    let number = format!("select COUNT(id) from Tasks where {condition}");
    let known = house.zoho.number(&number).await;
    assert!(
        known > 0.0 && (listed.len() as f64 - known).abs() < 3.0,
        "{known}"
    );
    assert!(
        listed
            .iter()
            .all(|item| item["overdue"] == true && item["type"] == "tasks")
    );
}

#[tokio::test]
async fn what_is_done_is_not_open() {
    let (_house, agent) = open_house().await;
    let days = |status| {
        json!({ "from": "2026-01-01", "to": "2027-12-31", "status": status,
                                "limit": 100, "types": ["tasks"] })
    };
    let open = all_pages(&agent, "list_activities", &days("open")).await;
    let done = all_pages(&agent, "list_activities", &days("done")).await;
    let all = all_pages(&agent, "list_activities", &days("all")).await;
    assert!(!open.is_empty() && !done.is_empty());
    assert!(ids(&open).is_disjoint(&ids(&done)));
    assert_eq!(open.len() + done.len(), all.len());
    assert!(done.iter().all(|task| task["status"] == "Completed"));
}

#[tokio::test]
async fn a_meeting_is_open_until_it_ends_and_a_call_until_it_was_made() {
    let (house, agent) = open_house().await;
    let now = jiff::Timestamp::now();
    let minutes = |n| {
        let at = now + jiff::SignedDuration::from_mins(n);
        format!("{}+00:00", at.strftime("%Y-%m-%dT%H:%M:%S"))
    };
    let meeting = |title: &str, from, to| json!({ "Event_Title": title, "Start_DateTime": minutes(from), "End_DateTime": minutes(to) });
    let made = json!({ "Subject": "made early", "Call_Type": "Outbound", "Call_Start_Time": minutes(30),
        "Call_Duration": "05:00", "Call_Status": "Completed" });
    for (module, new) in [
        ("Events", meeting("running", -30, 30)),
        ("Events", meeting("over", -60, -30)),
        ("Events", meeting("ahead", 30, 60)),
        ("Calls", made),
    ] {
        let new = json!({ "data": [new] });
        house.zoho.crm(module, &new).await.unwrap();
    }
    let listed = async |status: &str, kind: &str| {
        let asked = json!({ "status": status, "types": [kind], "limit": 200,
            "from": "2026-01-01", "to": "2027-12-31" });
        all_pages(&agent, "list_activities", &asked).await
    };
    let titles = |items: &[Value]| {
        let title = |item: &Value| item["subject"].as_str().map(str::to_owned);
        items.iter().filter_map(title).collect::<BTreeSet<_>>()
    };
    let open = titles(&listed("open", "events").await);
    let done = titles(&listed("done", "events").await);
    for (title, is_open) in [("running", true), ("over", false), ("ahead", true)] {
        assert_eq!(open.contains(title), is_open, "{title}");
        assert_eq!(done.contains(title), !is_open, "{title}");
    }
    let (open, done) = (listed("open", "calls").await, listed("done", "calls").await);
    assert!(!open.is_empty() && open.iter().all(|call| call["status"] == "Scheduled"));
    assert!(done.iter().all(|call| call["status"] != "Scheduled"));
    assert!(titles(&done).contains("made early"), "{done:?}");
    let all = house
        .zoho
        .number("select COUNT(id) from Calls where id is not null")
        .await;
    assert!(
        ((open.len() + done.len()) as f64 - all).abs() < 0.5,
        "{all}"
    );
}

#[tokio::test]
async fn a_meeting_is_of_all_the_days_that_it_runs() {
    let (house, agent) = open_house().await;
    let meetings = [
        ("weeks", "2031-05-02T09:00", "2031-05-20T17:00", true),
        ("overnight", "2031-05-09T12:00", "2031-05-10T20:00", true),
        ("within", "2031-05-10T16:00", "2031-05-10T17:00", true),
        ("over", "2031-05-08T09:00", "2031-05-08T17:00", false),
        ("ahead", "2031-05-13T09:00", "2031-05-20T17:00", false),
    ];
    for (title, from, to, _) in meetings {
        let new = json!({ "Event_Title": title, "Start_DateTime": format!("{from}:00+00:00"),
            "End_DateTime": format!("{to}:00+00:00") });
        let new = json!({ "data": [new] });
        house.zoho.crm("Events", &new).await.unwrap();
    }
    let days = json!({ "types": ["events"], "from": "2031-05-10", "to": "2031-05-11", "limit": 2 });
    let listed = all_pages(&agent, "list_activities", &days).await;
    let titles: Vec<_> = listed.iter().map(|item| &item["subject"]).collect();
    let known = meetings.iter().filter(|(.., is_listed)| *is_listed);
    let known: Vec<_> = known.map(|(title, ..)| *title).collect();
    assert_eq!(titles, known);
}

#[tokio::test]
async fn an_agenda_that_cannot_be_says_why() {
    let (_house, agent) = open_house().await;
    for (arguments, problem) in [
        (json!({ "types": [] }), "name 1 to 3 types"),
        (json!({ "types": ["tasks", "tasks"] }), "each once"),
        (
            json!({ "types": ["calls"], "status": "overdue" }),
            "only tasks can be overdue",
        ),
        (
            json!({ "from": "2026-02-02", "to": "2026-02-01" }),
            "it is after to",
        ),
        (
            json!({ "from": "2026-02-30" }),
            "names a date that does not exist",
        ),
        (json!({ "cursor": "c1" }), "not a cursor of this tool"),
    ] {
        let told = agent.call("list_activities", arguments).await.failure();
        assert!(told.contains(problem), "{told}");
    }
    let nobody = json!({ "owner_id": "6840217000009999999" });
    let answer = agent.call("list_activities", nobody).await;
    assert!(
        answer.text.contains("No activity passes"),
        "{}",
        answer.text
    );
    assert_eq!(answer.content()["count"], 0);
}
