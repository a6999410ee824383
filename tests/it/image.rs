//! The image: what it says of itself is how it runs.

use serde_json::{Value, json};

use crate::{
    container::Image,
    drain::running,
    house::{House, SUPPORT},
};

#[tokio::test]
async fn the_image_says_who_runs_what_and_how_it_is_asked_and_ended() {
    let image = Image::built().await.config();
    let config = &image["Config"];
    assert_eq!(config["User"], "65532:65532");
    assert_eq!(config["Entrypoint"], json!(["/usr/local/bin/zoho-mcp"]));
    assert_eq!(config["StopSignal"], "SIGTERM");
    assert!(config["ExposedPorts"]["3000/tcp"].is_object(), "{config}");
    let asked = json!(["CMD", "/usr/local/bin/zoho-mcp", "healthcheck"]);
    assert_eq!(image["Healthcheck"]["Test"], asked, "{image}");
}

#[tokio::test]
async fn a_container_needs_no_root_no_rights_no_shell_and_no_disk() {
    let image = Image::built().await;
    let mut container = None;
    let house = House::with(|setup| container = Some(image.houses(setup))).await;
    let container = container.unwrap();
    let support = house.agent(SUPPORT);
    let found = support.search("Giulia");
    assert!(
        !found.await.content()["items"]
            .as_array()
            .unwrap()
            .is_empty()
    );

    let asked = image.config()["Healthcheck"]["Test"].clone();
    let asked: Vec<&str> = asked.as_array().unwrap()[1..]
        .iter()
        .filter_map(Value::as_str)
        .collect();
    let healthy = format!("ZOHO_MCP_HEALTH_URL={}", house.url);
    assert!(container.run(&healthy, &asked).status.success());
    let elsewhere = "ZOHO_MCP_HEALTH_URL=http://127.0.0.1:9";
    assert_eq!(container.run(elsewhere, &asked).status.code(), Some(1));
    let shell = container.run(elsewhere, &["/bin/sh", "-c", "true"]);
    assert!(String::from_utf8_lossy(&shell.stderr).contains("/bin/sh: no such file"));
}

#[tokio::test]
async fn as_process_1_it_answers_what_has_come_before_it_leaves() {
    let image = Image::built().await;
    let mut container = None;
    let mut house = House::with(|setup| container = Some(image.houses(setup))).await;
    let call = running(&house, house.agent(SUPPORT), "1s").await;
    house.signal("-TERM");
    assert!(call.await.unwrap().content()["items"].is_array());
    assert_eq!(house.ended().await.code(), Some(0));
    house.event("log_close").await;
    assert_eq!(house.event("drain_end").await["reason"], "clean");
}
