//! The baseline: a bare rmcp server with the daemon's tool definitions and none of its duties. It
//! lets everybody in, limits nothing, writes no log, and reads the CRM's answers as untyped JSON.

use std::sync::Arc;

use axum::Router;
use rmcp::{
    ErrorData, RoleServer, ServerHandler,
    model::{
        CallToolRequestParams, CallToolResponse, CallToolResult, ContentBlock, JsonObject,
        ListToolsResult, PaginatedRequestParams, ServerCapabilities, ServerConfig, Tool,
    },
    service::RequestContext,
    transport::streamable_http_server::{
        StreamableHttpServerConfig, StreamableHttpService, session::never::NeverSessionManager,
    },
};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::process;

/// What it is started with.
#[derive(Clone, clap::Args)]
pub(crate) struct Setup {
    /// Zoho's address.
    #[arg(long)]
    api: String,
    /// An access token.
    #[arg(long)]
    token: String,
    /// The result of `create_note`, as JSON.
    #[arg(long)]
    replayed: String,
}

#[derive(Clone)]
struct Bare(Arc<Held>);

struct Held {
    api: String,
    authorization: String,
    replayed: CallToolResult,
    http: reqwest::Client,
}

/// Serves until it is killed; prints where, as the first line.
pub(crate) async fn serve(setup: Setup) {
    let bare = Bare(Arc::new(Held {
        api: setup.api,
        authorization: format!("Zoho-oauthtoken {}", setup.token),
        replayed: serde_json::from_str(&setup.replayed).unwrap(),
        http: process::http(),
    }));
    let settings = StreamableHttpServerConfig::default()
        .with_legacy_session_mode(false)
        .with_json_response(true);
    let service = StreamableHttpService::new(
        move || Ok(bare.clone()),
        Arc::new(NeverSessionManager::default()),
        settings,
    );
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    println!("http://{}", listener.local_addr().unwrap());
    let router = Router::new().route_service("/mcp", service);
    axum::serve(process::no_delay(listener), router)
        .await
        .unwrap();
}

#[derive(Deserialize)]
#[expect(dead_code, reason = "read as a tool would read them")]
struct Note {
    record_id: String,
    content: String,
    idempotency_key: Option<String>,
}

#[derive(Deserialize)]
struct Search {
    name: String,
    limit: u32,
}

impl ServerHandler for Bare {
    fn get_info(&self) -> ServerConfig {
        ServerConfig::new(ServerCapabilities::builder().enable_tools().build())
    }

    async fn list_tools(
        &self,
        _request: Option<PaginatedRequestParams>,
        _context: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        let tools = zoho_mcp::tools::table().iter();
        Ok(ListToolsResult::with_all_items(
            tools.map(|row| row.definition.clone()).collect(),
        ))
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        _context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let result = match &*request.name {
            "create_note" => {
                let _note: Note = read(request.arguments)?;
                self.0.replayed.clone()
            }
            "search_contacts" => self.search(read(request.arguments)?).await,
            _ => return Err(ErrorData::invalid_params("unknown tool", None)),
        };
        Ok(result.into())
    }

    fn get_tool(&self, name: &str) -> Option<Tool> {
        zoho_mcp::tools::find(name).map(|row| row.definition.clone())
    }
}

fn read<T: DeserializeOwned>(arguments: Option<JsonObject>) -> Result<T, ErrorData> {
    let arguments = Value::Object(arguments.unwrap_or_default());
    serde_json::from_value(arguments)
        .map_err(|error| ErrorData::invalid_params(error.to_string(), None))
}

impl Bare {
    /// Ten contacts with the fields that the daemon shows, and a line of text for each.
    async fn search(&self, search: Search) -> CallToolResult {
        let name = &search.name;
        let sent = self
            .0
            .http
            .get(format!("{}/crm/v8/Contacts/search", self.0.api))
            .header("authorization", &self.0.authorization)
            .query(&[
                (
                    "criteria",
                    format!("((First_Name:starts_with:{name})or(Last_Name:starts_with:{name}))"),
                ),
                ("fields", FIELDS.join(",")),
                ("page", "1".to_owned()),
                ("per_page", search.limit.to_string()),
            ])
            .send()
            .await
            .unwrap();
        let found: Value = sent.json().await.unwrap();
        let rows = found["data"].as_array().unwrap();
        let items = rows.iter().map(|row| {
            let fields = ["id"].into_iter().chain(FIELDS);
            let shown = fields.filter(|field| !row[*field].is_null());
            shown
                .map(|field| (field.to_owned(), row[field].clone()))
                .collect::<JsonObject>()
        });
        let items: Vec<Value> = items.map(Value::Object).collect();
        let mut text = format!("{} contacts.", items.len());
        for item in &items {
            let show = |field: &str| item[field].as_str().unwrap_or("-").to_owned();
            text.push_str(&format!(
                "\n- {} ({}), {}",
                show("Full_Name"),
                show("id"),
                show("Email")
            ));
        }
        let more = found["info"]["more_records"].clone();
        let output = json!({ "count": items.len(), "items": items, "more": more });
        let mut result = CallToolResult::success(vec![ContentBlock::text(text)]);
        result.structured_content = Some(output);
        result
    }
}

const FIELDS: [&str; 12] = [
    "Full_Name",
    "Email",
    "Phone",
    "Mobile",
    "Title",
    "Department",
    "Account_Name",
    "Owner",
    "Lead_Source",
    "Created_Time",
    "Modified_Time",
    "Last_Activity_Time",
];
