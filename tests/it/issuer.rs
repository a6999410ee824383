//! An issuer of tokens: a key set over HTTP whose keys change and which goes down, and tokens that
//! are as good or as bad as a test wants them.

use std::{
    fs::File,
    io::{BufRead, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

use axum::{Json, Router, extract::State, http::StatusCode, response::Redirect, routing::get};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, EncodingKey, crypto, jwk::Jwk};
use serde_json::{Value, json};
use tokio::net::TcpListener;

pub(crate) const AUDIENCE: &str = "https://mcp.example.com/mcp";

pub(crate) struct Issuer {
    pub(crate) url: String,
    served: Arc<Served>,
}

struct Served {
    keys: Mutex<Value>,
    fetches: AtomicUsize,
    down: AtomicBool,
    hung: AtomicBool,
}

impl Issuer {
    pub(crate) async fn start(keys: &[&Key]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let served = Arc::new(Served {
            keys: Mutex::new(key_set(keys)),
            fetches: AtomicUsize::new(0),
            down: AtomicBool::new(false),
            hung: AtomicBool::new(false),
        });
        let app = Router::new()
            .route("/jwks", get(jwks))
            .route("/redirect", get(async || Redirect::temporary("/jwks")))
            .route(
                "/huge",
                get(async || " ".repeat(65 << 10) + "{\"keys\":[]}"),
            )
            .route("/html", get(async || "<html>Sign in</html>"))
            .route(
                "/secret",
                get(async || r#"{"keys":[{"kty":"oct","k":"AAAA"}]}"#),
            )
            .route("/twice", get(async || r#"{"keys":[],"keys":[]}"#))
            .with_state(served.clone());
        tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        Self { url, served }
    }

    /// Replaces the key set.
    pub(crate) fn publish(&self, keys: &[&Key]) {
        *self.served.keys.lock().unwrap() = key_set(keys);
    }

    /// From now on it answers 503, or answers again.
    pub(crate) fn down(&self, down: bool) {
        self.served.down.store(down, Ordering::Relaxed);
    }

    /// From now on it takes requests for its keys and never answers.
    pub(crate) fn hang(&self) {
        self.served.hung.store(true, Ordering::Relaxed);
    }

    pub(crate) fn fetches(&self) -> usize {
        self.served.fetches.load(Ordering::Relaxed)
    }

    /// `[[auth.jwt]]` for this issuer; `more` says who its callers are.
    pub(crate) fn config(&self, more: &str) -> String {
        let url = &self.url;
        format!(
            "[[auth.jwt]]\nissuer = \"{url}\"\naudience = \"{AUDIENCE}\"\njwks = \"{url}/jwks\"\n{more}\n"
        )
    }

    /// The claims of a good token, with some of them changed; `null` takes one out.
    pub(crate) fn claims(&self, change: Value) -> Value {
        let mut claims = json!({
            "iss": self.url, "aud": AUDIENCE, "sub": "ada", "iat": now() - 5, "exp": now() + 600,
        });
        overlay(&mut claims, change);
        claims
    }

    /// A good token, with some claims changed.
    pub(crate) fn token(&self, key: &Key, change: Value) -> String {
        key.sign(&self.claims(change))
    }
}

async fn jwks(State(served): State<Arc<Served>>) -> Result<Json<Value>, StatusCode> {
    served.fetches.fetch_add(1, Ordering::Relaxed);
    if served.hung.load(Ordering::Relaxed) {
        std::future::pending::<()>().await;
    }
    match served.down.load(Ordering::Relaxed) {
        true => Err(StatusCode::SERVICE_UNAVAILABLE),
        false => Ok(Json(served.keys.lock().unwrap().clone())),
    }
}

fn key_set(keys: &[&Key]) -> Value {
    let keys: Vec<&Value> = keys.iter().map(|key| &key.public).collect();
    json!({ "keys": keys })
}

/// Takes over each member of `change`, and takes out what is `null` there.
pub(crate) fn overlay(object: &mut Value, change: Value) {
    let object = object.as_object_mut().unwrap();
    for (name, value) in change.as_object().unwrap() {
        match value {
            Value::Null => object.remove(name),
            value => object.insert(name.clone(), value.clone()),
        };
    }
}

pub(crate) fn now() -> i64 {
    jiff::Timestamp::now().as_second()
}

/// A key that signs tokens.
pub(crate) struct Key {
    id: String,
    algorithm: Algorithm,
    private: EncodingKey,
    /// As the key set has it.
    pub(crate) public: Value,
    pub(crate) public_pem: String,
}

impl Key {
    pub(crate) fn new(id: &str, algorithm: Algorithm) -> Self {
        let of = |kind| rcgen::KeyPair::generate_for(kind).unwrap();
        let pair = match algorithm {
            Algorithm::ES256 => of(&rcgen::PKCS_ECDSA_P256_SHA256),
            Algorithm::ES384 => of(&rcgen::PKCS_ECDSA_P384_SHA384),
            Algorithm::EdDSA => of(&rcgen::PKCS_ED25519),
            _ => {
                let size = rcgen::RsaKeySize::_2048;
                rcgen::KeyPair::generate_rsa_for(&rcgen::PKCS_RSA_SHA256, size).unwrap()
            }
        };
        let (pem, der) = (pair.serialize_pem(), pair.serialize_der());
        let base64 = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        let raw = pair.public_key_raw();
        let (private, mut public) = match algorithm {
            Algorithm::ES256 | Algorithm::ES384 => {
                let private = EncodingKey::from_ec_pem(pem.as_bytes()).unwrap();
                let (x, y) = raw[1..].split_at((raw.len() - 1) / 2);
                let curve = if x.len() == 32 { "P-256" } else { "P-384" };
                let public = json!({ "kty": "EC", "crv": curve, "x": base64(x), "y": base64(y) });
                (private, public)
            }
            Algorithm::EdDSA => {
                let public = json!({ "kty": "OKP", "crv": "Ed25519", "x": base64(raw) });
                (EncodingKey::from_ed_der(&der), public)
            }
            _ => {
                let private = EncodingKey::from_rsa_pem(pem.as_bytes()).unwrap();
                let public = Jwk::from_encoding_key(&private, algorithm).unwrap();
                (private, serde_json::to_value(public).unwrap())
            }
        };
        overlay(&mut public, json!({ "kid": id, "use": "sig", "alg": null }));
        Self {
            id: id.to_owned(),
            algorithm,
            private,
            public,
            public_pem: pair.public_key_pem(),
        }
    }

    /// A secret that is shared with the daemon.
    pub(crate) fn secret(secret: &str) -> Self {
        Self {
            id: "shared".to_owned(),
            algorithm: Algorithm::HS256,
            private: EncodingKey::from_secret(secret.as_bytes()),
            public: Value::Null,
            public_pem: String::new(),
        }
    }

    /// The same key for another algorithm of its kind, or under another id.
    pub(crate) fn with(&self, id: &str, algorithm: Algorithm) -> Self {
        let mut public = self.public.clone();
        overlay(&mut public, json!({ "kid": id }));
        Self {
            id: id.to_owned(),
            algorithm,
            private: self.private.clone(),
            public,
            public_pem: self.public_pem.clone(),
        }
    }

    pub(crate) fn header(&self) -> Value {
        json!({ "alg": format!("{:?}", self.algorithm), "typ": "at+jwt", "kid": self.id })
    }

    pub(crate) fn sign(&self, claims: &Value) -> String {
        self.sign_text(&self.header().to_string(), &claims.to_string())
    }

    /// Signs whatever the header and the claims are.
    pub(crate) fn sign_text(&self, header: &str, claims: &str) -> String {
        let base64 = |text: &str| URL_SAFE_NO_PAD.encode(text);
        let signed = format!("{}.{}", base64(header), base64(claims));
        let signature = crypto::sign(signed.as_bytes(), &self.private, self.algorithm).unwrap();
        format!("{signed}.{signature}")
    }
}

/// `tests/clients/oauth_server.py` as a process of its own: clients sign in there.
pub(crate) struct AuthorizationServer {
    pub(crate) issuer: String,
    process: Child,
}

impl AuthorizationServer {
    pub(crate) fn start() -> Self {
        let mut process = python("oauth_server.py")
            .stdout(Stdio::piped())
            .spawn()
            .expect(INSTALL);
        let mut line = String::new();
        let stdout = process.stdout.take().unwrap();
        BufReader::new(stdout).read_line(&mut line).unwrap();
        let told: Value = serde_json::from_str(&line).expect(INSTALL);
        Self {
            issuer: told["issuer"].as_str().unwrap().to_owned(),
            process,
        }
    }
}

impl Drop for AuthorizationServer {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Runs the Python client of `tests/clients` to its end; what it reported, step by step.
pub(crate) fn python_client(url: &str) -> Vec<Value> {
    steps(python("oauth.py").arg(url))
}

/// The same with a generation of the TypeScript client.
pub(crate) fn typescript_client(url: &str, generation: &str) -> Vec<Value> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let script = File::open(root.join("tests/clients/oauth.mjs")).unwrap();
    let mut node = Command::new("node");
    // From standard input, so that modules are looked for in the folder.
    node.args(["--input-type=module", "-", url, generation])
        .current_dir(root.join("target/clients/node"))
        .stdin(script);
    steps(&mut node)
}

fn steps(client: &mut Command) -> Vec<Value> {
    let ran = client.output().expect(INSTALL);
    let (reports, complaints) = (ran.stdout, String::from_utf8_lossy(&ran.stderr));
    let steps: Vec<Value> = serde_json::Deserializer::from_slice(&reports)
        .into_iter()
        .map(|step| step.expect("a line of JSON"))
        .collect();
    assert!(
        !steps.is_empty(),
        "{client:?} reports nothing: {complaints}"
    );
    steps
}

fn python(script: &str) -> Command {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut command = Command::new(root.join("target/clients/python/bin/python"));
    command.arg(root.join("tests/clients").join(script));
    command
}

const INSTALL: &str = "tests/run installs the clients";
