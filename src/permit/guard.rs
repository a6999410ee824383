//! Guard: what the caller may do with the tool it names. The answer to a denial is a tool result,
//! so the guard decides and records, and the handler says it.

use std::sync::Arc;

use arc_swap::ArcSwap;
use axum::{
    extract::{Request, State},
    middleware::Next,
    response::Response,
};

use super::{Denial, Effect, Grant, Permission, Policy, decide};
use crate::{
    audit::{Audit, Event, Kind},
    auth::{Caller, Lease},
    call::{Asked, Call},
    refusal::{InsufficientScope, Refusal},
};

/// What the guard needs.
#[expect(missing_docs, reason = "the types say it")]
pub struct Gate {
    pub policy: Arc<ArcSwap<Policy>>,
    /// What every tool that exists asks for.
    pub tools: Arc<[Permission]>,
    pub audit: Audit,
}

/// What became of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// The tool may be called.
    Granted(Grant),
    /// It may not.
    Denied {
        /// The tool.
        tool: &'static str,
        /// For the audit log.
        denial: Denial,
    },
    /// There is no such tool.
    UnknownTool,
    /// No tool is called.
    NotACall,
}

/// Decides, and carries the decision on.
///
/// # Errors
/// [`Refusal::InsufficientScope`] when the role permits the tool and the token's scopes do not,
/// [`Refusal::Internal`] when the guards before it are missing.
pub async fn permit(
    State(gate): State<Arc<Gate>>,
    mut request: Request,
    next: Next,
) -> Result<Response, Refusal> {
    let asked = Asked::of(request.extensions())?;
    let decision = gate.decide(asked.caller, asked.call);
    if let Some(event) = denied(&decision) {
        gate.audit.record(asked.sign(event)).await;
    }
    if let Some(refusal) = gate.out_of_scope(&decision, asked, &request) {
        return Err(refusal);
    }
    request.extensions_mut().insert(Arc::new(decision));
    Ok(next.run(request).await)
}

impl Gate {
    /// A client can get a token with more scope, so that it is told in a way that it can act on.
    fn out_of_scope(
        &self,
        decision: &Decision,
        asked: Asked<'_>,
        request: &Request,
    ) -> Option<Refusal> {
        let Decision::Denied {
            tool,
            denial: Denial::NotInScope,
        } = decision
        else {
            return None;
        };
        let known = self.tools.iter().find(|known| known.tool == *tool);
        let writes = known.is_some_and(|known| known.effect == Effect::Write);
        let Some(lease) = request.extensions().get::<Lease>() else {
            return Some(Refusal::Internal);
        };
        let scope = asked.caller.scopes.as_ref()?.needed(writes);
        let challenge = lease.scope_challenge(request.headers(), scope);
        Some(InsufficientScope::of(asked.call.id.clone(), scope, challenge).into())
    }

    fn decide(&self, caller: &Caller, call: &Call) -> Decision {
        let Some(tool) = call.tool() else {
            return Decision::NotACall;
        };
        let Some(permission) = self.tools.iter().find(|permission| permission.tool == tool) else {
            return Decision::UnknownTool;
        };
        match decide(&self.policy.load(), caller, *permission) {
            Ok(grant) => Decision::Granted(grant),
            Err(denial) => Decision::Denied {
                tool: permission.tool,
                denial,
            },
        }
    }
}

/// The name of a tool that does not exist is the caller's text, so it is not written.
fn denied(decision: &Decision) -> Option<Event> {
    let event = Event::new(Kind::ToolAccessDenied);
    match decision {
        Decision::Denied { tool, denial } => Some(Event {
            tool_name: Some((*tool).into()),
            reason: Some(denial.word().into()),
            ..event
        }),
        Decision::UnknownTool => Some(Event {
            reason: Some("unknown_tool".into()),
            ..event
        }),
        Decision::Granted(_) | Decision::NotACall => None,
    }
}
