//! The official clients sign in with OAuth, knowing nothing but our address.

use serde_json::{Value, json};

use crate::{
    house::House,
    issuer::{AuthorizationServer, python_client, typescript_client},
};

#[tokio::test]
async fn a_python_client_signs_in_and_comes_back_for_more_scope() {
    signs_in_and_comes_back(python_client).await;
}

#[tokio::test]
async fn a_typescript_client_of_generation_1_signs_in_and_comes_back_for_more_scope() {
    signs_in_and_comes_back(|url| typescript_client(url, "1")).await;
}

#[tokio::test]
async fn a_typescript_client_of_generation_2_signs_in_and_comes_back_for_more_scope() {
    signs_in_and_comes_back(|url| typescript_client(url, "2")).await;
}

async fn signs_in_and_comes_back(client: impl FnOnce(&str) -> Vec<Value>) {
    let server = AuthorizationServer::start();
    let house = House::start().await;
    // Our address is known only now, and the tokens are for it.
    let (file, resource) = (house.file("zoho-mcp.toml"), format!("{}/mcp", house.url));
    let issuer = &server.issuer;
    let section = format!(
        "[[auth.jwt]]\nissuer = \"{issuer}\"\naudience = \"{resource}\"\njwks = \"{issuer}/jwks\"\nclient = \"customer-service-agent\"\n"
    );
    let before = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, section + &before).unwrap();
    house.signal("-HUP");
    house.event("config_reload").await;
    let steps = client(&house.url);
    let expected = json!([
        { "step": "authorize", "scope": "crm:read crm:write", "resource": resource },
        { "step": "token", "scope": "crm:read" },
        { "step": "list", "tools": ["get_contact_history", "search_contacts"] },
        { "step": "authorize", "scope": "crm:read crm:write", "resource": resource },
        { "step": "token", "scope": "crm:read crm:write" },
        { "step": "write", "isError": false },
        { "step": "end" },
    ]);
    assert_eq!(Value::from(steps), expected);
    let written = house
        .recorded("the note", |line| {
            line["event"] == "tool_call_success" && line["toolName"] == "create_note"
        })
        .await;
    assert_eq!(written["authMethod"], "jwt");
    assert!(written["userId"].as_str().unwrap().starts_with("hmac:"));
}
