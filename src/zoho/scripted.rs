//! A tiny Zoho for the tests of this room: a real server on loopback that says what it is told to,
//! also what no well-behaved server would say, and remembers what it was asked.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use secrecy::SecretString;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    time::Instant,
};

use super::{
    Config, Credentials, Crm, DataCenter, RecordId, Scope, Zoho, ZohoError,
    contacts::Contact,
    lock,
    notes::{NewNote, NoteParent},
    written::Written,
};
use crate::setting::Span;

/// What the server does with a request.
pub(super) enum Say {
    /// A status and a JSON body.
    Json(u16, String),
    /// These bytes, then the end of the connection.
    Bytes(String),
    /// More than nine MiB in chunks.
    Flood,
    /// These bytes, then nothing.
    Stall(&'static str),
    /// One byte after each pause, without an end.
    Drip(Duration),
    /// The connection ends without an answer.
    HangUp,
    /// A good answer after a while.
    Late(Duration, String),
}

/// A request that it saw.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    pub(super) method: String,
    pub(super) target: String,
    pub(super) authorization: Option<String>,
    pub(super) body: String,
}

/// The server; it ends with the test's runtime.
pub(super) struct Scripted {
    pub(super) url: String,
    journal: Arc<Mutex<Vec<Seen>>>,
}

type Script = Arc<dyn Fn(&Seen, usize) -> Say + Send + Sync>;

impl Scripted {
    /// Answers CRM requests by `script`, which also learns how many came before; tokens are `t1`,
    /// `t2` and so on.
    pub(super) async fn start(
        script: impl Fn(&Seen, usize) -> Say + Send + Sync + 'static,
    ) -> Self {
        Self::with_tokens(script, |n| say_token(&format!("t{}", n + 1), 3600)).await
    }

    /// The same with a script for tokens.
    pub(super) async fn with_tokens(
        script: impl Fn(&Seen, usize) -> Say + Send + Sync + 'static,
        tokens: impl Fn(usize) -> Say + Send + Sync + 'static,
    ) -> Self {
        Self::with_minted(script, move |_, n| tokens(n)).await
    }

    /// The same, where tokens differ by who asks for them.
    pub(super) async fn with_minted(
        script: impl Fn(&Seen, usize) -> Say + Send + Sync + 'static,
        tokens: impl Fn(&Seen, usize) -> Say + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let journal = Arc::<Mutex<Vec<Seen>>>::default();
        let script: Script = Arc::new(move |seen, n| match seen.is_mint() {
            true => tokens(seen, n),
            false => script(seen, n),
        });
        let seen = Arc::clone(&journal);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, Arc::clone(&script), Arc::clone(&seen)));
            }
        });
        Self { url, journal }
    }

    pub(super) fn config(&self) -> Config {
        Config {
            data_center: DataCenter::Us,
            credentials: None,
            user_credentials: None,
            token_key: None,
            coalesce: false,
            concurrency: std::num::NonZeroU32::new(8).unwrap(),
            daily_credits: std::num::NonZeroU32::new(50_000).unwrap(),
            write_reserve: "0.1".parse().unwrap(),
            client_share: "0.5".parse().unwrap(),
            client_shares: std::collections::BTreeMap::new(),
            accounts_url: Some(self.url.clone()),
            api_url: Some(self.url.clone()),
            max_wait: Span::millis(5_000),
            connect_timeout: Span::millis(500),
            request_timeout: Span::millis(5_000),
        }
    }

    pub(super) fn zoho(&self) -> Zoho {
        Zoho::new(&self.config(), credentials()).unwrap()
    }

    /// Requests to the CRM so far.
    pub(super) fn asked(&self) -> Vec<Seen> {
        let journal = lock(&self.journal);
        journal
            .iter()
            .filter(|seen| seen.target.starts_with("/crm"))
            .cloned()
            .collect()
    }

    /// How often it was looked whether the accounts server is there.
    pub(super) fn looks(&self) -> usize {
        let journal = lock(&self.journal);
        journal.iter().filter(|seen| seen.is_look()).count()
    }

    /// Tokens asked for so far.
    pub(super) fn mints(&self) -> usize {
        lock(&self.journal)
            .iter()
            .filter(|seen| seen.is_mint())
            .count()
    }
}

impl Seen {
    /// The first two parts of the path.
    fn room(&self) -> Vec<&str> {
        let verb = match self.is_mint() {
            true => "mint",
            false => "",
        };
        let path = self.target.split('/').take(3);
        [verb].into_iter().chain(path).collect()
    }

    fn is_mint(&self) -> bool {
        self.method == "POST" && self.target.starts_with("/oauth/v2/token")
    }

    /// Whether it asks if the accounts server is there.
    pub(super) fn is_look(&self) -> bool {
        self.method == "GET" && self.target == "/oauth/v2/token" && self.authorization.is_none()
    }
}

pub(super) fn credentials() -> Credentials {
    Credentials {
        client_id: "1000.CLIENT".into(),
        client_secret: SecretString::from("s3cret"),
        refresh_token: SecretString::from("1000.refresh"),
    }
}

/// A call that has ten seconds.
pub(super) fn call(zoho: &Zoho) -> Crm {
    zoho.view(&Scope::Org, Instant::now() + Duration::from_secs(10))
}

pub(super) fn say(status: u16, body: &str) -> Say {
    Say::Json(status, body.to_owned())
}

pub(super) fn say_token(token: &str, seconds: u32) -> Say {
    Say::Json(
        200,
        format!(
            r#"{{"access_token":"{token}","api_domain":"https://www.zohoapis.com","token_type":"Bearer","expires_in":{seconds}}}"#
        ),
    )
}

async fn serve(mut stream: TcpStream, script: Script, journal: Arc<Mutex<Vec<Seen>>>) {
    let mut buffer = Vec::new();
    while let Some(seen) = read(&mut stream, &mut buffer).await {
        let said = {
            let mut journal = lock(&journal);
            let before = journal
                .iter()
                .filter(|other| other.room() == seen.room())
                .count();
            journal.push(seen.clone());
            script(&seen, before)
        };
        let (answer, pause, goes_on) = match said {
            Say::Json(status, body) => (http(status, &body), Duration::ZERO, true),
            Say::Late(pause, body) => (http(200, &body), pause, true),
            Say::Bytes(bytes) => (bytes, Duration::ZERO, false),
            Say::HangUp => return,
            Say::Flood => {
                let chunk = format!("10000\r\n{}\r\n", "x".repeat(0x10000));
                let head = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n".to_owned();
                (head + &chunk.repeat(144), Duration::ZERO, false)
            }
            Say::Drip(pause) => return drip(&mut stream, pause).await,
            Say::Stall(bytes) => {
                let _ = stream.write_all(bytes.as_bytes()).await;
                return std::future::pending().await;
            }
        };
        tokio::time::sleep(pause).await;
        if stream.write_all(answer.as_bytes()).await.is_err() || !goes_on {
            return;
        }
    }
}

async fn drip(stream: &mut TcpStream, pause: Duration) {
    let head = "HTTP/1.1 200 OK\r\ncontent-length: 9999\r\n\r\n{";
    let mut sent = stream.write_all(head.as_bytes()).await;
    while sent.is_ok() {
        tokio::time::sleep(pause).await;
        sent = stream.write_all(b" ").await;
    }
}

fn http(status: u16, body: &str) -> String {
    if status == 204 {
        return "HTTP/1.1 204 No Content\r\n\r\n".into();
    }
    format!(
        "HTTP/1.1 {status} X\r\ncontent-type: application/json;charset=UTF-8\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
}

async fn read(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> Option<Seen> {
    let end = loop {
        if let Some(at) = buffer.windows(4).position(|bytes| bytes == b"\r\n\r\n") {
            break at + 4;
        }
        if stream.read_buf(buffer).await.ok()? == 0 {
            return None;
        }
    };
    let head = String::from_utf8_lossy(&buffer[..end]).into_owned();
    let header = |name: &str| {
        head.lines().skip(1).find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name)
                .then(|| value.trim().to_owned())
        })
    };
    let length: usize = header("content-length").map_or(0, |text| text.parse().unwrap());
    while buffer.len() < end + length {
        if stream.read_buf(buffer).await.ok()? == 0 {
            return None;
        }
    }
    let mut line = head.split(' ');
    let seen = Seen {
        method: line.next()?.to_owned(),
        target: line.next()?.to_owned(),
        authorization: header("authorization"),
        body: String::from_utf8_lossy(&buffer[end..end + length]).into_owned(),
    };
    buffer.drain(..end + length);
    Some(seen)
}

pub(super) const ONE: &str = r#"{"data":[{"id":"5725767000000411001","Full_Name":"Ann\u202e Lee","Email":"a@example.com","Mobile":null,"Account_Name":{"name":"Zylker","id":"7"},"Owner":{"name":"Bo","id":"8","email":"b@example.com"},"Created_Time":"2026-05-14T12:52:27+03:00","$approved":true,"Tag":[]}],"info":{"per_page":10,"count":1,"page":1,"more_records":true}}"#;
pub(super) const INVALID_TOKEN: &str =
    r#"{"code":"INVALID_TOKEN","details":{},"message":"invalid oauth token","status":"error"}"#;
pub(super) const NOTED: &str = r#"{"data":[{"code":"SUCCESS","details":{"Created_Time":"2026-05-14T12:54:39+03:00","id":"57"},"message":"record added","status":"success"}]}"#;

fn id() -> RecordId {
    "5725767000000411001".parse().unwrap()
}

pub(super) async fn contact(crm: &Crm) -> Result<Contact, ZohoError> {
    crm.contact(&id()).await
}

pub(super) async fn note(crm: &Crm) -> Result<Written, ZohoError> {
    let note = NewNote {
        title: Some("Follow up".into()),
        content: "call".into(),
    };
    crm.create_note(NoteParent::Contacts, &id(), &note).await
}
