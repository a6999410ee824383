//! Zoho, which every call of a tool asks.

use std::{sync::Arc, time::Duration};

use serde_json::Value;

use super::{
    scene::{Needed, Scene},
    table::{Cell, Row},
};
use crate::{
    house::{House, Setup},
    names::Names,
    passage::{Fault, Passage, page, said},
    pki::Ca,
};

pub(super) struct Asked {
    pub(super) passage: Passage,
    names: Arc<Names>,
    /// The sandbox is behind it.
    _crm: House,
}

pub(super) async fn scene() -> Scene<Asked> {
    let (ca, names) = (Ca::root("chaos"), Arc::new(Names::new()));
    let crm = House::with(|setup| {
        setup.file("upstream.pem", &ca.pem());
    })
    .await;
    let port = crm.zoho.url.rsplit(':').next().unwrap().parse().unwrap();
    let passage = Passage::to(port, &ca, &names, speech).await;
    let authorities = crm.file("upstream.pem").display().to_string();
    let url = format!("https://{}", passage.host());
    let through = |setup: &mut Setup| {
        names.are_known_to(setup);
        setup.variable("SSL_CERT_FILE", &authorities);
        setup.set("zoho.accounts_url", &url);
        setup.set("zoho.api_url", &url);
        setup.set("zoho.connect_timeout", "1s");
        setup.set("zoho.request_timeout", "2s");
        setup.set("mcp.tool_timeout", "4s");
        setup.set("limits.in_flight", "1000");
        setup.set("limits.in_flight_total", "1000");
        setup.set("auth.api_keys.refresh", "1s");
    };
    Scene {
        houses: [crm.replica(through).await, crm.replica(through).await],
        needed: Asked {
            passage,
            names,
            _crm: crm,
        },
    }
}

fn speech(fault: Fault, question: &str) -> Option<String> {
    let error = |code: &str| {
        format!(
            "{{\"code\":\"{code}\",\"message\":\"made up\",\"status\":\"error\",\"details\":{{}}}}"
        )
    };
    match fault {
        Fault::Page => Some(page()),
        Fault::Failing => Some(said(
            "503 Service Unavailable",
            "",
            &error("INTERNAL_ERROR"),
        )),
        Fault::Denied if question.contains("/oauth/") => {
            Some(said("400 Bad Request", "", r#"{"error":"invalid_client"}"#))
        }
        Fault::Denied => Some(said("401 Unauthorized", "", &error("INVALID_TOKEN"))),
        Fault::Busy => Some(said(
            "429 Too Many Requests",
            "Retry-After: 1\r\n",
            &error("TOO_MANY_REQUESTS"),
        )),
        _ => None,
    }
}

impl Needed for Asked {
    const NAME: &'static str = "Zoho";
    const DEADLINE: Duration = Duration::from_secs(4);

    fn expected(row: &Row) -> Cell {
        row.zoho
    }

    fn can_suffer(&self, fault: Fault) -> bool {
        fault != Fault::NameGone || self.names.can_change()
    }

    fn suffers(&mut self, fault: Fault, _: &[House; 2]) {
        self.passage.suffers(fault);
    }

    /// Credentials that were refused are not shown again until somebody says so.
    fn recovers(&mut self, houses: &[House; 2]) {
        self.passage.recovers();
        houses.iter().for_each(|house| house.signal("-HUP"));
    }

    fn detail(&self, _: &House, checks: &Value) -> String {
        match checks["zoho_api"]["status"].as_str().unwrap() {
            "ok" => String::new(),
            status => format!("zoho_api {status}"),
        }
    }
}
