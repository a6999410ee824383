//! A bare connection: what is sent and what comes back, byte by byte.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};

pub(crate) struct Wire {
    socket: TcpStream,
    seen: String,
}

impl Wire {
    pub(crate) fn new(socket: TcpStream) -> Self {
        Self {
            socket,
            seen: String::new(),
        }
    }

    /// Sends bytes; that the other side has closed already is for the reader to find out.
    pub(crate) async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        let _ = timeout(PATIENCE, self.socket.write_all(bytes.as_ref()))
            .await
            .expect("the daemon takes the bytes");
    }

    /// Everything that came, once `text` is among it.
    pub(crate) async fn until(&mut self, text: &str) -> &str {
        while !self.seen.contains(text) {
            assert!(self.read().await, "no {text:?} in {:?}", self.seen);
        }
        &self.seen
    }

    /// Everything that came, once the daemon has closed the connection.
    pub(crate) async fn rest(mut self) -> String {
        while self.read().await {}
        self.seen
    }

    /// Whether so many answers came before the daemon closed the connection.
    pub(crate) async fn has_answered(&mut self, times: usize) -> bool {
        while self.seen.matches("HTTP/1.1 ").count() < times {
            if !self.read().await {
                return false;
            }
        }
        true
    }

    /// Reads on; false once the connection has ended.
    async fn read(&mut self) -> bool {
        let mut buffer = [0; 4096];
        let read = timeout(PATIENCE, self.socket.read(&mut buffer)).await;
        match read.unwrap_or_else(|_| panic!("silence after {:?}", self.seen)) {
            Ok(0) | Err(_) => false,
            Ok(read) => {
                self.seen
                    .push_str(&String::from_utf8_lossy(&buffer[..read]));
                true
            }
        }
    }
}

/// A POST of a body to `/mcp`, with a credential and what else is to stand in its head.
pub(crate) fn post(key: &str, more: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "POST /mcp HTTP/1.1\r\nHost: localhost\r\nX-API-Key: {key}\r\n\
         Content-Type: application/json\r\nContent-Length: {length}\r\n{more}\r\n{body}"
    )
}

/// A harmless request.
pub(crate) fn listing(id: impl Into<Value>) -> String {
    json!({ "jsonrpc": "2.0", "id": id.into(), "method": "tools/list" }).to_string()
}

const PATIENCE: Duration = Duration::from_secs(20);
