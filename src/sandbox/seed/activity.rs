//! What the sellers did and plan to do: notes, tasks, events and calls.

use serde_json::json;

use super::{Cell, Id, Module, Planted, Record, Sower, picklist, words};

pub(super) fn sow(sower: &mut Sower) {
    let deals: Vec<Planted> = sower
        .crm
        .table(Module::Deals)
        .values()
        .filter_map(|deal| {
            Some(Planted {
                id: deal.id,
                owner: deal.points_at("Owner")?,
                account: deal.points_at("Contact_Name"),
            })
        })
        .collect();
    for at in 0..NOTES {
        let parent = match at % 5 {
            0 => sower.dice.one(&sower.accounts),
            1 | 2 => sower.dice.one(&deals),
            _ => sower.dice.one(&sower.contacts),
        };
        let Some(parent) = parent.copied() else {
            return;
        };
        note(sower, parent);
    }
    for at in 0..TASKS.max(EVENTS).max(CALLS) {
        let Some(deal) = sower.dice.one(&deals).copied() else {
            return;
        };
        if at < TASKS {
            task(sower, deal);
        }
        if at < EVENTS {
            event(sower, deal);
        }
        if at < CALLS {
            call(sower, deal);
        }
    }
}

fn note(sower: &mut Sower, parent: Planted) {
    let text = [
        words::NOTE_OPENINGS,
        words::NOTE_MIDDLES,
        words::NOTE_ENDINGS,
    ]
    .map(|part| sower.dice.word(part));
    let title = sower
        .dice
        .chance(85)
        .then(|| sower.choice(words::NOTE_TITLES));
    let days = sower.dice.between(1, 300);
    plant_note(sower, parent, title, &text.join(" "), days);
}

/// Adds a note below a record.
pub(super) fn plant_note(
    sower: &mut Sower,
    parent: Planted,
    title: Option<Cell>,
    text: &str,
    days_ago: i64,
) {
    let mut note = sower.blank();
    note.set("Note_Title", title);
    note.set("Note_Content", Cell::text(text));
    note.set("Parent_Id", Cell::Ref(parent.id));
    sower.plant(Module::Notes, note, parent.owner, days_ago, "crm_ui");
}

fn task(sower: &mut Sower, deal: Planted) {
    let due = sower.dice.between(-40, 45);
    let done = if due < 0 {
        sower.dice.chance(75)
    } else {
        sower.dice.chance(15)
    };
    let mut task = about(sower, deal);
    let open = [
        "Not Started",
        "In Progress",
        "Waiting for input",
        "Deferred",
    ];
    task.set("Subject", sower.choice(words::TASK_SUBJECTS));
    task.set("Due_Date", Cell::Day(sower.day(due)));
    task.set(
        "Status",
        if done {
            Cell::text("Completed")
        } else {
            sower.choice(&open)
        },
    );
    task.set("Priority", sower.choice(picklist::PRIORITY));
    task.set("Send_Notification_Email", Cell::Flag(false));
    let closed = sower.moment(due.min(-1));
    task.set("Closed_Time", done.then_some(Cell::Moment(closed)));
    let days = (-due).max(0) + sower.dice.between(2, 20);
    sower.plant(Module::Tasks, task, deal.owner, days, "crm_ui");
}

fn event(sower: &mut Sower, deal: Planted) {
    let day = sower.dice.between(-60, 40);
    let mut event = about(sower, deal);
    let start = sower.moment(day);
    let end = start
        .checked_add(jiff::SignedDuration::from_mins(
            sower.dice.between(1, 4) * 30,
        ))
        .unwrap_or(start);
    event.set("Event_Title", sower.choice(words::EVENT_TITLES));
    event.set("Start_DateTime", Cell::Moment(start));
    event.set("End_DateTime", Cell::Moment(end));
    event.set("All_day", Cell::Flag(false));
    event.set("Venue", sower.street());
    event.set("Check_In_Status", Cell::text("PLANNED"));
    let guest = event.points_at("Who_Id").map(|id| {
        let guest = sower.crm.get(Module::Contacts, id);
        let told = |field| guest.and_then(|guest| guest.text(field));
        json!([{
            "type": "contact",
            "participant": id.to_string(),
            "name": told("Full_Name"),
            "Email": told("Email"),
            "invited": false,
            "status": "not_known",
        }])
    });
    event.set(
        "Participants",
        guest.map(|guest| Cell::Nested(Box::new(guest))),
    );
    let days = (-day).max(0) + sower.dice.between(1, 15);
    sower.plant(Module::Events, event, deal.owner, days, "crm_ui");
}

fn call(sower: &mut Sower, deal: Planted) {
    let day = sower.dice.between(-120, 14);
    let mut call = about(sower, deal);
    let planned = day >= 0;
    let kind = if planned {
        "Outbound"
    } else {
        sower.dice.word(picklist::CALL_TYPE)
    };
    let status = match kind {
        _ if planned => "Scheduled",
        "Inbound" => "Received",
        "Missed" => "Missed",
        _ => "Completed",
    };
    let talked = !planned && kind != "Missed";
    let length = if talked {
        (sower.dice.between(1, 25), sower.dice.between(0, 59))
    } else {
        (0, 0)
    };
    call.set("Subject", sower.choice(words::CALL_SUBJECTS));
    call.set("Call_Type", Cell::text(kind));
    call.set("Call_Status", Cell::text(status));
    call.set("Call_Start_Time", Cell::Moment(sower.moment(day)));
    call.set(
        "Call_Duration",
        Cell::text(format!("{:02}:{:02}", length.0, length.1)),
    );
    call.set("Call_Purpose", sower.choice(picklist::CALL_PURPOSE));
    call.set(
        "Call_Result",
        talked.then(|| sower.choice(picklist::CALL_RESULT)),
    );
    let days = (-day).max(0) + sower.dice.between(1, 3);
    sower.plant(Module::Calls, call, deal.owner, days, "crm_ui");
}

/// An activity about a deal, with the deal's contact.
pub(super) fn about(sower: &mut Sower, deal: Planted) -> Record {
    let contact: Option<Id> = deal.account;
    let mut record = sower.blank();
    record.set("What_Id", Cell::Ref(deal.id));
    record.set("Who_Id", contact.map(Cell::Ref));
    record
}

const NOTES: usize = 680;
const TASKS: usize = 220;
const EVENTS: usize = 110;
const CALLS: usize = 240;
