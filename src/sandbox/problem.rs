//! Every error that the CRM can answer with, as Zoho words it.

mod status;

pub(super) use status::{DENIED, NOT_DELETED};

use std::borrow::Cow;

use serde_json::{Value, json};

/// An error answer: a bare object, or an element of `data[]` where a write failed.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Problem {
    pub(super) status: u16,
    pub(super) code: &'static str,
    pub(super) details: Value,
    pub(super) message: Cow<'static, str>,
    /// Whether it is of the request as a whole, and never stands in `data[]`.
    pub(super) alone: bool,
}

impl Problem {
    /// A refusal with status 400.
    pub(super) fn bad(
        code: &'static str,
        details: Value,
        message: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self {
            status: 400,
            code,
            details,
            message: message.into(),
            alone: false,
        }
    }

    /// A refusal with another status and no details.
    pub(super) fn plain(
        status: u16,
        code: &'static str,
        message: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self {
            status,
            code,
            details: json!({}),
            message: message.into(),
            alone: false,
        }
    }

    /// The object that says so.
    pub(super) fn body(&self) -> Value {
        json!({"code": self.code, "details": self.details, "message": self.message, "status": "error"})
    }

    /// Whether its status goes with `data[]`; with any other the object stands by itself.
    pub(super) const fn is_of_rows(&self) -> bool {
        matches!(self.status, 400 | 412) && !self.alone
    }

    pub(super) fn unknown_route() -> Self {
        Self::plain(
            404,
            "INVALID_URL_PATTERN",
            "Please check if the URL trying to access is a correct one",
        )
    }

    pub(super) fn wrong_method() -> Self {
        Self::plain(
            400,
            "INVALID_REQUEST_METHOD",
            "The http request method type is not a valid one",
        )
    }

    /// The same of a request whose errors stand in `data[]`.
    pub(super) fn wrong_method_of_rows() -> Self {
        Self {
            details: json!({"resource_path_index": 0}),
            message: "The HTTP request method type is not a valid one.".into(),
            ..Self::wrong_method()
        }
    }

    /// The user has no right to do something with records of a module.
    pub(super) fn denied(right: &str, module: &str, message: &'static str) -> Self {
        let permission = format!("Crm_Implied_{right}_{module}");
        Self {
            details: json!({"permissions": [permission]}),
            ..Self::plain(403, "NO_PERMISSION", message)
        }
    }

    /// No module has the name at a place in the path.
    pub(super) fn unknown_module_at(place: u8) -> Self {
        Self {
            details: json!({"resource_path_index": place}),
            ..Self::unknown_module()
        }
    }

    pub(super) fn unknown_module() -> Self {
        let message = "the module name given seems to be invalid";
        Self::bad("INVALID_MODULE", json!({}), message)
    }

    /// A module that has no records of its own to count.
    pub(super) fn not_counted(module: &str) -> Self {
        let message = "module not suppoted for search";
        Self::bad("NOT_SUPPORTED", json!({"module": module}), message)
    }

    pub(super) fn bad_id() -> Self {
        Self::bad_id_at(2)
    }

    /// An id of nothing at a place in the path.
    pub(super) fn bad_id_at(place: u8) -> Self {
        Self::bad(
            "INVALID_DATA",
            json!({"resource_path_index": place}),
            BAD_ID,
        )
    }

    /// An id of no record can be deleted by it.
    pub(super) fn bad_deleted() -> Self {
        let place = json!({"resource_path_index": 0});
        Self::bad("INVALID_DATA", place, "invalid record id")
    }

    /// What a related list, or a note, stands below is not there.
    pub(super) fn bad_parent() -> Self {
        Self::bad(
            "INVALID_DATA",
            json!({"resource_path_index": 1}),
            "the related id given seems to be invalid",
        )
    }

    /// The same, as related lists word it.
    pub(super) fn bad_related() -> Self {
        Self {
            message: "The related id given seems to be invalid".into(),
            ..Self::bad_parent()
        }
    }

    pub(super) fn unknown_relation() -> Self {
        let details = json!({"resource_path_index": 2});
        Self::bad(
            "INVALID_DATA",
            details,
            "the relation name given seems to be invalid",
        )
    }

    pub(super) fn missing_param(name: &str) -> Self {
        Self::bad(
            "REQUIRED_PARAM_MISSING",
            json!({"param_name": name}),
            "required param is missing",
        )
    }

    /// The same, as deletions and related lists word it.
    pub(super) fn expected_param(name: &str) -> Self {
        Self {
            message: "One of the expected parameter is missing".into(),
            ..Self::missing_param(name)
        }
    }

    pub(super) fn bad_param(name: &str) -> Self {
        Self::bad("INVALID_DATA", json!({"param_name": name}), "invalid data")
    }

    pub(super) fn limit_exceeded(limit: usize, param: &str) -> Self {
        Self::bad(
            "LIMIT_EXCEEDED",
            json!({"limit": limit, "param_name": param}),
            "limit exceeded",
        )
    }

    pub(super) fn bad_body() -> Self {
        let details = json!({"expected_data_type": "jsonobject"});
        Self {
            alone: true,
            ..Self::bad("INVALID_DATA", details, "body")
        }
    }

    /// A change of one record that is not there.
    pub(super) fn unknown_record() -> Self {
        Self {
            alone: true,
            ..Self::bad("INVALID_DATA", json!({"resource_path_index": 1}), BAD_ID)
        }
    }

    pub(super) fn too_large() -> Self {
        Self::plain(
            413,
            "REQUEST_ENTITY_TOO_LARGE",
            "Request entity is too large",
        )
    }

    pub(super) fn unsupported() -> Self {
        Self::plain(415, "UNSUPPORTED_MEDIA_TYPE", "unsupported media type")
    }

    pub(super) fn invalid_token() -> Self {
        Self::plain(401, "INVALID_TOKEN", "invalid oauth token")
    }

    pub(super) fn unauthenticated() -> Self {
        Self::plain(401, "AUTHENTICATION_FAILURE", "Authentication failed")
    }

    pub(super) fn too_many_at_once() -> Self {
        Self::plain(
            429,
            "TOO_MANY_REQUESTS",
            "too many requests. please try again after some time",
        )
    }

    pub(super) fn no_credits() -> Self {
        Self::plain(
            429,
            "TOO_MANY_REQUESTS",
            "Number of API requests for the 24 hour period is exceeded. Please try again after some time.",
        )
    }

    /// What Zoho says with a status of its own accord, for a fault that names none.
    pub(super) fn with_status(status: u16) -> Self {
        match status {
            401 => Self::invalid_token(),
            403 => Self::plain(403, "NO_PERMISSION", "permission denied"),
            404 => Self::unknown_route(),
            413 => Self::too_large(),
            415 => Self::unsupported(),
            429 => Self::too_many_at_once(),
            500 => Self::plain(500, "INTERNAL_ERROR", "Internal Server Error"),
            502..=504 => Self::plain(
                status,
                "SERVICE_UNAVAILABLE",
                "Service temporarily unavailable",
            ),
            _ => Self::plain(status, "INTERNAL_ERROR", "Internal Server Error"),
        }
    }
}

/// What Zoho says of an id that it does not know.
pub(super) const BAD_ID: &str = "the id given seems to be invalid";
