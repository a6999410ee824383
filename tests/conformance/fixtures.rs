//! What `fixtures.json` says, as an MCP server.

#![expect(deprecated, reason = "revisions before 2026-07-28 have logging")]

use std::{sync::Arc, time::Duration};

use rmcp::{
    ErrorData, RoleServer, ServerHandler,
    model::{
        CallToolRequestParams, CallToolResponse, ErrorCode, GetPromptRequestParams,
        GetPromptResponse, Implementation, JsonObject, ListPromptsResult,
        ListResourceTemplatesResult, ListResourcesResult, ListToolsResult, LoggingLevel,
        LoggingMessageNotificationParam, PaginatedRequestParams, ProgressNotificationParam,
        ReadResourceRequestParams, ReadResourceResponse, ReadResourceResult, ServerConfig,
        ServerRequest, SetLevelRequestParams, SubscribeRequestParams, SubscriptionFilter, Tool,
        UnsubscribeRequestParams,
    },
    service::RequestContext,
};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::time::sleep;

use crate::asking::{Asking, Next};

type Context = RequestContext<RoleServer>;

#[derive(Clone)]
pub(crate) struct Fixtures(Arc<Value>);

impl Fixtures {
    pub(crate) fn new() -> serde_json::Result<Self> {
        Ok(Self(Arc::new(serde_json::from_str(include_str!(
            "fixtures.json"
        ))?)))
    }

    /// A list of what has these names, with how long it may be kept.
    fn list<T: DeserializeOwned>(&self, kind: &str) -> Result<T, ErrorData> {
        let named = self.0[kind].as_object().into_iter().flatten();
        let items: Vec<Value> = named
            .map(|(name, fixture)| {
                let mut shown = fixture["shown"].clone();
                shown["name"] = json!(name);
                shown
            })
            .collect();
        complete(json!({ kind: items, "ttlMs": 60_000, "cacheScope": "private" }))
    }

    fn tool(&self, name: &str) -> Result<&Value, ErrorData> {
        let tool = &self.0["tools"][name];
        if tool.is_null() {
            return Err(ErrorData::invalid_params("Unknown tool", None));
        }
        Ok(tool)
    }
}

impl ServerHandler for Fixtures {
    fn get_info(&self) -> ServerConfig {
        let capabilities = read(json!({
            "tools": {}, "prompts": {}, "resources": { "subscribe": true },
            "logging": {}, "completions": {},
        }));
        ServerConfig::new(capabilities.unwrap_or_default())
            .with_server_info(Implementation::new("zoho-mcp-conformance", "1.0.0"))
    }

    async fn list_tools(
        &self,
        _: Option<PaginatedRequestParams>,
        _: Context,
    ) -> Result<ListToolsResult, ErrorData> {
        self.list("tools")
    }

    fn get_tool(&self, name: &str) -> Option<Tool> {
        let mut shown = self.tool(name).ok()?["shown"].clone();
        shown["name"] = json!(name);
        read(shown).ok()
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        context: Context,
    ) -> Result<CallToolResponse, ErrorData> {
        let tool = self.tool(&request.name)?;
        let client = declared(&context)?;
        if let Some(needed) = tool["needs"]
            .as_str()
            .filter(|needed| client[needed].is_null())
        {
            let data = json!({ "requiredCapabilities": { needed: {} } });
            let message = format!("This tool needs the capability {needed}");
            return Err(ErrorData::new(MISSING_CAPABILITY, message, Some(data)));
        }
        if let Some(asking) = Asking::of(tool) {
            let state = request.request_state.as_deref();
            return Ok(
                match asking.go_on(&client, state, request.input_responses)? {
                    Next::Ask(asked) => asked.into(),
                    Next::Answer(text) => CallToolResponse::Complete(complete(
                        json!({ "content": [text_block(&text)] }),
                    )?),
                },
            );
        }
        if tool["asks"].is_object() {
            let told = ask(tool, request.arguments, &context).await?;
            let told = json!({ "content": [text_block(&told)] });
            return Ok(CallToolResponse::Complete(complete(told)?));
        }
        for step in tool["progress"].as_array().into_iter().flatten() {
            report(step, &context).await;
        }
        for line in tool["log"].as_array().into_iter().flatten() {
            log(line, &context).await;
        }
        Ok(CallToolResponse::Complete(complete(
            tool["result"].clone(),
        )?))
    }

    async fn list_prompts(
        &self,
        _: Option<PaginatedRequestParams>,
        _: Context,
    ) -> Result<ListPromptsResult, ErrorData> {
        self.list("prompts")
    }

    async fn get_prompt(
        &self,
        request: GetPromptRequestParams,
        context: Context,
    ) -> Result<GetPromptResponse, ErrorData> {
        let prompt = &self.0["prompts"][&request.name];
        if prompt.is_null() {
            return Err(ErrorData::invalid_params("Unknown prompt", None));
        }
        if let Some(asking) = Asking::of(prompt) {
            let (client, state) = (declared(&context)?, request.request_state.as_deref());
            return Ok(
                match asking.go_on(&client, state, request.input_responses)? {
                    Next::Ask(asked) => asked.into(),
                    Next::Answer(text) => GetPromptResponse::Complete(complete(json!({
                        "messages": [{ "role": "user", "content": text_block(&text) }],
                    }))?),
                },
            );
        }
        let mut messages = prompt["messages"].to_string();
        for (name, value) in request.arguments.iter().flatten() {
            let value = value.as_str().unwrap_or_default();
            messages = messages.replace(&format!("{{{name}}}"), value);
        }
        let messages: Value = serde_json::from_str(&messages).map_err(broken)?;
        Ok(GetPromptResponse::Complete(complete(
            json!({ "messages": messages }),
        )?))
    }

    async fn list_resources(
        &self,
        _: Option<PaginatedRequestParams>,
        _: Context,
    ) -> Result<ListResourcesResult, ErrorData> {
        self.list("resources")
    }

    async fn list_resource_templates(
        &self,
        _: Option<PaginatedRequestParams>,
        _: Context,
    ) -> Result<ListResourceTemplatesResult, ErrorData> {
        self.list("resourceTemplates")
    }

    async fn read_resource(
        &self,
        request: ReadResourceRequestParams,
        _: Context,
    ) -> Result<ReadResourceResponse, ErrorData> {
        let uri = &request.uri;
        let resources = self.0["resources"].as_object().into_iter().flatten();
        let known = resources.map(|(_, known)| known);
        let mut content = match known
            .into_iter()
            .find(|known| known["shown"]["uri"] == **uri)
        {
            Some(known) => known["content"].clone(),
            None => from_template(uri).ok_or_else(|| {
                let data = json!({ "uri": uri });
                ErrorData::invalid_params("Resource not found", Some(data))
            })?,
        };
        content["uri"] = json!(uri);
        let result: ReadResourceResult =
            complete(json!({ "contents": [content], "ttlMs": 60_000, "cacheScope": "private" }))?;
        Ok(result.into())
    }

    /// Nothing ever changes here, so whatever a client wants to hear of is as good as anything.
    fn accepted_subscription_filter(
        &self,
        requested: &SubscriptionFilter,
    ) -> Option<SubscriptionFilter> {
        Some(requested.clone())
    }

    async fn set_level(&self, _: SetLevelRequestParams, _: Context) -> Result<(), ErrorData> {
        Ok(())
    }

    async fn subscribe(&self, _: SubscribeRequestParams, _: Context) -> Result<(), ErrorData> {
        Ok(())
    }

    async fn unsubscribe(&self, _: UnsubscribeRequestParams, _: Context) -> Result<(), ErrorData> {
        Ok(())
    }
}

/// `test://template/{id}/data`
fn from_template(uri: &str) -> Option<Value> {
    let id = uri
        .strip_prefix("test://template/")?
        .strip_suffix("/data")?;
    let data = json!({ "id": id, "templateTest": true, "data": format!("Data for ID: {id}") });
    Some(json!({ "mimeType": "application/json", "text": data.to_string() }))
}

/// What the client says that it can do, for a request that carries it.
fn declared(context: &Context) -> Result<Value, ErrorData> {
    let meta = serde_json::to_value(&context.meta).map_err(broken)?;
    Ok(meta["io.modelcontextprotocol/clientCapabilities"].clone())
}

/// Asks the client in the middle of a call, as revisions before 2026-07-28 do, and says what it
/// answered.
async fn ask(
    tool: &Value,
    arguments: Option<JsonObject>,
    context: &Context,
) -> Result<String, ErrorData> {
    let mut question = tool["asks"].to_string();
    for (name, value) in arguments.iter().flatten() {
        let value = value.as_str().unwrap_or_default();
        question = question.replace(&format!("{{{name}}}"), value);
    }
    let question: ServerRequest = serde_json::from_str(&question).map_err(broken)?;
    let client = context.peer.peer_info();
    let can = client.is_some_and(|client| match &question {
        ServerRequest::CreateMessageRequest(_) => client.capabilities.sampling.is_some(),
        _ => client.capabilities.elicitation.is_some(),
    });
    if !can {
        return Err(ErrorData::invalid_request(
            "The client cannot be asked",
            None,
        ));
    }
    let answer = context.peer.send_request(question).await;
    let answer = answer.map_err(|error| ErrorData::internal_error(error.to_string(), None))?;
    let answer = serde_json::to_string(&answer).map_err(broken)?;
    Ok(format!(
        "{} {answer}",
        tool["told"].as_str().unwrap_or_default()
    ))
}

async fn report(step: &Value, context: &Context) {
    if let Some(token) = context.meta.get_progress_token() {
        let done = step.as_f64().unwrap_or_default();
        let progress = ProgressNotificationParam::new(token, done).with_total(100.0);
        let _ = context.peer.notify_progress(progress).await;
    }
    sleep(PAUSE).await;
}

async fn log(line: &Value, context: &Context) {
    let message = LoggingMessageNotificationParam::new(LoggingLevel::Info, line.clone());
    let _ = context.peer.notify_logging_message(message).await;
    sleep(PAUSE).await;
}

fn text_block(text: &str) -> Value {
    json!({ "type": "text", "text": text })
}

/// A result after which nothing more is asked.
fn complete<T: DeserializeOwned>(mut result: Value) -> Result<T, ErrorData> {
    result["resultType"] = json!("complete");
    read(result)
}

fn read<T: DeserializeOwned>(value: Value) -> Result<T, ErrorData> {
    serde_json::from_value(value).map_err(broken)
}

fn broken(error: serde_json::Error) -> ErrorData {
    ErrorData::internal_error(error.to_string(), None)
}

/// The suite says how long.
const PAUSE: Duration = Duration::from_millis(50);
const MISSING_CAPABILITY: ErrorCode = ErrorCode(-32021);
