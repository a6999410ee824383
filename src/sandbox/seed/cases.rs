//! What customers asked the service team for: open cases and closed ones.

use super::{Cell, Module, Planted, Sower, picklist};

pub(super) fn sow(sower: &mut Sower) {
    for _ in 0..CASES {
        let Some(contact) = sower.dice.one(&sower.contacts).copied() else {
            return;
        };
        case(sower, contact);
    }
}

fn case(sower: &mut Sower, contact: Planted) {
    let Some(&(subject, kind)) = sower.dice.one(SUBJECTS) else {
        return;
    };
    let days = sower.dice.between(1, 300);
    // What is older than a month is done with, most likely.
    let closed = sower.dice.chance(if days > 30 { 85 } else { 30 });
    let status = match closed {
        true => "Closed",
        false => sower.dice.word(&["New", "On Hold", "Escalated"]),
    };
    let person = sower.crm.get(Module::Contacts, contact.id);
    let told = |field| person.and_then(|it| it.text(field)).map(Cell::text);
    let (name, email, phone) = (told("Full_Name"), told("Email"), told("Phone"));
    let mut case = sower.blank();
    case.set("Subject", Cell::text(subject));
    case.set("Type", Cell::text(kind));
    case.set("Status", Cell::text(status));
    case.set("Case_Origin", sower.choice(picklist::CASE_ORIGIN));
    case.set("Priority", sower.choice(picklist::CASE_PRIORITY));
    case.set("Case_Reason", sower.choice(picklist::CASE_REASON));
    case.set("Account_Name", contact.account.map(Cell::Ref));
    case.set("Related_To", Cell::Ref(contact.id));
    case.set("Reported_By", name);
    case.set("Email", email);
    case.set("Phone", phone);
    case.set("Solution", closed.then(|| sower.choice(SOLUTIONS)));
    sower.plant(Module::Cases, case, contact.owner, days, "crm_ui");
}

const CASES: usize = 140;

const SUBJECTS: &[(&str, &str)] = &[
    ("Reading drifts after a warm night", "Problem"),
    ("Chamber does not reach its temperature", "Problem"),
    ("Display stays dark", "Problem"),
    ("Calibration certificate is missing", "Question"),
    ("Which cleaning agent is allowed?", "Question"),
    ("Export of raw data", "Feature Request"),
    ("Alarm by text message", "Feature Request"),
];

const SOLUTIONS: &[&str] = &[
    "Sensor replaced under warranty.",
    "Firmware updated remotely.",
    "Explained on the phone.",
    "Certificate sent again.",
];
