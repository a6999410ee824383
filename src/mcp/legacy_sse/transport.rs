//! A session's two channels, as rmcp's transport.

use std::sync::Arc;

use rmcp::{
    RoleServer,
    model::{ClientJsonRpcMessage, JsonRpcMessage, ServerJsonRpcMessage},
    transport::Transport,
};
use tokio::sync::mpsc;

use super::session::{Gone, Opened, Session};

pub(super) struct Channel {
    session: Arc<Session>,
    inbound: Option<mpsc::Receiver<ClientJsonRpcMessage>>,
}

impl Channel {
    /// Takes the session's inbound end.
    pub(super) fn new(opened: &mut Opened) -> Self {
        Self {
            session: opened.session.clone(),
            inbound: opened.inbound.take(),
        }
    }
}

impl Transport<RoleServer> for Channel {
    type Error = Gone;

    fn send(
        &mut self,
        message: ServerJsonRpcMessage,
    ) -> impl Future<Output = Result<(), Gone>> + Send + 'static {
        let session = self.session.clone();
        async move {
            let answered = match &message {
                JsonRpcMessage::Response(answer) => Some(&answer.id),
                JsonRpcMessage::Error(answer) => answer.id.as_ref(),
                JsonRpcMessage::Request(_) | JsonRpcMessage::Notification(_) => None,
            };
            session.send(&message, answered).await
        }
    }

    async fn receive(&mut self) -> Option<ClientJsonRpcMessage> {
        self.inbound.as_mut()?.recv().await
    }

    async fn close(&mut self) -> Result<(), Gone> {
        self.inbound = None;
        Ok(())
    }
}
