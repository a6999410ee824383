//! Queries that follow a lookup by a dot: what is behind it is seen by those who see that record.

use super::*;

/// A contact that the representative sees, of an account that they do not see, and a task of theirs
/// about a deal that they do not see.
struct Hidden {
    client: Client,
    contact: String,
    task: String,
}

impl Hidden {
    async fn new() -> Self {
        let mut client = Client::new().await;
        let refresh = client.sandbox.credentials().refresh_tokens.clone();
        client.become_user(&refresh.rep_1).await;
        let (_, rep) = client.get("/crm/v8/users?type=CurrentUser").await;
        let rep = json!({"id": rep["users"][0]["id"]});
        client.become_user(&refresh.admin).await;
        let account = json!({"data": [{"Account_Name": "Veiled", "Phone": "+1 555 0100",
            "Annual_Revenue": 9_000_000_000_000_u64}]});
        let account = made(&client, "Accounts", &account).await;
        let deal = json!({"data": [{"Deal_Name": "Veiled", "Stage": "Qualification",
            "Amount": 77_000, "Closing_Date": "2031-05-14"}]});
        let deal = made(&client, "Deals", &deal).await;
        let contact = json!({"data": [{"Last_Name": "Veiled", "Owner": rep,
            "Account_Name": {"id": account}}]});
        let contact = made(&client, "Contacts", &contact).await;
        let task = json!({"data": [{"Subject": "Veiled", "Owner": rep,
            "What_Id": {"id": deal}, "$se_module": "Deals"}]});
        let task = made(&client, "Tasks", &task).await;
        client.become_user(&refresh.rep_1).await;
        let path = format!("/crm/v8/Accounts/{account}?fields=Phone");
        assert_eq!(client.get(&path).await.0, 204);
        Self {
            client,
            contact,
            task,
        }
    }

    /// The first row of a query; `{contact}` and `{task}` are theirs.
    async fn row(&self, query: &str) -> Value {
        let query = query.replace("{contact}", &self.contact);
        let query = query.replace("{task}", &self.task);
        let (status, found) = self.client.coql(&query).await;
        assert!(matches!(status, 200 | 204), "{query}: {found}");
        found["data"][0].clone()
    }
}

async fn made(client: &Client, module: &str, row: &Value) -> String {
    let (status, made) = client.send("POST", &format!("/crm/v8/{module}"), row).await;
    assert_eq!(status, 201, "{made}");
    let id = &made["data"][0]["details"]["id"];
    id.as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_record_that_is_not_seen_is_empty_behind_a_dot() {
    let hidden = Hidden::new().await;
    let row = hidden.row("select Account_Name, Account_Name.Phone, Account_Name.Owner.email from Contacts where id = '{contact}'").await;
    assert_eq!(row["Account_Name.Phone"], Value::Null, "{row}");
    assert_eq!(row["Account_Name.Owner.email"], Value::Null, "{row}");
    assert_eq!(row["Account_Name"]["name"], "Veiled", "as a GET shows it");
    let sums = hidden.row("select SUM(Account_Name.Annual_Revenue) as a, COUNT(Account_Name.id) as b from Contacts where id = '{contact}'").await;
    assert_eq!((&sums["a"], &sums["b"]), (&Value::Null, &json!(0)));
    for (condition, expected) in [
        ("'What_Id->Deals.Amount' > 0", 0),
        ("'What_Id->Deals.Deal_Name' = 'Veiled'", 0),
        ("'What_Id->Deals.Amount' is null", 1),
    ] {
        let query =
            format!("select COUNT(id) as n from Tasks where (id = '{{task}}' and {condition})");
        assert_eq!(hidden.row(&query).await["n"], expected, "{condition}");
    }
    let grouped = "select Account_Name.Industry, COUNT(id) as n from Contacts where id = '{contact}' group by Account_Name.Industry";
    assert_eq!(
        hidden.row(grouped).await["Account_Name.Industry"],
        Value::Null
    );
    let inner = "select id from Contacts where (id = '{contact}' and Phone in (select Account_Name.Phone from Contacts where id = '{contact}'))";
    assert_eq!(hidden.row(inner).await, Value::Null);
}

#[tokio::test]
async fn what_is_not_seen_behind_a_dot_comes_first_in_order_like_what_is_empty() {
    let hidden = Hidden::new().await;
    let query = "select id from Contacts where id is not null order by Account_Name.Annual_Revenue desc limit 1";
    assert_ne!(hidden.row(query).await["id"], json!(hidden.contact));
}

#[tokio::test]
async fn a_dot_needs_the_scope_of_the_module_behind_it() {
    let client = Client::new().await;
    let of = |modules: &[&str]| {
        let scopes = modules
            .iter()
            .map(|name| format!(" ZohoCRM.modules.{name}.READ"));
        json!({"scopes": format!("ZohoCRM.coql.READ{}", scopes.collect::<String>())})
    };
    for (module, other, query) in [
        (
            "contacts",
            "accounts",
            "select Account_Name.Phone from Contacts where id is not null",
        ),
        (
            "contacts",
            "accounts",
            "select id from Contacts where Account_Name.Phone is not null",
        ),
        (
            "tasks",
            "deals",
            "select id from Tasks where 'What_Id->Deals.Amount' > 0",
        ),
        (
            "contacts",
            "accounts",
            "select id from Contacts where Phone in (select Account_Name.Phone from Contacts where Account_Name.Phone is not null limit 0, 5)",
        ),
    ] {
        client.set(of(&[module])).await;
        let (status, refused) = client.coql(query).await;
        let code = &refused["code"];
        assert_eq!(
            (status, code),
            (401, &json!("OAUTH_SCOPE_MISMATCH")),
            "{query}"
        );
        client.set(of(&[module, other])).await;
        assert!(matches!(client.coql(query).await.0, 200 | 204), "{query}");
    }
    client.set(of(&["contacts"])).await;
    let owner = "select Owner.email from Contacts where id is not null";
    assert_eq!(client.coql(owner).await.0, 200);
}
