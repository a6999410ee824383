//! One request of a session and what comes back, as rmcp's transport. The protocol library runs for
//! as long as a request does, so that a stream on which nothing happens holds nothing of it.

use std::sync::Arc;

use rmcp::{
    RoleServer,
    model::{
        ClientJsonRpcMessage, ClientRequest, JsonRpcMessage, JsonRpcRequest, ServerJsonRpcMessage,
    },
    transport::Transport,
};
use tokio_util::sync::CancellationToken;

use super::session::{Gone, Session};

pub(super) struct Exchange {
    session: Arc<Session>,
    request: Option<JsonRpcRequest<ClientRequest>>,
    answered: CancellationToken,
}

impl Exchange {
    pub(super) fn new(session: Arc<Session>, request: JsonRpcRequest<ClientRequest>) -> Self {
        Self {
            session,
            request: Some(request),
            answered: CancellationToken::new(),
        }
    }
}

impl Transport<RoleServer> for Exchange {
    type Error = Gone;

    fn send(
        &mut self,
        message: ServerJsonRpcMessage,
    ) -> impl Future<Output = Result<(), Gone>> + Send + 'static {
        let (session, over) = (self.session.clone(), self.answered.clone());
        async move {
            let answered = match &message {
                JsonRpcMessage::Response(answer) => Some(&answer.id),
                JsonRpcMessage::Error(answer) => answer.id.as_ref(),
                JsonRpcMessage::Request(_) | JsonRpcMessage::Notification(_) => None,
            };
            let sent = session.send(&message, answered).await;
            if answered.is_some() || sent.is_err() {
                over.cancel();
            }
            sent
        }
    }

    /// The request, and nothing more until its answer is sent.
    async fn receive(&mut self) -> Option<ClientJsonRpcMessage> {
        if let Some(request) = self.request.take() {
            return Some(JsonRpcMessage::Request(request));
        }
        self.answered.cancelled().await;
        None
    }

    async fn close(&mut self) -> Result<(), Gone> {
        Ok(())
    }
}
