use super::*;

#[tokio::test]
async fn a_reset_is_an_abort_at_the_client_and_only_one_kind_commits() {
    let client = Client::new().await;
    let contact = client.first("Contacts").await;
    let path = format!("/crm/v8/Contacts/{contact}/Notes");
    for (fault, committed) in [("reset_before", 0), ("reset_after_commit", 1)] {
        client
            .fault(
                json!({"fault": fault, "path": "/crm/v8/Contacts", "method": "POST", "times": 1}),
            )
            .await;
        let error = client
            .request("POST", &path)
            .json(&note(fault))
            .send()
            .await
            .unwrap_err();
        let mut source: Option<&dyn std::error::Error> = Some(&error);
        let mut texts = String::new();
        while let Some(error) = source {
            texts.push_str(&format!("{error}; "));
            source = error.source();
        }
        assert!(texts.contains("reset"), "{texts}");
        assert_eq!(client.committed().await, committed, "{fault}");
    }
    assert_eq!(client.send("POST", &path, &note("now")).await.0, 201);
    assert_eq!(client.committed().await, 2);
}

#[tokio::test]
async fn a_late_commit_happens_though_its_client_is_gone() {
    let client = Client::new().await;
    let contact = client.first("Contacts").await;
    let path = format!("/crm/v8/Contacts/{contact}/Notes");
    client
        .fault(
            json!({"fault": "late_commit", "path": "/crm/v8/Contacts", "method": "POST",
            "times": 1, "delay": "1s"}),
        )
        .await;
    let request = client.request("POST", &path).json(&note("late"));
    let hasty = request.timeout(std::time::Duration::from_millis(300));
    assert!(hasty.send().await.unwrap_err().is_timeout());
    assert_eq!(client.committed().await, 0);
    while client.committed().await == 0 {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    assert_eq!(client.committed().await, 1);
}

#[tokio::test]
async fn answers_can_be_cut_dripped_and_replaced() {
    let client = Client::new().await;
    client
        .fault(json!({"fault": "truncate", "path": "/crm/v8/org", "times": 1}))
        .await;
    let cut = client.request("GET", "/crm/v8/org").send().await.unwrap();
    assert_eq!(cut.status().as_u16(), 200);
    assert!(
        cut.text().await.is_err(),
        "the body is shorter than announced"
    );
    client
        .fault(json!({"fault": "drip", "delay": "5ms", "times": 1}))
        .await;
    assert_eq!(
        client.get("/crm/v8/org").await.1["org"][0]["iso_code"],
        "USD"
    );
    client.fault(json!({"fault": "html", "times": 1})).await;
    let page = client.request("GET", "/crm/v8/org").send().await.unwrap();
    assert_eq!(
        (
            page.status().as_u16(),
            page.headers()["content-type"].to_str().unwrap()
        ),
        (200, "text/html;charset=UTF-8")
    );
    client
        .fault(json!({"fault": "status", "status": 500, "times": 1}))
        .await;
    assert_eq!(
        client.get("/crm/v8/org").await,
        (
            500,
            json!({"code": "INTERNAL_ERROR", "details": {}, "message": "Internal Server Error", "status": "error"})
        )
    );
    let timeline = format!("/crm/v8/Deals/{}/__timeline", client.first("Deals").await);
    client
        .fault(json!({"fault": "status", "status": 500, "times": 1}))
        .await;
    let (status, failed) = client.get(&timeline).await;
    assert_eq!(
        (status, &failed["code"]),
        (500, &json!("INTERNAL_SERVER_ERROR"))
    );
    client.fault(json!({"fault": "status", "status": 429, "body": {"code": 429, "details": []}, "times": 1})).await;
    assert_eq!(
        client.get("/crm/v8/org").await,
        (429, json!({"code": 429, "details": []}))
    );
}

#[tokio::test]
async fn answers_can_be_odd_and_still_right() {
    let client = Client::new().await;
    let order = async |fault: Value| {
        client.fault(fault).await;
        client.request("GET", "/crm/v8/org").send().await.unwrap()
    };
    let plain = order(json!({ "fault": "content_type", "times": 1 })).await;
    assert_eq!(plain.headers()["content-type"], "text/html");
    assert_eq!(
        plain.json::<Value>().await.unwrap()["org"][0]["iso_code"],
        "USD"
    );
    let kind = json!({ "fault": "content_type", "content_type": "text/plain", "times": 1 });
    assert_eq!(order(kind).await.headers()["content-type"], "text/plain");
    let extra = order(json!({ "fault": "extra", "times": 1 })).await;
    let extra: Value = extra.json().await.unwrap();
    for object in [
        &extra,
        &extra["org"][0],
        &extra["org"][0]["license_details"],
    ] {
        assert!(object["$novelty"].is_object(), "{object}");
    }
    let large = order(json!({ "fault": "oversize", "times": 1 })).await;
    assert!(large.bytes().await.unwrap().len() > 8 * 1024 * 1024);
}

#[tokio::test]
async fn whoever_answers_can_have_a_clock_that_is_wrong() {
    let client = Client::new().await;
    let shown = async |fault: Option<Value>| {
        if let Some(fault) = fault {
            client.fault(fault).await;
        }
        let answer = client.request("GET", "/crm/v8/org").send().await.unwrap();
        let date = answer.headers()["date"].to_str().unwrap().to_owned();
        let date = jiff::fmt::rfc2822::parse(&date).unwrap().timestamp();
        (
            answer.status().as_u16(),
            date.as_second() - jiff::Timestamp::now().as_second(),
        )
    };
    let behind = json!({ "fault": "skew", "delay": "2h", "behind": true, "times": 1 });
    let (status, seconds) = shown(Some(behind)).await;
    assert_eq!(
        (status, (seconds + 7200).abs() < 60),
        (200, true),
        "{seconds}"
    );
    // To a clock that is two hours ahead the token has ended.
    let ahead = json!({ "fault": "skew", "delay": "2h", "times": 1 });
    let (status, seconds) = shown(Some(ahead)).await;
    assert_eq!(
        (status, (seconds - 7200).abs() < 60),
        (401, true),
        "{seconds}"
    );
    assert_eq!(shown(None).await.0, 200);
}

#[tokio::test]
async fn an_answer_can_be_late_and_a_token_end_at_once() {
    let client = Client::new().await;
    client
        .fault(json!({"fault": "latency", "delay": "50ms", "times": 1}))
        .await;
    let before = std::time::Instant::now();
    assert_eq!(client.get("/crm/v8/org").await.0, 200);
    assert!(before.elapsed() >= Duration::from_millis(50));
    client.fault(json!({"fault": "revoke_tokens"})).await;
    assert_eq!(client.get("/crm/v8/org").await.0, 401);
    let (status, refused) = client
        .send(
            "POST",
            "/__sim/faults",
            &json!({"fault": "html", "pth": "/crm"}),
        )
        .await;
    assert_eq!(status, 400);
    assert!(
        refused["error"]
            .as_str()
            .unwrap()
            .contains("unknown field `pth`"),
        "{refused}"
    );
    assert_eq!(client.get("/__sim/faults").await.1, json!({"faults": []}));
}

#[tokio::test]
async fn credits_run_out_and_the_header_warns_before() {
    let client = Client::with(Options {
        settings: Settings {
            daily_credits: 4,
            ..Settings::default()
        },
        ..Options::default()
    })
    .await;
    let remaining = async |n: usize| {
        let response = client.request("GET", "/crm/v8/org").send().await.unwrap();
        assert_eq!(response.status().as_u16(), if n < 4 { 200 } else { 429 });
        response
            .headers()
            .get("x-api-credits-remaining")
            .map(|value| value.to_str().unwrap().to_owned())
    };
    let mut seen = Vec::new();
    for n in 0..5 {
        seen.push(remaining(n).await);
    }
    assert_eq!(
        seen,
        [
            None,
            Some("2".into()),
            Some("1".into()),
            Some("0".into()),
            None
        ]
    );
}

#[tokio::test]
async fn writes_of_many_rows_have_a_limit_of_their_own() {
    let client = Client::new().await;
    client
        .fault(json!({"fault": "latency", "delay": "800ms"}))
        .await;
    let refused = async |rows: usize| {
        let row = json!({"Last_Name": "Of a crowd"});
        let body = json!({"data": vec![row; rows]});
        let sent = (0..12).map(|_| client.send("POST", "/crm/v8/Contacts", &body));
        let answers = futures_util::future::join_all(sent).await;
        answers.iter().filter(|(status, _)| *status == 429).count()
    };
    assert_eq!(refused(11).await, 2);
    assert_eq!(refused(10).await, 0);
}

#[tokio::test]
async fn too_many_requests_at_once_are_refused() {
    let client = Client::with(Options {
        settings: Settings {
            concurrency: 3,
            ..Settings::default()
        },
        ..Options::default()
    })
    .await;
    client
        .fault(json!({"fault": "latency", "delay": "400ms"}))
        .await;
    let answers = futures_util::future::join_all((0..5).map(|_| client.get("/crm/v8/org"))).await;
    assert_eq!(
        answers.iter().filter(|(status, _)| *status == 200).count(),
        3
    );
    assert_eq!(
        answers.iter().filter(|(status, _)| *status == 429).count(),
        2
    );
    assert_eq!(
        client.get("/__sim/state").await.1["requests"]["max_in_flight"],
        3
    );
}

#[tokio::test]
async fn a_client_that_gives_up_waiting_does_not_know_that_its_note_was_written() {
    let client = Client::new().await;
    let path = format!("/crm/v8/Contacts/{}/Notes", client.first("Contacts").await);
    client
        .fault(json!({"fault": "latency", "delay": "30s", "times": 1}))
        .await;
    let request = client
        .request("POST", &path)
        .json(&note("late"))
        .timeout(Duration::from_millis(300));
    assert!(request.send().await.unwrap_err().is_timeout());
    assert_eq!(client.committed().await, 1);
}
